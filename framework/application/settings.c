/* The options of an app: copied, with the defaults filled in. */
#include "application/application.h"
#include "context/forwarded.h"
#include "context/keygrip.h"
#include "context/socket.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define SECOND ((uint64_t)1000)

#define DEFAULT(field, value)                                                                      \
    do                                                                                             \
        if (!(field))                                                                              \
            (field) = (value);                                                                     \
    while (0)

/*
 * As many as there are descriptors, but for 64 (of few: half of them) that handlers need for files
 * and databases. It is better to tell one more that there is no room than to fail those that are
 * being served; and what is refused here is counted, which what libuv closes is not.
 */
static size_t connections_by_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= SIZE_MAX)
        return SIZE_MAX;
    size_t all = (size_t)limit.rlim_cur;
    return all < 128 ? all - all / 2 : all - 64;
}

static void fill_in_limits(app_options_t *options) {
    DEFAULT(options->http.head_size, 16 * KIB);
    DEFAULT(options->http.header_count, 100);
    DEFAULT(options->http.body_size, MIB);
    DEFAULT(options->http.drain_size, MIB);
    DEFAULT(options->http.read_ahead, 64 * KIB);
    DEFAULT(options->http.head_timeout, 10 * SECOND);
    DEFAULT(options->http.request_timeout, 300 * SECOND);
    DEFAULT(options->http.keep_alive_timeout, 5 * SECOND);
    DEFAULT(options->http.write_timeout, 60 * SECOND);
    DEFAULT(options->http.high_water, 64 * KIB);
    DEFAULT(options->ws.message_size, MIB);
    DEFAULT(options->ws.fragment_count, 16384);
    DEFAULT(options->ws.buffered_size, 16 * MIB);
    DEFAULT(options->ws.close_timeout, 30 * SECOND);
    DEFAULT(options->ws.heartbeat, 30 * SECOND);
    DEFAULT(options->ws.sockets, SIZE_MAX);
    DEFAULT(options->ws.sockets_per_ip, SIZE_MAX);
    DEFAULT(options->connections, connections_by_descriptors());
    DEFAULT(options->coroutines, 10000);
    DEFAULT(options->memory, SIZE_MAX);
    DEFAULT(options->stack_size, 256 * KIB);
    DEFAULT(options->drain_timeout, 3 * SECOND);
}

/* APP_NEVER, and what comes close to it, without the danger of a sum that overflows. */
static void clamp(uint64_t *time) {
    const uint64_t century = SECOND * 3600 * 24 * 366 * 100;
    if (*time > century)
        *time = century;
}

static void clamp_times(app_options_t *options) {
    clamp(&options->http.head_timeout);
    clamp(&options->http.request_timeout);
    clamp(&options->http.keep_alive_timeout);
    clamp(&options->http.write_timeout);
    clamp(&options->ws.close_timeout);
    clamp(&options->ws.heartbeat);
    clamp(&options->ws.idle_timeout);
    clamp(&options->drain_timeout);
    clamp(&options->drain_delay);
}

static void clamp_limits(app_options_t *options) {
    if (options->http.header_count > HEADERS_MAX)
        options->http.header_count = HEADERS_MAX;
}

static const char *copy(struct app *app, const char *string) {
    const char *copied = arena_copy(&app->arena, string, strlen(string));
    if (!copied)
        app->out_of_memory = true;
    return copied;
}

/* A list of strings that ends with NULL; NULL is none. */
static const char *const *copy_list(struct app *app, const char *const *list) {
    size_t count = 0;
    while (list && list[count])
        count++;
    const char **copied = arena_zalloc(&app->arena, (count + 1) * sizeof *copied);
    for (size_t i = 0; copied && i < count; i++)
        copied[i] = copy(app, list[i]);
    if (!copied)
        app->out_of_memory = true;
    return list ? copied : NULL;
}

static const char *environment(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static void read_proxies(struct app *app) {
    const char *const *list = app->options.trusted_proxies;
    char *error;
    app->options.trusted_proxies = NULL; /* the copy is in another form */
    if (!list)
        return;
    app->host.trusted = proxies_new(list, &error);
    if (app->host.trusted)
        return;
    app_fail_setup(app, "trusted_proxies: %s", error ? error : "out of memory");
    free(error);
}

static void read_deflate(struct app *app) {
    struct deflate_options memory;
    const ws_deflate_t *given = app->options.ws.deflate;
    if (!given)
        return;
    ws_deflate_t *copied = arena_alloc(&app->arena, sizeof *copied);
    const char *error = deflate_options_check(socket_deflate_options(given, &memory));
    if (error)
        app_fail_setup(app, "ws.deflate: %s", error);
    else if (!deflate_is_available())
        app_fail_setup(app, "ws.deflate: Acacia was built without zlib");
    if (!copied)
        app->out_of_memory = true;
    else
        *copied = *given;
    app->options.ws.deflate = copied;
}

void app_read_settings(struct app *app, const app_options_t *given) {
    app_options_t *options = &app->options;
    if (given)
        *options = *given;
    fill_in_limits(options);
    clamp_times(options);
    clamp_limits(options);
    DEFAULT(options->env, environment("ACACIA_ENV"));
    DEFAULT(options->env, "development");
    DEFAULT(options->proxy_ip_header, "X-Forwarded-For");
    DEFAULT(options->subdomain_offset, 2);
    if (options->subdomain_offset < 0)
        options->subdomain_offset = 0;
    options->env = copy(app, options->env);
    options->proxy_ip_header = copy(app, options->proxy_ip_header);
    if (options->proxy_ip_header && !is_token(options->proxy_ip_header))
        app_fail_setup(app, "proxy_ip_header is no header: %s", options->proxy_ip_header);
    options->ws.protocols = copy_list(app, options->ws.protocols);
    read_deflate(app);
    options->ws.origins = copy_list(app, options->ws.origins);
    read_proxies(app);
    int err = options->keys ? app_set_keys(app, options->keys) : 0;
    if (err)
        app_fail_setup(app, "keys: %s", err == UV_EINVAL ? "an empty one" : "out of memory");
    options->keys = NULL; /* the copy is in another form */
}

int app_set_keys(app_t *app, const char *const *keys) {
    struct keygrip *keygrip = NULL;
    int err = !app ? UV_ENOMEM : keys ? keygrip_new(&keygrip, keys) : 0;
    if (err)
        return err;
    keygrip_free(app->host.keys);
    app->host.keys = keygrip;
    return 0;
}

const char *app_env(const app_t *app) {
    return app ? app->options.env : "development";
}

int app_set_value(app_t *app, const char *name, void *value, void (*destroy)(void *value)) {
    if (app)
        return value_set(&app->host.values, &app->arena, name, value, destroy);
    if (value && destroy)
        destroy(value);
    return UV_ENOMEM;
}

void *app_value(const app_t *app, const char *name) {
    return app ? value_get(app->host.values, name) : NULL;
}

void app_on_error(app_t *app, error_listener_t *listener) {
    if (app)
        app->on_error = listener;
}

struct uv_loop_s *app_loop(app_t *app) {
    return app ? app->uv : NULL;
}
