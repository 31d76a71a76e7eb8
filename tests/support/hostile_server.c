/*
 * What tests/e2e/hostile_*.test.mjs attack: a server as it might be, whose limits and deadlines
 * come from the environment where a test can't wait for the default. FOLDER is served, UPLOADS is
 * where files go, REDIS_URL is the broker of /shared.
 */
#include "report.h"
#include "wall_clock.h"

#include <middleware/multipart.h>
#include <middleware/redis_rooms.h>
#include <middleware/serve.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static long number(ctx_t *ctx, const char *name, long otherwise) {
    const char *text = ctx_query(ctx, name);
    return text ? strtol(text, NULL, 10) : otherwise;
}

/* --- Pages ------------------------------------------------------------------------------------ */

static int text(ctx_t *ctx) {
    return ctx_text(ctx, "hi");
}

static int echo(ctx_t *ctx) {
    bytes_t body;
    int err = ctx_read_body(ctx, &body);
    return err ? err : ctx_bytes(ctx, body.data, body.length);
}

static int ignore(ctx_t *ctx) {
    return ctx_text(ctx, "ignored");
}

static int sleeper(ctx_t *ctx) {
    int err = await_sleep((uint64_t)number(ctx, "ms", 0));
    return err ? err : ctx_text(ctx, ctx_query(ctx, "id"));
}

/* Works on after the client has gone, and touches all that it may touch then. */
static int deaf(ctx_t *ctx) {
    char piece[16];
    for (int i = 0; i < 20; i++) {
        await_sleep(5);
        ctx_setf(ctx, "X-Round", "%d", i);
        if (ctx_read(ctx, piece, sizeof piece) < 0)
            ctx_catch(ctx);
    }
    ctx_set_cookie(ctx, "late", "1", NULL);
    for (int i = 0; i < 10; i++)
        ctx_writef(ctx, "%d %s %s\n", i, ctx_ip(ctx), ctx_get(ctx, "Host"));
    return ctx_text(ctx, "too late");
}

/* ?size bytes, of memory that is needed once. */
static int big(ctx_t *ctx) {
    static char piece[65536];
    int err = 0;
    for (long left = number(ctx, "size", 0); left > 0 && !err; left -= (long)sizeof piece)
        err = ctx_write(ctx, piece, left < (long)sizeof piece ? (size_t)left : sizeof piece);
    return err;
}

/* What a request was understood as. */
static int request(ctx_t *ctx) {
    const char *name, *value, *lines = "";
    for (size_t i = 0; ctx_header_at(ctx, i, &name, &value); i++)
        lines = ctx_printf(ctx, "%s\n%s=%s", lines, name, value);
    return ctx_textf(ctx, "%s %s %s %s%s", ctx->method, ctx->path, ctx->querystring, ctx_host(ctx),
                     lines);
}

static int cookies(ctx_t *ctx) {
    const char *value = ctx_cookie(ctx, "wanted");
    return ctx_textf(ctx, "%zu", value ? strlen(value) : 0);
}

/* A handler that doesn't wait, and so keeps everybody waiting. */
static int hang(ctx_t *ctx) {
    usleep((useconds_t)number(ctx, "ms", 0) * 1000);
    return ctx_text(ctx, "hung");
}

/* Takes ?count descriptors, and never gives them back. */
static int hold(ctx_t *ctx) {
    long count = 0;
    while (count < number(ctx, "count", 0) && open("/dev/null", O_RDONLY) >= 0)
        count++;
    return ctx_textf(ctx, "%ld", count);
}

/* Takes ?mib of memory, until the body has come. */
static int fill(ctx_t *ctx) {
    size_t size = (size_t)number(ctx, "mib", 0) << 20;
    volatile char *taken = malloc(size); /* else the compiler sees that nobody needs it */
    if (!taken)
        return UV_ENOMEM;
    for (size_t i = 0; i < size; i += 4096)
        taken[i] = 1;
    bytes_t body;
    int err = ctx_read_body(ctx, &body);
    free((char *)taken);
    return err ? err : ctx_text(ctx, "filled");
}

static int turn_clock(ctx_t *ctx) {
    wall_clock_offset = number(ctx, "by", 0);
    return ctx_text(ctx, "turned");
}

static int stop(ctx_t *ctx) {
    app_close(ctx->app);
    return ctx_text(ctx, "stopping");
}

/* --- What a stranger's text is put into ------------------------------------------------------- */

