/*
 * What proxies, or clients that pretend to be some, say. The first line of the input is an entry
 * for the list of trusted proxies, the second the peer's address, the rest a header.
 */
#include "context/forwarded.h"
#include "context/host.h"
#include "runtime/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void check(bool holds) {
    if (!holds)
        abort();
}

/* --- Lists with commas ------------------------------------------------------------------------ */

static void check_item(const char *item) {
    size_t n = strlen(item);
    check(!strchr(item, ','));
    check(n == 0 || (!strchr(" \t\n\v\f\r", item[0]) && !strchr(" \t\n\v\f\r", item[n - 1])));
}

/* The last ones are the end of the whole, and split once more they stay as they are. */
static void fuzz_split(struct arena *arena, const char *list) {
    size_t count, last_count, length;
    const char *const *items = forwarded_split(arena, list, 0, &count);
    const char *const *last = forwarded_split(arena, list, 2, &last_count);
    check(!items[count] && !last[last_count]);
    check(last_count == (count < 2 ? count : 2));
    for (size_t i = 0; i < count; i++)
        check_item(items[i]);
    for (size_t i = 0; i < last_count; i++)
        check(strcmp(last[i], items[count - last_count + i]) == 0);
    const char *first = forwarded_first(list, &length);
    check(first >= list && first + length <= list + strlen(list));
    if (count > 0)
        check(strlen(items[0]) == length && memcmp(items[0], first, length) == 0);
}

/* --- Forwarded -------------------------------------------------------------------------------- */

static void check_node(const char *node) {
    check(!node || *node == '_' || strcasecmp(node, "unknown") == 0 || ip_version(node));
}

static void put_quoted(FILE *to, const char *name, const char *value, bool brackets) {
    if (!value)
        return;
    fprintf(to, brackets ? ";%s=\"[" : ";%s=\"", name);
    for (; *value; value++)
        fprintf(to, "\\%c", *value);
    fputs(brackets ? "]:80\"" : "\"", to);
}

/* The same list as a field that is written in another way. */
static char *write_field(const struct forwarded_list *list) {
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    for (size_t i = 0; i < list->count; i++) {
        const struct forwarded *element = &list->elements[i];
        const char *f = element->for_node, *b = element->by_node;
        fputs(i > 0 ? "\t,, x=\",\"" : ",y=\"\\\"\"", to);
        put_quoted(to, "FOR", f, f && ip_version(f) == 6);
        put_quoted(to, "BY", b, b && ip_version(b) == 6);
        put_quoted(to, "HOST", element->host, false);
        put_quoted(to, "PROTO", element->proto, false);
    }
    fclose(to);
    return text;
}

static void check_same(const char *a, const char *b) {
    check(a && b ? strcmp(a, b) == 0 : a == b);
}

static void check_round_trip(struct arena *arena, const struct forwarded_list *list) {
    struct forwarded_list again;
    char *field = write_field(list);
    check(forwarded_parse(&again, arena, field) == 0 && again.count == list->count);
    for (size_t i = 0; i < list->count; i++) {
        const struct forwarded *a = &list->elements[i], *b = &again.elements[i];
        check_same(a->for_node, b->for_node);
        check_same(a->by_node, b->by_node);
        check_same(a->host, b->host);
        check_same(a->proto, b->proto);
    }
    free(field);
}

static void fuzz_parse(struct arena *arena, const char *field, struct forwarded_list *list) {
    if (forwarded_parse(list, arena, field)) {
        check(list->count == 0);
        return;
    }
    check(list->count > 0);
    for (size_t i = 0; i < list->count; i++) {
        check(list->nodes[i] == list->elements[i].for_node);
        check_node(list->elements[i].for_node);
        check_node(list->elements[i].by_node);
    }
    check_round_trip(arena, list);
}

/* --- Trusted proxies -------------------------------------------------------------------------- */

/* The walk goes on as long as addresses are trusted: all that are believed but the last one. */
static void check_walk(const struct proxies *proxies, const char *peer,
                       const char *const *addresses, size_t count) {
    size_t believed = proxies_believed(proxies, peer, addresses, count);
    check(believed <= count);
    check(believed == 0 || proxies_trust(proxies, peer));
    if (believed > 0 && addresses[count - believed])
        check(*addresses[count - believed]);
    for (size_t i = count - believed + 1; believed > 0 && i < count; i++)
        check((addresses[i] && !*addresses[i]) || proxies_trust(proxies, addresses[i]));
}

static void fuzz_proxies(struct arena *arena, const char *entry, const char *peer, const char *list,
                         const struct forwarded_list *forwarded) {
    char *error;
    size_t count;
    struct proxies *proxies = proxies_new((const char *const[]){entry, "::1", NULL}, &error);
    if (!proxies) {
        check(error && strstr(error, entry));
        free(error);
        return;
    }
    check(!proxies_trust(proxies, peer) || ip_version(peer));
    check(proxies_trust(proxies, "0:0::0:1") && !proxies_trust(proxies, NULL));
    if (ip_version(entry)) /* an address trusts itself */
        check(proxies_trust(proxies, entry));
    const char *const *items = forwarded_split(arena, list, 0, &count);
    check_walk(proxies, peer, items, count);
    check_walk(proxies, peer, forwarded->nodes, forwarded->count);
    proxies_free(proxies);
}

/* --- The host that is asked for --------------------------------------------------------------- */

static void fuzz_host(struct arena *arena, const char *host) {
    size_t length = host_name_length(host), parts = 0;
    check(length <= strlen(host) && (*host == '[' || length == strcspn(host, ":")));
    check(*host != '[' || length == 0 || host[length - 1] == ']');
    const char *const *all = host_subdomains(arena, host, 0);
    const char *const *some = host_subdomains(arena, host, 2);
    for (; all[parts]; parts++)
        check(!strchr(all[parts], '.') && (parts < 2 || strcmp(some[parts - 2], all[parts]) == 0));
    check(parts < 2 ? !some[0] : !some[parts - 2]);
    check(!ip_version(host) || parts == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    struct forwarded_list list;
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    char *header = text, *entry = strsep(&header, "\n"), *peer = strsep(&header, "\n");
    arena_init(&arena, NULL);
    if (peer && header) {
        fuzz_split(&arena, header);
        fuzz_parse(&arena, header, &list);
        fuzz_proxies(&arena, entry, peer, header, &list);
        fuzz_host(&arena, peer);
    }
    arena_release(&arena);
    free(text);
    return 0;
}
