/*
 * Middleware with options from outside: CONFIG in the environment names a file of JSON,
 *
 *     {"now": 1700000000, "layers": [{"cors": {"origin": "https://a.example"}}, …]}
 *
 * whose layers are mounted at /0, /1 and so on, before a page that shows what came of them. Options
 * have their names in C. /clock?ms=500 moves the clock of rate_limit.
 */
#include <acacia.h>

#include "middleware/cors.h"
#include "middleware/jwt.h"
#include "middleware/rate_limit.h"
#include "middleware/security_headers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 32

static json_t *config;
static uint64_t clock_ns;

static const char *text(const json_t *options, const char *name) {
    return json_string_value(json_object_get(options, name));
}

static bool flag(const json_t *options, const char *name) {
    return json_is_true(json_object_get(options, name));
}

static int64_t number(const json_t *options, const char *name) {
    return json_integer_value(json_object_get(options, name));
}

/* Into `list`, NULL at the end; NULL if there is none. */
static const char *const *texts(const json_t *options, const char *name, const char **list) {
    const json_t *array = json_object_get(options, name);
    for (size_t i = 0; i < LIST_MAX; i++)
        list[i] = i < LIST_MAX - 1 ? json_string_value(json_array_get(array, i)) : NULL;
    return json_is_array(array) ? list : NULL;
}

/* --- cors: callbacks say what the query says -------------------------------------------------- */

static int origin_of_query(ctx_t *ctx, const char **origin) {
    *origin = ctx_query(ctx, "origin");
    return await_sleep(0);
}

static int credentials_of_query(ctx_t *ctx) {
    return ctx_query(ctx, "credentials") != NULL;
}

static middleware_t make_cors(const json_t *options) {
    const char *origins[LIST_MAX];
    return cors(&(cors_options_t){
        .origin = text(options, "origin"),
        .origins = texts(options, "origins", origins),
        .find_origin = flag(options, "find_origin") ? origin_of_query : NULL,
        .methods = text(options, "methods"),
        .allow_headers = text(options, "allow_headers"),
        .expose_headers = text(options, "expose_headers"),
        .max_age = number(options, "max_age"),
        .credentials = flag(options, "credentials"),
        .allow_credentials = flag(options, "allow_credentials") ? credentials_of_query : NULL,
        .no_headers_on_error = flag(options, "no_headers_on_error"),
        .secure_context = flag(options, "secure_context"),
        .private_network_access = flag(options, "private_network_access"),
    });
}

/* --- security_headers: directives are pairs --------------------------------------------------- */

static middleware_t make_security_headers(const json_t *options) {
    const json_t *pairs = json_object_get(options, "csp");
    csp_directive_t csp[LIST_MAX] = {{NULL, NULL}};
    for (size_t i = 0; i < json_array_size(pairs) && i < LIST_MAX - 1; i++) {
        const json_t *pair = json_array_get(pairs, i);
        csp[i].name = json_string_value(json_array_get(pair, 0));
        csp[i].value = json_string_value(json_array_get(pair, 1));
    }
    return security_headers(&(security_headers_options_t){
        .csp = csp,
        .no_csp = flag(options, "no_csp"),
        .csp_report_only = flag(options, "csp_report_only"),
        .csp_no_defaults = flag(options, "csp_no_defaults"),
        .csp_no_default_src = flag(options, "csp_no_default_src"),
        .cross_origin_embedder_policy = text(options, "cross_origin_embedder_policy"),
        .cross_origin_opener_policy = text(options, "cross_origin_opener_policy"),
        .cross_origin_resource_policy = text(options, "cross_origin_resource_policy"),
        .origin_agent_cluster = text(options, "origin_agent_cluster"),
        .referrer_policy = text(options, "referrer_policy"),
        .strict_transport_security = text(options, "strict_transport_security"),
        .x_content_type_options = text(options, "x_content_type_options"),
        .x_dns_prefetch_control = text(options, "x_dns_prefetch_control"),
        .x_download_options = text(options, "x_download_options"),
        .x_frame_options = text(options, "x_frame_options"),
        .x_permitted_cross_domain_policies = text(options, "x_permitted_cross_domain_policies"),
        .x_xss_protection = text(options, "x_xss_protection"),
        .keep_x_powered_by = flag(options, "keep_x_powered_by"),
    });
}

