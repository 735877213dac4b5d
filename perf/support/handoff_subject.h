/*
 * What the hand-off benches compare: each subject hands work to another thread, in its own way.
 *
 * A subject is opened anew for each slice, by a thread that is not pinned, and closed after it.
 */
#ifndef PERF_HANDOFF_SUBJECT_H
#define PERF_HANDOFF_SUBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef void handoff_run(void *argument);

/* How much a pool must take at once. */
struct handoff_shape {
    unsigned callers; /* threads that call or submit */
    unsigned workers;
    unsigned in_flight; /* at the most, for each caller */
};

/* One submitter's posting: no-op tasks until `stop`. */
struct handoff_post {
    unsigned submitter;
    const _Atomic bool *stop;
    uint64_t tasks; /* posted and ended, set by the subject */
};

/* The parts of the bench; a subject may have no meaning in some. */
enum {
    HANDOFF_BLOCKING = 1, /* one caller waits for one worker */
    HANDOFF_CROWD = 2,    /* many callers wait; a worker for each */
    HANDOFF_QUEUED = 4,   /* many callers wait; fewer workers */
    HANDOFF_POST = 8      /* nobody waits for a single task */
};

struct handoff_subject {
    const char *name;
    unsigned parts; /* HANDOFF_BLOCKING | ...: where it has a meaning */
    /* NULL: it could not be opened, and stderr says why. */
    void *(*open)(const struct handoff_shape *shape);
    void (*close)(void *pool);
    /* Let a worker run it and wait for its end. `caller` counts from 0. */
    bool (*call)(void *pool, unsigned caller, handoff_run *run, void *argument);
    /* Returns when all that it posted has ended. NULL without HANDOFF_POST. */
    bool (*post)(void *pool, struct handoff_post *post);
};

extern const struct handoff_subject handoff_raw;
extern const struct handoff_subject handoff_inline;
extern const struct handoff_subject handoff_weir;
extern const struct handoff_subject handoff_weir_gates;
#ifdef PERF_HAVE_GLIB
extern const struct handoff_subject handoff_glib;
#endif
#ifdef PERF_HAVE_ASIO
extern const struct handoff_subject handoff_asio;
#endif

#endif
