/*
 * What tests/e2e/ws.test.mjs talks to. Uses what every program may use. Limits come from the
 * environment, so that a test need not wait thirty seconds for a timeout.
 *
 * /do is a socket that does what it is told: ?open is run by the middleware, before anything is
 * accepted, ?close by the close handler, ?ping for each ping, and each message by the message
 * handler. They are commands, separated by ';', of a name and what it needs:
 *
 *     ws.send('sleep 10;send hello;close 4000 bye')
 *
 * What came of them, and what happens to a socket that says ?id, is noted under that name, and read
 * by GET /log?id.
 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Notes ------------------------------------------------------------------------------------ */

struct log {
    struct log *next;
    char *text;
    size_t length;
    char id[32];
};

static struct log *logs;

static struct log *log_named(const char *id) {
    struct log *log = logs;
    while (log && strcmp(log->id, id) != 0)
        log = log->next;
    if (!log && (log = calloc(1, sizeof *log))) {
        snprintf(log->id, sizeof log->id, "%s", id);
        log->next = logs;
        logs = log;
    }
    return log;
}

static void free_logs(void) {
    while (logs) {
        struct log *log = logs;
        logs = log->next;
        free(log->text);
        free(log);
    }
}

ACACIA_PRINTF(2, 3) static void note(ctx_t *ctx, const char *format, ...) {
    char line[256];
    va_list args;
    const char *id = ctx_query(ctx, "id");
    if (!id)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    struct log *log = log_named(id);
    size_t n = strlen(line);
    if (!log || !(log->text = realloc(log->text, log->length + n + 2)))
        abort();
    memcpy(log->text + log->length, line, n);
    strcpy(log->text + log->length + n, "\n");
    log->length += n + 1;
}

static const char *error_name(int err) {
    return err < 0 && err > -4096 ? uv_err_name(err) : "-";
}

/* The name of an error, or the number of what is none. */
static void note_result(ctx_t *ctx, const char *what, int result) {
    if (result < 0)
        note(ctx, "%s: %s", what, error_name(result));
    else
        note(ctx, "%s: %d", what, result);
}

/* --- What handlers have in common ------------------------------------------------------------- */

static long number(ctx_t *ctx, const char *name, long otherwise) {
    const char *text = ctx_query(ctx, name);
    return text ? strtol(text, NULL, 10) : otherwise;
}

static void note_close(ctx_t *ctx, int code, const char *reason) {
    note(ctx, "close %d %s", code, reason);
}

static void note_error(ctx_t *ctx, int error, const char *reason) {
    note(ctx, "error %s %s", error_name(error), reason);
}

static void note_ping(ctx_t *ctx, const char *data, size_t length) {
    note(ctx, "ping %zu %.20s", length, data);
}

static void note_pong(ctx_t *ctx, const char *data, size_t length) {
    note(ctx, "pong %zu %.20s", length, data);
}

static int attach_notes(ctx_t *ctx) {
    websocket_t *ws = ctx->websocket;
    int err = ws_on_close(ws, note_close);
    if (!err)
        err = ws_on_error(ws, note_error);
    if (!err)
        err = ws_on_ping(ws, note_ping);
    return err ? err : ws_on_pong(ws, note_pong);
}

/* --- Plain sockets ---------------------------------------------------------------------------- */

static int on_echo(ctx_t *ctx, const ws_message_t *message) {
    bool aligned = (uintptr_t)message->data % _Alignof(max_align_t) == 0;
    if (message->data[message->length] != '\0' || !aligned)
        return UV_EINVAL;
    return ws_send(ctx->websocket, *message);
}

static int echo(ctx_t *ctx) {
    int err = attach_notes(ctx);
    return err ? err : ws_on_message(ctx->websocket, on_echo);
}

/* Nothing is attached but what must be. */
static int bare_echo(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, on_echo);
}

static int loop_echo(ctx_t *ctx) {
    ws_message_t message;
    while (ws_recv(ctx->websocket, &message))
        ws_send(ctx->websocket, message);
    note(ctx, "loop over: %d %s", ws_close_code(ctx->websocket), ws_close_reason(ctx->websocket));
    return 0;
}