/* --- jwt -------------------------------------------------------------------------------------- */

static jwt_key_t *asked_keys[LIST_MAX]; /* of all layers that ask, by "kid" */

static jwt_key_options_t key_options(const json_t *key) {
    return (jwt_key_options_t){
        .algorithm = text(key, "algorithm"),
        .secret = text(key, "secret"),
        .short_secret = true,
        .pem = text(key, "pem"),
        .id = text(key, "id"),
    };
}

static int key_by_id(ctx_t *ctx, const json_t *header, const json_t *claims,
                     const jwt_key_t **key) {
    const json_t *id = json_object_get(header, "kid");
    *key = json_is_integer(id) ? asked_keys[json_integer_value(id) % LIST_MAX] : NULL;
    return await_sleep(0);
}

static int64_t fixed_now(void) {
    return number(config, "now");
}

static int is_in_query(ctx_t *ctx, const json_t *claims, const char *token) {
    return ctx_query(ctx, "revoked") != NULL;
}

static const char *token_of_header(ctx_t *ctx) {
    return ctx_get(ctx, "X-Token");
}

static middleware_t make_jwt(const json_t *options) {
    const json_t *list = json_object_get(options, "keys");
    const char *audiences[LIST_MAX], *issuers[LIST_MAX];
    jwt_key_options_t keys[LIST_MAX] = {{.algorithm = NULL}};
    for (size_t i = 0; i < json_array_size(list) && i < LIST_MAX - 1; i++)
        keys[i] = key_options(json_array_get(list, i));
    return jwt(&(jwt_options_t){
        .keys = keys,
        .find_key = flag(options, "find_key") ? key_by_id : NULL,
        .find_token = flag(options, "find_token") ? token_of_header : NULL,
        .cookie = text(options, "cookie"),
        .query = text(options, "query"),
        .is_revoked = is_in_query,
        .passthrough = flag(options, "passthrough"),
        .debug = flag(options, "debug"),
        .checks = {.now = fixed_now,
                   .audiences = texts(options, "audiences", audiences),
                   .issuers = texts(options, "issuers", issuers),
                   .subject = text(options, "subject"),
                   .id = text(options, "id"),
                   .nonce = text(options, "nonce"),
                   .max_age = number(options, "max_age"),
                   .clock_tolerance = number(options, "clock_tolerance"),
                   .ignore_expiration = flag(options, "ignore_expiration"),
                   .ignore_not_before = flag(options, "ignore_not_before")},
    });
}

/* POST /sign, {"key": {…}, "claims": {…}, "expires_in": 60}: the token, to be verified elsewhere.
 */
static int sign(ctx_t *ctx) {
    json_t *body;
    char *token;
    int err = ctx_read_json(ctx, &body);
    if (err)
        return err;
    const jwt_key_options_t options = key_options(json_object_get(body, "key"));
    const char *reason;
    jwt_key_t *key = jwt_key_new(&options, &reason);
    if (!key)
        err = ctx_throw(ctx, 400, "%s", reason);
    if (!err)
        err = jwt_sign(key, json_incref(json_object_get(body, "claims")),
                       &(jwt_sign_options_t){.now = fixed_now,
                                             .expires_in = number(body, "expires_in"),
                                             .not_before = number(body, "not_before"),
                                             .no_timestamp = flag(body, "no_timestamp")},
                       &token);
    jwt_key_free(key);
    json_decref(body);
    if (err)
        return err;
    err = ctx_text(ctx, token);
    free(token);
    return err;
}

/* --- rate_limit ------------------------------------------------------------------------------- */

static uint64_t fake_clock(void) {
    return clock_ns;
}

static int move_clock(ctx_t *ctx) {
    clock_ns += strtoull(ctx_query(ctx, "ms"), NULL, 10) * 1000000;
    return ctx_empty(ctx);
}

