/*
 * What the two floors share: a listener, and a loop that calls for every descriptor that is ready.
 * A floor is the least that any server has to do, and no server: it believes its clients.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FLOOR_BUFFER (512 * 1024)

struct floor_client {
    int fd;
    bool is_socket; /* WebSockets: the handshake is done */
    bool is_member; /* of those that get what is broadcast, */
    size_t index;   /* the one there */
    char *input;    /* a part of a frame, until the rest comes */
    size_t input_length;
    char *output; /* what could not be sent yet */
    size_t output_length;
};

/*
 * Listen on PORT of the environment and serve for ever. `on_data` gets what was read, in a buffer
 * that it may write to, with 16 bytes more behind the end; it returns false to close the
 * connection.
 */
int floor_serve(bool (*on_data)(struct floor_client *client, char *data, size_t length));

/* Send at once what there is room for, and the rest as soon as there is. */
void floor_send(struct floor_client *client, const char *data, size_t length);

/* Called before a client goes; NULL unless it is set. */
extern void (*floor_on_close)(struct floor_client *client);

#endif
