#include "etag.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST 20
#define DIGEST_TEXT 27           /* in base64, without its '=' */
#define ON_A_THREAD (128 * 1024) /* from here on hashing takes longer than the way there */

struct hashing {
    bytes_t data;
    unsigned char digest[DIGEST];
    bool done;
};

static void run_hash(void *arg) {
    struct hashing *hashing = arg;
    hashing->done = EVP_Digest(hashing->data.data, hashing->data.length, hashing->digest, NULL,
                               EVP_sha1(), NULL) == 1;
}

static int hash(struct hashing *hashing) {
    int err = 0;
    if (hashing->data.length < ON_A_THREAD)
        run_hash(hashing);
    else
        err = await_work(run_hash, hashing);
    return err ? err : hashing->done ? 0 : UV_ENOTSUP;
}

static int tag_bytes(ctx_t *ctx, const char *weakness) {
    struct hashing hashing = {.data = ctx_body_bytes(ctx)};
    unsigned char text[4 * DIGEST];
    int err = hash(&hashing);
    if (err)
        return err;
    EVP_EncodeBlock(text, hashing.digest, DIGEST);
    return ctx_setf(ctx, "ETag", "%s\"%zx-%.*s\"", weakness, hashing.data.length, DIGEST_TEXT,
                    (char *)text);
}

static int tag_file(ctx_t *ctx, const char *weakness, const uv_stat_t *stat) {
    int64_t changed = (int64_t)stat->st_mtim.tv_sec * 1000;
    changed += (stat->st_mtim.tv_nsec + 500000) / 1000000; /* node rounds it */
    return ctx_setf(ctx, "ETag", "%s\"%llx-%llx\"", weakness, (unsigned long long)stat->st_size,
                    (unsigned long long)changed);
}

/* 204 and 205 have no body, whatever was set. */
static bool wants_tag(const ctx_t *ctx) {
    int status = ctx->status;
    return status >= 200 && status <= 299 && status != 204 && status != 205 &&
           !ctx_has(ctx, "ETag") && !ctx_header_sent(ctx);
}

static int run(ctx_t *ctx, void *state) {
    const etag_options_t *options = state;
    uv_stat_t stat;
    int err = next(ctx);
    if (err || !wants_tag(ctx))
        return err;
    if (ctx_body_bytes(ctx).length > 0)
        return tag_bytes(ctx, options->weak ? "W/" : "");
    if (ctx_body_file(ctx, &stat))
        return tag_file(ctx, options->strong ? "" : "W/", &stat);
    return 0;
}

middleware_t etag(const etag_options_t *options) {
    etag_options_t *copy = malloc(sizeof *copy);
    if (!copy)
        return (middleware_t){run, NULL, NULL, "etag", "out of memory"};
    *copy = options ? *options : (etag_options_t){0};
    const char *error = copy->weak && copy->strong ? "weak and strong exclude each other" : NULL;
    return (middleware_t){run, copy, free, "etag", error};
}
