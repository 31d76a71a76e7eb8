/* What the tests of serve, etag, conditional_get and compress share: a directory of files, and
 * requests whose answer is looked at. */
#include <acacia.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* --- A directory ------------------------------------------------------------------------------ */

static char directory[64];

static inline const char *at(const char *name) {
    static char paths[8][512]; /* some at once */
    static int turns;
    char *path = paths[turns++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static inline int make_directory(void **state) {
    strcpy(directory, "/tmp/acacia-files-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static inline int remove_directory(void **state) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

/* Changed in September 2001, so that it is settled. */
static inline void set_time(const char *name, long seconds) {
    const struct timespec times[] = {{seconds, 0}, {seconds, 0}};
    assert_int_equal(utimensat(AT_FDCWD, at(name), times, 0), 0);
}

static inline void put_data(const char *name, const void *data, size_t length) {
    int file = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(file >= 0);
    assert_int_equal(write(file, data, length), length);
    close(file);
    set_time(name, 1000000000);
}

static inline void put(const char *name, const char *text) {
    put_data(name, text, strlen(text));
}

static inline void put_directory(const char *name) {
    assert_int_equal(mkdir(at(name), 0755), 0);
}

/* --- Requests --------------------------------------------------------------------------------- */

#define HEADERS(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline app_t *quiet_app(void) {
    return app_new_with(&(app_options_t){.silent = true});
}

static inline app_response_t *ask(app_t *app, const char *method, const char *url,
                                  const char *const *headers) {
    app_response_t *response =
        app_inject(app, &(app_request_t){.method = method, .url = url, .headers = headers});
    assert_non_null(response);
    return response;
}

static inline app_response_t *get(app_t *app, const char *url, const char *const *headers) {
    return ask(app, "GET", url, headers);
}

/* NULL: it is missing. */
static inline void has_header(const app_response_t *response, const char *name,
                              const char *expected) {
    const char *found = app_response_get(response, name);
    const char *value = found ? found : "(none)", *wanted = expected ? expected : "(none)";
    if (strcmp(value, wanted) != 0)
        fail_msg("%s: \"%s\", not \"%s\"", name, value, wanted);
}

/* Status and body of a GET; NULL: any body. */
static inline void answers(app_t *app, const char *url, int status, const char *body) {
    app_response_t *response = get(app, url, NULL);
    if (response->status != status || (body && strcmp(response->body.data, body) != 0))
        fail_msg("%s: %d \"%s\", not %d \"%s\"", url, response->status, response->body.data, status,
                 body ? body : "…");
    assert_false(response->failed);
    app_response_free(response);
}

/* One header of the answer to a GET with these headers. */
static inline void answers_with(app_t *app, const char *url, const char *const *headers, int status,
                                const char *name, const char *value) {
    app_response_t *response = get(app, url, headers);
    if (response->status != status)
        fail_msg("%s: %d, not %d", url, response->status, status);
    has_header(response, name, value);
    app_response_free(response);
}

static inline int count_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}
