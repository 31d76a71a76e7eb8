/*
 * A socket ends wherever it may end: closed or cut, once and twice, by itself, by others, by its
 * peer, in each of its handlers and while one of them waits. Each time its close handler is called
 * once, what waited goes on, and nothing is left over.
 */
#include "faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static websocket_t *victim; /* NULL once its close handler has returned */
static app_t *app;
static int opened, closed, went_on;
static bool acted;

/* --- How it ends ------------------------------------------------------------------------------ */

static void close_it(websocket_t *ws) {
    ws_close(ws, 4000, "closed");
}

static void close_twice(websocket_t *ws) {
    ws_close(ws, 4000, "closed");
    ws_close(ws, 4001, "again");
}

static void close_and_terminate(websocket_t *ws) {
    ws_close(ws, 4000, "closed");
    ws_terminate(ws);
}

static void terminate_and_close(websocket_t *ws) {
    ws_terminate(ws);
    ws_terminate(ws);
    ws_close(ws, 4000, "closed");
}

static void close_by_id(websocket_t *ws) {
    ws_id_t id = ws_id(ws);
    ws_close_id(app, id, 4000, "by id");
    ws_close_id(app, id, 4001, "by id, again");
    ws_send_id(app, id, (ws_message_t){.data = "late", .length = 4});
}

static bool terminate_each(websocket_t *ws, void *arg) {
    ws_terminate(ws);
    return true;
}

static void publish_and_cut(websocket_t *ws) {
    ws_message_t message = {.data = "to all", .length = 6};
    ws_publish(app, "room", message, NULL);
    ws_broadcast_if(app, message, terminate_each, NULL); /* while it is being sent */
    ws_publish(app, "room", message, NULL);
    ws_leave(ws, "room");
}

static void close_one(websocket_t *ws, void *arg) {
    ws_close(ws, 4000, "one of all");
    ws_send_text(ws, "late");
}

static void close_all(websocket_t *ws) {
    ws_room_each(app, "room", close_one, NULL);
    ws_each(app, close_one, NULL);
}

typedef void act_fn(websocket_t *ws);

static const struct {
    const char *name;
    act_fn *act;
} acts[] = {
    {"closed", close_it},
    {"closed twice", close_twice},
    {"closed and terminated", close_and_terminate},
    {"terminated and closed", terminate_and_close},
    {"closed by its id", close_by_id},
    {"cut while all are told", publish_and_cut},
    {"closed with all", close_all},
};

static act_fn *act;

/* --- Where: its handlers ---------------------------------------------------------------------- */

static void act_once(websocket_t *ws) {
    if (acted)
        return;
    acted = true;
    act(ws);
}

static int act_on_message(ctx_t *ctx, const ws_message_t *message) {
    act_once(ctx->websocket);
    ws_send(ctx->websocket, *message);
    return await_sleep(0);
}

static int act_on_part(ctx_t *ctx, const ws_part_t *part) {
    act_once(ctx->websocket);
    return await_sleep(0);
}

static void act_on_control(ctx_t *ctx, const char *data, size_t length) {
    act_once(ctx->websocket);
}

static void act_on_drain(ctx_t *ctx) {
    act_once(ctx->websocket);
}

static void act_on_close(ctx_t *ctx, int code, const char *reason) {
    act_once(ctx->websocket);
    await_sleep(0);
    act(ctx->websocket);
    closed++;
    victim = NULL;
}

static void act_on_error(ctx_t *ctx, int error, const char *reason) {
    act_once(ctx->websocket);
    await_sleep(0);
}

static void act_deferred(void *arg) {
    act_once(arg);
}

static int defer_on_message(ctx_t *ctx, const ws_message_t *message) {
    return ctx_defer(ctx, act_deferred, ctx->websocket);
}

static int act_in_task(void *arg) {
    act_once(arg);
    return await_sleep(0);
}

static int tasks_on_message(ctx_t *ctx, const ws_message_t *message) {
    await_task_t tasks[] = {{act_in_task, ctx->websocket, 0}, {act_in_task, ctx->websocket, 0}};
    return await_all(tasks, 2);
}

static void fill(websocket_t *ws, void *arg) {
    static char block[100000];
    for (int i = 0; i < 5; i++)
        ws_send_binary(ws, block, sizeof block);
}

static void fill_later(app_t *which, void *arg) {
    ws_each(which, fill, NULL);
}

