/* Messages, compressed and inflated. With ws as the other side: e2e/deflate.test.mjs. */
#include "protocols/deflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#ifdef ACACIA_ZLIB

#include <zlib.h>

/* --- Both sides ------------------------------------------------------------------------------- */

#define NO_LIMIT SIZE_MAX

static struct deflater deflater;
static struct inflater inflater;
static struct deflate_buffer packed, unpacked;

static void begin(int window_bits, bool no_context_takeover) {
    deflater_free(&deflater);
    inflater_free(&inflater);
    deflater_init(&deflater, &(struct deflater_options){
                                 .window_bits = window_bits,
                                 .no_context_takeover = no_context_takeover,
                             });
    inflater_init(&inflater, window_bits, no_context_takeover);
}

static int end(void **state) {
    deflater_free(&deflater);
    inflater_free(&inflater);
    deflate_buffer_free(&packed);
    deflate_buffer_free(&unpacked);
    return 0;
}

/* Into `packed`, behind what is there. */
static void add_packed(const void *data, size_t n, bool fin) {
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    if (n)
        memcpy(exact, data, n);
    assert_int_equal(deflater_feed(&deflater, exact, n, fin, deflate_buffer_take, &packed), 0);
    free(exact);
}

static void pack(const void *data, size_t n) {
    packed.length = 0;
    add_packed(data, n, true);
}

/* From blocks of just that size; into `unpacked`. */
static int unpack(const void *data, size_t n, size_t piece, size_t limit) {
    const char *at = data;
    int err = 0;
    unpacked.length = 0;
    do {
        size_t length = n < piece ? n : piece;
        char *exact = malloc(length ? length : 1);
        assert_non_null(exact);
        if (length)
            memcpy(exact, at, length);
        err = inflater_feed(&inflater, exact, length, length == n, limit, deflate_buffer_take,
                            &unpacked);
        free(exact);
        at += length;
        n -= length;
    } while (n > 0 && !err);
    return err;
}

static void assert_unpacked(const void *data, size_t n) {
    assert_int_equal(unpacked.length, n);
    if (n)
        assert_memory_equal(unpacked.data, data, n);
}

/* What was packed is that. */
static void assert_packs(const void *data, size_t n, size_t piece) {
    assert_int_equal(unpack(packed.data, packed.length, piece, NO_LIMIT), 0);
    assert_unpacked(data, n);
}

#define ASSERT_PACKED(...)                                                                         \
    do {                                                                                           \
        static const unsigned char bytes_[] = {__VA_ARGS__};                                       \
        assert_int_equal(packed.length, sizeof bytes_);                                            \
        assert_memory_equal(packed.data, bytes_, sizeof bytes_);                                   \
    } while (0)

#define UNPACK(...)                                                                                \
    unpack((const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__}),     \
           1000, NO_LIMIT)

#define ASSERT_UNPACKS(text, ...)                                                                  \
    do {                                                                                           \
        assert_int_equal(UNPACK(__VA_ARGS__), 0);                                                  \
        assert_unpacked(text, strlen(text));                                                       \
    } while (0)

/* --- Data ------------------------------------------------------------------------------------- */

static unsigned random_state = 1;

static unsigned below(unsigned n) {
    random_state = random_state * 1664525 + 1013904223;
    return (unsigned)((uint64_t)(random_state >> 8) * n >> 24);
}

/* Words, noise, or one byte, again and again. */
static void fill(char *data, size_t n) {
    static const char words[] = "the onion {\"user\":\"a\",\"text\":\"connection\"} 0 message ";
    unsigned kind = below(8);
    for (size_t i = 0; i < n;) {
        if (kind < 2) {
            data[i++] = (char)(kind ? below(256) : 'x');
            continue;
        }
        size_t start = below(sizeof words - 1), length = 1 + below(12);
        for (size_t j = start; j < sizeof words - 1 && j < start + length && i < n; j++)
            data[i++] = words[j];
    }
}

/* --- Tests ------------------------------------------------------------------------------------ */

