/*
 * What the load generators share: connections to a server on this machine, over TLS too; a loop
 * that waits for them; and the CPU time that the server's processes have taken.
 *
 * Whatever goes wrong ends the program with status 1 and a line on stderr: a server that fails must
 * not look fast.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Complain as printf does, and exit. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* malloc that never fails; zeroed. */
void *allocate(size_t count, size_t size);

/* --- Connections ------------------------------------------------------------------------------ */

struct client {
    int fd;
    struct ssl_st *tls; /* NULL: in the clear */
    bool wants_write;   /* is told when it can be written to */
    bool is_drained;    /* the last client_receive has found nothing */
};

/* Before the first connection: where to, and whether over TLS (no certificate is verified). Raises
 * the limit of open files as far as it goes. */
void client_setup(int port, bool tls);

/* Connect to 127.0.0.1. Blocks until it is done; afterwards nothing else does. */
void client_open(struct client *client);
void client_close(struct client *client);

/* Be told in client_run of what can be read. */
void client_watch(struct client *client);

/* Send what there is room for: how many bytes that was, 0 if there is none just now. */
size_t client_send(struct client *client, const void *data, size_t length);

/* Receive up to `size` bytes: how many; 0 if there are none just now; -1 if the other side has
 * closed. */
ssize_t client_receive(struct client *client, void *buffer, size_t size);

/* While something waits to be sent: have `on_writable` called. */
void client_watch_write(struct client *client, bool wanted);

/* Both are blocking, and for handshakes. `client_read_head` reads to the end of the headers, puts a
 * '\0' behind, and returns the length; no byte may follow. */
void client_write_all(struct client *client, const void *data, size_t length);
size_t client_read_head(struct client *client, char *head, size_t size);

struct client_events {
    void (*on_readable)(struct client *client);
    void (*on_writable)(struct client *client); /* NULL if it is never asked for */
};

/* Wait and call, for so many seconds, and at most five more until `*count` has grown at all; or
 * until it is at least `until`. */
void client_run(const struct client_events *events, double seconds, const uint64_t *count,
                uint64_t until);

/* --- Time ------------------------------------------------------------------------------------- */

double seconds_now(void);

struct cpu {
    double user, system; /* seconds, in steps of a hundredth */
    double both;         /* the same to the nanosecond; 0 where the kernel doesn't say */
};

/* That these processes, "12,34", have taken until now, with all their threads; "" is none. */
struct cpu cpu_of(const char *pids);

/* One line of JSON on stdout about `count` of what was measured, between `start` and now. `start`
 * and `before` are as of the beginning. */
void print_result(uint64_t count, uint64_t bytes, double start, struct cpu before,
                  const char *pids);

/* A number in an option's argument, or the program ends. */
size_t number(const char *text);

#endif
