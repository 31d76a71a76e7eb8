/*
 * Allocations fail, each in turn, while forms and other bodies are read. Whatever the client gets
 * then, nothing crashes or leaks, no file stays behind, and the next request is served.
 */
#include "middleware/body_parser.h"
#include "middleware/multipart.h"

#include "../support/countdown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* --- The app ---------------------------------------------------------------------------------- */

static char directory[] = "/tmp/acacia-memory-XXXXXX";

static int handler(ctx_t *ctx) {
    const multipart_file_t *file = multipart_file_at(ctx, 0);
    char kept[64];
    if (file && file->path) {
        const char *name = multipart_safe_name(ctx, file->filename);
        snprintf(kept, sizeof kept, "%s/moved", directory);
        int err = name ? multipart_move(ctx, file, kept) : UV_ENOMEM;
        if (err)
            return err;
        unlink(kept);
    }
#ifdef ACACIA_HAVE_JSON
    json_decref(multipart_json(ctx, NULL));
    body_form(ctx);
#endif
    return ctx_text(ctx, "good");
}

static app_t *new_app(void) {
    static const char *const types[] = {"x/y", NULL};
    static const multipart_expected_t files[] = {{"f", 9}, {NULL, 0}};
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, body_parser(&(body_parser_options_t){.text = true, .text_types = types}));
    app_use(app, route_post("/disk", multipart(&(multipart_options_t){.directory = directory,
                                                                      .files = files})));
    app_use(app, multipart(&(multipart_options_t){.memory = true}));
    app_use(app, handler);
    return app;
}

/* --- Requests --------------------------------------------------------------------------------- */

#define PART(rest) "--b\r\nContent-Disposition: form-data; name=" rest "\r\n"
#define FORM                                                                                       \
    PART("a\r\n\r\n1")                                                                             \
    PART("\"a[b]\"\r\n\r\n2")                                                                      \
    PART("f; filename=x\r\n\r\ndata")                                                              \
    PART("f; filename*=utf-8''y\r\nContent-Type: a/b; charset=c\r\n\r\nmore") "--b--"

static const struct {
    const char *url, *type, *body;
} requests[] = {
    {"/disk", "multipart/form-data; boundary=b", FORM},
    {"/memory", "multipart/form-data; boundary=b", FORM},
    {"/", "application/x-www-form-urlencoded; charset=latin1", "a=%E9&b[c]=2"},
    {"/", "text/plain", "text"},
#ifdef ACACIA_HAVE_JSON
    {"/", "application/json; charset=latin1", "{\"a\": [\"\\u0041\", {\"b\": []}]}"},
#endif
};

/* The status, or 0 if not even the response could be made. */
static int status_of(app_t *app, size_t i) {
    const char *headers[] = {"Content-Type", requests[i].type, NULL};
    app_response_t *response =
        app_inject(app, &(app_request_t){.method = "POST",
                                         .url = requests[i].url,
                                         .headers = headers,
                                         .body = requests[i].body,
                                         .body_length = strlen(requests[i].body)});
    int status = response ? response->status : 0;
    app_response_free(response);
    return status;
}

static void requests_without_memory(void **state) {
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        app_t *app = new_app();
        assert_int_equal(status_of(app, i), 200);
        long count = 0;
        bool failed;
        do {
            countdown = count++;
            int status = status_of(app, i);
            failed = countdown < 0;
            countdown = -1;
            bool is_json = *requests[i].body == '{'; /* jansson: "invalid token" */
            assert_true(status == 200 || status == 500 || status == 503 || status == 0 ||
                        (is_json && status == 400));
            assert_int_equal(rmdir(directory), 0); /* nothing is left in it */
            assert_int_equal(mkdir(directory, 0700), 0);
        } while (failed);
        assert_true(count > 1);
        assert_int_equal(status_of(app, i), 200);
        app_free(app);
    }
}

/* An app whose middleware could not be made does not start. */
static void factories_without_memory(void **state) {
    long count = 0;
    bool failed;
    do {
        countdown = count++;
        app_t *app = new_app();
        failed = countdown < 0;
        countdown = -1;
        int err = app_bind(app, &(listen_options_t){0});
        assert_int_equal(err != 0, failed);
        app_free(app);
    } while (failed);
    assert_true(count > 20);
}

static int make_directory(void **state) {
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state) {
    return rmdir(directory);
}

int main(void) {
#ifdef ACACIA_HAVE_JSON
    json_set_alloc_funcs(malloc, free); /* these of ours */
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_without_memory),
        cmocka_unit_test(factories_without_memory),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
