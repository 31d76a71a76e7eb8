/*
 * Content-Disposition, written and read. Lines of the input: the type, the file's name, a fallback,
 * and a header to be read.
 */
#include "context/disposition.h"
#include "protocols/utf8.h"
#include "runtime/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static void check(bool holds) {
    if (!holds)
        abort();
}

/* --- Writing ---------------------------------------------------------------------------------- */

/* The last part of a path, without slashes. */
static char *base_name(struct arena *arena, const char *path) {
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/')
        n--;
    char *copy = arena_copy(arena, path, n), *slash = strrchr(copy, '/');
    return slash ? slash + 1 : copy;
}

/* Whoever reads the line gets the name. */
static void check_name(struct arena *arena, const char *line, const char *filename) {
    struct disposition disposition;
    const char *name = base_name(arena, filename);
    int err = disposition_parse(&disposition, arena, line);
    check(err == (*name ? 0 : UV_EINVAL)); /* an extended value cannot be empty */
    const char *read = err ? NULL : disposition_get(&disposition, "filename");
    if (read && utf8_valid(name, strlen(name)))
        check(strcmp(read, name) == 0);
    check(err || (read && utf8_valid(read, strlen(read))));
}

static void fuzz_write(struct arena *arena, const char *type, const char *filename,
                       const char *fallback, bool no_fallback) {
    const char *error;
    struct attachment attachment = {filename, type, fallback, no_fallback};
    char *line = disposition_write(arena, &attachment, &error);
    check((line == NULL) == (error != NULL));
    for (char *at = line; at && *at; at++)
        check(*at >= ' ' && *at <= '~');
    if (line && filename)
        check_name(arena, line, filename);
    if (line && filename && !no_fallback && *base_name(arena, filename))
        check(strstr(line, "; filename=\""));
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void put_value(FILE *to, const struct disposition_parameter *parameter) {
    const char *at = parameter->value;
    fprintf(to, ";%s%s=%s", parameter->name, parameter->extended ? "*" : "",
            parameter->extended ? "utf-8'en'" : "\t\"");
    for (; *at; at++) {
        if (parameter->extended)
            fprintf(to, "%%%02x", (unsigned char)*at);
        else
            fprintf(to, "%s%c", *at == '"' || *at == '\\' ? "\\" : "", *at);
    }
    fputs(parameter->extended ? "" : "\" ", to);
}

/* The same, written in another way. */
static char *write_field(const struct disposition *disposition) {
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    fputs(disposition->type, to);
    for (size_t i = 0; i < disposition->count; i++)
        put_value(to, &disposition->parameters[i]);
    fclose(to);
    return text;
}

static void check_round_trip(struct arena *arena, const struct disposition *disposition) {
    struct disposition again;
    char *field = write_field(disposition);
    check(disposition_parse(&again, arena, field) == 0);
    check(strcmp(again.type, disposition->type) == 0 && again.count == disposition->count);
    for (size_t i = 0; i < again.count; i++) {
        const struct disposition_parameter *a = &disposition->parameters[i];
        const struct disposition_parameter *b = &again.parameters[i];
        check(strcmp(a->name, b->name) == 0 && strcmp(a->value, b->value) == 0);
        check(a->extended == b->extended);
        check(disposition_get(&again, a->name) == b->value); /* none comes twice */
    }
    free(field);
}

static void fuzz_parse(struct arena *arena, const char *header) {
    struct disposition disposition;
    char *copy = malloc(strlen(header) + 1);
    int err = disposition_parse(&disposition, arena, strcpy(copy, header));
    free(copy); /* nothing may point into it */
    check(err == 0 || err == UV_EINVAL);
    check((disposition.type == NULL) == (err != 0));
    for (size_t i = 0; i < disposition.count; i++) {
        const struct disposition_parameter *parameter = &disposition.parameters[i];
        check(!strpbrk(parameter->name, " ;=\"ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
        check(!parameter->extended || utf8_valid(parameter->value, strlen(parameter->value)));
    }
    if (!err)
        check_round_trip(arena, &disposition);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena;
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    char *header = text, *type = strsep(&header, "\n"), *name = strsep(&header, "\n"),
         *fallback = strsep(&header, "\n");
    arena_init(&arena, NULL);
    fuzz_write(&arena, type, name, fallback, false);
    fuzz_write(&arena, NULL, name, NULL, false);
    fuzz_write(&arena, NULL, name, NULL, true);
    if (header)
        fuzz_parse(&arena, header);
    arena_release(&arena);
    free(text);
    return 0;
}
