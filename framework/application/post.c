/* Work from elsewhere: from other threads, and in the background. */
#include "application/application.h"

#include <stdlib.h>

/* --- app_post --------------------------------------------------------------------------------- */

struct post {
    struct post *next;
    void (*fn)(app_t *app, void *arg);
    void *arg;
};

static void on_awake(uv_async_t *handle) {
    app_run_posts(handle->data);
}

int app_open_posts(struct app *app) {
    app->posts.end = &app->posts.first;
    int err = uv_mutex_init(&app->posts.lock);
    if (err)
        return err;
    err = uv_async_init(app->uv, &app->awake, on_awake);
    if (err) {
        uv_mutex_destroy(&app->posts.lock);
        return err;
    }
    app->awake.data = app;
    uv_unref((uv_handle_t *)&app->awake); /* until the app serves */
    app->handles = 1;
    return 0;
}

int app_post(app_t *app, void (*fn)(app_t *app, void *arg), void *arg) {
    struct post *post = app ? malloc(sizeof *post) : NULL;
    if (!post)
        return UV_ENOMEM;
    *post = (struct post){NULL, fn, arg};
    uv_mutex_lock(&app->posts.lock);
    *app->posts.end = post;
    app->posts.end = &post->next;
    int err = uv_async_send(&app->awake); /* what is posted may end the app: not after the unlock */
    uv_mutex_unlock(&app->posts.lock);
    return err;
}

/* Those that have come so far: what they post themselves waits for the next turn. */
void app_run_posts(struct app *app) {
    uv_mutex_lock(&app->posts.lock);
    struct post *post = app->posts.first;
    app->posts.first = NULL;
    app->posts.end = &app->posts.first;
    uv_mutex_unlock(&app->posts.lock);
    while (post) {
        struct post *following = post->next;
        post->fn(app, post->arg);
        free(post);
        post = following;
    }
}

/* --- app_spawn -------------------------------------------------------------------------------- */

struct job {
    struct task task; /* first */
    struct timer retry;
    struct app *app;
    void (*fn)(app_t *app, void *arg);
    void *arg;
};

static void run_job(void *arg) {
    struct job job = *(struct job *)arg;
    free(arg);
    job.fn(job.app, job.arg);
}

static void try_again(struct timer *timer) {
    struct job *job = (struct job *)((char *)timer - offsetof(struct job, retry));
    loop_post(&job->app->loop, &job->task);
}

/* There was room for it when it was promised; should it have gone, it will come again. */
static void start_job(struct task *task) {
    struct job *job = (struct job *)task;
    struct loop *loop = &job->app->loop;
    struct app *app = job->app;
    if (coroutine_start(&loop->coroutines, run_job, job)) {
        job->retry.fn = try_again;
        loop_timer_start(loop, &job->retry, 10);
    } else {
        app->jobs_waiting--;
    }
}

int app_spawn(app_t *app, void (*fn)(app_t *app, void *arg), void *arg) {
    if (!app)
        return UV_ENOMEM;
    if (app->loop.torn_down)
        return UV_ECANCELED;
    if (app->loop.coroutines.live_count + app->jobs_waiting >= app->loop.coroutines.limit)
        return UV_EAGAIN;
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return UV_ENOMEM;
    job->task.run = start_job;
    job->app = app;
    job->fn = fn;
    job->arg = arg;
    loop_post(&app->loop, &job->task);
    app->jobs_waiting++;
    return 0;
}
