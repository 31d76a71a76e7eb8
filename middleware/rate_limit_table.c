#include "rate_limit_table.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define MILLISECOND UINT64_C(1000000) /* in nanoseconds */
#define HASH_SIZE 16

/* Others are named by their number; 0 is none. */
struct entry {
    unsigned char hash[HASH_SIZE];
    uint64_t level;        /* of a window: its requests; of a bucket: when it is full again */
    uint64_t expires;      /* then the key may be forgotten */
    uint32_t next;         /* in the chain of those with the same index */
    uint32_t newer, older; /* in the list; of number 0 its ends: the oldest and the newest */
};

struct rate_table {
    unsigned char secret[HASH_SIZE];
    struct entry *entries; /* from number 1 */
    uint32_t size, used;
    uint32_t *chains; /* where they begin */
    size_t mask;      /* their number - 1, all ones */
};

struct rate_table *rate_table_new(size_t keys) {
    struct rate_table *table = calloc(1, sizeof *table);
    size_t chains = 1;
    if (!table)
        return NULL;
    while (chains < keys)
        chains *= 2;
    table->mask = chains - 1;
    table->size = (uint32_t)keys;
    table->entries = calloc(keys + 1, sizeof *table->entries);
    table->chains = calloc(chains, sizeof *table->chains);
    if (!table->entries || !table->chains ||
        uv_random(NULL, NULL, table->secret, sizeof table->secret, 0, NULL)) {
        rate_table_free(table);
        return NULL;
    }
    return table;
}

void rate_table_free(struct rate_table *table) {
    if (!table)
        return;
    free(table->entries);
    free(table->chains);
    free(table);
}

/* --- The list --------------------------------------------------------------------------------- */

static void unlink_entry(struct rate_table *table, uint32_t number) {
    const struct entry *entry = &table->entries[number];
    table->entries[entry->older].newer = entry->newer;
    table->entries[entry->newer].older = entry->older;
}

static void make_newest(struct rate_table *table, uint32_t number) {
    struct entry *entry = &table->entries[number], *ends = &table->entries[0];
    entry->newer = 0;
    entry->older = ends->older;
    table->entries[ends->older].newer = number;
    ends->older = number;
}

/* --- Finding a key ---------------------------------------------------------------------------- */

static bool hash_key(const struct rate_table *table, const char *key, unsigned char *hash) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length;
    if (!HMAC(EVP_sha256(), table->secret, sizeof table->secret, (const unsigned char *)key,
              strlen(key), digest, &length))
        return false;
    memcpy(hash, digest, HASH_SIZE);
    return true;
}

static uint32_t *chain_of(const struct rate_table *table, const unsigned char *hash) {
    uint32_t index;
    memcpy(&index, hash, sizeof index);
    return &table->chains[index & table->mask];
}

static uint32_t find(const struct rate_table *table, const unsigned char *hash) {
    uint32_t number = *chain_of(table, hash);
    while (number && memcmp(table->entries[number].hash, hash, HASH_SIZE) != 0)
        number = table->entries[number].next;
    return number;
}

static void leave_chain(struct rate_table *table, uint32_t number) {
    uint32_t *link = chain_of(table, table->entries[number].hash);
    while (*link != number)
        link = &table->entries[*link].next;
    *link = table->entries[number].next;
}

/* A place for a new key. */
static uint32_t take_place(struct rate_table *table, uint64_t now, rate_limit_stats_t *stats) {
    uint32_t oldest = table->entries[0].newer;
    bool is_over = oldest && table->entries[oldest].expires <= now;
    if (!is_over && table->used < table->size) {
        stats->keys = ++table->used;
        return table->used;
    }
    stats->evicted += !is_over;
    unlink_entry(table, oldest);
    leave_chain(table, oldest);
    return oldest;
}

static uint32_t add(struct rate_table *table, const unsigned char *hash, uint64_t now,
                    rate_limit_stats_t *stats) {
    uint32_t number = take_place(table, now, stats), *chain = chain_of(table, hash);
    struct entry *entry = &table->entries[number];
    memcpy(entry->hash, hash, HASH_SIZE);
    entry->expires = 0;
    entry->next = *chain;
    *chain = number;
    make_newest(table, number);
    return number;
}

/* --- Counting --------------------------------------------------------------------------------- */

static uint64_t milliseconds(uint64_t nanoseconds) {
    return nanoseconds / MILLISECOND + (nanoseconds % MILLISECOND > 0);
}

static void take_from_window(struct entry *entry, const rate_limit_rule_t *rule, uint64_t now,
                             rate_limit_result_t *result) {
    result->limited = entry->level >= rule->max;
    entry->level += !result->limited;
    result->remaining = rule->max - entry->level;
    result->reset = milliseconds(entry->expires - now);
    result->retry_after = result->remaining ? 0 : result->reset;
}

/* `level` is when the bucket will be full. Each token puts that off by an interval, at most by
 * `max` of them from now. */
static void take_from_bucket(struct entry *entry, const rate_limit_rule_t *rule, uint64_t now,
                             rate_limit_result_t *result) {
    uint64_t interval = rule->duration * MILLISECOND / rule->max, capacity = interval * rule->max;
    uint64_t missing = entry->level > now ? entry->level - now : 0;
    result->limited = missing + interval > capacity;
    missing += result->limited ? 0 : interval;
    entry->level = now + missing;
    result->remaining = (capacity - missing) / interval;
    result->reset = milliseconds(missing);
    result->retry_after = result->remaining ? 0 : milliseconds(missing + interval - capacity);
}

int rate_table_take(struct rate_table *table, const char *key, const rate_limit_rule_t *rule,
                    uint64_t now, rate_limit_result_t *result, rate_limit_stats_t *stats) {
    unsigned char hash[HASH_SIZE];
    if (!hash_key(table, key, hash))
        return UV_ENOMEM;
    uint32_t number = find(table, hash);
    if (!number)
        number = add(table, hash, now, stats);
    struct entry *entry = &table->entries[number];
    bool is_new = entry->expires <= now;
    if (is_new)
        entry->level = 0;
    if (is_new || rule->token_bucket) { /* a bucket is full when nobody came for the duration */
        entry->expires = now + rule->duration * MILLISECOND;
        unlink_entry(table, number);
        make_newest(table, number);
    }
    result->limit = rule->max;
    if (rule->token_bucket)
        take_from_bucket(entry, rule, now, result);
    else
        take_from_window(entry, rule, now, result);
    return 0;
}
