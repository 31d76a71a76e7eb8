#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "runtime/coroutine.h"

#include "runtime/stack_switch.h"
#include "runtime/wait.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined __SANITIZE_ADDRESS__ || defined WITH_ASAN
#undef WITH_ASAN
#define WITH_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif

#if defined __has_feature
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif
#if defined __SANITIZE_THREAD__ || defined WITH_TSAN
#undef WITH_TSAN
#define WITH_TSAN 1
#include <sanitizer/tsan_interface.h>
#endif

#if defined __has_include
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
#ifndef MAP_STACK
#define MAP_STACK 0
#endif

/* Lies at the upper end of its own stack mapping: one page less to touch. */
struct coroutine {
    struct stack_place inside;  /* where it suspended */
    struct stack_place outside; /* where its resumer waits */
    coroutine_fn *fn;
    void *arg;
    struct coroutine_pool *pool;
    struct coroutine *next, **link; /* in pool->all */
    struct coroutine *next_idle;
    struct wait *wait;
    void *local;
    char *mapping; /* the guard page, then the stack, then this */
    bool ended, cancelled;
#ifdef WITH_ASAN
    void *fake_stack;
    const void *outside_bottom;
    size_t outside_size;
#endif
#ifdef WITH_TSAN
    void *fiber, *outside_fiber;
#endif
#ifdef VALGRIND_STACK_REGISTER
    unsigned stack_id;
#endif
};

/* Each handler asks for it several times: by the quickest way that a shared library has. */
#ifdef __GNUC__
__attribute__((tls_model("initial-exec")))
#endif
static _Thread_local struct coroutine *current;

static _Noreturn void misuse(const char *sentence) {
    fprintf(stderr, "acacia: %s\n", sentence);
    abort();
}

static size_t page_size(void) {
    static size_t size;
    if (!size)
        size = (size_t)sysconf(_SC_PAGESIZE);
    return size;
}

/* --- What sanitizers and valgrind want to know of a switch ------------------------------------ */

static inline void entering(struct coroutine *co, void **outside_fake) {
#ifdef WITH_ASAN
    char *bottom = co->mapping + page_size();
    __sanitizer_start_switch_fiber(outside_fake, bottom, (size_t)((char *)co - bottom));
#else
    (void)co, (void)outside_fake;
#endif
#ifdef WITH_TSAN
    co->outside_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(co->fiber, 0);
#endif
}

static inline void entered(struct coroutine *co) {
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(co->fake_stack, &co->outside_bottom, &co->outside_size);
#else
    (void)co;
#endif
}

static inline void leaving(struct coroutine *co, bool for_good) {
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(for_good ? NULL : &co->fake_stack, co->outside_bottom,
                                   co->outside_size);
#else
    (void)co, (void)for_good;
#endif
#ifdef WITH_TSAN
    __tsan_switch_to_fiber(co->outside_fiber, 0);
#endif
}

static inline void left(void *outside_fake) {
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(outside_fake, NULL, NULL);
#else
    (void)outside_fake;
#endif
}

/* ThreadSanitizer takes stacks for threads. */
static inline void was_created(struct coroutine *co) {
#ifdef WITH_TSAN
    co->fiber = __tsan_create_fiber(0);
#else
    (void)co;
#endif
}

static inline void is_destroyed(struct coroutine *co) {
#ifdef WITH_TSAN
    __tsan_destroy_fiber(co->fiber);
#else
    (void)co;
#endif
}

/* What only a suspended stack knows is no leak. */
static inline void became_live(struct coroutine *co) {
#ifdef WITH_ASAN
    __lsan_register_root_region(co->mapping + page_size(), co->pool->stack_size);
#else
    (void)co;
#endif
}

static inline void no_longer_live(struct coroutine *co) {
#ifdef WITH_ASAN
    __lsan_unregister_root_region(co->mapping + page_size(), co->pool->stack_size);
#else
    (void)co;
#endif
}

bool coroutine_guards(const void *address, size_t *stack_size) {
    const char *at = address;
    if (!current || at < current->mapping || at >= current->mapping + page_size())
        return false;
    *stack_size = current->pool->stack_size;
    return true;
}

/* --- Switching -------------------------------------------------------------------------------- */

static void switch_in(struct coroutine *co) {
    void *fake = NULL;
    entering(co, &fake);
    stack_switch(&co->outside, &co->inside);
    left(fake);
}

static void switch_out(struct coroutine *co, bool for_good) {
    leaving(co, for_good);
    stack_switch(&co->inside, &co->outside);
    entered(co);
}

/* A coroutine's whole life: one function after the other. A NULL function ends it. */
static void live(void *arg) {
    struct coroutine *co = arg;
    entered(co);
    while (co->fn) {
        co->fn(co->arg);
        co->ended = true;
        switch_out(co, false);
    }
    switch_out(co, true);
    misuse("an ended coroutine was resumed");
}

/* --- Stacks ----------------------------------------------------------------------------------- */

