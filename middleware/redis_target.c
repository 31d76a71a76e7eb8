#include "redis_target.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define DEFAULT_PORT "6379"

static const char malformed[] =
    "the URL must be redis://USER:PASSWORD@HOST:PORT/DATABASE or unix:/PATH";

static int hex(char c) {
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* In its place. False if it is malformed, or has a NUL in it. */
static bool decode_percent(char *text) {
    char *to = text;
    for (const char *from = text; *from; from++) {
        *to = *from;
        if (*from == '%') {
            if (!isxdigit((unsigned char)from[1]) || !isxdigit((unsigned char)from[2]))
                return false;
            *to = (char)(hex(from[1]) << 4 | hex(from[2]));
            from += 2;
        }
        if (!*to++)
            return false;
    }
    *to = '\0';
    return true;
}

static bool is_number(const char *text, long max) {
    char *end;
    return isdigit((unsigned char)*text) && strtol(text, &end, 10) <= max && !*end;
}

/* USER:PASSWORD, either of which may be missing. */
static bool parse_user(struct redis_target *target, char *text) {
    char *password = strchr(text, ':');
    if (password)
        *password++ = '\0';
    if (!decode_percent(text) || (password && !decode_percent(password)))
        return false;
    target->username = *text ? text : NULL;
    target->password = password;
    return !target->username || password;
}

/* HOST:PORT, where HOST may be [::1]. */
static bool parse_host(struct redis_target *target, char *text) {
    char *end = *text == '[' ? strchr(text, ']') : text + strcspn(text, ":");
    if (!end)
        return false;
    target->host = *text == '[' ? text + 1 : text;
    if (*text == '[')
        *end++ = '\0';
    target->port = DEFAULT_PORT;
    if (*end == ':') {
        *end++ = '\0';
        target->port = end;
        return *target->host && is_number(end, 65535);
    }
    return *target->host && !*end;
}

static bool parse_redis(struct redis_target *target, char *text) {
    char *database = strchr(text, '/');
    if (database) {
        *database++ = '\0';
        target->database = *database ? database : NULL;
    }
    char *host = strrchr(text, '@');
    if (host)
        *host++ = '\0';
    if (host && !parse_user(target, text))
        return false;
    return parse_host(target, host ? host : text) &&
           (!target->database || is_number(target->database, 1000000));
}

static const char *parse(struct redis_target *target, char *text) {
    if (strncmp(text, "rediss:", 7) == 0)
        return "rediss:// (TLS) is not supported";
    if (strncmp(text, "redis://", 8) == 0)
        return parse_redis(target, text + 8) ? NULL : malformed;
    if (strncmp(text, "unix:", 5) != 0)
        return malformed;
    target->path = text + (strncmp(text, "unix:///", 8) == 0 ? 7 : 5);
    if (strlen(target->path) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return "the path of the unix socket is too long";
    return target->path[0] == '/' && target->path[1] != '/' ? NULL : malformed;
}

const char *redis_target_parse(struct redis_target *target, const char *url) {
    *target = (struct redis_target){.text = strdup(url)};
    const char *error = target->text ? parse(target, target->text) : "out of memory";
    if (error)
        redis_target_free(target);
    return error;
}

void redis_target_free(struct redis_target *target) {
    free(target->text);
    *target = (struct redis_target){0};
}
