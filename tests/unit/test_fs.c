/* Files: every call, what goes wrong, and cancelling before and after a thread begins. */
#include "test_fs.h"
#include "runtime/fs.h"

static struct coroutine *self;

/* --- Piece by piece --------------------------------------------------------------------------- */

static void test_outside_of_a_coroutine(void **state) {
    char buffer[8], path[] = "/tmp/XXXXXX", *text = path;
    uv_stat_t stat;
    uv_dirent_t *entries;
    size_t length;
    assert_int_equal(await_fs_open(at("no"), UV_FS_O_CREAT | UV_FS_O_WRONLY, 0600), UV_EINVAL);
    assert_int_equal(await_fs_close(0), UV_EINVAL);
    assert_int_equal(await_fs_read(0, buffer, 1, 0), UV_EINVAL);
    assert_int_equal(await_fs_write(1, buffer, 1, 0), UV_EINVAL);
    assert_int_equal(await_fs_ftruncate(1, 0), UV_EINVAL);
    assert_int_equal(await_fs_fsync(1), UV_EINVAL);
    assert_int_equal(await_fs_stat("/", &stat), UV_EINVAL);
    assert_int_equal(await_fs_lstat("/", &stat), UV_EINVAL);
    assert_int_equal(await_fs_fstat(0, &stat), UV_EINVAL);
    assert_int_equal(await_fs_utime(directory, 1, 1), UV_EINVAL);
    assert_int_equal(await_fs_realpath("/", &text), UV_EINVAL);
    assert_null(text);
    assert_int_equal(await_fs_unlink(directory), UV_EINVAL);
    assert_int_equal(await_fs_rename(directory, at("no")), UV_EINVAL);
    assert_int_equal(await_fs_mkdir(at("no"), 0700), UV_EINVAL);
    assert_int_equal(await_fs_rmdir(directory), UV_EINVAL);
    assert_int_equal(await_fs_mkdtemp(path), UV_EINVAL);
    assert_int_equal(await_fs_mkstemp(path), UV_EINVAL);
    assert_string_equal(path, "/tmp/XXXXXX");
    assert_int_equal(await_fs_scandir("/", &entries), UV_EINVAL);
    assert_null(entries);
    assert_int_equal(await_fs_read_file("/etc/passwd", 10000, &text, &length), UV_EINVAL);
    assert_null(text);
    assert_int_equal(await_fs_write_file(at("no"), "x", 1), UV_EINVAL);
    assert_true(exists(directory));
    assert_false(exists(at("no")));
}

