/* Several tasks at once: all, any, race, timeouts; limits, cancelling at every point, nesting. */
#include "test_await.h"

static struct coroutine *caller;

/* What a task does: wait, leave a mark, return. */
struct step {
    int milliseconds;
    int result;
    char mark;
    bool ended;
};

/* When it is cancelled, it says so, in upper case. */
static int take_step(void *arg) {
    struct step *step = arg;
    int err = step->milliseconds < 0 ? 0 : await_sleep((uint64_t)step->milliseconds);
    mark((char)(err ? step->mark - 'a' + 'A' : step->mark));
    step->ended = true;
    return err ? err : step->result;
}

static int never(void *arg) {
    mark('!');
    return 0;
}

/* Run `fn`, which leaves these marks. */
static void expect(coroutine_fn *fn, const char *marks) {
    run(fn, NULL);
    run_until_all_ended();
    assert_string_equal(trail, marks);
}

/* --- await_all -------------------------------------------------------------------------------- */

static void all_succeed(void *arg) {
    struct step steps[] = {{30, 3, 'c', 0}, {10, 0, 'a', 0}, {20, 2, 'b', 0}, {-1, 0, 'n', 0}};
    await_task_t tasks[] = {{take_step, &steps[0], -1},
                            {take_step, &steps[1], -1},
                            {take_step, &steps[2], -1},
                            {take_step, &steps[3], -1}};
    assert_int_equal(await_all(tasks, 4), 0);
    mark('.');
    assert_int_equal(tasks[0].result, 3);
    assert_int_equal(tasks[1].result, 0);
    assert_int_equal(tasks[2].result, 2);
    assert_int_equal(loop.coroutines.live_count, 1); /* the caller */
}

static void test_all(void **state) {
    expect(all_succeed, "nabc.");
}

static void all_with_failures(void *arg) {
    struct step steps[] = {{30, UV_EIO, 'c', 0}, {10, 1, 'a', 0}, {20, UV_ENOENT, 'b', 0}};
    await_task_t tasks[] = {
        {take_step, &steps[0], 0}, {take_step, &steps[1], 0}, {take_step, &steps[2], 0}};
    assert_int_equal(await_all(tasks, 3), UV_ENOENT); /* the first in time; the others go on */
    assert_int_equal(tasks[0].result, UV_EIO);
    assert_int_equal(tasks[1].result, 1);
    assert_int_equal(tasks[2].result, UV_ENOENT);
}

static void test_all_go_on(void **state) {
    expect(all_with_failures, "abc");
}

static void of_nothing(void *arg) {
    assert_int_equal(await_all(NULL, 0), 0);
    assert_int_equal(await_any(NULL, 0, -1, NULL), UV_EINVAL);
    assert_int_equal(await_race(NULL, 0, -1, NULL), UV_EINVAL);
    assert_int_equal(await_timeout(NULL, NULL, -1), UV_EINVAL);
    mark('.');
}

static void test_nothing(void **state) {
    expect(of_nothing, ".");
}

static void test_outside_of_a_coroutine(void **state) {
    await_task_t task = {never, NULL, 77};
    size_t winner = 5;
    assert_int_equal(await_all(&task, 1), UV_EINVAL);
    assert_int_equal(await_all(NULL, 0), UV_EINVAL);
    assert_int_equal(await_any(&task, 1, 0, &winner), UV_EINVAL);
    assert_int_equal(await_race(&task, 1, 0, &winner), UV_EINVAL);
    assert_int_equal(await_timeout(never, NULL, 0), UV_EINVAL);
    assert_int_equal(task.result, 77);
    assert_int_equal(winner, 5);
    assert_string_equal(trail, "");
}

static int find_local(void *arg) {
    await_sleep(0);
    *(void **)arg = coroutine_get_local(coroutine_self());
    coroutine_set_local(coroutine_self(), NULL); /* its own affair */
    return 0;
}

static void has_local(void *arg) {
    void *found[2] = {NULL, NULL};
    await_task_t tasks[] = {{find_local, &found[0], 0}, {find_local, &found[1], 0}};
    coroutine_set_local(coroutine_self(), arg);
    await_all(tasks, 2);
    assert_ptr_equal(found[0], arg);
    assert_ptr_equal(found[1], arg);
    assert_ptr_equal(coroutine_get_local(coroutine_self()), arg);
    mark('.');
}

static void test_local_data_is_inherited(void **state) {
    run(has_local, trail);
    run_until_all_ended();
    assert_string_equal(trail, ".");
}

/* --- Limits ----------------------------------------------------------------------------------- */

static int count_up(void *arg) {
    ++*(int *)arg;
    return await_sleep(1);
}

