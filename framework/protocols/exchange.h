/*
 * An exchange: one request and its answer, whatever carries them. HTTP/1.1 makes them (http1.h);
 * tests make their own. The layers above know a request by this struct, and answer it through
 * `ops`.
 *
 * The exchange lies in its own arena, together with everything that belongs to the request.
 */
#ifndef ACACIA_EXCHANGE_H
#define ACACIA_EXCHANGE_H

#include "runtime/arena.h"
#include "runtime/loop.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct exchange;
struct connection;
struct coroutine;

/* NUL-terminated, and with their lengths. */
struct header {
    const char *name;
    const char *value;
    uint32_t name_length;
    uint32_t value_length;
};

/* A list; or, where it stays for days, packed: then no more can be added. */
struct headers {
    union {
        struct header *list;
        const char *packed; /* "name\0value\0" and so on */
    };
    uint16_t count;
    uint16_t capacity; /* of the list; HEADERS_PACKED if there is none */
    uint32_t seen;     /* a bit for each kind of name that was ever added: see header_bit */
};

#define HEADERS_MAX 32768 /* there are never more */
#define HEADERS_PACKED UINT16_MAX

/* Most questions are for headers that aren't there: one bit of 32 tells, nearly always. */
static inline uint32_t header_bit(const char *name, size_t length) {
    return 1u << ((length * 7 + (name[0] | 0x20)) & 31);
}

/* How the body of a response is delimited. */
enum body_kind {
    BODY_NONE,   /* the head is all there is: HEAD, 204, 304 */
    BODY_LENGTH, /* `length` bytes */
    BODY_STREAM  /* until the end: chunked, or until the connection closes for HTTP/1.0 */
};

struct response_head {
    int status;
    const char *message; /* the reason phrase */
    const struct headers *headers;
    enum body_kind kind;
    uint64_t length;
    bool bare; /* no field is added: no Date, no Connection */
};

/* Functions that may await are called from a coroutine. Errors: UV_ECANCELED when the client is
 * gone, UV_ENOMEM, and what is said below. */
struct exchange_ops {
    /* The next piece of the request's body; 0 at its end; UV_EPROTO when it breaks off or is no
     * valid encoding; UV_ETIMEDOUT past the request deadline. May await. */
    ssize_t (*read)(struct exchange *exchange, void *buffer, size_t size);
    /* Once, before any `write`. */
    int (*head)(struct exchange *exchange, const struct response_head *head);
    /* A piece of the body: copied, or gone, on return. Awaits while the client is slow; where
     * nobody can wait it returns 1 then. */
    int (*write)(struct exchange *exchange, const void *data, size_t length);
    /* The response is complete; or, if `failed`, it never will be, and the client must see that.
     * The exchange is gone. */
    void (*end)(struct exchange *exchange, bool failed);
    /* The connection is no longer HTTP's: it belongs to the caller, who must own it at once, and to
     * whom *early, *early_length bytes have come already (they lie in the arena). The exchange's
     * arena is the caller's to release. */
    struct connection *(*take_over)(struct exchange *exchange, char **early, size_t *early_length);
    /* The peer's address, "" if it has none. */
    void (*peer)(struct exchange *exchange, char *text, size_t size);
    /* The connection that it came by; NULL if it is gone. NULL: there never is one. */
    struct connection *(*connection)(struct exchange *exchange);
};

struct exchange {
    const struct exchange_ops *ops;
    void *carrier; /* of whoever has made it */
    struct arena arena;
    const char *method;
    const char *url;
    struct headers headers;
    int64_t content_length;   /* of the request as announced; -1: chunked; 0: no body */
    bool upgrade : 1;         /* the client asks for another protocol on this connection */
    bool aborted : 1;         /* the client is gone: nothing can be read or written any more */
    bool peer_closed : 1;     /* it has closed its side; most that do don't wait for an answer */
    bool secure : 1;          /* came over TLS */
    bool http_1_0 : 1;        /* … or else HTTP/1.1 */
    bool last : 1;            /* set by the layer above: no further request on this connection */
    bool detached : 1;        /* set by the layer above: nobody waits in `write` */
    bool endless : 1;         /* set by the layer above: `cancel` is meant for draining, too */
    struct coroutine *cancel; /* set by the layer above: to be cancelled when the client goes */
    void *ctx;                /* the layer above's own */
};

/* A copy of it in memory of just the size that it and `reserve` bytes need. What asks for an
 * upgrade may stay for days, and leaves the chunk that its head was read into to others. NULL when
 * there is no memory. */
struct exchange *exchange_copy(const struct exchange *from, size_t reserve);

/* All of them, in order: struct header_walk walk = {0}; while (headers_next(headers, &walk)) … */
struct header_walk {
    struct header header;
    uint32_t index; /* of the next one */
};

bool headers_next(const struct headers *headers, struct header_walk *walk);

/* The value of the first header of that name, `length` characters in any case, or NULL. */
const char *headers_search(const struct headers *headers, const char *name, size_t length);

/* Always inline, so that the length of a literal costs nothing. */
static inline __attribute__((always_inline)) const char *headers_get(const struct headers *headers,
                                                                     const char *name) {
    size_t length = strlen(name);
    return headers->seen & header_bit(name, length) ? headers_search(headers, name, length) : NULL;
}

/* The header itself, in a list; or NULL. */
struct header *headers_find(const struct headers *headers, const char *name, size_t length);

/* One after the other: false past the last. */
bool headers_at(const struct headers *headers, size_t index, const char **name, const char **value);

/* Make room for more. 0 or UV_ENOMEM. */
int headers_grow(struct headers *headers, struct arena *arena);

/* Add one; the strings are not copied. 0 or UV_ENOMEM. */
static inline int headers_add(struct headers *headers, struct arena *arena, const char *name,
                              size_t name_length, const char *value, size_t value_length) {
    int err = headers->count == headers->capacity ? headers_grow(headers, arena) : 0;
    if (err)
        return err;
    headers->list[headers->count++] =
        (struct header){name, value, (uint32_t)name_length, (uint32_t)value_length};
    headers->seen |= header_bit(name, name_length);
    return 0;
}

/* Is `token` one of the comma-separated tokens of `value`? In any case (RFC 9110 5.6.1). */
bool header_has_token(const char *value, const char *token);

#endif