static int fill_on_message(ctx_t *ctx, const ws_message_t *message) {
    return app_post(ctx->app, fill_later, NULL);
}

static void on_close(ctx_t *ctx, int code, const char *reason) {
    closed++;
    victim = NULL;
}

static int in_the_stack(ctx_t *ctx) {
    act_once(ctx->websocket);
    return 0;
}

static int behind_the_101(ctx_t *ctx) {
    int err = ws_accept(ctx->websocket);
    act_once(ctx->websocket);
    return err;
}

static int in_message(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, act_on_message);
}

static int in_part(ctx_t *ctx) {
    return ws_on_part(ctx->websocket, act_on_part);
}

static int in_ping(ctx_t *ctx) {
    ws_on_ping(ctx->websocket, act_on_control);
    return ws_on_message(ctx->websocket, defer_on_message);
}

static int in_pong(ctx_t *ctx) {
    ws_on_pong(ctx->websocket, act_on_control);
    return ws_on_message(ctx->websocket, defer_on_message);
}

static int in_drain(ctx_t *ctx) {
    ws_on_drain(ctx->websocket, act_on_drain);
    return ws_on_message(ctx->websocket, fill_on_message);
}

static int in_close(ctx_t *ctx) {
    return ws_on_close(ctx->websocket, act_on_close);
}

static int in_error(ctx_t *ctx) {
    ws_on_error(ctx->websocket, act_on_error);
    return 0;
}

static int in_defer(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, defer_on_message);
}

static int in_tasks(ctx_t *ctx) {
    return ws_on_message(ctx->websocket, tasks_on_message);
}

/* --- Where: while it waits -------------------------------------------------------------------- */

static int sleep_long(void *arg) {
    return await_sleep(20);
}

static int in_sleep(ctx_t *ctx) {
    return await_sleep(20);
}

static int in_recv(ctx_t *ctx) {
    ws_message_t message;
    while (ws_recv(ctx->websocket, &message))
        ;
    assert_false(ws_recv(ctx->websocket, &message));
    return 0;
}

static int in_recv_part(ctx_t *ctx) {
    ws_part_t part;
    while (ws_recv_part(ctx->websocket, &part))
        ;
    return 0;
}

static int in_send(ctx_t *ctx) {
    static char block[100000];
    int err = 0;
    while (err >= 0)
        err = ws_send_binary(ctx->websocket, block, sizeof block);
    return err;
}

static int in_flush(ctx_t *ctx) {
    fill(ctx->websocket, NULL);
    return ws_flush(ctx->websocket);
}

static int in_fragments(ctx_t *ctx) {
    ws_message_t piece = {.data = "piece", .length = 5};
    int err = 0;
    for (int i = 0; i < 20 && err >= 0; i++) {
        err = ws_send_fragment(ctx->websocket, piece, false);
        await_sleep(1);
    }
    return err < 0 ? err : ws_send_fragment(ctx->websocket, piece, true);
}

static void work(void *arg) {
    usleep(10000);
}

static int in_work(ctx_t *ctx) {
    return await_work(work, NULL);
}

static int in_all(ctx_t *ctx) {
    await_task_t tasks[] = {{.fn = sleep_long}, {.fn = sleep_long}};
    return await_all(tasks, 2);
}

static int in_timeout(ctx_t *ctx) {
    return await_timeout(sleep_long, NULL, 10);
}

/* Waits for somebody who is not there; the client's going cancels it. */
static int in_future(ctx_t *ctx) {
    ctx_cancel_on_abort(ctx, true);
    future_t *future = future_new();
    int err = await_future(future, NULL);
    future_resolve(future, 0, NULL);
    future_free(future);
    return err;
}

static const struct place {
    const char *name;
    middleware_fn *fn;
    bool handler; /* acts by itself; else it waits, and somebody else acts */
} places[] = {
    {"the stack", in_the_stack, true},
    {"the stack, behind the 101", behind_the_101, true},
    {"a message handler", in_message, true},
    {"a handler of pieces", in_part, true},
    {"a ping handler", in_ping, true},
    {"a pong handler", in_pong, true},
    {"a drain handler", in_drain, true},
    {"the close handler", in_close, true},
    {"an error handler", in_error, true},
    {"what was deferred", in_defer, true},
    {"tasks of a handler", in_tasks, true},
    {"a sleep", in_sleep, false},
    {"ws_recv", in_recv, false},
    {"ws_recv_part", in_recv_part, false},
    {"ws_send", in_send, false},
    {"ws_flush", in_flush, false},
    {"fragments", in_fragments, false},
    {"a thread", in_work, false},
    {"await_all", in_all, false},
    {"await_timeout", in_timeout, false},
    {"a future", in_future, false},
};