static void too_many(void *arg) {
    await_task_t tasks[LIMIT + 20];
    int called = 0, failed = 0;
    size_t winner;
    for (size_t i = 0; i < LIMIT + 20; i++)
        tasks[i] = (await_task_t){count_up, &called, 0};
    assert_int_equal(await_all(tasks, LIMIT + 20), UV_EAGAIN);
    for (size_t i = 0; i < LIMIT + 20; i++)
        failed += tasks[i].result == UV_EAGAIN;
    assert_int_equal(called, LIMIT - 1); /* the caller is one, too */
    assert_int_equal(failed, 21);
    assert_int_equal(tasks[LIMIT - 2].result, 0);
    assert_int_equal(tasks[LIMIT - 1].result, UV_EAGAIN);
    assert_int_equal(await_any(tasks, LIMIT + 20, -1, &winner), 0);
    assert_int_equal(winner, 0);
    assert_int_equal(await_race(tasks, LIMIT + 20, -1, &winner), UV_EAGAIN);
    assert_int_equal(winner, LIMIT - 1);
    mark('.');
}

static void test_limit(void **state) {
    expect(too_many, ".");
}

static void without_memory(void *arg) {
    size_t stack_size = loop.coroutines.stack_size, winner;
    await_task_t tasks[] = {{never, NULL, 0}, {never, NULL, 0}};
    loop.coroutines.stack_size = SIZE_MAX / 4; /* no mapping is so large */
    assert_int_equal(await_all(tasks, 2), UV_ENOMEM);
    assert_int_equal(tasks[1].result, UV_ENOMEM);
    assert_int_equal(await_any(tasks, 2, HOUR, &winner), UV_ENOMEM);
    assert_int_equal(winner, 2);
    assert_int_equal(await_timeout(never, NULL, HOUR), UV_ENOMEM);
    loop.coroutines.stack_size = stack_size;
    mark('.');
}

static void test_no_memory(void **state) {
    expect(without_memory, ".");
}

static void without_function(void *arg) {
    struct step step = {1, 4, 'a', 0};
    await_task_t tasks[] = {{NULL, NULL, 0}, {take_step, &step, 0}};
    assert_int_equal(await_all(tasks, 2), UV_EINVAL);
    assert_int_equal(tasks[0].result, UV_EINVAL);
    assert_int_equal(tasks[1].result, 4);
}

static void test_no_function(void **state) {
    expect(without_function, "a");
}

/* --- await_any, await_race -------------------------------------------------------------------- */

static void any_of_four(void *arg) {
    struct step steps[] = {
        {HOUR, 1, 'a', 0}, {5, UV_ENOENT, 'b', 0}, {10, 7, 'c', 0}, {HOUR, 1, 'd', 0}};
    await_task_t tasks[4];
    size_t winner = 9;
    for (int i = 0; i < 4; i++)
        tasks[i] = (await_task_t){take_step, &steps[i], 0};
    assert_int_equal(await_any(tasks, 4, -1, &winner), 7);
    assert_int_equal(winner, 2);
    assert_int_equal(tasks[0].result, UV_ECANCELED);
    assert_int_equal(tasks[1].result, UV_ENOENT);
    assert_int_equal(tasks[3].result, UV_ECANCELED);
    assert_true(steps[0].ended && steps[3].ended);
    assert_int_equal(loop.coroutines.live_count, 1);
    assert_false(wait_is_cancelled()); /* the caller is not */
    assert_int_equal(await_sleep(0), 0);
}

static void test_any(void **state) {
    run(any_of_four, NULL);
    run_until_all_ended();
    assert_int_equal(strlen(trail), 4);
    assert_memory_equal(trail, "bc", 2);
    assert_non_null(strchr(trail, 'A'));
    assert_non_null(strchr(trail, 'D'));
}

static void all_fail(void *arg) {
    struct step steps[] = {{10, UV_EIO, 'b', 0}, {5, UV_ENOENT, 'a', 0}};
    await_task_t tasks[] = {{take_step, &steps[0], 0}, {take_step, &steps[1], 0}};
    size_t winner = 9;
    assert_int_equal(await_any(tasks, 2, HOUR, &winner), UV_ENOENT);
    assert_int_equal(winner, 2);
    assert_int_equal(await_any(tasks, 2, HOUR, NULL), UV_ENOENT);
}

static void test_nobody_wins(void **state) {
    expect(all_fail, "abab");
}