/* A message takes ?ms. Two handlers of one socket at once would be a mistake. */
struct slow {
    bool busy;
    long count;
};

static int on_slow(ctx_t *ctx, const ws_message_t *message) {
    struct slow *slow = ctx->state;
    bool alone = !slow->busy;
    slow->busy = true;
    int err = await_sleep((uint64_t)number(ctx, "ms", 1));
    slow->busy = false;
    slow->count++;
    note(ctx, "slow %ld %.20s", slow->count, message->data);
    if (err)
        return err;
    return alone ? ws_send(ctx->websocket, *message) : UV_EBUSY;
}

static int slow_echo(ctx_t *ctx) {
    ctx->state = ctx_new(ctx, struct slow);
    int err = ctx->state ? attach_notes(ctx) : UV_ENOMEM;
    return err ? err : ws_on_message(ctx->websocket, on_slow);
}

static int only_close(ctx_t *ctx) {
    return ws_on_close(ctx->websocket, note_close);
}

/* ?count messages and no handler. */
static int send_only(ctx_t *ctx) {
    int err = 0;
    for (long i = 0; i < number(ctx, "count", 3) && !err; i++)
        err = ws_sendf(ctx->websocket, "%ld", i);
    return err;
}

static int accept_only(ctx_t *ctx) {
    return ws_accept(ctx->websocket);
}

/* One message by ws_recv and the next ones by the callback, and in the callback ws_recv again. */
static int on_pair(ctx_t *ctx, const ws_message_t *message) {
    ws_message_t second;
    char *first = ctx_strdup(ctx, message->data);
    if (!first || !ws_recv(ctx->websocket, &second))
        return 0;
    return ws_sendf(ctx->websocket, "%s and %s", first, second.data);
}

static int pairs(ctx_t *ctx) {
    ws_message_t message;
    int err = attach_notes(ctx);
    if (!err)
        err = ws_on_message(ctx->websocket, on_pair);
    if (!err && ws_recv(ctx->websocket, &message))
        err = ws_sendf(ctx->websocket, "first %s", message.data);
    return err;
}

/* The handler says what it knows of the request that opened the socket. */
static int on_who(ctx_t *ctx, const ws_message_t *message) {
    const char *query = ctx_query(ctx, "q");
    return ws_sendf(ctx->websocket, "%s %s %s %s %s|%s|%s|%s|%s|%s", ctx->method, ctx->url,
                    ctx->path, ctx->querystring, ctx_param(ctx, "name"), query ? query : "-",
                    ctx_get(ctx, "X-Who"), ctx_ip(ctx), ctx->route_path, (char *)ctx->state);
}

static void on_who_close(ctx_t *ctx, int code, const char *reason) {
    note(ctx, "%s %s %s %s %s %s", ctx_param(ctx, "name"), ctx_query(ctx, "q"),
         ctx_get(ctx, "X-Who"), ctx_ip(ctx), ctx->path, (char *)ctx->state);
}

static int who(ctx_t *ctx) {
    ctx->state = ctx_printf(ctx, "state of %s", ctx_param(ctx, "name"));
    int err = ws_on_close(ctx->websocket, on_who_close);
    if (!err)
        err = ws_on_message(ctx->websocket, on_who);
    return err ? err : on_who(ctx, NULL);
}

/* A handler that allocates: what it took is gone with it. */
static void count_down(void *arg) {
    --*(long *)arg;
}

static long deferred;

static int on_alloc(ctx_t *ctx, const ws_message_t *message) {
    long size = strtol(message->data, NULL, 10);
    const char *text = NULL;
    for (int i = 0; i < 10; i++)
        if (!(text = ctx_printf(ctx, "%*d", (int)size, i)))
            return UV_ENOMEM;
    deferred++;
    ctx_defer(ctx, count_down, &deferred);
    return ws_sendf(ctx->websocket, "%zu %ld", strlen(text), deferred);
}

static void alloc_on_ping(ctx_t *ctx, const char *data, size_t length) {
    ctx_printf(ctx, "%1000s", data);
}

