#include "application/ws_tls.h"

#include <stdlib.h>
#include <string.h>

#define KEPT 16 /* programs have one or two */

struct tls_client {
    struct tls_client *next;
    struct arena arena; /* of the options */
    const tls_client_options_t *options;
    struct tls_material *material;
};

/* --- Options ---------------------------------------------------------------------------------- */

/* All strings among them that say what the material is made of. */
#define STRINGS 6

static void list_strings(const tls_client_options_t *options, const char *strings[STRINGS]) {
    const char *const all[STRINGS] = {options->ca_file,    options->cert_file,
                                      options->key_file,   options->pkcs12_file,
                                      options->passphrase, options->key_log_file};
    memcpy(strings, all, sizeof all);
}

static bool is_same(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool are_same(const tls_client_options_t *a, const tls_client_options_t *b) {
    const char *left[STRINGS], *right[STRINGS];
    list_strings(a, left);
    list_strings(b, right);
    bool same = a->insecure == b->insecure && a->min_version == b->min_version;
    for (size_t i = 0; i < STRINGS && same; i++)
        same = is_same(left[i], right[i]);
    return same;
}

const tls_client_options_t *ws_tls_copy(struct arena *arena, const tls_client_options_t *options) {
    tls_client_options_t *copy = arena_alloc(arena, sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *options;
    const char **const strings[] = {&copy->ca_file,     &copy->cert_file,  &copy->key_file,
                                    &copy->pkcs12_file, &copy->passphrase, &copy->key_log_file,
                                    &copy->server_name};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        const char *text = *strings[i];
        if (text && !(*strings[i] = arena_copy(arena, text, strlen(text))))
            return NULL;
    }
    return copy;
}

/* --- What is kept ----------------------------------------------------------------------------- */

static void client_free(struct tls_client *client) {
    tls_material_release(client->material);
    arena_release(&client->arena);
    free(client);
}

void app_forget_tls_clients(struct app *app) {
    while (app->tls_clients) {
        struct tls_client *client = app->tls_clients;
        app->tls_clients = client->next;
        client_free(client);
    }
}

/* The one that was used longest ago goes. */
static void make_room(struct app *app) {
    struct tls_client **link = &app->tls_clients;
    for (size_t i = 1; *link && i < KEPT; i++)
        link = &(*link)->next;
    struct tls_client *last = *link;
    *link = NULL;
    if (last)
        client_free(last);
}

static struct tls_client *client_new(const tls_client_options_t *options,
                                     const struct tls_why *why) {
    struct tls_client *client = calloc(1, sizeof *client);
    if (!client) {
        tls_say(why, NULL, "out of memory");
        return NULL;
    }
    arena_init(&client->arena, NULL);
    client->options = ws_tls_copy(&client->arena, options);
    if (!client->options)
        tls_say(why, NULL, "out of memory");
    else if ((client->material = tls_client_material(options, why)))
        return client;
    client_free(client);
    return NULL;
}

static struct tls_client *take(struct app *app, const tls_client_options_t *options) {
    struct tls_client **link = &app->tls_clients;
    while (*link && !are_same((*link)->options, options))
        link = &(*link)->next;
    struct tls_client *found = *link;
    if (found)
        *link = found->next;
    return found;
}

struct tls_material *ws_tls_material(struct app *app, const tls_client_options_t *options,
                                     bool abroad, const struct tls_why *why) {
    tls_client_options_t used = options ? *options : (tls_client_options_t){0};
    if (abroad)
        used.cert_file = used.key_file = used.pkcs12_file = used.passphrase = NULL;
    struct tls_client *client = take(app, &used);
    if (!client && !(client = client_new(&used, why)))
        return NULL;
    make_room(app);
    client->next = app->tls_clients;
    app->tls_clients = client;
    return tls_material_hold(client->material);
}
