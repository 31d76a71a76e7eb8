/*
 * Logging in: passwords behind scrypt, a session that pages and sockets share, a token on each
 * form, and a limit for those who guess. Try ada, "analytical engine", or grace, "compiler".
 */
#include <acacia.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include <middleware/body_parser.h>
#include <middleware/csrf.h>
#include <middleware/rate_limit.h>
#include <middleware/session_memory.h>

#ifndef PAGE_DIR
#define PAGE_DIR "."
#endif

#define LOGGED_OUT 4001 /* the close code that the page knows */

/* --- Passwords -------------------------------------------------------------------------------- */

/* A real program has a random salt for each of them, and all of it in a database. */
struct user {
    const char *name, *salt;
    unsigned char hash[32];
};

static const struct user users[] = {
    {"ada", "salt of ada", {0xd7, 0x5a, 0xd5, 0xc7, 0x34, 0xd2, 0xc3, 0xb4, 0xcf, 0x88, 0x29,
                            0x91, 0x72, 0x07, 0x45, 0xca, 0x6f, 0xbb, 0x67, 0xd2, 0xfe, 0x7d,
                            0xfc, 0xbf, 0x20, 0x19, 0x5a, 0x33, 0x47, 0xa3, 0x24, 0xb0}},
    {"grace", "salt of grace", {0xce, 0x2d, 0x8d, 0xbc, 0x9c, 0x27, 0x87, 0x9f, 0xe9, 0x8c, 0xa7,
                                0x2e, 0xd4, 0x22, 0xe3, 0x19, 0xc2, 0xae, 0x0f, 0xc3, 0x2e, 0xe5,
                                0x90, 0x4c, 0x82, 0x82, 0x7b, 0x5a, 0xd3, 0x42, 0xcd, 0xf4}},
};

/* Whose password nobody knows: a name that there isn't must take as long as one that there is. */
static const struct user nobody = {"", "salt of nobody", {0}};

static const struct user *find_user(const char *name) {
    for (size_t i = 0; i < sizeof users / sizeof *users; i++)
        if (strcmp(users[i].name, name) == 0)
            return &users[i];
    return &nobody;
}

struct attempt {
    const struct user *user;
    const char *password;
    bool is_right;
};

/* On a thread: it takes 16 MiB, and a tenth of a second, of whoever wants to try many passwords. */
static void check_password(void *arg) {
    struct attempt *attempt = arg;
    const struct user *user = attempt->user;
    unsigned char hash[sizeof user->hash];
    int done = EVP_PBE_scrypt(attempt->password, strlen(attempt->password),
                              (const unsigned char *)user->salt, strlen(user->salt), 16384, 8, 5,
                              32 * 1024 * 1024, hash, sizeof hash);
    attempt->is_right =
        done == 1 && user != &nobody && CRYPTO_memcmp(hash, user->hash, sizeof hash) == 0;
}

/* --- Logging in and out ----------------------------------------------------------------------- */

/* 303, so that the browser asks for the page by GET. */
static int back_to_the_page(ctx_t *ctx) {
    ctx->status = 303;
    return ctx_redirect(ctx, "/");
}

/* What somebody else may have known of the session is good for nothing from now on. */
static int begin_session(ctx_t *ctx, const char *name) {
    int err = session_set(ctx, "user", name);
    err = err ? err : csrf_rotate(ctx);
    return err ? err : session_regenerate(ctx);
}

static int log_in(ctx_t *ctx) {
    const char *name = body_field(ctx, "name"), *password = body_field(ctx, "password");
    if (!name || !password || strlen(password) > 200)
        return ctx_throw(ctx, 400, "a name and a password, please");
    struct attempt attempt = {find_user(name), password, false};
    int err = await_work(check_password, &attempt);
    if (!err && attempt.is_right)
        err = begin_session(ctx, attempt.user->name);
    else if (!err)
        err = session_set(ctx, "message", "That is not the name, or not the password.");
    return err ? err : back_to_the_page(ctx);
}