static int alloc(ctx_t *ctx) {
    int err = ws_on_ping(ctx->websocket, alloc_on_ping);
    return err ? err : ws_on_message(ctx->websocket, on_alloc);
}

/* --- A socket that does what it is told ------------------------------------------------------- */

static int run_commands(ctx_t *ctx, const char *commands);

static int on_command(ctx_t *ctx, const ws_message_t *message) {
    return run_commands(ctx, message->data);
}

/* On the loop's own stack: nothing suspends here. */
static void on_command_ping(ctx_t *ctx, const char *data, size_t length) {
    run_commands(ctx, ctx_query(ctx, "ping"));
}

static void on_command_close(ctx_t *ctx, int code, const char *reason) {
    const char *commands = ctx_query(ctx, "close");
    note_close(ctx, code, reason);
    if (commands)
        run_commands(ctx, commands);
}

/* `count size`: binary messages, as fast as the socket takes them. */
static int do_flood(ctx_t *ctx, const char *args) {
    char *end;
    long count = strtol(args, &end, 10);
    size_t size = (size_t)strtol(end, NULL, 10), most = 0;
    char *data = calloc(1, size + 1);
    int err = data ? 0 : UV_ENOMEM;
    long sent = 0;
    for (; sent < count && err >= 0; sent += err >= 0) {
        err = ws_send_binary(ctx->websocket, data, size);
        if (ws_buffered(ctx->websocket) > most)
            most = ws_buffered(ctx->websocket);
    }
    free(data);
    note(ctx, "flood %ld: %s, at most %zu", sent, error_name(err), most);
    return 0;
}

/* `count size`: the same to everybody else, who is not waited for. */
struct blast {
    const websocket_t *self;
    ws_message_t message;
    long sent, waiting, full, gone;
};

static void blast_one(websocket_t *ws, void *arg) {
    struct blast *blast = arg;
    if (ws == blast->self)
        return;
    int result = ws_send(ws, blast->message);
    blast->sent += result == 0;
    blast->waiting += result == 1;
    blast->full += result == UV_ENOBUFS;
    blast->gone += result == UV_ENOTCONN;
}

static int do_blast(ctx_t *ctx, const char *args) {
    char *end;
    long count = strtol(args, &end, 10);
    size_t size = (size_t)strtol(end, NULL, 10);
    struct blast blast = {.self = ctx->websocket, .message = {calloc(1, size + 1), size, true}};
    for (long i = 0; i < count && blast.message.data; i++)
        ws_each(ctx->app, blast_one, &blast);
    free((char *)blast.message.data);
    note(ctx, "blast: sent %ld, waiting %ld, full %ld, gone %ld", blast.sent, blast.waiting,
         blast.full, blast.gone);
    return 0;
}

struct each {
    ctx_t *ctx;
    const char *what;
    long count;
};

static void do_to_one(websocket_t *ws, void *arg) {
    struct each *each = arg;
    each->count++;
    if (strcmp(each->what, "terminate") == 0)
        ws_terminate(ws);
    else if (strcmp(each->what, "close") == 0)
        ws_close(ws, 4001, "each");
    else if (strcmp(each->what, "others") == 0 && ws != each->ctx->websocket)
        ws_terminate(ws);
    ws_send_text(ws, each->what);
}

static int do_each(ctx_t *ctx, const char *args) {
    struct each each = {ctx, args, 0};
    ws_each(ctx->app, do_to_one, &each);
    return (int)each.count;
}

static void note_path(websocket_t *ws, void *arg) {
    ctx_t *ctx = ws_ctx(ws);
    note(arg, "%s %s", ctx->path, ctx->websocket == ws ? "itself" : "?");
}

static int do_paths(ctx_t *ctx, const char *args) {
    ws_each(ctx->app, note_path, ctx);
    return 0;
}

static int do_broadcast(ctx_t *ctx, const char *args) {
    return (int)ws_broadcast(ctx->app, (ws_message_t){args, strlen(args), false}, NULL);
}

