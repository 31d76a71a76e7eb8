#include "redis_message.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

bool redis_node_is_valid(const char *node, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (node[i] <= ' ' || node[i] > '~')
            return false;
    return length > 0 && length <= REDIS_NODE_SIZE;
}

void redis_message_head(char head[REDIS_HEAD_SIZE], const char *node, bool binary) {
    snprintf(head, REDIS_HEAD_SIZE, "%s %s\n", binary ? "binary" : "text", node);
}

/* Behind `word`; NULL if it doesn't begin with that. */
static const char *skip(const char *data, const char *end, const char *word) {
    size_t length = strlen(word);
    bool begins = (size_t)(end - data) >= length && memcmp(data, word, length) == 0;
    return begins ? data + length : NULL;
}

bool redis_message_read(const char *data, size_t length, struct redis_message *message) {
    const char *end = data + length, *node = skip(data, end, "text ");
    bool binary = !node;
    if (binary && !(node = skip(data, end, "binary ")))
        return false;
    const char *line_end = memchr(node, '\n', (size_t)(end - node));
    if (!line_end || !redis_node_is_valid(node, (size_t)(line_end - node)))
        return false;
    message->node = node;
    message->node_length = (size_t)(line_end - node);
    message->message = (ws_message_t){
        .data = line_end + 1,
        .length = (size_t)(end - line_end) - 1,
        .binary = binary,
    };
    return binary || text_is_utf8(message->message.data, message->message.length);
}
