/*
 * A REST service: notes in SQLite, as JSON. SQLite blocks, so it works on other threads.
 *
 * GET and POST /notes; GET, PUT, PATCH and DELETE /notes/:id. A note has a title, and maybe a text.
 * They are in the file notes.db, or in that which DATABASE in the environment names.
 */
#include <acacia.h>
#include <middleware/conditional_get.h>
#include <middleware/etag.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TITLE 200 /* bytes */
#define MAX_TEXT 10000
#define MAX_LIMIT 100 /* notes in a list; 20 if nobody says how many */

/* --- The database ----------------------------------------------------------------------------- */

enum statement { COUNT, LIST, FIND, INSERT, UPDATE, REMOVE, STATEMENTS };
#define NOTE "id, title, text, version"

/* What clients say comes in as parameters, and never becomes a part of the SQL. */
static const char *const sql[] = {
    [COUNT] = "SELECT count(*) FROM notes",
    [LIST] = "SELECT " NOTE " FROM notes WHERE id > :id ORDER BY id LIMIT :limit",
    [FIND] = "SELECT " NOTE " FROM notes WHERE id = :id",
    [INSERT] = "INSERT INTO notes (title, text) VALUES (:title, :text) RETURNING " NOTE,
    [UPDATE] = "UPDATE notes SET title = coalesce(:title, title), text = coalesce(:text, text),"
               " version = version + 1 WHERE id = :id RETURNING " NOTE,
    [REMOVE] = "DELETE FROM notes WHERE id = :id RETURNING " NOTE,
};

/* WAL: who only reads doesn't wait for who writes. AUTOINCREMENT: no id is used twice. */
static const char setup[] = "PRAGMA journal_mode = WAL;"
                            "PRAGMA synchronous = NORMAL;"
                            "CREATE TABLE IF NOT EXISTS notes ("
                            " id INTEGER PRIMARY KEY AUTOINCREMENT,"
                            " title TEXT NOT NULL,"
                            " text TEXT NOT NULL,"
                            " version INTEGER NOT NULL DEFAULT 1)";

/* One connection, which one thread uses at a time. */
struct database {
    sqlite3 *connection;
    sqlite3_stmt *statements[STATEMENTS];
    uv_mutex_t lock;
};

static void close_database(void *arg) {
    struct database *database = arg;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(database->statements[i]);
    sqlite3_close(database->connection);
    uv_mutex_destroy(&database->lock);
    free(database);
}

static int open_connection(struct database *database, const char *path) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path, &database->connection, flags, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(database->connection, 5000); /* for other programs */
    if (code == SQLITE_OK)
        code = sqlite3_exec(database->connection, setup, NULL, NULL, NULL);
    for (int i = 0; i < STATEMENTS && code == SQLITE_OK; i++)
        code = sqlite3_prepare_v3(database->connection, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                  &database->statements[i], NULL);
    return code;
}

/* NULL if it can't be opened, which stderr tells. */
static struct database *open_database(const char *path) {
    struct database *database = calloc(1, sizeof *database);
    if (!database || uv_mutex_init(&database->lock)) {
        free(database);
        return NULL;
    }
    if (open_connection(database, path) == SQLITE_OK)
        return database;
    fprintf(stderr, "%s: %s\n", path, sqlite3_errmsg(database->connection));
    close_database(database);
    return NULL;
}

/* --- Jobs: what a thread does for a handler --------------------------------------------------- */

struct job {
    struct database *database;
    enum statement statement; /* what it is about */
    sqlite3_int64 id;         /* of the note, or of the one before the first that is listed */
    int limit;
    const char *title, *text; /* NULL: as they were */
    const char *if_match;     /* the header, "" for none */

    int status;      /* of HTTP */
    char error[128]; /* if that is 500 */
    json_t *notes;   /* an array */
    sqlite3_int64 version, total;
};

