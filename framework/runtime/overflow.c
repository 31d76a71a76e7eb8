#include "runtime/overflow.h"

#include "runtime/coroutine.h"
#include "runtime/decimal.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALTERNATE_STACK (32 * 1024) /* the one that is full can't be used to tell it */

static void tell(size_t stack_size) {
    static const char before[] = "acacia: a handler has used up its stack of ";
    static const char behind[] = " bytes; app_options_t.stack_size gives it more\n";
    char text[sizeof before + DECIMAL_MAX + sizeof behind], *at = text;
    memcpy(at, before, sizeof before - 1);
    at += sizeof before - 1;
    at += write_decimal(at, stack_size);
    memcpy(at, behind, sizeof behind - 1);
    at += sizeof behind - 1;
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)(at - text));
    (void)ignored;
}

/* When it returns the fault happens again, and ends the process. */
static void on_fault(int number, siginfo_t *info, void *context) {
    size_t stack_size;
    if (coroutine_guards(info->si_addr, &stack_size))
        tell(stack_size);
    signal(number, SIG_DFL);
}

static void handle(int number) {
    struct sigaction now, action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        sigaction(number, &action, NULL);
}

/* Stays as long as the thread. */
static bool have_alternate_stack(void) {
    stack_t now, stack = {.ss_size = ALTERNATE_STACK};
    if (sigaltstack(NULL, &now) < 0)
        return false;
    if (!(now.ss_flags & SS_DISABLE))
        return true;
    stack.ss_sp =
        mmap(NULL, ALTERNATE_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return stack.ss_sp != MAP_FAILED && sigaltstack(&stack, NULL) == 0;
}

void overflow_watch(void) {
    if (!have_alternate_stack())
        return;
    handle(SIGSEGV);
    handle(SIGBUS);
}
