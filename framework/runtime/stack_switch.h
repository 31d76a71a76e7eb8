/*
 * Going over from one stack to another, with what a function may expect to find again when a call
 * returns: no signal mask, no floating-point modes. In a third of the time that setjmp takes.
 */
#ifndef ACACIA_STACK_SWITCH_H
#define ACACIA_STACK_SWITCH_H

#include <stddef.h>

/* x86-64 and AArch64 do it by a dozen instructions of their own, others by ucontext and setjmp. */
#if !defined STACK_SWITCH_PORTABLE && defined __GNUC__ && !defined _WIN32
#if defined __x86_64__ && !defined __ILP32__ && !defined __APX_F__
#define STACK_SWITCH_X86_64
#elif defined __aarch64__
#define STACK_SWITCH_AARCH64
#endif
#endif

#if !defined STACK_SWITCH_X86_64 && !defined STACK_SWITCH_AARCH64
#define STACK_SWITCH_BY_SETJMP
#include <setjmp.h>
#endif

/* Where somebody has left a stack, and will go on. */
struct stack_place {
#ifdef STACK_SWITCH_BY_SETJMP
    jmp_buf registers;
    char *bottom; /* NULL once it has begun */
    size_t size;
    void (*fn)(void *arg);
    void *arg;
#else
    void *pointer;
#endif
};

/* The place where `fn(arg)` begins, on a stack of `size` bytes. It must never return. */
void stack_prepare(struct stack_place *place, char *bottom, size_t size, void (*fn)(void *arg),
                   void *arg);

/* Go to `to`. Returns when somebody goes to `from`. */
#ifndef STACK_SWITCH_X86_64

void stack_switch(struct stack_place *from, struct stack_place *to);

#else

#ifdef __AVX512F__
#define STACK_SWITCH_AVX512                                                                        \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",    \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6",  \
        "k7"
#else
#define STACK_SWITCH_AVX512
#endif

/*
 * There is neither a call nor a return in it: the processor predicts returns by the calls that it
 * has seen, and one function that is entered on one stack and left on the other makes it wrong
 * about all callers, up to the loop: 45 ns of each request. The compiler saves what it needs of the
 * registers, save rbp, which may be its frame pointer; and the bytes below the stack pointer may be
 * in use (System V ABI 3.2.2).
 */
static inline __attribute__((always_inline)) void stack_switch(struct stack_place *from,
                                                               const struct stack_place *to) {
    void **left = &from->pointer, *entered = to->pointer;
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
                     "pushq %%rbp\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "movq %%rsp, (%%rdi)\n\t"
                     "movq %%rsi, %%rsp\n\t"
                     "popq %%rax\n\t"
                     "notrack jmp *%%rax\n"
                     "1:\tpopq %%rbp\n\t"
                     "leaq 128(%%rsp), %%rsp"
                     : "+D"(left), "+S"(entered)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st",
                       "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "memory",
                       "cc" STACK_SWITCH_AVX512);
}

#endif

#endif
