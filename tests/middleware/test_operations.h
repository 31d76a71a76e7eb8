/* What the tests of logger, metrics, error pages and so on share. */
#include "../unit/test_routing.h"

#define HEADERS(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline app_response_t *send_to(app_t *app, const app_request_t *request) {
    app_response_t *response = app_inject(app, request);
    assert_non_null(response);
    return response;
}

/* `value` NULL: it has none. */
static inline void expect_header(const app_response_t *response, const char *name,
                                 const char *value) {
    const char *found = app_response_get(response, name);
    if (!found != !value || (value && strcmp(found, value) != 0))
        fail_msg("%s: %s, not %s", name, found ? found : "-", value ? value : "-");
}

static inline void expect(const app_response_t *response, int status, const char *body) {
    if (response->status != status || (body && strcmp(response->body.data, body) != 0))
        fail_msg("%d \"%s\", not %d \"%s\"", response->status, response->body.data, status,
                 body ? body : "...");
}

static inline app_t *app_with(middleware_t layer, middleware_fn *handler) {
    app_t *app = quiet_app();
    app_use(app, layer);
    if (handler)
        app_use_fn(app, handler, "handler");
    return app;
}

/* An app with this layer can't start, and says why. */
static inline void refuse(middleware_t layer, const char *expected) {
    app_t *app = app_new();
    app_use_middleware(app, layer, "layer");
    check_error(app, expected);
}
