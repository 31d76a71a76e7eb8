/*
 * The application: two stacks of middleware, one for requests and one for WebSockets, on one port.
 *
 *     app_t *app = app_new();
 *     app_ws_use(app, talk);
 *     app_use(app, hello);
 *     return app_listen(app, 8080);
 *
 * An app belongs to the thread that made it; every function here must be called from that thread,
 * save where it says otherwise. The stacks are filled before listening starts and are fixed from
 * then on.
 */
#ifndef ACACIA_APP_H
#define ACACIA_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

typedef struct app app_t;
typedef struct ctx ctx_t;
typedef struct websocket websocket_t;
typedef struct tls_options tls_options_t; /* see tls.h */

/* --- Middleware ------------------------------------------------------------------------------- */

/* The plain middleware: a function. Returns 0, or a negative value for a thrown error (see ctx.h).
 */
typedef int middleware_fn(ctx_t *ctx);

/*
 * A middleware with state: what route_get, compose and the factories in middleware/ return. Made by
 * value; app_use takes it over. The state is shared by all requests.
 */
typedef struct {
    int (*fn)(ctx_t *ctx, void *state);
    void *state;
    void (*destroy)(void *state); /* NULL, or called once with `state`, by app_free */
    const char *name;             /* for debug output; must live as long as the state */
    const char *error;            /* NULL, or why the factory failed: such an app does not start */
} middleware_t;

/* A bare function as a middleware_t, for compose and for factories that wrap another middleware. */
middleware_t middleware_of(middleware_fn *fn, const char *name);

/*
 * app_use(app, m) and app_ws_use(app, m): append m, a `middleware_fn` or a `middleware_t`, to the
 * stack for requests, or to the one for WebSockets. The order of the calls is the order of the
 * layers. The source text of m becomes the name of a layer that has none.
 *
 * They return app, and never fail silently: a layer that cannot be added (its factory failed, no
 * memory, the app is listening already) makes app_listen and app_bind return the error.
 *
 * They are macros over the functions below; C++ and other languages call those.
 */
app_t *app_use_fn(app_t *app, middleware_fn *fn, const char *name);
app_t *app_use_middleware(app_t *app, middleware_t middleware, const char *name);
app_t *app_ws_use_fn(app_t *app, middleware_fn *fn, const char *name);
app_t *app_ws_use_middleware(app_t *app, middleware_t middleware, const char *name);

