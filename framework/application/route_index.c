#include "application/route_index.h"

#include "application/pattern.h"
#include "application/pattern_bytes.h"
#include "application/pattern_ecma.h"
#include "application/pattern_parse.h"
#include "application/pattern_text.h"
#include "runtime/arena.h"

#include <stdlib.h>
#include <string.h>

/* Where some number of segments has led to. */
struct node {
    uint32_t wild;         /* the branch for a segment that is not only text; 0: none */
    bool has_text;         /* there are branches for text */
    struct route_ids ends; /* patterns that may end here */
    struct route_ids rest; /* patterns that go on in a way that is not looked at */
};

/* The branch for one text. They are in a hash table, all nodes' in one. */
struct edge {
    uint32_t from, to; /* nodes; to 0: an empty place in the table */
    uint32_t hash;
    uint32_t length;
    const char *text; /* in lower case */
};

struct route_index {
    struct arena arena; /* of all that it points to */
    struct node *nodes; /* the first is the root */
    uint32_t node_count, node_capacity;
    struct edge *edges;
    uint32_t edge_count, edge_capacity; /* a power of two */
    size_t longest;                     /* of the texts */
    struct route_ids all;
};

/* --- Tables ----------------------------------------------------------------------------------- */

static bool add_id(struct route_index *index, struct route_ids *ids, uint32_t id) {
    if (ids->count == ids->capacity) {
        uint32_t capacity = ids->capacity ? 2 * ids->capacity : 1;
        uint32_t *list = arena_resize(&index->arena, ids->list, ids->count * sizeof *list,
                                      capacity * sizeof *list);
        if (!list)
            return false;
        ids->list = list;
        ids->capacity = capacity;
    }
    ids->list[ids->count++] = id;
    return true;
}

/* 0 when there is no memory: the root is nobody's branch. */
static uint32_t add_node(struct route_index *index) {
    if (index->node_count == index->node_capacity) {
        uint32_t capacity = index->node_capacity ? 2 * index->node_capacity : 4;
        struct node *nodes =
            arena_resize(&index->arena, index->nodes, index->node_count * sizeof *nodes,
                         capacity * sizeof *nodes);
        if (!nodes)
            return 0;
        index->nodes = nodes;
        index->node_capacity = capacity;
    }
    index->nodes[index->node_count] = (struct node){0};
    return index->node_count++;
}

/* FNV-1a of the text in lower case, which begins at another place for each node. */
static uint32_t hash_text(uint32_t from, const char *text, size_t length) {
    uint32_t hash = 2166136261u ^ from * 2654435761u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)byte_lower(text[i])) * 16777619u;
    return hash ^ hash >> 15;
}

