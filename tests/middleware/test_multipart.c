/* Forms with files: through app_inject, on a disk of their own. Real clients and npm's busboy are
 * in tests/e2e. */
#include "middleware/multipart.h"

#include <dirent.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* --- Where files go ----------------------------------------------------------------------------
 */

static char directory[] = "/tmp/acacia-multipart-XXXXXX";

static int make_directory(void **state) {
    return mkdtemp(directory) ? 0 : -1;
}

static int files_in(const char *path) {
    DIR *dir = opendir(path);
    struct dirent *entry;
    int count = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir)))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static int remove_directory(void **state) {
    return files_in(directory) || rmdir(directory);
}

/* --- Forms --------------------------------------------------------------------------------------
 */

#define FIELD(name, value)                                                                         \
    "--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define NAMED(name, filename, data)                                                                \
    "--b\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"" filename               \
    "\"\r\nContent-Type: application/x-test\r\n\r\n" data "\r\n"
#define END "--b--\r\n"

static app_response_t *post_bytes(app_t *app, const char *body, size_t length) {
    app_response_t *response = app_inject(
        app,
        &(app_request_t){.method = "POST",
                         .headers = (const char *const[]){"Content-Type",
                                                          "multipart/form-data; boundary=b", NULL},
                         .body = body,
                         .body_length = length});
    assert_non_null(response);
    return response;
}

static app_response_t *post(app_t *app, const char *body) {
    return post_bytes(app, body, strlen(body));
}

static app_t *app_with(const multipart_options_t *options, middleware_fn *handler) {
    multipart_options_t here = options ? *options : (multipart_options_t){0};
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    if (!here.directory)
        here.directory = directory;
    app_use(app, multipart(&here));
    app_use_fn(app, handler, "handler");
    return app;
}

/* Posts, and nothing is left in the directory. */
static void check_with(const multipart_options_t *options, middleware_fn *handler, const char *body,
                       int status, const char *expected) {
    app_t *app = app_with(options, handler);
    app_response_t *response = post(app, body);
    if (expected)
        assert_string_equal(response->body.data, expected);
    assert_int_equal(response->status, status);
    app_response_free(response);
    app_free(app);
    assert_int_equal(files_in(directory), 0);
}

/* What came, one line each; of files on the disk, that they are there. */
static int show(ctx_t *ctx) {
    const multipart_field_t *field;
    const multipart_file_t *file;
    char text[4096] = "";
    size_t n = 0;
    for (size_t i = 0; (field = multipart_field_at(ctx, i)); i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s=%s (%zu, %s)\n", field->name,
                              field->value, field->length, field->type);
    for (size_t i = 0; (file = multipart_file_at(ctx, i)); i++) {
        char *data = NULL;
        if (file->path)
            assert_int_equal(await_fs_read_file(file->path, 1024, &data, NULL), 0);
        n += (size_t)snprintf(text + n, sizeof text - n, "%s: %s (%" PRIu64 ", %s) %s\n",
                              file->field, file->filename, file->size, file->type,
                              data ? data : file->data);
        free(data);
    }
    return ctx_text(ctx, text);
}

static void check(const multipart_options_t *options, const char *body, int status,
                  const char *expected) {
    check_with(options, show, body, status, expected);
}

/* --- Fields and files ---------------------------------------------------------------------------
 */

static void fields_and_files(void **state) {
    const char *body = FIELD("a", "1") NAMED("f", "x.bin", "data") FIELD("a", "")
        FIELD("\xC3\xA9", "\xFF") NAMED("f", "../y\r\n.bin", "") END;
    const char *broken = "Malformed part header";
    check(NULL, body, 400, broken);
    const char *good = FIELD("a", "1") NAMED("f", "x.bin", "data") FIELD("a", "")
        FIELD("\xC3\xA9", "\xFF\xC3\xA9") NAMED("f", "../y%0D.bin", "") END;
    const char *expected = "a=1 (1, text/plain)\na= (0, text/plain)\n"
                           "\xC3\xA9=\xEF\xBF\xBD\xC3\xA9 (5, text/plain)\n"
                           "f: x.bin (4, application/x-test) data\n"
                           "f: y_.bin (0, application/x-test) \n";
    check(NULL, good, 200, expected);
    check(&(multipart_options_t){.memory = true}, good, 200, expected);
    check(NULL, END, 200, "");
}

