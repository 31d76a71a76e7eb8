/* What the files of multipart share. */
#ifndef ACACIA_MULTIPART_FORM_H
#define ACACIA_MULTIPART_FORM_H

#include "multipart.h"

/* Options, complete: no zeros. The lists are copies. */
struct multipart_settings {
    multipart_options_t options;
    const multipart_sink_t *sink; /* of ours or of the user's */
    multipart_sink_t given;
};

/* What users see as a multipart_file_t. */
struct stored_file {
    multipart_file_t file; /* first */
    const char *directory; /* for the disk */
    int descriptor;
    char *bytes; /* in memory */
    size_t room; /* in it, without the NUL at the end */
    bool kept;
};

/* All that has come. The lists are of memory of the ctx, but for themselves and for files' bytes.
 */
struct multipart_form {
    multipart_field_t **fields;
    size_t field_count;
    struct stored_file **files;
    size_t file_count;
};

/* The form of this ctx, NULL if there is none. */
struct multipart_form *multipart_form_of(const ctx_t *ctx);

/* Read the whole form. Returns 0, or what was thrown: the file that was just coming is gone then,
 * but not those before. */
may_await int multipart_receive(ctx_t *ctx, const struct multipart_settings *settings,
                                struct multipart_form *form);

/* Sinks for files that are struct stored_file. */
extern const multipart_sink_t multipart_disk, multipart_memory;

/* Remove the file from the disk, unless it is kept. */
may_await void multipart_remove(struct stored_file *stored);

#endif
