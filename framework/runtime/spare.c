#include "runtime/spare.h"

#include <stdlib.h>

struct spare { /* lies in what is kept */
    struct spare *next;
    size_t size;
};

void *spare_take(struct loop *loop, size_t *size) {
    struct spare **link = &loop->spares, *spare;
    while (*link && (*link)->size < *size)
        link = &(*link)->next;
    spare = *link;
    if (!spare || *size < SPARE_LEAST)
        return NULL;
    *link = spare->next;
    *size = spare->size;
    loop->spare_bytes -= spare->size;
    return spare;
}

void spare_put(struct loop *loop, void *data, size_t size) {
    struct spare *spare = data;
    if (!data || size < SPARE_LEAST || size > SPARE_TOTAL - loop->spare_bytes) {
        free(data);
        return;
    }
    spare->next = loop->spares;
    spare->size = size;
    loop->spares = spare;
    loop->spare_bytes += size;
}

void spare_trim(struct loop *loop) {
    while (loop->spares) {
        struct spare *next = loop->spares->next;
        free(loop->spares);
        loop->spares = next;
    }
    loop->spare_bytes = 0;
}