#ifndef __cplusplus
#define app_use(app, ...)                                                                          \
    _Generic((__VA_ARGS__), int (*)(ctx_t *)                                                       \
             : app_use_fn, middleware_t                                                            \
             : app_use_middleware)((app), (__VA_ARGS__), #__VA_ARGS__)
#define app_ws_use(app, ...)                                                                       \
    _Generic((__VA_ARGS__), int (*)(ctx_t *)                                                       \
             : app_ws_use_fn, middleware_t                                                         \
             : app_ws_use_middleware)((app), (__VA_ARGS__), #__VA_ARGS__)
#define middleware(fn) middleware_of((fn), #fn)
#endif

/* --- Making one ------------------------------------------------------------------------------- */

/*
 * Limits and settings. In every struct of options zero means the default, so that
 * &(app_options_t){0} and NULL are all defaults. Sizes are bytes, times are milliseconds. What a
 * client sees when it reaches a limit stands in docs/limits.md.
 */
typedef struct {
    size_t head_size;      /* 16 KiB: request line and headers; beyond it 431, or 414 in the URL */
    size_t header_count;   /* 100 header fields, at most 32,768; 431 */
    size_t body_size;      /* 1 MiB for the functions that read a whole body; 413 */
    size_t drain_size;     /* 1 MiB of a body that no handler read is skipped; beyond it: closed */
    size_t read_ahead;     /* 64 KiB kept of what arrives while a handler is busy */
    uint64_t head_timeout; /* 10 s from the first byte to the end of the headers, in total; 408 */
    uint64_t request_timeout;    /* 300 s from the first byte to the end of the body; 408 */
    uint64_t keep_alive_timeout; /* 5 s of silence between two requests */
    uint64_t write_timeout;      /* 60 s in which a client takes nothing of what waits for it */
    size_t high_water; /* 64 KiB waiting to be sent: from here on ctx_write and ws_send suspend */
} http_options_t;

/* What becomes of a message when more than `buffered_size` bytes wait for one socket. */
typedef enum {
    WS_OVERFLOW_CLOSE,       /* the socket is closed with 1013 */
    WS_OVERFLOW_DROP_NEWEST, /* it is not sent */
    WS_OVERFLOW_DROP_OLDEST  /* those that have waited longest are dropped, to make room */
} ws_overflow_t;

/* A time that never comes: takes a deadline away that has a default. */
#define APP_NEVER UINT64_MAX

/* In place of a yes, or of window bits: no, not even if the client asks for it. */
#define WS_REFUSE (-1)

/*
 * permessage-deflate (RFC 7692): what a server agrees to and how it compresses. Zero is ws's
 * default in all that is agreed on: as the client says. Windows are 2^bits bytes, from 8 to 15.
 *
 * Messages are compressed by one compressor for all sockets, that remembers nothing of the message
 * before: a socket that has agreed to it costs no memory until it receives something compressed (a
 * window and 7 KiB from then on, unless client_no_context_takeover).
 */
typedef struct {
    int server_no_context_takeover; /* true: say so; 0: if the client asks for it */
    int client_no_context_takeover; /* true: demand it */
    int server_max_window_bits; /* say this, and decline an offer of less; 0: as the client says */
    int client_max_window_bits; /* demand this, and decline an offer that doesn't allow it */
    int level;                  /* 1 (quick) to 9 (small); 0: 6 */
    int memory_level;           /* 1 to 9; 0: 8 */
    size_t threshold;           /* 1024 bytes; what is shorter is not compressed */
    bool own_compressor; /* a compressor for each socket, which makes messages smaller that are like
                            the ones before, and holds 256 KiB: all are compressed then, unless
                            server_no_context_takeover. It is given back after a heartbeat's
                            silence */
} ws_deflate_t;

/* Options of the app, and by ws_configure of a single socket. */
typedef struct {
    size_t message_size;    /* 1 MiB a message, all fragments together; close code 1009 */
    size_t fragment_count;  /* 16,384 fragments a message, empty ones too; 1008 */
    size_t message_rate;    /* messages in a second; 0: no limit; 1008 */
    size_t buffered_size;   /* 16 MiB waiting to be sent to one socket; then: */
    ws_overflow_t overflow; /* closed with 1013 */
    uint64_t close_timeout; /* 30 s for the peer to answer a close frame */
    uint64_t heartbeat;    /* 30 s of silence, then a ping; after as much again the socket is cut */
    uint64_t idle_timeout; /* without a message either way: 1001; 0: no limit */
    const ws_deflate_t *deflate; /* NULL: no compression */

    /* for the handshake, and of the app only */
    const char *const *protocols; /* subprotocols, the best first, NULL at the end: the first that
                                     the client offers is chosen, or none; NULL: its first one */
    const char *const *origins;   /* who may connect, "https://example.org", NULL at the end. NULL:
                                     everybody, but not with cookies from another origin: 403 */
    bool any_origin;              /* not even that is looked at */
    size_t sockets;               /* at once; 0: no limit; 503 */
    size_t sockets_per_ip;        /* at once from one ctx_ip; 0: no limit; 429 */
} ws_options_t;

typedef struct {
    /* limits */
    http_options_t http;
    ws_options_t ws;
    size_t connections; /* as many as RLIMIT_NOFILE allows when the app is made, but for 64; beyond
                           it a new one is closed */
    size_t coroutines;  /* 10,000 handlers at once, waiting ones included; beyond it 503, or 1013 */
    size_t memory;      /* 0: no limit; of the whole process, in RAM: beyond it new connections are
                           closed, requests get 503, and sockets that send something 1013 */
    size_t stack_size;  /* 256 KiB of virtual memory for each of them */
    uint64_t drain_timeout; /* 3 s from SIGTERM, or app_close, to the end */
    uint64_t drain_delay;   /* 0: before that so long everything goes on, but app_draining says so:
                               for load balancers to look elsewhere */

    /* settings, as in Koa; strings and lists are copied */
    const char *env; /* NULL: ACACIA_ENV in the environment, else "development"; see app_env */
    bool silent;     /* nothing on stderr: the default error listener and complaints say nothing */
    const char *const *keys;     /* that sign cookies, NULL at the end; the first one signs */
    bool proxy;                  /* believe X-Forwarded-Host, -Proto and -For: see request.h */
    const char *proxy_ip_header; /* NULL: "X-Forwarded-For" */
    size_t max_ips;              /* 0: all that this header names; else the last ones */
    int subdomain_offset;        /* 0: 2 parts of the host's name are the domain; -1: none */

    /* beyond Koa */
    const char *const *trusted_proxies; /* who is believed: "10.0.0.0/8", "::1", "loopback", NULL
                                           at the end; NULL: everybody, if `proxy` */
    bool forwarded;                     /* believe Forwarded (RFC 7239) in place of the X- fields */
    struct uv_loop_s *loop; /* of the program, which runs it; NULL: the app has its own */
} app_options_t;

/* A new app; `options` is copied. NULL when there is no memory (every function here takes a NULL
 * app, and app_listen reports it). */
app_t *app_new_with(const app_options_t *options);
app_t *app_new(void);

/* Free an app that is not running: its layers are destroyed in order. NULL is fine. One whose
 * handlers did not end even when they were cut off is left as it is, since they may still use it.
 */
void app_free(app_t *app);

/*
 * Something of the program's own under a name, for all handlers (Koa's app.context.db = …): there
 * ctx_value(ctx, "db") finds it. `destroy` (may be NULL) is called once: by app_free after the
 * layers were destroyed, when the name gets another value, or at once on UV_ENOMEM. NULL as a value
 * takes the name away.
 */
int app_set_value(app_t *app, const char *name, void *value, void (*destroy)(void *value));
void *app_value(const app_t *app, const char *name);

/* "development", "production", …: what app_options_t.env says. Of all that is here only
 * middleware/error_page.h looks at it. */
const char *app_env(const app_t *app);

/* Other keys for cookies from now on, as app_options_t.keys: to rotate them while it runs. 0;
 * UV_EINVAL if one of them is empty, or there is none; UV_ENOMEM; then the old ones stay. */
int app_set_keys(app_t *app, const char *const *keys);

/* --- Listening -------------------------------------------------------------------------------- */

typedef struct {
    int port;         /* 0: any free one */
    const char *host; /* an address; NULL: all of them, "::" where there is IPv6, else "0.0.0.0" */
    bool ipv6_only;   /* "::" is not for IPv4 as well */
    const char *path; /* a unix socket in place of a port; one that nobody serves is replaced */
    int mode;         /* its permissions, such as 0660; 0: by the umask */
    int fd;           /* a socket that listens already, from systemd for example; 0: none */
    int backlog;      /* 511 */
    bool no_signals;  /* SIGTERM, SIGINT and SIGHUP are the program's own affair */
    const tls_options_t *tls; /* https and wss: see tls.h; NULL: http and ws */
    int https_port; /* every request here is only redirected, to https on this port of the same
                       host: by 301, or 308 if it is neither GET nor HEAD; 0: it is served */
} listen_options_t;

/*
 * The whole life of a simple server, as the last line of main: listen on `port`, say
 * `listening on http://127.0.0.1:PORT` on stdout, serve until SIGTERM or SIGINT, drain, free the
 * app.
 *
 * A PORT in the environment wins over `port`. With ACACIA_TLS_CERT and ACACIA_TLS_KEY in it, two
 * files in PEM, it is https and wss. stdout is switched to line buffering, so that what
 * handlers print is seen at once. A failure is explained on stderr.
 *
 * Draining: no new connections; requests in flight are finished; sockets are closed with 1001; what
 * is not done after `drain_timeout` is cut. A second signal cuts at once. Should a handler not end
 * even then, stuck on a thread of await_work for example, the process exits without it, by
 * _exit(0).
 *
 * Returns 0 after a drain, or the error that kept it from listening. The app is gone in both cases.
 */
int app_listen(app_t *app, int port);

/* The same by options: PORT is not read, and nothing is printed when it goes well. Frees the app.
 */
int app_listen_with(app_t *app, const listen_options_t *options);

/*
 * The same in steps, for programs that listen on several addresses, or want to look at the app
 * afterwards: app_bind opens a listener (port 0 and `app_port`), app_run serves until it is told to
 * stop, app_free frees. Both return 0 or a negative error.
 */
int app_bind(app_t *app, const listen_options_t *options);
int app_run(app_t *app);

/*
 * On a loop of the program's own (app_options_t.loop) app_start takes the place of app_run: it
 * begins to serve and returns; the program runs its loop. After app_close, when the last connection
 * is gone, `stopped` (may be NULL) is called, and nothing of the app keeps the loop running any
 * more. Signals are the program's affair.
 *
 * app_free then needs the loop once more: the memory goes when the program has run it, for a turn,
 * or until uv_loop_close succeeds.
 */
int app_start(app_t *app, void (*stopped)(app_t *app));

/* The port that the first listener is bound to; 0 before app_bind. */
int app_port(const app_t *app);

/* Where listener number `index` (from 0, in the order of binding) listens: "127.0.0.1:3000",
 * "[::]:3000" or the path of a unix socket. UV_ENOENT past the last; UV_ENOBUFS. */
int app_address(const app_t *app, size_t index, char *text, size_t size);

/* Begin to drain, as SIGTERM does; app_run returns when it is done, after drain_timeout at the
 * latest. May be called from handlers. From another thread: by app_post. */
void app_close(app_t *app);

/*
 * Call `fn(app, arg)` once, when the app begins to drain, or in app_free if it has never run: to
 * stop what brings work from elsewhere, such as threads that use app_post. Several are called in
 * the order in which they were added. Must not suspend. 0; UV_ENOMEM; UV_EALREADY when it is
 * draining.
 */
int app_on_close(app_t *app, void (*fn)(app_t *app, void *arg), void *arg);

/* Has that begun, or its drain_delay? */
bool app_draining(const app_t *app);

/* The loop that the app runs on, for uv timers and handles of one's own. They must be closed, or be
 * uv_unref'd, before app_run can return. */
struct uv_loop_s *app_loop(app_t *app);

/* --- Work from elsewhere ---------------------------------------------------------------------- */

/*
 * Call `fn(app, arg)` on the app's thread, soon. The only function here that any thread may call,
 * at any time between app_new and app_free. In the order of the calls. `fn` must not suspend; it
 * may send to sockets, resolve futures, start handlers by app_spawn.
 *
 * Returns 0, or UV_ENOMEM: then it will not be called. What the loop did not get to is called by
 * app_free, so that `arg` is never lost.
 */
int app_post(app_t *app, void (*fn)(app_t *app, void *arg), void *arg);

/*
 * Run `fn(app, arg)` as a handler of its own, that may suspend: a job in the background. It counts
 * as one of `coroutines`, and draining waits for it. Begins in this turn of the loop, after the
 * caller has returned or suspended. Returns 0; UV_EAGAIN when `coroutines` are used up; UV_ENOMEM;
 * UV_ECANCELED when the app is being cut off.
 */
int app_spawn(app_t *app, void (*fn)(app_t *app, void *arg), void *arg);

/* --- Errors ----------------------------------------------------------------------------------- */

/* What was thrown. It and its strings live as long as the ctx. */
typedef struct {
    int code;            /* what the middleware returned: -404, UV_ENOENT, … */
    int status;          /* the HTTP status that it means: 500 for whatever is not one */
    bool expose;         /* the client may see the message: Koa's rule, status < 500 */
    bool header_sent;    /* the response had begun, so no error response could be sent */
    const char *message; /* never NULL */
    void *data;          /* of ctx_throw_with, or NULL */
} ctx_error_t;

/*
 * The `error` event (Koa's app.on('error')): called for every error that no middleware caught,
 * before the error response is sent; also for errors of WebSocket handlers, and for handshakes that
 * are malformed or of a foreign origin (ws's wsClientError). Replaces the default,
 * which prints on stderr what is neither a 404 nor exposed. `ctx` is complete. Must not suspend.
 */
typedef void error_listener_t(ctx_t *ctx, const ctx_error_t *error);
void app_on_error(app_t *app, error_listener_t *listener);

/* The default, for listeners that want it as well (Koa's app.onerror). */
void app_log_error(ctx_t *ctx, const ctx_error_t *error);

/* --- What it is doing ------------------------------------------------------------------------- */

/*
 * Why a connection ended otherwise than both sides wished. Each end is counted, and told on stderr
 * when DEBUG in the environment names `http`, `ws` or `*`. (`app` tells the layers as they are
 * added.)
 */
typedef enum {
    CLOSE_HEAD_TIMEOUT,    /* headers not complete in time */
    CLOSE_REQUEST_TIMEOUT, /* body not complete in time */
    CLOSE_WRITE_TIMEOUT,   /* the client took nothing of its answer */
    CLOSE_BAD_REQUEST,     /* not HTTP, or HTTP that two servers could read differently */
    CLOSE_HEAD_TOO_LARGE,  /* request line, headers, or their number */
    CLOSE_BODY_NOT_READ,   /* more unread body than drain_size */
    CLOSE_ABORTED,         /* the client went away in the middle of a request */
    CLOSE_HANDLER_FAILED,  /* an error after the headers had been sent */
    CLOSE_OVERLOAD,        /* connections or coroutines used up */
    CLOSE_NO_MEMORY,       /* an allocation failed */
    CLOSE_READ_ERROR,      /* reset by the peer, … */
    CLOSE_WRITE_ERROR,
    CLOSE_DRAIN_TIMEOUT, /* not done when the drain deadline came */
    CLOSE_TLS_HANDSHAKE, /* hands could not be shaken: what is said with it tells why */
    CLOSE_TLS_TIMEOUT,   /* … or not in time */
    CLOSE_TLS_PLAINTEXT, /* plain HTTP came to a port for https */
    CLOSE_TLS_RECORD,    /* what came later was no TLS, or changed on its way */
    CLOSE_TLS_TRUNCATED, /* a request broke off, and not by the client's word */
    CLOSE_WS_PROTOCOL,   /* 1002: a frame that RFC 6455 does not allow */
    CLOSE_WS_UTF8,       /* 1007: text that is not UTF-8 */
    CLOSE_WS_DEFLATE,    /* 1007: compressed data that can't be inflated */
    CLOSE_WS_TOO_BIG,    /* 1009 */
    CLOSE_WS_FRAGMENTS,  /* 1008 */
    CLOSE_WS_SLOW,       /* 1013: more than buffered_size waiting for it */
    CLOSE_WS_RATE,       /* 1008: more than message_rate */
    CLOSE_WS_IDLE,       /* 1001: no message within idle_timeout */
    CLOSE_WS_HEARTBEAT,  /* a ping was not answered */
    CLOSE_WS_HANDLER,    /* 1011: a handler failed */
    CLOSE_WS_NO_ANSWER,  /* the peer did not answer our close frame */
    CLOSE_WS_ABNORMAL,   /* 1006: gone without a close frame */
    CLOSE_REASONS
} close_reason_t;

/* The reason as a few words, such as "headers not complete in time". */
const char *close_reason_text(close_reason_t reason);

/* The reason as a word, such as "head_timeout", for metrics. */
const char *close_reason_name(close_reason_t reason);

typedef struct {
    uint64_t requests; /* begun, upgrades included */
    uint64_t errors;   /* told to the error listener */
    uint64_t closed[CLOSE_REASONS];
    uint64_t bytes_received, bytes_sent;       /* over all connections, heads and frames included */
    uint64_t messages_received, messages_sent; /* of WebSockets */
    uint64_t messages_dropped;                 /* by ws.overflow */
    uint64_t handshakes_refused;               /* for their origin, or for `sockets`, … */
    uint64_t tls_handshakes;                   /* that were completed */
    uint64_t tls_resumed;                      /* of those, by a ticket */
    size_t tls_handshakes_active;              /* under way now */
    size_t connections;                        /* open now, WebSockets included */
    size_t websockets;                         /* open now */
    size_t coroutines;                         /* handlers running or waiting now */
    size_t coroutines_pooled;                  /* stacks kept for the next ones */
    size_t requests_active;                    /* requests with memory of their own now */
    size_t frame_contexts;                     /* wslay contexts in use now */
    size_t messages_active; /* WebSocket messages held in memory now, whole or in part */
    size_t read_buffers;    /* bytes that connections hold back, counted in buffers */
    size_t write_buffers;   /* chunks of output that wait to be sent */
    size_t timers;          /* deadlines and sleeps pending */
} app_stats_t;

/* A look at the counters. */
void app_stats(const app_t *app, app_stats_t *stats);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
