#!/bin/sh
# A user's program: outside of the repository, against what `meson install` has put down.
set -eu
scratch=$(mktemp -d)
trap 'kill $server 2>/dev/null || :; rm -rf "$scratch"' EXIT
server=

# A build of its own: that of the tests has sanitizers in it.
CC=cc meson setup "$scratch/build" --buildtype=release --prefix="$scratch/prefix" --libdir=lib \
    -Dexamples=false -Dtests=false >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
meson install -C "$scratch/build" >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }

cat >"$scratch/app.c" <<'END'
#include <acacia.h>
#include <stdio.h>

static int response_time(ctx_t *ctx) {
    uint64_t start = uv_hrtime();
    int err = next(ctx);
    ctx_setf(ctx, "X-Response-Time", "%.3fms", (uv_hrtime() - start) / 1e6);
    return err;
}

static int show_user(ctx_t *ctx) {
    return ctx_textf(ctx, "user %s", ctx_param(ctx, "id"));
}

static int echo(ctx_t *ctx) {
    ws_message_t message;
    while (ws_recv(ctx->websocket, &message))
        ws_send(ctx->websocket, message);
    return 0;
}

int main(void) {
    app_t *app = app_new();
    app_use(app, response_time);
    app_use(app, route_get("/users/:id", show_user));
    app_ws_use(app, route_all("/echo", echo));
    return app_listen(app, 3000);
}
END

export PKG_CONFIG_PATH="$scratch/prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
cc -Wall -Werror "$scratch/app.c" -o "$scratch/app" $(pkg-config --cflags --libs acacia)
LD_LIBRARY_PATH="$scratch/prefix/lib" PORT=0 "$scratch/app" >"$scratch/out" &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    grep -q listening "$scratch/out" && break
    sleep 0.1
done
url=$(sed -n 's/^listening on //p' "$scratch/out")
answer=$(curl -s --noproxy '*' -D "$scratch/head" "$url/users/7")
test "$answer" = "user 7"
grep -qi '^x-response-time: [0-9.]*ms' "$scratch/head"
kill -TERM $server
wait $server
server=

# A forgotten await: next()'s result is not to be dropped, and app_use takes nothing but middleware.
cat >"$scratch/wrong.c" <<'END'
#include <acacia.h>
int forgotten(ctx_t *ctx) { next(ctx); return 0; }
END
! cc -Werror -c "$scratch/wrong.c" -o /dev/null $(pkg-config --cflags acacia) 2>/dev/null
cat >"$scratch/wrong.c" <<'END'
#include <acacia.h>
static void no_middleware(ctx_t *ctx) { (void)ctx; }
void use(app_t *app) { app_use(app, no_middleware); }
END
! cc -c "$scratch/wrong.c" -o /dev/null $(pkg-config --cflags acacia) 2>/dev/null
