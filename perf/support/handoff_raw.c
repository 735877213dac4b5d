/*
 * The floors: a raw futex ping-pong, and no hand-off at all.
 *
 * Raw: each caller has a thread of its own and two words; each side stores one, wakes the other and
 * sleeps. No queue, no spinning, no timeout, no result but "done": no pool can do with less. It has
 * no meaning with fewer workers than callers.
 */
#define _GNU_SOURCE
#include "support/handoff_subject.h"
#include "support/perf_futex.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINE = 64 };

/* The caller writes `asked` and what is to be run, the worker `answered`. Both count calls. */
struct pair {
    _Alignas(LINE) _Atomic uint32_t asked;
    handoff_run *run; /* NULL: end the thread */
    void *argument;
    _Alignas(LINE) _Atomic uint32_t answered;
    pthread_t worker;
};

struct pairs {
    unsigned count;
    struct pair *pair; /* owned */
};

static void *work(void *argument)
{
    struct pair *const pair = argument;

    for (uint32_t seen = 0;; ++seen) {
        while (atomic_load_explicit(&pair->asked, memory_order_acquire) == seen) {
            perf_futex_wait(&pair->asked, seen, NULL);
        }
        if (pair->run == NULL) {
            return NULL;
        }
        pair->run(pair->argument);
        atomic_store_explicit(&pair->answered, seen + 1, memory_order_release);
        perf_futex_wake(&pair->answered, 1);
    }
}

static void ask(struct pair *pair, handoff_run *run, void *argument)
{
    pair->run = run;
    pair->argument = argument;
    (void)atomic_fetch_add_explicit(&pair->asked, 1, memory_order_release);
    perf_futex_wake(&pair->asked, 1);
}

static bool raw_call(void *pool, unsigned caller, handoff_run *run, void *argument)
{
    struct pair *const pair = &((struct pairs *)pool)->pair[caller];
    const uint32_t before = atomic_load_explicit(&pair->answered, memory_order_relaxed);

    ask(pair, run, argument);
    while (atomic_load_explicit(&pair->answered, memory_order_acquire) == before) {
        perf_futex_wait(&pair->answered, before, NULL);
    }
    return true;
}

static void raw_close(void *pool)
{
    struct pairs *const pairs = pool;

    for (unsigned i = 0; i < pairs->count; ++i) {
        ask(&pairs->pair[i], NULL, NULL);
        (void)pthread_join(pairs->pair[i].worker, NULL);
    }
    free(pairs->pair);
    free(pairs);
}

static void *raw_open(const struct handoff_shape *shape)
{
    struct pairs *const pairs = calloc(1, sizeof(*pairs));

    if (pairs == NULL) {
        return NULL;
    }
    pairs->pair = aligned_alloc(LINE, shape->callers * sizeof(*pairs->pair));
    for (unsigned i = 0; pairs->pair != NULL && i < shape->callers; ++i) {
        pairs->pair[i] = (struct pair){0};
        if (pthread_create(&pairs->pair[i].worker, NULL, work, &pairs->pair[i]) != 0) {
            break;
        }
        pairs->count += 1;
    }
    if (pairs->count != shape->callers) {
        (void)fprintf(stderr, "raw: no memory or no thread\n");
        raw_close(pairs);
        return NULL;
    }
    return pairs;
}

static void *inline_open(const struct handoff_shape *shape)
{
    static char nothing;

    (void)shape;
    return &nothing;
}

static void inline_close(void *pool)
{
    (void)pool;
}

static bool inline_call(void *pool, unsigned caller, handoff_run *run, void *argument)
{
    (void)pool;
    (void)caller;
    run(argument);
    return true;
}

const struct handoff_subject handoff_raw = {.name = "raw futex ping-pong",
                                            .parts = HANDOFF_BLOCKING | HANDOFF_CROWD,
                                            .open = raw_open,
                                            .close = raw_close,
                                            .call = raw_call};
const struct handoff_subject handoff_inline = {.name = "inline, no hand-off",
                                               .parts = HANDOFF_CROWD | HANDOFF_QUEUED,
                                               .open = inline_open,
                                               .close = inline_close,
                                               .call = inline_call};
