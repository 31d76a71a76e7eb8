/*
 * Allocations that fail, each in turn, while a client in the same process talks to a server on a
 * port: the framework's own, and those of libuv, jansson and OpenSSL. Only while the server has its
 * turn.
 *
 * Whatever becomes of it, the client sees the right answer or the beginning of it, a 500 or 503, a
 * close frame, or the end of its connection; nothing is left over; and the next client is served.
 */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include <acacia.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ANSWER_SIZE (1024 * 1024)

/* One that talks to the server. */
struct client {
    int fd;
    bool over; /* the server has closed it */
    size_t length;
    char answer[ANSWER_SIZE];
};

/* First of all in main: from then on the libraries' allocations are ours. */
void faults_begin(void);

/*
 * Play `script` on an app of its own with the N-th allocation failing, for every N until none
 * fails, and again on the same app with none failing. `make` makes the app, which is listening
 * already when the script begins. The script checks what it gets: `failing` tells whether it may be
 * less than all. It returns how many allocations were tried.
 */
extern const tls_options_t *faults_tls; /* NULL: no TLS */
typedef app_t *make_fn(void);
typedef void script_fn(app_t *app, bool failing);
long faults_play(make_fn *make, script_fn *script);
extern long faults_step; /* 1: every one of them */

/* An app that listens, for faults_play's scripts and others. */
app_t *faults_listen(app_t *app);

/* Turns until all connections and handlers are gone; nothing is left over then. */
void faults_rest(app_t *app);

/* Let the server have turns: one; or until it has done what is waited for. Fails after seconds. */
void faults_turn(app_t *app);
void faults_hurry(void); /* the next turn has something to do already */
#define faults_until(app, condition)                                                               \
    for (int turns_ = 0; !(condition); turns_++) {                                                 \
        faults_turn(app);                                                                          \
        assert_true(turns_ < 20000);                                                               \
    }

/* A client of the app, by a unix socket, whose buffers are small. It is closed by client_close. */
struct client *client_new(app_t *app);
void client_close(struct client *client);

/* What it sends leaves at once. */
void client_send(struct client *client, const void *data, size_t length);

/* Take what has come. */
void client_read(struct client *client);

/* Has that text come, or is it over? */
bool client_has(struct client *client, const char *text);
bool client_is_over(struct client *client);

/* Its answer without what changes with the time: the value of Date. */
const char *client_text(struct client *client);

/* The answer to a script's one request, or to those that it has pipelined, ends with `end`, and is
 * always the same; when an allocation fails it may be the beginning of that, and then nothing, or
 * an answer that is a 500 or a 503. */
void check_answer(struct client *client, const char *end, bool failing);

/* Frames that the server has sent behind the head: the next one, inflated if need be. False at the
 * end. `at` is 0 at first. */
struct seen_frame {
    int opcode;
    bool compressed;
    size_t length;
    char data[4096];
};
bool client_frame(struct client *client, size_t *at, struct seen_frame *frame);

/* Does it end as a socket that has failed may? A close frame of 1011, 1013 or nothing. */
bool is_failure(const struct seen_frame *frame);

#endif
