/*
 * Tickets (RFC 5077, RFC 8446 4.6.1): sessions that the client keeps, sealed by keys of ours. There
 * is a new key for each lifetime of a ticket; the one before opens what it has sealed for as long
 * again, and is forgotten. Or the keys come from files that several processes share.
 */
#ifndef ACACIA_TLS_TICKETS_H
#define ACACIA_TLS_TICKETS_H

#include "protocols/openssl/tls_error.h"

#include <openssl/ssl.h>
#include <stdint.h>

#define TICKET_KEY_NAME 16
#define TICKET_KEYS 8

struct ticket_key {
    unsigned char name[TICKET_KEY_NAME];
    unsigned char mac[32];
    unsigned char cipher[32];
};

struct tls_tickets {
    struct ticket_key keys[TICKET_KEYS]; /* the first one seals */
    size_t count;
    bool fixed;        /* by files */
    uint64_t lifetime; /* milliseconds */
    uint64_t renewed;  /* when the first one was made, by the loop's clock */
    EVP_CIPHER *cipher;
};

/* `files`: NULL at the end, or NULL. False, and why. `now` by the loop's clock, as below. */
bool tls_tickets_init(struct tls_tickets *tickets, const char *const *files, uint64_t lifetime,
                      uint64_t now, const struct tls_why *why);
void tls_tickets_destroy(struct tls_tickets *tickets);

/* Take over the keys of others that were read anew. */
void tls_tickets_adopt(struct tls_tickets *tickets, struct tls_tickets *others);

/* What SSL_CTX_set_tlsext_ticket_key_evp_cb is to answer. */
int tls_tickets_key(struct tls_tickets *tickets, uint64_t now, unsigned char *name,
                    unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing);

#endif
