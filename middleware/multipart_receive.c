/* A form as it comes in: from the socket through the parser to the fields and files. */
#include "multipart_form.h"
#include "multipart_parser.h"

#include "charset.h"
#include "part_head.h"

#include <stdlib.h>
#include <string.h>

#define READ_SIZE (64 * 1024)

enum part { NO_PART, PART_FIELD, PART_UNNAMED_FILE, PART_FILE, PART_PASSED_OVER };

struct receiver {
    ctx_t *ctx;
    const multipart_options_t *options;
    const struct multipart_settings *settings;
    struct multipart_form *form;

    multipart_parser_t parser;
    char *buffer;
    size_t buffer_size;
    uint64_t received;

    /* the part that is just coming */
    enum part part;
    part_head_t head;
    struct stored_file *file;
    char *value;
    size_t value_length, value_room;

    size_t parts, fields, files, fields_size;
};

static int too_much(struct receiver *receiver, const char *what) {
    return ctx_throw(receiver->ctx, 413, "%s", what);
}

/* The list, with room for one more; NULL when there is no memory, and it is as it was. */
static void *grow(void *list, size_t count) {
    bool has_room = count & (count - 1) || count == 1; /* up to the next power of two */
    return has_room ? list : realloc(list, (count ? 2 * count : 2) * sizeof(void *));
}

static bool add_field(struct multipart_form *form, multipart_field_t *field) {
    void *fields = grow(form->fields, form->field_count);
    if (!fields)
        return false;
    form->fields = fields;
    form->fields[form->field_count++] = field;
    return true;
}

static bool add_file(struct multipart_form *form, struct stored_file *file) {
    void *files = grow(form->files, form->file_count);
    if (!files)
        return false;
    form->files = files;
    form->files[form->file_count++] = file;
    return true;
}

/* --- Fields ----------------------------------------------------------------------------------- */

static int begin_field(struct receiver *receiver) {
    if (++receiver->fields > receiver->options->field_count)
        return too_much(receiver, "Too many fields");
    if (charset_of(receiver->head.charset) == CHARSET_UNKNOWN)
        return ctx_throw(receiver->ctx, 415, "unsupported charset");
    receiver->fields_size += strlen(receiver->head.name);
    if (receiver->fields_size > receiver->options->fields_size)
        return too_much(receiver, "Fields too large");
    receiver->value_length = 0;
    receiver->part = PART_FIELD;
    return 0;
}

static int add_to_field(struct receiver *receiver, bytes_t piece) {
    size_t length = receiver->value_length + piece.length, room = receiver->value_room;
    receiver->fields_size += piece.length;
    if (length > receiver->options->field_size)
        return too_much(receiver, "Field value too long");
    if (receiver->fields_size > receiver->options->fields_size)
        return too_much(receiver, "Fields too large");
    while (room < length)
        room = room ? 2 * room : 1024;
    if (room > receiver->value_room) {
        char *value = realloc(receiver->value, room);
        if (!value)
            return UV_ENOMEM;
        receiver->value = value;
        receiver->value_room = room;
    }
    memcpy(receiver->value + receiver->value_length, piece.data, piece.length);
    receiver->value_length = length;
    return 0;
}

/* As UTF-8, in memory of the ctx, and no longer than it has to be. */
static const char *decode_value(struct receiver *receiver, size_t *length) {
    charset_t charset = charset_of(receiver->head.charset);
    char *decoded = malloc(3 * receiver->value_length + 1), *copy = NULL;
    if (decoded) {
        *length = charset_decode(charset, decoded, receiver->value, receiver->value_length);
        copy = ctx_alloc(receiver->ctx, *length + 1);
    }
    if (copy)
        memcpy(copy, decoded, *length);
    free(decoded);
    return copy;
}

static int end_field(struct receiver *receiver) {
    multipart_field_t *field = ctx_new(receiver->ctx, multipart_field_t);
    if (!field)
        return UV_ENOMEM;
    field->name = ctx_strdup(receiver->ctx, receiver->head.name);
    field->type = ctx_strdup(receiver->ctx, receiver->head.type);
    field->value = decode_value(receiver, &field->length);
    bool is_whole = field->name && field->type && field->value;
    return is_whole && add_field(receiver->form, field) ? 0 : UV_ENOMEM;
}

/* --- Files ------------------------------------------------------------------------------------ */

static size_t count_files(const struct multipart_form *form, const char *field) {
    size_t count = 0;
    for (size_t i = 0; i < form->file_count; i++)
        count += strcmp(form->files[i]->file.field, field) == 0;
    return count;
}

