/* What the tests of files share: a directory of their own, and files in it. */
#include "await_fs.h"
#include "test_await.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static char directory[64];

/* The path of what is called `name` there. */
static inline const char *at(const char *name) {
    static char paths[8][512]; /* some at once */
    static int turns;
    char *path = paths[turns++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static inline int make_directory(void **state) {
    strcpy(directory, "/tmp/acacia-fs-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static inline int remove_directory(void **state) {
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command);
}

static inline int count_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static inline void put_file(const char *path, const void *data, size_t length) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(file >= 0);
    assert_int_equal(write(file, data, length), length);
    close(file);
}

static inline void assert_content(const char *path, const char *expected) {
    char text[256] = "";
    int file = open(path, O_RDONLY);
    assert_true(file >= 0);
    assert_true(read(file, text, sizeof text - 1) >= 0);
    assert_string_equal(text, expected);
    close(file);
}

static inline bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

static inline int count_entries(const char *path) {
    uv_fs_t request;
    int count = uv_fs_scandir(NULL, &request, path, 0, NULL);
    uv_fs_req_cleanup(&request);
    return count;
}

/* `fn` leaves the mark ".", and no descriptor. */
static inline void run_alone(coroutine_fn *fn) {
    int before = count_descriptors();
    trail[0] = '\0';
    run(fn, NULL);
    run_until_all_ended();
    assert_string_equal(trail, ".");
    assert_int_equal(count_descriptors(), before);
}
