/* The opening handshake, compared with the rules of the npm package ws. */
#include "protocols/handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

/* --- A request that is made of strings -------------------------------------------------------- */

static struct exchange exchange;
static struct handshake handshake;

static void field(const char *name, const char *value) {
    assert_int_equal(
        headers_add(&exchange.headers, &exchange.arena, name, strlen(name), value, strlen(value)),
        0);
}

static void begin(const char *method) {
    arena_release(&exchange.arena);
    exchange = (struct exchange){.method = method, .url = "/"};
}

/* The status of the answer to what was said so far. */
static int check(void) {
    handshake_check(&handshake, &exchange, NULL);
    assert_int_equal(handshake.status == 101, handshake.message == NULL);
    return handshake.status;
}

static void begin_good(void) {
    begin("GET");
    field("Upgrade", "websocket");
    field("Sec-WebSocket-Key", KEY);
    field("Sec-WebSocket-Version", "13");
}

static int end(void **state) {
    arena_release(&exchange.arena);
    exchange = (struct exchange){0};
    return 0;
}

/* --- Field by field --------------------------------------------------------------------------- */

static void accepts_what_rfc_6455_accepts(void **state) {
    begin_good();
    assert_int_equal(check(), 101);
    assert_string_equal(handshake.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_null(handshake.protocol);
    assert_false(handshake.name_versions);

    begin("GET");
    field("UPGRADE", "WebSocket");
    field("sec-websocket-version", "8");
    field("SEC-WEBSOCKET-KEY", "x3JJHMbDL1EzLkh9GBhXDw==");
    field("Sec-Websocket-Protocol", "chat, superchat");
    assert_int_equal(check(), 101);
    assert_string_equal(handshake.accept, "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
    assert_string_equal(handshake.protocol, "chat");
}

/* The first thing that is wrong is the one that is told. */
static void refuses_in_order(void **state) {
    static const char *const messages[] = {
        "Invalid HTTP method",
        "Invalid Upgrade header",
        "Missing or invalid Sec-WebSocket-Key header",
        "Missing or invalid Sec-WebSocket-Version header",
        "Invalid Sec-WebSocket-Protocol header",
    };
    for (int good = 0; good < 32; good++) {
        int first = 0;
        while (first < 5 && good >> first & 1)
            first++;
        begin(good & 1 ? "GET" : "POST");
        field("Upgrade", good & 2 ? "websocket" : "h2c");
        field("Sec-WebSocket-Key", good & 4 ? KEY : "x");
        field("Sec-WebSocket-Version", good & 8 ? "13" : "12");
        field("Sec-WebSocket-Protocol", good & 16 ? "a" : ",");
        assert_int_equal(check(), first == 5 ? 101 : first == 0 ? 405 : 400);
        if (first < 5)
            assert_string_equal(handshake.message, messages[first]);
        assert_int_equal(handshake.name_versions, first == 3);
    }
}

static void needs_each_field_once(void **state) {
    static const char *const fields[][2] = {
        {"Upgrade", "websocket"}, {"Sec-WebSocket-Key", KEY}, {"Sec-WebSocket-Version", "13"}};
    for (int which = 0; which < 3; which++)
        for (int times = 0; times < 4; times++) {
            begin("GET");
            for (int i = 0; i < 3; i++)
                for (int j = 0; j < (i == which ? times : 1); j++)
                    field(fields[i][0], fields[i][1]);
            assert_int_equal(check(), times == 1 ? 101 : 400);
        }
}

static int check_field(const char *name, const char *value) {
    static const char *const fields[][2] = {
        {"Upgrade", "websocket"}, {"Sec-WebSocket-Key", KEY}, {"Sec-WebSocket-Version", "13"}};
    begin("GET");
    for (int i = 0; i < 3; i++)
        field(fields[i][0], strcmp(fields[i][0], name) == 0 ? value : fields[i][1]);
    return check();
}

/* /^[+/0-9A-Za-z]{22}==$/ */
static void keys(void **state) {
    char key[32];
    for (int c = 1; c < 256; c++)
        for (int at = 0; at < 24; at++) {
            bool in_set = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                          (c >= 'a' && c <= 'z') || c == '+' || c == '/';
            strcpy(key, KEY);
            key[at] = (char)c;
            assert_int_equal(check_field("Sec-WebSocket-Key", key),
                             (at < 22 ? in_set : c == '=') ? 101 : 400);
        }
    for (size_t n = 0; n < 32; n++) {
        memset(key, 'A', n);
        key[n] = '\0';
        if (n >= 2)
            memcpy(key + n - 2, "==", 2);
        assert_int_equal(check_field("Sec-WebSocket-Key", key), n == 24 ? 101 : 400);
    }
}

static void versions(void **state) {
    char text[16];
    for (int version = -1; version < 300; version++) {
        snprintf(text, sizeof text, "%d", version);
        assert_int_equal(check_field("Sec-WebSocket-Version", text),
                         version == 13 || version == 8 ? 101 : 400);
    }
    static const char *const wrong[] = {"", "013", "13.0", "+13", "13,", "13, 8", "1 3", "xiii"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(check_field("Sec-WebSocket-Version", wrong[i]), 400);
}

static void upgrades(void **state) {
    assert_int_equal(check_field("Upgrade", "WEBSOCKET"), 101);
    static const char *const wrong[] = {"",           "websocke",       "websockets",
                                        "websocket,", "websocket, h2c", "websocket/13"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(check_field("Upgrade", wrong[i]), 400);
}

/* --- Subprotocols ----------------------------------------------------------------------------- */

static bool is_token(char c) {
    return c && strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                       c);
}

struct set {
    const char *start[64];
    int length[64], count;
};

static bool add(struct set *set, const char *start, int length) {
    for (int i = 0; i < set->count; i++)
        if (set->length[i] == length && memcmp(set->start[i], start, (size_t)length) == 0)
            return false;
    set->start[set->count] = start;
    set->length[set->count++] = length;
    return true;
}

/* ws's lib/subprotocol.js, line by line. False where it throws. */
static bool parse(const char *header, struct set *set) {
    int start = -1, end = -1, i = 0;
    for (; header[i]; i++) {
        char c = header[i];
        if (end == -1 && is_token(c)) {
            if (start == -1)
                start = i;
        } else if (i != 0 && (c == ' ' || c == '\t')) {
            if (end == -1 && start != -1)
                end = i;
        } else if (c == ',') {
            if (start == -1)
                return false;
            if (end == -1)
                end = i;
            if (!add(set, header + start, end - start))
                return false;
            start = end = -1;
        } else {
            return false;
        }
    }
    if (start == -1 || end != -1)
        return false;
    return add(set, header + start, i - start);
}

static void compare(const char *header) {
    struct set set = {.count = 0};
    bool valid = parse(header, &set);
    if (handshake.status != (valid ? 101 : 400))
        fail_msg("\"%s\": %d", header, handshake.status);
    if (!valid)
        return;
    assert_int_equal(strlen(handshake.protocol), set.length[0]);
    assert_memory_equal(handshake.protocol, set.start[0], (size_t)set.length[0]);
}

/* Everything that can be made of these characters. */
static void every_short_list(void **state) {
    static const char alphabet[] = "aB, \t/";
    char list[8];
    for (int length = 0; length <= 7; length++) {
        int indices[8] = {0}, at;
        do {
            for (int i = 0; i < length; i++)
                list[i] = alphabet[indices[i]];
            list[length] = '\0';
            begin_good();
            field("Sec-WebSocket-Protocol", list);
            check();
            compare(list);
            for (at = 0; at < length && !alphabet[++indices[at]]; at++)
                indices[at] = 0;
        } while (at < length);
    }
}

static void every_character(void **state) {
    for (int c = 1; c < 256; c++) {
        const char lists[][8] = {{(char)c},           {'a', (char)c},      {(char)c, 'a'},
                                 {'a', (char)c, 'b'}, {'a', ',', (char)c}, {(char)c, ',', 'a'}};
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
            begin_good();
            field("Sec-WebSocket-Protocol", lists[i]);
            check();
            compare(lists[i]);
        }
    }
}

/* Several fields are one list. As a parser gives them: without blanks around. */
static void lists_on_several_lines(void **state) {
    static const char *const pieces[] = {"",      "a",   "b",     "a,b",  "b , a", ",",
                                         "a,",    ",a",  "c",     "a b",  "A",     "c,d",
                                         "c\t,d", "d,c", "e,f,g", "a,,b", "x, y,z"};
    const size_t count = sizeof pieces / sizeof *pieces;
    for (size_t n = 0; n < count * count * count; n++) {
        const char *lines[] = {pieces[n % count], pieces[n / count % count],
                               pieces[n / count / count]};
        char joined[64];
        begin_good();
        field("X", "y");
        field("Sec-WebSocket-Protocol", lines[0]);
        field("Y", "z");
        field("sec-websocket-protocol", lines[1]);
        field("SEC-WEBSOCKET-PROTOCOL", lines[2]);
        check();
        snprintf(joined, sizeof joined, "%s, %s, %s", lines[0], lines[1], lines[2]);
        compare(joined);
    }
}

/* Each entry is compared with each other one, but not one by one. */
static void long_lists(void **state) {
    enum { COUNT = 200000 };
    char *list = malloc((size_t)COUNT * 8 + 16), *at = list;
    assert_non_null(list);
    for (int i = 0; i < COUNT; i++)
        at += sprintf(at, "%s%x", i ? "," : "", i);
    begin_good();
    field("Sec-WebSocket-Protocol", list);
    assert_int_equal(check(), 101);
    assert_string_equal(handshake.protocol, "0");
    strcpy(at, ",1234");
    begin_good();
    field("Sec-WebSocket-Protocol", list);
    assert_int_equal(check(), 400);
    free(list);
}

static const char *chosen_of(const char *offers, const char *const *protocols) {
    begin_good();
    if (offers)
        field("Sec-WebSocket-Protocol", offers);
    handshake_check(&handshake, &exchange, protocols);
    assert_int_equal(handshake.status, 101);
    return handshake.protocol;
}

static void the_server_chooses(void **state) {
    static const char *const ours[] = {"chat", "v2.chat", NULL}, *const none[] = {NULL};
    (void)state;
    assert_string_equal(chosen_of("chat", ours), "chat");
    assert_string_equal(chosen_of("v2.chat, chat", ours), "chat");
    assert_string_equal(chosen_of("other, v2.chat", ours), "v2.chat");
    assert_null(chosen_of("CHAT, chat2, cha", ours));
    assert_null(chosen_of(NULL, ours));
    assert_null(chosen_of("chat", none));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_rfc_6455_accepts),
        cmocka_unit_test(refuses_in_order),
        cmocka_unit_test(needs_each_field_once),
        cmocka_unit_test(keys),
        cmocka_unit_test(versions),
        cmocka_unit_test(upgrades),
        cmocka_unit_test(every_short_list),
        cmocka_unit_test(every_character),
        cmocka_unit_test(lists_on_several_lines),
        cmocka_unit_test(long_lists),
        cmocka_unit_test(the_server_chooses),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
