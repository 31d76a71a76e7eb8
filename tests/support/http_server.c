/*
 * What tests/e2e/http.test.mjs talks to: one route for each thing that HTTP can do to us, and we to
 * HTTP. Uses what every program may use. Limits come from the environment, so that a test need not
 * wait ten seconds for a timeout.
 */
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* What handlers saw, for /seen. */
struct seen {
    long begun, ended; /* requests, by the outermost middleware */
    long aborted;      /* handlers that found ctx_aborted true */
    long canceled;     /* … that got UV_ECANCELED from what they waited for */
    long deferred;     /* functions of ctx_defer that have run */
    long errors;       /* calls of the error listener */
    char order[64];    /* of the deferred functions of one request */
    char last_error[128];
};

static struct seen *seen_by(const ctx_t *ctx) {
    return ctx_value(ctx, "seen");
}

static long number(ctx_t *ctx, const char *name, long otherwise) {
    const char *text = ctx_query(ctx, name);
    return text ? strtol(text, NULL, 10) : otherwise;
}

static const char *string(ctx_t *ctx, const char *name, const char *otherwise) {
    const char *text = ctx_query(ctx, name);
    return text ? text : otherwise;
}

static int note(ctx_t *ctx, int err) {
    if (err == UV_ECANCELED)
        seen_by(ctx)->canceled++;
    if (ctx_aborted(ctx))
        seen_by(ctx)->aborted++;
    return err;
}

static int observe(ctx_t *ctx) {
    struct seen *seen = seen_by(ctx);
    seen->begun++;
    int err = next(ctx);
    seen->ended++;
    return err;
}

/* --- Bodies ----------------------------------------------------------------------------------- */

static int text(ctx_t *ctx) {
    ctx_text(ctx, "hi");
    return ctx_set(ctx, "X-A", "1");
}

static int html(ctx_t *ctx) {
    return ctx_html(ctx, "<h1>é</h1>");
}

static int json(ctx_t *ctx) {
    return ctx_json(ctx, json_pack("{s:s, s:[i,i,i], s:n}", "hello", "wörld", "n", 1, 2, 3, "nil"));
}

static int bytes(ctx_t *ctx) {
    unsigned char all[256];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (unsigned char)i;
    return ctx_bytes(ctx, all, sizeof all);
}

static int replaced(ctx_t *ctx) {
    ctx_html(ctx, "<p>a first body</p>");
    return ctx_text(ctx, "a second");
}

static int empty(ctx_t *ctx) {
    return ctx_empty(ctx);
}

static int only_status(ctx_t *ctx) {
    ctx->status = atoi(ctx_param(ctx, "code"));
    return 0;
}

static int status_and_text(ctx_t *ctx) {
    ctx->status = atoi(ctx_param(ctx, "code"));
    return ctx_text(ctx, "a body");
}

static int empty_then_status(ctx_t *ctx) {
    int err = ctx_empty(ctx);
    ctx->status = atoi(ctx_param(ctx, "code"));
    return err;
}

static int text_then_status(ctx_t *ctx) {
    int err = ctx_text(ctx, "a body");
    ctx->status = atoi(ctx_param(ctx, "code"));
    return err;
}

static int type(ctx_t *ctx) {
    int err = ctx_type(ctx, string(ctx, "is", "text"));
    return err ? err : ctx_text(ctx, "typed");
}

static int redirect(ctx_t *ctx) {
    ctx->status = (int)number(ctx, "status", 0);
    return ctx_redirect(ctx, string(ctx, "to", "/"));
}

static int file(ctx_t *ctx) {
    const char *name = string(ctx, "name", getenv("BIG_FILE"));
    return ctx_file(ctx, name ? name : "/nonexistent");
}

static int file_then_text(ctx_t *ctx) {
    int err = file(ctx);
    return err ? err : ctx_text(ctx, "no file after all");
}

