/* Waiting: sleep, work, poll, futures, being cancelled, and the end of it all. */
#include "test_await.h"

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

/* Two that wait for the same event would lose one of them. */
static struct wait shared;

static void first_at_it(void *arg) {
    assert_int_equal(wait_for(&shared), 7);
    mark('1');
}

static void second_at_it(void *arg) {
    assert_int_equal(wait_for(&shared), UV_EBUSY);
    wait_done(&shared, 7);
    assert_int_equal(wait_for(&shared), UV_EBUSY); /* the first one has not gone on yet */
    mark('2');
}

static void test_only_one_waits(void **state) {
    shared = (struct wait){0};
    run(first_at_it, NULL);
    run(second_at_it, NULL);
    run_until_all_ended();
    assert_string_equal(trail, "21");
}

/* --- Being cancelled -------------------------------------------------------------------------- */

static struct coroutine *self;

static void cancelled_sleeper(void *arg) {
    void *value = NULL;
    self = coroutine_self();
    mark('a');
    assert_int_equal(await_sleep(HOUR), UV_ECANCELED);
    mark('b');
    assert_true(wait_is_cancelled());
    assert_int_equal(await_sleep(HOUR), UV_ECANCELED);
    assert_int_equal(await_poll(pipe_ends[0], UV_READABLE, -1), UV_ECANCELED);
    assert_int_equal(await_work(square, NULL), UV_ECANCELED);
    future_t *future = future_new();
    assert_int_equal(await_future(future, &value), UV_ECANCELED);
    assert_null(value);
    future_resolve(future, 5, "answer");
    assert_int_equal(await_future(future, &value), 5); /* it is there */
    assert_string_equal(value, "answer");
    future_free(future);
    mark('c');
}

