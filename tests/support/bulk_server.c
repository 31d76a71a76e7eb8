/* What is too big for memory: a file of FILE in the environment, streams without an end, uploads.
 */
#include <acacia.h>

#include <stdlib.h>
#include <string.h>

#define PIECE 65536

static char piece[PIECE];

static int file(ctx_t *ctx) {
    return ctx_file(ctx, getenv("FILE"));
}

static ssize_t read_endless(ctx_t *ctx, void *state, void *buffer, size_t size) {
    memset(buffer, 'x', size);
    return (ssize_t)size;
}

static int endless(ctx_t *ctx) {
    return ctx_stream(ctx, (body_stream_t){.read = read_endless});
}

static int written(ctx_t *ctx) {
    int err = 0;
    while (!err)
        err = ctx_write(ctx, piece, sizeof piece);
    return err;
}

/* How much came, and a sum over all of it. */
static int upload(ctx_t *ctx) {
    static char buffer[PIECE];
    uint64_t length = 0, sum = 0;
    ssize_t n;
    while ((n = ctx_read(ctx, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            sum += (unsigned char)buffer[i];
        length += (uint64_t)n;
    }
    return n < 0 ? (int)n
                 : ctx_textf(ctx, "%llu %llu", (unsigned long long)length, (unsigned long long)sum);
}

static int stats(ctx_t *ctx) {
    app_stats_t stats;
    app_stats(ctx->app, &stats);
    return ctx_textf(ctx, "%zu %zu %zu", stats.connections, stats.coroutines, stats.write_buffers);
}

int main(void) {
    app_t *app = app_new();
    app_use(app, route_get("/file", file));
    app_use(app, route_get("/endless", endless));
    app_use(app, route_get("/written", written));
    app_use(app, route_post("/upload", upload));
    app_use(app, route_get("/stats", stats));
    return app_listen(app, 3000);
}