/* ?count pieces of ?size bytes, ?ms apart, with ?length announced. */
static int stream(ctx_t *ctx) {
    size_t size = (size_t)number(ctx, "size", 1);
    long count = number(ctx, "count", 3), ms = number(ctx, "ms", -1);
    char *piece = ctx_alloc(ctx, size + 1);
    if (!piece)
        return UV_ENOMEM;
    if (ctx_query(ctx, "length"))
        ctx_set(ctx, "Content-Length", ctx_query(ctx, "length"));
    ctx_set(ctx, "X-Stream", "1");
    for (long i = 0; i < count; i++) {
        memset(piece, 'a' + (int)(i % 26), size);
        int err = ms >= 0 ? await_sleep((uint64_t)ms) : 0;
        if (!err)
            err = ctx_write(ctx, piece, size);
        if (err)
            return note(ctx, err);
    }
    return 0;
}

/* Writing on where nothing more may be written. */
static int stream_too_much(ctx_t *ctx) {
    ctx_set(ctx, "Content-Length", "3");
    int first = ctx_write(ctx, "abc", 3);
    int second = ctx_write(ctx, "d", 1);
    return first || second != UV_EPIPE ? UV_EINVAL : 0;
}

static int changes_after_head(ctx_t *ctx) {
    int err = ctx_write(ctx, "a", 1);
    ctx->status = 500;
    bool refused = ctx_header_sent(ctx) && ctx_set(ctx, "X-Late", "1") == UV_EALREADY &&
                   ctx_append(ctx, "X-Late", "1") == UV_EALREADY &&
                   ctx_remove(ctx, "X-Stream") == UV_EALREADY &&
                   ctx_text(ctx, "late") == UV_EALREADY && ctx_empty(ctx) == UV_EALREADY &&
                   ctx_json(ctx, json_true()) == UV_EALREADY &&
                   ctx_file(ctx, "/dev/null") == UV_EALREADY;
    return err ? err : ctx_write(ctx, refused ? "b" : "?", 1);
}

/* --- The body of the request ------------------------------------------------------------------ */

static int echo(ctx_t *ctx) {
    bytes_t body;
    int err = ctx_read_body(ctx, &body);
    return err ? note(ctx, err) : ctx_bytes(ctx, body.data, body.length);
}

/* By ctx_read, ?size bytes at a time, ?ms apart; X-Pieces tells how many there were. */
static int echo_in_pieces(ctx_t *ctx) {
    size_t size = (size_t)number(ctx, "size", 7), capacity = 1 << 20, length = 0;
    long ms = number(ctx, "ms", -1), pieces = 0;
    char *all = ctx_alloc(ctx, capacity + size);
    if (!all)
        return UV_ENOMEM;
    for (;;) {
        if (ms >= 0)
            await_sleep((uint64_t)ms);
        ssize_t n = ctx_read(ctx, all + length, size);
        if (n < 0)
            return note(ctx, (int)n);
        if (n == 0)
            break;
        pieces++;
        length += (size_t)n;
        if (length > capacity)
            return ctx_throw(ctx, 413, NULL);
    }
    ctx_setf(ctx, "X-Pieces", "%ld", pieces);
    return ctx_bytes(ctx, all, length);
}

/* Each piece goes back before the next one is read. */
static int echo_at_once(ctx_t *ctx) {
    char piece[4096];
    ssize_t n;
    int err = number(ctx, "head", 0) ? ctx_write(ctx, "head:", 5) : 0;
    while (!err && (n = ctx_read(ctx, piece, sizeof piece)) != 0)
        err = n < 0 ? (int)n : ctx_write(ctx, piece, (size_t)n);
    return note(ctx, err);
}

static int count_bytes(ctx_t *ctx) {
    char *piece = ctx_alloc(ctx, 65536);
    unsigned long long sum = 0;
    ssize_t n;
    while (piece && (n = ctx_read(ctx, piece, 65536)) != 0) {
        if (n < 0)
            return note(ctx, (int)n);
        sum += (unsigned long long)n;
    }
    return ctx_textf(ctx, "%llu", sum);
}

