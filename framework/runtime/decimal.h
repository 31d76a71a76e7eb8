/* Numbers as text, where printf takes longer than all the rest. */
#ifndef ACACIA_DECIMAL_H
#define ACACIA_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#define DECIMAL_MAX 20 /* digits of a number of 64 bits */

/* Write `number` without a NUL; returns how many digits it has. */
static inline size_t write_decimal(char *to, uint64_t number) {
    char digits[DECIMAL_MAX];
    size_t count = 0, n = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count > 0)
        to[n++] = digits[--count];
    return n;
}

#endif
