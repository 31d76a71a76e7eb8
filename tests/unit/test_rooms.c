/* Rooms, and the crowd from each address, against lists that do the same; also while allocations
 * fail at random. */
#include "context/rooms.h"

#include "../support/failing_allocator.h"

#include "context/crowd.h"
#include "context/name_hash.h"
#include "context/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned failing; /* one allocation of so many fails; 0: none does */
static uint32_t chance = 1;

static unsigned below(unsigned n) {
    chance = chance * 1664525u + 1013904223u;
    return (chance >> 8) % n;
}

static bool fails(void) {
    return failing && below(failing) == 0;
}

/* --- Rooms ------------------------------------------------------------------------------------ */

#define SOCKETS 12
#define ROOMS 40

static struct websocket sockets[SOCKETS];
static bool is_in[SOCKETS][ROOMS];
static struct rooms *rooms;

static const char *name_of(unsigned room) {
    static char name[32];
    snprintf(name, sizeof name, "room %u", room);
    return room ? name : "";
}

static void count(websocket_t *ws, void *arg) {
    bool *seen = arg;
    assert_false(seen[ws - sockets]);
    seen[ws - sockets] = true;
}

static void check(unsigned room) {
    bool seen[SOCKETS] = {false};
    size_t members = 0;
    struct room *found = rooms_find(rooms, name_of(room));
    if (found)
        room_each(rooms, found, count, seen);
    for (unsigned i = 0; i < SOCKETS; i++) {
        assert_int_equal(seen[i], is_in[i][room]);
        members += is_in[i][room];
    }
    assert_int_equal(room_count(found), members);
    assert_int_equal(!!found, members > 0);
}

static void join(unsigned socket, unsigned room) {
    int err = rooms_join(&rooms, &sockets[socket], name_of(room));
    if (err) {
        assert_int_equal(err, UV_ENOMEM);
        assert_true(failing && !is_in[socket][room]);
    } else {
        is_in[socket][room] = true;
    }
}

static void leave_all(unsigned socket) {
    rooms_leave_all(rooms, &sockets[socket]);
    memset(is_in[socket], 0, sizeof is_in[socket]);
}

static void act(void) {
    unsigned socket = below(SOCKETS), room = below(ROOMS), what = below(20);
    if (what < 12) {
        join(socket, room);
    } else if (what < 19) {
        rooms_leave(rooms, &sockets[socket], name_of(room));
        is_in[socket][room] = false;
    } else {
        leave_all(socket);
    }
}

/* They come and go while somebody goes through the room, once more within that, too. */
static void act_within(websocket_t *ws, void *arg) {
    unsigned *depth = arg, inner = *depth - 1;
    assert_non_null(ws);
    for (unsigned i = below(6); i > 0; i--)
        act();
    struct room *room = inner ? rooms_find(rooms, name_of(below(ROOMS))) : NULL;
    if (room)
        room_each(rooms, room, act_within, &inner);
}

static void play(unsigned rounds) {
    for (unsigned i = 0; i < rounds; i++) {
        unsigned depth = 3, room = below(ROOMS);
        act();
        struct room *found = below(10) ? NULL : rooms_find(rooms, name_of(room));
        if (found)
            room_each(rooms, found, act_within, &depth);
        check(room);
    }
    for (unsigned i = 0; i < ROOMS; i++)
        check(i);
    failing = 0;
    for (unsigned i = 0; i < SOCKETS; i++)
        leave_all(i);
    for (unsigned i = 0; i < ROOMS; i++)
        check(i);
    rooms_free(rooms);
    rooms = NULL;
}

static void rooms_are_as_lists(void **state) {
    play(20000);
}

static void rooms_without_memory(void **state) {
    for (unsigned i = 2; i < 8; i++) {
        failing = i;
        play(3000);
    }
}

static void nobody_is_in_a_room_that_is_not(void **state) {
    assert_null(rooms_find(NULL, "a"));
    assert_int_equal(room_count(NULL), 0);
    rooms_leave(NULL, &sockets[0], "a");
    rooms_leave_all(NULL, &sockets[0]);
    rooms_free(NULL);
}

/* --- Crowds ----------------------------------------------------------------------------------- */

#define ADDRESSES 300

static void crowds_are_as_lists(void **state) {
    static struct crowd_entry *entries[ADDRESSES][8];
    static size_t counts[ADDRESSES];
    char address[32];
    struct crowd *crowd = crowd_new();
    assert_non_null(crowd);
    for (unsigned i = 0; i < 40000; i++) {
        unsigned at = below(ADDRESSES);
        failing = i % 3 ? 0 : 4;
        snprintf(address, sizeof address, "192.0.2.%u", at);
        if (below(2) && counts[at] < 8) {
            struct crowd_entry *entry = crowd_enter(crowd, address);
            assert_true(entry || failing);
            if (entry)
                entries[at][counts[at]++] = entry;
        } else if (counts[at] > 0) {
            crowd_leave(crowd, entries[at][--counts[at]]);
        }
        if (counts[at] > 0)
            assert_int_equal(crowd_count(entries[at][0]), counts[at]);
    }
    failing = 0;
    crowd_leave(crowd, NULL);
    crowd_free(crowd); /* with those who are still there */
    crowd_free(NULL);
    failing = 1;
    assert_null(crowd_new());
    failing = 0;
}

/* --- Hashes and origins ----------------------------------------------------------------------- */

static void hashes_are_spread(void **state) {
    unsigned buckets[64] = {0};
    char name[32];
    for (unsigned i = 0; i < 6400; i++) {
        snprintf(name, sizeof name, "%0*u", (int)(1 + i % 20), i);
        assert_int_equal(name_hash(name), name_hash(name));
        buckets[name_hash(name) % 64]++;
    }
    for (unsigned i = 0; i < 64; i++)
        assert_in_range(buckets[i], 40, 180); /* 100, by eight times what chance would have */
    assert_int_not_equal(name_hash(""), name_hash("a"));
}

static void origins_of_a_host(void **state) {
    assert_true(origin_is_host("http://example.org", "example.org"));
    assert_true(origin_is_host("https://EXAMPLE.org", "example.ORG"));
    assert_true(origin_is_host("https://example.org:443", "example.org"));
    assert_true(origin_is_host("https://example.org", "example.org:443"));
    assert_true(origin_is_host("http://example.org:8080", "example.org:8080"));
    assert_true(origin_is_host("http://[::1]:3000", "[::1]:3000"));
    static const char *const foreign[][2] = {
        {"http://example.org", "example.com"},
        {"http://example.org:8080", "example.org"},
        {"http://example.org:443", "example.org"},
        {"http://example.org", "example.org:8080"},
        {"http://example.org.evil", "example.org"},
        {"http://evil-example.org", "example.org"},
        {"http://example.org@evil", "example.org"},
        {"null", "null"},
        {"", ""},
        {"http://", ""},
        {"example.org", "example.org"},
    };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (origin_is_host(foreign[i][0], foreign[i][1]))
            fail_msg("%s is %s", foreign[i][0], foreign[i][1]);
    static const char *const list[] = {"https://a.example", "null", NULL};
    assert_true(origin_is_listed("HTTPS://A.example", list));
    assert_true(origin_is_listed("null", list));
    assert_false(origin_is_listed("https://a.example.evil", list));
    assert_false(origin_is_listed("", list));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rooms_are_as_lists),
        cmocka_unit_test(rooms_without_memory),
        cmocka_unit_test(nobody_is_in_a_room_that_is_not),
        cmocka_unit_test(crowds_are_as_lists),
        cmocka_unit_test(hashes_are_spread),
        cmocka_unit_test(origins_of_a_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
