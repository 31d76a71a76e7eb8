#include "redis_link.h"

#include <hiredis.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#define KEPT (64 * 1024) /* bytes of a buffer that is empty again */

static struct redis_link *link_of(void *handle) {
    return ((uv_handle_t *)handle)->data;
}

/* Something that was under way is over. */
static void let_go(struct redis_link *link) {
    if (--link->busy > 0 || !link->stopped)
        return;
    text_free(&link->waiting);
    text_free(&link->flying);
    link->events->closed(link);
}

/* --- Commands --------------------------------------------------------------------------------- */

/* hiredis would make them, too, but copies each of them twice. */
static int add_command(struct text *text, const struct redis_argument *arguments, size_t count) {
    size_t before = text->length;
    text_printf(text, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        const struct redis_argument *argument = &arguments[i];
        text_printf(text, "$%zu\r\n", strlen(argument->prefix) + argument->length);
        text_add(text, argument->prefix);
        text_add_bytes(text, argument->data, argument->length);
        text_add(text, "\r\n");
    }
    if (!text->failed)
        return 0;
    text->failed = false;
    text->length = before; /* none of it, rather than half of it */
    return UV_ENOMEM;
}

static int add_words(struct text *text, const char *one, const char *two, const char *three) {
    const struct redis_argument words[] = {{one, "", 0}, {two, "", 0}, {three, "", 0}};
    return add_command(text, words, three ? 3 : two ? 2 : 1);
}

int redis_link_add(struct redis_link *link, const struct redis_argument *arguments, size_t count) {
    int err = add_command(&link->waiting, arguments, count);
    link->commands += !err;
    return err;
}

size_t redis_link_buffered(const struct redis_link *link) {
    return link->waiting.length + link->flying.length;
}

/* --- The connection is gone ------------------------------------------------------------------- */

static bool is_open(const struct redis_link *link) {
    return link->state >= REDIS_LINK_CONNECTING && link->state <= REDIS_LINK_READY;
}

/* Twice as long each time, and by chance between a half and the whole of that. */
static uint64_t next_delay(struct redis_link *link) {
    const struct redis_link_settings *settings = link->settings;
    uint32_t chance = 0;
    link->delay = link->delay ? 2 * link->delay : settings->reconnect_min;
    if (link->delay > settings->reconnect_max)
        link->delay = settings->reconnect_max;
    uv_random(NULL, NULL, &chance, sizeof chance, 0, NULL);
    return link->delay / 2 + chance % (link->delay / 2 + 1);
}

static void on_timer(uv_timer_t *timer);

static void forget_addresses(struct redis_link *link) {
    if (link->addresses)
        freeaddrinfo(link->addresses);
    link->addresses = link->address = NULL;
}

static void retry_later(struct redis_link *link) {
    forget_addresses(link);
    link->state = REDIS_LINK_AWAY;
    if (link->stopped)
        return;
    uv_timer_start(&link->timer, on_timer, next_delay(link), 0);
    link->events->lost(link, link->reason);
    link->unanswered = 0;
}

static void connect_to(struct redis_link *link, struct addrinfo *address);

static void on_stream_closed(uv_handle_t *handle) {
    struct redis_link *link = link_of(handle);
    redisReaderFree(link->reader);
    link->reader = NULL;
    link->flying.length = 0;
    if (!link->stopped && link->address && link->address->ai_next)
        connect_to(link, link->address->ai_next);
    else
        retry_later(link);
    let_go(link);
}

static void fail(struct redis_link *link, const char *reason) {
    if (!is_open(link))
        return;
    snprintf(link->reason, sizeof link->reason, "%s", reason);
    link->state = REDIS_LINK_CLOSING;
    uv_timer_stop(&link->timer);
    uv_close((uv_handle_t *)&link->handle, on_stream_closed);
}

/* --- Sending ---------------------------------------------------------------------------------- */