static int read_twice(ctx_t *ctx) {
    bytes_t one, two;
    char rest[8];
    int err = ctx_read_body(ctx, &one);
    if (!err)
        err = ctx_read_body(ctx, &two);
    if (err)
        return err;
    bool same = one.data == two.data && one.length == two.length && one.data[one.length] == '\0';
    return ctx_text(ctx, same && ctx_read(ctx, rest, sizeof rest) == 0 ? "the same" : "another");
}

static int ignore_body(ctx_t *ctx) {
    return ctx_text(ctx, "ignored");
}

static int read_json(ctx_t *ctx) {
    json_t *body;
    int err = ctx_read_json(ctx, &body);
    return err ? err : ctx_json(ctx, body);
}

/* Reading fails, and the handler answers all the same. */
static int catch_read_error(ctx_t *ctx) {
    bytes_t body;
    int err = ctx_read_body(ctx, &body);
    const ctx_error_t *error = err ? ctx_catch(ctx) : NULL;
    return ctx_textf(ctx, "%d %s", err, error ? error->message : "-");
}

/* --- Waiting ---------------------------------------------------------------------------------- */

static int sleeper(ctx_t *ctx) {
    int err = await_sleep((uint64_t)number(ctx, "ms", 0));
    return note(ctx, err) ? err : ctx_text(ctx, string(ctx, "id", "slept"));
}

static int sleeper_echo(ctx_t *ctx) {
    int err = await_sleep((uint64_t)number(ctx, "ms", 0));
    return err ? note(ctx, err) : echo(ctx);
}

/* Sleeps on until the client is gone, or ?ms have passed. */
static int until_aborted(ctx_t *ctx) {
    long ms = number(ctx, "ms", 5000);
    int err = 0;
    for (long i = 0; i < ms && !err && !ctx_aborted(ctx); i += 5)
        err = await_sleep(5);
    note(ctx, err);
    return ctx_text(ctx, ctx_aborted(ctx) ? "aborted" : "not aborted");
}

static void block(void *arg) {
    usleep((useconds_t) * (long *)arg * 1000);
}

static int worker(ctx_t *ctx) {
    long ms = number(ctx, "ms", 1);
    int err = await_work(block, &ms);
    return note(ctx, err) ? err : ctx_textf(ctx, "worked %ld ms", ms);
}

static void write_a_byte(void *arg) {
    usleep(5000);
    if (write(*(int *)arg, "x", 1) < 0)
        perror("write");
}

static int poller(ctx_t *ctx) {
    int fds[2], writable, nothing, readable;
    if (pipe(fds))
        return uv_translate_sys_error(errno);
    writable = await_poll(fds[1], UV_WRITABLE, -1);
    nothing = await_poll(fds[0], UV_READABLE, 5);
    int err = await_work(write_a_byte, &fds[1]);
    readable = await_poll(fds[0], UV_READABLE, 1000);
    close(fds[0]);
    close(fds[1]);
    return err ? err
               : ctx_textf(ctx, "%s %s %s", writable == UV_WRITABLE ? "writable" : "?",
                           nothing == UV_ETIMEDOUT ? "timeout" : "?",
                           readable == UV_READABLE ? "readable" : "?");
}

static void on_timer_closed(uv_handle_t *handle) {
    free(handle);
}

static void on_timer(uv_timer_t *timer) {
    future_resolve(timer->data, 0, "resolved");
    uv_close((uv_handle_t *)timer, on_timer_closed);
}

static int future(ctx_t *ctx) {
    void *value = "nothing";
    future_t *answer = future_new();
    uv_timer_t *timer = malloc(sizeof *timer);
    if (!answer || !timer)
        abort();
    uv_timer_init(app_loop(ctx->app), timer);
    timer->data = answer;
    uv_timer_start(timer, on_timer, (uint64_t)number(ctx, "ms", 1), 0);
    int err = await_future(answer, &value);
    if (err) { /* the server stops: nobody else will resolve it */
        uv_close((uv_handle_t *)timer, on_timer_closed);
        future_resolve(answer, err, NULL);
    }
    future_free(answer);
    return note(ctx, err) ? err : ctx_text(ctx, value);
}

