/*
 * Measurements from a thread of the program's own, 200 in a second, as binary frames to everybody
 * who looks. Who is too slow misses some: the oldest are dropped. The page plots what comes.
 */
#include <acacia.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHANNELS 4

/* A measurement: its number and a value of each channel, as the page reads them. */
struct sample {
    double number;
    float values[CHANNELS];
};

struct producer {
    app_t *app;
    uv_thread_t thread;
    atomic_bool stopped;
    atomic_int waiting; /* samples that the loop has not got to yet */
};

/* --- The loop's side -------------------------------------------------------------------------- */

struct parcel {
    struct producer *producer;
    struct sample sample;
};

static void publish(app_t *app, void *arg) {
    struct parcel *parcel = arg;
    atomic_fetch_sub(&parcel->producer->waiting, 1);
    ws_publish(app, "live",
               (ws_message_t){
                   .data = (const char *)&parcel->sample,
                   .length = sizeof parcel->sample,
                   .binary = true,
               },
               NULL);
    free(parcel);
}

static int watch(ctx_t *ctx) {
    int err = ws_configure(ctx->websocket, &(ws_options_t){
                                               .buffered_size = 64 * 1024,
                                               .overflow = WS_OVERFLOW_DROP_OLDEST,
                                           });
    return err ? err : ws_join(ctx->websocket, "live");
}

static int page(ctx_t *ctx) {
    return ctx_file(ctx, PAGE_DIR "/telemetry.html");
}

/* --- The producer's side: its own thread -------------------------------------------------------
 */

/* Some curves, in place of a sensor. */
static void measure(struct sample *sample, double number) {
    sample->number = number;
    for (int i = 0; i < CHANNELS; i++)
        sample->values[i] =
            (float)(sin(number / (20.0 + 15 * i)) + 0.1 * ((double)rand() / RAND_MAX - 0.5));
}

/* If the loop has no time they are dropped here, before they are anywhere. */
static void produce(void *arg) {
    struct producer *producer = arg;
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    for (double number = 0; !atomic_load(&producer->stopped); number++) {
        struct parcel *parcel =
            atomic_load(&producer->waiting) < 100 ? malloc(sizeof *parcel) : NULL;
        nanosleep(&pause, NULL);
        if (!parcel)
            continue;
        memset(parcel, 0, sizeof *parcel);
        parcel->producer = producer;
        measure(&parcel->sample, number);
        atomic_fetch_add(&producer->waiting, 1);
        if (app_post(producer->app, publish, parcel)) {
            atomic_fetch_sub(&producer->waiting, 1);
            free(parcel);
        }
    }
}

/* No thread may post to an app that is gone. */
static void stop(app_t *app, void *arg) {
    struct producer *producer = arg;
    atomic_store(&producer->stopped, true);
    uv_thread_join(&producer->thread);
}

int main(void) {
    static struct producer producer;
    app_t *app = producer.app = app_new();
    app_use(app, route_get("/", page));
    app_ws_use(app, route_all("/live", watch));
    if (uv_thread_create(&producer.thread, produce, &producer) == 0)
        app_on_close(app, stop, &producer);
    return app_listen(app, 3000);
}
