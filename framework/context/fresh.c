#include "context/fresh.h"

#include "context/http_date.h"
#include "context/span.h"

#include <stdint.h>
#include <string.h>

static bool is_missing(const char *value) {
    return !value || !*value;
}

static bool has_item(const char *list, const char *wanted) {
    struct span rest = span_of(list), item;
    while (span_next(&rest, ',', &item))
        if (span_is(span_trim(item), wanted))
            return true;
    return false;
}

static bool is_weak_form(struct span weak, struct span strong) {
    return weak.length == strong.length + 2 && memcmp(weak.at, "W/", 2) == 0 &&
           memcmp(weak.at + 2, strong.at, strong.length) == 0;
}

static bool has_tag(const char *list, const char *etag) {
    struct span rest = span_of(list), tag = span_of(etag), item;
    while (span_next(&rest, ',', &item)) {
        item = span_trim(item);
        if (span_is(item, etag) || is_weak_form(item, tag) || is_weak_form(tag, item))
            return true;
    }
    return false;
}

static bool is_not_after(const char *date, const char *other) {
    int64_t seconds, limit;
    return http_date_parse(date, &seconds) && http_date_parse(other, &limit) && seconds <= limit;
}

bool fresh(const char *if_none_match, const char *if_modified_since, const char *cache_control,
           const char *etag, const char *last_modified) {
    if (is_missing(if_none_match) && is_missing(if_modified_since))
        return false;
    if (!is_missing(cache_control) && has_item(cache_control, "no-cache"))
        return false;
    if (!is_missing(if_none_match) && strcmp(if_none_match, "*") != 0 &&
        (is_missing(etag) || !has_tag(if_none_match, etag)))
        return false;
    return is_missing(if_modified_since) ||
           (!is_missing(last_modified) && is_not_after(last_modified, if_modified_since));
}
