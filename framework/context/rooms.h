/* Rooms: sockets under a name, in no order. A room is there as long as somebody is in it. */
#ifndef ACACIA_ROOMS_H
#define ACACIA_ROOMS_H

#include "context/socket.h"

struct rooms;
struct room;

struct membership {
    struct room *room;
    struct websocket *ws;            /* NULL: has left, while somebody goes through the room */
    struct membership *next, **link; /* in the room */
    struct membership *next_of_socket, **own_link; /* of the socket */
};

void rooms_free(struct rooms *rooms); /* NULL is fine */

/* The room of that name, or NULL. */
struct room *rooms_find(const struct rooms *rooms, const char *name);

size_t room_count(const struct room *room);

/* 0, also if it is in there already; UV_ENOMEM. `*rooms` is made when it is first needed. */
int rooms_join(struct rooms **rooms, struct websocket *ws, const char *name);

/* It may be in none. */
void rooms_leave(struct rooms *rooms, struct websocket *ws, const char *name);
void rooms_leave_all(struct rooms *rooms, struct websocket *ws);

/* Call `fn` for each member; it may join and leave. */
void room_each(struct rooms *rooms, struct room *room, void (*fn)(websocket_t *ws, void *arg),
               void *arg);

#endif
