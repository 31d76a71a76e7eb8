/* What stands behind metrics.h; not installed. */
#ifndef ACACIA_METRICS_PARTS_H
#define ACACIA_METRICS_PARTS_H

#include "metrics.h"

typedef enum { COUNTER, GAUGE, HISTOGRAM } metric_kind_t;

/* One combination of values of the labels. */
struct series {
    struct series *next;    /* in the order in which they came */
    struct series *chained; /* in its bucket of the table */
    uint64_t hash;
    char *values;  /* each followed by a NUL */
    double number; /* of a histogram the sum */
    uint64_t count;
    uint64_t *counts; /* of a histogram: how many in each bucket, not cumulative; behind it */
};

struct metric {
    struct metric *next;
    const metrics_t *registry;
    metric_kind_t kind;
    char *name, *help;
    char **labels; /* NULL at the end */
    size_t label_count;
    double *buckets;
    size_t bucket_count;
    struct series *first, **end;
    struct series **table; /* by hash; a power of 2, at least as many as there are */
    size_t table_size, series_count;
};

struct collector {
    struct collector *next;
    void (*fn)(void *arg);
    void *arg;
};

struct metrics {
    size_t series_max;
    struct metric *first, **end;
    struct collector *collectors;
    char error[160];
};

/* Take back metrics_on_collect, since `arg` goes. */
void metrics_forget_collector(metrics_t *registry, const void *arg);

#endif
