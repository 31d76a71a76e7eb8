/*
 * What was found a moment ago, kept open. All of it is believed for the same time, so that the
 * oldest is always the next to be forgotten: a queue, and buckets to look names up in.
 */
#include "serve_parts.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a. Names that collide cost a walk along one bucket, which holds `limit` of them at most. */
static uint32_t hash_of(const char *name) {
    uint32_t hash = 2166136261u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash;
}

int serve_cache_init(struct serve_cache *cache, const serve_options_t *options) {
    *cache = (struct serve_cache){.lifetime = options->cache_time, .limit = options->cache_files};
    if (options->no_cache)
        return 0;
    size_t count = 1;
    while (count < cache->limit && count < (1u << 20))
        count *= 2;
    cache->buckets = calloc(count, sizeof *cache->buckets);
    cache->bucket_count = cache->buckets ? count : 0;
    return cache->buckets ? 0 : UV_ENOMEM;
}

static struct serve_found **bucket_of(struct serve_cache *cache, uint32_t hash) {
    return &cache->buckets[hash & (cache->bucket_count - 1)];
}

static struct serve_found *find(struct serve_cache *cache, const char *name, uint32_t hash) {
    struct serve_found *found = *bucket_of(cache, hash);
    while (found && (found->hash != hash || strcmp(found->name, name) != 0))
        found = found->same_bucket;
    return found;
}

void serve_cache_drop(struct serve_cache *cache, struct serve_found *found) {
    if (!cache->bucket_count)
        return;
    struct serve_found **link = bucket_of(cache, found->hash);
    while (*link && *link != found)
        link = &(*link)->same_bucket;
    if (!*link)
        return; /* it has been dropped before */
    *link = found->same_bucket;
    *(found->older ? &found->older->newer : &cache->oldest) = found->newer;
    *(found->newer ? &found->newer->older : &cache->newest) = found->older;
    cache->count--;
    serve_release(found);
}

void serve_cache_clear(struct serve_cache *cache) {
    while (cache->oldest)
        serve_cache_drop(cache, cache->oldest);
}

void serve_cache_release(struct serve_cache *cache) {
    serve_cache_clear(cache);
    free(cache->buckets);
}

static void drop_expired(struct serve_cache *cache, uint64_t now) {
    while (cache->oldest && cache->oldest->expires <= now)
        serve_cache_drop(cache, cache->oldest);
}

struct serve_found *serve_cache_get(struct serve_cache *cache, const char *name, uint64_t now) {
    if (!cache->bucket_count)
        return NULL;
    drop_expired(cache, now);
    struct serve_found *found = find(cache, name, hash_of(name));
    if (found)
        found->holders++;
    return found;
}

void serve_cache_put(struct serve_cache *cache, struct serve_found *found, uint64_t now) {
    if (!cache->bucket_count)
        return;
    found->hash = hash_of(found->name);
    found->expires = now + cache->lifetime;
    struct serve_found *known = find(cache, found->name, found->hash);
    if (known) /* two have looked for it at once */
        serve_cache_drop(cache, known);
    while (cache->count >= cache->limit)
        serve_cache_drop(cache, cache->oldest);
    struct serve_found **bucket = bucket_of(cache, found->hash);
    found->same_bucket = *bucket;
    *bucket = found;
    found->older = cache->newest;
    found->newer = NULL;
    *(found->older ? &found->older->newer : &cache->oldest) = found;
    cache->newest = found;
    cache->count++;
    found->holders++;
}
