/* Allocations fail, each in turn, while files are read, written and listed. Whatever comes of it,
 * nothing leaks, and no file is left half written. (Only our allocations: libuv has its own.) */
#include "await_fs.h"
#include "test_await.h"

#include "../support/countdown.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* --- What is tried ---------------------------------------------------------------------------- */

static char directory[64], list[64], path[128];
static bool done; /* the allocation that was to fail was never reached */

#define FILES 20

typedef int trial(void);

static int try_reading(void) {
    char *data = path;
    int err = await_fs_read_file(path, 100000, &data, NULL);
    if (err)
        assert_null(data);
    else
        assert_string_equal(data, "content");
    free(data);
    return err;
}

/* Its length is not known before. */
static int try_growing(void) {
    char *data = path;
    int err = await_fs_read_file("/proc/self/smaps", 10 << 20, &data, NULL);
    if (err)
        assert_null(data);
    else
        assert_true(strlen(data) > 8192);
    free(data);
    return err;
}

static int try_writing(void) {
    return await_fs_write_file(path, "content", 7);
}

static int try_listing(void) {
    uv_dirent_t *entries = NULL;
    int count = await_fs_scandir(list, &entries);
    if (count < 0)
        assert_null(entries);
    else
        assert_int_equal(count, FILES);
    free(entries);
    return count < 0 ? count : 0;
}

static int try_a_future(void) {
    future_t *future = future_new();
    if (!future)
        return UV_ENOMEM;
    future_resolve(future, 0, NULL);
    future_free(future);
    return 0;
}

static int try_polling(void) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int result = await_poll(ends[1], UV_WRITABLE, -1);
    close(ends[0]);
    close(ends[1]);
    return result == UV_WRITABLE ? 0 : result;
}

static void run_trial(void *arg) {
    int err = (*(trial **)arg)();
    done = atomic_load(&countdown) >= 0;
    atomic_store(&countdown, -1);
    assert_int_equal(err, done ? 0 : UV_ENOMEM);
    mark('.');
}

static void check(trial *fn, long least) {
    long n = 0;
    do {
        trail[0] = '\0';
        atomic_store(&countdown, n++);
        run(run_trial, &fn);
        run_until_all_ended();
        atomic_store(&countdown, -1);
        assert_string_equal(trail, ".");
        assert_int_equal(access(path, R_OK), 0);
        assert_int_equal(unlink(path), 0); /* the only one */
        assert_int_equal(rmdir(directory), 0);
        assert_int_equal(mkdir(directory, 0700), 0);
        int file = open(path, O_WRONLY | O_CREAT, 0600);
        assert_int_equal(write(file, "content", 7), 7);
        close(file);
    } while (!done);
    assert_true(n > least); /* so many have failed */
}

static void test_each_in_turn(void **state) {
    check(try_reading, 1);
    check(try_growing, 2);
    check(try_writing, 1);
    check(try_listing, 2);
    check(try_a_future, 1);
    check(try_polling, 1);
}

/* Names that are longer than the first guess. */
static void for_each_listed(int (*fn)(const char *name)) {
    char name[200];
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "%s/%0100d", list, i);
        assert_int_equal(fn(name), 0);
    }
}

static int create(const char *name) {
    return close(open(name, O_WRONLY | O_CREAT, 0600));
}

static int make_directory(void **state) {
    strcpy(directory, "/tmp/acacia-fs-XXXXXX");
    strcpy(list, "/tmp/acacia-list-XXXXXX");
    if (!mkdtemp(directory) || !mkdtemp(list))
        return -1;
    for_each_listed(create);
    snprintf(path, sizeof path, "%s/file", directory);
    int file = open(path, O_WRONLY | O_CREAT, 0600);
    return write(file, "content", 7) == 7 ? close(file) : -1;
}

static int remove_directory(void **state) {
    for_each_listed(unlink);
    return unlink(path) || rmdir(directory) || rmdir(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {test(test_each_in_turn)};
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