static void race_of_three(void *arg) {
    struct step steps[] = {{HOUR, 1, 'a', 0}, {5, UV_ENOENT, 'b', 0}, {HOUR, 7, 'c', 0}};
    await_task_t tasks[3];
    size_t winner = 9;
    for (int i = 0; i < 3; i++)
        tasks[i] = (await_task_t){take_step, &steps[i], 0};
    assert_int_equal(await_race(tasks, 3, -1, &winner), UV_ENOENT);
    assert_int_equal(winner, 1);
    assert_int_equal(tasks[2].result, UV_ECANCELED);
    mark('.');
}

static void test_race(void **state) {
    run(race_of_three, NULL);
    run_until_all_ended();
    assert_int_equal(strlen(trail), 4);
    assert_int_equal(trail[0], 'b');
    assert_int_equal(trail[3], '.');
}

/* Who has won before the others have begun leaves nothing for them to do. */
static void wins_at_once(void *arg) {
    struct step steps[] = {{HOUR, 1, 'a', 0}, {-1, UV_EIO, 'b', 0}, {-1, 5, 'c', 0}};
    await_task_t tasks[] = {{take_step, &steps[0], 0},
                            {take_step, &steps[1], 0},
                            {take_step, &steps[2], 0},
                            {never, NULL, 0}};
    size_t winner;
    assert_int_equal(await_any(tasks, 4, -1, &winner), 5);
    assert_int_equal(winner, 2);
    assert_int_equal(tasks[0].result, UV_ECANCELED);
    assert_int_equal(tasks[3].result, UV_ECANCELED);
    assert_int_equal(await_race(tasks, 4, 0, &winner), UV_EIO);
    assert_int_equal(winner, 1);
    assert_int_equal(tasks[2].result, UV_ECANCELED);
}

static void test_winning_at_once(void **state) {
    expect(wins_at_once, "bcAbA");
}

/* Two that end in the same turn: the first is the first. */
static void a_tie(void *arg) {
    struct step steps[] = {{5, 1, 'a', 0}, {5, 2, 'b', 0}};
    await_task_t tasks[] = {{take_step, &steps[0], 0}, {take_step, &steps[1], 0}};
    size_t winner;
    assert_int_equal(await_any(tasks, 2, -1, &winner), 1);
    assert_int_equal(winner, 0);
    assert_int_equal(tasks[1].result, 2); /* nothing more to wait for */
}

static void test_tie(void **state) {
    expect(a_tie, "ab");
}

/* --- Timeouts --------------------------------------------------------------------------------- */

static int hold(void *arg) {
    int err = await_work(hold_thread, NULL);
    return err ? err : 6;
}

static int ignore_cancel(void *arg) {
    await_sleep(HOUR);
    return 8;
}

static int fail_when_cancelled(void *arg) {
    return await_sleep(HOUR) ? -503 : 0;
}

static void timeouts(void *arg) {
    struct step slow = {HOUR, 1, 'a', 0}, quick = {1, 2, 'b', 0}, sudden = {-1, 3, 'c', 0};
    await_task_t tasks[] = {{take_step, &slow, 0}, {take_step, &slow, 0}};
    size_t winner = 9;
    await_sleep(0); /* times count from the start of a turn, and none has begun yet */
    assert_int_equal(await_any(tasks, 2, 5, &winner), UV_ETIMEDOUT);
    assert_int_equal(winner, 2);
    assert_int_equal(tasks[0].result, UV_ECANCELED);
    assert_int_equal(await_race(tasks, 2, 0, &winner), UV_ETIMEDOUT);
    assert_int_equal(winner, 2);
    assert_int_equal(await_timeout(take_step, &slow, 5), UV_ETIMEDOUT);
    assert_int_equal(await_timeout(take_step, &quick, HOUR), 2);
    assert_int_equal(await_timeout(take_step, &sudden, 0), 3);
    assert_int_equal(await_timeout(ignore_cancel, NULL, 5), 8); /* succeeded all the same */
    assert_int_equal(await_timeout(fail_when_cancelled, NULL, 5), UV_ETIMEDOUT);
    quick.result = UV_ENOENT;
    assert_int_equal(await_timeout(take_step, &quick, HOUR), UV_ENOENT);
    assert_int_equal(await_sleep(1), 0);
}

static void test_timeouts(void **state) {
    expect(timeouts, "AAAAAbcb");
}

static void timeout_in_a_thread(void *arg) {
    await_sleep(0);
    mark('s');
    assert_int_equal(await_timeout(hold, NULL, 1), 6);
    mark('.');
}

static void test_timeout_in_a_thread(void **state) {
    open_gates();
    run(timeout_in_a_thread, NULL);
    run_until('s');
    uv_sem_wait(&begun);
    for (int i = 0; i < 5; i++) {
        usleep(1000);
        turn();
    }
    assert_string_equal(trail, "s");
    uv_sem_post(&go_on);
    run_until_all_ended();
    assert_string_equal(trail, "s.");
    close_gates();
}

