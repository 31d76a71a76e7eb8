/* How many sockets there are from each address. */
#ifndef ACACIA_CROWD_H
#define ACACIA_CROWD_H

#include <stddef.h>

struct crowd;
struct crowd_entry;

/* NULL when there is no memory. */
struct crowd *crowd_new(void);
void crowd_free(struct crowd *crowd); /* NULL is fine */

/* One more from `address`: its entry; NULL when there is no memory. */
struct crowd_entry *crowd_enter(struct crowd *crowd, const char *address);

/* How many there are, this one included. */
size_t crowd_count(const struct crowd_entry *entry);

/* One less; NULL is fine. */
void crowd_leave(struct crowd *crowd, struct crowd_entry *entry);

#endif
