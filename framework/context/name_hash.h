/* A hash of names that clients may choose: keyed, so that they can't choose ones that collide. */
#ifndef ACACIA_NAME_HASH_H
#define ACACIA_NAME_HASH_H

#include <stdint.h>

/* The same name has the same hash, in one process. */
uint32_t name_hash(const char *name);

#endif
