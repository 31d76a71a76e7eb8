#include "protocols/openssl/tls_session.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#define CHATTER_MAX 32 /* changes of keys and the like, with nothing said in between */

static struct tls_session *session_of(const SSL *ssl) {
    return SSL_get_app_data(ssl);
}

/* --- Between OpenSSL and the connection: a BIO -------------------------------------------------
 */

static int bio_read(BIO *bio, char *to, int size) {
    struct tls_session *s = BIO_get_data(bio);
    size_t n = s->input_length < (size_t)size ? s->input_length : (size_t)size;
    BIO_clear_retry_flags(bio);
    if (s->chatter > CHATTER_MAX)
        return -1;
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(to, s->input, n);
    s->input += n;
    s->input_length -= n;
    return (int)n;
}

static int bio_write(BIO *bio, const char *from, int n) {
    struct tls_session *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (filter_put(&s->filter, from, (size_t)n))
        return n;
    s->out_of_memory = true;
    return -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_session_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "acacia");
    if (method && BIO_meth_set_read(method, bio_read) && BIO_meth_set_write(method, bio_write) &&
        BIO_meth_set_ctrl(method, bio_control))
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* --- What OpenSSL asks ------------------------------------------------------------------------ */

/* The certificate for the name that the client wants. */
static int choose_certificate(SSL *ssl, void *arg) {
    struct tls_session *s = session_of(ssl);
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    char lower[256];
    size_t n = name ? strlen(name) : 0;
    if (n == 0 || n >= sizeof lower)
        return 1;
    for (size_t i = 0; i <= n; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    struct tls_identity *identity = tls_material_find(s->material, lower);
    if (!identity)
        identity = tls_server_choose(s->server, lower);
    if (!identity)
        return 1;
    s->identity = tls_identity_hold(identity);
    return tls_identity_use(identity, ssl);
}

/* What the authority says of the certificate, if that still holds. */
static int staple(SSL *ssl, void *arg) {
    struct tls_session *s = session_of(ssl);
    struct tls_identity *identity = s->identity ? s->identity : s->material->identity;
    if (!identity->ocsp || (identity->ocsp_until && identity->ocsp_until <= time(NULL)))
        return SSL_TLSEXT_ERR_NOACK;
    unsigned char *copy = OPENSSL_memdup(identity->ocsp, (size_t)identity->ocsp_length);
    if (!copy)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, identity->ocsp_length);
    return SSL_TLSEXT_ERR_OK;
}

static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int sealing) {
    return tls_server_ticket_key(session_of(ssl)->server, name, iv, cipher, mac, sealing);
}

/* Every message of TLS: there are few of them once hands are shaken. */
static void on_message(int written, int version, int type, const void *data, size_t n, SSL *ssl,
                       void *arg) {
    if (type == SSL3_RT_HANDSHAKE && !written && session_of(ssl)->open)
        session_of(ssl)->chatter++;
}

void tls_session_set_callbacks(SSL_CTX *ctx) {
    SSL_CTX_set_cert_cb(ctx, choose_certificate, NULL);
    SSL_CTX_set_tlsext_status_cb(ctx, staple);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key);
}

void tls_session_watch(SSL_CTX *ctx) {
    SSL_CTX_set_msg_callback(ctx, on_message);
}

/* --- Ending ----------------------------------------------------------------------------------- */

static const char went_away[] = "the other side went away in the middle of it";

/* OpenSSL's words for its error, and those about the certificate if it was that. */
static void explain(struct tls_session *s, unsigned long error) {
    char text[TLS_WHY];
    bool refused = ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED;
    if (s->reason)
        return;
    s->refused = refused;
    if (s->chatter > CHATTER_MAX)
        snprintf(text, sizeof text, "too many messages of TLS without anything said");
    else if (refused)
        snprintf(text, sizeof text, "%s: %s", tls_reason(error),
                 X509_verify_cert_error_string(SSL_get_verify_result(s->ssl)));
    else
        snprintf(text, sizeof text, "%s", tls_reason(error));
    s->reason = strdup(text);
}

