/* A request without a network, whose answer is collected in memory. */
#include "inject.h"

#include "application/application.h"
#include "runtime/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The answer; it outlives the exchange. */
struct answer {
    app_response_t response; /* first */
    struct arena arena;
    struct headers headers;
    char *body;
    size_t capacity;
    bool ended;
    bool loop_runs; /* for this answer, until it is there */
    struct wait wait;
};

struct injection {
    struct exchange exchange; /* first */
    const app_request_t *request;
    size_t read; /* so much of its body */
    struct answer *answer;
};

static struct answer *answer_of(struct exchange *exchange) {
    return ((struct injection *)exchange)->answer;
}

/* --- The exchange ----------------------------------------------------------------------------- */

static ssize_t inject_read(struct exchange *exchange, void *buffer, size_t size) {
    struct injection *injection = (struct injection *)exchange;
    const app_request_t *request = injection->request;
    size_t left = request->body_length - injection->read, n = left < size ? left : size;
    if (n > 0)
        memcpy(buffer, (const char *)request->body + injection->read, n);
    injection->read += n;
    return (ssize_t)n;
}

static int inject_head(struct exchange *exchange, const struct response_head *head) {
    struct answer *answer = answer_of(exchange);
    answer->response.status = head->status;
    answer->response.message = arena_copy(&answer->arena, head->message, strlen(head->message));
    for (uint32_t i = 0; i < head->headers->count; i++) {
        const struct header *header = &head->headers->list[i];
        const char *name = arena_copy(&answer->arena, header->name, header->name_length);
        const char *value = arena_copy(&answer->arena, header->value, header->value_length);
        if (!name || !value ||
            headers_add(&answer->headers, &answer->arena, name, header->name_length, value,
                        header->value_length))
            return UV_ENOMEM;
    }
    return answer->response.message ? 0 : UV_ENOMEM;
}

static int inject_write(struct exchange *exchange, const void *data, size_t length) {
    struct answer *answer = answer_of(exchange);
    size_t used = answer->response.body.length;
    if (answer->capacity - used <= length) {
        size_t capacity = 2 * (used + length) + 1;
        char *body = realloc(answer->body, capacity);
        if (!body)
            return UV_ENOMEM;
        answer->body = body;
        answer->capacity = capacity;
    }
    memcpy(answer->body + used, data, length);
    answer->body[used + length] = '\0';
    answer->response.body = (bytes_t){answer->body, used + length};
    return 0;
}

static void inject_end(struct exchange *exchange, bool failed) {
    struct answer *answer = answer_of(exchange);
    struct loop *loop = exchange->carrier;
    loop->counts.exchanges--;
    arena_release(&exchange->arena);
    answer->response.failed = failed;
    answer->ended = true;
    if (answer->loop_runs)
        uv_stop(loop->uv);
    wait_done(&answer->wait, 0);
}

static struct connection *inject_take_over(struct exchange *exchange, char **early,
                                           size_t *early_length) {
    return NULL;
}

static void inject_peer(struct exchange *exchange, char *text, size_t size) {
    const char *peer = ((struct injection *)exchange)->request->peer;
    snprintf(text, size, "%s", peer ? peer : "127.0.0.1");
}

static const struct exchange_ops ops = {
    .read = inject_read,
    .head = inject_head,
    .write = inject_write,
    .end = inject_end,
    .take_over = inject_take_over,
    .peer = inject_peer,
};

/* --- The request ------------------------------------------------------------------------------ */

static int add_header(struct exchange *exchange, const char *name, const char *value) {
    name = arena_copy(&exchange->arena, name, strlen(name));
    value = arena_copy(&exchange->arena, value, strlen(value));
    if (!name || !value)
        return UV_ENOMEM;
    return headers_add(&exchange->headers, &exchange->arena, name, strlen(name), value,
                       strlen(value));
}