/* --- The caller is cancelled ------------------------------------------------------------------ */

static void cancelled_all(void *arg) {
    struct step steps[] = {{HOUR, 1, 'a', 0}, {1, 2, 'b', 0}};
    await_task_t tasks[] = {{take_step, &steps[0], 0}, {take_step, &steps[1], 0}};
    caller = coroutine_self();
    assert_int_equal(await_all(tasks, 2), UV_ECANCELED);
    mark('.');
    assert_int_equal(await_all(tasks, 2), UV_ECANCELED); /* none begins */
    assert_int_equal(tasks[0].result, UV_ECANCELED);
    assert_int_equal(tasks[1].result, UV_ECANCELED);
    assert_int_equal(await_any(tasks, 2, HOUR, NULL), UV_ECANCELED);
    assert_int_equal(await_timeout(take_step, &steps[1], 0), UV_ECANCELED);
    mark('.');
}

static void test_cancelled_before_the_start(void **state) {
    run(cancelled_all, NULL);
    coroutine_cancel(caller);
    run_until_all_ended();
    assert_string_equal(trail, "..");
}

static void test_cancelled_while_suspended(void **state) {
    run(cancelled_all, NULL);
    run_until('b');
    assert_string_equal(trail, "b");
    coroutine_cancel(caller);
    coroutine_cancel(caller);
    run_until_all_ended();
    assert_string_equal(trail, "bA..");
}

static int cancel_caller(void *arg) {
    coroutine_cancel(caller);
    mark('x');
    return await_sleep(HOUR) == UV_ECANCELED ? 4 : 0;
}

/* By one of the tasks, while they are being started: it ends, the next one does not begin. */
static void cancelled_by_a_task(void *arg) {
    await_task_t tasks[] = {{cancel_caller, NULL, 0}, {never, NULL, 0}};
    caller = coroutine_self();
    assert_int_equal(await_all(tasks, 2), UV_ECANCELED);
    assert_int_equal(tasks[0].result, 4);
    assert_int_equal(tasks[1].result, UV_ECANCELED);
    mark('.');
}

static void test_cancelled_by_a_task(void **state) {
    expect(cancelled_by_a_task, "x.");
}

/* After the last task has ended: nothing changes but what comes later. */
static int cancel_caller_at_the_end(void *arg) {
    coroutine_cancel(caller);
    return 3;
}

static void cancelled_at_the_end(void *arg) {
    await_task_t task = {cancel_caller_at_the_end, NULL, 0};
    size_t winner = 9;
    caller = coroutine_self();
    assert_int_equal(await_any(&task, 1, HOUR, &winner), 3);
    assert_int_equal(winner, 0);
    assert_int_equal(await_sleep(0), UV_ECANCELED);
    mark('.');
}

static void test_cancelled_at_the_end(void **state) {
    expect(cancelled_at_the_end, ".");
}

static void cancelled_with_threads(void *arg) {
    struct step step = {HOUR, 1, 'a', 0};
    await_task_t tasks[] = {{hold, NULL, 0}, {take_step, &step, 0}};
    caller = coroutine_self();
    assert_int_equal(await_all(tasks, 2), UV_ECANCELED);
    assert_int_equal(tasks[0].result, 6); /* it had begun */
    mark('.');
}

static void test_cancelled_in_a_thread(void **state) {
    open_gates();
    run(cancelled_with_threads, NULL);
    turn();
    uv_sem_wait(&begun);
    coroutine_cancel(caller);
    turn();
    turn();
    assert_string_equal(trail, "A");
    uv_sem_post(&go_on);
    run_until_all_ended();
    assert_string_equal(trail, "A.");
    close_gates();
}

static int do_nothing(void *arg) {
    int err = await_work(hold_thread, NULL);
    mark(err == UV_ECANCELED ? 'C' : '!');
    return err;
}

static void waits_for_a_thread(void *arg) {
    await_task_t tasks[] = {{do_nothing, NULL, 0}, {do_nothing, NULL, 0}};
    caller = coroutine_self();
    assert_int_equal(await_all(tasks, 2), UV_ECANCELED);
    mark('.');
}

static void test_cancelled_before_a_thread(void **state) {
    hold_all_threads();
    run(waits_for_a_thread, NULL);
    turn();
    coroutine_cancel(caller);
    run_until('.');
    assert_string_equal(trail, "CC.");
    release_threads();
    run_until_all_ended();
    close_gates();
}

