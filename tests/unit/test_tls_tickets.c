/* The keys of tickets as time goes by: a new one for each lifetime, the one before for as long
 * again. */
#include "protocols/openssl/tls_tickets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <openssl/evp.h>

#include <cmocka.h>

#define LIFETIME 1000

struct ticket {
    unsigned char name[TICKET_KEY_NAME], iv[EVP_MAX_IV_LENGTH];
};

static struct tls_tickets tickets;
static EVP_CIPHER_CTX *cipher;
static EVP_MAC_CTX *mac;

static int set_up(void **state) {
    char text[256];
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    cipher = EVP_CIPHER_CTX_new();
    mac = EVP_MAC_CTX_new(hmac);
    EVP_MAC_free(hmac);
    return tls_tickets_init(&tickets, NULL, LIFETIME, 0, &(struct tls_why){text, sizeof text}) ? 0
                                                                                               : -1;
}

static int tear_down(void **state) {
    tls_tickets_destroy(&tickets);
    EVP_CIPHER_CTX_free(cipher);
    EVP_MAC_CTX_free(mac);
    return 0;
}

static struct ticket seal(uint64_t now) {
    struct ticket ticket;
    assert_int_equal(tls_tickets_key(&tickets, now, ticket.name, ticket.iv, cipher, mac, 1), 1);
    return ticket;
}

/* 0: unknown; 1: good; 2: good, and another one is due. */
static int open_ticket(struct ticket ticket, uint64_t now) {
    return tls_tickets_key(&tickets, now, ticket.name, ticket.iv, cipher, mac, 0);
}

static void test_lifetime(void **state) {
    struct ticket first = seal(0), second;
    assert_int_equal(open_ticket(first, LIFETIME - 1), 1);
    assert_int_equal(open_ticket(first, LIFETIME), 2);
    second = seal(LIFETIME);
    assert_memory_not_equal(first.name, second.name, TICKET_KEY_NAME);
    assert_int_equal(open_ticket(first, 2 * LIFETIME - 1), 2);
    assert_int_equal(open_ticket(second, 2 * LIFETIME - 1), 1);
    assert_int_equal(open_ticket(first, 2 * LIFETIME), 0);
    assert_int_equal(open_ticket(second, 2 * LIFETIME), 2);
}

static void test_long_silence(void **state) {
    struct ticket old = seal(0);
    assert_int_equal(open_ticket(old, 2 * LIFETIME), 0);
    assert_int_equal(open_ticket(old, 10 * LIFETIME), 0);
    assert_int_equal(open_ticket(seal(10 * LIFETIME), 10 * LIFETIME), 1);
}

static void test_unknown(void **state) {
    struct ticket forged = seal(0);
    forged.name[0] ^= 1;
    assert_int_equal(open_ticket(forged, 0), 0);
}

/* What one has sealed, the other opens. */
static void test_adopted(void **state) {
    char text[256];
    struct tls_tickets others;
    struct ticket old = seal(0);
    assert_true(tls_tickets_init(&others, NULL, LIFETIME, 0, &(struct tls_why){text, sizeof text}));
    tls_tickets_adopt(&tickets, &others);
    assert_int_equal(open_ticket(old, 0), 0);
    assert_int_equal(open_ticket(seal(0), 0), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lifetime, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_silence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_adopted, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
