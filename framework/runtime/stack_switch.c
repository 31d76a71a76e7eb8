/*
 * Shadow stacks (Intel CET) can't be crossed like this: the file is compiled with
 * -fcf-protection=branch, which keeps the linked program from asking for them. _FORTIFY_SOURCE
 * takes a longjmp to another stack for a bug and aborts, so it is off here.
 */
#undef _FORTIFY_SOURCE
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#ifdef __APPLE__
#define _XOPEN_SOURCE 600
#define _DARWIN_C_SOURCE
#endif

#include "runtime/stack_switch.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef STACK_SWITCH_BY_SETJMP

/* Symbols of the library's own, by the words of either format of object files. */
#ifdef __APPLE__
#define BEGIN(name) ".text\n.balign 16\n.private_extern " name "\n" name ":\n"
#else
#define BEGIN(name) ".text\n.balign 16\n.globl " name "\n.hidden " name "\n" name ":\n"
#endif

/* Where a new stack begins. */
void enter(void) __asm__("acacia_stack_enter");

#ifdef STACK_SWITCH_X86_64

/* As stack_switch leaves it: where to go on. The rest is popped there. */
enum { RIP, ARG, FN, FRAME };

__asm__(BEGIN("acacia_stack_enter") "endbr64\n"
                                    "xorl %ebp, %ebp\n"
                                    "popq %rdi\n"
                                    "popq %rax\n"
                                    "call *%rax\n"
                                    "ud2\n");

static void fill(uintptr_t *frame, void (*fn)(void *arg), void *arg) {
    frame[RIP] = (uintptr_t)enter;
    frame[ARG] = (uintptr_t)arg;
    frame[FN] = (uintptr_t)fn;
}

#else

/* void acacia_stack_jump(void **from, void *to); */
void jump(void **from, void *to) __asm__("acacia_stack_jump");

/* AAPCS64 6.1: x19 to x29 and the lower halves of v8 to v15 belong to the caller. */
enum { X19, X20, X29 = 10, X30, D8, FRAME = D8 + 8 };

__asm__(BEGIN("acacia_stack_jump") "sub sp, sp, #160\n"
                                   "stp x19, x20, [sp, #0]\n"
                                   "stp x21, x22, [sp, #16]\n"
                                   "stp x23, x24, [sp, #32]\n"
                                   "stp x25, x26, [sp, #48]\n"
                                   "stp x27, x28, [sp, #64]\n"
                                   "stp x29, x30, [sp, #80]\n"
                                   "stp d8, d9, [sp, #96]\n"
                                   "stp d10, d11, [sp, #112]\n"
                                   "stp d12, d13, [sp, #128]\n"
                                   "stp d14, d15, [sp, #144]\n"
                                   "mov x2, sp\n"
                                   "str x2, [x0]\n"
                                   "mov sp, x1\n"
                                   "ldp x19, x20, [sp, #0]\n"
                                   "ldp x21, x22, [sp, #16]\n"
                                   "ldp x23, x24, [sp, #32]\n"
                                   "ldp x25, x26, [sp, #48]\n"
                                   "ldp x27, x28, [sp, #64]\n"
                                   "ldp x29, x30, [sp, #80]\n"
                                   "ldp d8, d9, [sp, #96]\n"
                                   "ldp d10, d11, [sp, #112]\n"
                                   "ldp d12, d13, [sp, #128]\n"
                                   "ldp d14, d15, [sp, #144]\n"
                                   "add sp, sp, #160\n"
                                   "ret\n");

__asm__(BEGIN("acacia_stack_enter") "mov x0, x19\n"
                                    "blr x20\n"
                                    "brk #1\n");

static void fill(uintptr_t *frame, void (*fn)(void *arg), void *arg) {
    frame[X19] = (uintptr_t)arg;
    frame[X20] = (uintptr_t)fn;
    frame[X30] = (uintptr_t)enter;
}

void stack_switch(struct stack_place *from, struct stack_place *to) {
    jump(&from->pointer, to->pointer);
}

#endif

void stack_prepare(struct stack_place *place, char *bottom, size_t size, void (*fn)(void *arg),
                   void *arg) {
    uintptr_t top = ((uintptr_t)bottom + size) & ~(uintptr_t)15; /* aligned where a call begins */
    uintptr_t *frame = (uintptr_t *)top - FRAME;
    memset(frame, 0, FRAME * sizeof *frame);
    fill(frame, fn, arg);
    place->pointer = frame;
}

#else

#include <ucontext.h>

/* makecontext passes ints only, so the pointer comes in two halves. */
static void begin(unsigned high, unsigned low) {
    struct stack_place *place = (struct stack_place *)((uintptr_t)high << 16 << 16 | low);
    place->fn(place->arg);
    abort();
}

/* makecontext leads onto the new stack, once; from then on _setjmp and _longjmp switch, which,
 * unlike swapcontext, make no system call for the signal mask. AddressSanitizer would wait for this
 * function's end, which never comes. */
static __attribute__((no_sanitize_address)) void enter(struct stack_place *place) {
    ucontext_t there;
    if (getcontext(&there) < 0)
        abort();
    there.uc_link = NULL;
    there.uc_stack.ss_sp = place->bottom;
    there.uc_stack.ss_size = place->size;
    place->bottom = NULL;
    makecontext(&there, (void (*)(void))begin, 2, (unsigned)((uintptr_t)place >> 16 >> 16),
                (unsigned)(uintptr_t)place);
    setcontext(&there);
}

void stack_prepare(struct stack_place *place, char *bottom, size_t size, void (*fn)(void *arg),
                   void *arg) {
    place->bottom = bottom;
    place->size = size;
    place->fn = fn;
    place->arg = arg;
}

/* Not inlined, so that no local lives in a register across the jump. */
__attribute__((noinline)) void stack_switch(struct stack_place *from, struct stack_place *to) {
    if (_setjmp(from->registers))
        return;
    if (to->bottom)
        enter(to);
    _longjmp(to->registers, 1);
}

#endif
