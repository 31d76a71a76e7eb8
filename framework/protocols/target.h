/* What a request asks for: its target (RFC 9112 3.2). */
#ifndef ACACIA_TARGET_H
#define ACACIA_TARGET_H

#include <stdbool.h>

/*
 * Is it one that all servers read alike? That is a path with a query, "/users?full=1"; what begins
 * with "*"; or a whole URL of http or https, whose host and port stand in Host as well, letter by
 * letter but for case: a server would have to believe the URL (RFC 9112 3.2.2), and most believe
 * Host, as Koa does.
 *
 * `host` is the value of Host, NULL if there is none (HTTP/1.0).
 */
bool target_is_clear(const char *target, const char *host);

#endif
