#include "protocols/openssl/random.h"

#include <openssl/rand.h>
#include <string.h>

#define STOCK 512

/* OpenSSL takes about as long for a few bytes as for many: small wishes share a stock. What has
 * been given away is wiped. */
bool random_bytes(void *to, size_t n) {
    static _Thread_local unsigned char stock[STOCK];
    static _Thread_local size_t left;
    if (n > STOCK / 8)
        return RAND_bytes(to, (int)n) == 1;
    if (left < n) {
        if (RAND_bytes(stock, sizeof stock) != 1)
            return false;
        left = sizeof stock;
    }
    left -= n;
    memcpy(to, stock + left, n);
    memset(stock + left, 0, n);
    return true;
}
