#include "protocols/ws_deflate.h"

#include "protocols/ws_peer.h"

#include <stdlib.h>

#define IDLE_INFLATERS 8      /* that are kept for the next messages */
#define KEPT_OUTPUT (1 << 20) /* bytes of the buffer that are not given back */

/* A deflater that keeps no context. Sockets agree on windows, and routes have levels: as a rule
 * there is one, or two. */
struct compressor {
    struct compressor *next;
    int window_bits, level, memory_level;
    struct deflater deflater;
};

/* What a socket has for itself, each NULL until there is something for it to do. */
struct ws_flaters {
    struct inflater *inflater;
    struct deflater *deflater;
};

struct ws_compressors {
    struct compressor *list;
    struct deflate_buffer output;
    struct inflater *inflaters[IDLE_INFLATERS];
    size_t inflater_count;
};

/* --- What is shared --------------------------------------------------------------------------- */

struct ws_compressors *ws_compressors_new(void) {
    return calloc(1, sizeof(struct ws_compressors));
}

static void free_inflater(struct inflater *inflater) {
    if (inflater)
        inflater_free(inflater);
    free(inflater);
}

void ws_compressors_free(struct ws_compressors *compressors) {
    if (!compressors)
        return;
    for (struct compressor *compressor = compressors->list, *next; compressor; compressor = next) {
        next = compressor->next;
        deflater_free(&compressor->deflater);
        free(compressor);
    }
    for (size_t i = 0; i < compressors->inflater_count; i++)
        free_inflater(compressors->inflaters[i]);
    deflate_buffer_free(&compressors->output);
    free(compressors);
}

static struct deflater_options deflater_options(const struct ws_peer *peer, bool no_context) {
    const ws_deflate_t *options = peer->options->deflate;
    return (struct deflater_options){
        .window_bits = peer->deflate.send_bits,
        .level = options->level,
        .memory_level = options->memory_level,
        .no_context_takeover = no_context,
    };
}

static struct deflater *shared_deflater(struct ws_peer *peer) {
    struct ws_compressors *compressors = peer->all->compressors;
    const ws_deflate_t *wanted = peer->options->deflate;
    for (struct compressor *c = compressors->list; c; c = c->next)
        if (c->window_bits == peer->deflate.send_bits && c->level == wanted->level &&
            c->memory_level == wanted->memory_level)
            return &c->deflater;
    struct compressor *c = malloc(sizeof *c);
    if (!c)
        return NULL;
    *c = (struct compressor){
        .next = compressors->list,
        .window_bits = peer->deflate.send_bits,
        .level = wanted->level,
        .memory_level = wanted->memory_level,
    };
    struct deflater_options options = deflater_options(peer, true);
    deflater_init(&c->deflater, &options);
    compressors->list = c;
    return &c->deflater;
}

/* --- A socket's life -------------------------------------------------------------------------- */

void ws_deflate_start(struct ws_peer *peer, const struct deflate_agreement *agreement) {
    bool client = peer->client;
    peer->deflate = (struct ws_deflate){
        .send_bits = client ? agreement->client_max_window_bits : agreement->server_max_window_bits,
        .receive_bits =
            client ? agreement->server_max_window_bits : agreement->client_max_window_bits,
        .send_no_context =
            client ? agreement->client_no_context_takeover : agreement->server_no_context_takeover,
        .receive_no_context =
            client ? agreement->server_no_context_takeover : agreement->client_no_context_takeover,
    };
}

/* NULL when there is no memory. */
static struct ws_flaters *have_flaters(struct ws_peer *peer) {
    if (!peer->flaters)
        peer->flaters = calloc(1, sizeof *peer->flaters);
    return peer->flaters;
}

void ws_deflate_free(struct ws_peer *peer) {
    struct ws_flaters *flaters = peer->flaters;
    if (!flaters)
        return;
    if (flaters->deflater)
        deflater_free(flaters->deflater);
    free(flaters->deflater);
    free_inflater(flaters->inflater);
    free(flaters);
    peer->flaters = NULL;
}

void ws_deflate_idle(struct ws_peer *peer) {
    struct ws_flaters *flaters = peer->flaters;
    if (flaters && flaters->deflater && !peer->deflate.sending)
        deflater_release(flaters->deflater);
    if (flaters && flaters->inflater)
        inflater_release(flaters->inflater); /* without memory it stays as it is */
}

