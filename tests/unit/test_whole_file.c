/* Whole files: read up to a limit, written atomically, and what is no file. */
#include "test_fs.h"

#include <signal.h>
#include <sys/resource.h>

static void read_sizes(void *arg) {
    static const size_t sizes[] = {0, 1, 2, 4095, 4096, 4097, 100000};
    static char content[100000];
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)(i * 7); /* NULs, too */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i], length = 99;
        char *data;
        put_file(at("sized"), content, size);
        assert_int_equal(await_fs_read_file(at("sized"), size, &data, &length), 0);
        assert_int_equal(length, size);
        assert_memory_equal(data, content, size);
        assert_int_equal(data[size], '\0');
        free(data);
        assert_int_equal(await_fs_read_file(at("sized"), SIZE_MAX, &data, NULL), 0);
        free(data);
        length = 99;
        data = NULL;
        if (size > 0)
            assert_int_equal(await_fs_read_file(at("sized"), size - 1, &data, &length), UV_EFBIG);
        assert_null(data);
        assert_int_equal(length, 99);
    }
    mark('.');
}

static void read_what_is_no_file(void *arg) {
    char *data;
    size_t length = 0;
    assert_int_equal(await_fs_read_file(at("nowhere"), 100, &data, &length), UV_ENOENT);
    assert_int_equal(await_fs_read_file(directory, 100, &data, &length), UV_EISDIR);
    assert_int_equal(await_fs_read_file("/dev/null", 100, &data, &length), UV_EINVAL);
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    assert_int_equal(await_fs_read_file(at("fifo"), 100, &data, &length), UV_EINVAL);
    assert_int_equal(await_fs_write_file(at("fifo"), "x", 1), UV_EINVAL);
    assert_int_equal(await_fs_write_file(directory, "x", 1), UV_EISDIR);
    assert_int_equal(await_fs_write_file("/dev/null", "x", 1), UV_EINVAL);
    assert_int_equal(await_fs_write_file(at("nowhere/x"), "x", 1), UV_ENOENT);
    assert_int_equal(await_fs_write_file(at("fifo/x"), "x", 1), UV_ENOTDIR);
    assert_null(data);
    unlink(at("fifo"));
    mark('.');
}

#ifdef __linux__
/* A file that says it is empty, and is not. */
static void read_proc(void *arg) {
    char *data;
    size_t length = 0;
    assert_int_equal(await_fs_read_file("/proc/self/smaps", 10 << 20, &data, &length), 0);
    assert_true(length > 8192);
    assert_int_equal(strlen(data), length);
    free(data);
    assert_int_equal(await_fs_read_file("/proc/self/smaps", 10, &data, &length), UV_EFBIG);
    assert_int_equal(await_fs_read_file("/proc/self/smaps", 5000, &data, &length), UV_EFBIG);
    assert_int_equal(await_fs_read_file("/proc/self/smaps", 0, &data, &length), UV_EFBIG);
    mark('.');
}
#endif

static mode_t mode_of(const char *path) {
    struct stat stat;
    assert_int_equal(lstat(path, &stat), 0);
    return stat.st_mode & 07777;
}

