#include "context/nested.h"

#ifdef ACACIA_HAVE_JSON

#include "context/span.h"
#include "runtime/arena.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

/* What options can allow. */
#define DEPTH_MAX 32
#define PAIRS_MAX 10000

/* What all of it is made with. */
struct nesting {
    struct arena *arena;
    bool dots;
    size_t depth, pairs;
    int64_t items;
};

/* --- Values ----------------------------------------------------------------------------------- */

/* An index if it looks like one, "7" but not "07"; else a name. */
struct key {
    int64_t index;    /* -1: it is a name */
    const char *name; /* may be NULL if it is an index */
};

/* A text, or a container: JavaScript's arrays, which may have gaps, and objects differ little. */
struct node {
    const char *text; /* NULL: a container */
    bool is_array;
    bool is_list;    /* values without a key are added to it, even if it is an object */
    int64_t highest; /* index; -1: none */
    size_t count, room;
    struct member **sorted;      /* by key: indices, then names */
    struct member *first, *last; /* indices, then names in the order in which they came */
    struct node *next;           /* container to be written as JSON */
    json_t *json;
};

struct member {
    struct key key;
    struct node *node;
    struct member *next;
};

static bool is_container(const struct node *node) {
    return !node->text;
}

static struct node *new_text(struct arena *arena, const char *text) {
    struct node *node = arena_zalloc(arena, sizeof *node);
    if (node)
        node->text = text;
    return node;
}

static struct node *new_container(struct arena *arena, bool is_array) {
    struct node *node = arena_zalloc(arena, sizeof *node);
    if (node) {
        node->is_array = is_array;
        node->highest = -1;
    }
    return node;
}

/* --- Keys ------------------------------------------------------------------------------------- */

static struct key key_of_index(int64_t index) {
    return (struct key){.index = index};
}

/* -1 if it is none. JavaScript can tell all numbers of 15 digits apart. */
static int64_t index_of(struct span name) {
    int64_t index = 0;
    if (name.length == 0 || name.length > 15 || (name.at[0] == '0' && name.length > 1))
        return -1;
    for (size_t i = 0; i < name.length; i++) {
        if (name.at[i] < '0' || name.at[i] > '9')
            return -1;
        index = index * 10 + name.at[i] - '0';
    }
    return index;
}