static bool is_text(const struct edge *edge, const char *text, size_t length) {
    if (edge->length != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (edge->text[i] != byte_lower(text[i]))
            return false;
    return true;
}

/* The branch of a text, or the empty place where it would be. At most half of them are taken. */
static struct edge *find_edge(const struct route_index *index, uint32_t from, uint32_t hash,
                              const char *text, size_t length) {
    uint32_t mask = index->edge_capacity - 1;
    for (uint32_t i = hash & mask;; i = (i + 1) & mask) {
        struct edge *edge = &index->edges[i];
        if (!edge->to || (edge->hash == hash && edge->from == from && is_text(edge, text, length)))
            return edge;
    }
}

static bool grow_edges(struct route_index *index) {
    struct route_index old = *index;
    index->edge_capacity = old.edge_capacity ? 2 * old.edge_capacity : 16;
    index->edges = arena_zalloc(&index->arena, index->edge_capacity * sizeof *index->edges);
    if (!index->edges) {
        index->edges = old.edges;
        index->edge_capacity = old.edge_capacity;
        return false;
    }
    for (uint32_t i = 0; i < old.edge_capacity; i++) {
        const struct edge *edge = &old.edges[i];
        if (edge->to)
            *find_edge(index, edge->from, edge->hash, edge->text, edge->length) = *edge;
    }
    return true;
}

static uint32_t add_text(struct route_index *index, uint32_t from, const char *text,
                         size_t length) {
    if (2 * index->edge_count >= index->edge_capacity && !grow_edges(index))
        return 0;
    uint32_t hash = hash_text(from, text, length);
    struct edge *edge = find_edge(index, from, hash, text, length);
    if (edge->to)
        return edge->to;
    const char *copy = arena_copy(&index->arena, text, length);
    uint32_t to = copy ? add_node(index) : 0;
    if (!to)
        return 0;
    *edge = (struct edge){from, to, hash, (uint32_t)length, copy};
    index->edge_count++;
    index->nodes[from].has_text = true;
    if (length > index->longest)
        index->longest = length;
    return to;
}

static uint32_t add_wild(struct route_index *index, uint32_t from) {
    uint32_t to = index->nodes[from].wild;
    if (!to && (to = add_node(index)))
        index->nodes[from].wild = to;
    return to;
}

struct route_index *route_index_new(void) {
    struct route_index *index = calloc(1, sizeof *index);
    if (!index)
        return NULL;
    arena_init(&index->arena, NULL);
    add_node(index);
    if (index->node_count == 1)
        return index;
    route_index_free(index);
    return NULL;
}

void route_index_free(struct route_index *index) {
    if (!index)
        return;
    arena_release(&index->arena);
    free(index);
}

/* --- Following a pattern ---------------------------------------------------------------------- */

struct reader {
    struct route_index *index;
    struct pattern_text segment; /* what is known of the one that has begun, in lower case */
    bool wild;                   /* it is not only that text */
    uint32_t node;               /* where those before it have led to */
    size_t depth;
    bool stopped, failed;
};

static void close_segment(struct reader *reader) {
    struct route_index *index = reader->index;
    if (reader->segment.length == 0 || reader->stopped || reader->failed)
        return;
    if (reader->depth == ROUTE_DEPTH) {
        reader->stopped = true;
        return;
    }
    uint32_t to = reader->wild
                      ? add_wild(index, reader->node)
                      : add_text(index, reader->node, reader->segment.data, reader->segment.length);
    reader->failed = !to;
    reader->node = to;
    reader->depth++;
    reader->wild = false;
    reader->segment.length = 0;
}

static void read_text(struct reader *reader, const char *text) {
    for (; *text; text++) {
        if (*text == '/')
            close_segment(reader);
        char c = byte_lower(*text);
        pattern_text_add(&reader->segment, &c, 1);
    }
}

/* Does what the parameter takes never contain a '/'? */
static bool is_within(const struct pattern_token *token, bool sensitive) {
    struct ecma_span span;
    return token->avoid ||
           (ecma_is_span(token->regex, sensitive, &span) && !byte_set_has(&span.set, '/'));
}

/* Read a token; false if that can't be done, and nothing of it has been read then. A segment that
 * has not begun could turn out to be empty, which is none: all that varies comes behind text. */
static bool read_token(struct reader *reader, const struct pattern_token *token, bool sensitive) {
    const char *prefix = token->text ? token->text : token->prefix;
    const char *suffix = token->text ? "" : token->suffix;
    bool begun = reader->segment.length > 0;
    if (!token->text && !is_within(token, sensitive))
        return false;
    if (token->modifier) {
        if (!begun || strchr(prefix, '/') || strchr(suffix, '/'))
            return false;
        reader->wild = true;
        return true;
    }
    if (!token->text && !begun && !*prefix)
        return false;
    read_text(reader, prefix);
    reader->wild = reader->wild || !token->text;
    read_text(reader, suffix);
    return true;
}

/* Does all that may come now begin with a '/', so that a segment is complete? */
static bool is_complete(const struct pattern_tokens *tokens, size_t next) {
    for (; next < tokens->count; next++) {
        const struct pattern_token *token = &tokens->list[next];
        if (*(token->text ? token->text : token->prefix) != '/')
            return false;
        if (!token_is_optional(token))
            return true;
    }
    return true;
}

/* Must what follows a pattern that has no end begin with a '/'? As path-to-regexp has it, anything
 * may follow some characters. */
static bool is_delimited(const struct pattern_tokens *tokens) {
    const char *text = tokens->list[tokens->count - 1].text;
    return !text || (*text && !strchr("/#?[]\\", text[strlen(text) - 1]));
}

/* Only the usual kind is followed: what is between two '/' is one segment. */
static bool is_usual(const struct pattern_options *options) {
    const char *delimiter = options->delimiter;
    return strchr(delimiter, '/') && strspn(delimiter, "/#?") == strlen(delimiter) &&
           !*options->ends_with && !options->no_start;
}

/* The list that the pattern belongs to. */
static struct route_ids *follow(struct reader *reader, const struct pattern *pattern) {
    const struct pattern_tokens *tokens = pattern_tokens(pattern);
    const struct pattern_options *options = pattern_options(pattern);
    size_t i = 0;
    if (!is_usual(options))
        return &reader->index->nodes[0].rest;
    while (i < tokens->count && read_token(reader, &tokens->list[i], options->sensitive))
        i++;
    bool ends = i == tokens->count;
    if (ends ? tokens->count > 0 && (!options->no_end || is_delimited(tokens))
             : is_complete(tokens, i))
        close_segment(reader);
    if (reader->failed || reader->segment.failed)
        return NULL;
    struct node *node = &reader->index->nodes[reader->node];
    return ends && !options->no_end && !reader->stopped ? &node->ends : &node->rest;
}

bool route_index_add(struct route_index *index, const struct pattern *pattern, uint32_t id) {
    struct reader reader = {.index = index, .segment = {.arena = &index->arena}};
    struct route_ids *ids = pattern ? follow(&reader, pattern) : &index->nodes[0].rest;
    return ids && add_id(index, ids, id) && add_id(index, &index->all, id);
}

/* --- Following a path ------------------------------------------------------------------------- */

void route_walk_start(struct route_walk *walk, const struct route_index *index, const char *path,
                      size_t length) {
    walk->index = index;
    walk->end = path + length;
    walk->ready = NULL;
    walk->pending_count = 1;
    walk->pending[0] = (struct route_branch){0, path};
    /* A delimiter that no request has in its path: whatever it separates, nothing is missed. */
    if (memchr(path, '#', length) || memchr(path, '?', length)) {
        walk->ready = &index->all;
        walk->pending_count = 0;
    }
}

static void branch(struct route_walk *walk, uint32_t node, const char *at) {
    walk->pending[walk->pending_count++] = (struct route_branch){node, at};
}

/* One node; each leads to at most two others, a level deeper, so that there is room for them. */
static const struct route_ids *visit(struct route_walk *walk) {
    const struct route_index *index = walk->index;
    struct route_branch here = walk->pending[--walk->pending_count];
    const struct node *node = &index->nodes[here.node];
    size_t left = (size_t)(walk->end - here.at);
    if (left == 0 || (left == 1 && *here.at == '/'))
        walk->ready = &node->ends;
    if (left == 0 || (!node->wild && !node->has_text))
        return &node->rest;
    const char *slash = memchr(here.at + 1, '/', left - 1);
    const char *next = slash ? slash : walk->end;
    size_t length = (size_t)(next - here.at);
    if (node->wild)
        branch(walk, node->wild, next);
    if (node->has_text && length <= index->longest) {
        uint32_t hash = hash_text(here.node, here.at, length);
        uint32_t to = find_edge(index, here.node, hash, here.at, length)->to;
        if (to)
            branch(walk, to, next);
    }
    return &node->rest;
}

const struct route_ids *route_walk_next(struct route_walk *walk) {
    for (;;) {
        const struct route_ids *ids = walk->ready;
        walk->ready = NULL;
        if (!ids) {
            if (walk->pending_count == 0)
                return NULL;
            ids = visit(walk);
        }
        if (ids->count > 0)
            return ids;
    }
}
