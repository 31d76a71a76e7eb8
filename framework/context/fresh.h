/* Is what the client has in its cache still good? */
#ifndef ACACIA_FRESH_H
#define ACACIA_FRESH_H

#include <stdbool.h>

/*
 * Compares what the request asks, by If-None-Match, If-Modified-Since and Cache-Control, with what
 * the response would say by ETag and Last-Modified. Each is NULL or "" if it is missing.
 *
 * As npm's fresh 0.5.2, which Koa uses: false without a condition and with "no-cache"; both
 * conditions must hold if there are two; weak tags equal strong ones; "*" equals every tag, even if
 * there is none. But of dates only those count that http_date_parse takes: others are never fresh.
 */
bool fresh(const char *if_none_match, const char *if_modified_since, const char *cache_control,
           const char *etag, const char *last_modified);

#endif
