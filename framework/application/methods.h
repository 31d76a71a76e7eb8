/* Methods of HTTP, as routes see them. */
#ifndef ACACIA_METHODS_H
#define ACACIA_METHODS_H

#include <stdbool.h>
#include <string.h>

/* All that node knows, in its order, NULL at the end; HEAD comes first, as in an Allow header. */
extern const char *const all_methods[];

/* They have three or four letters as a rule, for which strcmp takes twice as long. */
static inline bool method_is(const char *method, const char *other) {
    while (*method && *method == *other)
        method++, other++;
    return *method == *other;
}

/* Does a route for `method` (NULL: any) serve a request by `asked`? GET serves HEAD, too. */
static inline bool method_serves(const char *method, const char *asked) {
    if (!method || method_is(method, asked))
        return true;
    return *asked == 'H' && strcmp(method, "GET") == 0 && strcmp(asked, "HEAD") == 0;
}

/* Make it upper case, which is how they come. */
void method_capitalize(char *method);

#endif
