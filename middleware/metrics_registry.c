/* What is registered, and counted. */
#include "metrics_parts.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERIES 1000
#define LABELS_MAX 8
#define OTHER "other" /* where what is beyond the limit is counted */

static const double default_buckets[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                         0.5,   1,    2.5,   5,    10,  0};

/* --- Series ----------------------------------------------------------------------------------- */

/* FNV-1a, over the values and the NULs behind them. */
static uint64_t hash_of(const char *const *values, size_t count) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < count; i++) {
        const char *at = values[i];
        do {
            hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
        } while (*at++);
    }
    return hash;
}

static bool is_series_of(const struct series *series, const char *const *values, size_t count) {
    const char *at = series->values;
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(values[i]) + 1;
        if (strncmp(at, values[i], size) != 0)
            return false;
        at += size;
    }
    return true;
}

static struct series *find_series(const struct metric *metric, uint64_t hash,
                                  const char *const *values) {
    struct series *series =
        metric->table_size ? metric->table[hash & (metric->table_size - 1)] : NULL;
    while (series && !(series->hash == hash && is_series_of(series, values, metric->label_count)))
        series = series->chained;
    return series;
}

static bool grow_table(struct metric *metric) {
    size_t size = metric->table_size ? 2 * metric->table_size : 8;
    struct series **table = calloc(size, sizeof *table);
    if (!table)
        return false;
    for (struct series *series = metric->first; series; series = series->next) {
        series->chained = table[series->hash & (size - 1)];
        table[series->hash & (size - 1)] = series;
    }
    free(metric->table);
    metric->table = table;
    metric->table_size = size;
    return true;
}

static char *join_values(const char *const *values, size_t count) {
    struct text text = {0};
    for (size_t i = 0; i < count; i++)
        text_add_bytes(&text, values[i], strlen(values[i]) + 1);
    text_add_char(&text, '\0'); /* so that there is memory even without values */
    if (!text.failed)
        return text.data;
    text_free(&text);
    return NULL;
}

static struct series *add_series(struct metric *metric, uint64_t hash, const char *const *values) {
    if (metric->series_count == metric->table_size && !grow_table(metric))
        return NULL;
    struct series *series = calloc(1, sizeof *series + metric->bucket_count * sizeof(uint64_t));
    if (!series || !(series->values = join_values(values, metric->label_count))) {
        free(series);
        return NULL;
    }
    struct series **bucket = &metric->table[hash & (metric->table_size - 1)];
    series->counts = (uint64_t *)(series + 1);
    series->hash = hash;
    series->chained = *bucket;
    *bucket = series;
    *metric->end = series;
    metric->end = &series->next;
    metric->series_count++;
    return series;
}

/* The series of these values, or, where there are too many, of all that have none. */
static struct series *series_of(struct metric *metric, const char *const *values) {
    static const char *const others[LABELS_MAX] = {OTHER, OTHER, OTHER, OTHER,
                                                   OTHER, OTHER, OTHER, OTHER};
    uint64_t hash = hash_of(values, metric->label_count);
    struct series *series = find_series(metric, hash, values);
    if (series)
        return series;
    if (metric->series_count >= metric->registry->series_max && metric->label_count > 0) {
        hash = hash_of(others, metric->label_count);
        series = find_series(metric, hash, others);
        values = others;
    }
    return series ? series : add_series(metric, hash, values);
}

/* --- Counting --------------------------------------------------------------------------------- */

void metric_add(metric_t *metric, double number, const char *const *values) {
    if (!metric || metric->kind == HISTOGRAM || isnan(number) ||
        (metric->kind == COUNTER && number < 0))
        return;
    struct series *series = series_of(metric, values);
    if (series)
        series->number += number;
}

void metric_set(metric_t *metric, double number, const char *const *values) {
    struct series *series = metric && metric->kind == GAUGE ? series_of(metric, values) : NULL;
    if (series)
        series->number = number;
}

void metric_observe(metric_t *metric, double number, const char *const *values) {
    if (!metric || metric->kind != HISTOGRAM || isnan(number))
        return;
    struct series *series = series_of(metric, values);
    if (!series)
        return;
    size_t i = 0;
    while (i < metric->bucket_count && number > metric->buckets[i])
        i++;
    if (i < metric->bucket_count)
        series->counts[i]++;
    series->count++;
    series->number += number;
}

/* --- Registering ------------------------------------------------------------------------------ */

static void refuse(metrics_t *registry, const char *name, const char *why) {
    if (!registry->error[0])
        snprintf(registry->error, sizeof registry->error, "metric \"%.60s\": %s", name, why);
}

static bool is_name(const char *name, bool is_label) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    size_t i = 0;
    if (is_label && strncmp(name, "__", 2) == 0)
        return false; /* Prometheus keeps these to itself */
    while (name[i] && (strchr(letters, name[i]) || (name[i] == ':' && !is_label) ||
                       (i > 0 && name[i] >= '0' && name[i] <= '9')))
        i++;
    return i > 0 && !name[i];
}

static bool is_taken(const metrics_t *registry, const char *name) {
    for (const struct metric *metric = registry->first; metric; metric = metric->next)
        if (strcmp(metric->name, name) == 0)
            return true;
    return false;
}

