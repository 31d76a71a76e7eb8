#include "await.h"
#include "runtime/wait.h"

#include <stdlib.h>

struct future {
    struct wait wait;
    void *value;
    bool resolved;
    bool resolver_gone, waiter_gone; /* freed when both are */
};

future_t *future_new(void) {
    return calloc(1, sizeof(future_t));
}

static void free_if_unused(future_t *future) {
    if (future->resolver_gone && future->waiter_gone)
        free(future);
}

void future_resolve(future_t *future, int status, void *value) {
    future->value = value;
    future->resolved = true;
    future->wait.result = status;
    if (future->wait.co)
        wait_done(&future->wait, status);
    future->resolver_gone = true;
    free_if_unused(future);
}

may_await int await_future(future_t *future, void **value) {
    int status = future->wait.result;
    if (!future->resolved)
        status = wait_for(&future->wait);
    if (future->resolved && value)
        *value = future->value;
    return status;
}

void future_free(future_t *future) {
    if (!future)
        return;
    future->waiter_gone = true;
    free_if_unused(future);
}