static int set_cookie(ctx_t *ctx, const char *way, const char *name, const char *value) {
    cookie_options_t options = {0};
    if (strcmp(way, "cookie") == 0)
        return ctx_set_cookie(ctx, name, value, NULL);
    if (strcmp(way, "cookie-path") == 0)
        options.path = value;
    else if (strcmp(way, "cookie-domain") == 0)
        options.domain = value;
    else if (strcmp(way, "cookie-same-site") == 0)
        options.same_site = value;
    else
        options.priority = value;
    return ctx_set_cookie(ctx, "c", "1", &options);
}

static int attach(ctx_t *ctx, const char *way, const char *value) {
    if (strcmp(way, "attachment") == 0)
        return ctx_attachment(ctx, value);
    bool is_type = strcmp(way, "attachment-type") == 0;
    const attachment_options_t options = {
        .type = is_type ? value : NULL,
        .fallback = is_type ? NULL : value,
    };
    return ctx_attachment_with(ctx, "f.txt", &options);
}

static int throw_header(ctx_t *ctx, const char *name, const char *value) {
    int err = ctx_throw_header(ctx, name, value);
    return err ? err : ctx_throw(ctx, 400, "thrown");
}

/* An event, or a comment: behind the head, so that what is wrong with it stands in the body. */
static int send_event(ctx_t *ctx, const char *way, const char *value) {
    int err = sse_begin(ctx);
    if (err)
        return err;
    if (strcmp(way, "sse-comment") == 0)
        return sse_comment(ctx, value);
    err = sse_send(ctx, &(sse_event_t){
                            .data = strcmp(way, "sse-data") == 0 ? value : "data",
                            .event = strcmp(way, "sse-event") == 0 ? value : NULL,
                            .id = strcmp(way, "sse-id") == 0 ? value : NULL,
                        });
    return err == UV_EINVAL ? sse_sendf(ctx, "refused") : err;
}

static int set_by(ctx_t *ctx, const char *way, const char *name, const char *value) {
    if (strcmp(way, "set") == 0)
        return ctx_set(ctx, name, value);
    if (strcmp(way, "setf") == 0)
        return ctx_setf(ctx, name, "%s", value);
    if (strcmp(way, "append") == 0)
        return ctx_append(ctx, name, value);
    if (strcmp(way, "type") == 0)
        return ctx_type(ctx, value);
    if (strcmp(way, "message") == 0)
        return ctx_message(ctx, value);
    if (strcmp(way, "vary") == 0)
        return ctx_vary(ctx, value);
    if (strcmp(way, "etag") == 0)
        return ctx_etag(ctx, value);
    if (strcmp(way, "redirect") == 0)
        return ctx_redirect(ctx, value);
    if (strcmp(way, "back") == 0)
        return ctx_back(ctx, value);
    if (strncmp(way, "attachment", 10) == 0)
        return attach(ctx, way, value);
    return set_cookie(ctx, way, name, value);
}

/* ?way tells by what ?name and ?value are set. An error is returned, as it is by most handlers. */
static int set(ctx_t *ctx) {
    const char *way = ctx_query(ctx, "way"), *name = ctx_query(ctx, "name");
    const char *value = ctx_query(ctx, "value");
    if (!way || !name || !value)
        return ctx_throw(ctx, 400, "way, name and value");
    if (strncmp(way, "sse-", 4) == 0)
        return send_event(ctx, way, value);
    if (strcmp(way, "throw") == 0)
        return throw_header(ctx, name, value);
    ctx->status = 200;
    int err = set_by(ctx, way, name, value);
    return err || strcmp(way, "redirect") == 0 || strcmp(way, "back") == 0 ? err : text(ctx);
}

/* --- Uploads ---------------------------------------------------------------------------------- */

static int show_form(ctx_t *ctx) {
    const multipart_field_t *field;
    const multipart_file_t *file;
    const char *text = "";
    for (size_t i = 0; (field = multipart_field_at(ctx, i)); i++)
        text = ctx_printf(ctx, "%s%s,", text, field->name);
    for (size_t i = 0; (file = multipart_file_at(ctx, i)); i++)
        text = ctx_printf(ctx, "%s%s %s %llu,", text, file->field, file->filename,
                          (unsigned long long)file->size);
    return ctx_text(ctx, text);
}

/* To the disk that is always full. */
static int begin_full(ctx_t *ctx, multipart_file_t *file) {
    int fd = await_fs_open("/dev/full", O_WRONLY, 0);
    file->state = (void *)(intptr_t)fd;
    return fd < 0 ? fd : 0;
}

static int write_full(ctx_t *ctx, multipart_file_t *file, const void *data, size_t length) {
    ssize_t n = await_fs_write((int)(intptr_t)file->state, data, length, -1);
    return n == UV_ENOSPC ? ctx_throw(ctx, 507, "the disk is full") : n < 0 ? (int)n : 0;
}