static bool is_expected(const struct receiver *receiver) {
    const multipart_options_t *options = receiver->options;
    const char *name = receiver->head.name;
    const multipart_expected_t *at = options->files;
    while (at && at->field && strcmp(at->field, name) != 0)
        at++;
    if (options->no_files || (at && !at->field))
        return false;
    return !at || count_files(receiver->form, name) < (at->count ? at->count : 1);
}

/* The last part of a path of any system, without control characters. */
static const char *base_name(ctx_t *ctx, const char *filename) {
    const char *name = filename;
    for (const char *at = filename; *at; at++)
        if (*at == '/' || *at == '\\')
            name = at + 1;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        name = "";
    char *copy = ctx_strdup(ctx, name);
    for (char *at = copy; at && *at; at++)
        if ((unsigned char)*at < ' ' || *at == '\x7F')
            *at = '_';
    return copy;
}

static struct stored_file *new_file(struct receiver *receiver) {
    struct stored_file *stored = ctx_new(receiver->ctx, struct stored_file);
    const char *filename = receiver->head.filename ? receiver->head.filename : "";
    if (!stored)
        return NULL;
    stored->directory = receiver->options->directory;
    stored->file.field = ctx_strdup(receiver->ctx, receiver->head.name);
    stored->file.filename = base_name(receiver->ctx, filename);
    stored->file.type = ctx_strdup(receiver->ctx, receiver->head.type);
    return stored->file.field && stored->file.filename && stored->file.type ? stored : NULL;
}

/* What has begun is in the form, so that whoever cleans up finds it. */
static int begin_file(struct receiver *receiver) {
    ctx_t *ctx = receiver->ctx;
    const multipart_options_t *options = receiver->options;
    const multipart_sink_t *sink = receiver->settings->sink;
    if (!is_expected(receiver))
        return ctx_throw(ctx, 400, "Unexpected file field");
    if (++receiver->files > options->file_count)
        return too_much(receiver, "Too many files");
    struct stored_file *stored = new_file(receiver);
    if (!stored)
        return UV_ENOMEM;
    receiver->part = PART_PASSED_OVER;
    int verdict = options->filter ? options->filter(ctx, &stored->file) : 0;
    if (verdict)
        return verdict < 0 ? verdict : 0;
    if (!add_file(receiver->form, stored))
        return UV_ENOMEM;
    int err = sink->begin ? sink->begin(ctx, &stored->file) : 0;
    if (err) {
        receiver->form->file_count--;
        return err;
    }
    receiver->file = stored;
    receiver->part = PART_FILE;
    return 0;
}

static int add_to_file(struct receiver *receiver, bytes_t piece) {
    multipart_file_t *file = &receiver->file->file;
    if (file->size + piece.length > receiver->options->file_size)
        return too_much(receiver, "File too large");
    int err = receiver->settings->sink->write(receiver->ctx, file, piece.data, piece.length);
    if (!err)
        file->size += piece.length;
    return err;
}

static int end_file(struct receiver *receiver, int err) {
    const multipart_sink_t *sink = receiver->settings->sink;
    int end_err = sink->end ? sink->end(receiver->ctx, &receiver->file->file, err) : 0;
    receiver->part = NO_PART;
    return err ? err : end_err;
}

/* --- Parts ------------------------------------------------------------------------------------ */

static int begin_part(struct receiver *receiver, bytes_t lines) {
    const multipart_options_t *options = receiver->options;
    part_head_t *head = &receiver->head;
    if (++receiver->parts > options->part_count)
        return too_much(receiver, "Too many parts");
    part_head_free(head);
    int err = part_head_parse(head, lines, options->head_count);
    if (err == UV_EINVAL)
        return ctx_throw(receiver->ctx, 400, "Malformed part header");
    if (err == UV_E2BIG)
        return too_much(receiver, "Too many lines in a part header");
    if (err)
        return err;
    if (!head->name || !*head->name)
        return ctx_throw(receiver->ctx, 400, "Field name missing");
    if (strlen(head->name) > options->field_name_size)
        return too_much(receiver, "Field name too long");
    if (!head->filename && strcmp(head->type, "application/octet-stream") != 0)
        return begin_field(receiver);
    receiver->part = PART_UNNAMED_FILE; /* one that the browser sends where none was chosen? */
    return head->filename && *head->filename ? begin_file(receiver) : 0;
}

