/*
 * Cookies as strings: reading one out of the header Cookie, and writing the header Set-Cookie, as
 * the npm package cookies 0.9.2 does.
 *
 *     size_t length;
 *     const char *value = cookie_get("a=1; b=\"2\"", "b", &length); // 2
 *
 *     struct cookie cookie = {.name = "b", .value = "2", .max_age = 60000};
 *     char *line = cookie_write(&arena, &cookie, now, &error);
 *     // "b=2; path=/; expires=Thu, 01 Jan 1970 00:01:00 GMT; httponly"
 */
#ifndef ACACIA_COOKIE_H
#define ACACIA_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/*
 * The value of the first cookie of just this name, as it stands: nothing is decoded. Quotes around
 * it are dropped. A view into `header`; NULL if there is none.
 *
 * What is compared is the text before the '=', from the first character behind a ';' that is no
 * space: "a=1" is not found in "ba=1", nor in "a =1", nor in "\ta=1".
 */
const char *cookie_get(const char *header, const char *name, size_t *length);

/* A cookie to be set. Zero is the default, in all of them. */
struct cookie {
    const char *name;
    const char *value; /* NULL or "": delete it, by `expired` */

    const char *path;      /* NULL: "/"; "": no such attribute, and the browser chooses */
    const char *domain;    /* NULL or "": none */
    const char *priority;  /* NULL or "": none; "low", "medium", "high" in any case */
    const char *same_site; /* NULL or "": none; "strict", "lax", "none" in any case */

    /* The first of these that is set becomes `expires`. */
    bool expired;    /* 1970: the browser forgets the cookie, whatever its value */
    int64_t max_age; /* milliseconds from now; what is negative is over */
    int64_t expires; /* seconds since 1970 */

    bool secure;
    bool script_access; /* no `httponly` */
    bool partitioned;
};

/*
 * The value of the header Set-Cookie, in the arena. `now` is in milliseconds since 1970.
 *
 * NULL on an error: *error is then what is wrong with the cookie ("argument name is invalid",
 * "option domain is invalid"), not to be freed, or NULL if there is no memory. Whatever the fields
 * are, the line has no control characters in it but tabs, and no ';' that begins an attribute which
 * is not meant.
 */
char *cookie_write(struct arena *arena, const struct cookie *cookie, int64_t now,
                   const char **error);

/* Does this Set-Cookie set the cookie `name`? Those are the lines that the option `overwrite`
 * removes: of any path and domain. */
bool cookie_line_sets(const char *line, const char *name);

#endif