/* --- Errors ----------------------------------------------------------------------------------- */

static int throw_error(ctx_t *ctx) {
    const char *message = ctx_query(ctx, "message");
    ctx_set(ctx, "X-Lost", "1");
    ctx_text(ctx, "a body that is forgotten");
    if (ctx_query(ctx, "header"))
        ctx_throw_header(ctx, "X-Kept", ctx_query(ctx, "header"));
    if (!message)
        return ctx_throw(ctx, atoi(ctx_param(ctx, "status")), NULL);
    return ctx_throw(ctx, atoi(ctx_param(ctx, "status")), "%s", message);
}

static int return_code(ctx_t *ctx) {
    const char *name = ctx_param(ctx, "name");
    int code = strcmp(name, "ENOENT") == 0   ? UV_ENOENT
               : strcmp(name, "EINVAL") == 0 ? UV_EINVAL
               : strcmp(name, "ENOMEM") == 0 ? UV_ENOMEM
                                             : atoi(name);
    return code;
}

static int fail_late(ctx_t *ctx) {
    int err = ctx_write(ctx, "begun", 5);
    if (!err && ctx_query(ctx, "ms"))
        err = await_sleep((uint64_t)number(ctx, "ms", 0));
    return err ? err : ctx_throw(ctx, 500, "too late");
}

static int no_memory(ctx_t *ctx) {
    ctx_text(ctx, "all is well");
    return ctx_alloc(ctx, SIZE_MAX) ? UV_EINVAL : 0;
}

static int swallow(ctx_t *ctx) {
    int err = next(ctx);
    return err < 0 ? 0 : err;
}

static int catch_error(ctx_t *ctx) {
    int err = next(ctx);
    const ctx_error_t *error = ctx_catch(ctx);
    if (!error)
        return ctx_text(ctx, "nothing to catch");
    ctx->status = 299;
    return ctx_textf(ctx, "%d %d %d %s, lost %s", err == error->code, error->status, error->expose,
                     error->message, ctx_response_get(ctx, "X-Lost"));
}

/* Throws another error instead. */
static int replace_error(ctx_t *ctx) {
    int err = next(ctx);
    return err ? ctx_throw(ctx, 503, "instead of %d", err) : 0;
}

static int next_twice(ctx_t *ctx) {
    int err = next(ctx);
    return err ? err : next(ctx);
}

static int next_twice_ignored(ctx_t *ctx) {
    int err = next(ctx);
    return err || next(ctx) != UV_EALREADY ? UV_EINVAL : 0;
}

/* --- The onion -------------------------------------------------------------------------------- */

static int trail(ctx_t *ctx, const char *before, const char *after) {
    ctx_append(ctx, "X-Trail", before);
    int err = next(ctx);
    ctx_append(ctx, "X-Trail", after);
    return err;
}

static int onion_a(ctx_t *ctx) {
    return trail(ctx, "a", "A");
}

static int onion_b(ctx_t *ctx) {
    int err = await_sleep(1);
    return err ? err : trail(ctx, "b", "B");
}

static int onion_c(ctx_t *ctx) {
    return trail(ctx, "c", "C");
}

static int pass_on(ctx_t *ctx) {
    return next(ctx);
}

static int first_of_two(ctx_t *ctx) {
    ctx_set(ctx, "X-First", ctx_param(ctx, "id"));
    int err = next(ctx);
    ctx_setf(ctx, "X-First-After", "%s %s", ctx->route_path, ctx_param(ctx, "id"));
    return err;
}

static int second_of_two(ctx_t *ctx) {
    return ctx_textf(ctx, "%s, %s", ctx->route_path, ctx_param(ctx, "name"));
}

