#include "runtime/dial.h"

#include "runtime/wait.h"

#include <stdio.h>
#include <stdlib.h>

/* --- Names ------------------------------------------------------------------------------------ */

/* Goes when the answer is there, though nobody may wait for it any more: libuv can't take back what
 * a thread has begun. */
struct lookup {
    uv_getaddrinfo_t request;
    struct wait *wait; /* NULL: given up */
    struct addrinfo *addresses;
};

static void on_looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses) {
    struct lookup *lookup = request->data;
    if (!lookup->wait) {
        uv_freeaddrinfo(addresses);
        free(lookup);
        return;
    }
    lookup->addresses = addresses;
    wait_done(lookup->wait, status);
    lookup->wait = NULL;
}

static int look_up(struct loop *loop, const char *host, uint64_t deadline,
                   struct addrinfo **addresses) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct lookup *lookup = calloc(1, sizeof *lookup);
    struct wait wait = {0};
    if (!lookup)
        return UV_ENOMEM;
    lookup->request.data = lookup;
    int err = uv_getaddrinfo(loop->uv, &lookup->request, on_looked_up, host, NULL, &hints);
    if (err) {
        free(lookup);
        return err;
    }
    lookup->wait = &wait;
    err = wait_until(&wait, deadline);
    if (lookup->wait) { /* it is still under way */
        lookup->wait = NULL;
        uv_cancel((uv_req_t *)&lookup->request);
        return err;
    }
    *addresses = lookup->addresses;
    free(lookup);
    return err;
}

/* --- Sockets ---------------------------------------------------------------------------------- */

/* Goes with the connection if that fails, since libuv holds the request until then. */
struct attempt {
    uv_connect_t request;
    struct wait *wait; /* NULL: given up */
};

static void on_connected(uv_connect_t *request, int status) {
    struct attempt *attempt = request->data;
    if (attempt->wait)
        wait_done(attempt->wait, status);
    attempt->wait = NULL;
}

static void on_shut_down(struct connection *c) {
    connection_close(c, CONNECTION_DONE, UV_ECANCELED);
}

static void on_closed(struct connection *c) {
    struct attempt *attempt = c->owner;
    if (attempt && attempt->wait)
        wait_done(attempt->wait, UV_ECANCELED);
    free(attempt);
}

static const struct connection_events attempt_events = {
    .shut_down = on_shut_down,
    .closed = on_closed,
};

static struct connection *begin(struct loop *loop, uv_handle_type type) {
    struct attempt *attempt = calloc(1, sizeof *attempt);
    struct connection *c = attempt ? connection_new(loop, type) : NULL;
    if (!c) {
        free(attempt);
        return NULL;
    }
    attempt->request.data = attempt;
    connection_own(c, &attempt_events, attempt);
    return c;
}

static int finish(struct connection *c, int err, uint64_t deadline, struct connection **result) {
    struct attempt *attempt = c->owner;
    struct wait wait = {0};
    if (!err) {
        attempt->wait = &wait;
        err = wait_until(&wait, deadline);
    }
    attempt->wait = NULL;
    if (err) {
        connection_close(c, CONNECTION_DONE, err);
        return err;
    }
    free(attempt);
    connection_own(c, &attempt_events, NULL);
    *result = c;
    return 0;
}

static int dial_address(struct loop *loop, const struct sockaddr *address, uint64_t deadline,
                        struct connection **result) {
    struct connection *c = begin(loop, UV_TCP);
    if (!c)
        return UV_ENOMEM;
    struct attempt *attempt = c->owner;
    int err = uv_tcp_connect(&attempt->request, &c->uv.tcp, address, on_connected);
    if (!err)
        uv_tcp_nodelay(&c->uv.tcp, 1);
    return finish(c, err, deadline, result);
}

static int dial_path(struct loop *loop, const char *path, uint64_t deadline,
                     struct connection **result) {
    struct connection *c = begin(loop, UV_NAMED_PIPE);
    if (!c)
        return UV_ENOMEM;
    struct attempt *attempt = c->owner;
    uv_pipe_connect(&attempt->request, connection_pipe(c), path, on_connected);
    return finish(c, 0, deadline, result);
}

/* --- All of it -------------------------------------------------------------------------------- */

static bool is_address(const struct dial_target *target, struct sockaddr_storage *address) {
    return uv_ip4_addr(target->host, target->port, (struct sockaddr_in *)address) == 0 ||
           uv_ip6_addr(target->host, target->port, (struct sockaddr_in6 *)address) == 0;
}

static void set_port(struct sockaddr *address, int port) {
    if (address->sa_family == AF_INET)
        ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
    else if (address->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
}

int dial(struct loop *loop, const struct dial_target *target, uint64_t deadline,
         struct connection **connection) {
    struct sockaddr_storage address;
    struct addrinfo *addresses = NULL;
    if (target->path)
        return dial_path(loop, target->path, deadline, connection);
    if (is_address(target, &address))
        return dial_address(loop, (struct sockaddr *)&address, deadline, connection);
    int err = look_up(loop, target->host, deadline, &addresses);
    bool retry = !err;
    for (struct addrinfo *at = addresses; at && retry; at = at->ai_next) {
        set_port(at->ai_addr, target->port);
        err = dial_address(loop, at->ai_addr, deadline, connection);
        retry = err && err != UV_ETIMEDOUT && err != UV_ECANCELED && err != UV_ENOMEM;
    }
    uv_freeaddrinfo(addresses);
    return err;
}