static int add_headers(struct exchange *exchange, const app_request_t *request) {
    char length[24];
    int err = 0;
    for (const char *const *header = request->headers; header && *header && !err; header += 2)
        err = add_header(exchange, header[0], header[1]);
    if (!err && !headers_get(&exchange->headers, "Host"))
        err = add_header(exchange, "Host", "localhost");
    if (!err && request->body && !headers_get(&exchange->headers, "Content-Length")) {
        snprintf(length, sizeof length, "%zu", request->body_length);
        err = add_header(exchange, "Content-Length", length);
    }
    return err;
}

static struct injection *injection_new(struct app *app, const app_request_t *request,
                                       struct answer *answer) {
    struct arena arena;
    arena_init(&arena, &app->loop.arenas);
    struct injection *injection = arena_zalloc(&arena, sizeof *injection);
    if (!injection)
        return NULL;
    struct exchange *exchange = &injection->exchange;
    const char *method = request->method ? request->method : "GET";
    const char *url = request->url ? request->url : "/";
    injection->request = request;
    injection->answer = answer;
    exchange->arena = arena;
    exchange->ops = &ops;
    exchange->carrier = &app->loop;
    exchange->method = arena_copy(&exchange->arena, method, strlen(method));
    exchange->url = arena_copy(&exchange->arena, url, strlen(url));
    exchange->content_length = (int64_t)request->body_length;
    exchange->secure = request->secure;
    if (exchange->method && exchange->url && !add_headers(exchange, request))
        return injection;
    arena_release(&exchange->arena);
    return NULL;
}

/* --- Waiting ---------------------------------------------------------------------------------- */

/* The answer comes by itself when the handler's coroutine can be started. */
static int start(struct app *app, const app_request_t *request, struct answer *answer) {
    struct injection *injection = injection_new(app, request, answer);
    if (!injection)
        return UV_ENOMEM;
    struct exchange *exchange = &injection->exchange;
    int err = app_start_request(app, exchange);
    if (err)
        arena_release(&exchange->arena);
    else
        app->loop.counts.exchanges++;
    return err;
}

struct starter {
    struct task task; /* first */
    struct app *app;
    const app_request_t *request;
    struct answer *answer;
    int err;
};

/* A coroutine is started from the loop's own stack. */
static void start_from_loop(struct task *task) {
    struct starter *starter = (struct starter *)task;
    starter->err = start(starter->app, starter->request, starter->answer);
    if (starter->err)
        wait_done(&starter->answer->wait, 0);
}

static int wait_in_handler(struct app *app, const app_request_t *request, struct answer *answer) {
    struct starter starter = {{.run = start_from_loop}, app, request, answer, 0};
    answer->wait.stubborn = true; /* the handler ends in any case, and writes to us */
    loop_post(&app->loop, &starter.task);
    wait_for(&answer->wait);
    return starter.err;
}

static int run_loop(struct app *app, const app_request_t *request, struct answer *answer) {
    if (!app_owns_loop(app) || app->running)
        return UV_EINVAL; /* the loop is not ours to run, or runs already */
    int err = start(app, request, answer);
    uv_ref((uv_handle_t *)&app->awake);
    answer->loop_runs = true;
    while (!err && !answer->ended)
        uv_run(app->uv, UV_RUN_DEFAULT);
    uv_unref((uv_handle_t *)&app->awake);
    return err;
}

may_await app_response_t *app_inject(app_t *app, const app_request_t *request) {
    if (!app || app_check_setup(app))
        return NULL;
    struct answer *answer = calloc(1, sizeof *answer);
    if (!answer)
        return NULL;
    arena_init(&answer->arena, NULL);
    answer->response.body = (bytes_t){"", 0};
    int err =
        coroutine_self() ? wait_in_handler(app, request, answer) : run_loop(app, request, answer);
    if (!err)
        return &answer->response;
    app_response_free(&answer->response);
    return NULL;
}

const char *app_response_get(const app_response_t *response, const char *name) {
    return headers_get(&((const struct answer *)response)->headers, name);
}

bool app_response_header_at(const app_response_t *response, size_t index, const char **name,
                            const char **value) {
    return headers_at(&((const struct answer *)response)->headers, index, name, value);
}

void app_response_free(app_response_t *response) {
    struct answer *answer = (struct answer *)response;
    if (!answer)
        return;
    arena_release(&answer->arena);
    free(answer->body);
    free(answer);
}
