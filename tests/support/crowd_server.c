/*
 * What tests/e2e/sockets.test.mjs talks to: rooms, ids, pieces, fragments, limits. Limits come from
 * the environment, or of a single socket from its query (/configured?message_size=100).
 *
 * A socket at /do does what a message says, if that begins with "?" or "!": commands, separated by
 * ';', of a name and what it needs. "?" is answered by what they have returned:
 *
 *     ws.send('?join red;count red')     // "0 1"
 *
 * Other messages come back. What its other handlers do stands in the query: ?on_close=publish red
 * x. GET /at?id=x&run=… does the same to the socket of that ?id, from outside of its handlers;
 * without an id the app's own: publish, broadcast, each. What happens to a socket with an ?id is
 * noted, and read by GET /log?id=x.
 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Notes ------------------------------------------------------------------------------------ */

static char *notes; /* "id text\n" each */

ACACIA_PRINTF(2, 3) static void note(ctx_t *ctx, const char *format, ...) {
    const char *id = ctx_query(ctx, "id");
    size_t length = notes ? strlen(notes) : 0;
    char line[200];
    va_list args;
    if (!id)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    char *longer = realloc(notes, length + strlen(id) + strlen(line) + 3);
    if (!longer)
        abort();
    notes = longer;
    sprintf(notes + length, "%s %s\n", id, line);
}

static int show_log(ctx_t *ctx) {
    const char *id = ctx_query(ctx, "id"), *text = "";
    size_t length = strlen(id);
    for (const char *at = notes; at && *at; at = strchr(at, '\n') + 1)
        if (strncmp(at, id, length) == 0 && at[length] == ' ')
            text = ctx_printf(ctx, "%s%.*s\n", text, (int)strcspn(at + length + 1, "\n"),
                              at + length + 1);
    return ctx_text(ctx, text);
}

/* --- Commands --------------------------------------------------------------------------------- */

/* What they act on: a socket, or only the app. */
struct target {
    app_t *app;
    websocket_t *ws;
    ctx_t *ctx; /* who wants it */
};

static ws_message_t text_of(const char *text) {
    return (ws_message_t){.data = text, .length = strlen(text)};
}

/* The bytes that tests expect: of a length, and nowhere the same for long. */
static char pattern(size_t i) {
    return (char)(i * 31 + (i >> 8) * 7);
}

static char *pattern_of(size_t length, size_t from) {
    char *data = malloc(length + 1);
    for (size_t i = 0; data && i < length; i++)
        data[i] = pattern(from + i);
    return data;
}

/* "red 10" → "red" and 10. */
static long split(char *args) {
    char *blank = strrchr(args, ' ');
    if (!blank)
        return 0;
    *blank = '\0';
    return strtol(blank + 1, NULL, 10);
}

static int do_join(struct target *t, char *args) {
    return ws_join(t->ws, args);
}

static int do_leave(struct target *t, char *args) {
    ws_leave(t->ws, args);
    return 0;
}

static int do_count(struct target *t, char *args) {
    return (int)(*args ? ws_room_count(t->app, args) : ws_count(t->app));
}

static int do_publish(struct target *t, char *args) {
    char *text = strchr(args, ' ');
    *text++ = '\0';
    return (int)ws_publish(t->app, args, text_of(text), NULL);
}

static int do_others(struct target *t, char *args) {
    char *text = strchr(args, ' ');
    *text++ = '\0';
    return (int)ws_publish(t->app, args, text_of(text), t->ws);
}

static int do_broadcast(struct target *t, char *args) {
    return (int)ws_broadcast(t->app, text_of(args), NULL);
}

/* A name in the query that is the text, too. */
static bool has_tag(websocket_t *ws, void *arg) {
    const char *tag = ctx_query(ws_ctx(ws), "tag");
    return tag && strcmp(tag, arg) == 0;
}

static int do_tagged(struct target *t, char *args) {
    return (int)ws_broadcast_if(t->app, text_of(args), has_tag, args);
}

