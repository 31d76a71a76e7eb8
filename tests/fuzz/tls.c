/*
 * What comes to a port for TLS before hands are shaken: ClientHellos, the names in them, HTTP, and
 * whatever else. The first two bytes say in which pieces. Names reach on_server_name in lower case
 * and whole; a client that has closed its side leaves nothing.
 */
#include "server.h"

#include "protocols/openssl/tls_server.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static app_t *app;
static struct tls_server *server;

static void check(bool holds) {
    if (!holds)
        abort();
}

static tls_identity_t *on_server_name(const char *name, void *state) {
    size_t length = strlen(name);
    check(length > 0 && length < 256);
    for (size_t i = 0; i < length; i++)
        check(!isupper((unsigned char)name[i]));
    return strcmp(name, "second.example") == 0 ? state : NULL;
}

static void start(void) {
    static const char *const hosts[] = {"localhost", NULL}, *const names[] = {"example.org",
                                                                              "*.example.org",
                                                                              NULL};
    char folder[] = "/tmp/acacia-fuzz-XXXXXX", cert[64], key[64], why[256] = "";
    check(mkdtemp(folder));
    snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    check(tls_make_self_signed(cert, key, hosts, 30) == 0);
    const tls_certificate_t sni[] = {{.cert_file = cert, .key_file = key, .names = names}, {0}};
    app = app_new_with(&(app_options_t){.silent = true});
    const tls_options_t options = {
        .cert_file = cert,
        .key_file = key,
        .sni = sni,
        .on_server_name = on_server_name,
        .state = tls_identity_new(&sni[0], why, sizeof why),
    };
    check(options.state && app_open_tls(app, &options, &server) == 0);
    uv_ref((uv_handle_t *)&app->awake); /* the loop goes on, as if the app served */
    unlink(cert);
    unlink(key);
    rmdir(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int ends[2];
    if (size < 3 || size > 8192)
        return 0;
    if (!app)
        start();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        abort();
    struct connection *c = connection_new(&app->loop, UV_NAMED_PIPE);
    uv_pipe_open(connection_pipe(c), ends[1]);
    check(tls_server_accept(server, c));
    size_t piece = data[0] + 256u * (data[1] & 15) + 1;
    for (data += 2, size -= 2; size > 0;) {
        size_t n = size < piece ? size : piece;
        if (send(ends[0], data, n, MSG_NOSIGNAL) < 0)
            break;
        turn(app, ends[0]);
        data += n;
        size -= n;
    }
    come_to_rest(app, ends[0]);
    check(tls_server_counts(server)->active == 0);
    return 0;
}
