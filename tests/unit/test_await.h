/* What the tests of waiting share: a loop without an app, coroutines on it, and a trail. */
#include "await.h"
#include "runtime/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT 100 /* of coroutines */
#define HOUR 3600000

static uv_loop_t uv;
static struct loop loop;
static uv_async_t awake; /* the loop's own handles don't keep libuv running */
static char trail[64];

static inline void mark(char c) {
    size_t n = strlen(trail);
    trail[n] = c;
    trail[n + 1] = '\0';
}

static inline int open_loop(void **state) {
    setenv("UV_THREADPOOL_SIZE", "4", 1); /* heeded when the pool is used first */
    trail[0] = '\0';
    uv_loop_init(&uv);
    uv_async_init(&uv, &awake, NULL);
    return loop_init(&loop, &uv, 256 * 1024, LIMIT);
}

static inline int close_loop(void **state) {
    uv_close((uv_handle_t *)&awake, NULL);
    loop_close(&loop);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(loop.handles_open, 0);
    assert_int_equal(loop.coroutines.live_count, 0);
    assert_ptr_equal(loop.ready_last, &loop.ready);
    loop_destroy(&loop);
    return uv_loop_close(&uv);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, open_loop, close_loop)

static inline void run(coroutine_fn *fn, void *arg) {
    assert_int_equal(coroutine_start(&loop.coroutines, fn, arg), 0);
}

static inline void stop_when_all_ended(struct loop *l) {
    if (!l->coroutines.live_count)
        uv_stop(l->uv);
}

static inline void run_until_all_ended(void) {
    loop.settled = stop_when_all_ended;
    if (loop.coroutines.live_count)
        uv_run(&uv, UV_RUN_DEFAULT);
    loop.settled = NULL;
}

/* Let the loop turn once, without waiting for anything. */
static inline void turn(void) {
    uv_run(&uv, UV_RUN_NOWAIT);
}

/* Until somebody has left this mark. */
static inline void run_until(char c) {
    for (turn(); !strchr(trail, c); turn())
        usleep(200);
}

/* --- Threads that are kept busy --------------------------------------------------------------- */

#define THREADS 4

static uv_sem_t begun, go_on;

/* For await_work: says that it has begun, and ends when it is told to. */
static inline void hold_thread(void *arg) {
    uv_sem_post(&begun);
    uv_sem_wait(&go_on);
}

static inline void open_gates(void) {
    uv_sem_init(&begun, 0);
    uv_sem_init(&go_on, 0);
}

static inline void close_gates(void) {
    uv_sem_destroy(&begun);
    uv_sem_destroy(&go_on);
}

static inline void holder(void *arg) {
    await_work(hold_thread, NULL);
}

/* Nothing that is queued now begins before release_threads. */
static inline void hold_all_threads(void) {
    open_gates();
    for (int i = 0; i < THREADS; i++)
        run(holder, NULL);
    for (int i = 0; i < THREADS; i++)
        uv_sem_wait(&begun);
}

static inline void release_threads(void) {
    for (int i = 0; i < THREADS; i++)
        uv_sem_post(&go_on);
}