/* `room size`: bytes to all in it, "" being everybody. */
static int do_fill(struct target *t, char *args) {
    size_t length = (size_t)split(args);
    char *data = pattern_of(length, 0);
    ws_message_t message = {.data = data, .length = length, .binary = true};
    size_t count = strcmp(args, "*") == 0 ? ws_broadcast(t->app, message, NULL)
                                          : ws_publish(t->app, args, message, NULL);
    free(data);
    return (int)count;
}

static int do_send(struct target *t, char *args) {
    return ws_send_text(t->ws, args);
}

static int do_size(struct target *t, char *args) {
    size_t length = strtoul(args, NULL, 10);
    char *data = pattern_of(length, 0);
    int err = ws_send_binary(t->ws, data, length);
    free(data);
    return err;
}

static int do_plain(struct target *t, char *args) {
    return ws_send_with(t->ws, text_of(args), &(ws_send_options_t){.uncompressed = true});
}

/* `size count`: each with its number in front. Notes how often what came back. */
static int do_numbers(struct target *t, char *args) {
    long count = split(args), results[4] = {0};
    int length = atoi(args);
    char *data = malloc((size_t)length + 1);
    for (long i = 0; data && i < count; i++) {
        memset(data, '.', (size_t)length);
        snprintf(data, (size_t)length, "%ld ", i);
        int err = ws_send(t->ws, (ws_message_t){.data = data, .length = (size_t)length});
        results[err < 0 ? 3 : err]++;
    }
    free(data);
    note(ws_ctx(t->ws), "sent %ld, waiting %ld, dropped %ld, failed %ld", results[0], results[1],
         results[2], results[3]);
    return (int)results[2];
}

static int do_fragment(struct target *t, char *args) {
    return ws_send_fragment(t->ws, text_of(args), false);
}

static int do_last(struct target *t, char *args) {
    return ws_send_fragment(t->ws, text_of(args), true);
}

/* `size count`: a binary message of so many fragments. */
static int do_stream(struct target *t, char *args) {
    long count = split(args);
    size_t length = strtoul(args, NULL, 10);
    int err = 0;
    for (long i = 0; i < count && err >= 0; i++) {
        char *data = pattern_of(length, (size_t)i * length);
        ws_message_t fragment = {.data = data, .length = length, .binary = true};
        err = ws_send_fragment(t->ws, fragment, i == count - 1);
        free(data);
    }
    return err;
}

static int do_flush(struct target *t, char *args) {
    return ws_flush(t->ws);
}

static int do_buffered(struct target *t, char *args) {
    return (int)ws_buffered(t->ws);
}

static int do_pause(struct target *t, char *args) {
    ws_pause(t->ws);
    return 0;
}

static int do_resume(struct target *t, char *args) {
    ws_resume(t->ws);
    return 0;
}

static int do_close(struct target *t, char *args) {
    char *reason;
    long code = strtol(args, &reason, 10);
    return ws_close(t->ws, (int)code, *reason ? reason + 1 : NULL);
}

static int do_terminate(struct target *t, char *args) {
    ws_terminate(t->ws);
    return 0;
}

static int do_ping(struct target *t, char *args) {
    return ws_ping(t->ws, args, strlen(args));
}

static int do_sleep(struct target *t, char *args) {
    return await_sleep(strtoul(args, NULL, 10));
}

static int do_recv(struct target *t, char *args) {
    ws_message_t message;
    bool got = ws_recv(t->ws, &message);
    note(ws_ctx(t->ws), "received %s", got ? message.data : "nothing");
    return got;
}

static int do_state(struct target *t, char *args) {
    return (int)ws_state(t->ws);
}

static int do_id(struct target *t, char *args) {
    return (int)ws_id(t->ws);
}

static int do_found(struct target *t, char *args) {
    return ws_find(t->app, strtoull(args, NULL, 10)) != NULL;
}

static int do_accept(struct target *t, char *args) {
    return ws_accept(t->ws);
}

static int do_return(struct target *t, char *args) {
    return atoi(args);
}

static int do_throw(struct target *t, char *args) {
    return ctx_throw(t->ctx, atoi(args), NULL);
}

/* --- To each ---------------------------------------------------------------------------------- */

