/*
 * What there is to know about status codes.
 */
#ifndef ACACIA_STATUS_H
#define ACACIA_STATUS_H

#include <stdbool.h>

/* The reason phrase, "Not Found" for 404. NULL for a status that has none. */
const char *status_phrase(int status);

/* Is a response with this status without a body? 204, 205 and 304. */
bool status_is_empty(int status);

/* Does it send the client elsewhere? 300, 301, 302, 303, 305, 307 and 308. */
bool status_is_redirect(int status);

#endif
