/*
 * Dates in header fields: seconds since 1970 in UTC, whatever the locale and the time zone are.
 */
#ifndef ACACIA_HTTP_DATE_H
#define ACACIA_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#define HTTP_DATE_SIZE 30 /* of "Sun, 06 Nov 1994 08:49:37 GMT", and the NUL */

/* Write it as above. A time that is not in the years 0 to 9999 is moved to the nearest that is. */
void http_date_format(char text[HTTP_DATE_SIZE], int64_t seconds);

/*
 * Read one of these, and nothing may come before or behind it:
 *
 *     Sun, 06 Nov 1994 08:49:37 GMT     RFC 9110, 5.6.7: what everybody writes
 *     Sunday, 06-Nov-94 08:49:37 GMT    RFC 850
 *     Sun Nov  6 08:49:37 1994          asctime
 *     1994-11-06                        ISO 8601, which Koa reads, too
 *     1994-11-06T08:49:37.5Z            its seconds and their fraction may be missing
 *     1994-11-06T09:49+01:00            but not its zone
 *
 * The names are as written here, in English. Which day of the week it is does not matter, but there
 * is no 30th of February. Two digits are a year from 1950 to 2049, as in JavaScript. A fraction is
 * dropped. 23:59:60, a leap second, is the second behind it.
 *
 * False, and *seconds as it was, if it is none of them.
 */
bool http_date_parse(const char *text, int64_t *seconds);

#endif