static const char *key_of_query(ctx_t *ctx) {
    return ctx_query(ctx, "key");
}

static bool is_white(ctx_t *ctx) {
    return ctx_query(ctx, "white");
}

static bool is_black(ctx_t *ctx) {
    return ctx_query(ctx, "black");
}

static middleware_t make_rate_limit(const json_t *options) {
    return rate_limit(&(rate_limit_options_t){
        .max = (uint64_t)number(options, "max"),
        .duration = (uint64_t)number(options, "duration"),
        .find_key = key_of_query,
        .whitelist = is_white,
        .blacklist = is_black,
        .no_headers = flag(options, "no_headers"),
        .limit_header = text(options, "limit_header"),
        .remaining_header = text(options, "remaining_header"),
        .reset_header = text(options, "reset_header"),
        .status = (int)number(options, "status"),
        .message = text(options, "message"),
        .throws = flag(options, "throws"),
        .keys = 1000,
        .clock = fake_clock,
    });
}

/* --- The pages -------------------------------------------------------------------------------- */

static int set_powered_by(ctx_t *ctx) {
    ctx_set(ctx, "X-Powered-By", "C");
    return next(ctx);
}

static int show(ctx_t *ctx) {
    const char *error = jwt_error(ctx), *token = jwt_token(ctx);
    json_t *claims = (json_t *)jwt_claims(ctx);
    if (ctx_query(ctx, "vary"))
        ctx_vary(ctx, "Accept");
    if (ctx_query(ctx, "throw")) {
        ctx_throw_header(ctx, "X-Thrown", "1");
        return ctx_throw(ctx, 403, "no");
    }
    if (ctx_query(ctx, "fail"))
        return UV_EIO;
    if (!claims && !error)
        return ctx_text(ctx, "page");
    return ctx_json(
        ctx, json_pack("{s:O?, s:s?, s:s?}", "claims", claims, "token", token, "error", error));
}

static int greet(ctx_t *ctx) {
    char *claims = json_dumps(jwt_claims(ctx), JSON_COMPACT);
    int err = ws_sendf(ctx->websocket, "%s", claims ? claims : "nobody");
    free(claims);
    return err;
}

static middleware_t make_layer(const json_t *layer) {
    const json_t *options;
    if ((options = json_object_get(layer, "cors")))
        return make_cors(options);
    if ((options = json_object_get(layer, "security_headers")))
        return make_security_headers(options);
    if ((options = json_object_get(layer, "jwt")))
        return make_jwt(options);
    return make_rate_limit(json_object_get(layer, "rate_limit"));
}

static void add_layers(app_t *app) {
    const json_t *layers = json_object_get(config, "layers");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *layer = json_array_get(layers, i);
        char prefix[16];
        snprintf(prefix, sizeof prefix, "/%d", (int)i);
        app_use(app, mount_at(prefix, compose(middleware(set_powered_by), make_layer(layer),
                                              middleware(show))));
        if (flag(layer, "ws"))
            app_ws_use(app, mount_at(prefix, compose(make_layer(layer), middleware(greet))));
    }
}

static void add_asked_keys(void) {
    const json_t *keys = json_object_get(config, "keys");
    for (size_t i = 0; i < json_array_size(keys) && i < LIST_MAX; i++) {
        const jwt_key_options_t options = key_options(json_array_get(keys, i));
        asked_keys[i] = jwt_key_new(&options, NULL);
    }
}

int main(void) {
    json_error_t error;
    config = json_load_file(getenv("CONFIG"), 0, &error);
    if (!config) {
        fprintf(stderr, "CONFIG: %s\n", error.text);
        return 2;
    }
    app_t *app = app_new_with(
        &(app_options_t){.http.keep_alive_timeout = 60000, .silent = true, .drain_timeout = 500});
    add_asked_keys();
    app_use(app, route_post("/sign", sign));
    app_use(app, route_get("/clock", move_clock));
    add_layers(app);
    int err = app_listen(app, 0);
    for (size_t i = 0; i < LIST_MAX; i++)
        jwt_key_free(asked_keys[i]);
    json_decref(config);
    return err ? 1 : 0;
}
