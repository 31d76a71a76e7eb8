/* Numbers as text, where printf takes longer than all the rest. */
#ifndef ACACIA_DECIMAL_H
#define ACACIA_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#define DECIMAL_MAX 20 /* digits of a number of 64 bits */

/* Write `number` without a NUL; returns how many digits it has. */
static inline size_t write_decimal(char *to, uint64_t number) {
    size_t count = 1;
    for (uint64_t rest = number; rest >= 10; rest /= 10)
        count++;
    for (size_t at = count; at-- > 0; number /= 10)
        to[at] = (char)('0' + number % 10);
    return count;
}

#endif