static int show_params(ctx_t *ctx) {
    const char *second = ctx_param_at(ctx, 1), *third = ctx_param_at(ctx, 2);
    return ctx_textf(ctx, "%s|%s|%s", ctx_param_at(ctx, 0), second ? second : "-",
                     third ? third : "-");
}

static int show_method(ctx_t *ctx) {
    return ctx_text(ctx, ctx->method);
}

static void append_mark(void *arg) {
    struct seen *seen = *(struct seen **)arg;
    const char *mark = (const char *)arg + sizeof seen;
    size_t length = strlen(seen->order);
    snprintf(seen->order + length, sizeof seen->order - length, "%s", mark);
    seen->deferred++;
}

static int defer_mark(ctx_t *ctx, const char *mark) {
    struct seen *seen = seen_by(ctx);
    char *arg = ctx_alloc(ctx, sizeof seen + 2);
    if (!arg)
        return UV_ENOMEM;
    memcpy(arg, &seen, sizeof seen);
    memcpy(arg + sizeof seen, mark, 1);
    return ctx_defer(ctx, append_mark, arg);
}

static int defer(ctx_t *ctx) {
    seen_by(ctx)->order[0] = '\0';
    defer_mark(ctx, "1");
    defer_mark(ctx, "2");
    defer_mark(ctx, "3");
    int err = number(ctx, "ms", -1) >= 0 ? await_sleep((uint64_t)number(ctx, "ms", 0)) : 0;
    return err ? note(ctx, err) : ctx_text(ctx, "deferred");
}

/* --- Headers ---------------------------------------------------------------------------------- */

static int headers(ctx_t *ctx) {
    ctx_set(ctx, "X-Set", "1");
    ctx_set(ctx, "x-set", "2");
    ctx_append(ctx, "X-Line", "1");
    ctx_append(ctx, "X-Line", "2");
    ctx_append(ctx, "X-Gone", "1");
    ctx_append(ctx, "X-Gone", "2");
    ctx_remove(ctx, "x-gone");
    ctx_append(ctx, "X-Joined", "1");
    ctx_append(ctx, "X-Joined", "2");
    ctx_set(ctx, "X-Joined", "3");
    ctx_setf(ctx, "X-Format", "%d%%", 50);
    ctx_set(ctx, "X-Empty", "");
    ctx_set(ctx, "X-Latin", "caf\xe9 caf\xc3\xa9");
    ctx_set(ctx, "X-Read", ctx_response_get(ctx, "X-SET"));
    return ctx_text(ctx, ctx_response_get(ctx, "X-Gone") ? "?" : "ok");
}

/* ?name and ?value as they are; ?with=append or setf. */
static int set_header(ctx_t *ctx) {
    const char *name = string(ctx, "name", "X"), *value = string(ctx, "value", "");
    const char *with = string(ctx, "with", "set");
    int err = strcmp(with, "append") == 0  ? ctx_append(ctx, name, value)
              : strcmp(with, "setf") == 0  ? ctx_setf(ctx, name, "%s", value)
              : strcmp(with, "type") == 0  ? ctx_type(ctx, value)
              : strcmp(with, "throw") == 0 ? ctx_throw_header(ctx, name, value)
                                           : ctx_set(ctx, name, value);
    if (strcmp(with, "throw") == 0)
        return ctx_throw(ctx, 400, "%s", err ? uv_err_name(err) : "ok");
    return ctx_text(ctx, err ? uv_err_name(err) : "ok");
}

/* A length that is not that of the body. */
static int wrong_length(ctx_t *ctx) {
    ctx_text(ctx, "12345");
    return ctx_set(ctx, "Content-Length", string(ctx, "length", "3"));
}

static int own_framing(ctx_t *ctx) {
    ctx_set(ctx, "Transfer-Encoding", "chunked");
    return number(ctx, "write", 0) ? ctx_write(ctx, "12345", 5) : ctx_text(ctx, "12345");
}

static int close_asked(ctx_t *ctx) {
    ctx_set(ctx, "Connection", string(ctx, "is", "close"));
    return ctx_text(ctx, "bye");
}

