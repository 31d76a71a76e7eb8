/* Bodies, parsed and shown again as JSON. Files that are uploaded to the disk go to UPLOADS in the
 * environment. */
#include <acacia.h>
#include <middleware/body_parser.h>
#include <middleware/multipart.h>

#include <stdlib.h>
#include <string.h>

/* --- body_parser ------------------------------------------------------------------------------ */

/* {"body": …}, as Koa's ctx.request.body. */
static int show_body(ctx_t *ctx) {
    json_t *body = body_parsed(ctx);
    const char *text = body_text(ctx);
    return ctx_json(ctx, json_pack("{s:o}", "body",
                                   body   ? json_incref(body)
                                   : text ? json_string(text)
                                          : json_object()));
}

/* --- multipart -------------------------------------------------------------------------------- */

/* JSON has no bytes. */
static json_t *hex(const char *data, size_t length) {
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(2 * length + 1);
    for (size_t i = 0; i < length; i++) {
        text[2 * i] = digits[(unsigned char)data[i] >> 4];
        text[2 * i + 1] = digits[data[i] & 15];
    }
    json_t *json = json_stringn(text, 2 * length);
    free(text);
    return json;
}

/* {"fields": [[name, value, type]], "files": [[name, filename, type, data in hex]], "nested": {}}
 */
static int show_form(ctx_t *ctx) {
    json_t *fields = json_array(), *files = json_array();
    const multipart_field_t *field;
    const multipart_file_t *file;
    for (size_t i = 0; (field = multipart_field_at(ctx, i)); i++)
        json_array_append_new(fields,
                              json_pack("[s, s, s]", field->name, field->value, field->type));
    for (size_t i = 0; (file = multipart_file_at(ctx, i)); i++)
        json_array_append_new(files, json_pack("[s, s, s, o]", file->field, file->filename,
                                               file->type, hex(file->data, file->size)));
    return ctx_json(ctx, json_pack("{s:o, s:o, s:o}", "fields", fields, "files", files, "nested",
                                   multipart_json(ctx, NULL)));
}

static char uploads[200];

/* Moves the file "f" to the name in the query. */
static int keep_file(ctx_t *ctx) {
    const multipart_file_t *file = multipart_file(ctx, "f");
    const char *name = ctx_query(ctx, "name");
    if (!file || !name || strchr(name, '/'))
        return ctx_throw(ctx, 400, "a file, and a name, please");
    int err = multipart_move(ctx, file, ctx_printf(ctx, "%s/%s", uploads, name));
    return err ? err : ctx_textf(ctx, "%llu", (unsigned long long)file->size);
}

/* --- A sink that waits until somebody lets it go on ------------------------------------------- */

static uint64_t received;
static future_t *release;

static void note_progress(ctx_t *ctx, uint64_t now, int64_t total) {
    received = now;
}

static int wait_to_write(ctx_t *ctx, multipart_file_t *file, const void *data, size_t length) {
    if (file->size > 0)
        return 0;
    release = future_new();
    int err = release ? await_future(release, NULL) : UV_ENOMEM;
    future_free(release);
    return err;
}

/* 0 until it waits. */
static int show_received(ctx_t *ctx) {
    return ctx_textf(ctx, "%llu", release ? (unsigned long long)received : 0);
}

static int let_go_on(ctx_t *ctx) {
    future_resolve(release, 0, NULL);
    return ctx_empty(ctx);
}

int main(void) {
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};
    const body_parser_options_t usual = {.methods = methods};
    const body_parser_options_t all = {
        .methods = methods, .text = true, .xml = true, .not_strict = true};
    const multipart_options_t memory = {.memory = true};
    const multipart_options_t disk = {.directory = getenv("UPLOADS")};
    const multipart_sink_t waiting = {.write = wait_to_write};
    const multipart_options_t slow = {.sink = &waiting, .progress = note_progress};
    snprintf(uploads, sizeof uploads, "%s", disk.directory ? disk.directory : "/tmp");
    app_t *app = app_new_with(&(app_options_t){.http.keep_alive_timeout = 60000, .silent = true});
    app_use(app, route_all("/usual", compose(body_parser(&usual), middleware(show_body))));
    app_use(app, route_all("/all", compose(body_parser(&all), middleware(show_body))));
    app_use(app, route_post("/memory", compose(multipart(&memory), middleware(show_form))));
    app_use(app, route_post("/disk", compose(multipart(&disk), middleware(keep_file))));
    app_use(app, route_post("/slow", compose(multipart(&slow), middleware(show_received))));
    app_use(app, route_get("/received", show_received));
    app_use(app, route_post("/release", let_go_on));
    return app_listen(app, 3000);
}