/* --- Groups within groups --------------------------------------------------------------------- */

static int inner_all(void *arg) {
    struct step steps[] = {{HOUR, 1, 'a', 0}, {HOUR, 1, 'b', 0}};
    await_task_t tasks[] = {{take_step, &steps[0], 0}, {take_step, &steps[1], 0}};
    int err = await_all(tasks, 2);
    assert_true(steps[0].ended && steps[1].ended);
    mark(err == UV_ECANCELED ? 'I' : 'i');
    return err;
}

static void outer_any(void *arg) {
    struct step step = {5, 1, 's', 0};
    await_task_t tasks[] = {{inner_all, NULL, 0}, {take_step, &step, 0}};
    size_t winner;
    assert_int_equal(await_any(tasks, 2, -1, &winner), 1);
    assert_int_equal(winner, 1);
    assert_int_equal(tasks[0].result, UV_ECANCELED);
    mark('.');
}

static void test_all_within_any(void **state) {
    run(outer_any, NULL);
    run_until_all_ended();
    assert_int_equal(strlen(trail), 5);
    assert_int_equal(trail[0], 's');
    assert_string_equal(trail + 3, "I.");
}

/* However deep they go, to cancel them takes no stack. */
struct chain {
    int depth;
    int reached;
};

static int go_deeper(void *arg) {
    struct chain *chain = arg;
    await_task_t task = {go_deeper, chain, 0};
    chain->reached++;
    return --chain->depth > 0 ? await_all(&task, 1) : await_sleep(HOUR);
}

static void begins_chain(void *arg) {
    caller = coroutine_self();
    assert_int_equal(go_deeper(arg), UV_ECANCELED);
    mark('.');
}

static void test_deep_nesting(void **state) {
    struct chain chain = {3000, 0};
    size_t stack_size = loop.coroutines.stack_size;
    loop.coroutines.stack_size = 64 * 1024;
    loop.coroutines.limit = 5000;
    run(begins_chain, &chain);
    turn();
    assert_int_equal(chain.reached, 3000);
    assert_int_equal(loop.coroutines.live_count, 3000);
    coroutine_cancel(caller);
    turn();
    assert_string_equal(trail, ".");
    assert_int_equal(loop.coroutines.live_count, 0);
    coroutine_pool_destroy(&loop.coroutines);
    loop.coroutines.stack_size = stack_size;
}

/* --- The loop is torn down -------------------------------------------------------------------- */

static int torn_any(void *arg) {
    await_task_t tasks[] = {{inner_all, NULL, 0}, {hold, NULL, 0}};
    return await_any(tasks, 2, HOUR, NULL);
}

static void torn_race(void *arg) {
    await_task_t tasks[] = {{torn_any, NULL, 0}, {ignore_cancel, NULL, 0}};
    size_t winner;
    int result = await_race(tasks, 2, HOUR, &winner);
    assert_int_equal(result, 8);
    assert_int_equal(tasks[0].result, 6);
    assert_int_equal(await_all(tasks, 2), UV_ECANCELED);
    mark('.');
}

static void test_tear_down(void **state) {
    open_gates();
    run(torn_race, NULL);
    turn();
    uv_sem_wait(&begun);
    loop_tear_down(&loop);
    uv_sem_post(&go_on);
    run_until_all_ended();
    assert_non_null(strstr(trail, "I"));
    assert_int_equal(trail[strlen(trail) - 1], '.');
    close_gates();
}

static void torn_at_once(void *arg) {
    await_task_t tasks[] = {{never, NULL, 0}, {never, NULL, 0}};
    assert_int_equal(await_all(tasks, 2), UV_ECANCELED);
    mark('.');
}

static void test_tear_down_before_the_start(void **state) {
    run(torn_at_once, NULL);
    loop_tear_down(&loop);
    expect(torn_at_once, "..");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        test(test_all),
        test(test_all_go_on),
        test(test_nothing),
        test(test_outside_of_a_coroutine),
        test(test_local_data_is_inherited),
        test(test_limit),
        test(test_no_memory),
        test(test_no_function),
        test(test_any),
        test(test_nobody_wins),
        test(test_race),
        test(test_winning_at_once),
        test(test_tie),
        test(test_timeouts),
        test(test_timeout_in_a_thread),
        test(test_cancelled_before_the_start),
        test(test_cancelled_while_suspended),
        test(test_cancelled_by_a_task),
        test(test_cancelled_at_the_end),
        test(test_cancelled_in_a_thread),
        test(test_cancelled_before_a_thread),
        test(test_all_within_any),
        test(test_deep_nesting),
        test(test_tear_down),
        test(test_tear_down_before_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