static int compare_keys(const struct key *a, const struct key *b) {
    if (a->index >= 0 && b->index >= 0)
        return a->index < b->index ? -1 : a->index > b->index;
    if (a->index >= 0 || b->index >= 0)
        return a->index >= 0 ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* The first place in `sorted` whose key is not lower. */
static size_t place_of(const struct node *container, const struct key *key) {
    size_t low = 0, high = container->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_keys(&container->sorted[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Where the value of the key is; NULL if there is none. */
static struct node **find(const struct node *container, const struct key *key) {
    size_t place = place_of(container, key);
    if (place == container->count || compare_keys(&container->sorted[place]->key, key) != 0)
        return NULL;
    return &container->sorted[place]->node;
}

static bool grow(struct arena *arena, struct node *container) {
    size_t room = container->room ? 2 * container->room : 2, size = sizeof(struct member *);
    void *sorted = arena_resize(arena, container->sorted, container->room * size, room * size);
    if (!sorted)
        return false;
    container->sorted = sorted;
    container->room = room;
    return true;
}

/* A key that is not there yet. False when there is no memory. */
static bool add(struct arena *arena, struct node *container, struct key key, struct node *node) {
    struct member *member = arena_alloc(arena, sizeof *member);
    if (!member || (container->count == container->room && !grow(arena, container)))
        return false;
    size_t place = place_of(container, &key);
    struct member **at = container->sorted + place, *before = container->last;
    if (key.index >= 0)
        before = place > 0 ? at[-1] : NULL;
    memmove(at + 1, at, (container->count++ - place) * sizeof *at);
    *at = member;
    struct member **link = before ? &before->next : &container->first;
    *member = (struct member){key, node, *link};
    *link = member;
    if (!member->next)
        container->last = member;
    if (key.index > container->highest)
        container->highest = key.index;
    return true;
}

/* --- Values that meet ------------------------------------------------------------------------- */

/* What is too long for an array becomes an object, and goes on as one. */
static void make_list(struct node *array) {
    array->is_array = false;
    array->is_list = true;
}

static bool append(struct arena *arena, struct node *container, struct node *node) {
    return add(arena, container, key_of_index(container->highest + 1), node);
}

static struct node *new_pair(const struct nesting *nesting, struct node *first,
                             struct node *second) {
    struct node *array = new_container(nesting->arena, true);
    if (!array || !append(nesting->arena, array, first) || !append(nesting->arena, array, second))
        return NULL;
    if (nesting->items < 2)
        make_list(array);
    return array;
}

/* A text behind what has the same name. */
static bool combine(const struct nesting *nesting, struct node **slot, struct node *text) {
    struct node *target = *slot;
    if (!is_container(target))
        return (*slot = new_pair(nesting, target, text));
    if (target->is_array && (int64_t)target->count >= nesting->items)
        make_list(target);
    return append(nesting->arena, target, text);
}

/* "a[b]=1&a=2" becomes an array of both, and stays a list should it turn into an object later. */
static bool merge_text(const struct nesting *nesting, struct node **slot, struct node *text) {
    struct node *target = *slot;
    if (*text->text == '\0')
        return true;
    if (!is_container(target) || target->is_array || target->is_list)
        return combine(nesting, slot, text);
    if (!(*slot = new_pair(nesting, target, text)))
        return false;
    (*slot)->is_list = true;
    return true;
}

/* "a=1&a[]=2" and "a=1&a[b]=2": the text comes first. */
static bool merge_under_text(const struct nesting *nesting, struct node **slot,
                             struct node *source) {
    if (!source->is_array && !source->is_list)
        return (*slot = new_pair(nesting, *slot, source));
    struct node *all = new_container(nesting->arena, source->is_array);
    if (!all || !append(nesting->arena, all, *slot))
        return false;
    all->is_list = source->is_list;
    for (struct member *member = source->first; member; member = member->next)
        if (!add(nesting->arena, all, key_of_index(member->key.index + 1), member->node))
            return false;
    if (all->is_array && all->highest >= nesting->items)
        make_list(all);
    *slot = all;
    return true;
}

/* One value of a container into another. If both have one of that key, which are to be merged next,
 * *slot and *deeper become these. */
static bool merge_member(const struct nesting *nesting, struct node *target,
                         const struct member *member, struct node ***slot, struct node **deeper) {
    struct node *node = member->node, **found = find(target, &member->key);
    if (!found)
        return add(nesting->arena, target, member->key, node);
    if (target->is_array && !(is_container(*found) && is_container(node)))
        return append(nesting->arena, target, node);
    if (!is_container(node))
        return merge_text(nesting, found, node);
    *slot = found;
    *deeper = node;
    return true;
}

/* A source is either one path of containers, or has only texts in it: there is one way down. */
static bool merge(const struct nesting *nesting, struct node **slot, struct node *source) {
    while (source) {
        struct node *target = *slot, *deeper = NULL;
        if (!is_container(source))
            return merge_text(nesting, slot, source);
        if (!is_container(target))
            return merge_under_text(nesting, slot, source);
        target->is_array &= source->is_array;
        target->is_list |= source->is_list;
        for (struct member *member = source->first; member; member = member->next)
            if (!merge_member(nesting, target, member, &slot, &deeper))
                return false;
        if (target->is_array && (int64_t)target->count > nesting->items)
            make_list(target);
        source = deeper;
    }
    return true;
}

/* --- Names ------------------------------------------------------------------------------------ */

struct segment {
    struct span name; /* without its brackets */
    bool in_brackets;
};

struct path {
    struct segment segments[1 + DEPTH_MAX + 1]; /* what is before brackets, and what is left */
    size_t count;
};

/* Harmless here, but not in a program in JavaScript to which this may be handed on. */
static bool is_inherited(struct span name) {
    static const char *const names[] = {
        "__defineGetter__", "__defineSetter__", "__lookupGetter__",     "__lookupSetter__",
        "__proto__",        "constructor",      "hasOwnProperty",       "isPrototypeOf",
        "toLocaleString",   "toString",         "propertyIsEnumerable", "valueOf",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_is(name, names[i]))
            return true;
    return false;
}

static bool add_segment(struct path *path, const char *at, const char *end, bool in_brackets) {
    struct span name = {at, (size_t)(end - at)};
    path->segments[path->count++] = (struct segment){name, in_brackets};
    return !is_inherited(name);
}

/* The bracket that closes the one at `open`; NULL if there is none. */
static const char *closing(const char *open) {
    int level = 0;
    for (const char *at = open; *at; at++) {
        level += (*at == '[') - (*at == ']');
        if (level == 0)
            return at;
    }
    return NULL;
}

/* "a[b][c]" into "a", "b", "c". What stands outside of the brackets, but not before the first, does
 * not matter. False if the pair is to be dropped. */
static bool split_name(struct path *path, const char *name, size_t depth) {
    const char *open = strchr(name, '['), *end = name + strlen(name);
    path->count = 0;
    if (open != name && !add_segment(path, name, open ? open : end, false))
        return false;
    for (size_t i = 0; open && i < depth; i++) {
        const char *close = closing(open);
        if (!close)
            break;
        if (!add_segment(path, open + 1, close, true))
            return false;
        open = strchr(close, '[');
    }
    return !open || add_segment(path, open, end, true);
}

/* "a.b" as "a[b]": a dot outside of brackets, and what is behind it up to the next dot or bracket.
 * NULL when there is no memory. */
static const char *dots_to_brackets(struct arena *arena, const char *name) {
    char *copy = arena_alloc(arena, 2 * strlen(name) + 1), *to = copy;
    size_t level = 0;
    while (copy && *name) {
        size_t length = *name == '.' && level == 0 ? strcspn(name + 1, ".[") : 0;
        if (length > 0) {
            *to++ = '[';
            memcpy(to, name + 1, length);
            to += length;
            *to++ = ']';
            name += 1 + length;
            continue;
        }
        level += *name == '[';
        level -= *name == ']' && level > 0;
        *to++ = *name++;
    }
    if (copy)
        *to = '\0';
    return copy;
}

/* {name: node}, [node], or what else the segment stands for. */
static struct node *wrap(const struct nesting *nesting, struct segment segment, struct node *node) {
    bool any = segment.in_brackets && segment.name.length == 0;
    if (any && is_container(node) && (node->is_array || node->is_list))
        return node;
    struct key key = key_of_index(any ? 0 : index_of(segment.name));
    if (key.index < 0 &&
        !(key.name = arena_copy(nesting->arena, segment.name.at, segment.name.length)))
        return NULL;
    bool is_index = segment.in_brackets && key.index >= 0;
    struct node *container = new_container(nesting->arena, is_index && key.index < nesting->items);
    if (!container || !add(nesting->arena, container, key, node))
        return NULL;
    container->is_list = is_index && !container->is_array;
    return container;
}

static bool merge_pair(const struct nesting *nesting, struct node **root, const char *name,
                       struct node *node) {
    struct path path;
    if (nesting->dots && !(name = dots_to_brackets(nesting->arena, name)))
        return false;
    if (!split_name(&path, name, nesting->depth))
        return true;
    while (path.count > 0)
        if (!(node = wrap(nesting, path.segments[--path.count], node)))
            return false;
    return merge(nesting, root, node);
}

/* --- Pairs ------------------------------------------------------------------------------------ */

/* Values of equal names are put together before names are taken apart. */
static bool add_pair(const struct nesting *nesting, struct node *flat, const form_pair_t *pair) {
    struct key key = {index_of(span_of(pair->name)), pair->name};
    struct node *text = new_text(nesting->arena, pair->value), **found = find(flat, &key);
    if (!text)
        return false;
    return found ? combine(nesting, found, text) : add(nesting->arena, flat, key, text);
}

static struct node *make_tree(const struct nesting *nesting, const form_pair_t *pairs,
                              size_t count) {
    struct node *flat = new_container(nesting->arena, false);
    struct node *root = new_container(nesting->arena, false);
    if (!flat || !root)
        return NULL;
    for (size_t i = 0; i < count && i < nesting->pairs; i++)
        if (*pairs[i].name && !add_pair(nesting, flat, &pairs[i]))
            return NULL;
    for (struct member *member = flat->first; member; member = member->next)
        if (!merge_pair(nesting, &root, member->key.name, member->node))
            return NULL;
    return root;
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* The reference is given away, also when there is no memory. */
static bool put_json(json_t *container, const struct key *key, json_t *value) {
    if (json_is_array(container))
        return json_array_append_new(container, value) == 0;
    char digits[24];
    if (key->index >= 0)
        snprintf(digits, sizeof digits, "%" PRId64, key->index);
    return json_object_set_new(container, key->index >= 0 ? digits : key->name, value) == 0;
}

static json_t *new_json(const struct node *node) {
    if (!is_container(node))
        return json_string(node->text);
    return node->is_array ? json_array() : json_object();
}

/* Level by level: containers that are still empty wait in a queue. NULL when there is no memory. */
static json_t *make_json(struct node *root) {
    struct node *last = root;
    root->json = new_json(root);
    for (struct node *container = root; root->json && container; container = container->next) {
        for (struct member *member = container->first; member; member = member->next) {
            struct node *node = member->node;
            node->json = new_json(node);
            if (!put_json(container->json, &member->key, node->json)) {
                json_decref(root->json);
                return NULL;
            }
            if (is_container(node))
                last = last->next = node;
        }
    }
    return root->json;
}

/* What an option says, but not more than `most`; zero is the default. */
static size_t limit_of(size_t given, size_t fallback, size_t most) {
    size_t limit = given ? given : fallback;
    return limit < most ? limit : most;
}

int nested_parse(const form_pair_t *pairs, size_t count, const nesting_options_t *options,
                 json_t **json) {
    static const nesting_options_t none;
    const nesting_options_t *given = options ? options : &none;
    struct arena arena;
    const struct nesting nesting = {
        .arena = &arena,
        .dots = given->dots,
        .depth = limit_of(given->depth, 5, DEPTH_MAX),
        .items = (int64_t)limit_of(given->items, 20, PAIRS_MAX),
        .pairs = limit_of(given->pairs, 1000, PAIRS_MAX),
    };
    arena_init(&arena, NULL);
    struct node *root = make_tree(&nesting, pairs, count);
    json_t *made = root ? make_json(root) : NULL;
    arena_release(&arena);
    if (!made)
        return UV_ENOMEM;
    *json = made;
    return 0;
}

#endif