/* RFC 7692 7.2.3. */
static void examples_of_the_rfc(void **state) {
    begin(15, false);
    pack("Hello", 5);
    ASSERT_PACKED(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00);
    pack("Hello", 5);
    ASSERT_PACKED(0xf2, 0x00, 0x11, 0x00, 0x00);
    ASSERT_UNPACKS("Hello", 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00);
    ASSERT_UNPACKS("Hello", 0xf2, 0x00, 0x11, 0x00, 0x00);
    ASSERT_UNPACKS("Hello", 0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00);
    ASSERT_UNPACKS("Hello", 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00);
    ASSERT_UNPACKS("Hello", 0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07,
                   0x00);
    ASSERT_UNPACKS("", 0x00);

    begin(15, true);
    for (int i = 0; i < 3; i++) {
        pack("Hello", 5);
        ASSERT_PACKED(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00);
        ASSERT_UNPACKS("Hello", 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00);
    }
    assert_int_equal(UNPACK(0xf2, 0x00, 0x11, 0x00, 0x00), UV_EILSEQ);
}

static void round_trip(void) {
    static char data[70000];
    size_t n = below(3) ? below(2000) : below(sizeof data), at = 0;
    fill(data, n);
    packed.length = 0;
    while (below(3) == 0) {
        size_t fragment = below((unsigned)(n - at) + 1);
        add_packed(data + at, fragment, false);
        at += fragment;
    }
    add_packed(data + at, n - at, true);
    assert_packs(data, n, below(2) ? 1 + below(300) : packed.length);
}

static void round_trips(void **state) {
    for (int bits = 8; bits <= 15; bits++)
        for (int variant = 0; variant < 4 * 9; variant++) {
            int level = variant / 4 + 1;
            bool deflater_forgets = variant & 1, inflater_forgets = variant & 2;
            if (inflater_forgets && !deflater_forgets)
                continue;
            begin(bits, inflater_forgets);
            deflater_init(&deflater, &(struct deflater_options){
                                         .window_bits = bits,
                                         .level = level,
                                         .memory_level = 1 + (int)below(9),
                                         .no_context_takeover = deflater_forgets,
                                     });
            for (int i = 0; i < 5; i++) {
                round_trip();
                if (below(4) == 0)
                    deflater_release(&deflater);
                if (below(4) == 0)
                    assert_int_equal(inflater_release(&inflater), 0);
            }
        }
}

static void split_at_every_offset(void **state) {
    char data[1500];
    fill(data, sizeof data);
    begin(15, true);
    pack(data, sizeof data);
    for (size_t i = 0; i <= packed.length; i++) {
        unpacked.length = 0;
        assert_int_equal(inflater_feed(&inflater, packed.data, i, false, NO_LIMIT,
                                       deflate_buffer_take, &unpacked),
                         0);
        assert_int_equal(inflater_feed(&inflater, packed.data + i, packed.length - i, true,
                                       NO_LIMIT, deflate_buffer_take, &unpacked),
                         0);
        assert_unpacked(data, sizeof data);
    }
    assert_packs(data, sizeof data, 1);
    for (size_t i = 0; i <= sizeof data; i++) {
        packed.length = 0;
        add_packed(data, i, false);
        assert_memory_equal(packed.data + packed.length - 4, "\0\0\xff\xff", 4);
        add_packed(data + i, sizeof data - i, true);
        assert_packs(data, sizeof data, 100);
    }
}

static void empty_messages(void **state) {
    for (int forgets = 0; forgets < 2; forgets++) {
        begin(15, forgets);
        for (int i = 0; i < 3; i++) {
            pack("", 0);
            ASSERT_PACKED(0x00);
            assert_int_equal(deflater_memory(&deflater), 0);
        }
        pack("a", 1);
        ASSERT_PACKED(0x4a, 0x04, 0x00);
        assert_packs("a", 1, 1);
        pack(NULL, 0);
        ASSERT_PACKED(0x00);
        assert_packs("", 0, 1);
        packed.length = 0;
        for (int i = 0; i < 6; i++)
            add_packed("b", i & 1, i == 5);
        assert_packs("bbb", 3, 1);
        packed.length = 0;
        add_packed("c", 1, false);
        add_packed("", 0, true); /* and with that it may forget */
        assert_packs("c", 1, 1);
        pack("c", 1);
        assert_packs("c", 1, 1);
    }
}