static int end_full(ctx_t *ctx, multipart_file_t *file, int err) {
    return await_fs_close((int)(intptr_t)file->state);
}

/* --- Sockets ---------------------------------------------------------------------------------- */

static int on_echo(ctx_t *ctx, const ws_message_t *message) {
    return ws_send(ctx->websocket, *message);
}

static int echo_socket(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, on_echo);
}

/* A thousand messages of a kilobyte for each that comes: to others, who may be slow. */
static int on_publish(ctx_t *ctx, const ws_message_t *message) {
    static char data[1024];
    for (long i = atol(message->data); i > 0; i--)
        ws_publish(ctx->app, "room", (ws_message_t){data, sizeof data, true}, ctx->websocket);
    return ws_send_text(ctx->websocket, "published");
}

static int room_socket(ctx_t *ctx) {
    int err = ws_join(ctx->websocket, "room");
    return err ? err : ws_on_message(ctx->websocket, on_publish);
}

#ifdef ACACIA_HAVE_REDIS
static int on_share(ctx_t *ctx, const ws_message_t *message) {
    return redis_rooms_publish(ctx->app, "shared", *message, NULL);
}

static int shared_socket(ctx_t *ctx) {
    int err = redis_rooms_join(ctx->websocket, "shared");
    return err ? err : ws_on_message(ctx->websocket, on_share);
}

/* The tests look at all that is on stderr. */
static void say_nothing(app_t *app, const char *trouble, void *state) {
}

static void use_broker(app_t *app) {
    if (getenv("REDIS_URL"))
        redis_rooms(app, &(redis_rooms_options_t){
                             .url = getenv("REDIS_URL"),
                             .outbox = 1024 * 1024,
                             .reconnect_max = 200,
                             .on_trouble = say_nothing,
                         });
    app_ws_use(app, route_all("/shared", shared_socket));
}
#else
static void use_broker(app_t *app) {
}
#endif

static void terminate_one(websocket_t *ws, void *arg) {
    if (ws != arg)
        ws_terminate(ws);
}

static void terminate_others(ctx_t *ctx) {
    ws_each(ctx->app, terminate_one, ctx->websocket);
    ws_each(ctx->app, terminate_one, NULL); /* and itself; once more, too */
    ws_broadcast(ctx->app, (ws_message_t){"gone", 4, false}, NULL);
}

/* All that a handler should not do, and some do. */
static int on_misuse(ctx_t *ctx, const ws_message_t *message) {
    websocket_t *ws = ctx->websocket;
    if (strcmp(message->data, "close twice") == 0) {
        ws_close(ws, 4001, "once");
        return ws_close(ws, 4002, "twice");
    }
    if (strcmp(message->data, "send after close") == 0) {
        ws_close(ws, 4001, "closed");
        if (ws_send_text(ws, "late") != UV_ENOTCONN || ws_ping(ws, "", 0) != UV_ENOTCONN)
            abort();
        return 0;
    }
    if (strcmp(message->data, "terminate and go on") == 0) {
        ws_terminate(ws);
        ws_terminate(ws);
        await_sleep(1);
        ws_close(ws, 1000, NULL);
        return ws_send_text(ws, "late");
    }
    terminate_others(ctx);
    return 0;
}

static void close_again(ctx_t *ctx, int code, const char *reason) {
    ws_close(ctx->websocket, 4003, "in the close handler");
    ws_send_text(ctx->websocket, "late");
    await_sleep(1);
    ws_terminate(ctx->websocket);
}

static int misused_socket(ctx_t *ctx) {
    int err = ws_on_close(ctx->websocket, close_again);
    if (!err && ctx_query(ctx, "at-once"))
        err = ws_close(ctx->websocket, 4000, "at once");
    return err ? err : ws_on_message(ctx->websocket, on_misuse);
}

/* --- From threads ----------------------------------------------------------------------------- */

#define THREADS 8
#define IDS 64

static pthread_t threads[THREADS];
static size_t thread_count;
static atomic_bool threads_stop;
static pthread_mutex_t ids_lock = PTHREAD_MUTEX_INITIALIZER;
static ws_id_t ids[IDS];

static ws_id_t id_number(size_t index) {
    pthread_mutex_lock(&ids_lock);
    ws_id_t id = ids[index % IDS];
    pthread_mutex_unlock(&ids_lock);
    return id;
}