void ws_deflate_forget(struct ws_peer *peer) {
    if (peer->flaters && peer->flaters->deflater)
        deflater_reset(peer->flaters->deflater);
}

/* --- Inflating -------------------------------------------------------------------------------- */

static struct inflater *take_inflater(struct ws_compressors *compressors,
                                      const struct ws_deflate *deflate) {
    if (deflate->receive_no_context && compressors->inflater_count > 0)
        return compressors->inflaters[--compressors->inflater_count];
    struct inflater *inflater = malloc(sizeof *inflater);
    if (inflater) /* without context a larger window than agreed on does no harm */
        inflater_init(inflater, deflate->receive_no_context ? 15 : deflate->receive_bits,
                      deflate->receive_no_context);
    return inflater;
}

static void give_inflater(struct ws_compressors *compressors, struct inflater *inflater) {
    if (compressors->inflater_count < IDLE_INFLATERS)
        compressors->inflaters[compressors->inflater_count++] = inflater;
    else
        free_inflater(inflater);
}

static int take_inflated(void *owner, const char *data, size_t n) {
    return ws_incoming_add(owner, data, n);
}

int ws_inflate(struct ws_peer *peer, struct ws_incoming *in, const char *data, size_t n, bool fin) {
    struct ws_flaters *flaters = have_flaters(peer);
    size_t limit = in->reading.pieces ? SIZE_MAX : peer->options->message_size;
    struct ws_compressors *compressors = peer->all->compressors;
    if (flaters && !flaters->inflater)
        flaters->inflater = take_inflater(compressors, &peer->deflate);
    if (!flaters || !flaters->inflater)
        return UV_ENOMEM;
    int err = inflater_feed(flaters->inflater, data, n, fin, limit, take_inflated, in);
    if (!err && fin && peer->deflate.receive_no_context) {
        give_inflater(compressors, flaters->inflater);
        flaters->inflater = NULL;
    }
    return err;
}

/* --- Compressing ------------------------------------------------------------------------------ */

bool ws_deflate_wants(const struct ws_peer *peer, const struct ws_outgoing *out) {
    const ws_deflate_t *options = peer->options->deflate;
    if (!ws_deflate_is_on(&peer->deflate) || out->plain ||
        (out->fragment && !options->own_compressor))
        return false;
    return deflate_is_worthwhile(&(struct deflate_options){.threshold = options->threshold},
                                 !options->own_compressor || peer->deflate.send_no_context,
                                 out->length);
}

static int compress(struct ws_compressors *compressors, struct deflater *deflater,
                    const struct ws_outgoing *out, const char **data, size_t *length) {
    struct deflate_buffer *output = &compressors->output;
    if (output->capacity > KEPT_OUTPUT)
        deflate_buffer_free(output);
    output->length = 0;
    int err = deflater_feed(deflater, out->data, out->length, !out->fragment || out->last,
                            deflate_buffer_take, output);
    *data = output->data;
    *length = output->length;
    return err;
}

int ws_deflate_shared(struct ws_peer *peer, const struct ws_outgoing *out, const char **data,
                      size_t *length) {
    struct deflater *deflater = shared_deflater(peer);
    if (!deflater)
        return UV_ENOMEM;
    return compress(peer->all->compressors, deflater, out, data, length);
}

static struct deflater *own_deflater(struct ws_peer *peer) {
    struct deflater_options options = deflater_options(peer, peer->deflate.send_no_context);
    struct deflater *deflater = malloc(sizeof *deflater);
    if (deflater)
        deflater_init(deflater, &options);
    return deflater;
}

int ws_deflate(struct ws_peer *peer, const struct ws_outgoing *out, const char **data,
               size_t *length) {
    if (!peer->options->deflate->own_compressor)
        return ws_deflate_shared(peer, out, data, length);
    struct ws_flaters *flaters = have_flaters(peer);
    if (flaters && !flaters->deflater)
        flaters->deflater = own_deflater(peer);
    if (!flaters || !flaters->deflater)
        return UV_ENOMEM;
    return compress(peer->all->compressors, flaters->deflater, out, data, length);
}