/* An empty payload is no DEFLATE data, but it is clear what is meant. */
static void no_data_is_an_empty_message(void **state) {
    begin(15, false);
    assert_int_equal(unpack("", 0, 1, 0), 0);
    assert_int_equal(inflater_memory(&inflater), 0);
    assert_int_equal(inflater_feed(&inflater, NULL, 0, false, 0, deflate_buffer_take, NULL), 0);
    assert_int_equal(inflater_feed(&inflater, NULL, 0, true, 0, deflate_buffer_take, NULL), 0);
    pack("Hello", 5);
    assert_packs("Hello", 5, 1);
    assert_int_equal(unpack("", 0, 1, 0), 0);
    assert_unpacked("", 0);
    pack("Hello", 5);
    assert_packs("Hello", 5, 1);
}

/* Nobody refers further back than was agreed on, even if zlib knows no window of 256 bytes: here a
 * byte at a time comes out, so that zlib has nothing but its window to look at. */
static void small_windows_are_kept(void **state) {
    static char data[20000];
    for (int bits = 8; bits <= 10; bits++)
        for (int level = 1; level <= 9; level++) {
            z_stream strict = {0};
            begin(bits, false);
            deflater.level = (uint8_t)level;
            fill(data, sizeof data);
            pack(data, sizeof data);
            assert_int_equal(inflateInit2(&strict, -bits), Z_OK);
            strict.next_in = (Bytef *)packed.data;
            strict.avail_in = (uInt)packed.length;
            for (size_t i = 0; i < sizeof data; i++) {
                Bytef byte = 0;
                strict.next_out = &byte;
                strict.avail_out = 1;
                assert_int_equal(inflate(&strict, Z_SYNC_FLUSH), Z_OK);
                assert_int_equal(byte, (Bytef)data[i]);
            }
            inflateEnd(&strict);
        }
}

/* --- The limit -------------------------------------------------------------------------------- */

static size_t taken, most_taken;

static int count(void *owner, const char *data, size_t n) {
    assert_true(n > 0);
    taken += n;
    if (n > most_taken)
        most_taken = n;
    return 0;
}

static void a_bomb_stops_at_the_limit(void **state) {
    enum { SIZE = 50 << 20, LIMIT = 100000 };
    char *zeros = calloc(1, SIZE);
    assert_non_null(zeros);
    begin(15, false);
    pack(zeros, SIZE);
    free(zeros);
    assert_true(packed.length < SIZE / 1000);
    taken = 0;
    assert_int_equal(inflater_feed(&inflater, packed.data, packed.length, true, LIMIT, count, NULL),
                     UV_EMSGSIZE);
    assert_in_range(taken, LIMIT - 4096, LIMIT);
    assert_in_range(most_taken, 1, 4096);
    assert_in_range(inflater_memory(&inflater), 1 << 15, (1 << 15) + 16384);
}

static void the_limit_is_of_a_message(void **state) {
    static char data[10000];
    for (size_t piece = 1; piece <= 10000; piece *= 10)
        for (size_t n = 9990; n <= sizeof data; n++) {
            begin(15, false);
            fill(data, n);
            for (int i = 0; i < 3; i++) {
                pack(data, n);
                assert_int_equal(unpack(packed.data, packed.length, piece, n), 0);
                assert_unpacked(data, n);
            }
            pack(data, n);
            assert_int_equal(unpack(packed.data, packed.length, piece, n - 1), UV_EMSGSIZE);
            assert_true(unpacked.length < n);
        }
    begin(15, false);
    pack("a", 1);
    assert_int_equal(unpack(packed.data, packed.length, 1, 0), UV_EMSGSIZE);
    begin(15, false);
    assert_int_equal(UNPACK(0x00), 0);
    assert_int_equal(unpack("\0", 1, 1, 0), 0);
}

/* --- Bad data --------------------------------------------------------------------------------- */

