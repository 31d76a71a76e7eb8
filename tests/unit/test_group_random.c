/* Groups within groups, made at random and cancelled sooner or later: who wins is who should, what
 * was begun has ended, and nothing outlives its group. */
#include "test_await.h"

static struct coroutine *caller;

enum kind { SLEEP, FAIL, WORK, ALL, ANY, RACE, TIMEOUT, KINDS };

#define MOST 4 /* children */

struct node {
    enum kind kind;
    int milliseconds;
    size_t count;
    struct node *children[MOST];
    int began, order; /* when it ended, from 1; 0: it has not */
    int result;
};

static struct node nodes[600];
static size_t node_count;
static int clock_of_ends, at_work;
static unsigned long long seed;

static int dice(int sides) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (int)((seed >> 33) % (unsigned)sides);
}

static struct node *make_node(int depth) {
    struct node *node = &nodes[node_count++];
    *node = (struct node){0};
    node->kind = (enum kind)(depth > 0 ? ALL + dice(KINDS - ALL) : dice(ALL));
    node->milliseconds = dice(4);
    if (node->kind < ALL)
        return node;
    node->count = node->kind == TIMEOUT ? 1 : 1 + (size_t)dice(MOST);
    for (size_t i = 0; i < node->count; i++)
        node->children[i] = make_node(dice(3) ? depth - 1 : 0);
    return node;
}

static int run_node(void *arg);

static void short_nap(void *arg) {
    usleep((useconds_t) * (int *)arg * 300);
}

/* The one that ended first, of those that failed or of those that succeeded. */
static struct node *first_of(struct node *node, bool succeeded) {
    struct node *first = NULL;
    for (size_t i = 0; i < node->count; i++) {
        struct node *child = node->children[i];
        if (child->order && (child->result >= 0) == succeeded &&
            (!first || child->order < first->order))
            first = child;
    }
    return first;
}

static void check_children(struct node *node, const await_task_t *tasks) {
    for (size_t i = 0; i < node->count; i++) {
        struct node *child = node->children[i];
        assert_int_equal(child->began, child->order != 0);
        if (child->began)
            assert_int_equal(child->result, tasks[i].result);
        else
            assert_true(tasks[i].result == UV_ECANCELED || tasks[i].result == UV_EAGAIN);
    }
}

static int run_group(struct node *node) {
    await_task_t tasks[MOST];
    size_t winner = node->count;
    int result, timeout = node->milliseconds ? node->milliseconds : -1;
    for (size_t i = 0; i < node->count; i++)
        tasks[i] = (await_task_t){run_node, node->children[i], 12345};
    if (node->kind == TIMEOUT)
        return await_timeout(run_node, node->children[0], node->milliseconds);
    if (node->kind == ALL)
        result = await_all(tasks, node->count);
    else if (node->kind == ANY)
        result = await_any(tasks, node->count, timeout, &winner);
    else
        result = await_race(tasks, node->count, timeout, &winner);
    check_children(node, tasks);
    struct node *success = first_of(node, true), *failure = first_of(node, false);
    if (node->kind == ALL && failure)
        assert_true(result < 0);
    if (node->kind == ANY && success)
        assert_ptr_equal(node->children[winner], success);
    if (node->kind == ANY && !success)
        assert_int_equal(winner, node->count);
    if (node->kind == RACE && winner == node->count)
        assert_null(success);
    if (winner < node->count)
        assert_int_equal(result, tasks[winner].result);
    return result;
}

static int run_node(void *arg) {
    struct node *node = arg;
    int result;
    node->began = 1;
    at_work++;
    if (node->kind == WORK)
        result = await_work(short_nap, &node->milliseconds);
    else if (node->kind >= ALL)
        result = run_group(node);
    else
        result = await_sleep((uint64_t)node->milliseconds);
    if (!result)
        result = node->kind == FAIL ? UV_EIO : node->milliseconds;
    at_work--;
    node->order = ++clock_of_ends;
    node->result = result;
    return result;
}

static void run_root(void *arg) {
    caller = coroutine_self();
    run_node(arg);
    assert_int_equal(at_work, 0);
    caller = NULL;
}

static void cancel_root(struct timer *timer) {
    if (caller)
        coroutine_cancel(caller);
}

static void tear_down(struct timer *timer) {
    loop_tear_down(&loop);
}

static void test_at_random(void **state) {
    for (int round = 0; round < 150; round++) {
        struct timer end = {.fn = dice(2) ? cancel_root : tear_down};
        int delay = dice(8);
        open_loop(NULL);
        loop.coroutines.limit = dice(3) ? 400 : 10;
        node_count = 0;
        clock_of_ends = at_work = 0;
        run(run_root, make_node(4));
        if (delay)
            loop_timer_start(&loop, &end, (uint64_t)delay);
        else
            end.fn(NULL);
        run_until_all_ended();
        loop_timer_stop(&loop, &end);
        assert_int_equal(at_work, 0);
        assert_int_equal(close_loop(NULL), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_at_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