static int do_broadcast_others(ctx_t *ctx, const char *args) {
    return (int)ws_broadcast(ctx->app, (ws_message_t){args, strlen(args), false}, ctx->websocket);
}

static int do_send(ctx_t *ctx, const char *args) {
    return ws_send_text(ctx->websocket, args);
}

static int do_sendf(ctx_t *ctx, const char *args) {
    return ws_sendf(ctx->websocket, "%*s", atoi(args), "|");
}

static int do_binary(ctx_t *ctx, const char *args) {
    return ws_send_binary(ctx->websocket, args, strlen(args));
}

static int do_null(ctx_t *ctx, const char *args) {
    return ws_send_text(ctx->websocket, NULL);
}

static int do_close(ctx_t *ctx, const char *args) {
    char *reason;
    long code = strtol(args, &reason, 10);
    return ws_close(ctx->websocket, (int)code, *reason ? reason + 1 : NULL);
}

static int do_terminate(ctx_t *ctx, const char *args) {
    ws_terminate(ctx->websocket);
    return 0;
}

static int do_ping(ctx_t *ctx, const char *args) {
    return ws_ping(ctx->websocket, args, strlen(args));
}

static int do_pong(ctx_t *ctx, const char *args) {
    return ws_pong(ctx->websocket, args, strlen(args));
}

static int do_long_ping(ctx_t *ctx, const char *args) {
    char data[126] = "";
    return ws_ping(ctx->websocket, data, (size_t)atoi(args));
}

static int do_sleep(ctx_t *ctx, const char *args) {
    return await_sleep((uint64_t)atoi(args));
}

static int do_accept(ctx_t *ctx, const char *args) {
    return ws_accept(ctx->websocket);
}

static int do_attach(ctx_t *ctx, const char *args) {
    return ws_on_message(ctx->websocket, on_command);
}

static int do_detach(ctx_t *ctx, const char *args) {
    return ws_on_message(ctx->websocket, NULL);
}

static int do_echo(ctx_t *ctx, const char *args) {
    return ws_on_message(ctx->websocket, on_echo);
}

static int do_recv(ctx_t *ctx, const char *args) {
    ws_message_t message;
    bool got = ws_recv(ctx->websocket, &message);
    note(ctx, "received %s", got ? message.data : "nothing");
    return got;
}

static int do_state(ctx_t *ctx, const char *args) {
    return (int)ws_state(ctx->websocket);
}

static int do_buffered(ctx_t *ctx, const char *args) {
    return ws_buffered(ctx->websocket) > 0;
}

static int do_code(ctx_t *ctx, const char *args) {
    return ws_close_code(ctx->websocket);
}

static int do_count(ctx_t *ctx, const char *args) {
    return (int)ws_count(ctx->app);
}

static int do_set(ctx_t *ctx, const char *args) {
    char name[64] = "";
    int n = 0;
    sscanf(args, "%63s %n", name, &n);
    return ctx_set(ctx, name, args + n);
}

static int do_throw_header(ctx_t *ctx, const char *args) {
    char name[64] = "";
    int n = 0;
    sscanf(args, "%63s %n", name, &n);
    return ctx_throw_header(ctx, name, args + n);
}

static int do_text(ctx_t *ctx, const char *args) {
    return ctx_text(ctx, args);
}

static int do_status(ctx_t *ctx, const char *args) {
    ctx->status = atoi(args);
    return 0;
}