static const struct place *place;

/* --- The server ------------------------------------------------------------------------------- */

static int talk(ctx_t *ctx) {
    websocket_t *ws = ctx->websocket;
    victim = ws;
    opened++;
    if (place->fn != in_the_stack) {
        assert_int_equal(ws_on_close(ws, on_close), 0);
        assert_int_equal(ws_join(ws, "room"), 0);
    }
    int err = place->fn(ctx);
    went_on++;
    return err;
}

/* Another one in the room, who stays. */
static int bystand(ctx_t *ctx) {
    return ws_join(ctx->websocket, "room");
}

/* A handler that has nothing to do with it. */
static int act_from_elsewhere(ctx_t *ctx) {
    if (victim)
        act(victim);
    return ctx_text(ctx, "done");
}

static app_t *make_app(void) {
    app_t *made = app_new_with(
        &(app_options_t){.silent = true, .ws.close_timeout = 5, .ws.buffered_size = 1 << 30});
    app_ws_use(made, route_get("/talk", talk));
    app_ws_use(made, route_get("/bystand", bystand));
    app_use(made, route_get("/act", act_from_elsewhere));
    return faults_listen(made);
}

/* --- The peers -------------------------------------------------------------------------------- */

static struct client *open_socket(const char *path) {
    char request[300];
    struct client *peer = client_new(app);
    int n =
        snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                 path);
    client_send(peer, request, (size_t)n);
    return peer;
}

#define FRAMES "\x89\x80\0\0\0\0\x8a\x80\0\0\0\0\x81\x85\0\0\0\0hello\x81\x82\0\0\0\0hi"
#define BAD_FRAME "\x83\x80\0\0\0\0"

/* Whatever it can do. */
static void provoke(struct client *peer) {
    client_send(peer, FRAMES, sizeof FRAMES - 1);
    for (int i = 0; i < 4; i++) {
        faults_turn(app);
        client_read(peer);
    }
    if (place->fn == in_error)
        client_send(peer, BAD_FRAME, sizeof BAD_FRAME - 1);
    if (place->fn == in_close)
        client_send(peer, "\x88\x80\0\0\0\0", 6);
}

enum actor { FROM_THE_LOOP, FROM_A_HANDLER, THE_PEER };

static void let_act(enum actor actor, struct client **peer) {
    if (actor == FROM_THE_LOOP && victim)
        act(victim);
    if (actor == FROM_A_HANDLER) {
        struct client *asker = client_new(app);
        static const char request[] = "GET /act HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        client_send(asker, request, sizeof request - 1);
        faults_until(app, client_is_over(asker));
        client_close(asker);
    }
    if (actor == THE_PEER) {
        client_close(*peer);
        *peer = NULL;
    }
}

static void play(enum actor actor) {
    opened = closed = went_on = 0;
    acted = false;
    app = make_app();
    struct client *other = open_socket("/bystand"), *peer = open_socket("/talk");
    faults_until(app, opened);
    if (place->handler) {
        provoke(peer);
    } else {
        for (int i = 0; i < 3; i++)
            faults_turn(app);
        let_act(actor, &peer);
    }
    bool refused = place->fn == in_the_stack;
    faults_until(app, (peer && client_is_over(peer)) || (!peer && closed));
    faults_until(app, refused || closed);
    assert_int_equal(went_on, 1);
    assert_true(acted || !place->handler);
    if (peer)
        client_close(peer);
    client_close(other);
    faults_rest(app);
    assert_true(closed == 1 || (refused && closed == 0));
    assert_int_equal(ws_room_count(app, "room"), 0);
    app_free(app);
}

static void test_ends_everywhere(void **state) {
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (size_t j = 0; j < sizeof acts / sizeof *acts; j++) {
            place = &places[i];
            act = acts[j].act;
            print_message("%s, in %s\n", acts[j].name, place->name);
            play(FROM_THE_LOOP);
            if (!place->handler)
                play(FROM_A_HANDLER);
            if (!place->handler && j == 0)
                play(THE_PEER);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ends_everywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