/* Why these can't be, or NULL. */
static const char *check(const metrics_t *registry, const char *name, const char *const *labels,
                         const double *buckets) {
    size_t count = 0;
    if (!is_name(name, false))
        return "no name for a metric";
    if (is_taken(registry, name))
        return "there is one of that name";
    for (; labels && labels[count]; count++)
        if (!is_name(labels[count], true) || (buckets && strcmp(labels[count], "le") == 0))
            return "a label that can't be one";
    if (count > LABELS_MAX)
        return "more than 8 labels";
    for (size_t i = 0; buckets && buckets[i]; i++)
        if (!(i > 0 ? buckets[i] > buckets[i - 1] : buckets[i] == buckets[i]))
            return "buckets must ascend";
    return NULL;
}

static void free_series(struct series *series) {
    while (series) {
        struct series *next = series->next;
        free(series->values);
        free(series);
        series = next;
    }
}

static void free_metric(struct metric *metric) {
    for (size_t i = 0; metric->labels && metric->labels[i]; i++)
        free(metric->labels[i]);
    free_series(metric->first);
    free(metric->labels);
    free(metric->table);
    free(metric->buckets);
    free(metric->name);
    free(metric->help);
    free(metric);
}

static bool copy_labels(struct metric *metric, const char *const *labels) {
    while (labels && labels[metric->label_count])
        metric->label_count++;
    metric->labels = calloc(metric->label_count + 1, sizeof *metric->labels);
    for (size_t i = 0; metric->labels && i < metric->label_count; i++)
        if (!(metric->labels[i] = strdup(labels[i])))
            return false;
    return metric->labels != NULL;
}

static bool copy_buckets(struct metric *metric, const double *buckets) {
    while (buckets && buckets[metric->bucket_count])
        metric->bucket_count++;
    metric->buckets = calloc(metric->bucket_count + 1, sizeof *metric->buckets);
    if (metric->buckets && metric->bucket_count > 0)
        memcpy(metric->buckets, buckets, metric->bucket_count * sizeof *buckets);
    return metric->buckets != NULL;
}

static struct metric *new_metric(metrics_t *registry, const char *name, const char *help,
                                 const char *const *labels, const double *buckets) {
    struct metric *metric = calloc(1, sizeof *metric);
    if (!metric)
        return NULL;
    metric->registry = registry;
    metric->end = &metric->first;
    metric->name = strdup(name);
    metric->help = strdup(help ? help : "");
    bool is_whole = copy_labels(metric, labels) && copy_buckets(metric, buckets) && metric->name &&
                    metric->help;
    if (is_whole && metric->label_count == 0) /* shown from the beginning, as 0 */
        is_whole = series_of(metric, NULL) != NULL;
    if (is_whole)
        return metric;
    free_metric(metric);
    return NULL;
}

static metric_t *register_metric(metrics_t *registry, metric_kind_t kind, const char *name,
                                 const char *help, const char *const *labels,
                                 const double *buckets) {
    if (!registry)
        return NULL;
    const char *why = check(registry, name, labels, buckets);
    struct metric *metric = why ? NULL : new_metric(registry, name, help, labels, buckets);
    if (!metric) {
        refuse(registry, name, why ? why : "out of memory");
        return NULL;
    }
    metric->kind = kind;
    *registry->end = metric;
    registry->end = &metric->next;
    return metric;
}

metric_t *metrics_counter(metrics_t *registry, const char *name, const char *help,
                          const char *const *labels) {
    return register_metric(registry, COUNTER, name, help, labels, NULL);
}

metric_t *metrics_gauge(metrics_t *registry, const char *name, const char *help,
                        const char *const *labels) {
    return register_metric(registry, GAUGE, name, help, labels, NULL);
}

metric_t *metrics_histogram(metrics_t *registry, const char *name, const char *help,
                            const char *const *labels, const double *buckets) {
    return register_metric(registry, HISTOGRAM, name, help, labels,
                           buckets ? buckets : default_buckets);
}

/* --- The registry ----------------------------------------------------------------------------- */

metrics_t *metrics_new(size_t series) {
    struct metrics *registry = calloc(1, sizeof *registry);
    if (!registry)
        return NULL;
    registry->series_max = series ? series : SERIES;
    registry->end = &registry->first;
    return registry;
}

void metrics_free(metrics_t *registry) {
    if (!registry)
        return;
    while (registry->first) {
        struct metric *metric = registry->first;
        registry->first = metric->next;
        free_metric(metric);
    }
    while (registry->collectors) {
        struct collector *collector = registry->collectors;
        registry->collectors = collector->next;
        free(collector);
    }
    free(registry);
}

const char *metrics_error(const metrics_t *registry) {
    return !registry ? "out of memory" : registry->error[0] ? registry->error : NULL;
}

int metrics_on_collect(metrics_t *registry, void (*fn)(void *arg), void *arg) {
    struct collector *collector = registry ? calloc(1, sizeof *collector) : NULL;
    if (!collector)
        return UV_ENOMEM;
    *collector = (struct collector){registry->collectors, fn, arg};
    registry->collectors = collector;
    return 0;
}

void metrics_forget_collector(metrics_t *registry, const void *arg) {
    struct collector **link = &registry->collectors;
    while (*link && (*link)->arg != arg)
        link = &(*link)->next;
    struct collector *collector = *link;
    if (collector)
        *link = collector->next;
    free(collector);
}
