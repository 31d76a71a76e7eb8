/* JSON as JSON.stringify writes it: nothing that could be left out, numbers as short as can be. */
#ifndef ACACIA_JSON_TEXT_H
#define ACACIA_JSON_TEXT_H

#include "ctx.h"
#include "request.h"

#ifdef ACACIA_HAVE_JSON

struct arena;

/* More of them are refused: it calls itself for each array and object within another. */
#define JSON_TEXT_LEVELS 256

/*
 * The text of the value, in the arena, with a NUL behind it. Names stay in their order.
 *
 * Returns 0 or UV_ENOMEM; UV_EINVAL for what has more levels, which includes what holds itself, and
 * for strings that are no UTF-8 (json_string_nocheck).
 */
int json_text(struct arena *arena, json_t *json, bytes_t *text);

#endif
#endif
