/*
 * What stands behind a ctx_t. The public struct comes first, so that one pointer serves for both.
 */
#ifndef ACACIA_CONTEXT_H
#define ACACIA_CONTEXT_H

#include "context/query.h"
#include "context/value.h"
#include "ctx.h"
#include "protocols/exchange.h"
#include "request.h"
#include "response.h"
#include "runtime/arena.h"
#include "tls.h"

struct context;
struct crowd;
struct keygrip;
struct middleware_run;
struct proxies;
struct rooms;
struct routing;
struct ws_peers;

/* What the application lends to every ctx. */
struct context_host {
    app_t *app;
    const app_options_t *options; /* complete: no zeros */
    struct keygrip *keys;         /* NULL: none */
    struct proxies *trusted;      /* NULL: no list */
    struct value *values;
    struct loop *loop;
    const struct ws_peers *peers;
    /* Tell the error listener. */
    void (*error)(struct context_host *host, struct context *context, const ctx_error_t *error);
    /* A WebSocket's connection is over. */
    void (*socket_closed)(struct context_host *host, struct connection *connection);
    /* Is so much memory used that nothing new may begin? */
    bool (*overloaded)(struct context_host *host);
    /* The socket of a client is gone. */
    void (*client_gone)(struct context_host *host, struct websocket *ws);
    struct websocket *sockets; /* those that are open */
    struct websocket *retired; /* those whose close handler waits for a coroutine */
    struct timer retry;        /* to ask for it again */
    size_t socket_count;
    size_t handshakes;      /* sockets that there are, open or not yet, or not any more */
    struct rooms *rooms;    /* NULL: none */
    struct crowd *crowd;    /* sockets by address; NULL: not counted */
    struct websocket **ids; /* buckets of those that have an id */
    size_t ids_size, ids_used;
    uint64_t last_id;
    struct request_context *detached; /* those that wait for ctx_end */
    bool sends_never_wait;            /* within ws_each */
};

struct deferred {
    struct deferred *next;
    void (*fn)(void *arg);
    void *arg;
};

/* Somebody who wants to know how it ended: see finish.c. */
struct finisher {
    struct finisher *next;
    finish_handler *fn;
    void *arg;
};

/* What goes together: the memory of the ctx, or of one message handler's run. */
struct scope {
    struct arena *arena;
    struct deferred *deferred;
};

struct param {
    const char *name;
    const char *value; /* NULL for an optional one that is absent */
};

struct params {
    size_t count;
    struct param list[];
};

/* Lists that a header holds, each ending with NULL, made when somebody asks. */
enum request_list {
    LIST_IPS,
    LIST_SUBDOMAINS,
    LIST_TYPES,
    LIST_ENCODINGS,
    LIST_CHARSETS,
    LIST_LANGUAGES,
    REQUEST_LISTS
};

/* What was asked of the request, kept. */
struct asked {
    struct query query;
    const char *ip, *host_name; /* NULL until somebody asks */
    const tls_info_t *tls;      /* … or there is none */
    const char *const *lists[REQUEST_LISTS];
    bytes_t body;
    int read_error;
    bool query_parsed, body_read;
};

/* The error that was thrown last, and how errors are answered. */
struct errors {
    ctx_error_t last;
    struct headers headers;
    error_page_fn *page; /* NULL: plain text */
    void *page_arg;
};

/* What the client is to be answered, as far as ctx_t does not have it. */
struct response {
    struct headers headers;
    const char *message;     /* in place of the phrase of message_status; or NULL */
    bytes_t body;            /* of a stream only the length, if it is a file's */
    body_stream_t *stream;   /* NULL unless it is one */
    const char *length_text; /* of a Content-Length that context_set_length has made … */
    uint64_t length;         /* … for this */
    uint64_t body_sent, body_announced; /* bytes; 0 announced if nobody knows how many */
    int message_status;
};

/* The ctx of a WebSocket lives as long as that, and there may be thousands: what few of them need
 * is made when they do, and what is not needed any more is not in here. */
struct context {
    ctx_t ctx; /* first */
    struct context_host *host;
    struct exchange *exchange;
    struct coroutine *handler; /* at work for it, or NULL; its tasks have coroutines of their own */
    struct scope home;         /* lives as long as the ctx */
    struct scope *scope;       /* the current one */

    /* the onion, kept by compose.c */
    struct middleware_run *run;
    struct routing *routing; /* what routers and mounts note: see routing.h; NULL: nothing yet */

    struct value *values;

    /* the request */
    const struct params *params; /* NULL: none */
    const char *peer;            /* NULL until somebody asks */
    struct asked *asked;         /* NULL until then */

    /* the response */
    struct response *response; /* not to be changed once the head is sent and it is `written` */
    struct finisher *finishers;
    body_kind_t kind : 8;
    bool header_sent : 1;
    bool written : 1;   /* by ctx_write: the body is the handler's affair */
    bool head_only : 1; /* the body that is written is not sent */
    bool no_memory : 1; /* whatever it was to be, it is a 500 */
    bool has_error : 1;
    struct errors *errors; /* NULL: none, or there was no memory for it */
};

