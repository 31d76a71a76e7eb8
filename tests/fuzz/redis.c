/* What comes from Redis's channels: a message is what it is read as, written once more; and URLs of
 * Redis. */
#include "middleware/redis_message.h"
#include "middleware/redis_target.h"

#include <stdlib.h>
#include <string.h>

static void check(bool holds) {
    if (!holds)
        abort();
}

static void fuzz_message(const char *data, size_t size) {
    struct redis_message message;
    char node[REDIS_NODE_SIZE + 1], head[REDIS_HEAD_SIZE];
    if (!redis_message_read(data, size, &message))
        return;
    check(redis_node_is_valid(message.node, message.node_length));
    memcpy(node, message.node, message.node_length);
    node[message.node_length] = '\0';
    redis_message_head(head, node, message.message.binary);
    check(strlen(head) + message.message.length == size);
    check(memcmp(data, head, strlen(head)) == 0);
    check(message.message.data == data + strlen(head));
}

static void fuzz_url(const char *url) {
    struct redis_target target;
    if (redis_target_parse(&target, url))
        return;
    check(target.path ? !target.host && *target.path == '/' : *target.host && *target.port);
    check(!target.username || target.password);
    redis_target_free(&target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = malloc(size + 1);
    memcpy(copy, data, size);
    copy[size] = '\0';
    fuzz_message(copy, size);
    fuzz_url(copy);
    free(copy);
    return 0;
}