/* Everything that would change a response which has been sent. How often that was refused. */
static int do_respond(ctx_t *ctx, const char *args) {
    const body_stream_t no_stream = {0};
    const int results[] = {
        ctx_message(ctx, "no"),
        ctx_text(ctx, "no"),
        ctx_textf(ctx, "no"),
        ctx_html(ctx, "no"),
        ctx_bytes(ctx, "no", 2),
        ctx_body(ctx, "no"),
        ctx_empty(ctx),
        ctx_file(ctx, "/dev/null"),
        ctx_stream(ctx, no_stream),
        ctx_write(ctx, "no", 2),
        ctx_writef(ctx, "no"),
        ctx_set(ctx, "X-No", "no"),
        ctx_setf(ctx, "X-No", "no"),
        ctx_append(ctx, "X-No", "no"),
        ctx_remove(ctx, "X-No"),
        ctx_type(ctx, "html"),
        ctx_length(ctx, 2),
        ctx_vary(ctx, "no"),
        ctx_etag(ctx, "no"),
        ctx_last_modified(ctx, 0),
        ctx_redirect(ctx, "/no"),
        ctx_back(ctx, "/no"),
        ctx_attachment(ctx, "no"),
        ctx_set_cookie(ctx, "no", "no", NULL),
        ctx_throw_header(ctx, "X-No", "no"),
        sse_begin(ctx),
    };
    const char *name, *value;
    int refused = 0;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        refused += results[i] < 0;
    ctx_take_body(ctx);
    ctx_flush_headers(ctx);
    ctx_detach(ctx);
    ctx_end(ctx);
    if (!ctx_header_sent(ctx) || ctx_has(ctx, "X-No") || ctx_bytes_sent(ctx) ||
        ctx_body_kind(ctx) != CTX_BODY_UNSET || ctx_response_header_at(ctx, 0, &name, &value))
        return -1;
    return refused;
}

static int do_next(ctx_t *ctx, const char *args) {
    return next(ctx);
}

static int do_stop(ctx_t *ctx, const char *args) {
    app_close(ctx->app);
    return 0;
}

static int do_exhaust(ctx_t *ctx, const char *args) {
    return ctx_alloc(ctx, SIZE_MAX) ? 0 : UV_ENOMEM;
}

static int do_catch(ctx_t *ctx, const char *args) {
    ctx_throw(ctx, 400, "%s", args);
    return ctx_catch(ctx) ? 0 : UV_EINVAL;
}

static const struct {
    const char *name;
    int (*run)(ctx_t *ctx, const char *args);
} commands[] = {
    {"send", do_send},
    {"sendf", do_sendf},
    {"binary", do_binary},
    {"null", do_null},
    {"flood", do_flood},
    {"blast", do_blast},
    {"close", do_close},
    {"terminate", do_terminate},
    {"ping", do_ping},
    {"pong", do_pong},
    {"longping", do_long_ping},
    {"sleep", do_sleep},
    {"accept", do_accept},
    {"attach", do_attach},
    {"detach", do_detach},
    {"echo", do_echo},
    {"recv", do_recv},
    {"each", do_each},
    {"paths", do_paths},
    {"broadcast", do_broadcast},
    {"others", do_broadcast_others},
    {"state", do_state},
    {"buffered", do_buffered},
    {"code", do_code},
    {"count", do_count},
    {"set", do_set},
    {"throwheader", do_throw_header},
    {"text", do_text},
    {"status", do_status},
    {"respond", do_respond},
    {"next", do_next},
    {"catch", do_catch},
    {"stop", do_stop},
    {"exhaust", do_exhaust},
};

/* One command. `*over` if the handler is to return what it gives. */
static int run_command(ctx_t *ctx, const char *command, bool *over) {
    size_t length = strcspn(command, " ");
    const char *args = command + length + (command[length] == ' ');
    char *text;
    long status = strtol(args, &text, 10);
    *over = true;
    if (strncmp(command, "throw ", 6) == 0)
        return ctx_throw(ctx, (int)status, "%s", text + (*text == ' '));
    if (strncmp(command, "return ", 7) == 0)
        return (int)status;
    *over = false;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strlen(commands[i].name) == length && strncmp(commands[i].name, command, length) == 0) {
            int result = commands[i].run(ctx, args);
            note_result(ctx, commands[i].name, result);
            return result;
        }
    note(ctx, "unknown command %s", command);
    return UV_EINVAL;
}

/* All of them, whatever comes of each; `pass` in front returns what the last one gave. */
static int run_commands(ctx_t *ctx, const char *text) {
    bool pass = strncmp(text, "pass ", 5) == 0, over = false;
    int result = 0;
    char *rest = ctx_strdup(ctx, pass ? text + 5 : text), *command;
    while (rest && !over && (command = strsep(&rest, ";")))
        result = *command ? run_command(ctx, command, &over) : result;
    return pass || over ? result : 0;
}