struct each {
    struct target *target;
    const char *what, *room;
    int count;
};

static void do_to_one(websocket_t *ws, void *arg) {
    struct each *each = arg;
    each->count++;
    if (strcmp(each->what, "leave") == 0)
        ws_leave(ws, each->room);
    else if (strcmp(each->what, "rejoin") == 0)
        ws_leave(ws, each->room), ws_join(ws, each->room);
    else if (strcmp(each->what, "move") == 0)
        ws_leave(ws, each->room), ws_join(ws, "elsewhere");
    else if (strcmp(each->what, "close") == 0)
        ws_close(ws, 4001, "each"), ws_close(ws, 4002, "again");
    else if (strcmp(each->what, "terminate") == 0)
        ws_terminate(ws), ws_terminate(ws);
    else if (strcmp(each->what, "publish") == 0)
        each->count += (int)ws_publish(each->target->app, each->room, text_of("within"), NULL);
    else
        ws_send_text(ws, each->what);
}

/* Everybody leaves, by the first one. */
static void leave_all(websocket_t *ws, void *arg) {
    struct each *each = arg;
    struct each all = {each->target, "leave", each->room, 0};
    each->count++;
    ws_room_each(each->target->app, each->room, do_to_one, &all);
}

static int do_each(struct target *t, char *args) {
    struct each each = {t, args, "", 0};
    ws_each(t->app, do_to_one, &each);
    return each.count;
}

static int do_room(struct target *t, char *args) {
    char *what = strchr(args, ' ');
    *what++ = '\0';
    struct each each = {t, what, args, 0};
    ws_room_each(t->app, args, strcmp(what, "empty") == 0 ? leave_all : do_to_one, &each);
    return each.count;
}

/* --- From a thread ---------------------------------------------------------------------------- */

struct job {
    app_t *app;
    ws_id_t id;
    long count;
    uv_thread_t thread;
};

static void join_thread(app_t *app, void *arg) {
    struct job *job = arg;
    uv_thread_join(&job->thread);
    free(job);
}

static void produce(void *arg) {
    struct job *job = arg;
    char text[32];
    for (long i = 0; i < job->count; i++) {
        snprintf(text, sizeof text, "%ld", i);
        ws_send_id(job->app, job->id, text_of(text));
        ws_send_id(job->app, job->id + 1000000, text_of("nobody"));
        ws_send_id(job->app, 0, text_of("nobody"));
    }
    ws_close_id(job->app, job->id, 4000, "produced");
    ws_send_id(job->app, job->id, text_of("too late"));
    app_post(job->app, join_thread, job);
}

/* `count`, to the socket whose handler says so; or `id count`. */
static int do_produce(struct target *t, char *args) {
    struct job *job = calloc(1, sizeof *job);
    job->app = t->app;
    job->count = strchr(args, ' ') ? split(args) : strtol(args, NULL, 10);
    job->id = t->ws ? ws_id(t->ws) : strtoull(args, NULL, 10);
    return uv_thread_create(&job->thread, produce, job);
}

static int do_close_id(struct target *t, char *args) {
    long code = split(args);
    return ws_close_id(t->app, strtoull(args, NULL, 10), (int)code, NULL);
}

static const struct {
    const char *name;
    int (*run)(struct target *target, char *args);
} commands[] = {
    {"join", do_join},           {"leave", do_leave},
    {"count", do_count},         {"publish", do_publish},
    {"others", do_others},       {"broadcast", do_broadcast},
    {"tagged", do_tagged},       {"fill", do_fill},
    {"send", do_send},           {"size", do_size},
    {"plain", do_plain},         {"numbers", do_numbers},
    {"fragment", do_fragment},   {"last", do_last},
    {"stream", do_stream},       {"flush", do_flush},
    {"buffered", do_buffered},   {"pause", do_pause},
    {"resume", do_resume},       {"close", do_close},
    {"terminate", do_terminate}, {"ping", do_ping},
    {"sleep", do_sleep},         {"recv", do_recv},
    {"state", do_state},         {"id", do_id},
    {"found", do_found},         {"accept", do_accept},
    {"return", do_return},       {"throw", do_throw},
    {"each", do_each},           {"room", do_room},
    {"produce", do_produce},     {"close_id", do_close_id},
};