/* The ctx of a request, whose response may outlive the handler: see detach.c. */
struct request_context {
    struct context context; /* first */
    struct response response;
    struct request_context *next, **link; /* in host->detached */
    struct task end_task;
    int err; /* that the stack has returned */
    bool detached, chain_done, end_called;
    struct header fields[8]; /* last, not zeroed: of the response, unless there are more of them */
};

static inline struct context *context_of(const ctx_t *ctx) {
    return (struct context *)ctx;
}

/* A ctx for `exchange`, in its arena. NULL when there is no memory. */
struct context *context_new(struct context_host *host, struct exchange *exchange);

/* The same for one that becomes a WebSocket, or is answered at once: smaller. Its response, zeroed,
 * is the caller's until context_forget_response; NULL if none will be sent. */
struct context *context_new_for_socket(struct context_host *host, struct exchange *exchange,
                                       struct response *response);

/* The response has been sent, and nothing of it is needed any more. */
void context_forget_response(struct context *context);

/* The coroutine that calls this is the handler, until context_leave. */
void context_enter(struct context *context);
void context_leave(struct context *context);

/* Tell who wants to know that it has ended, well or not. Then let go of everything but the memory,
 * which goes with the arena afterwards: the body, what was deferred, the values. */
void context_end(struct context *context, bool complete);

/* Run what was deferred. */
void scope_end(struct scope *scope);

/* Note that memory ran out, and return UV_ENOMEM. */
int context_no_memory(struct context *context);

/* Cut ctx->url into path and query. */
int context_split_url(struct context *context);

/* --- request.c -------------------------------------------------------------------------------- */

/* A header of the request as ctx_get has it, or NULL. */
const char *context_get(struct context *context, const char *name);

/* What was asked so far; NULL when there is no memory, which is noted. */
struct asked *context_asked(struct context *context);

/* The query, parsed once. */
const struct query *context_query(struct context *context);

/* Entry `index` of a list that `make` makes the first time; NULL past the last. */
typedef int list_maker(struct context *context, const char *const **list);
const char *context_list_at(struct context *context, enum request_list which, list_maker *make,
                            size_t index);

/* --- negotiation.c ---------------------------------------------------------------------------- */

/* Which of `types` the value of a Content-Type is, as ctx_is has it, or NULL. */
const char *context_type_is(struct context *context, const char *type, const char *const *types);

/* --- finish.c --------------------------------------------------------------------------------- */

/* A piece of the body of the response, to the exchange. May await. */
int context_write_body(struct context *context, const void *data, size_t length);

/* Call whoever wants to know how it ended. */
void context_call_finishers(struct context *context, bool complete);

/* --- respond.c: the end of a request ---------------------------------------------------------- */

/* The stack has returned `err`: answer as the ctx says (Koa's respond), or with the error if it is
 * negative (Koa's onerror), and end the exchange; unless the ctx was detached. May await. The ctx
 * is gone. */
void context_chain_done(struct context *context, int err);
void context_finish(struct context *context, int err);

/* Send status and headers. */
int context_send_head(struct context *context, enum body_kind kind, uint64_t length);

/* The body is being written from now on: send the head, if it was not. */
int context_begin_stream(struct context *context);

/* --- detach.c --------------------------------------------------------------------------------- */

/* Wait for ctx_end; false if it has been called. */
bool context_park(struct context *context, int err);

/* End all that wait: the server stops. */
void context_cut_detached(struct context_host *host);

/* --- error.c ---------------------------------------------------------------------------------- */

/* Throw this. Returns its code. */
int context_throw(struct context *context, ctx_error_t error);

/* The record of the error `err` that a middleware has returned: the one it threw, or one made up.
 * Without memory it is an error that says so. */
const ctx_error_t *context_error(struct context *context, int err);

/* Tell the listener of it. */
void context_report(struct context *context, int err);

/* Throw because ctx->status is none. */
int context_invalid_status(struct context *context);

/* --- headers.c -------------------------------------------------------------------------------- */

/* Set a header whose strings live long enough: nothing is checked or copied. */
int context_put_header(struct context *context, const char *name, size_t length, const char *value,
                       size_t value_length);

/* The same. Always inline, so that the length of a literal costs nothing. */
static inline __attribute__((always_inline)) int
context_set_header(struct context *context, const char *name, const char *value) {
    return context_put_header(context, name, strlen(name), value, strlen(value));
}

/* Content-Type by the extension of a file's name, unless one is set. */
void context_type_by_name(struct context *context, const char *filename);

/* Content-Length, though it may have been set otherwise. */
int context_set_length(struct context *context, uint64_t length);

/* May it be the name of a header, or a method (RFC 9110 5.6.2)? The value of one, or a reason? */
bool is_token(const char *text);
bool is_field_value(const char *text);

/* --- response.c ------------------------------------------------------------------------------- */

/* Make these bytes, which live long enough, the body: sets status, Content-Type unless there is
 * one, and Content-Length. */
int context_set_body(struct context *context, bytes_t body, const char *type);

/* The same with a stream, of a known length if it is not negative. */
int context_set_stream(struct context *context, body_stream_t stream, int64_t length,
                       const char *type);

/* Let go of the body. */
void context_forget_body(struct context *context);

#endif
