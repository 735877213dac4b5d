/*
 * GLib's GThreadPool, exclusive: its threads are started by g_thread_pool_new() and are its own.
 *
 * GThreadPool gives no result and no completion. A caller waits on a GCond under a GMutex, both
 * made once for each caller; the worker signals after it has unlocked, which on one CPU takes half
 * of the time that signalling before does. A posted task counts itself down.
 */
#include "support/handoff_flight.h"
#include "support/handoff_subject.h"

#include <glib.h>
#include <stdio.h>

struct task {
    handoff_run *run;
    void *argument;
    gboolean awaited;
    gboolean done; /* under the mutex */
    GMutex mutex;
    GCond cond;
};

struct glib_pool {
    GThreadPool *threads;           /* owned */
    struct task *tasks;             /* owned; one for each caller */
    struct handoff_flight *flights; /* owned; one for each caller */
};

/* A posted task is not looked at after its run: its submitter may have gone on. */
static void run_task(gpointer data, gpointer user_data)
{
    struct task *const task = data;
    const gboolean awaited = task->awaited;

    (void)user_data;
    task->run(task->argument);
    if (awaited) {
        g_mutex_lock(&task->mutex);
        task->done = TRUE;
        g_mutex_unlock(&task->mutex);
        g_cond_signal(&task->cond);
    }
}

static bool glib_call(void *pool, unsigned caller, handoff_run *run, void *argument)
{
    struct glib_pool *const self = pool;
    struct task *const task = &self->tasks[caller];

    task->run = run;
    task->argument = argument;
    task->awaited = TRUE;
    task->done = FALSE;
    if (!g_thread_pool_push(self->threads, task, NULL)) {
        return false;
    }
    g_mutex_lock(&task->mutex);
    while (!task->done) {
        g_cond_wait(&task->cond, &task->mutex);
    }
    g_mutex_unlock(&task->mutex);
    return true;
}

static void start(void *pool, unsigned submitter)
{
    struct glib_pool *const self = pool;

    (void)g_thread_pool_push(self->threads, &self->tasks[submitter], NULL);
}

static bool glib_post(void *pool, struct handoff_post *post)
{
    struct glib_pool *const self = pool;
    struct task *const task = &self->tasks[post->submitter];

    task->run = handoff_flight_land;
    task->argument = handoff_flight_of(self->flights, post->submitter);
    task->awaited = FALSE;
    return handoff_flight_post(task->argument, post, start, pool);
}

static void glib_close(void *pool)
{
    struct glib_pool *const self = pool;

    if (self->threads != NULL) {
        g_thread_pool_free(self->threads, FALSE, TRUE);
    }
    handoff_flights_destroy(self->flights);
    g_free(self->tasks);
    g_free(self);
}

static void *glib_open(const struct handoff_shape *shape)
{
    struct glib_pool *const self = g_new0(struct glib_pool, 1);
    GError *error = NULL;

    self->flights = handoff_flights_create(shape->callers, shape->in_flight);
    self->threads = g_thread_pool_new(run_task, NULL, (gint)shape->workers, TRUE, &error);
    if (self->flights == NULL || error != NULL) {
        (void)fprintf(stderr, "GLib: %s\n", error != NULL ? error->message : "no memory");
        g_clear_error(&error);
        glib_close(self);
        return NULL;
    }
    self->tasks = g_new0(struct task, shape->callers);
    for (unsigned i = 0; i < shape->callers; ++i) {
        g_mutex_init(&self->tasks[i].mutex);
        g_cond_init(&self->tasks[i].cond);
    }
    return self;
}

const struct handoff_subject handoff_glib = {.name = "GLib GThreadPool",
                                             .parts = HANDOFF_BLOCKING | HANDOFF_CROWD |
                                                      HANDOFF_QUEUED | HANDOFF_POST,
                                             .open = glib_open,
                                             .close = glib_close,
                                             .call = glib_call,
                                             .post = glib_post};