/* What came of each, "0 1 -107"; *last of the last one. */
static const char *run(struct target *target, const char *text, int *last) {
    const char *results = "";
    char *rest = ctx_strdup(target->ctx, text), *command;
    while (rest && (command = strsep(&rest, ";"))) {
        size_t length = strcspn(command, " ");
        char *args = command + length + (command[length] == ' ');
        *last = UV_ENOSYS;
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
            if (strncmp(commands[i].name, command, length) == 0 && !commands[i].name[length])
                *last = commands[i].run(target, args);
        results = ctx_printf(target->ctx, "%s%s%d", results, *results ? " " : "", *last);
    }
    return results;
}

static int run_of(ctx_t *ctx, const char *handler) {
    const char *text = ctx_query(ctx, handler);
    int last = 0;
    if (text)
        note(ctx, "%s: %s", handler,
             run(&(struct target){ctx->app, ctx->websocket, ctx}, text, &last));
    return last;
}

/* --- A socket that does what it is told ------------------------------------------------------- */

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    struct target target = {ctx->app, ctx->websocket, ctx};
    int last = 0;
    if (message->binary || (message->data[0] != '?' && message->data[0] != '!'))
        return ws_send(ctx->websocket, *message);
    const char *results = run(&target, message->data + 1, &last);
    return message->data[0] == '?' ? ws_send_text(ctx->websocket, results) : last < 0 ? last : 0;
}

static void on_close(ctx_t *ctx, int code, const char *reason) {
    note(ctx, "close %d %s", code, reason);
    run_of(ctx, "on_close");
}

static void on_error(ctx_t *ctx, int error, const char *reason) {
    note(ctx, "error %s %s", uv_err_name(error), reason);
    run_of(ctx, "on_error");
}

static void on_ping(ctx_t *ctx, const char *data, size_t length) {
    run_of(ctx, "on_ping");
}

static void on_pong(ctx_t *ctx, const char *data, size_t length) {
    note(ctx, "pong %.*s", (int)length, data);
    run_of(ctx, "on_pong");
}

static void on_drain(ctx_t *ctx) {
    note(ctx, "drained");
    run_of(ctx, "on_drain");
}

static int obey(ctx_t *ctx) {
    websocket_t *ws = ctx->websocket;
    int err = run_of(ctx, "first");
    if (err < 0 || ctx_query(ctx, "refuse"))
        return err;
    ws_on_message(ws, on_message);
    ws_on_close(ws, on_close);
    ws_on_error(ws, on_error);
    ws_on_ping(ws, on_ping);
    ws_on_pong(ws, on_pong);
    err = ws_on_drain(ws, on_drain);
    return err ? err : run_of(ctx, "on_open");
}

static bool has_id(websocket_t *ws, const char *id) {
    const char *own = ctx_query(ws_ctx(ws), "id");
    return own && strcmp(own, id) == 0;
}

struct search {
    const char *id;
    websocket_t *found;
};

static void look(websocket_t *ws, void *arg) {
    struct search *search = arg;
    if (has_id(ws, search->id))
        search->found = ws;
}

static int at(ctx_t *ctx) {
    struct search search = {.id = ctx_query(ctx, "id")};
    struct target target = {.app = ctx->app, .ctx = ctx};
    int last = 0;
    if (search.id)
        ws_each(ctx->app, look, &search);
    if (search.id && !search.found)
        return ctx_throw(ctx, 404, NULL);
    target.ws = search.found;
    return ctx_text(ctx, run(&target, ctx_query(ctx, "run"), &last));
}

/* --- Pieces ----------------------------------------------------------------------------------- */

/* "size pieces largest good": of the message that has ended. */
struct tally {
    size_t size, pieces, largest;
    bool good;
};