static void data_that_is_none(void **state) {
    static const unsigned char wrong[][8] = {
        {0x06},                         /* a block of type 3 */
        {0x00, 0x05, 0x00, 0x00, 0x00}, /* a stored block, whose lengths differ */
        {0x04, 0xff, 0xff, 0xff, 0xff}, /* a dynamic block with too many codes */
        {0x02, 0x11, 0x00},             /* further back than there is anything */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        begin(15, false);
        assert_int_equal(unpack(wrong[i], sizeof wrong[i], 1, NO_LIMIT), UV_EILSEQ);
        begin(15, true);
        assert_int_equal(unpack(wrong[i], sizeof wrong[i], 8, NO_LIMIT), UV_EILSEQ);
    }
    begin(8, true);
    ASSERT_UNPACKS("Hello", 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00);
    assert_int_equal(UNPACK(0x83, 0x89), UV_EILSEQ);
}

/* Of a message that breaks off nothing is taken for the whole. (But zlib may have flushed twice,
 * where a small chunk was full.) */
static void data_that_breaks_off(void **state) {
    char data[300];
    fill(data, sizeof data);
    begin(15, true);
    pack(data, sizeof data);
    for (size_t n = 1; n < packed.length; n++) {
        bool flushed = n + 4 < packed.length && memcmp(packed.data + n, "\0\0\xff\xff", 4) == 0;
        begin(15, true);
        assert_int_equal(unpack(packed.data, n, 1000, NO_LIMIT), flushed ? 0 : UV_EILSEQ);
    }
    begin(15, true);
    assert_packs(data, sizeof data, 1000);
    /* Nor if somebody forgets to leave the last four bytes out. */
    assert_int_equal(deflate_buffer_take(&packed, "\0\0\xff\xff", 4), 0);
    assert_int_equal(unpack(packed.data, packed.length, 1000, NO_LIMIT), UV_EILSEQ);
}

static void last_blocks_are_not_the_last(void **state) {
    begin(15, false);
    /* The end is there or not, and the window remains. */
    ASSERT_UNPACKS("Hello", 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00);
    ASSERT_UNPACKS("Hello", 0xf3, 0x00, 0x11, 0x00, 0x00);
    ASSERT_UNPACKS("Hello", 0xf2, 0x00, 0x11, 0x00, 0x00);
    assert_int_equal(inflater_release(&inflater), 0);
    ASSERT_UNPACKS("Hello", 0xf3, 0x00, 0x11, 0x00);
    assert_int_equal(inflater_release(&inflater), 0);
    /* Several of them in one message, whatever it is cut into. */
    static const unsigned char several[] = {0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf3, 0x00,
                                            0x11, 0x00, 0x03, 0x00, 0xf2, 0x00, 0x11, 0x00, 0x00};
    for (size_t piece = 1; piece <= sizeof several; piece++) {
        assert_int_equal(unpack(several, sizeof several, piece, NO_LIMIT), 0);
        assert_unpacked("HelloHelloHello", 15);
    }
    begin(15, true);
    ASSERT_UNPACKS("Hello", 0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00);
    assert_int_equal(UNPACK(0xf2, 0x00, 0x11, 0x00, 0x00), UV_EILSEQ);
}

/* As one block with BFINAL, and nothing behind it. */
static size_t finish(Bytef *to, size_t room, char *data, size_t n) {
    z_stream z = {.next_in = (Bytef *)data, .avail_in = (uInt)n, .next_out = to};
    z.avail_out = (uInt)room;
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_FIXED), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

/* What comes out fills the chunks in which it comes, or not; a repetition goes on in the next one;
 * and the code that ends the block is in the last byte with it, or not. */
static void last_blocks_of_any_size(void **state) {
    char data[8192 + 300];
    Bytef block[1000];
    begin(15, false);
    for (size_t bits = 0; bits < 8; bits++) {
        memset(data, 'x', sizeof data);
        for (size_t i = 0; i < bits; i++)
            data[i] = (char)(200 + i); /* of nine bits each */
        for (size_t n = 8190; n <= sizeof data; n++) {
            size_t length = finish(block, sizeof block, data, n);
            assert_int_equal(unpack(block, length, length, NO_LIMIT), 0);
            assert_unpacked(data, n);
            assert_int_equal(unpack(block, length, 7, NO_LIMIT), 0);
            assert_unpacked(data, n);
        }
    }
}