static void write_files(void *arg) {
    size_t length = 3 << 20;
    char *data = malloc(length), *copy;
    mode_t mask = umask(027);
    assert_int_equal(mkdir(at("w"), 0700), 0);
    assert_int_equal(await_fs_write_file(at("w/new"), "one", 3), 0);
    assert_content(at("w/new"), "one");
    assert_int_equal(mode_of(at("w/new")), 0640);
    assert_int_equal(chmod(at("w/new"), 0606), 0);
    assert_int_equal(link(at("w/new"), at("w/other")), 0);
    assert_int_equal(await_fs_write_file(at("w/new"), "two", 3), 0);
    assert_content(at("w/new"), "two");
    assert_content(at("w/other"), "one");
    assert_int_equal(mode_of(at("w/new")), 0606);
    assert_int_equal(await_fs_write_file(at("w/new"), "", 0), 0);
    assert_content(at("w/new"), "");
    assert_int_equal(symlink("new", at("w/link")), 0);
    assert_int_equal(await_fs_write_file(at("w/link"), "three", 5), 0);
    assert_content(at("w/link"), "three");
    assert_content(at("w/new"), "");
    assert_int_equal(symlink("nothing", at("w/dangling")), 0);
    assert_int_equal(await_fs_write_file(at("w/dangling"), "four", 4), 0);
    assert_false(exists(at("w/nothing")));
    memset(data, 'x', length);
    assert_int_equal(await_fs_write_file(at("w/large"), data, length), 0);
    assert_int_equal(await_fs_read_file(at("w/large"), length, &copy, NULL), 0);
    assert_memory_equal(copy, data, length);
    free(copy);
    free(data);
    assert_int_equal(count_entries(at("w")), 5); /* and nothing temporary */
    umask(mask);
    mark('.');
}

/* As long as a name may be; and in the working directory. */
static void write_odd_paths(void *arg) {
    char name[256], before[512];
    memset(name, 'n', 255);
    name[255] = '\0';
    assert_int_equal(await_fs_write_file(at(name), "long", 4), 0);
    assert_content(at(name), "long");
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(await_fs_write_file("plain", "here", 4), 0);
    assert_int_equal(chdir(before), 0);
    assert_content(at("plain"), "here");
    mark('.');
}

/* The disk is full, or so it seems: what was there stays, and nothing else. */
static void write_too_much(void *arg) {
    static char data[100000];
    struct rlimit before, small;
    assert_int_equal(mkdir(at("full"), 0700), 0);
    put_file(at("full/old"), "old", 3);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){50000, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    assert_int_equal(await_fs_write_file(at("full/old"), data, sizeof data), UV_EFBIG);
    assert_int_equal(await_fs_write_file(at("full/new"), data, sizeof data), UV_EFBIG);
    int file = await_fs_open(at("full/old"), UV_FS_O_WRONLY, 0);
    assert_int_equal(await_fs_write(file, data, sizeof data, 40000), 10000);
    assert_int_equal(await_fs_write(file, data, sizeof data, 50000), UV_EFBIG);
    assert_int_equal(await_fs_ftruncate(file, 3), 0);
    assert_int_equal(await_fs_close(file), 0);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    assert_content(at("full/old"), "old");
    assert_int_equal(count_entries(at("full")), 1);
    mark('.');
}

static void test_whole_files(void **state) {
    run_alone(read_sizes);
    run_alone(read_what_is_no_file);
#ifdef __linux__
    run_alone(read_proc);
#endif
    run_alone(write_files);
    run_alone(write_odd_paths);
    run_alone(write_too_much);
}

/* Writers and readers at the same time: who reads gets the whole of what one of them wrote. */
static int rewrite(void *arg) {
    char data[50000];
    memset(data, *(char *)arg, sizeof data);
    for (int i = 0; i < 20; i++)
        assert_int_equal(await_fs_write_file(at("atomic"), data, sizeof data), 0);
    return 0;
}

static int reread(void *arg) {
    for (int i = 0; i < 40; i++) {
        char *data;
        size_t length;
        int err = await_fs_read_file(at("atomic"), 50000, &data, &length);
        if (err == UV_ENOENT)
            continue;
        assert_int_equal(err, 0);
        assert_int_equal(length, 50000);
        for (size_t k = 1; k < length; k++)
            assert_int_equal(data[k], data[0]);
        free(data);
    }
    return 0;
}

static void all_at_once(void *arg) {
    await_task_t tasks[] = {
        {rewrite, "a", 0}, {rewrite, "b", 0}, {reread, NULL, 0}, {reread, NULL, 0}};
    assert_int_equal(await_all(tasks, 4), 0);
    mark('.');
}

static void test_atomic(void **state) {
    run_alone(all_at_once);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(test_whole_files),
        test(test_atomic),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
