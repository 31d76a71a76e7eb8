#define _GNU_SOURCE /* memmem */
/* Allocations fail, each in turn, while rooms are shared through a Redis, which is played here: see
 * faults.h. Whatever was lost, the connections come back, and so do the subscriptions. */
#include "faults.h"

#include "middleware/redis_rooms.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* --- Redis ------------------------------------------------------------------------------------ */

#define LINKS 64

struct link {
    int fd; /* 0: none */
    bool subscribed;
    size_t length;
    char data[4096];
};

static int listener;
static struct link links[LINKS];
static char path[64];

static void begin_redis(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(path, sizeof path, "/tmp/acacia-faults-redis-%d", (int)getpid());
    strcpy(address.sun_path, path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, LINKS), 0);
}

static void hang_up(struct link *link) {
    close(link->fd);
    *link = (struct link){0};
    faults_hurry();
}

static void hang_up_all(void) {
    for (size_t i = 0; i < LINKS; i++)
        if (links[i].fd)
            hang_up(&links[i]);
}

static void answer(struct link *link, const char *text) {
    send(link->fd, text, strlen(text), MSG_NOSIGNAL);
    faults_hurry();
}

/* To the process, as another one would. */
static void publish(const char *text) {
    char message[256], payload[128];
    int n = snprintf(payload, sizeof payload, "text other\n%s", text);
    snprintf(message, sizeof message, "*3\r\n$7\r\nmessage\r\n$11\r\nacacia:room\r\n$%d\r\n%s\r\n",
             n, payload);
    for (size_t i = 0; i < LINKS; i++)
        if (links[i].subscribed)
            answer(&links[i], message);
}

/* The end of a command's argument number `index`; NULL if it is not all there. */
static const char *argument(const char *at, int index, const char **text) {
    for (int i = 0; at && i <= index; i++) {
        const char *line = strstr(at, "\r\n");
        if (!line || *at != '$')
            return NULL;
        *text = line + 2;
        at = strlen(*text) >= strtoul(at + 1, NULL, 10) + 2 ? *text + atoi(at + 1) + 2 : NULL;
    }
    return at;
}

static void obey(struct link *link, const char *name) {
    if (strncmp(name, "PING", 4) == 0) {
        answer(link, "+PONG\r\n");
    } else if (strncmp(name, "SUBSCRIBE", 9) == 0) {
        link->subscribed = true;
        answer(link, "*3\r\n$9\r\nsubscribe\r\n$11\r\nacacia:room\r\n:1\r\n");
    } else if (strncmp(name, "UNSUBSCRIBE", 11) == 0) {
        link->subscribed = false;
        answer(link, "*3\r\n$11\r\nunsubscribe\r\n$11\r\nacacia:room\r\n:0\r\n");
    } else {
        assert_int_equal(strncmp(name, "PUBLISH\r\n$11\r\nacacia:room\r\n", 27), 0);
        answer(link, ":1\r\n");
        publish("from afar");
    }
}

/* One command, if it is there. */
static bool take_command(struct link *link) {
    const char *name;
    int count = atoi(link->data + 1);
    if (link->length == 0 || !strstr(link->data, "\r\n"))
        return false;
    assert_true(*link->data == '*' && count >= 1 && count <= 3);
    const char *first = strstr(link->data, "\r\n") + 2;
    const char *end = argument(first, count - 1, &name);
    if (!end)
        return false;
    argument(first, 0, &name);
    obey(link, name);
    link->length -= (size_t)(end - link->data);
    memmove(link->data, end, link->length + 1);
    return true;
}

static void serve(struct link *link) {
    ssize_t n = recv(link->fd, link->data + link->length, sizeof link->data - 1 - link->length,
                     MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        hang_up(link);
        return;
    }
    link->length += n > 0 ? (size_t)n : 0;
    link->data[link->length] = '\0';
    while (take_command(link))
        ;
}

/* Let Redis have a turn. How many are subscribed? */
static size_t redis_turn(void) {
    size_t subscribed = 0;
    int fd = accept(listener, NULL, NULL);
    for (size_t i = 0; i < LINKS; i++) {
        if (!links[i].fd && fd > 0) {
            links[i].fd = fd;
            fd = 0;
        }
        if (links[i].fd)
            serve(&links[i]);
        subscribed += links[i].subscribed;
    }
    assert_true(fd <= 0);
    return subscribed;
}

/* --- The server ------------------------------------------------------------------------------- */

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    return redis_rooms_publish(ctx->app, "room", *message, NULL);
}

static int talk(ctx_t *ctx) {
    int err = redis_rooms_join(ctx->websocket, "room");
    return err ? err : ws_on_message(ctx->websocket, on_message);
}

static void say_nothing(app_t *app, const char *trouble, void *state) {
}

static app_t *make_app(void) {
    app_t *app = app_new_with(&(app_options_t){.silent = true, .ws.close_timeout = 50});
    char url[80];
    snprintf(url, sizeof url, "unix:%s", path);
    assert_int_equal(redis_rooms(app, &(redis_rooms_options_t){.url = url,
                                                               .timeout = 500,
                                                               .reconnect_min = 1,
                                                               .reconnect_max = 2,
                                                               .on_trouble = say_nothing}),
                     0);
    app_ws_use(app, talk);
    return app;
}

static bool is_connected(app_t *app) {
    redis_rooms_stats_t stats;
    redis_turn();
    redis_rooms_stats(app, &stats);
    return stats.connected;
}

/* --- What they do ----------------------------------------------------------------------------- */

static const char handshake[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

/* Until it hears this, or nothing more. What is lost is said again. */
static void hear(app_t *app, struct client *peer, const char *text, bool again) {
    int turns = 0;
    do {
        if (redis_turn() > 0 && again && turns++ % 20 == 0)
            publish(text);
        faults_turn(app);
    } while (!client_has(peer, text) && turns < 2000);
    assert_true(turns < 2000);
}

static void play_share(app_t *app, bool failing) {
    struct client *peer = client_new(app);
    faults_until(app, is_connected(app));
    client_send(peer, handshake, sizeof handshake - 1);
    faults_until(app, client_has(peer, "\r\n\r\n"));
    if (strncmp(peer->answer, "HTTP/1.1 101 ", 13) == 0) {
        faults_until(app, redis_turn() == 1 || client_is_over(peer));
        client_send(peer, "\x81\x85\0\0\0\0hello", 11);
        if (!failing) {
            hear(app, peer, "hello", false);
            hear(app, peer, "from afar", false);
        }
        hang_up_all();
        faults_until(app, !is_connected(app));
        hear(app, peer, "here again", true);
    } else {
        assert_true(failing);
    }
    client_close(peer);
    faults_until(app, redis_turn() == 0);
}

static void test_share(void **state) {
    long count = faults_play(make_app, play_share);
    print_message("%ld allocations\n", count);
    hang_up_all();
    assert_true(count > 20);
}

int main(void) {
    faults_begin();
    begin_redis();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