/* --- Memory ----------------------------------------------------------------------------------- */

static void memory_is_as_the_header_says(void **state) {
    char data[1000];
    fill(data, sizeof data);
    if (strstr(zlibVersion(), "zlib-ng"))
        skip(); /* which has sizes of its own */
    for (int bits = 9; bits <= 15; bits++)
        for (int level = 1; level <= 9; level++) {
            size_t deflates = ((size_t)1 << (bits + 2)) + ((size_t)1 << (level + 9));
            size_t inflates = (size_t)1 << bits;
            begin(bits, false);
            deflater.memory_level = (uint8_t)level;
            assert_int_equal(deflater_memory(&deflater), 0);
            assert_int_equal(inflater_memory(&inflater), 0);
            pack(data, sizeof data);
            assert_packs(data, sizeof data, 100);
            assert_in_range(deflater_memory(&deflater), deflates, deflates + 6500);
            assert_in_range(inflater_memory(&inflater), inflates, inflates + 7500);
            deflater_release(&deflater);
            assert_int_equal(inflater_release(&inflater), 0);
            assert_int_equal(deflater_memory(&deflater), 0);
            assert_int_equal(inflater_memory(&inflater),
                             inflates < sizeof data ? inflates : sizeof data);
        }
}

static void a_released_inflater_remembers(void **state) {
    static char data[40000];
    fill(data, sizeof data);
    begin(15, false);
    for (size_t n = 1; n <= sizeof data; n *= 3) {
        pack(data, n);
        assert_packs(data, n, 1000);
        assert_int_equal(inflater_release(&inflater), 0);
        assert_int_equal(inflater_release(&inflater), 0);
        pack(data, n);
        assert_packs(data, n, 1000);
    }
    assert_int_equal(inflater_release(&inflater), 0);
    assert_int_equal(inflater_memory(&inflater), 1 << 15);
    inflater_free(&inflater);
    assert_int_equal(inflater_memory(&inflater), 0);

    begin(15, true);
    pack("Hello", 5);
    assert_packs("Hello", 5, 1);
    assert_int_equal(inflater_release(&inflater), 0);
    assert_int_equal(inflater_memory(&inflater), 0);
}

static void nothing_is_released_within_a_message(void **state) {
    begin(15, true);
    pack("Hello", 5);
    unpacked.length = 0;
    for (size_t i = 0; i < packed.length; i++) {
        bool fin = i + 1 == packed.length;
        assert_int_equal(inflater_feed(&inflater, packed.data + i, 1, fin, NO_LIMIT,
                                       deflate_buffer_take, &unpacked),
                         0);
        assert_int_equal(inflater_release(&inflater), 0);
        assert_int_equal(inflater_memory(&inflater) == 0, fin);
    }
    assert_unpacked("Hello", 5);
}

/* --- Several sockets -------------------------------------------------------------------------- */

/* A broadcast is compressed once, for whoever has a window of that size or more. */
static void one_deflater_serves_all(void **state) {
    struct deflater shared;
    struct inflater peers[3];
    char data[5000];
    deflater_init(&shared,
                  &(struct deflater_options){.window_bits = 10, .no_context_takeover = true});
    inflater_init(&peers[0], 10, true);
    inflater_init(&peers[1], 15, true);
    inflater_init(&peers[2], 12, false);
    for (int i = 0; i < 20; i++) {
        packed.length = 0;
        fill(data, sizeof data);
        assert_int_equal(
            deflater_feed(&shared, data, sizeof data, true, deflate_buffer_take, &packed), 0);
        for (int peer = 0; peer < 3; peer++) {
            inflater = peers[peer];
            assert_packs(data, sizeof data, 700);
            peers[peer] = inflater;
        }
    }
    for (int peer = 0; peer < 3; peer++)
        inflater_free(&peers[peer]);
    inflater = (struct inflater){0};
    deflater_free(&shared);
}

