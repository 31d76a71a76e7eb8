#include "runtime/timer.h"

/* A time read as digits to the base of 64, one for each level. What is left of the uppermost digit
 * belongs to it, so that its level alone goes round and round. */
enum { DIGIT = 6, TOP = TIMER_LEVELS - 1, TOP_SHIFT = TOP * DIGIT };

/* --- Lists ------------------------------------------------------------------------------------ */

static void list_init(struct timer *head) {
    head->next = head->prev = head;
}

static bool list_empty(const struct timer *head) {
    return head->next == head;
}

static void list_append(struct timer *head, struct timer *timer) {
    timer->next = head;
    timer->prev = head->prev;
    head->prev->next = timer;
    head->prev = timer;
}

static void list_remove(struct timer *timer) {
    timer->prev->next = timer->next;
    timer->next->prev = timer->prev;
    timer->next = timer->prev = NULL;
}

/* Move all of `from` to the end of `to`. */
static void list_move(struct timer *to, struct timer *from) {
    if (list_empty(from))
        return;

    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    list_init(from);
}

/* --- Slots ------------------------------------------------------------------------------------ */

/*
 * The slot of a time that is not past: on the level of the first digit in which it differs from
 * now, in the slot of that digit. So everything on a level comes before anything on the next one,
 * and no slot at or before now's digit has timers, save the one for now itself on level 0.
 *
 * It depends on nothing but the two times. As long as each timer is where this function would put
 * it, timers of one tick share a slot at all times, and the order in which they came is kept.
 */
static size_t slot_of(uint64_t expires, uint64_t now) {
    unsigned level = (63 - (unsigned)__builtin_clzll((expires ^ now) | 1)) / DIGIT;

    if (level < TOP)
        return level * TIMER_SLOTS + (expires >> level * DIGIT) % TIMER_SLOTS;

    uint64_t block = expires >> TOP_SHIFT;
    uint64_t last = (now >> TOP_SHIFT) + TIMER_SLOTS - 1;
    return TOP * TIMER_SLOTS + (block < last ? block : last) % TIMER_SLOTS;
}

static void place(struct timer_wheel *wheel, struct timer *timer) {
    size_t slot = slot_of(timer->expires, wheel->now);

    list_append(&wheel->slots[slot], timer);
    wheel->occupied[slot / TIMER_SLOTS] |= 1ull << slot % TIMER_SLOTS;
}

static void mark_empty(struct timer_wheel *wheel, size_t slot) {
    wheel->occupied[slot / TIMER_SLOTS] &= ~(1ull << slot % TIMER_SLOTS);
}

static void take_all(struct timer_wheel *wheel, size_t slot, struct timer *to) {
    list_move(to, &wheel->slots[slot]);
    mark_empty(wheel, slot);
}

/* Put the timers of a slot where they belong by now. */
static void place_anew(struct timer_wheel *wheel, size_t slot) {
    struct timer moving;

    list_init(&moving);
    take_all(wheel, slot, &moving);
    while (!list_empty(&moving)) {
        struct timer *timer = moving.next;
        list_remove(timer);
        place(wheel, timer);
    }
}

/* The first slot that has timers, and the time at which it begins. */
static bool first_slot(const struct timer_wheel *wheel, size_t *slot, uint64_t *begin) {
    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        uint64_t occupied = wheel->occupied[level];
        if (!occupied)
            continue;

        uint64_t block = wheel->now >> level * DIGIT;
        unsigned digit = block % TIMER_SLOTS;
        uint64_t from_now = occupied >> digit | occupied << (-digit % TIMER_SLOTS);

        block += (unsigned)__builtin_ctzll(from_now);
        *slot = level * TIMER_SLOTS + block % TIMER_SLOTS;
        *begin = block << level * DIGIT;
        return true;
    }
    return false;
}

/* --- Advancing -------------------------------------------------------------------------------- */

/* `now` is not past the beginning of any slot that has timers. */
static void set_now(struct timer_wheel *wheel, uint64_t now) {
    uint64_t block = wheel->now >> TOP_SHIFT;

    wheel->now = now;
    /* The last slot is another one now. Those that are in the old one only because they did not fit
     * must move on at once, lest a timer for the same tick get in before them. */
    if (now >> TOP_SHIFT != block)
        place_anew(wheel, TOP * TIMER_SLOTS + (block + TIMER_SLOTS - 1) % TIMER_SLOTS);
}

static void collect_due(struct timer_wheel *wheel, uint64_t now) {
    size_t slot;
    uint64_t begin;

    while (first_slot(wheel, &slot, &begin) && begin <= now) {
        set_now(wheel, begin);
        if (slot < TIMER_SLOTS)
            take_all(wheel, slot, &wheel->due);
        else
            place_anew(wheel, slot);
    }
    set_now(wheel, now);
}

void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now) {
    /* All of them are taken out before the first one is fired: what a function starts from here on
     * is in the wheel, out of reach of the loop. */
    collect_due(wheel, now > wheel->now ? now : wheel->now);

    while (!list_empty(&wheel->due)) {
        struct timer *timer = wheel->due.next;
        list_remove(timer);
        wheel->count--;
        timer->fn(timer);
    }
}

bool timer_wheel_next(const struct timer_wheel *wheel, uint64_t *expires) {
    size_t slot;

    if (list_empty(&wheel->due))
        return first_slot(wheel, &slot, expires);

    *expires = wheel->due.next->expires;
    return true;
}

/* --- Timers ----------------------------------------------------------------------------------- */

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now) {
    *wheel = (struct timer_wheel){.now = now};
    list_init(&wheel->due);
    for (size_t slot = 0; slot < TIMER_LEVELS * TIMER_SLOTS; slot++)
        list_init(&wheel->slots[slot]);
}

void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t expires) {
    timer_stop(wheel, timer);
    timer->expires = expires > wheel->now ? expires : wheel->now;
    place(wheel, timer);
    wheel->count++;
}

void timer_stop(struct timer_wheel *wheel, struct timer *timer) {
    if (!timer_pending(timer))
        return;

    struct timer *head = timer->next;
    list_remove(timer);
    wheel->count--;
    /* The neighbour was the head of the list if that is empty now; and if it is the head of a slot,
     * its place among them tells which one. */
    if (list_empty(head) && head != &wheel->due)
        mark_empty(wheel, (size_t)(head - wheel->slots));
}

bool timer_pending(const struct timer *timer) {
    return timer->next != NULL;
}
