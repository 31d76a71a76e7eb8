/* A handler that recurses without end is told what its stack was, and which option helps. */
#include <acacia.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *program;

static int dig(volatile char *above, int depth) {
    volatile char here[512];
    here[0] = *above;
    return depth > 1000000 ? here[0] : dig(here, depth + 1) + here[0];
}

static int deep(ctx_t *ctx) {
    volatile char start = 1;
    return ctx_textf(ctx, "%d", dig(&start, 0));
}

static int child(void) {
    app_t *app = app_new_with(&(app_options_t){.stack_size = 65536});
    app_use(app, deep);
    app_inject(app, &(app_request_t){.url = "/"});
    return 0;
}

/* A sanitizer that is there must leave the signal to us, which is to be said before it starts. */
static void run_child(int out) {
    dup2(out, STDERR_FILENO);
    setenv("ASAN_OPTIONS", "handle_segv=0:handle_sigbus=0:use_sigaltstack=0:detect_leaks=0", 1);
    execl(program, program, "child", (char *)NULL);
    _exit(99);
}

static void is_told(void **state) {
    int pipes[2], status;
    char text[4096] = "";
    size_t length = 0;
    ssize_t n;
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        run_child(pipes[1]);
    close(pipes[1]);
    while ((n = read(pipes[0], text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)n;
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_non_null(strstr(text, "has used up its stack of 65536 bytes; app_options_t.stack_size"));
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_told)};
    program = argv[0];
    if (argc > 1)
        return child();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
