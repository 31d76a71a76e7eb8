/* Values of the program's own under names, with what destroys them: on an app, or on a ctx. */
#ifndef ACACIA_VALUE_H
#define ACACIA_VALUE_H

struct arena;

struct value {
    struct value *next;
    const char *name;
    void *value; /* NULL: taken away */
    void (*destroy)(void *value);
};

/* Set `name` in the list, whose memory comes from the arena. What it had is destroyed. 0; or
 * UV_ENOMEM, and `value` has been destroyed. */
int value_set(struct value **list, struct arena *arena, const char *name, void *value,
              void (*destroy)(void *value));

/* The value of that name, or NULL. */
void *value_get(const struct value *list, const char *name);

/* Destroy all values, the last one that was named first. */
void value_destroy_all(struct value **list);

#endif