static int fail(struct job *job, int code) {
    const char *why =
        code == SQLITE_NOMEM ? sqlite3_errstr(code) : sqlite3_errmsg(job->database->connection);
    snprintf(job->error, sizeof job->error, "%s", why);
    return 500;
}

/* What the job knows of the parameters that this statement has. */
static void bind_all(sqlite3_stmt *statement, const struct job *job) {
    int at;
    if ((at = sqlite3_bind_parameter_index(statement, ":id")))
        sqlite3_bind_int64(statement, at, job->id);
    if ((at = sqlite3_bind_parameter_index(statement, ":limit")))
        sqlite3_bind_int(statement, at, job->limit);
    if ((at = sqlite3_bind_parameter_index(statement, ":title")))
        sqlite3_bind_text(statement, at, job->title, -1, SQLITE_STATIC);
    if ((at = sqlite3_bind_parameter_index(statement, ":text")))
        sqlite3_bind_text(statement, at, job->text, -1, SQLITE_STATIC);
}

static int take_note(struct job *job, sqlite3_stmt *statement) {
    sqlite3_int64 id = sqlite3_column_int64(statement, 0);
    const char *title = (const char *)sqlite3_column_text(statement, 1);
    const char *text = (const char *)sqlite3_column_text(statement, 2);
    json_t *note = json_pack("{s:I, s:s, s:s}", "id", (json_int_t)id, "title", title, "text", text);
    job->version = sqlite3_column_int64(statement, 3);
    return json_array_append_new(job->notes, note) ? SQLITE_NOMEM : SQLITE_OK;
}

/* Run a statement to its end: 200, 404 if it has given nothing, or 500. */
static int run(struct job *job, enum statement which) {
    sqlite3_stmt *statement = job->database->statements[which];
    int code, status = 404;
    bind_all(statement, job);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        status = 200;
        if (which == COUNT)
            job->total = sqlite3_column_int64(statement, 0);
        else if ((code = take_note(job, statement)))
            break;
    }
    if (code != SQLITE_DONE)
        status = fail(job, code);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return status;
}

