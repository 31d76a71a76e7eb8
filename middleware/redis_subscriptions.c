#include "redis_subscriptions.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

struct subscription {
    struct subscription *next, **link; /* in one of the two lists */
    size_t members;
    bool told; /* Redis knows of it */
    const char *room;
    char text[]; /* of `room` */
};

/* --- Lists ------------------------------------------------------------------------------------ */

static void take_out(struct subscription *one) {
    *one->link = one->next;
    if (one->next)
        one->next->link = one->link;
}

static void put(struct subscription **list, struct subscription *one) {
    one->next = *list;
    one->link = list;
    if (one->next)
        one->next->link = &one->next;
    *list = one;
}

static void move(struct subscription **list, struct subscription *one) {
    take_out(one);
    put(list, one);
}

/* --- Entries ---------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
    const struct subscription *one = a, *other = b;
    return strcmp(one->room, other->room);
}

static struct subscription *make(struct subscriptions *all, const char *room) {
    size_t size = strlen(room) + 1;
    struct subscription *one = calloc(1, sizeof *one + size);
    if (!one)
        return NULL;
    memcpy(one->text, room, size);
    one->room = one->text;
    if (!tsearch(one, &all->tree, compare)) {
        free(one);
        return NULL;
    }
    put(&all->changed, one);
    all->count++;
    return one;
}

static void drop(struct subscriptions *all, struct subscription *one) {
    tdelete(one, &all->tree, compare);
    take_out(one);
    all->count--;
    free(one);
}

struct subscription *subscriptions_add(struct subscriptions *all, const char *room) {
    const struct subscription wanted = {.room = room};
    struct subscription **found = tfind(&wanted, &all->tree, compare);
    struct subscription *one = found ? *found : make(all, room);
    if (one)
        one->members++;
    return one;
}

void subscriptions_remove(struct subscriptions *all, struct subscription *one) {
    if (--one->members > 0)
        return;
    if (one->told)
        move(&all->changed, one);
    else
        drop(all, one);
}

/* --- What Redis knows ------------------------------------------------------------------------- */

void subscriptions_tell(struct subscriptions *all, subscriptions_tell_fn *tell, void *arg) {
    struct subscription *one;
    while ((one = all->changed)) {
        bool wanted = one->members > 0;
        if (wanted != one->told && tell(arg, one->room, wanted))
            return;
        one->told = wanted;
        if (wanted)
            move(&all->settled, one);
        else
            drop(all, one);
    }
}

void subscriptions_forget(struct subscriptions *all) {
    while (all->settled)
        move(&all->changed, all->settled);
    for (struct subscription *one = all->changed, *next; one; one = next) {
        next = one->next;
        one->told = false;
        if (one->members == 0)
            drop(all, one);
    }
}

void subscriptions_free(struct subscriptions *all) {
    while (all->changed)
        drop(all, all->changed);
    while (all->settled)
        drop(all, all->settled);
}