static void close_socket(websocket_t *ws, void *arg) {
    ws_close(ws, LOGGED_OUT, "logged out");
}

/* The sockets of a session are in a room that has its key for a name. */
static int log_out(ctx_t *ctx) {
    const char *key = session_key(ctx);
    if (key)
        ws_room_each(ctx->app, key, close_socket, NULL);
    int err = session_destroy(ctx);
    return err ? err : back_to_the_page(ctx);
}

/* --- The page --------------------------------------------------------------------------------- */

static int page(ctx_t *ctx) {
    return ctx_file(ctx, PAGE_DIR "/auth.html");
}

/* Who one is, the token for the form, and what there is to say once. */
static int show_session(ctx_t *ctx) {
    const char *user = session_get(ctx, "user"), *message = session_get(ctx, "message");
    const char *token = csrf_token(ctx);
    if (!token)
        return UV_ENOMEM;
    int err = message ? session_set(ctx, "message", NULL) : 0;
    err = err ? err : ctx_set(ctx, "Cache-Control", "no-store");
    return err ? err
               : ctx_json(ctx, json_pack("{s:s?, s:s?, s:s}", "user", user, "message", message,
                                         "token", token));
}

/* --- Sockets ---------------------------------------------------------------------------------- */

/* To all who are logged in. Asks again who it is, since a session may end by itself, too. */
static int on_message(ctx_t *ctx, const ws_message_t *message) {
    int err = session_reload(ctx);
    const char *user = err ? NULL : session_get(ctx, "user");
    if (err == UV_ENOENT || (!err && !user))
        return ws_close(ctx->websocket, LOGGED_OUT, "logged out");
    if (err)
        return err;
    const char *text = ctx_printf(ctx, "%s: %.200s", user, message->data);
    if (!text)
        return UV_ENOMEM;
    ws_broadcast(ctx->app, (ws_message_t){.data = text, .length = strlen(text)}, NULL);
    return 0;
}

static int talk(ctx_t *ctx) {
    const char *user = session_get(ctx, "user");
    if (!user)
        return ctx_throw(ctx, 401, "log in first"); /* before the 101, in plain HTTP */
    int err = ws_join(ctx->websocket, session_key(ctx));
    err = err ? err : ws_on_message(ctx->websocket, on_message);
    return err ? err : ws_sendf(ctx->websocket, "hello, %s", user);
}

/* --- All together ----------------------------------------------------------------------------- */

/* Sessions end with the program, so that cookies need not be good for longer: a key of its own. */
static app_t *new_app(void) {
    unsigned char random[32];
    char key[2 * sizeof random + 1];
    if (RAND_bytes(random, sizeof random) != 1)
        return NULL;
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(key + 2 * i, 3, "%02x", random[i]);
    return app_new_with(&(app_options_t){.keys = (const char *const[]){key, NULL}});
}

int main(void) {
    app_t *app = new_app();
    session_memory_t *memory = session_memory_new(NULL);
    const session_options_t options = {
        .key = "session",
        .max_age = 30 * 60 * 1000,
        .renew = true,
        .cookie.same_site =
            "lax", /* and, by default, for no scripts, and secure if this is https */
        .store = session_memory_store(memory),
    };
    app_set_value(app, "sessions", memory, session_memory_free);
    app_use(app, session(&options));
    app_use(app, body_parser(&(body_parser_options_t){.form_limit = 4096}));
    app_use(app, csrf(&(csrf_options_t){.check_origin = true, .no_query = true}));
    app_use(app, route_get("/", page));
    app_use(app, route_get("/session", show_session));
    app_use(app,
            route_post("/login",
                       compose(rate_limit(&(rate_limit_options_t){.max = 5, .duration = 60000}),
                               middleware(log_in))));
    app_use(app, route_post("/logout", log_out));
    app_ws_use(app, session(&options));
    app_ws_use(app, route_get("/live", talk));
    return app_listen(app, 3000);
}