/* What another deflater has compressed is in the peer's window, too. */
static void a_deflater_must_forget_what_it_did_not_compress(void **state) {
    struct deflater shared;
    char data[100], news[300];
    fill(data, sizeof data);
    deflater_init(&shared, &(struct deflater_options){.no_context_takeover = true});
    begin(15, false);
    for (int resets = 1; resets >= 0; resets--) {
        pack(data, sizeof data);
        assert_packs(data, sizeof data, 1000);
        packed.length = 0;
        memset(news, 'x', sizeof news);
        assert_int_equal(
            deflater_feed(&shared, news, sizeof news, true, deflate_buffer_take, &packed), 0);
        assert_packs(news, sizeof news, 1000);
        if (resets)
            deflater_reset(&deflater);
        pack(data, sizeof data);
        assert_int_equal(unpack(packed.data, packed.length, 1000, NO_LIMIT), 0);
        assert_int_equal(unpacked.length == sizeof data &&
                             memcmp(unpacked.data, data, sizeof data) == 0,
                         resets);
    }
    deflater_free(&shared);
}

/* --- Errors of others ------------------------------------------------------------------------- */

static int refuse_later(void *owner, const char *data, size_t n) {
    int *left = owner;
    return (*left)-- > 0 ? 0 : UV_EPIPE;
}

static void errors_of_take_come_back(void **state) {
    static char noise[50000];
    int left;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)below(256);
    for (int n = 0; n < 5; n++) {
        begin(15, false);
        pack(noise, sizeof noise);
        assert_packs(noise, sizeof noise, sizeof noise);
        left = n;
        assert_int_equal(deflater_feed(&deflater, noise, sizeof noise, true, refuse_later, &left),
                         UV_EPIPE);
        /* Of that nothing was sent, and all goes on. */
        pack(noise, sizeof noise);
        assert_packs(noise, sizeof noise, sizeof noise);
        left = n;
        pack(noise, sizeof noise);
        assert_int_equal(inflater_feed(&inflater, packed.data, packed.length, true, NO_LIMIT,
                                       refuse_later, &left),
                         UV_EPIPE);
    }
    left = 0;
    assert_int_equal(deflater_feed(&deflater, "", 0, true, refuse_later, &left), UV_EPIPE);
}

static void zlib_is_there(void **state) {
    assert_true(deflate_is_available());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zlib_is_there),
        cmocka_unit_test(examples_of_the_rfc),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(split_at_every_offset),
        cmocka_unit_test(empty_messages),
        cmocka_unit_test(no_data_is_an_empty_message),
        cmocka_unit_test(small_windows_are_kept),
        cmocka_unit_test(a_bomb_stops_at_the_limit),
        cmocka_unit_test(the_limit_is_of_a_message),
        cmocka_unit_test(data_that_is_none),
        cmocka_unit_test(data_that_breaks_off),
        cmocka_unit_test(last_blocks_are_not_the_last),
        cmocka_unit_test(last_blocks_of_any_size),
        cmocka_unit_test(memory_is_as_the_header_says),
        cmocka_unit_test(a_released_inflater_remembers),
        cmocka_unit_test(nothing_is_released_within_a_message),
        cmocka_unit_test(one_deflater_serves_all),
        cmocka_unit_test(a_deflater_must_forget_what_it_did_not_compress),
        cmocka_unit_test(errors_of_take_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}

#else

/* All of it is there, and says so. */
static void without_zlib(void **state) {
    struct deflate_buffer buffer = {0};
    struct deflater deflater;
    struct inflater inflater;
    deflater_init(&deflater, &(struct deflater_options){0});
    inflater_init(&inflater, 0, false);
    assert_false(deflate_is_available());
    assert_int_equal(deflater_feed(&deflater, "a", 1, true, deflate_buffer_take, &buffer),
                     UV_ENOSYS);
    assert_int_equal(inflater_feed(&inflater, "", 1, true, 1, deflate_buffer_take, &buffer),
                     UV_ENOSYS);
    deflater_reset(&deflater);
    deflater_release(&deflater);
    assert_int_equal(inflater_release(&inflater), 0);
    assert_int_equal(deflater_memory(&deflater) + inflater_memory(&inflater), 0);
    deflater_free(&deflater);
    inflater_free(&inflater);
    deflate_buffer_free(&buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(without_zlib)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
