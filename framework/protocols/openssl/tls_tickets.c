#include "protocols/openssl/tls_tickets.h"

#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#define KEY_FILE_SIZE 80 /* as nginx has them: name, key of HMAC, key of AES-256 */

/* --- Keys ------------------------------------------------------------------------------------- */

static bool read_key(struct ticket_key *key, const char *name, const struct tls_why *why) {
    unsigned char data[KEY_FILE_SIZE + 1];
    FILE *file = fopen(name, "rb");
    if (!file)
        return tls_say(why, name, "can't be opened");
    size_t n = fread(data, 1, sizeof data, file);
    fclose(file);
    if (n == KEY_FILE_SIZE) {
        memcpy(key->name, data, 16);
        memcpy(key->mac, data + 16, 32);
        memcpy(key->cipher, data + 48, 32);
    }
    OPENSSL_cleanse(data, sizeof data);
    return n == KEY_FILE_SIZE || tls_say(why, name, "a key of tickets is 80 bytes");
}

static bool read_keys(struct tls_tickets *tickets, const char *const *files,
                      const struct tls_why *why) {
    tickets->fixed = true;
    for (; *files; files++) {
        if (tickets->count == TICKET_KEYS)
            return tls_say(why, *files, "too many keys of tickets");
        if (!read_key(&tickets->keys[tickets->count], *files, why))
            return false;
        tickets->count++;
    }
    return tickets->count > 0 || tls_say(why, NULL, "ticket_key_files: none");
}

/* The one before stays for as long again. */
static bool renew(struct tls_tickets *tickets, uint64_t now) {
    struct ticket_key key;
    if (RAND_bytes((unsigned char *)&key, sizeof key) != 1)
        return false;
    tickets->keys[1] = tickets->keys[0];
    tickets->keys[0] = key;
    /* Nobody came for so long that even the last ticket has expired: its key is none either. */
    bool is_old = now - tickets->renewed >= 2 * tickets->lifetime;
    tickets->count = tickets->count > 0 && !is_old ? 2 : 1;
    tickets->renewed = now;
    OPENSSL_cleanse(&key, sizeof key);
    if (tickets->count == 1)
        OPENSSL_cleanse(&tickets->keys[1], sizeof key);
    return true;
}

bool tls_tickets_init(struct tls_tickets *tickets, const char *const *files, uint64_t lifetime,
                      uint64_t now, const struct tls_why *why) {
    *tickets = (struct tls_tickets){.lifetime = lifetime, .renewed = now};
    tickets->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (!tickets->cipher)
        return tls_explain(why, NULL);
    if (files)
        return read_keys(tickets, files, why);
    return renew(tickets, now) || tls_explain(why, NULL);
}

void tls_tickets_destroy(struct tls_tickets *tickets) {
    EVP_CIPHER_free(tickets->cipher);
    OPENSSL_cleanse(tickets, sizeof *tickets);
}

void tls_tickets_adopt(struct tls_tickets *tickets, struct tls_tickets *others) {
    tls_tickets_destroy(tickets);
    *tickets = *others;
    OPENSSL_cleanse(others, sizeof *others);
}

/* --- Their use -------------------------------------------------------------------------------- */

static bool set_up(struct tls_tickets *tickets, struct ticket_key *key, unsigned char *iv,
                   EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing) {
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex2(cipher, tickets->cipher, key->cipher, iv, sealing, NULL) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

static struct ticket_key *find(struct tls_tickets *tickets, const unsigned char *name) {
    for (size_t i = 0; i < tickets->count; i++)
        if (memcmp(tickets->keys[i].name, name, TICKET_KEY_NAME) == 0)
            return &tickets->keys[i];
    return NULL;
}

/* 0: no ticket, or a whole handshake in place of this one. 2: this one, and a new one after it. */
int tls_tickets_key(struct tls_tickets *tickets, uint64_t now, unsigned char *name,
                    unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing) {
    if (!tickets->fixed && now - tickets->renewed >= tickets->lifetime)
        renew(tickets, now);
    if (sealing) {
        memcpy(name, tickets->keys[0].name, TICKET_KEY_NAME);
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(tickets->cipher)) != 1)
            return 0;
        return set_up(tickets, &tickets->keys[0], iv, cipher, mac, sealing);
    }
    struct ticket_key *key = find(tickets, name);
    if (!key || !set_up(tickets, key, iv, cipher, mac, sealing))
        return 0;
    return key == &tickets->keys[0] ? 1 : 2;
}
