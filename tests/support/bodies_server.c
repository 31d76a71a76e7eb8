/* Bodies, parsed and shown again as JSON. */
#include <acacia.h>
#include <middleware/body_parser.h>

/* --- body_parser ------------------------------------------------------------------------------ */

/* {"body": …}, as Koa's ctx.request.body. */
static int show_body(ctx_t *ctx) {
    json_t *body = body_parsed(ctx);
    const char *text = body_text(ctx);
    return ctx_json(ctx, json_pack("{s:o}", "body",
                                   body   ? json_incref(body)
                                   : text ? json_string(text)
                                          : json_object()));
}

int main(void) {
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};
    const body_parser_options_t usual = {.methods = methods};
    const body_parser_options_t all = {
        .methods = methods, .text = true, .xml = true, .not_strict = true};
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    app_use(app, route_all("/usual", compose(body_parser(&usual), middleware(show_body))));
    app_use(app, route_all("/all", compose(body_parser(&all), middleware(show_body))));
    return app_listen(app, 3000);
}