static bool guard(char *page) {
#ifdef __linux__
    /* MADV_GUARD_INSTALL (Linux 6.13) guards without splitting the mapping, of which a process may
     * have only 65,530; older kernels refuse it. */
    if (madvise(page, page_size(), 102) == 0)
        return true;
#endif
    return mprotect(page, page_size(), PROT_NONE) == 0;
}

static __attribute__((noinline)) struct coroutine *create(struct coroutine_pool *pool) {
    size_t size = pool->stack_size + page_size();
    char *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (mapping == MAP_FAILED)
        return NULL;
    struct coroutine *co = (void *)(mapping + size - ((sizeof *co + 63) & ~(size_t)63));
    co->mapping = mapping;
    co->pool = pool;
    if (!guard(mapping)) {
        munmap(mapping, size);
        return NULL;
    }
    char *bottom = mapping + page_size();
    stack_prepare(&co->inside, bottom, (size_t)((char *)co - bottom), live, co);
    was_created(co);
    co->next = pool->all;
    co->link = &pool->all;
    if (co->next)
        co->next->link = &co->next;
    pool->all = co;
#ifdef VALGRIND_STACK_REGISTER
    co->stack_id = VALGRIND_STACK_REGISTER(mapping + page_size(), co);
#endif
    return co;
}

static void destroy(struct coroutine *co) {
    *co->link = co->next;
    if (co->next)
        co->next->link = co->link;
    co->fn = NULL;
    switch_in(co); /* it leaves for good, so that ASan can forget its stack */
    is_destroyed(co);
#ifdef VALGRIND_STACK_REGISTER
    VALGRIND_STACK_DEREGISTER(co->stack_id);
#endif
    size_t size = co->pool->stack_size + page_size();
#ifdef WITH_ASAN
    ASAN_UNPOISON_MEMORY_REGION(co->mapping, size);
#endif
    munmap(co->mapping, size);
}

static void give_back(struct coroutine *co) {
    struct coroutine_pool *pool = co->pool;
    no_longer_live(co);
    co->next_idle = pool->idle;
    pool->idle = co;
    pool->idle_count++;
    pool->live_count--;
}

static struct coroutine *take_idle(struct coroutine_pool *pool) {
    struct coroutine *co = pool->idle;
    pool->idle = co->next_idle;
    if (--pool->idle_count < pool->idle_low)
        pool->idle_low = pool->idle_count;
    return co;
}

/* --- The interface ---------------------------------------------------------------------------- */

void coroutine_pool_init(struct coroutine_pool *pool, size_t stack_size, size_t limit) {
    size_t page = page_size();
    *pool = (struct coroutine_pool){.limit = limit};
    pool->stack_size = (stack_size + page - 1) / page * page;
    if (pool->stack_size < 4 * page)
        pool->stack_size = 4 * page;
}

void coroutine_pool_destroy(struct coroutine_pool *pool) {
    pool->idle_low = pool->idle_count;
    coroutine_pool_trim(pool);
}

void coroutine_pool_trim(struct coroutine_pool *pool) {
    for (; pool->idle_low > 0; pool->idle_low--) {
        struct coroutine *co = pool->idle;
        pool->idle = co->next_idle;
        pool->idle_count--;
        destroy(co);
    }
    pool->idle_low = pool->idle_count;
}

int coroutine_start(struct coroutine_pool *pool, coroutine_fn *fn, void *arg) {
    if (current)
        misuse("a coroutine was started from inside another one");
    if (pool->live_count >= pool->limit)
        return UV_EAGAIN;
    struct coroutine *co = pool->idle ? take_idle(pool) : create(pool);
    if (!co)
        return UV_ENOMEM;
    pool->live_count++;
    became_live(co);
    co->fn = fn;
    co->arg = arg;
    co->local = NULL;
    co->ended = co->cancelled = false;
    coroutine_resume(co);
    return 0;
}

struct coroutine *coroutine_self(void) {
    return current;
}

struct coroutine_pool *coroutine_pool_of(struct coroutine *co) {
    return co->pool;
}

void coroutine_suspend(void) {
    if (!current)
        misuse("there is no coroutine to suspend");
    switch_out(current, false);
}

void coroutine_resume(struct coroutine *co) {
    if (current)
        misuse("a coroutine was resumed from inside another one");
    current = co;
    switch_in(co);
    current = NULL;
    if (co->ended)
        give_back(co);
}

void coroutine_cancel(struct coroutine *co) {
    co->cancelled = true;
    if (co->wait)
        wait_cancel(co->wait);
}

bool coroutine_is_cancelled(const struct coroutine *co) {
    return co->cancelled;
}

void coroutine_set_local(struct coroutine *co, void *local) {
    co->local = local;
}

void *coroutine_get_local(const struct coroutine *co) {
    return co->local;
}

void coroutine_set_wait(struct coroutine *co, struct wait *wait) {
    co->wait = wait;
}

struct wait *coroutine_get_wait(const struct coroutine *co) {
    return co->wait;
}

struct coroutine *coroutine_next(const struct coroutine *co) {
    return co->next;
}
