/*
 * Bodies of requests, parsed before the handler runs: JSON, forms, text. As koa-bodyparser.
 *
 *     static int create_user(ctx_t *ctx) {
 *         const char *name;
 *         if (json_unpack(body_json(ctx), "{s:s}", "name", &name))
 *             return ctx_throw(ctx, 422, "a name, please");
 *         return ctx_textf(ctx, "hello, %s", name);
 *     }
 *
 *     app_use(app, body_parser(NULL));
 *     app_use(app, route_post("/users", create_user));
 *
 * The body is read, inflated if Content-Encoding says gzip, deflate, br or zstd, and parsed by its
 * Content-Type. What is none of the types passes through unread; so does a second body_parser.
 *
 * Uploads are for multipart.h.
 */
#ifndef ACACIA_BODY_PARSER_H
#define ACACIA_BODY_PARSER_H

#include "acacia.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* Zero is the default. Lists end with NULL. All is copied. */
typedef struct {
    /* what is parsed */
    bool no_json;
    bool no_form;
    bool text;                  /* also text/plain */
    bool xml;                   /* also text/xml and application/xml, as text */
    const char *const *methods; /* NULL: POST, PUT and PATCH */

    /* further types, as ctx_is takes them: "application/problem+json", "+json", "text/…" */
    const char *const *json_types; /* beside application/json, json-patch+json, vnd.api+json,
                                      csp-report and scim+json */
    const char *const *form_types; /* beside application/x-www-form-urlencoded */
    const char *const *text_types; /* beside text/plain, if `text` */
    const char *const *xml_types;  /* beside text/xml and application/xml, if `xml` */

    /* Is this JSON, whatever its type says? NULL: the type decides. */
    bool (*detect_json)(ctx_t *ctx);

    /* Bytes of a body, as it comes and as it is when inflated: beyond it 413. */
    size_t json_limit; /* 1 MiB */
    size_t form_limit; /* 56 KiB */
    size_t text_limit; /* 1 MiB */
    size_t xml_limit;  /* 1 MiB */

    /* how */
    bool not_strict; /* JSON may be any value, not only an object or an array */
    bool no_inflate; /* what is compressed is 415 */

    /* names of a form that nest: see nesting_options_t */
    bool no_dots;      /* "a.b" is a name as any other, not "a[b]" */
    size_t form_depth; /* 5 */
    size_t form_items; /* 20 */
    size_t form_pairs; /* 1,000; beyond it 413 */

    /*
     * Called in place of failing, with what was thrown. Returns 0: it goes on by next(), and there
     * is no body; or throws something else. May suspend. What is no fault of the client's (no
     * memory) and a client that is gone is not for it.
     */
    int (*on_error)(ctx_t *ctx, const ctx_error_t *error);
} body_parser_options_t;

/*
 * `options` may be NULL. For a request whose ctx has a value of the name "disable_body_parser" (see
 * ctx_set_value) it does nothing.
 *
 * It throws 400 for what is malformed, breaks off, or has a name "__proto__" in it; 413 for what is
 * too large ("request entity too large") or has too many pairs; 415 for a Content-Encoding or
 * charset that it does not know. UTF-8, US-ASCII and Latin-1 are known.
 */
middleware_t body_parser(const body_parser_options_t *options);

/* --- What came -------------------------------------------------------------------------------- */

/* All of it belongs to the ctx and lives as long as it. Nothing here suspends. */

#ifdef ACACIA_HAVE_JSON
/* The JSON, a borrowed reference; {} if the body was empty; NULL if it was no JSON, or if nothing
 * was parsed. jansson's functions take NULL for an object that has nothing in it. */
json_t *body_json(ctx_t *ctx);

/* The form as an object: {"name": "value"}, and what nests as ctx_nest_pairs has it. NULL if it was
 * none. */
json_t *body_form(ctx_t *ctx);

/* Either of them, for handlers that take both (Koa's ctx.request.body). */
json_t *body_parsed(ctx_t *ctx);
#endif

/* The first value of that name in the form, NULL if there is none; names are whole, "user[name]".
 */
const char *body_field(ctx_t *ctx, const char *name);

/* The form, one pair after the other, repeated names included: false past the last. */
bool body_field_at(ctx_t *ctx, size_t index, const char **name, const char **value);

/* The text, or the XML, as UTF-8: what is malformed, and a NUL, is U+FFFD. NULL if it was none. */
const char *body_text(ctx_t *ctx);

/* The bytes that were parsed, whatever they were, inflated (Koa's ctx.request.rawBody); {"", 0} if
 * nothing was. */
bytes_t body_raw(ctx_t *ctx);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