static int own_date(ctx_t *ctx) {
    ctx_set(ctx, "Date", "Thu, 01 Jan 1970 00:00:00 GMT");
    return ctx_text(ctx, "long ago");
}

/* --- What the request says -------------------------------------------------------------------- */

static int request(ctx_t *ctx) {
    json_t *lines = json_array();
    const char *name, *value;
    for (size_t i = 0; ctx_header_at(ctx, i, &name, &value); i++)
        json_array_append_new(lines, json_pack("[s,s]", name, value));
    return ctx_json(ctx, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "method", ctx->method, "url",
                                   ctx->url, "path", ctx->path, "querystring", ctx->querystring,
                                   "query", ctx_query_json(ctx), "headers", lines));
}

static int get_header(ctx_t *ctx) {
    return ctx_textf(ctx, "[%s]", ctx_get(ctx, string(ctx, "name", "X-A")));
}

static int ip(ctx_t *ctx) {
    return ctx_text(ctx, ctx_ip(ctx));
}

/* --- What the server says of itself ----------------------------------------------------------- */

static int show_seen(ctx_t *ctx) {
    struct seen *seen = seen_by(ctx);
    return ctx_json(ctx, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "begun",
                                   (json_int_t)seen->begun, "ended", (json_int_t)seen->ended,
                                   "aborted", (json_int_t)seen->aborted, "canceled",
                                   (json_int_t)seen->canceled, "deferred",
                                   (json_int_t)seen->deferred, "errors", (json_int_t)seen->errors,
                                   "order", seen->order, "last_error", seen->last_error));
}

static int stop(ctx_t *ctx) {
    app_close(ctx->app);
    return ctx_text(ctx, "stopping");
}

/* --- The program ------------------------------------------------------------------------------ */

static void on_error(ctx_t *ctx, const ctx_error_t *error) {
    struct seen *seen = seen_by(ctx);
    seen->errors++;
    snprintf(seen->last_error, sizeof seen->last_error, "%s %s: %d %d%s%s %s", ctx->method,
             ctx->path, error->code, error->status, error->expose ? " exposed" : "",
             error->header_sent ? " late" : "", error->message);
}

static app_options_t options_from_environment(void) {
    return (app_options_t){
        .http =
            {
                .head_size = report_setting("HEAD_SIZE"),
                .header_count = report_setting("HEADER_COUNT"),
                .body_size = report_setting("BODY_SIZE"),
                .drain_size = report_setting("DRAIN_SIZE"),
                .read_ahead = report_setting("READ_AHEAD"),
                .head_timeout = report_setting("HEAD_TIMEOUT"),
                .request_timeout = report_setting("REQUEST_TIMEOUT"),
                .keep_alive_timeout = report_setting("KEEP_ALIVE_TIMEOUT"),
                .write_timeout = report_setting("WRITE_TIMEOUT"),
                .high_water = report_setting("HIGH_WATER"),
            },
        .connections = report_setting("CONNECTIONS"),
        .coroutines = report_setting("COROUTINES"),
        .memory = report_setting("MEMORY"),
        .drain_timeout = report_setting("DRAIN_TIMEOUT"),
        .silent = report_setting("SILENT") != 0,
    };
}

static void use_bodies(app_t *app) {
    app_use(app, route_get("/text", text));
    app_use(app, route_get("/html", html));
    app_use(app, route_get("/json", json));
    app_use(app, route_get("/bytes", bytes));
    app_use(app, route_get("/replaced", replaced));
    app_use(app, route_get("/empty", empty));
    app_use(app, route_get("/status/:code", only_status));
    app_use(app, route_get("/status/:code/text", status_and_text));
    app_use(app, route_get("/empty/:code", empty_then_status));
    app_use(app, route_get("/text/:code", text_then_status));
    app_use(app, route_get("/type", type));
    app_use(app, route_get("/redirect", redirect));
    app_use(app, route_get("/file", file));
    app_use(app, route_get("/file/text", file_then_text));
    app_use(app, route_get("/stream", stream));
    app_use(app, route_get("/stream/too-much", stream_too_much));
    app_use(app, route_get("/stream/late", changes_after_head));
    app_use(app, route_post("/echo", echo));
    app_use(app, route_post("/echo/pieces", echo_in_pieces));
    app_use(app, route_post("/echo/at-once", echo_at_once));
    app_use(app, route_post("/echo/sleep", sleeper_echo));
    app_use(app, route_post("/count", count_bytes));
    app_use(app, route_post("/read-twice", read_twice));
    app_use(app, route_post("/ignore", ignore_body));
    app_use(app, route_post("/json", read_json));
    app_use(app, route_post("/catch-read", catch_read_error));
}

