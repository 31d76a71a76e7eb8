/* Where Redis is, and who we are there. For redis_link.h; it is not installed. */
#ifndef ACACIA_REDIS_TARGET_H
#define ACACIA_REDIS_TARGET_H

/* A URL taken apart. What is not in it is NULL. */
struct redis_target {
    char *text; /* what the others point into */
    const char *host, *port;
    const char *path; /* of a unix socket, in place of a host */
    const char *username, *password;
    const char *database;
};

/*
 * `redis://USER:PASSWORD@HOST:PORT/DATABASE`, of which only the host is needed, or `unix:/PATH`.
 * User and password may be percent-encoded. Returns NULL, or what is wrong with it, in words: then
 * there is nothing to be freed.
 */
const char *redis_target_parse(struct redis_target *target, const char *url);
void redis_target_free(struct redis_target *target);

#endif
