/* The text of Prometheus, version 0.0.4. */
#include "metrics_parts.h"
#include "text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One bad byte would make the whole page unreadable: what is not printable is escaped first. */
static void add_escaped(struct text *text, const char *value, bool quoted) {
    struct text printable = {0};
    text_add_escaped(&printable, value, ESCAPE_LOG);
    for (const char *at = printable.data ? printable.data : ""; *at; at++) {
        if (*at == '\\' || (*at == '"' && quoted))
            text_add_char(text, '\\');
        text_add_char(text, *at);
    }
    text->failed = text->failed || printable.failed;
    text_free(&printable);
}

/* As few digits as give the same number back. The point is a point wherever the program runs. */
static void add_number(struct text *text, double number) {
    char digits[40];
    if (isinf(number) || isnan(number)) {
        text_add(text, isnan(number) ? "NaN" : number < 0 ? "-Inf" : "+Inf");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number)
            break;
    }
    char *comma = strchr(digits, ',');
    if (comma)
        *comma = '.';
    text_add(text, digits);
}

/* "name_bucket{method="GET",le="0.5"} ". `bound` NULL: no such label. */
static void begin_sample(struct text *text, const struct metric *metric, const char *suffix,
                         const struct series *series, const double *bound) {
    const char *value = series->values;
    text_add(text, metric->name);
    text_add(text, suffix);
    for (size_t i = 0; i < metric->label_count; i++) {
        text_printf(text, "%c%s=\"", i == 0 ? '{' : ',', metric->labels[i]);
        add_escaped(text, value, true);
        text_add_char(text, '"');
        value += strlen(value) + 1;
    }
    if (bound) {
        text_add(text, metric->label_count == 0 ? "{le=\"" : ",le=\"");
        add_number(text, *bound);
        text_add_char(text, '"');
    }
    text_add(text, metric->label_count > 0 || bound ? "} " : " ");
}

static void add_histogram(struct text *text, const struct metric *metric,
                          const struct series *series) {
    static const double infinity = INFINITY;
    uint64_t below = 0;
    for (size_t i = 0; i < metric->bucket_count; i++) {
        below += series->counts[i];
        begin_sample(text, metric, "_bucket", series, &metric->buckets[i]);
        text_printf(text, "%" PRIu64 "\n", below);
    }
    begin_sample(text, metric, "_bucket", series, &infinity);
    text_printf(text, "%" PRIu64 "\n", series->count);
    begin_sample(text, metric, "_sum", series, NULL);
    add_number(text, series->number);
    text_add_char(text, '\n');
    begin_sample(text, metric, "_count", series, NULL);
    text_printf(text, "%" PRIu64 "\n", series->count);
}

static void add_metric(struct text *text, const struct metric *metric) {
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    text_printf(text, "# HELP %s ", metric->name);
    add_escaped(text, metric->help, false);
    text_printf(text, "\n# TYPE %s %s\n", metric->name, kinds[metric->kind]);
    for (const struct series *series = metric->first; series; series = series->next) {
        if (metric->kind == HISTOGRAM) {
            add_histogram(text, metric, series);
            continue;
        }
        begin_sample(text, metric, "", series, NULL);
        add_number(text, series->number);
        text_add_char(text, '\n');
    }
}

char *metrics_text(metrics_t *registry, size_t *length) {
    struct text text = {0};
    for (const struct collector *collector = registry->collectors; collector;
         collector = collector->next)
        collector->fn(collector->arg);
    text_add(&text, "");
    for (const struct metric *metric = registry->first; metric; metric = metric->next)
        add_metric(&text, metric);
    if (text.failed)
        text_free(&text);
    if (length)
        *length = text.length;
    return text.data;
}