static void use_waits_and_errors(app_t *app) {
    app_use(app, route_get("/sleep", sleeper));
    app_use(app, route_get("/until-aborted", until_aborted));
    app_use(app, route_get("/work", worker));
    app_use(app, route_get("/poll", poller));
    app_use(app, route_get("/future", future));
    app_use(app, route_get("/throw/:status", throw_error));
    app_use(app, route_get("/code/:name", return_code));
    app_use(app, route_get("/fail-late", fail_late));
    app_use(app, route_get("/no-memory", no_memory));
    app_use(app,
            route_get("/swallow/:status", compose(middleware(swallow), middleware(throw_error))));
    app_use(app,
            route_get("/catch/:status", compose(middleware(catch_error), middleware(throw_error))));
    app_use(app, route_get("/catch", compose(middleware(catch_error), middleware(text))));
    app_use(app, route_get("/replace/:status",
                           compose(middleware(replace_error), middleware(throw_error))));
    app_use(app, route_get("/twice", compose(middleware(next_twice), middleware(text))));
    app_use(app,
            route_get("/twice/ignored", compose(middleware(next_twice_ignored), middleware(text))));
}

static void use_the_rest(app_t *app) {
    app_use(app, route_get("/onion", compose(middleware(onion_a),
                                             compose(middleware(onion_b), middleware(pass_on)),
                                             middleware(onion_c), middleware(text))));
    app_use(app, route_get("/order/:id", first_of_two));
    app_use(app, route_get("/order/:name", second_of_two));
    app_use(app, route_get("/params/:a/:b.:c", show_params));
    app_use(app, route_get("/params/:a", show_params));
    app_use(app, route_all("/method", show_method));
    app_use(app, route_head("/head", show_method));
    app_use(app, route_put("/put", show_method));
    app_use(app, route_del("/del", show_method));
    app_use(app, route_get("/defer", defer));
    app_use(app, route_get("/headers", headers));
    app_use(app, route_get("/set", set_header));
    app_use(app, route_get("/wrong-length", wrong_length));
    app_use(app, route_get("/own-framing", own_framing));
    app_use(app, route_get("/close", close_asked));
    app_use(app, route_get("/own-date", own_date));
    app_use(app, route_get("/header", get_header));
    app_use(app, route_get("/ip", ip));
    app_use(app, route_get("/stats", report_stats));
    app_use(app, route_get("/seen", show_seen));
    app_use(app, route_get("/stop", stop));
    app_use(app, route_all("/request", request));
    app_use(app, route_all("/request/:any", request));
}

static void limit_descriptors(rlim_t limit) {
    struct rlimit both = {limit, limit};
    if (limit && setrlimit(RLIMIT_NOFILE, &both))
        perror("setrlimit");
}

int main(void) {
    static struct seen seen;
    limit_descriptors(report_setting("NOFILE"));
    app_options_t options = options_from_environment();
    app_t *app = app_new_with(&options);
    app_set_value(app, "seen", &seen, NULL);
    if (report_setting("ON_ERROR"))
        app_on_error(app, on_error);
    app_use(app, observe);
    use_bodies(app);
    use_waits_and_errors(app);
    use_the_rest(app);
    return app_listen(app, 0) ? 1 : 0;
}