static void count_part(struct tally *tally, const ws_part_t *part) {
    if (part->first)
        *tally = (struct tally){.good = true};
    tally->good = tally->good && part->first == (tally->pieces == 0);
    for (size_t i = 0; i < part->length; i++)
        tally->good = tally->good && part->data[i] == pattern(tally->size + i);
    tally->good = tally->good && part->data[part->length] == '\0';
    tally->size += part->length;
    tally->pieces++;
    if (part->length > tally->largest)
        tally->largest = part->length;
}

static int tell_tally(ctx_t *ctx, const struct tally *tally) {
    return ws_sendf(ctx->websocket, "%zu %zu %zu %s", tally->size, tally->pieces, tally->largest,
                    tally->good ? "good" : "bad");
}

static int on_part(ctx_t *ctx, const ws_part_t *part) {
    count_part(ctx->state, part);
    const char *ms = ctx_query(ctx, "ms");
    if (ms)
        await_sleep(strtoul(ms, NULL, 10));
    return part->last ? tell_tally(ctx, ctx->state) : 0;
}

static int parts(ctx_t *ctx) {
    ctx->state = ctx_new(ctx, struct tally);
    ws_on_close(ctx->websocket, on_close);
    ws_on_error(ctx->websocket, on_error);
    return ws_on_part(ctx->websocket, on_part);
}

static int part_loop(ctx_t *ctx) {
    struct tally tally = {0};
    ws_part_t part;
    while (ws_recv_part(ctx->websocket, &part)) {
        count_part(&tally, &part);
        if (part.last)
            tell_tally(ctx, &tally);
    }
    note(ctx, "over %d", ws_close_code(ctx->websocket));
    return 0;
}

/* The first piece of a message, and then a whole one: what is left of the first is skipped. */
static int part_and_whole(ctx_t *ctx) {
    ws_part_t part;
    ws_message_t message;
    while (ws_recv_part(ctx->websocket, &part)) {
        size_t first = part.length;
        bool whole = part.first && part.last;
        if (!ws_recv(ctx->websocket, &message))
            break;
        ws_sendf(ctx->websocket, "%s of %zu, then %s", whole ? "all" : "some", first, message.data);
    }
    return 0;
}

/* --- The handshake ---------------------------------------------------------------------------- */

static size_t size_of(ctx_t *ctx, const char *name) {
    const char *text = ctx_query(ctx, name);
    return text ? strtoul(text, NULL, 10) : 0;
}

static int number_of(ctx_t *ctx, const char *name) {
    const char *text = ctx_query(ctx, name);
    return text ? atoi(text) : 0;
}

static int configured(ctx_t *ctx) {
    const ws_deflate_t deflate = {
        .server_no_context_takeover = number_of(ctx, "server_no_context_takeover"),
        .client_no_context_takeover = number_of(ctx, "client_no_context_takeover"),
        .server_max_window_bits = number_of(ctx, "server_max_window_bits"),
        .client_max_window_bits = number_of(ctx, "client_max_window_bits"),
        .level = number_of(ctx, "level"),
        .memory_level = number_of(ctx, "memory_level"),
        .threshold = size_of(ctx, "threshold"),
        .own_compressor = number_of(ctx, "own"),
    };
    int err =
        ws_configure(ctx->websocket, &(ws_options_t){
                                         .message_size = size_of(ctx, "message_size"),
                                         .fragment_count = size_of(ctx, "fragment_count"),
                                         .message_rate = size_of(ctx, "message_rate"),
                                         .buffered_size = size_of(ctx, "buffered_size"),
                                         .overflow = (ws_overflow_t)number_of(ctx, "overflow"),
                                         .close_timeout = size_of(ctx, "close_timeout"),
                                         .heartbeat = size_of(ctx, "heartbeat"),
                                         .idle_timeout = size_of(ctx, "idle_timeout"),
                                         .deflate = ctx_query(ctx, "deflate") ? &deflate : NULL,
                                     });
    return err ? err : obey(ctx);
}

