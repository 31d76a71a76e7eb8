/* Tutorial 003: a client. The server's address comes from the command line, or is the tutorial's.
 */
#include <acacia.h>
#include <stdio.h>

static int on_message(ctx_t *ctx, const ws_message_t *message) {
    printf("Received message => %.*s\n", (int)message->length, message->data);
    return 0;
}

static void on_close(ctx_t *ctx, int code, const char *reason) {
    puts("Disconnected from server");
    app_close(ctx->app);
}

static int talk(ctx_t *ctx) {
    puts("Connected to server");
    ws_on_message(ctx->websocket, on_message);
    ws_on_close(ctx->websocket, on_close);
    return ws_send_text(ctx->websocket, "Hello, server!");
}

static void on_failure(app_t *app, const ws_failure_t *failure, void *state) {
    bool *failed = state;
    *failed = failure->error;
    if (*failed)
        fprintf(stderr, "%s\n", failure->reason);
    app_close(app);
}

int main(int argc, char **argv) {
    const char *url = argc > 1 ? argv[1] : "ws://localhost:8080";
    bool failed = false;
    app_t *app = app_new();
    setvbuf(stdout, NULL, _IOLBF, 0);
    int err = ws_client(app, url, talk,
                        &(ws_client_options_t){.on_failure = on_failure, .state = &failed});
    if (err)
        fprintf(stderr, "%s: %s\n", url, uv_strerror(err));
    else
        err = app_run(app);
    app_free(app);
    return err || failed;
}