static void *pester(void *arg) {
    app_t *app = arg;
    for (size_t i = 0; !threads_stop; i++) {
        ws_send_id(app, id_number(i), (ws_message_t){"from a thread", 13, false});
        if (i % 1000 == 999)
            ws_close_id(app, id_number(i), 4008, "by a thread");
        if (i % 16 == 0)
            usleep(1000);
    }
    return NULL;
}

static void stop_threads(app_t *app, void *arg) {
    threads_stop = true;
    while (thread_count > 0)
        pthread_join(threads[--thread_count], NULL);
}

static int watched_socket(ctx_t *ctx) {
    static size_t next_id;
    ws_id_t id = ws_id(ctx->websocket);
    pthread_mutex_lock(&ids_lock);
    ids[next_id++ % IDS] = id;
    pthread_mutex_unlock(&ids_lock);
    while (thread_count < THREADS && !threads_stop)
        if (pthread_create(&threads[thread_count++], NULL, pester, ctx->app))
            abort();
    return ws_on_message(ctx->websocket, on_echo);
}

/* --- What it says of itself ------------------------------------------------------------------- */

static int reasons(ctx_t *ctx) {
    const char *lines = "";
    for (int i = 0; lines && i < CLOSE_REASONS; i++)
        lines = ctx_printf(ctx, "%s%s=%s\n", lines, close_reason_name(i), close_reason_text(i));
    return lines ? ctx_text(ctx, lines) : UV_ENOMEM;
}

/* --- The program ------------------------------------------------------------------------------ */

static void limit(int resource, uint64_t value) {
    struct rlimit both = {value, value};
    if (value && setrlimit(resource, &both))
        perror("setrlimit");
}

static app_options_t options_from_environment(void) {
    static const ws_deflate_t deflate;
    return (app_options_t){
        .http =
            {
                .head_timeout = report_setting("HEAD_TIMEOUT"),
                .request_timeout = report_setting("REQUEST_TIMEOUT"),
                .keep_alive_timeout = report_setting("KEEP_ALIVE_TIMEOUT"),
                .write_timeout = report_setting("WRITE_TIMEOUT"),
            },
        .ws =
            {
                .close_timeout = report_setting("CLOSE_TIMEOUT"),
                .buffered_size = report_setting("BUFFERED_SIZE"),
                .deflate = &deflate,
            },
        .memory = report_setting("MEMORY"),
        .drain_timeout = report_setting("DRAIN_TIMEOUT"),
        .silent = true,
    };
}

static void use_pages(app_t *app) {
    app_use(app, route_get("/text", text));
    app_use(app, route_get("/big", big));
    app_use(app, route_get("/sleep", sleeper));
    app_use(app, route_get("/deaf", deaf));
    app_use(app, route_post("/deaf", deaf));
    app_use(app, route_get("/cookies", cookies));
    app_use(app, route_get("/hang", hang));
    app_use(app, route_get("/hold", hold));
    app_use(app, route_post("/fill", fill));
    app_use(app, route_get("/clock", turn_clock));
    app_use(app, route_get("/set", set));
    app_use(app, route_get("/stop", stop));
    app_use(app, route_get("/stats", report_stats));
    app_use(app, route_get("/reasons", reasons));
    app_use(app, route_all("/request", request));
    app_use(app, route_all("/request/:any", request));
    app_use(app, route_post("/echo", echo));
    app_use(app, route_post("/ignore", ignore));
}

static void use_files(app_t *app) {
    static const multipart_sink_t full = {begin_full, write_full, end_full};
    const char *uploads = getenv("UPLOADS");
    if (uploads)
        app_use(app, route_post("/upload",
                                compose(multipart(&(multipart_options_t){.directory = uploads}),
                                        middleware(show_form))));
    app_use(app,
            route_post("/upload/full", compose(multipart(&(multipart_options_t){.sink = &full}),
                                               middleware(show_form))));
    if (getenv("FOLDER"))
        app_use(app, serve(getenv("FOLDER"), NULL));
}

int main(void) {
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error, not the end */
    limit(RLIMIT_NOFILE, report_setting("NOFILE"));
    limit(RLIMIT_FSIZE, report_setting("FSIZE"));
    const app_options_t options = options_from_environment();
    app_t *app = app_new_with(&options);
    app_on_close(app, stop_threads, NULL);
    app_ws_use(app, route_all("/echo", echo_socket));
    app_ws_use(app, route_all("/room", room_socket));
    app_ws_use(app, route_all("/misuse", misused_socket));
    app_ws_use(app, route_all("/watched", watched_socket));
    use_broker(app);
    use_pages(app);
    use_files(app);
    return app_listen(app, 0) ? 1 : 0;
}
