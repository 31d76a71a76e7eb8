/* Signatures, which are those of npm keygrip 1.1.0. */
#include "context/keygrip.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

/* --- OpenSSL's allocations, of which one fails ------------------------------------------------ */

static long countdown = -1; /* allocations until it does; negative: none does */

static bool fails(void) {
    return countdown >= 0 && countdown-- == 0;
}

static void *crypto_malloc(size_t size, const char *file, int line) {
    (void)file, (void)line;
    return fails() ? NULL : malloc(size);
}

static void *crypto_realloc(void *block, size_t size, const char *file, int line) {
    (void)file, (void)line;
    return fails() ? NULL : realloc(block, size);
}

static void crypto_free(void *block, const char *file, int line) {
    (void)file, (void)line;
    free(block);
}

/* --- Signing ---------------------------------------------------------------------------------- */

#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct keygrip *make(const char *const *keys) {
    struct keygrip *keygrip;
    assert_int_equal(keygrip_new(&keygrip, keys), 0);
    return keygrip;
}

static void check_sign(const char *key, const char *data, const char *expected) {
    char signature[KEYGRIP_SIZE];
    struct keygrip *keygrip = make(KEYS(key));
    assert_int_equal(keygrip_sign(keygrip, signature, data, strlen(data)), 0);
    assert_string_equal(signature, expected);
    keygrip_free(keygrip);
}

/* What node says of them. */
static void known_signatures(void **state) {
    (void)state;
    check_sign("new", "a=1", "0QT-09Nm2EV8gY4Umnxyo1vkEz4");
    check_sign("new", "a=", "fEuAMwHhznRBDZ04xwwviJw5zAs");
    check_sign("old", "a=1", "XPY1WvmPTiW-hqd9Uj6Cw6mtaxQ");
    check_sign("\xC3\xA9", "a=\xC3\xA9", "O0t_Ae2_lyipOmOsyaZWIN80zkc");
    check_sign("0123456789012345678901234567890123456789012345678901234567890123", "a=1",
               "y8sArlKhujNoanusMRRxrSAAycw");
    check_sign("a key that is longer than a block of SHA-1 is itself hashed before it is used",
               "a=1", "QEG7og3PwO095WHE-AUQLRuIehE");
    check_sign("keys", "", "61lv5MB2zHD5CCunqOVrNjcbjso");
}

static void all_bytes_are_signed(void **state) {
    (void)state;
    char one[KEYGRIP_SIZE], other[KEYGRIP_SIZE];
    struct keygrip *keygrip = make(KEYS("new"));
    assert_int_equal(keygrip_sign(keygrip, one, "a=1\0b", 5), 0);
    assert_int_equal(keygrip_sign(keygrip, other, "a=1", 3), 0);
    assert_string_not_equal(one, other);
    assert_int_equal(keygrip_index(keygrip, one, "a=1\0b", 5), 0);
    assert_int_equal(keygrip_index(keygrip, one, "a=1", 3), -ENOENT);
    keygrip_free(keygrip);
}

/* --- Verifying -------------------------------------------------------------------------------- */

static int index_by(const struct keygrip *keygrip, const char *key) {
    char signature[KEYGRIP_SIZE];
    struct keygrip *signer = make(KEYS(key));
    assert_int_equal(keygrip_sign(signer, signature, "a=1", 3), 0);
    keygrip_free(signer);
    return keygrip_index(keygrip, signature, "a=1", 3);
}

static void first_key_that_fits(void **state) {
    (void)state;
    struct keygrip *keygrip = make(KEYS("new", "old", "older", "old"));
    assert_int_equal(index_by(keygrip, "new"), 0);
    assert_int_equal(index_by(keygrip, "old"), 1);
    assert_int_equal(index_by(keygrip, "older"), 2);
    assert_int_equal(index_by(keygrip, "oldest"), -ENOENT);
    keygrip_free(keygrip);
}

