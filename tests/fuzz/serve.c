/*
 * Files that are served: whatever a client sends, it gets what lies below the root, or nothing. The
 * lines of the input are the path, Range, If-Range, If-None-Match, If-Match and Accept-Encoding.
 */
#include <acacia.h>
#include <middleware/serve.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIELDS 5

static app_t *apps[2];
static char directory[] = "/tmp/acacia-fuzz-XXXXXX";

static void check(bool holds) {
    if (!holds)
        abort();
}

static void put(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    check(file != NULL);
    fputs(text, file);
    fclose(file);
    check(utimensat(AT_FDCWD, path, (struct timespec[]){{1000000000, 0}, {1000000000, 0}}, 0) == 0);
}

static void put_link(const char *name, const char *target) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    check(symlink(target, path) == 0);
}

static void remove_all(void) {
    char command[128];
    app_free(apps[0]);
    app_free(apps[1]);
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    if (system(command))
        perror(command);
}

static app_t *serving(const serve_options_t *options) {
    char root[128];
    app_t *app = app_new_with(&(app_options_t){.silent = true});
    snprintf(root, sizeof root, "%s/root", directory);
    app_use(app, serve(root, options));
    return app;
}

static void set_up(void) {
    char path[128];
    check(mkdtemp(directory) != NULL);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, i ? "%s/root/d" : "%s/root", directory);
        check(mkdir(path, 0700) == 0);
    }
    put("secret", "SECRET");
    put("root/a", "public a");
    put("root/a.gz", "public gzip");
    put("root/d/index.html", "public index");
    put("root/d/b.txt", "public b");
    put("root/.hidden", "SECRET");
    put("root/.gitx", "SECRET");
    put_link("root/link", "a");
    put_link("root/up", "../secret");
    put_link("root/top", "..");
    put_link("root/etc", "/etc");
    apps[0] = serving(NULL);
    apps[1] = serving(&(serve_options_t){
        .no_index = true, .extensions = (const char *const[]){"txt", NULL}, .cache_files = 2});
    atexit(remove_all);
}

/* What is sent is public, or a part of it, or says why not. */
static void check_answer(const app_response_t *response) {
    const char *length = app_response_get(response, "Content-Length");
    int status = response->status;
    check(!response->failed);
    check(status == 200 || status == 206 || status == 304 || status == 400 || status == 403 ||
          status == 404 || status == 412 || status == 416);
    check(!strstr(response->body.data, "SECRET") && !strstr(response->body.data, "root:"));
    if (status == 200)
        check(strncmp(response->body.data, "public ", 7) == 0);
    if (status != 304)
        check(length && strtoull(length, NULL, 10) == response->body.length);
    check((status == 206) ==
              (app_response_get(response, "Content-Range") != NULL && status != 416) ||
          strncmp(app_response_get(response, "Content-Type"), "multipart/byteranges", 20) == 0);
}

/* A path and field values as the parser of HTTP lets them pass. */
static void clean(char *text, bool is_path) {
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f || (is_path && strchr(" ?#", *text)))
            *text = '_';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[FIELDS] = {"Range", "If-Range", "If-None-Match", "If-Match",
                                              "Accept-Encoding"};
    const char *headers[2 * FIELDS + 1] = {NULL};
    char *text = malloc(size + 2), *at = text + 1;
    size_t count = 0;
    if (!apps[0])
        set_up();
    text[0] = '/';
    memcpy(text + 1, data, size);
    text[size + 1] = '\0';
    strsep(&at, "\n");
    clean(text, true);
    for (size_t i = 0; i < FIELDS && at; i++) {
        char *value = strsep(&at, "\n");
        clean(value, false);
        if (*value) {
            headers[count++] = names[i];
            headers[count++] = value;
        }
    }
    for (size_t i = 0; i < 2; i++) {
        app_response_t *response =
            app_inject(apps[i], &(app_request_t){.url = text, .headers = headers});
        check(response != NULL);
        check_answer(response);
        app_response_free(response);
    }
    free(text);
    return 0;
}
