/*
 * What stands behind a ctx_t. The public struct comes first, so that one pointer serves for both.
 */
#ifndef ACACIA_CONTEXT_H
#define ACACIA_CONTEXT_H

#include "context/query.h"
#include "ctx.h"
#include "protocols/exchange.h"
#include "runtime/arena.h"

struct frame_codec;
struct context;
struct middleware_run;

/* What the application lends to every ctx. */
struct context_host {
    app_t *app;
    const app_options_t *options; /* complete: no zeros */
    struct loop *loop;
    struct frame_codec *codec;
    /* Tell the error listener. */
    void (*error)(struct context_host *host, struct context *context, const ctx_error_t *error);
    /* A WebSocket's connection is over. */
    void (*socket_closed)(struct context_host *host, struct connection *connection);
    struct websocket *sockets; /* those that are open */
    size_t socket_count;
    bool sends_never_wait; /* within ws_each */
};

struct deferred {
    struct deferred *next;
    void (*fn)(void *arg);
    void *arg;
};

/* What goes together: the memory of the ctx, or of one message handler's run. */
struct scope {
    struct arena *arena;
    struct deferred *deferred;
};

enum body_source {
    BODY_UNSET,  /* nobody has set one: the reason phrase is sent */
    BODY_NULL,   /* ctx_empty */
    BODY_MEMORY, /* body.data, body.length */
    BODY_FILE    /* file, body.length */
};

struct param {
    const char *name;
    const char *value; /* NULL for an optional one that is absent */
};

struct params {
    const struct param *list;
    size_t count;
};

struct context {
    ctx_t ctx; /* first */
    struct context_host *host;
    struct exchange *exchange;
    struct scope home;   /* lives as long as the ctx */
    struct scope *scope; /* the current one */

    /* the onion, kept by compose.c */
    struct middleware_run *run;
    size_t position;

    /* the request */
    struct params params;
    struct query query;
    bool query_parsed;
    const char *ip;
    bytes_t request_body;
    bool request_body_read;
    int read_error;

    /* the response */
    struct headers headers;
    enum body_source source;
    bytes_t body;
    int file;
    bool header_sent;
    bool head_only; /* the body that is written is not sent */
    bool no_memory; /* whatever it was to be, it is a 500 */

    /* errors */
    ctx_error_t error;
    bool has_error;
    struct headers error_headers;
};

static inline struct context *context_of(const ctx_t *ctx) {
    return (struct context *)ctx;
}

/* A ctx for `exchange`, in its arena. NULL when there is no memory. */
struct context *context_new(struct context_host *host, struct exchange *exchange);

/* Run what was deferred. The memory goes with the arena afterwards. */
void scope_end(struct scope *scope);

/* Note that memory ran out, and return UV_ENOMEM. */
int context_no_memory(struct context *context);

/* --- respond.c: the end of a request ---------------------------------------------------------- */

/* Answer as the ctx says (Koa's respond), or with the error `err` if it is negative (Koa's
 * onerror), and end the exchange. May await. The ctx is gone. */
void context_finish(struct context *context, int err);

/* Send status and headers. */
int context_send_head(struct context *context, enum body_kind kind, uint64_t length);

/* --- error.c ---------------------------------------------------------------------------------- */

/* The record of the error `err` that a middleware has returned: the one it threw, or one made up.
 */
const ctx_error_t *context_error(struct context *context, int err);

/* --- response.c ------------------------------------------------------------------------------- */

/* Set a header whose strings live long enough: nothing is checked or copied. */
int context_set_header(struct context *context, const char *name, const char *value);

/* Make this the body: sets status, Content-Type unless there is one, and Content-Length. */
int context_set_body(struct context *context, enum body_source source, bytes_t body,
                     const char *type);

/* --- file.c ----------------------------------------------------------------------------------- */

/* Send what ctx_file opened. 0 or an error; the head has been sent. May await. */
int context_send_file(struct context *context);

#endif
