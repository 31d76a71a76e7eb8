/* The opening handshake on the client's side (RFC 6455 4.1), as the npm package ws does it. */
#ifndef ACACIA_CLIENT_HANDSHAKE_H
#define ACACIA_CLIENT_HANDSHAKE_H

#include "protocols/extension.h"
#include "protocols/http1_response.h"

struct client_handshake {
    const char *target;                    /* "/chat?room=1" */
    const char *host;                      /* "example.org:8080" */
    const char *origin, *authorization;    /* or NULL */
    const char *const *protocols;          /* NULL at the end; or NULL */
    const char *const *headers;            /* name, value, …, NULL; or NULL. A Host, Origin or
                                              Authorization here takes the place of ours */
    const struct deflate_options *deflate; /* to be offered; or NULL */
    char key[25];
};

/* Make a key and the request, in the arena. 0, UV_ENOMEM, UV_EIO when there are no random bytes. */
int client_handshake_write(struct client_handshake *handshake, struct arena *arena,
                           const char **request, size_t *length);

/* What the server has agreed to. */
struct client_agreement {
    const char *protocol; /* or NULL; of `protocols` */
    bool compressed;
    struct deflate_agreement deflate;
};

/* Check the server's answer, of status 101. 0; UV_EPROTO and *why, static; UV_ENOMEM. */
int client_handshake_check(const struct client_handshake *handshake, struct arena *arena,
                           const struct http1_response *response,
                           struct client_agreement *agreement, const char **why);

#endif