static void on_written(uv_write_t *write, int status) {
    struct redis_link *link = link_of(write->handle);
    link->flying.length = 0;
    if (link->flying.capacity > KEPT)
        text_free(&link->flying);
    if (status)
        fail(link, uv_strerror(status));
    else
        redis_link_flush(link);
}

static void write_flying(struct redis_link *link) {
    const uv_buf_t buffer = {.base = link->flying.data, .len = link->flying.length};
    int err = uv_write(&link->write, &link->handle.stream, &buffer, 1, on_written);
    if (err)
        fail(link, uv_strerror(err));
}

void redis_link_flush(struct redis_link *link) {
    if (link->state != REDIS_LINK_READY || link->flying.length > 0)
        return;
    if (link->events->fill)
        link->events->fill(link);
    if (link->waiting.length == 0)
        return;
    struct text empty = link->flying;
    link->flying = link->waiting;
    link->waiting = empty;
    link->unanswered += link->commands;
    link->commands = 0;
    write_flying(link);
}

/* --- Redis answers ---------------------------------------------------------------------------- */

static void become_ready(struct redis_link *link) {
    forget_addresses(link);
    link->state = REDIS_LINK_READY;
    link->delay = 0;
    uint64_t half = link->settings->timeout / 2 + 1;
    uv_timer_start(&link->timer, on_timer, half, half);
    link->events->ready(link);
    redis_link_flush(link);
}

static void take_reply(struct redis_link *link, const redisReply *reply) {
    bool is_error = reply->type == REDIS_REPLY_ERROR;
    if (link->state != REDIS_LINK_GREETING) {
        if (link->unanswered > 0 && (is_error || reply->type == REDIS_REPLY_INTEGER))
            link->unanswered--;
        link->events->reply(link, reply);
    } else if (is_error) {
        fail(link, reply->str);
    } else if (--link->greetings == 0) {
        become_ready(link);
    }
}

static void take_replies(struct redis_link *link) {
    redisReply *reply = NULL;
    while (is_open(link)) {
        if (redisReaderGetReply(link->reader, (void **)&reply) != REDIS_OK) {
            fail(link, link->reader->errstr);
            return;
        }
        if (!reply)
            break;
        take_reply(link, reply);
        freeReplyObject(reply);
    }
    if (link->reader->len - link->reader->pos > link->settings->reply_size)
        fail(link, "a message is too large");
}

static void give_buffer(uv_handle_t *handle, size_t size, uv_buf_t *buffer) {
    struct redis_link *link = link_of(handle);
    *buffer = uv_buf_init(link->buffer, sizeof link->buffer);
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
    struct redis_link *link = link_of(stream);
    link->silence = 0;
    if (length < 0)
        fail(link, length == UV_EOF ? "it has closed the connection" : uv_strerror((int)length));
    else if (redisReaderFeed(link->reader, buffer->base, (size_t)length) != REDIS_OK)
        fail(link, link->reader->errstr);
    else
        take_replies(link);
}

/* --- Connecting ------------------------------------------------------------------------------- */

/* Who we are, and is it well? One that is still loading says no. */
static int greet(struct redis_link *link) {
    const struct redis_target *target = &link->settings->target;
    struct text *text = &link->flying;
    int err = 0;
    link->greetings = 1;
    if (target->password) {
        err = target->username ? add_words(text, "AUTH", target->username, target->password)
                               : add_words(text, "AUTH", target->password, NULL);
        link->greetings++;
    }
    if (!err && target->database) {
        err = add_words(text, "SELECT", target->database, NULL);
        link->greetings++;
    }
    return err ? err : add_words(text, "PING", NULL, NULL);
}

static void on_connected(uv_connect_t *connect, int status) {
    struct redis_link *link = link_of(connect->handle);
    if (!status && !(link->reader = redisReaderCreate()))
        status = UV_ENOMEM;
    if (!status)
        status = greet(link);
    if (!status)
        status = uv_read_start(&link->handle.stream, give_buffer, on_read);
    if (status) {
        fail(link, uv_strerror(status));
        return;
    }
    link->state = REDIS_LINK_GREETING;
    link->silence = 0;
    write_flying(link);
}