static int obey(ctx_t *ctx) {
    const char *open = ctx_query(ctx, "open");
    int err = open ? run_commands(ctx, open) : 0;
    if (err)
        return err;
    err = attach_notes(ctx);
    if (!err && ctx_query(ctx, "ping"))
        err = ws_on_ping(ctx->websocket, on_command_ping);
    if (!err && !ctx_query(ctx, "unattached"))
        err = ws_on_message(ctx->websocket, on_command);
    return err ? err : ws_on_close(ctx->websocket, on_command_close);
}

/* Only ?open, and nothing else. */
static int obey_once(ctx_t *ctx) {
    const char *open = ctx_query(ctx, "open");
    return open ? run_commands(ctx, open) : 0;
}

/* --- Over HTTP -------------------------------------------------------------------------------- */

static int show_log(ctx_t *ctx) {
    const char *id = ctx_query(ctx, "id");
    struct log *log = id ? log_named(id) : NULL;
    return ctx_text(ctx, log && log->text ? log->text : "");
}

static int tell_all(ctx_t *ctx) {
    const char *text = ctx_query(ctx, "text");
    ws_message_t message = {text, strlen(text), false};
    return ctx_textf(ctx, "%zu of %zu", ws_broadcast(ctx->app, message, NULL), ws_count(ctx->app));
}

static int sleeper(ctx_t *ctx) {
    int err = await_sleep((uint64_t)number(ctx, "ms", 0));
    return err ? err : ctx_text(ctx, "slept");
}

static int hello(ctx_t *ctx) {
    return ctx_text(ctx, "hello");
}

/* --- The program ------------------------------------------------------------------------------ */

static void on_error(ctx_t *ctx, const ctx_error_t *error) {
    note(ctx, "listener %d %d%s%s %s", error->code, error->status, error->expose ? " exposed" : "",
         error->header_sent ? " late" : "", error->message);
}

int main(void) {
    app_t *app = app_new_with(&(app_options_t){
        .http =
            {
                .read_ahead = report_setting("READ_AHEAD"),
                .keep_alive_timeout = report_setting("KEEP_ALIVE_TIMEOUT"),
                .write_timeout = report_setting("WRITE_TIMEOUT"),
                .high_water = report_setting("HIGH_WATER"),
            },
        .ws =
            {
                .message_size = report_setting("MESSAGE_SIZE"),
                .fragment_count = report_setting("FRAGMENT_COUNT"),
                .buffered_size = report_setting("BUFFERED_SIZE"),
                .close_timeout = report_setting("CLOSE_TIMEOUT"),
            },
        .connections = report_setting("CONNECTIONS"),
        .coroutines = report_setting("COROUTINES"),
        .drain_timeout = report_setting("DRAIN_TIMEOUT"),
        .silent = report_setting("SILENT") != 0,
    });
    if (!report_setting("NO_LISTENER"))
        app_on_error(app, on_error);

    app_ws_use(app, route_all("/echo", echo));
    app_ws_use(app, route_all("/echo/bare", bare_echo));
    app_ws_use(app, route_all("/echo/loop", loop_echo));
    app_ws_use(app, route_all("/echo/slow", slow_echo));
    app_ws_use(app, route_all("/only-close", only_close));
    app_ws_use(app, route_all("/send-only", send_only));
    app_ws_use(app, route_all("/accept-only", accept_only));
    app_ws_use(app, route_all("/pairs", pairs));
    app_ws_use(app, route_get("/who/:name", who));
    app_ws_use(app, route_all("/alloc", alloc));
    app_ws_use(app, route_all("/do", obey));
    app_ws_use(app, route_all("/do/once", obey_once));

    app_use(app, route_get("/", hello));
    app_use(app, route_get("/stats", report_stats));
    app_use(app, route_get("/log", show_log));
    app_use(app, route_get("/sleep", sleeper));
    app_use(app, route_get("/tell", tell_all));

    int err = app_listen(app, 0);
    free_logs();
    return err ? 1 : 0;
}
