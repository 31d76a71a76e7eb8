/*
 * A part of what is made, as koa-range: who asks for some bytes of a body in memory gets these.
 *
 *     app_use(app, byte_ranges);
 *     app_use(app, etag(NULL)); // below it: a tag is that of the whole
 *     app_use(app, route_get("/report", send_report));
 *
 * GET alone, where the answer would be 200 with a body in memory: 206 with Content-Range. Of
 * several ranges the first one that is there is sent, which RFC 9110 14.2 allows. 416 where nothing
 * of them is there, or where they are malformed; a unit other than bytes is ignored. If-Range is
 * obeyed, by the ETag and Last-Modified that the layers below have set. Accept-Ranges is set in any
 * case.
 *
 * Files are for serve, which reads no more of them than is asked for; streams are sent whole.
 */
#ifndef ACACIA_BYTE_RANGES_H
#define ACACIA_BYTE_RANGES_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

may_await int byte_ranges(ctx_t *ctx);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
