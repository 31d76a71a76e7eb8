/* Rooms, names, history and presence: a small chat, and a page for phone and desktop. */
#include <acacia.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#ifndef PAGE_DIR
#define PAGE_DIR "."
#endif

#define HISTORY 50      /* messages for who joins */
#define MEMBERS 200     /* in a room */
#define ROOMS 1000      /* each is gone with its last member */
#define NAME_BYTES 32   /* bytes of a name, and of a room's */
#define TEXT_BYTES 2000 /* bytes of a message */

/* One thread serves everybody, so that none of this needs a lock. */
struct member {
    websocket_t *socket;
    struct room *room;
    struct member *next;
    char name[NAME_BYTES + 8];
};

struct room {
    char name[NAME_BYTES + 1];
    struct member *members;
    size_t count;
    json_t *history;
    struct room *next;
};

static struct room *rooms;
static size_t room_count;

/* --- Rooms ------------------------------------------------------------------------------------ */

static struct room *find_room(const char *name) {
    struct room *room = rooms;
    while (room && strcmp(room->name, name) != 0)
        room = room->next;
    return room;
}

static struct room *open_room(const char *name) {
    struct room *room = find_room(name);
    if (room || room_count == ROOMS)
        return room;
    room = calloc(1, sizeof *room);
    if (room && !(room->history = json_array())) {
        free(room);
        return NULL;
    }
    if (!room)
        return NULL;
    snprintf(room->name, sizeof room->name, "%s", name);
    room->next = rooms;
    rooms = room;
    room_count++;
    return room;
}

static void close_if_empty(struct room *room) {
    struct room **link = &rooms;
    if (room->members)
        return;
    while (*link != room)
        link = &(*link)->next;
    *link = room->next;
    room_count--;
    json_decref(room->history);
    free(room);
}

static bool name_is_taken(const struct room *room, const char *name) {
    for (const struct member *member = room->members; member; member = member->next)
        if (strcmp(member->name, name) == 0)
            return true;
    return false;
}

/* Two windows of one person are "Ada" and "Ada 2". */
static void choose_name(struct member *me, const char *wanted) {
    snprintf(me->name, sizeof me->name, "%s", wanted);
    for (int number = 2; name_is_taken(me->room, me->name); number++)
        snprintf(me->name, sizeof me->name, "%s %d", wanted, number);
}

/* --- Telling ---------------------------------------------------------------------------------- */

/* To everybody but `me`; sending to others never waits. Takes the reference to `json`. */
static void tell_others(const struct member *me, json_t *json) {
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    for (struct member *member = me->room->members; member && text; member = member->next)
        if (member != me)
            ws_send_text(member->socket, text);
    free(text);
    json_decref(json);
}

/* To `me`, in one of his own handlers: that waits while he is slow. */
static int tell(const struct member *me, json_t *json) {
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    int err = text ? ws_send_text(me->socket, text) : UV_ENOMEM;
    free(text);
    json_decref(json);
    return err;
}

static json_t *names_of(const struct room *room) {
    json_t *names = json_array();
    for (const struct member *member = room->members; member; member = member->next)
        json_array_append_new(names, json_string(member->name));
    return names;
}

/* --- Handlers --------------------------------------------------------------------------------- */

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    const struct member *me = ctx->state;
    json_t *history = me->room->history;
    const char *text;
    json_t *json = message->binary ? NULL : json_loadb(message->data, message->length, 0, NULL);
    if (!json || json_unpack(json, "{s:s}", "text", &text) || !*text || strlen(text) > TEXT_BYTES) {
        json_decref(json);
        return tell(me, json_pack("{s:s, s:s}", "type", "error", "text",
                                  "a message is {\"text\": …} of at most 2000 bytes"));
    }
    json_t *line = json_pack("{s:s, s:s, s:s, s:I}", "type", "message", "name", me->name, "text",
                             text, "time", (json_int_t)time(NULL));
    json_decref(json);
    if (!line || json_array_append(history, line)) {
        json_decref(line);
        return UV_ENOMEM;
    }
    if (json_array_size(history) > HISTORY)
        json_array_remove(history, 0);
    tell_others(me, json_incref(line));
    return tell(me, line);
}

static void on_close(ctx_t *ctx, int code, const char *reason) {
    struct member *me = ctx->state, **link = &me->room->members;
    while (*link != me)
        link = &(*link)->next;
    *link = me->next;
    me->room->count--;
    tell_others(me, json_pack("{s:s, s:s}", "type", "left", "name", me->name));
    close_if_empty(me->room);
}

static int join(ctx_t *ctx) {
    const char *room_name = ctx_param(ctx, "room"), *name = ctx_query(ctx, "name");
    if (!name || !*name || strlen(name) > NAME_BYTES || strlen(room_name) > NAME_BYTES)
        return ctx_throw(ctx, 400, "a name and a room of at most %d bytes each", NAME_BYTES);
    struct member *me = ctx_new(ctx, struct member); /* lives as long as the socket */
    struct room *room = me ? open_room(room_name) : NULL;
    if (!room || room->count == MEMBERS)
        return ctx_throw(ctx, 503, "no more room");
    me->socket = ctx->websocket;
    me->room = room;
    choose_name(me, name);
    ctx->state = me;
    ws_on_message(ctx->websocket, on_message);
    int err = ws_on_close(ctx->websocket, on_close);
    if (err) { /* it has gone meanwhile, and on_close will not be called */
        close_if_empty(room);
        return err;
    }
    me->next = room->members;
    room->members = me;
    room->count++;
    tell_others(me, json_pack("{s:s, s:s}", "type", "joined", "name", me->name));
    return tell(me,
                json_pack("{s:s, s:s, s:s, s:o, s:O}", "type", "welcome", "room", room->name,
                          "name", me->name, "members", names_of(room), "history", room->history));
}

static int page(ctx_t *ctx) {
    return ctx_file(ctx, PAGE_DIR "/chat.html");
}

int main(void) {
    app_t *app = app_new();
    app_ws_use(app, route_all("/chat/:room", join));
    app_use(app, route_get("/", page));
    return app_listen(app, 3000);
}