static int connect_socket(struct redis_link *link, const struct addrinfo *address) {
    uv_loop_t *loop = app_loop(link->app);
    if (address) {
        uv_tcp_init(loop, &link->handle.tcp);
        uv_tcp_nodelay(&link->handle.tcp, true);
        return uv_tcp_connect(&link->connect, &link->handle.tcp, address->ai_addr, on_connected);
    }
    uv_pipe_init(loop, &link->handle.pipe, false);
    uv_pipe_connect(&link->connect, &link->handle.pipe, link->settings->target.path, on_connected);
    return 0;
}

/* `address` NULL: the unix socket. */
static void connect_to(struct redis_link *link, struct addrinfo *address) {
    link->busy++;
    link->address = address;
    link->state = REDIS_LINK_CONNECTING;
    link->handle.stream.data = link;
    uv_timer_start(&link->timer, on_timer, link->settings->timeout, 0);
    int err = connect_socket(link, address);
    if (err)
        fail(link, uv_strerror(err));
}

/* On a thread, which touches nothing else. */
struct look_up {
    const struct redis_target *target;
    struct addrinfo *addresses;
    int result;
};

static void look_up(void *arg) {
    struct look_up *job = arg;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    job->result = getaddrinfo(job->target->host, job->target->port, &hints, &job->addresses);
}

static void resolve(app_t *app, void *arg) {
    struct redis_link *link = arg;
    struct look_up job = {.target = &link->settings->target};
    int err = await_work(look_up, &job);
    const char *reason = err ? uv_strerror(err) : gai_strerror(job.result);
    link->addresses = job.addresses;
    snprintf(link->reason, sizeof link->reason, "%s", reason);
    if (link->addresses && !link->stopped)
        connect_to(link, link->addresses);
    else
        retry_later(link);
    let_go(link);
}

static void begin(struct redis_link *link) {
    if (link->settings->target.path) {
        connect_to(link, NULL);
        return;
    }
    link->state = REDIS_LINK_RESOLVING;
    int err = app_spawn(link->app, resolve, link);
    if (!err) {
        link->busy++;
        return;
    }
    snprintf(link->reason, sizeof link->reason, "%s", uv_strerror(err));
    retry_later(link);
}

/* --- Its life --------------------------------------------------------------------------------- */

/* Each half of the timeout. It takes several, since one may pass while this process itself was
 * busy, and what came is not read. */
static void keep_alive(struct redis_link *link) {
    if (link->silence++ == 0) {
        add_words(&link->waiting, "PING", NULL, NULL); /* without memory it is cut */
        redis_link_flush(link);
    } else if (link->silence > 3) {
        fail(link, uv_strerror(UV_ETIMEDOUT));
    }
}

static void on_timer(uv_timer_t *timer) {
    struct redis_link *link = link_of(timer);
    if (link->state == REDIS_LINK_AWAY)
        begin(link);
    else if (link->state == REDIS_LINK_READY)
        keep_alive(link);
    else
        fail(link, uv_strerror(UV_ETIMEDOUT));
}

void redis_link_start(struct redis_link *link) {
    uv_timer_init(app_loop(link->app), &link->timer);
    link->timer.data = link;
    link->busy = 1;
    uv_timer_start(&link->timer, on_timer, 0, 0);
}

static void on_timer_closed(uv_handle_t *handle) {
    let_go(link_of(handle));
}

void redis_link_stop(struct redis_link *link) {
    if (link->stopped)
        return;
    link->stopped = true;
    bool is_idle = link->state == REDIS_LINK_READY &&
                   uv_stream_get_write_queue_size(&link->handle.stream) == 0;
    if (is_idle && link->waiting.length > 0) {
        const uv_buf_t last = {.base = link->waiting.data, .len = link->waiting.length};
        uv_try_write(&link->handle.stream, &last, 1);
    }
    fail(link, "");
    uv_close((uv_handle_t *)&link->timer, on_timer_closed);
}