static int looks_up(ctx_t *ctx) {
    assert_string_equal(multipart_field(ctx, "a"), "1");
    assert_null(multipart_field(ctx, "f"));
    assert_string_equal(multipart_file(ctx, "f")->filename, "x");
    assert_null(multipart_file(ctx, "a"));
    assert_null(multipart_field_at(ctx, 2));
    assert_null(multipart_file_at(ctx, 2));
    struct stat found;
    assert_int_equal(stat(multipart_file(ctx, "f")->path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    assert_int_equal(files_in(directory), 2);
    assert_null(multipart_file(ctx, "f")->data);
    return ctx_text(ctx, "good");
}

static void looking_up(void **state) {
    check_with(NULL, looks_up,
               FIELD("a", "1") NAMED("f", "x", "1") FIELD("a", "2") NAMED("f", "y", "2") END, 200,
               "good");
}

static void files_without_a_name(void **state) {
    const char *body =
        NAMED("f", "", "") "--b\r\nContent-Disposition: form-data; name=\"g\"\r\nContent-Type: "
                           "application/octet-stream\r\n\r\nraw\r\n" NAMED("h", "", "x") END;
    check(NULL, body, 200,
          "g:  (3, application/octet-stream) raw\nh:  (1, application/x-test) x\n");
}

static void charsets(void **state) {
#define IN(charset, value)                                                                         \
    "--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; "              \
    "charset=" charset "\r\n\r\n" value "\r\n" END
    check(NULL, IN("utf-8", "\xC3\xA9"), 200, "a=\xC3\xA9 (2, text/plain)\n");
    check(NULL, IN("ISO-8859-1", "\xE9"), 200, "a=\xC3\xA9 (2, text/plain)\n");
    check(NULL, IN("koi8-r", "\xE9"), 415, "unsupported charset");
#undef IN
}

#define LARGE 300000

/* A lot that looks like a boundary. */
static char large_byte(size_t i) {
    return "\r\n--"[i * 7919 % 1021 % 4];
}

static int check_large(ctx_t *ctx) {
    const multipart_file_t *file = multipart_file(ctx, "f");
    char *read = NULL;
    assert_int_equal(file->size, LARGE);
    if (file->path)
        assert_int_equal(await_fs_read_file(file->path, LARGE, &read, NULL), 0);
    const char *data = read ? read : file->data;
    for (size_t i = 0; i < LARGE; i++)
        assert_int_equal(data[i], large_byte(i));
    assert_int_equal(data[LARGE], '\0');
    free(read);
    return ctx_text(ctx, "good");
}

static void large_files(void **state) {
    char *body = malloc(LARGE + 1024), *to = body;
    to += sprintf(to, "--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n\r\n");
    for (size_t i = 0; i < LARGE; i++)
        *to++ = large_byte(i);
    strcpy(to, "\r\n" END);
    for (int memory = 0; memory < 2; memory++)
        check_with(&(multipart_options_t){.memory = memory}, check_large, body, 200, "good");
    free(body);
}

/* --- Keeping ------------------------------------------------------------------------------------
 */

static char kept[256];

static int keep(ctx_t *ctx) {
    multipart_keep(multipart_file(ctx, "f"));
    snprintf(kept, sizeof kept, "%s", multipart_file(ctx, "f")->path);
    return ctx_empty(ctx);
}

static void keeping(void **state) {
    app_t *app = app_with(NULL, keep);
    app_response_free(post(app, NAMED("f", "x", "1") NAMED("g", "x", "1") END));
    app_free(app);
    assert_int_equal(files_in(directory), 1);
    assert_int_equal(unlink(kept), 0);
}

static char target[256];

static int move(ctx_t *ctx) {
    const multipart_file_t *file = multipart_file(ctx, "f");
    int err = multipart_move(ctx, file, target);
    return err ? err : ctx_text(ctx, file->path);
}

static void check_content(const char *path, const char *expected) {
    char text[64] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    assert_string_equal(text, expected);
}

static void moving(void **state) {
    app_t *app = app_with(NULL, move);
    snprintf(target, sizeof target, "%s/moved", directory);
    for (int i = 0; i < 2; i++) { /* the second one replaces the first */
        app_response_t *response =
            post(app, i ? NAMED("f", "x", "second") END : NAMED("f", "x", "first") END);
        assert_string_equal(response->body.data, target);
        app_response_free(response);
        check_content(target, i ? "second" : "first");
        assert_int_equal(files_in(directory), 1);
    }
    unlink(target);
    snprintf(target, sizeof target, "%s/none/moved", directory);
    app_response_t *response = post(app, NAMED("f", "x", "1") END);
    assert_int_equal(response->status, 500);
    app_response_free(response);
    assert_int_equal(files_in(directory), 0);
    app_free(app);
}

/* Where there is another file system. */
static void moving_far(void **state) {
    char far[] = "/dev/shm/acacia-multipart-XXXXXX";
    struct stat here, there;
    if (!mkdtemp(far))
        return;
    if (stat(directory, &here) == 0 && stat(far, &there) == 0 && here.st_dev != there.st_dev) {
        app_t *app = app_with(NULL, move);
        snprintf(target, sizeof target, "%s/moved", far);
        for (int i = 0; i < 2; i++) {
            app_response_free(post(app, NAMED("f", "x", "data") END));
            check_content(target, "data");
            assert_int_equal(files_in(directory), 0);
            assert_int_equal(files_in(far), 1);
        }
        unlink(target);
        snprintf(target, sizeof target, "%s/none/moved", far);
        app_response_t *response = post(app, NAMED("f", "x", "1") END);
        assert_int_equal(response->status, 500);
        app_response_free(response);
        app_free(app);
        assert_int_equal(files_in(directory), 0);
    }
    assert_int_equal(rmdir(far), 0);
}

static int move_from_memory(ctx_t *ctx) {
    assert_int_equal(multipart_move(ctx, multipart_file(ctx, "f"), "x"), UV_EINVAL);
    return ctx_text(ctx, "good");
}

static void nothing_to_move(void **state) {
    check_with(&(multipart_options_t){.memory = true}, move_from_memory, NAMED("f", "x", "1") END,
               200, "good");
}

/* --- A sink of one's own ------------------------------------------------------------------------
 */

static char noted[1024];

static void note(const char *text) {
    strcat(noted, text);
}

static int begin_noting(ctx_t *ctx, multipart_file_t *file) {
    assert_null(file->state);
    assert_int_equal(file->size, 0);
    file->state = (void *)file->filename;
    note("begin ");
    return strcmp(file->filename, "begin") == 0 ? UV_EIO : await_sleep(1);
}

static int write_noting(ctx_t *ctx, multipart_file_t *file, const void *data, size_t length) {
    assert_ptr_equal(file->state, file->filename);
    strncat(noted, data, length);
    note(" ");
    return strcmp(file->filename, "write") == 0 ? UV_EIO : await_sleep(1);
}

static int end_noting(ctx_t *ctx, multipart_file_t *file, int err) {
    note(err == UV_EIO ? "EIO " : err ? "broken " : "end ");
    return strcmp(file->filename, "end") == 0 ? UV_EIO : await_sleep(1);
}

static int count_bytes(ctx_t *ctx) {
    const multipart_file_t *file = multipart_file_at(ctx, 0);
    assert_null(file->path);
    assert_null(file->data);
    return ctx_textf(ctx, "%" PRIu64, file->size);
}

static void sinks(void **state) {
    const multipart_sink_t noting = {begin_noting, write_noting, end_noting};
    const multipart_options_t options = {.sink = &noting, .directory = "/nowhere", .file_size = 8};
    static const struct {
        const char *body;
        int status;
        const char *noted;
    } cases[] = {
        {NAMED("f", "x", "data") NAMED("g", "y", "") END, 200, "begin data end begin end "},
        {NAMED("f", "begin", "data") END, 500, "begin "},
        {NAMED("f", "write", "data") END, 500, "begin data EIO "},
        {NAMED("f", "end", "data") END, 500, "begin data end "},
        {NAMED("f", "x", "123456789") END, 413, "begin broken "},
        {NAMED("f", "x", "data") "--bx", 400, "begin data end "},
        {NAMED("f", "x", "data"), 400, "begin data broken "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        noted[0] = '\0';
        check_with(&options, count_bytes, cases[i].body, cases[i].status, NULL);
        assert_string_equal(noted, cases[i].noted);
    }
}

static void a_sink_without_write(void **state) {
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, multipart(&(multipart_options_t){.sink = &(multipart_sink_t){0}}));
    assert_true(app_bind(app, &(listen_options_t){0}) < 0);
    app_free(app);
}

/* --- Which files --------------------------------------------------------------------------------
 */

static void expected_files(void **state) {
    const multipart_expected_t files[] = {{"f", 2}, {"g", 0}, {NULL, 0}};
    const multipart_options_t options = {.files = files};
    check(&options, NAMED("f", "x", "1") NAMED("g", "y", "2") NAMED("f", "z", "3") END, 200, NULL);
    check(&options, NAMED("h", "x", "1") END, 400, "Unexpected file field");
    check(&options, NAMED("f", "x", "1") NAMED("f", "x", "1") NAMED("f", "x", "1") END, 400, NULL);
    check(&options, NAMED("g", "x", "1") NAMED("g", "x", "1") END, 400, NULL);
    check(&options, NAMED("h", "", "") FIELD("h", "1") END, 200, "h=1 (1, text/plain)\n");
    check(&(multipart_options_t){.no_files = true}, FIELD("f", "1") END, 200, NULL);
    check(&(multipart_options_t){.no_files = true}, NAMED("f", "x", "1") END, 400,
          "Unexpected file field");
}

static int filter(ctx_t *ctx, const multipart_file_t *file) {
    int err = await_sleep(1);
    if (err || strcmp(file->filename, "bad") == 0)
        return err ? err : ctx_throw(ctx, 422, "%s is bad", file->field);
    assert_string_equal(file->type, "application/x-test");
    return strcmp(file->filename, "skip") == 0;
}

static void filtering(void **state) {
    const multipart_options_t options = {.filter = filter};
    check(&options, NAMED("f", "skip", "1") NAMED("g", "x", "2") NAMED("h", "skip", "") END, 200,
          "g: x (1, application/x-test) 2\n");
    check(&options, NAMED("g", "x", "2") NAMED("f", "bad", "1") END, 422, "f is bad");
}

/* --- Malformed ----------------------------------------------------------------------------------
 */

static void malformed(void **state) {
    static const char *const bodies[][2] = {
        {"", "Unexpected end of form"},
        {"nothing", "Unexpected end of form"},
        {FIELD("a", "1"), "Unexpected end of form"},
        {NAMED("f", "x", "1"), "Unexpected end of form"},
        {NAMED("f", "x", "1") "--b", "Unexpected end of form"},
        {NAMED("f", "x", "1") "--bb\r\n", "Malformed boundary"},
        {"--b\r\n\r\nx\r\n" END, "Field name missing"},
        {"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n" END, "Field name missing"},
        {"--b\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n" END, "Field name missing"},
        {FIELD("", "x") END, "Field name missing"},
        {"--b\r\nContent-Disposition\r\n\r\nx\r\n" END, "Malformed part header"},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        check(NULL, bodies[i][0], 400, bodies[i][1]);
}

static void other_types(void **state) {
    static const struct {
        const char *type, *encoding;
        int status;
        const char *expected;
    } cases[] = {
        {"multipart/form-data", NULL, 400, "Boundary not found"},
        {"multipart/form-data; boundary=a/b", NULL, 400, "Boundary not found"},
        {"multipart/form-data; boundary=b", "gzip", 415, "unsupported Content-Encoding"},
        {"multipart/form-data; boundary=b", "identity", 200, "a=1 (1, text/plain)\n"},
        {"Multipart/Form-Data; Boundary=\"b\"", NULL, 200, "a=1 (1, text/plain)\n"},
        {"multipart/mixed; boundary=b", NULL, 200, ""},
        {"text/plain", NULL, 200, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *headers[] = {"Content-Type", cases[i].type,
                                 cases[i].encoding ? "Content-Encoding" : NULL, cases[i].encoding,
                                 NULL};
        app_t *app = app_with(NULL, show);
        app_response_t *response =
            app_inject(app, &(app_request_t){.method = "POST",
                                             .headers = headers,
                                             .body = FIELD("a", "1") END,
                                             .body_length = sizeof FIELD("a", "1") END - 1});
        assert_int_equal(response->status, cases[i].status);
        assert_string_equal(response->body.data, cases[i].expected);
        app_response_free(response);
        app_free(app);
    }
}

/* --- Limits -------------------------------------------------------------------------------------
 */

/* Then nobody answers: 404. */
static int pass_on(ctx_t *ctx) {
    return next(ctx);
}

/* `most` of what `part` makes is good, one more is not. */
static void check_limit(const multipart_options_t *options, size_t most,
                        int (*part)(char *to, size_t i), const char *message) {
    for (size_t count = most; count <= most + 1; count++) {
        char *body = malloc(100 + count * 300), *to = body;
        for (size_t i = 0; i < count; i++)
            to += part(to, i);
        strcpy(to, END);
        check_with(options, pass_on, body, count == most ? 404 : 413,
                   count == most ? NULL : message);
        free(body);
    }
}

static int field_part(char *to, size_t i) {
    return sprintf(to, FIELD("%zu", ""), i);
}

static int file_part(char *to, size_t i) {
    return sprintf(to, NAMED("%zu", "x", ""), i);
}

static void how_many(void **state) {
    check_limit(&(multipart_options_t){.part_count = 1001}, 1000, field_part, "Too many fields");
    check_limit(&(multipart_options_t){.field_count = 7}, 7, field_part, "Too many fields");
    check_limit(NULL, 100, file_part, "Too many files");
    check_limit(&(multipart_options_t){.file_count = 7, .memory = true}, 7, file_part,
                "Too many files");
    check_limit(&(multipart_options_t){.file_count = 2000, .memory = true}, 1000, file_part,
                "Too many parts");
    check_limit(&(multipart_options_t){.part_count = 3}, 3, field_part, "Too many parts");
}

/* So many bytes between both are good, one more is not. */
static void check_size(const multipart_options_t *options, const char *before, const char *after,
                       size_t most, const char *message) {
    for (size_t size = most; size <= most + 1; size++) {
        char *body = malloc(strlen(before) + size + strlen(after) + 1);
        size_t n = strlen(before);
        memcpy(body, before, n);
        memset(body + n, 'x', size);
        memcpy(body + n + size, after, strlen(after) + 1);
        app_t *app = app_with(options, pass_on);
        app_response_t *response = post_bytes(app, body, n + size + strlen(after));
        assert_int_equal(response->status, size == most ? 404 : 413); /* nobody answers */
        if (size > most)
            assert_string_equal(response->body.data, message);
        app_response_free(response);
        app_free(app);
        free(body);
        assert_int_equal(files_in(directory), 0);
    }
}

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

static void how_large(void **state) {
    const char *field = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";
    const char *file = "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"x\"\r\n\r\n";
    const char *name = "--b\r\nContent-Disposition: form-data; name=\"";
    const char *end = "\r\n" END;
    const multipart_options_t usual = {0}, memory = {.memory = true};
    check_size(&usual, field, end, MIB, "Field value too long");
    check_size(&(multipart_options_t){.field_size = 5}, field, end, 5, "Field value too long");
    check_size(&(multipart_options_t){.field_size = 3 * MIB}, field, end, 2 * MIB - 1,
               "Fields too large"); /* the name counts */
    check_size(&(multipart_options_t){.fields_size = 10}, field, end, 9, "Fields too large");
    check_size(&usual, file, end, 64 * MIB, "File too large");
    check_size(&memory, file, end, MIB, "File too large");
    check_size(&(multipart_options_t){.file_size = 5}, file, end, 5, "File too large");
    check_size(&usual, name, "\"\r\n\r\n\r\n" END, 100, "Field name too long");
    check_size(&(multipart_options_t){.field_name_size = 5}, name,
               "\"; filename=\"x\"\r\n\r\n\r\n" END, 5, "Field name too long");
    check_size(&(multipart_options_t){.field_name_size = 8 * KIB}, name, "\"\r\n\r\n\r\n" END,
               8 * KIB - strlen(name) + 5 - strlen("\"\r\n\r\n"), "Part header too large");
    check_size(&(multipart_options_t){.head_size = 100}, name, "\"\r\n\r\n\r\n" END,
               100 - strlen(name) + 5 - strlen("\"\r\n\r\n"), "Part header too large");
    check_size(&(multipart_options_t){.total_size = 1000}, file, end,
               1000 - strlen(file) - strlen(end), "request entity too large");
    check_size(&(multipart_options_t){.memory = true, .file_size = 9 * MIB}, file, end,
               8 * MIB - strlen(file) - strlen(end), "request entity too large");
}

static void how_many_lines(void **state) {
    for (int count = 32; count <= 33; count++) {
        char body[4096], *to = body;
        to += sprintf(to, "--b\r\nContent-Disposition: form-data; name=a\r\n");
        for (int i = 1; i < count; i++)
            to += sprintf(to, "X: %d\r\n", i);
        strcpy(to, "\r\nx\r\n" END);
        check(NULL, body, count == 32 ? 200 : 413,
              count == 32 ? NULL : "Too many lines in a part header");
    }
    check(&(multipart_options_t){.head_count = 1}, NAMED("f", "x", "1") END, 413, NULL);
}

/* --- The disk -----------------------------------------------------------------------------------
 */

/* A file that may have no more than so many bytes stands for a full disk. */
static void disk_full(void **state) {
    struct rlimit before, less = {4096, RLIM_INFINITY};
    const char *head =
        NAMED("f", "x", "1") "--b\r\nContent-Disposition: form-data; name=a; filename=x\r\n\r\n";
    char *body = calloc(1, 100 * KIB);
    memset(body, 'x', 100 * KIB - 1);
    memcpy(body, head, strlen(head));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    less.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
    check(NULL, body, 507, "Insufficient Storage");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    free(body);
}

static void no_directory(void **state) {
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, multipart(&(multipart_options_t){.directory = "/tmp/there/is/none"}));
    assert_true(app_bind(app, &(listen_options_t){0}) < 0);
    app_free(app);
}

/* It is removed while the app runs. */
static void lost_directory(void **state) {
    char lost[] = "/tmp/acacia-multipart-XXXXXX";
    assert_non_null(mkdtemp(lost));
    app_t *app = app_with(&(multipart_options_t){.directory = lost}, show);
    assert_int_equal(rmdir(lost), 0);
    app_response_t *response = post(app, NAMED("f", "x", "1") END);
    assert_int_equal(response->status, 500);
    app_response_free(response);
    app_free(app);
}

static int refuse(ctx_t *ctx) {
    assert_int_equal(files_in(directory), 1);
    return ctx_throw(ctx, 422, "no");
}

static int lose(ctx_t *ctx) {
    return await_fs_unlink(multipart_file(ctx, "f")->path);
}

static void handlers_that_fail(void **state) {
    check_with(NULL, refuse, NAMED("f", "x", "1") END, 422, "no");
    check_with(NULL, lose, NAMED("f", "x", "1") END, 404, NULL);
}

/* --- Progress, nesting, names -------------------------------------------------------------------
 */

static uint64_t so_far;
static int64_t in_all;

static void progress(ctx_t *ctx, uint64_t received, int64_t total) {
    assert_true(received > so_far);
    so_far = received;
    in_all = total;
}

static void progressing(void **state) {
    const char *body = NAMED("f", "x", "data") END;
    so_far = 0;
    check(&(multipart_options_t){.progress = progress}, body, 200, NULL);
    assert_int_equal(so_far, strlen(body));
    assert_int_equal(in_all, strlen(body));
}

#ifdef ACACIA_HAVE_JSON
static int nest(ctx_t *ctx) {
    return ctx_json(ctx, multipart_json(ctx, &(nesting_options_t){.dots = true}));
}

static void nesting(void **state) {
    check_with(NULL, nest, FIELD("a[b]", "1") FIELD("a.c", "2") NAMED("f", "x", "3") END, 200,
               "{\"a\":{\"b\":\"1\",\"c\":\"2\"}}");
    check_with(NULL, nest, END, 200, "{}");
}
#endif

static int names(ctx_t *ctx) {
    char name[512], expected[512];
    static const char *const pairs[][2] = {
        {"photo.jpg", "photo.jpg"},
        {"my photo (1).jpg", "my_photo__1_.jpg"},
        {"../../etc/passwd", "passwd"},
        {"C:\\Users\\me\\x.doc", "x.doc"},
        {"../.profile", "_profile"},
        {"-rf", "_rf"},
        {"", "file"},
        {"/", "file"},
        {"..", "__"},
        {".", "_"},
        {"a.", "a_"},
        {"a\nb\x7F"
         "c.txt",
         "a_b_c.txt"},
        {"$(reboot);`x`|&<>\"'*?~!#%{}[]^:", "__reboot___x___________________"},
        {"\xC3\xA9\xF0\x9F\x8C\xB3.png", "\xC3\xA9\xF0\x9F\x8C\xB3.png"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_string_equal(multipart_safe_name(ctx, pairs[i][0]), pairs[i][1]);
    memset(name, 'x', 300);
    strcpy(name + 300, ".tar.gz");
    snprintf(expected, sizeof expected, "%.180s.gz", name);
    assert_string_equal(multipart_safe_name(ctx, name), expected);
    for (size_t i = 0; i < 300; i += 3)
        memcpy(name + i + 1, "\xE2\x82\xAC", 3); /* 180 is in the middle of one */
    const char *safe = multipart_safe_name(ctx, name);
    assert_int_equal(strlen(safe), 178 + strlen(".gz"));
    return ctx_text(ctx, "good");
}

static void safe_names(void **state) {
    check_with(NULL, names, END, 200, "good");
}

static void twice(void **state) {
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, multipart(&(multipart_options_t){.memory = true}));
    app_use(app, multipart(&(multipart_options_t){.no_files = true}));
    app_use(app, show);
    app_response_t *response = post(app, NAMED("f", "x", "1") END);
    assert_string_equal(response->body.data, "f: x (1, application/x-test) 1\n");
    app_response_free(response);
    app_free(app);
}

static int none_came(ctx_t *ctx) {
    assert_null(multipart_field(ctx, "a"));
    assert_null(multipart_file(ctx, "a"));
#ifdef ACACIA_HAVE_JSON
    return ctx_json(ctx, multipart_json(ctx, NULL));
#else
    return ctx_text(ctx, "{}");
#endif
}

static void other_requests(void **state) {
    app_t *app = app_with(NULL, none_came);
    app_response_t *response = app_inject(app, &(app_request_t){0});
    assert_string_equal(response->body.data, "{}");
    app_response_free(response);
    app_free(app);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_files),
        cmocka_unit_test(looking_up),
        cmocka_unit_test(files_without_a_name),
        cmocka_unit_test(charsets),
        cmocka_unit_test(large_files),
        cmocka_unit_test(keeping),
        cmocka_unit_test(moving),
        cmocka_unit_test(moving_far),
        cmocka_unit_test(nothing_to_move),
        cmocka_unit_test(sinks),
        cmocka_unit_test(a_sink_without_write),
        cmocka_unit_test(expected_files),
        cmocka_unit_test(filtering),
        cmocka_unit_test(malformed),
        cmocka_unit_test(other_types),
        cmocka_unit_test(how_many),
        cmocka_unit_test(how_large),
        cmocka_unit_test(how_many_lines),
        cmocka_unit_test(disk_full),
        cmocka_unit_test(no_directory),
        cmocka_unit_test(lost_directory),
        cmocka_unit_test(handlers_that_fail),
        cmocka_unit_test(progressing),
#ifdef ACACIA_HAVE_JSON
        cmocka_unit_test(nesting),
#endif
        cmocka_unit_test(safe_names),
        cmocka_unit_test(twice),
        cmocka_unit_test(other_requests),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
