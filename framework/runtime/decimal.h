/* Numbers as text, where printf takes longer than all the rest. */
#ifndef ACACIA_DECIMAL_H
#define ACACIA_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#define DECIMAL_MAX 20 /* digits of a number of 64 bits */

/* Write `number` without a NUL; returns how many digits it has. */
static inline size_t write_decimal(char *to, uint64_t number) {
    size_t count = 1;
    for (uint64_t power = 10; number >= power && count < DECIMAL_MAX; power *= 10)
        count++;
    for (size_t at = count - 1; at > 0; at--, number /= 10)
        to[at] = (char)('0' + number % 10);
    to[0] = (char)('0' + number);
    return count;
}

#endif