static void nothing_but_the_signature_fits(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "0",
        "0QT-09Nm2EV8gY4Umnxyo1vkEz",
        "0QT-09Nm2EV8gY4Umnxyo1vkEz4=",
        "0QT+09Nm2EV8gY4Umnxyo1vkEz4",
        "0qt-09nm2ev8gy4umnxyo1vkez4",
        "1QT-09Nm2EV8gY4Umnxyo1vkEz4",
        "0QT-09Nm2EV8gY4Umnxyo1vkEz5", /* the same bytes: two bits of the last digit are unused */
        " 0QT-09Nm2EV8gY4Umnxyo1vkEz4",
    };
    struct keygrip *keygrip = make(KEYS("new", "old"));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (keygrip_index(keygrip, wrong[i], "a=1", 3) != -ENOENT)
            fail_msg("\"%s\"", wrong[i]);
    assert_int_equal(keygrip_index(keygrip, "0QT-09Nm2EV8gY4Umnxyo1vkEz4", "a=1", 3), 0);
    assert_int_equal(keygrip_index(keygrip, "0QT-09Nm2EV8gY4Umnxyo1vkEz4", "a=2", 3), -ENOENT);
    keygrip_free(keygrip);
}

/* --- Errors ----------------------------------------------------------------------------------- */

static void keys_must_be_provided(void **state) {
    (void)state;
    struct keygrip *keygrip = (struct keygrip *)&keygrip;
    assert_int_equal(keygrip_new(&keygrip, (const char *const[]){NULL}), -EINVAL);
    assert_null(keygrip);
    assert_int_equal(keygrip_new(&keygrip, KEYS("")), -EINVAL); /* npm keygrip takes it */
    assert_int_equal(keygrip_new(&keygrip, KEYS("new", "")), -EINVAL);
    assert_null(keygrip);
    keygrip_free(NULL);
}

/* Let allocation number `i` fail, from 0. */
static void fail_at(long i) {
    countdown = i;
}

/* Did any? Some of them OpenSSL can do without. */
static bool has_failed(void) {
    bool failed = countdown < 0;
    countdown = -1;
    assert_int_equal(ERR_peek_error(), 0); /* nothing is left for TLS to find */
    return failed;
}

static void no_memory_for_keys(void **state) {
    (void)state;
    struct keygrip *keygrip;
    bool failed = true;
    int errors = 0;
    for (long i = 0; failed; i++) {
        fail_at(i);
        int err = keygrip_new(&keygrip, KEYS("new", "old"));
        failed = has_failed();
        assert_true(err == 0 || (failed && err == -ENOMEM));
        assert_int_equal(keygrip == NULL, err != 0);
        if (keygrip) {
            assert_int_equal(index_by(keygrip, "new"), 0);
            assert_int_equal(index_by(keygrip, "old"), 1);
        }
        errors += err != 0;
        keygrip_free(keygrip);
    }
    assert_true(errors > 0);
}

static void no_memory_for_signatures(void **state) {
    (void)state;
    struct keygrip *keygrip = make(KEYS("new", "old"));
    char signature[KEYGRIP_SIZE];
    bool failed = true;
    int errors = 0;
    for (long i = 0; failed; i++) {
        fail_at(i);
        int err = keygrip_sign(keygrip, signature, "a=1", 3);
        failed = has_failed();
        assert_true(err == 0 || (failed && err == -ENOMEM));
        if (err == 0)
            assert_string_equal(signature, "0QT-09Nm2EV8gY4Umnxyo1vkEz4");
        errors += err != 0;
    }
    failed = true;
    for (long i = 0; failed; i++) {
        fail_at(i);
        int index = keygrip_index(keygrip, "XPY1WvmPTiW-hqd9Uj6Cw6mtaxQ", "a=1", 3);
        failed = has_failed();
        assert_true(index == 1 || (failed && index == -ENOMEM));
        errors += index != 1;
    }
    assert_true(errors > 1);
    keygrip_free(keygrip);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_signatures),
        cmocka_unit_test(all_bytes_are_signed),
        cmocka_unit_test(first_key_that_fits),
        cmocka_unit_test(nothing_but_the_signature_fits),
        cmocka_unit_test(keys_must_be_provided),
        cmocka_unit_test(no_memory_for_keys),
        cmocka_unit_test(no_memory_for_signatures),
    };
    /* Only before OpenSSL has allocated anything. */
    if (!CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
