/*
 * How a message of redis_rooms.h travels: a line, `text NODE` or `binary NODE`, and behind its '\n'
 * the message, as it is. It is not installed.
 */
#ifndef ACACIA_REDIS_MESSAGE_H
#define ACACIA_REDIS_MESSAGE_H

#include "acacia.h"

#define REDIS_NODE_SIZE 64                     /* bytes of a node's name */
#define REDIS_HEAD_SIZE (REDIS_NODE_SIZE + 10) /* of the line, with a NUL */

/* A name for a node: 1 to REDIS_NODE_SIZE bytes that can be seen, of ASCII. */
bool redis_node_is_valid(const char *node, size_t length);

/* Write the line for messages of this node, which must be valid, with its '\n' and a NUL. */
void redis_message_head(char head[REDIS_HEAD_SIZE], const char *node, bool binary);

struct redis_message {
    const char *node; /* not followed by a NUL */
    size_t node_length;
    ws_message_t message;
};

/* Take one apart: it points into `data`, which a NUL must follow. False if it is none, or if it is
 * text that is not UTF-8. */
bool redis_message_read(const char *data, size_t length, struct redis_message *message);

#endif