/* Something went wrong: take what OpenSSL says of it before it is used again. */
static void take_error(struct tls_session *s) {
    unsigned long error = tls_take_error();
    s->out_of_memory = s->out_of_memory || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
    if (!s->out_of_memory)
        explain(s, error);
}

/* What a call that has not succeeded comes to; tls_forget was called before it. */
static int judge(struct tls_session *s, int result) {
    int verdict = SSL_get_error(s->ssl, result);
    if (verdict == SSL_ERROR_WANT_READ || verdict == SSL_ERROR_ZERO_RETURN)
        return verdict;
    take_error(s);
    return SSL_ERROR_SSL;
}

void tls_session_fail(struct tls_session *s, close_reason_t reason, const char *text) {
    struct connection *c = s->filter.connection;
    if (text && !s->reason)
        s->reason = strdup(text);
    s->filter.ended = true;
    connection_blame(c, reason);
    connection_finish(c, true);
    if (s->events->failed)
        s->events->failed(s);
}

/* An error of OpenSSL's, while hands are shaken. */
static void fail(struct tls_session *s) {
    if (s->out_of_memory)
        connection_close(s->filter.connection, CLOSE_NO_MEMORY, UV_ENOMEM);
    else
        tls_session_fail(s, CLOSE_TLS_HANDSHAKE, went_away);
}

/* The same later. The peer is told, if its socket takes it. */
static void break_off(struct tls_session *s) {
    struct connection *c = s->filter.connection;
    s->filter.ended = true;
    connection_flush(c);
    connection_close(c, c->reason, s->out_of_memory ? UV_ENOMEM : UV_EPROTO);
}

/* --- Shaking hands ---------------------------------------------------------------------------- */

void tls_session_advance(struct tls_session *s) {
    tls_forget();
    int result = SSL_do_handshake(s->ssl);
    if (result == 1) {
        s->open = true;
        connection_flush(s->filter.connection); /* tickets are not to wait for a first answer */
        if (connection_is_open(s->filter.connection))
            s->events->ready(s);
        return;
    }
    if (judge(s, result) != SSL_ERROR_WANT_READ)
        fail(s);
}

bool tls_session_begin(struct tls_session *s, struct tls_material *material, bool client) {
    BIO *bio = BIO_new(material->method);
    SSL *ssl = bio ? SSL_new(material->ctx) : NULL;
    if (!ssl || !SSL_set_app_data(ssl, s)) {
        BIO_free(bio);
        SSL_free(ssl);
        tls_forget();
        return false;
    }
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    if (client)
        SSL_set_connect_state(ssl);
    else
        SSL_set_accept_state(ssl);
    s->ssl = ssl;
    s->material = tls_material_hold(material);
    return true;
}

/* --- The filter ------------------------------------------------------------------------------- */

/* Open all records that are complete. They become one piece at the start of the loop's buffer: what
 * has not been opened is always far enough behind. */
static void open_records(struct tls_session *s) {
    struct connection *c = s->filter.connection;
    struct loop *loop = c->loop;
    char *plain = loop->read_buffer->data, *end = plain + LOOP_READ_BUFFER + FILTER_MARGIN;
    size_t length = 0, got;
    int result;
    tls_forget();
    do {
        const char *limit = s->input_length ? s->input : end;
        result = SSL_read_ex(s->ssl, plain + length, (size_t)(limit - plain) - length, &got);
        if (result == 1) {
            length += got;
            s->chatter = 0;
        }
    } while (result == 1 && (s->input_length || SSL_has_pending(s->ssl)));
    int verdict = result == 1 ? SSL_ERROR_NONE : judge(s, result);
    if (verdict == SSL_ERROR_SSL) /* now: whoever answers what is delivered fails, too */
        connection_blame(c, s->out_of_memory ? CLOSE_NO_MEMORY : CLOSE_TLS_RECORD);
    if (length) {
        filter_use(&s->filter);
        connection_deliver(c, plain, (ssize_t)length);
    }
    if (!connection_is_open(c))
        return;
    if (verdict == SSL_ERROR_ZERO_RETURN)
        filter_exhaust(&s->filter);
    else if (verdict == SSL_ERROR_SSL)
        break_off(s);
}

/* RFC 8446 6.1: an end without close_notify may be somebody else's doing. What that means is for
 * the owner to say. */
