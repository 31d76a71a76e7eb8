/* Forms whose names nest: no input is wrong, what comes out is JSON, and not deep. The first bytes
 * are the options. */
#include "context/nested.h"
#include "context/query.h"
#include "runtime/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef ACACIA_HAVE_JSON

static void check(bool holds) {
    if (!holds)
        abort();
}

static size_t levels(const json_t *json) {
    size_t most = 0, index;
    const char *name;
    json_t *value;
    if (json_is_object(json))
        json_object_foreach((json_t *)json, name, value) {
            size_t below = levels(value);
            most = below > most ? below : most;
        }
    else if (json_is_array(json))
        json_array_foreach(json, index, value) {
            size_t below = levels(value);
            most = below > most ? below : most;
        }
    return most + 1;
}

/* Written and read again it is the same: names and values are UTF-8, and no name comes twice. */
static void check_text(const json_t *json) {
    char *text = json_dumps(json, JSON_COMPACT);
    json_t *again = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    check(again && json_equal(json, again));
    json_decref(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct query query;
    json_t *json = NULL;
    if (size < 3)
        return 0;
    const nesting_options_t options = {
        .dots = data[0] & 1,
        .depth = data[0] >> 1,
        .items = data[1] & 63,
        .pairs = data[2],
    };
    arena_init(&arena, NULL);
    check(query_parse(&query, &arena, (const char *)data + 3, size - 3) == 0);
    check(nested_parse(query.pairs, query.count, &options, &json) == 0);
    arena_release(&arena); /* nothing may point into it */
    check(json_is_object(json));
    check(levels(json) <= 4 * ((options.depth ? options.depth : 5) + 2));
    check_text(json);
    json_decref(json);
    return 0;
}

#else

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    return 0; /* there is no JSON in this build */
}

#endif
