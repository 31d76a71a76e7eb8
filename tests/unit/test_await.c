/* Waiting: sleep, work, poll, futures, files, and the end of it all. */
#include "await.h"
#include "runtime/fs.h"
#include "runtime/wait.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uv_loop_t uv;
static struct loop loop;
static uv_async_t awake; /* the loop's own handles don't keep libuv running */
static char trail[64];

static void mark(char c) {
    size_t n = strlen(trail);
    trail[n] = c;
    trail[n + 1] = '\0';
}

static int open_loop(void **state) {
    trail[0] = '\0';
    uv_loop_init(&uv);
    uv_async_init(&uv, &awake, NULL);
    return loop_init(&loop, &uv, 256 * 1024, 100);
}

static int close_loop(void **state) {
    uv_close((uv_handle_t *)&awake, NULL);
    loop_close(&loop);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(loop.handles_open, 0);
    loop_destroy(&loop);
    return uv_loop_close(&uv);
}

static void run(coroutine_fn *fn, void *arg) {
    assert_int_equal(coroutine_start(&loop.coroutines, fn, arg), 0);
}

static void stop_when_all_ended(struct loop *l) {
    if (!l->coroutines.live_count)
        uv_stop(l->uv);
}

static void run_until_all_ended(void) {
    loop.settled = stop_when_all_ended;
    if (loop.coroutines.live_count)
        uv_run(&uv, UV_RUN_DEFAULT);
    loop.settled = NULL;
}

static void sleeper(void *arg) {
    uint64_t ms = *(uint64_t *)arg;
    assert_int_equal(await_sleep(ms), 0);
    mark((char)('0' + ms / 10));
}

static void test_sleeps_end_in_order(void **state) {
    uint64_t times[] = {30, 10, 20, 0};
    for (int i = 0; i < 4; i++)
        run(sleeper, &times[i]);
    run_until_all_ended();
    assert_string_equal(trail, "0123");
}

static void test_outside_of_a_coroutine(void **state) {
    future_t *future = future_new();
    assert_int_equal(await_sleep(1), UV_EINVAL);
    assert_int_equal(await_work(NULL, NULL), UV_EINVAL);
    assert_int_equal(await_poll(0, UV_READABLE, 0), UV_EINVAL);
    assert_int_equal(await_future(future, NULL), UV_EINVAL);
    assert_int_equal(fs_open("/"), UV_EINVAL);
    future_resolve(future, 0, NULL);
    future_free(future);
}

static void square(void *arg) {
    *(int *)arg *= *(int *)arg;
}

static void worker(void *arg) {
    assert_int_equal(await_work(square, arg), 0);
    mark('w');
}

static void test_work(void **state) {
    int numbers[20];
    for (int i = 0; i < 20; i++) {
        numbers[i] = i;
        run(worker, &numbers[i]);
    }
    run_until_all_ended();
    for (int i = 0; i < 20; i++)
        assert_int_equal(numbers[i], i * i);
    assert_int_equal(strlen(trail), 20);
}

static int pipe_ends[2];

static void poller(void *arg) {
    assert_int_equal(await_poll(pipe_ends[0], UV_READABLE, 5), UV_ETIMEDOUT);
    mark('t');
    assert_int_equal(await_poll(pipe_ends[0], UV_READABLE, -1), UV_READABLE);
    mark('r');
    assert_true(await_poll(-1, UV_READABLE, 1) < 0);
}

static void writer(void *arg) {
    await_sleep(20);
    mark('w');
    assert_int_equal(write(pipe_ends[1], "x", 1), 1);
}

static void test_poll(void **state) {
    assert_int_equal(pipe(pipe_ends), 0);
    run(poller, NULL);
    run(writer, NULL);
    run_until_all_ended();
    assert_string_equal(trail, "twr");
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void future_waiter(void *arg) {
    void *value = NULL;
    assert_int_equal(await_future(arg, &value), UV_ENOENT);
    assert_string_equal(value, "answer");
    assert_int_equal(await_future(arg, &value), UV_ENOENT); /* at once */
    future_free(arg);
    mark('f');
}

static void second_waiter(void *arg) {
    assert_int_equal(await_future(arg, NULL), UV_EBUSY);
    mark('b');
}

static void resolver(void *arg) {
    await_sleep(1);
    future_resolve(arg, UV_ENOENT, "answer");
    mark('r'); /* the waiter goes on later */
}

static void test_future(void **state) {
    future_t *future = future_new();
    run(future_waiter, future);
    run(second_waiter, future);
    run(resolver, future);
    run_until_all_ended();
    assert_string_equal(trail, "brf");
}

static void test_future_halves(void **state) {
    future_t *future = future_new();
    future_free(future); /* nobody waits any more */
    future_resolve(future, 0, NULL);
    future = future_new();
    future_resolve(future, UV_ENOENT, "answer");
    run(future_waiter, future);
    assert_string_equal(trail, "f");
    future_free(NULL);
}

static void reader(void *arg) {
    char buffer[64];
    uv_stat_t stat;
    int file = fs_open("/dev/null");
    assert_true(file >= 0);
    assert_int_equal(fs_stat(file, &stat), 0);
    assert_int_equal(fs_read(file, buffer, sizeof buffer, -1), 0);
    fs_close(file);
    assert_int_equal(fs_open("/nowhere/at/all"), UV_ENOENT);
    mark('f');
}

static void test_files(void **state) {
    run(reader, NULL);
    run_until_all_ended();
    assert_string_equal(trail, "f");
}

static void stubborn(void *arg) {
    assert_int_equal(await_sleep(1000000), UV_ECANCELED);
    assert_int_equal(await_sleep(1000000), UV_ECANCELED);
    assert_int_equal(await_future(arg, NULL), UV_ECANCELED);
    mark('s');
}

static void polling(void *arg) {
    assert_int_equal(await_poll(pipe_ends[0], UV_READABLE, -1), UV_ECANCELED);
    mark('p');
}

static void nap(void *arg) {
    usleep(30000);
}

static void working(void *arg) {
    int err = await_work(nap, NULL);
    assert_true(err == 0 || err == UV_ECANCELED);
    assert_int_equal(await_work(nap, NULL), UV_ECANCELED);
    mark('w');
}

static void test_tear_down_ends_everything(void **state) {
    future_t *future = future_new();
    assert_int_equal(pipe(pipe_ends), 0);
    run(stubborn, future);
    run(polling, NULL);
    for (int i = 0; i < 6; i++)
        run(working, NULL);
    uv_run(&uv, UV_RUN_NOWAIT);
    loop_tear_down(&loop);
    run_until_all_ended();
    assert_int_equal(strlen(trail), 8);
    future_free(future);
    future_resolve(future, 0, NULL);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, open_loop, close_loop)

int main(void) {
    const struct CMUnitTest tests[] = {
        test(test_sleeps_end_in_order),
        test(test_outside_of_a_coroutine),
        test(test_work),
        test(test_poll),
        test(test_future),
        test(test_future_halves),
        test(test_files),
        test(test_tear_down_ends_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
