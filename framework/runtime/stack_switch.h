/*
 * Going over from one stack to another: the registers that a function may expect to find again are
 * pushed on the one, and popped from the other: in a third of the time that setjmp takes.
 *
 * Only what calls of functions preserve is kept: no signal mask, no floating-point modes.
 */
#ifndef ACACIA_STACK_SWITCH_H
#define ACACIA_STACK_SWITCH_H

#include <stddef.h>

/* x86-64 and AArch64 do it by a dozen instructions of their own, others by ucontext and setjmp. */
#if !defined STACK_SWITCH_PORTABLE && defined __GNUC__ && !defined _WIN32 &&                       \
    ((defined __x86_64__ && !defined __ILP32__) || defined __aarch64__)
#define STACK_SWITCH_NATIVE 1
#else
#define STACK_SWITCH_NATIVE 0
#include <setjmp.h>
#endif

/* Where somebody has left a stack, and will go on. */
struct stack_place {
#if STACK_SWITCH_NATIVE
    void *pointer;
#else
    jmp_buf registers;
    char *bottom; /* NULL once it has begun */
    size_t size;
    void (*fn)(void *arg);
    void *arg;
#endif
};

/* The place where `fn(arg)` begins, on a stack of `size` bytes. It must never return. */
void stack_prepare(struct stack_place *place, char *bottom, size_t size, void (*fn)(void *arg),
                   void *arg);

/* Go to `to`. Returns when somebody goes to `from`. */
void stack_switch(struct stack_place *from, struct stack_place *to);

#endif