/* Too late, twice, and once more. */
static int configured_late(ctx_t *ctx) {
    int first = ws_configure(ctx->websocket, &(ws_options_t){.message_size = 1000});
    int second = ws_configure(ctx->websocket, &(ws_options_t){.fragment_count = 2});
    ws_accept(ctx->websocket);
    int third = ws_configure(ctx->websocket, &(ws_options_t){.message_size = 1});
    int fourth = ws_set_protocol(ctx->websocket, NULL);
    ws_on_message(ctx->websocket, on_message);
    return ws_sendf(ctx->websocket, "%d %d %s %s", first, second, uv_err_name(third),
                    uv_err_name(fourth));
}

/* Says what is offered, and agrees on ?protocol: "-" is none. */
static int choose(ctx_t *ctx) {
    const char *wanted = ctx_query(ctx, "protocol"), *offered, *all = "";
    websocket_t *ws = ctx->websocket;
    for (size_t i = 0; (offered = ws_offered_protocol(ws, i)); i++)
        all = ctx_printf(ctx, "%s<%s>", all, offered);
    const char *before = ws_protocol(ws);
    int err = wanted ? ws_set_protocol(ws, strcmp(wanted, "-") == 0 ? NULL : wanted) : 0;
    if (err)
        return ctx_throw(ctx, 400, "%s", uv_err_name(err));
    ctx_set(ctx, "X-Offered", all);
    return ws_sendf(ws, "%s, %s, now %s, %s", all, before, ws_protocol(ws), ws_extensions(ws));
}

/* --- The program ------------------------------------------------------------------------------ */

/* A list of the environment, "a,b". */
static const char *const *list_of(const char *name, char *memory, size_t size, const char **items) {
    const char *value = getenv(name);
    size_t count = 0;
    if (!value)
        return NULL;
    snprintf(memory, size, "%s", value);
    for (char *rest = memory, *item; (item = strsep(&rest, ","));)
        items[count++] = item;
    items[count] = NULL;
    return items;
}

static void on_app_error(ctx_t *ctx, const ctx_error_t *error) {
    note(ctx, "listener %d %s", error->code, error->message);
}

int main(void) {
    static char origins[256], protocols[256];
    const char *origin_list[8], *protocol_list[8];
    app_t *app = app_new_with(&(app_options_t){
        .http.read_ahead = report_setting("READ_AHEAD"),
        .http.high_water = report_setting("HIGH_WATER"),
        .ws =
            {
                .message_size = report_setting("MESSAGE_SIZE"),
                .fragment_count = report_setting("FRAGMENT_COUNT"),
                .message_rate = report_setting("MESSAGE_RATE"),
                .buffered_size = report_setting("BUFFERED_SIZE"),
                .overflow = (ws_overflow_t)report_setting("OVERFLOW"),
                .close_timeout = report_setting("CLOSE_TIMEOUT"),
                .heartbeat = report_setting("HEARTBEAT"),
                .idle_timeout = report_setting("IDLE_TIMEOUT"),
                .deflate =
                    getenv("DEFLATE") ? &(ws_deflate_t){.own_compressor = getenv("OWN")} : NULL,
                .protocols = list_of("PROTOCOLS", protocols, sizeof protocols, protocol_list),
                .origins = list_of("ORIGINS", origins, sizeof origins, origin_list),
                .any_origin = report_setting("ANY_ORIGIN"),
                .sockets = report_setting("SOCKETS"),
                .sockets_per_ip = report_setting("SOCKETS_PER_IP"),
            },
        .proxy = report_setting("PROXY"),
        .silent = true,
    });
    app_on_error(app, on_app_error);
    app_ws_use(app, route_all("/do", obey));
    app_ws_use(app, route_all("/configured", configured));
    app_ws_use(app, route_all("/configured/late", configured_late));
    app_ws_use(app, route_all("/choose", choose));
    app_ws_use(app, route_all("/parts", parts));
    app_ws_use(app, route_all("/parts/loop", part_loop));
    app_ws_use(app, route_all("/parts/mixed", part_and_whole));
    app_use(app, route_get("/at", at));
    app_use(app, route_get("/log", show_log));
    app_use(app, route_get("/stats", report_stats));
    int err = app_listen(app, 0);
    free(notes);
    return err ? 1 : 0;
}