static int execute(struct job *job, const char *text) {
    int code = sqlite3_exec(job->database->connection, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? 200 : fail(job, code);
}

/* Does If-Match name this version? */
static bool matches(const char *if_match, sqlite3_int64 version) {
    char tag[32];
    size_t size, length = (size_t)snprintf(tag, sizeof tag, "\"%lld\"", (long long)version);
    if (strcmp(if_match, "*") == 0)
        return true;
    for (; *(if_match += strspn(if_match, ", \t")); if_match += size) {
        size = strcspn(if_match, ", \t");
        if (size == length && memcmp(if_match, tag, size) == 0)
            return true;
    }
    return false;
}

/* Look, and then change, with nobody in between: not even another program. */
static int change(struct job *job) {
    int status = execute(job, "BEGIN IMMEDIATE");
    if (status != 200)
        return status;
    status = run(job, FIND);
    if (status == 200 && *job->if_match && !matches(job->if_match, job->version))
        status = 412;
    json_array_clear(job->notes);
    if (status == 200)
        status = run(job, job->statement);
    int end = execute(job, status == 200 ? "COMMIT" : "ROLLBACK");
    return end == 200 ? status : end;
}

static int do_job(struct job *job) {
    if (job->statement == UPDATE || job->statement == REMOVE)
        return change(job);
    int status = job->statement == LIST ? run(job, COUNT) : 200;
    if (status == 200)
        status = run(job, job->statement);
    return status == 404 && job->statement == LIST ? 200 : status;
}

/* On one of libuv's threads: nothing of Acacia may be called here. */
static void work(void *arg) {
    struct job *job = arg;
    uv_mutex_lock(&job->database->lock);
    job->status = do_job(job);
    uv_mutex_unlock(&job->database->lock);
}

static void release(void *json) {
    json_decref(json);
}

/* Have a job done; others are served meanwhile. What it has failed with is thrown. */
static may_await int perform(ctx_t *ctx, struct job *job) {
    job->database = ctx_value(ctx, "database");
    job->notes = json_array();
    int err = job->notes ? ctx_defer(ctx, release, job->notes) : UV_ENOMEM;
    if (!err)
        err = await_work(work, job);
    if (err)
        return err;
    switch (job->status) {
    case 200:
        return 0;
    case 404:
        return ctx_throw(ctx, 404, "there is no note %lld", (long long)job->id);
    case 412:
        return ctx_throw(ctx, 412, "the note has changed: it is version %lld now",
                         (long long)job->version);
    default:
        return ctx_throw(ctx, 500, "%s", job->error);
    }
}

/* --- What clients send ------------------------------------------------------------------------ */

/* What is wrong with a member of a note, or NULL. */
static const char *problem_of(const char *name, const json_t *value) {
    bool is_title = strcmp(name, "title") == 0;
    if (!is_title && strcmp(name, "text") != 0)
        return "is unknown";
    if (!json_is_string(value))
        return "must be a string";
    if (is_title && json_string_length(value) == 0)
        return "must not be empty";
    if (json_string_length(value) > (is_title ? MAX_TITLE : MAX_TEXT))
        return "is too long";
    return NULL;
}

/* All that is wrong: {"title": "must be a string"}. NULL when there is no memory. */
static json_t *check(json_t *note, bool complete) {
    const char *name, *problem;
    json_t *value, *problems = json_object();
    int err = 0;
    if (complete && !json_object_get(note, "title"))
        err = json_object_set_new(problems, "title", json_string("is missing"));
    json_object_foreach(note, name, value) {
        if ((problem = problem_of(name, value)))
            err |= json_object_set_new(problems, name, json_string(problem));
    }
    if (!err)
        return problems;
    json_decref(problems);
    return NULL;
}

/* Title and text; `complete`: of a whole note. */
static may_await int read_note(ctx_t *ctx, struct job *job, bool complete) {
    json_t *note, *problems;
    if (!ctx_is(ctx, "json", "+json"))
        return ctx_throw(ctx, 415, "a note must be sent as application/json");
    int err = ctx_read_json(ctx, &note);
    if (!err)
        err = ctx_defer(ctx, release, note);
    if (err)
        return err;
    if (!json_is_object(note))
        return ctx_throw(ctx, 422, "a note must be an object");
    if (!(problems = check(note, complete)) || ctx_defer(ctx, release, problems))
        return UV_ENOMEM;
    job->title = json_string_value(json_object_get(note, "title"));
    job->text = json_string_value(json_object_get(note, "text"));
    if (complete && !job->text)
        job->text = "";
    throw_options_t wrong = {.status = 422, .message = "the note is wrong", .data = problems};
    return json_object_size(problems) > 0 ? ctx_throw_with(ctx, &wrong) : 0;
}

/* A number in the query, from `least` to `most`; `*value` stays if it isn't there. */
static int read_number(ctx_t *ctx, const char *name, long long least, long long most,
                       long long *value) {
    const char *text = ctx_query(ctx, name);
    char *end;
    if (!text)
        return 0;
    *value = strtoll(text, &end, 10);
    if (end == text || *end || *value < least || *value > most)
        return ctx_throw(ctx, 400, "%s must be a number from %lld to %lld", name, least, most);
    return 0;
}

/* A job for the note that the path names. */
static struct job job_of(ctx_t *ctx, enum statement statement) {
    const char *id = ctx_param(ctx, "id"), *if_match = ctx_get(ctx, "If-Match");
    return (struct job){.statement = statement, .id = strtoll(id, NULL, 10), .if_match = if_match};
}

/* --- Handlers --------------------------------------------------------------------------------- */

static json_int_t id_of(const json_t *note) {
    return json_integer_value(json_object_get(note, "id"));
}

/* GET /notes?limit=20&after=40: those behind number 40. Link leads to the next ones. */
static int list(ctx_t *ctx) {
    long long limit = 20, after = 0;
    int err = read_number(ctx, "limit", 1, MAX_LIMIT, &limit);
    if (!err)
        err = read_number(ctx, "after", 0, INT64_MAX, &after);
    struct job job = {.statement = LIST, .id = after, .limit = (int)limit + 1}; /* is there more? */
    if (err || (err = perform(ctx, &job)))
        return err;
    if (json_array_size(job.notes) > (size_t)limit) {
        json_array_remove(job.notes, (size_t)limit);
        json_int_t last = id_of(json_array_get(job.notes, (size_t)limit - 1));
        ctx_setf(ctx, "Link", "</notes?limit=%lld&after=%lld>; rel=\"next\"", limit, last);
    }
    json_int_t total = job.total;
    return ctx_json(ctx, json_pack("{s:I, s:O}", "total", total, "notes", job.notes));
}

/* The version is the entity tag: conditional_get answers 304 by it, and If-Match names it. */
static int answer(ctx_t *ctx, const struct job *job) {
    ctx_setf(ctx, "ETag", "\"%lld\"", (long long)job->version);
    return ctx_json(ctx, json_incref(json_array_get(job->notes, 0)));
}

static int create(ctx_t *ctx) {
    struct job job = {.statement = INSERT};
    int err = read_note(ctx, &job, true);
    if (err || (err = perform(ctx, &job)))
        return err;
    ctx->status = 201;
    ctx_setf(ctx, "Location", "/notes/%lld", id_of(json_array_get(job.notes, 0)));
    return answer(ctx, &job);
}

static int show(ctx_t *ctx) {
    struct job job = job_of(ctx, FIND);
    int err = perform(ctx, &job);
    return err ? err : answer(ctx, &job);
}

/* PUT replaces the note, PATCH what is named of it. */
static int update(ctx_t *ctx) {
    struct job job = job_of(ctx, UPDATE);
    int err = read_note(ctx, &job, strcmp(ctx->method, "PUT") == 0);
    if (!err)
        err = perform(ctx, &job);
    return err ? err : answer(ctx, &job);
}

static int discard(ctx_t *ctx) {
    struct job job = job_of(ctx, REMOVE);
    int err = perform(ctx, &job);
    return err ? err : ctx_empty(ctx);
}

/* Errors as JSON: what was thrown, and what nobody has answered. */
static int json_errors(ctx_t *ctx) {
    int err = next(ctx);
    const ctx_error_t *error = err ? ctx_catch(ctx) : NULL;
    if (!error && ctx_body_kind(ctx) != CTX_BODY_UNSET)
        return err;
    if (error)
        ctx_report(ctx, error);
    ctx->status = error ? error->status : ctx->status ? ctx->status : 404;
    const char *message = error && error->expose ? error->message : ctx_response_message(ctx);
    json_t *fields = error ? error->data : NULL;
    return ctx_json(ctx, json_pack("{s:s, s:O*}", "error", message, "fields", fields));
}

int main(void) {
    const char *path = getenv("DATABASE");
    struct database *database = open_database(path ? path : "notes.db");
    if (!database)
        return 1;
    app_t *app = app_new_with(&(app_options_t){.http.body_size = 64 * 1024});
    app_set_value(app, "database", database, close_database);
    router_t *notes = router_new(&(router_options_t){.prefix = "/notes"});
    router_get(notes, "/", list);
    router_post(notes, "/", create);
    router_get(notes, "/:id(\\d+)", show);
    router_put(notes, "/:id(\\d+)", update);
    router_patch(notes, "/:id(\\d+)", update);
    router_delete(notes, "/:id(\\d+)", discard);
    app_use(app, conditional_get);
    app_use(app, etag(NULL));
    app_use(app, json_errors);
    app_use(app, router_routes(notes));
    app_use(app, router_allowed_methods(notes, NULL));
    router_free(notes);
    return app_listen(app, 3000);
}
