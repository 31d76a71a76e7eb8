/* Methods of HTTP, as routes see them. */
#ifndef ACACIA_METHODS_H
#define ACACIA_METHODS_H

#include <stdbool.h>

/* All that node knows, in its order, NULL at the end; HEAD comes first, as in an Allow header. */
extern const char *const all_methods[];

/* Does a route for `method` (NULL: any) serve a request by `asked`? GET serves HEAD, too. */
bool method_serves(const char *method, const char *asked);

/* Make it upper case, which is how they come. */
void method_capitalize(char *method);

#endif