static void test_cancelled_while_suspended(void **state) {
    assert_int_equal(pipe(pipe_ends), 0);
    run(cancelled_sleeper, NULL);
    coroutine_cancel(self);
    coroutine_cancel(self);
    assert_string_equal(trail, "a"); /* it runs later */
    turn();
    assert_string_equal(trail, "abc");
    assert_int_equal(loop.coroutines.live_count, 0);
    turn();
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void cancels_itself(void *arg) {
    assert_false(wait_is_cancelled());
    coroutine_cancel(coroutine_self());
    assert_true(coroutine_is_cancelled(coroutine_self()));
    assert_int_equal(await_sleep(HOUR), UV_ECANCELED);
    mark('i');
}

static void test_cancelled_by_itself(void **state) {
    run(cancels_itself, NULL);
    assert_string_equal(trail, "i");
}

static void other_one(void *arg) {
    assert_int_equal(await_sleep(0), 0);
    coroutine_cancel(arg);
    mark('o');
    assert_int_equal(await_sleep(1), 0);
    mark('p');
}

static void test_cancelled_by_another(void **state) {
    assert_int_equal(pipe(pipe_ends), 0);
    run(cancelled_sleeper, NULL);
    run(other_one, self);
    run_until_all_ended();
    assert_string_equal(trail, "aobcp");
    turn();
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void polled(void *arg) {
    self = coroutine_self();
    assert_int_equal(await_poll(pipe_ends[0], UV_READABLE, HOUR), UV_ECANCELED);
    assert_int_equal(await_poll(pipe_ends[0], UV_READABLE, HOUR), UV_ECANCELED);
    mark('p');
}

static void test_cancelled_while_polling(void **state) {
    assert_int_equal(pipe(pipe_ends), 0);
    run(polled, NULL);
    turn();
    coroutine_cancel(self);
    run_until_all_ended();
    assert_string_equal(trail, "p");
    turn();
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void late(void *arg) {
    self = coroutine_self();
    assert_int_equal(await_future(arg, NULL), 3);
    mark('l');
    assert_int_equal(await_sleep(0), UV_ECANCELED);
}

/* What has come has come, even if the coroutine has not gone on yet. */
static void test_cancelled_when_it_is_done(void **state) {
    future_t *future = future_new();
    run(late, future);
    future_resolve(future, 3, NULL);
    coroutine_cancel(self);
    run_until_all_ended();
    assert_string_equal(trail, "l");
    future_free(future);
}

/* A future that is resolved after the cancel, but before its waiter has gone on. */
static void test_resolved_when_it_is_cancelled(void **state) {
    future_t *future = future_new();
    run(late, future);
    coroutine_cancel(self);
    future_resolve(future, 3, NULL);
    run_until_all_ended();
    assert_string_equal(trail, "l");
    future_free(future);
}

static void not_begun(void *arg) {
    self = coroutine_self();
    assert_int_equal(await_work(square, arg), UV_ECANCELED);
    mark('n');
}

static void test_cancelled_before_a_thread_begins(void **state) {
    int number = 3;
    hold_all_threads();
    run(not_begun, &number);
    coroutine_cancel(self);
    coroutine_cancel(self);
    run_until('n');
    assert_int_equal(number, 3);
    release_threads();
    run_until_all_ended();
    close_gates();
}

static void in_a_thread(void *arg) {
    self = coroutine_self();
    assert_int_equal(await_work(hold_thread, NULL), 0);
    assert_int_equal(await_work(hold_thread, NULL), UV_ECANCELED);
    mark('t');
}

static void test_cancelled_in_a_thread(void **state) {
    open_gates();
    run(in_a_thread, NULL);
    uv_sem_wait(&begun);
    coroutine_cancel(self);
    turn();
    coroutine_cancel(self);
    turn();
    assert_string_equal(trail, "");
    uv_sem_post(&go_on);
    run_until_all_ended();
    assert_string_equal(trail, "t");
    close_gates();
}

/* The owner is asked to hurry as long as there is something to do: afterwards, what it would hurry
 * may be gone. */
static struct wait stubborn_wait;
static int asked;

static void ask(struct wait *wait) {
    asked++;
}

static void waits_stubbornly(void *arg) {
    self = coroutine_self();
    for (int i = 1; i <= 2; i++)
        assert_int_equal(wait_for(&stubborn_wait), i);
}

static void test_who_is_asked_to_hurry(void **state) {
    stubborn_wait = (struct wait){.stubborn = true, .cancel = ask};
    asked = 0;
    run(waits_stubbornly, NULL);
    assert_int_equal(asked, 0);
    coroutine_cancel(self);
    assert_int_equal(asked, 1);
    wait_done(&stubborn_wait, 1);
    coroutine_cancel(self);
    loop_tear_down(&loop);
    assert_int_equal(asked, 1);
    turn();
    assert_int_equal(asked, 2); /* the second wait, as it began */
    wait_done(&stubborn_wait, 2);
    run_until_all_ended();
    assert_int_equal(asked, 2);
}

static void looks_around(void *arg) {
    assert_false(coroutine_is_cancelled(coroutine_self()));
    assert_null(coroutine_get_local(coroutine_self()));
    coroutine_set_local(coroutine_self(), arg);
    assert_ptr_equal(coroutine_get_local(coroutine_self()), arg);
    *(struct coroutine **)arg = coroutine_self();
    coroutine_cancel(coroutine_self());
}

static void test_every_coroutine_begins_anew(void **state) {
    struct coroutine *first, *second;
    run(looks_around, &first);
    run(looks_around, &second);
    assert_ptr_equal(first, second);
    assert_false(wait_is_cancelled());
}

/* --- The end ---------------------------------------------------------------------------------- */

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

int main(void) {
    const struct CMUnitTest tests[] = {
        test(test_sleeps_end_in_order),
        test(test_outside_of_a_coroutine),
        test(test_work),
        test(test_poll),
        test(test_future),
        test(test_future_halves),
        test(test_only_one_waits),
        test(test_cancelled_while_suspended),
        test(test_cancelled_by_itself),
        test(test_cancelled_by_another),
        test(test_cancelled_while_polling),
        test(test_cancelled_when_it_is_done),
        test(test_resolved_when_it_is_cancelled),
        test(test_cancelled_before_a_thread_begins),
        test(test_cancelled_in_a_thread),
        test(test_who_is_asked_to_hurry),
        test(test_every_coroutine_begins_anew),
        test(test_tear_down_ends_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