static void on_socket_end(struct tls_session *s, ssize_t n) {
    struct connection *c = s->filter.connection;
    if (s->open || n != UV_EOF) {
        c->truncated = n == UV_EOF;
        connection_deliver(c, NULL, n);
        return;
    }
    if (s->ssl && !s->reason)
        s->reason = strdup(went_away);
    connection_close(c, s->ssl ? CLOSE_TLS_HANDSHAKE : CONNECTION_DONE, 0);
}

static void receive(struct filter *filter, char *data, ssize_t n) {
    struct tls_session *s = (struct tls_session *)filter;
    struct connection *c = filter->connection;
    if (n < 0) {
        on_socket_end(s, n);
        return;
    }
    if (!s->ssl && !tls_server_welcome(s, data))
        return;
    s->input = data;
    s->input_length = (size_t)n;
    if (!s->open)
        tls_session_advance(s);
    if (s->open && connection_is_open(c))
        open_records(s);
    s->input = NULL;
    s->input_length = 0;
}

static int seal(struct filter *filter, const char *data, size_t n) {
    struct tls_session *s = (struct tls_session *)filter;
    size_t sealed;
    if (SSL_write_ex(s->ssl, data, n, &sealed) == 1)
        return 0;
    take_error(s);
    return s->out_of_memory ? UV_ENOMEM : UV_EPROTO;
}

static void end(struct filter *filter) {
    struct tls_session *s = (struct tls_session *)filter;
    if (s->open)
        SSL_shutdown(s->ssl);
    tls_forget();
}

/* OpenSSL allocates its buffers, 34 KiB, for each record; those of a connection that is busy stay.
 * What has half a record in them must not be freed: before 3.0.14 it was (CVE-2024-4741). */
static void keep_buffers(struct filter *filter, bool keep) {
    SSL *ssl = ((struct tls_session *)filter)->ssl;
    if (keep) {
        SSL_clear_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
        return;
    }
    SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    if (strcmp(SSL_rstate_string(ssl), "RH") == 0)
        SSL_free_buffers(ssl);
}

static void free_session(struct filter *filter) {
    struct tls_session *s = (struct tls_session *)filter;
    SSL_free(s->ssl);
    tls_identity_free(s->identity);
    tls_material_release(s->material);
    free(s->reason);
    free(s);
}

static const char *reason(const struct filter *filter) {
    return ((const struct tls_session *)filter)->reason;
}

static const struct filter_ops tls_filter = {
    .receive = receive,
    .seal = seal,
    .end = end,
    .busy = keep_buffers,
    .free = free_session,
    .reason = reason,
};

struct tls_session *tls_session_of(const struct connection *c) {
    return c->filter && c->filter->ops == &tls_filter ? (struct tls_session *)c->filter : NULL;
}

/* --- The connection's events, while hands are shaken ------------------------------------------ */

/* A server that speaks first, before its client has asked for anything. */
static void on_data(struct connection *c, char *data, size_t n) {
    connection_close(c, CLOSE_TLS_RECORD, UV_EPROTO);
}

static void on_end(struct connection *c) {
    connection_close(c, CLOSE_TLS_HANDSHAKE, UV_ECONNRESET);
}

static void on_timeout(struct connection *c) {
    connection_close(c, CLOSE_TLS_TIMEOUT, UV_ETIMEDOUT);
}

static void on_shut_down(struct connection *c) {
    connection_close(c, CONNECTION_DONE, UV_ECANCELED);
}

static void on_closed(struct connection *c) {
    struct tls_session *s = c->owner;
    s->events->closed(s);
}

static const struct connection_events handshake_events = {
    .data = on_data,
    .end = on_end,
    .timeout = on_timeout,
    .shut_down = on_shut_down,
    .closed = on_closed,
};

struct tls_session *tls_session_new(struct connection *c, const struct tls_session_events *events,
                                    void *owner) {
    struct tls_session *s = calloc(1, sizeof *s);
    if (!s || !filter_attach(&s->filter, &tls_filter, c)) {
        free(s);
        return NULL;
    }
    s->events = events;
    s->owner = owner;
    connection_own(c, &handshake_events, s);
    return s;
}