static int add_to_part(struct receiver *receiver, bytes_t piece) {
    int err = receiver->part == PART_UNNAMED_FILE ? begin_file(receiver) : 0;
    if (err)
        return err;
    if (receiver->part == PART_FIELD)
        return add_to_field(receiver, piece);
    return receiver->part == PART_FILE ? add_to_file(receiver, piece) : 0;
}

static int end_part(struct receiver *receiver) {
    int err = 0;
    if (receiver->part == PART_FIELD)
        err = end_field(receiver);
    else if (receiver->part == PART_FILE)
        err = end_file(receiver, 0);
    receiver->part = NO_PART;
    return err;
}

/* --- The body --------------------------------------------------------------------------------- */

/* Move the window on. Returns how much has come, 0 at the end, or an error. */
static ssize_t read_more(struct receiver *receiver) {
    const multipart_options_t *options = receiver->options;
    bytes_t rest = multipart_parser_rest(&receiver->parser);
    memmove(receiver->buffer, rest.data, rest.length);
    ssize_t n = ctx_read(receiver->ctx, receiver->buffer + rest.length,
                         receiver->buffer_size - rest.length);
    if (n <= 0)
        return n;
    receiver->received += (size_t)n;
    if (receiver->received > options->total_size)
        return too_much(receiver, "request entity too large");
    if (options->progress)
        options->progress(receiver->ctx, receiver->received, ctx_request_length(receiver->ctx));
    multipart_parser_feed(&receiver->parser, receiver->buffer, rest.length + (size_t)n);
    return n;
}

static int handle(struct receiver *receiver, multipart_event_t event, bytes_t piece) {
    switch (event) {
    case MULTIPART_HEAD:
        return begin_part(receiver, piece);
    case MULTIPART_DATA:
        return add_to_part(receiver, piece);
    case MULTIPART_PART_END:
        return end_part(receiver);
    case MULTIPART_MALFORMED:
        return ctx_throw(receiver->ctx, 400, "Malformed boundary");
    case MULTIPART_HEAD_TOO_LARGE:
        return too_much(receiver, "Part header too large");
    case MULTIPART_MORE:
    case MULTIPART_END:
        break;
    }
    return 0;
}

static int read_parts(struct receiver *receiver) {
    bool ended = false;
    for (;;) {
        bytes_t piece;
        multipart_event_t event = multipart_parser_next(&receiver->parser, &piece);
        if (event == MULTIPART_MORE) {
            ssize_t n = read_more(receiver);
            if (n <= 0)
                return n == 0 && !ended ? ctx_throw(receiver->ctx, 400, "Unexpected end of form")
                                        : (int)n;
            continue;
        }
        ended = event == MULTIPART_END; /* the rest is read and does not matter */
        int err = handle(receiver, event, piece);
        if (err)
            return err;
    }
}

/* --- Before it begins ------------------------------------------------------------------------- */

static int start(struct receiver *receiver) {
    ctx_t *ctx = receiver->ctx;
    const multipart_options_t *options = receiver->options;
    char boundary[MULTIPART_BOUNDARY_MAX];
    const char *encoding = ctx_get(ctx, "Content-Encoding");
    int64_t announced = ctx_request_length(ctx);
    if (*encoding && strcmp(encoding, "identity") != 0) {
        ctx_throw_header(ctx, "Accept-Encoding", "identity");
        return ctx_throw(ctx, 415, "unsupported Content-Encoding");
    }
    size_t length = part_head_boundary(ctx_get(ctx, "Content-Type"), boundary, sizeof boundary);
    if (!multipart_parser_init(&receiver->parser, (bytes_t){boundary, length}, options->head_size))
        return ctx_throw(ctx, 400, "Boundary not found");
    if (announced > 0 && (uint64_t)announced > options->total_size)
        return too_much(receiver, "request entity too large");
    receiver->buffer_size = READ_SIZE + options->head_size + MULTIPART_BOUNDARY_MAX + 8;
    receiver->buffer = malloc(receiver->buffer_size);
    return receiver->buffer ? 0 : UV_ENOMEM;
}

may_await int multipart_receive(ctx_t *ctx, const struct multipart_settings *settings,
                                struct multipart_form *form) {
    struct receiver receiver = {
        .ctx = ctx, .options = &settings->options, .settings = settings, .form = form};
    int err = start(&receiver);
    if (!err)
        err = read_parts(&receiver);
    if (err && receiver.part == PART_FILE)
        end_file(&receiver, err);
    part_head_free(&receiver.head);
    free(receiver.value);
    free(receiver.buffer);
    return err;
}