static void write_and_read(void *arg) {
    char buffer[64] = "";
    uv_stat_t stat;
    int file = await_fs_open(at("a"), UV_FS_O_RDWR | UV_FS_O_CREAT | UV_FS_O_EXCL, 0640);
    assert_true(file >= 0);
    assert_int_equal(fcntl(file, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(await_fs_write(file, "hello", 5, -1), 5);
    assert_int_equal(await_fs_write(file, " world", 6, -1), 6);
    assert_int_equal(await_fs_write(file, "J", 1, 0), 1);
    assert_int_equal(await_fs_read(file, buffer, sizeof buffer, 6), 5);
    assert_memory_equal(buffer, "world", 5);
    assert_int_equal(await_fs_read(file, buffer, sizeof buffer, -1), 0); /* at the end */
    assert_int_equal(await_fs_read(file, buffer, 0, 0), 0);
    assert_int_equal(await_fs_read(file, buffer, 5, 0), 5);
    assert_memory_equal(buffer, "Jello", 5);
    assert_int_equal(await_fs_fsync(file), 0);
    assert_int_equal(await_fs_ftruncate(file, 2), 0);
    assert_int_equal(await_fs_fstat(file, &stat), 0);
    assert_int_equal(stat.st_size, 2);
    assert_int_equal(stat.st_mode & 0777, 0640);
    assert_int_equal(await_fs_close(file), 0);
    assert_int_equal(await_fs_close(file), UV_EBADF);
    file = await_fs_open(at("a"), UV_FS_O_RDONLY, 0);
    assert_int_equal(await_fs_write(file, "x", 1, 0), UV_EBADF);
    fs_close(file);
    assert_int_equal(await_fs_fstat(file, &stat), UV_EBADF);
    mark('.');
}

/* What is in memory, and what is not, in pieces of all sizes: it makes no difference. */
static void read_all_sizes(void *arg) {
    static unsigned char content[3 * 65536 + 12345], read[sizeof content];
    static const size_t sizes[] = {1, 1000, 4096, 65535, 65536, 65537, 200000, sizeof content};
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (unsigned char)(i * i % 251);
    put_file(at("pieces"), content, sizeof content);
    int file = await_fs_open(at("pieces"), UV_FS_O_RDONLY, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = 0, rounds = 0;
        while (n < sizeof content && rounds++ < 1000) {
            size_t left = sizeof content - n, size = sizes[i] < left ? sizes[i] : left;
            /* It asks for more than there is, and gets what there is. */
            ssize_t got = await_fs_read(file, read + n, sizes[i] == left ? left : size, (int64_t)n);
            assert_int_equal(got, size);
            n += size;
        }
        assert_memory_equal(content, read, n);
    }
    assert_int_equal(await_fs_read(file, read, 65536, sizeof content - 10), 10);
    assert_memory_equal(content + sizeof content - 10, read, 10);
    assert_int_equal(await_fs_read(file, read, 65536, sizeof content), 0);
    assert_int_equal(await_fs_read(file, read, 65536, sizeof content + 1), 0);
    assert_int_equal(await_fs_close(file), 0);
    assert_int_equal(await_fs_read(file, read, 1, 0), UV_EBADF);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(await_fs_read(pipes[0], read, 1, 0), UV_ESPIPE);
    close(pipes[0]);
    close(pipes[1]);
    mark('.');
}

static void look_at_files(void *arg) {
    uv_stat_t stat = {0};
    char *real;
    put_file(at("f"), "12345", 5);
    assert_int_equal(symlink("f", at("link")), 0);
    assert_int_equal(await_fs_stat(at("link"), &stat), 0);
    assert_true(S_ISREG(stat.st_mode));
    assert_int_equal(stat.st_size, 5);
    assert_int_equal(await_fs_lstat(at("link"), &stat), 0);
    assert_true(S_ISLNK(stat.st_mode));
    assert_int_equal(await_fs_utime(at("f"), 1000000, 2000000), 0);
    assert_int_equal(await_fs_stat(at("f"), &stat), 0);
    assert_int_equal(stat.st_atim.tv_sec, 1000000);
    assert_int_equal(stat.st_mtim.tv_sec, 2000000);
    assert_int_equal(await_fs_stat(at("nowhere"), &stat), UV_ENOENT);
    assert_int_equal(stat.st_size, 5); /* left alone */
    assert_int_equal(await_fs_realpath(at("../././link"), &real), UV_ENOENT);
    assert_null(real);
    assert_int_equal(await_fs_realpath(at("./link"), &real), 0);
    assert_string_equal(strrchr(real, '/'), "/f");
    assert_int_equal(real[0], '/');
    free(real);
    mark('.');
}

static void change_directories(void *arg) {
    assert_int_equal(await_fs_mkdir(at("d"), 0700), 0);
    assert_int_equal(await_fs_mkdir(at("d"), 0700), UV_EEXIST);
    put_file(at("d/x"), "x", 1);
    put_file(at("d/y"), "y", 1);
    assert_int_equal(await_fs_rmdir(at("d")), UV_ENOTEMPTY);
    assert_int_equal(await_fs_rename(at("d/x"), at("d/y")), 0);
    assert_content(at("d/y"), "x");
    assert_int_equal(await_fs_rename(at("d/x"), at("d/y")), UV_ENOENT);
    assert_int_equal(await_fs_unlink(at("d/y")), 0);
    assert_int_equal(await_fs_unlink(at("d/y")), UV_ENOENT);
    assert_int_equal(await_fs_rmdir(at("d")), 0);
    assert_false(exists(at("d")));
    mark('.');
}

static void make_temporary_ones(void *arg) {
    char path[128], bad[] = "/tmp/XXXXX", none[] = "/nowhere/XXXXXX";
    snprintf(path, sizeof path, "%s/dir-XXXXXX", directory);
    assert_int_equal(await_fs_mkdtemp(path), 0);
    assert_null(strstr(path, "XXXXXX"));
    assert_true(exists(path));
    assert_int_equal(await_fs_rmdir(path), 0);
    snprintf(path, sizeof path, "%s/file-XXXXXX", directory);
    int file = await_fs_mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(await_fs_write(file, "x", 1, -1), 1);
    assert_content(path, "x");
    assert_int_equal(await_fs_close(file), 0);
    assert_int_equal(await_fs_unlink(path), 0);
    assert_int_equal(await_fs_mkdtemp(bad), UV_EINVAL);
    assert_int_equal(await_fs_mkstemp(bad), UV_EINVAL);
    assert_string_equal(bad, "/tmp/XXXXX");
    assert_int_equal(await_fs_mkstemp(none), UV_ENOENT);
    assert_string_equal(none, "/nowhere/XXXXXX");
    mark('.');
}

static void no_paths(void *arg) {
    uv_stat_t stat;
    uv_dirent_t *entries;
    char *text;
    assert_int_equal(await_fs_open(NULL, UV_FS_O_RDONLY, 0), UV_EINVAL);
    assert_int_equal(await_fs_stat(NULL, &stat), UV_EINVAL);
    assert_int_equal(await_fs_lstat(NULL, &stat), UV_EINVAL);
    assert_int_equal(await_fs_utime(NULL, 0, 0), UV_EINVAL);
    assert_int_equal(await_fs_realpath(NULL, &text), UV_EINVAL);
    assert_int_equal(await_fs_unlink(NULL), UV_EINVAL);
    assert_int_equal(await_fs_rename(NULL, "/x"), UV_EINVAL);
    assert_int_equal(await_fs_rename("/x", NULL), UV_EINVAL);
    assert_int_equal(await_fs_mkdir(NULL, 0), UV_EINVAL);
    assert_int_equal(await_fs_rmdir(NULL), UV_EINVAL);
    assert_int_equal(await_fs_mkdtemp(NULL), UV_EINVAL);
    assert_int_equal(await_fs_mkstemp(NULL), UV_EINVAL);
    assert_int_equal(await_fs_scandir(NULL, &entries), UV_EINVAL);
    assert_int_equal(await_fs_read_file(NULL, 1, &text, NULL), UV_EINVAL);
    assert_int_equal(await_fs_write_file(NULL, "", 0), UV_EINVAL);
    assert_int_equal(await_fs_open("", UV_FS_O_RDONLY, 0), UV_ENOENT);
    assert_int_equal(await_fs_write_file("", "", 0), UV_ENOENT);
    mark('.');
}

static void test_pieces(void **state) {
    run_alone(write_and_read);
    run_alone(read_all_sizes);
    run_alone(look_at_files);
    run_alone(change_directories);
    run_alone(make_temporary_ones);
    run_alone(no_paths);
}

/* Who reads what is in memory leaves others their turn all the same. */
static void read_on_and_on(void *arg) {
    static char buffer[65536];
    int file = *(int *)arg;
    for (int i = 0; i < 40; i++)
        assert_int_equal(await_fs_read(file, buffer, sizeof buffer, 0), sizeof buffer);
    mark('r');
}

static void be_another(void *arg) {
    mark('a');
}

static void test_others_have_their_turn(void **state) {
    static const char content[65536];
    put_file(at("turns"), content, sizeof content);
    int file = open(at("turns"), O_RDONLY);
    run(read_on_and_on, &file);
    run(be_another, NULL);
    run_until_all_ended();
    assert_string_equal(trail, "ar");
    close(file);
}

/* --- Lists ------------------------------------------------------------------------------------ */

static void list_directories(void *arg) {
    uv_dirent_t *entries;
    char name[300];
    assert_int_equal(mkdir(at("list"), 0700), 0);
    assert_int_equal(await_fs_scandir(at("list"), &entries), 0);
    assert_non_null(entries);
    free(entries);
    for (int i = 0; i < 500; i++) {
        snprintf(
            name, sizeof name, "list/%03d%.*s", i, i % 200,
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        put_file(at(name), "", 0);
    }
    assert_int_equal(mkdir(at("list/zdir"), 0700), 0);
    assert_int_equal(symlink("000", at("list/zlink")), 0);
    assert_int_equal(await_fs_scandir(at("list"), &entries), 502);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(atoi(entries[i].name), i);
        assert_int_equal(strlen(entries[i].name), 3 + i % 200);
        assert_int_equal(entries[i].type, UV_DIRENT_FILE);
    }
    assert_string_equal(entries[500].name, "zdir");
    assert_int_equal(entries[500].type, UV_DIRENT_DIR);
    assert_string_equal(entries[501].name, "zlink");
    assert_int_equal(entries[501].type, UV_DIRENT_LINK);
    free(entries);
    assert_int_equal(await_fs_scandir(at("nowhere"), &entries), UV_ENOENT);
    assert_null(entries);
    assert_int_equal(await_fs_scandir(at("list/zlink"), &entries), UV_ENOTDIR);
    assert_null(entries);
    mark('.');
}

static void test_lists(void **state) {
    run(list_directories, NULL);
    run_until_all_ended();
    assert_string_equal(trail, ".");
}

/* --- Being cancelled -------------------------------------------------------------------------- */

/* Whoever was cancelled begins nothing more; but it closes what it has opened. */
static void cancelled_before(void *arg) {
    char buffer[8], *text;
    char path[] = "/tmp/XXXXXX";
    uv_stat_t stat;
    uv_dirent_t *entries;
    int file = await_fs_open(at("kept"), UV_FS_O_RDWR | UV_FS_O_CREAT, 0600);
    coroutine_cancel(coroutine_self());
    assert_int_equal(await_fs_open(at("no"), UV_FS_O_RDWR | UV_FS_O_CREAT, 0600), UV_ECANCELED);
    assert_int_equal(await_fs_read(file, buffer, 1, 0), UV_ECANCELED);
    assert_int_equal(await_fs_write(file, "x", 1, 0), UV_ECANCELED);
    assert_int_equal(await_fs_ftruncate(file, 9), UV_ECANCELED);
    assert_int_equal(await_fs_fsync(file), UV_ECANCELED);
    assert_int_equal(await_fs_stat(at("kept"), &stat), UV_ECANCELED);
    assert_int_equal(await_fs_lstat(at("kept"), &stat), UV_ECANCELED);
    assert_int_equal(await_fs_fstat(file, &stat), UV_ECANCELED);
    assert_int_equal(await_fs_utime(at("kept"), 0, 0), UV_ECANCELED);
    assert_int_equal(await_fs_realpath(at("kept"), &text), UV_ECANCELED);
    assert_int_equal(await_fs_unlink(at("kept")), UV_ECANCELED);
    assert_int_equal(await_fs_rename(at("kept"), at("no")), UV_ECANCELED);
    assert_int_equal(await_fs_mkdir(at("no"), 0700), UV_ECANCELED);
    assert_int_equal(await_fs_rmdir(directory), UV_ECANCELED);
    assert_int_equal(await_fs_mkdtemp(path), UV_ECANCELED);
    assert_int_equal(await_fs_mkstemp(path), UV_ECANCELED);
    assert_int_equal(await_fs_scandir(directory, &entries), UV_ECANCELED);
    assert_int_equal(await_fs_read_file(at("kept"), 10, &text, NULL), UV_ECANCELED);
    assert_int_equal(await_fs_write_file(at("kept"), "x", 1), UV_ECANCELED);
    assert_int_equal(await_fs_close(file), 0);
    assert_false(exists(at("no")));
    assert_content(at("kept"), "");
    mark('.');
}

static void test_cancelled_before(void **state) {
    run_alone(cancelled_before);
}

/* Queued, but no thread is free. */
static void queued(void *arg) {
    char *data, path[128];
    uv_dirent_t *entries;
    self = coroutine_self();
    snprintf(path, sizeof path, "%s/XXXXXX", directory);
    switch (*(int *)arg) {
    case 0:
        assert_int_equal(await_fs_open(at("q"), UV_FS_O_RDWR | UV_FS_O_CREAT, 0600), UV_ECANCELED);
        break;
    case 1:
        assert_int_equal(await_fs_mkstemp(path), UV_ECANCELED);
        break;
    case 2:
        assert_int_equal(await_fs_scandir(directory, &entries), UV_ECANCELED);
        assert_null(entries);
        break;
    case 3:
        assert_int_equal(await_fs_read_file(at("kept"), 10, &data, NULL), UV_ECANCELED);
        assert_null(data);
        break;
    case 4:
        assert_int_equal(await_fs_write_file(at("q"), "x", 1), UV_ECANCELED);
        break;
    case 5:
        assert_int_equal(await_fs_realpath(directory, &data), UV_ECANCELED);
        assert_null(data);
        break;
    default:
        assert_int_equal(await_fs_unlink(at("kept")), UV_ECANCELED);
    }
    mark((char)('0' + *(int *)arg));
}

static void test_cancelled_in_the_queue(void **state) {
    int cases[] = {0, 1, 2, 3, 4, 5, 6};
    put_file(at("kept"), "kept", 4);
    int entries = count_entries(directory);
    hold_all_threads();
    for (int i = 0; i < 7; i++) {
        run(queued, &cases[i]);
        coroutine_cancel(self);
    }
    run_until('6');
    release_threads();
    run_until_all_ended();
    assert_string_equal(trail, "0123456");
    assert_int_equal(count_entries(directory), entries);
    close_gates();
}

/* Closing is waited for, cancelled or not. */
static void closes(void *arg) {
    self = coroutine_self();
    assert_int_equal(await_fs_close(*(int *)arg), 0);
    mark('c');
}

static void test_closing_is_not_cancelled(void **state) {
    int file = open("/dev/null", O_RDONLY);
    hold_all_threads();
    run(closes, &file);
    coroutine_cancel(self);
    loop_tear_down(&loop);
    turn();
    assert_true(fcntl(file, F_GETFD) >= 0);
    release_threads();
    run_until_all_ended();
    assert_true(fcntl(file, F_GETFD) < 0);
    assert_string_equal(trail, "c");
    close_gates();
}

/* open(2) of a FIFO keeps a thread until somebody opens its other end. */
static void opens_fifo(void *arg) {
    self = coroutine_self();
    int file = await_fs_open(at("fifo"), UV_FS_O_RDONLY, 0);
    assert_true(wait_is_cancelled());
    mark(file == UV_ECANCELED ? 'q' : 'f');
    if (file != UV_ECANCELED)
        assert_int_equal(await_fs_close(file), 0); /* what was opened is told */
}

/* Was it in a thread, when it was cancelled? It may still have been in the queue. */
static bool cancel_in_a_thread(bool tear_down, useconds_t patience) {
    int before = count_descriptors();
    run(opens_fifo, NULL);
    usleep(patience);
    if (tear_down)
        loop_tear_down(&loop);
    else
        coroutine_cancel(self);
    for (int i = 0; i < 5; i++)
        turn();
    if (strcmp(trail, "q") == 0)
        return false;
    assert_string_equal(trail, "");
    int other = open(at("fifo"), O_WRONLY);
    assert_true(other >= 0);
    run_until_all_ended();
    close(other);
    assert_string_equal(trail, "f");
    assert_int_equal(count_descriptors(), before);
    return true;
}

static void try_to_cancel_in_a_thread(bool tear_down) {
    useconds_t patience = 1000;
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    open_loop(NULL);
    while (!cancel_in_a_thread(tear_down, patience)) {
        patience *= 2;
        close_loop(NULL);
        open_loop(NULL);
    }
    close_loop(NULL);
    unlink(at("fifo"));
}

static void test_cancelled_in_a_thread(void **state) {
    try_to_cancel_in_a_thread(false);
}

static void test_torn_down_in_a_thread(void **state) {
    try_to_cancel_in_a_thread(true);
}

static int read_again_and_again(void *arg) {
    for (;;) {
        char *data;
        int err = await_fs_read_file(arg, 1000, &data, NULL);
        if (err)
            return err;
        free(data);
    }
}

static int write_again_and_again(void *arg) {
    int err = 0;
    while (!err)
        err = await_fs_write_file(arg, "again", 5);
    return err;
}

static int open_again_and_again(void *arg) {
    for (;;) {
        char path[128];
        snprintf(path, sizeof path, "%s/again-XXXXXX", directory);
        int file = await_fs_mkstemp(path);
        if (file < 0)
            return file;
        await_fs_write(file, "x", 1, -1);
        assert_int_equal(await_fs_close(file), 0);
        unlink(path);
    }
}

static void busy(void *arg) {
    await_task_t tasks[12];
    char kept[512]; /* threads look at it all the time */
    snprintf(kept, sizeof kept, "%s", at("kept"));
    for (int i = 0; i < 12; i++) {
        int (*fns[])(void *) = {read_again_and_again, write_again_and_again, open_again_and_again};
        tasks[i] = (await_task_t){fns[i % 3], kept, 0};
    }
    assert_int_equal(await_any(tasks, 12, 20, NULL), UV_ETIMEDOUT);
    mark('t');
    assert_int_equal(await_any(tasks, 12, HOUR, NULL), UV_ECANCELED);
    mark('.');
}

static void test_busy_until_the_end(void **state) {
    int before = count_descriptors(), entries;
    put_file(at("kept"), "kept", 4);
    entries = count_entries(directory);
    run(busy, NULL);
    run_until('t');
    for (int i = 0; i < 30; i++) {
        turn();
        usleep(1000);
    }
    loop_tear_down(&loop);
    run_until_all_ended();
    assert_string_equal(trail, "t.");
    assert_int_equal(count_entries(directory), entries);
    assert_int_equal(count_descriptors(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(test_outside_of_a_coroutine),
        test(test_pieces),
        test(test_others_have_their_turn),
        test(test_lists),
        test(test_cancelled_before),
        test(test_cancelled_in_the_queue),
        test(test_closing_is_not_cancelled),
        cmocka_unit_test(test_cancelled_in_a_thread),
        cmocka_unit_test(test_torn_down_in_a_thread),
        test(test_busy_until_the_end),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
