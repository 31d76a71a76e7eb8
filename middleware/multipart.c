#include "multipart_form.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIB 1024
#define MIB (1024 * KIB)

/* --- What came -------------------------------------------------------------------------------- */

static const char value_name[] = "acacia.multipart";

struct multipart_form *multipart_form_of(const ctx_t *ctx) {
    return ctx_value(ctx, value_name);
}

static void free_form(void *value) {
    struct multipart_form *form = value;
    for (size_t i = 0; i < form->file_count; i++)
        free(form->files[i]->bytes);
    free(form->files);
    free(form->fields);
}

const multipart_field_t *multipart_field_at(ctx_t *ctx, size_t index) {
    const struct multipart_form *form = multipart_form_of(ctx);
    return form && index < form->field_count ? form->fields[index] : NULL;
}

const char *multipart_field(ctx_t *ctx, const char *name) {
    const multipart_field_t *field;
    for (size_t i = 0; (field = multipart_field_at(ctx, i)); i++)
        if (strcmp(field->name, name) == 0)
            return field->value;
    return NULL;
}

const multipart_file_t *multipart_file_at(ctx_t *ctx, size_t index) {
    const struct multipart_form *form = multipart_form_of(ctx);
    return form && index < form->file_count ? &form->files[index]->file : NULL;
}

const multipart_file_t *multipart_file(ctx_t *ctx, const char *field) {
    const multipart_file_t *file;
    for (size_t i = 0; (file = multipart_file_at(ctx, i)); i++)
        if (strcmp(file->field, field) == 0)
            return file;
    return NULL;
}

#ifdef ACACIA_HAVE_JSON
json_t *multipart_json(ctx_t *ctx, const nesting_options_t *options) {
    const struct multipart_form *form = multipart_form_of(ctx);
    size_t count = form ? form->field_count : 0;
    form_pair_t *pairs = ctx_alloc(ctx, (count + 1) * sizeof *pairs);
    for (size_t i = 0; pairs && i < count; i++)
        pairs[i] = (form_pair_t){form->fields[i]->name, form->fields[i]->value};
    return pairs ? ctx_nest_pairs(ctx, pairs, count, options) : NULL;
}
#endif

/* --- The middleware --------------------------------------------------------------------------- */

static bool is_form(ctx_t *ctx) {
    return ctx_is_one_of(ctx, (const char *const[]){"multipart/form-data", NULL});
}

/* Files that no handler has kept, also when they failed, or when the form did. */
static void remove_files(struct multipart_form *form) {
    for (size_t i = 0; i < form->file_count; i++)
        multipart_remove(form->files[i]);
}

static int run(ctx_t *ctx, void *state) {
    if (multipart_form_of(ctx) || !is_form(ctx))
        return next(ctx);
    struct multipart_form *form = ctx_new(ctx, struct multipart_form);
    int err = form ? ctx_set_value(ctx, value_name, form, free_form) : UV_ENOMEM;
    if (err)
        return err;
    err = multipart_receive(ctx, state, form);
    if (!err)
        err = next(ctx);
    remove_files(form);
    return err;
}

/* --- Settings --------------------------------------------------------------------------------- */

static void free_settings(void *state) {
    struct multipart_settings *settings = state;
    for (const multipart_expected_t *at = settings->options.files; at && at->field; at++)
        free((char *)at->field);
    free((multipart_expected_t *)settings->options.files);
    free((char *)settings->options.directory);
    free(settings);
}

static bool copy_expected(multipart_options_t *options) {
    const multipart_expected_t *given = options->files;
    size_t count = 0;
    while (given && given[count].field)
        count++;
    multipart_expected_t *copy = calloc(count + 1, sizeof *copy);
    options->files = copy;
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = given[i];
        if (!(copy[i].field = strdup(given[i].field)))
            return false;
    }
    return copy;
}

/* What points into the caller's memory is replaced by copies first, so that all can be freed. */
static bool copy_lists(multipart_options_t *options) {
    const char *environment = getenv("TMPDIR"), *directory = options->directory;
    if (!directory)
        directory = environment && *environment ? environment : "/tmp";
    options->directory = strdup(directory);
    bool has_expected = !options->files || copy_expected(options);
    return options->directory && has_expected;
}

static uint64_t or_default(uint64_t given, uint64_t fallback) {
    return given ? given : fallback;
}

static void set_defaults(multipart_options_t *options) {
    bool memory = options->memory;
    options->total_size = or_default(options->total_size, (memory ? 8 : 128) * MIB);
    options->file_size = or_default(options->file_size, (memory ? 1 : 64) * MIB);
    options->file_count = or_default(options->file_count, 100);
    options->field_size = or_default(options->field_size, 1 * MIB);
    options->fields_size = or_default(options->fields_size, 2 * MIB);
    options->field_count = or_default(options->field_count, 1000);
    options->field_name_size = or_default(options->field_name_size, 100);
    options->part_count = or_default(options->part_count, 1000);
    options->head_size = or_default(options->head_size, 8 * KIB);
    options->head_count = or_default(options->head_count, 32);
}

static const char *find_error(const struct multipart_settings *settings) {
    if (settings->sink == &multipart_disk && access(settings->options.directory, W_OK | X_OK) != 0)
        return "multipart: the directory for files is not there, or not for us to write to";
    if (!settings->sink->write)
        return "multipart: a sink needs a function to write";
    return NULL;
}

middleware_t multipart(const multipart_options_t *options) {
    struct multipart_settings *settings = calloc(1, sizeof *settings);
    if (settings && options)
        settings->options = *options;
    if (!settings || !copy_lists(&settings->options)) {
        if (settings)
            free_settings(settings);
        return (middleware_t){.name = "multipart", .error = "out of memory"};
    }
    set_defaults(&settings->options);
    settings->sink = settings->options.memory ? &multipart_memory : &multipart_disk;
    if (settings->options.sink) {
        settings->given = *settings->options.sink;
        settings->sink = &settings->given;
    }
    return (middleware_t){run, settings, free_settings, "multipart", find_error(settings)};
}
