#include "context/rooms.h"

#include "context/name_hash.h"

#include <stdlib.h>
#include <string.h>

struct room {
    struct room *next; /* in its bucket */
    struct membership *members;
    size_t count;
    size_t visitors; /* that go through it */
    bool left;       /* … while somebody left */
    uint32_t hash;
    char name[];
};

struct rooms {
    struct room **buckets;
    size_t size, used; /* size is a power of two */
};

/* --- Rooms ------------------------------------------------------------------------------------ */

void rooms_free(struct rooms *rooms) {
    if (!rooms)
        return;
    free(rooms->buckets); /* they are empty: everybody has left */
    free(rooms);
}

static struct room *find(const struct rooms *rooms, const char *name, uint32_t hash) {
    if (!rooms || !rooms->size)
        return NULL;
    for (struct room *room = rooms->buckets[hash & (rooms->size - 1)]; room; room = room->next)
        if (room->hash == hash && strcmp(room->name, name) == 0)
            return room;
    return NULL;
}

struct room *rooms_find(const struct rooms *rooms, const char *name) {
    return find(rooms, name, name_hash(name));
}

size_t room_count(const struct room *room) {
    return room ? room->count : 0;
}

static bool grow(struct rooms *rooms) {
    size_t size = rooms->size ? 2 * rooms->size : 16;
    struct room **buckets = calloc(size, sizeof(struct room *));
    if (!buckets)
        return rooms->size > 0; /* a crowded table will do, too */
    for (size_t i = 0; i < rooms->size; i++)
        for (struct room *room = rooms->buckets[i], *next; room; room = next) {
            next = room->next;
            room->next = buckets[room->hash & (size - 1)];
            buckets[room->hash & (size - 1)] = room;
        }
    free(rooms->buckets);
    rooms->buckets = buckets;
    rooms->size = size;
    return true;
}

static struct room *open_room(struct rooms *rooms, const char *name, uint32_t hash) {
    size_t length = strlen(name) + 1;
    if (rooms->used >= rooms->size && !grow(rooms))
        return NULL;
    struct room *room = malloc(sizeof *room + length);
    if (!room)
        return NULL;
    struct room **bucket = &rooms->buckets[hash & (rooms->size - 1)];
    *room = (struct room){.next = *bucket, .hash = hash};
    memcpy(room->name, name, length);
    *bucket = room;
    rooms->used++;
    return room;
}

static void close_if_empty(struct rooms *rooms, struct room *room) {
    if (room->members || room->visitors)
        return;
    struct room **at = &rooms->buckets[room->hash & (rooms->size - 1)];
    while (*at != room)
        at = &(*at)->next;
    *at = room->next;
    rooms->used--;
    free(room);
}

/* --- Members ---------------------------------------------------------------------------------- */

static struct membership *membership_of(const struct websocket *ws, const char *name) {
    for (struct membership *m = ws->rooms; m; m = m->next_of_socket)
        if (strcmp(m->room->name, name) == 0)
            return m;
    return NULL;
}

int rooms_join(struct rooms **rooms, struct websocket *ws, const char *name) {
    uint32_t hash = name_hash(name);
    if (membership_of(ws, name))
        return 0;
    if (!*rooms && !(*rooms = calloc(1, sizeof **rooms)))
        return UV_ENOMEM;
    struct membership *m = malloc(sizeof *m);
    struct room *room = m ? find(*rooms, name, hash) : NULL;
    if (m && !room)
        room = open_room(*rooms, name, hash);
    if (!room) {
        free(m);
        return UV_ENOMEM;
    }
    *m = (struct membership){room, ws, room->members, &room->members, ws->rooms, &ws->rooms};
    if (m->next)
        m->next->link = &m->next;
    if (m->next_of_socket)
        m->next_of_socket->own_link = &m->next_of_socket;
    room->members = ws->rooms = m;
    room->count++;
    return 0;
}

static void take_out(struct membership *m) {
    *m->link = m->next;
    if (m->next)
        m->next->link = m->link;
    free(m);
}

static void leave(struct rooms *rooms, struct membership *m) {
    struct room *room = m->room;
    *m->own_link = m->next_of_socket;
    if (m->next_of_socket)
        m->next_of_socket->own_link = m->own_link;
    m->ws = NULL;
    room->count--;
    room->left = room->visitors > 0;
    if (!room->left)
        take_out(m);
    close_if_empty(rooms, room);
}

void rooms_leave(struct rooms *rooms, struct websocket *ws, const char *name) {
    struct membership *m = membership_of(ws, name);
    if (m)
        leave(rooms, m);
}

void rooms_leave_all(struct rooms *rooms, struct websocket *ws) {
    while (ws->rooms)
        leave(rooms, ws->rooms);
}

void room_each(struct rooms *rooms, struct room *room, void (*fn)(websocket_t *ws, void *arg),
               void *arg) {
    room->visitors++;
    for (struct membership *m = room->members; m; m = m->next)
        if (m->ws)
            fn(m->ws, arg);
    if (--room->visitors > 0 || !room->left)
        return;
    room->left = false;
    for (struct membership *m = room->members, *next; m; m = next) {
        next = m->next;
        if (!m->ws)
            take_out(m);
    }
    close_if_empty(rooms, room);
}
