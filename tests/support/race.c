/*
 * See race.h.
 */
#define _GNU_SOURCE
#include "support/race.h"

#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SPINS_BEFORE_YIELD = 300, FAILURES_SHOWN = 10, PERCENT = 100 };

static _Atomic uint64_t failures;

uint64_t race_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

double race_seconds(void)
{
    static _Atomic uint64_t begin;
    const uint64_t now = race_now();
    uint64_t none = 0;

    (void)atomic_compare_exchange_strong(&begin, &none, now);
    return (double)(now - atomic_load(&begin)) / 1e9;
}

uint64_t race_rounds(uint64_t full, uint64_t debug, uint64_t sanitized)
{
    const char *const everything = getenv("WEIR_RACE_FULL"); /* NOLINT(concurrency-mt-unsafe) */
    const char *const scale = getenv("WEIR_RACE_SCALE");     /* NOLINT(concurrency-mt-unsafe) */
#if defined(WR_SANITIZED)
    uint64_t rounds = sanitized;
#elif defined(NDEBUG)
    uint64_t rounds = full;
#else
    uint64_t rounds = debug;
#endif

    (void)debug;
    (void)sanitized;
    (void)race_seconds();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (everything != NULL && everything[0] == '1') {
        rounds = full;
    }
    if (scale != NULL) {
        const uint64_t percent = strtoull(scale, NULL, 10);

        rounds = rounds * percent / PERCENT;
    }
    return rounds > 0 ? rounds : 1;
}

static void stall(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

void race_pause(unsigned n)
{
    if (n < SPINS_BEFORE_YIELD) {
        stall();
    } else {
        (void)sched_yield();
    }
}

void race_spin(unsigned loops)
{
    for (volatile unsigned i = 0; i < loops; ++i) {
    }
}

void race_barrier_init(struct race_barrier *barrier, unsigned parties)
{
    atomic_init(&barrier->arrived, 0);
    atomic_init(&barrier->round, 0);
    barrier->parties = parties;
}

void race_meet(struct race_barrier *barrier)
{
    const uint32_t round = atomic_load(&barrier->round);
    unsigned n = 0;

    if (atomic_fetch_add(&barrier->arrived, 1) + 1 == barrier->parties) {
        atomic_store(&barrier->arrived, 0);
        atomic_store(&barrier->round, round + 1);
        return;
    }
    while (atomic_load(&barrier->round) == round) {
        race_pause(n++);
    }
}

uint64_t race_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13U;
    x ^= x >> 7U;
    x ^= x << 17U;
    *state = x;
    return x;
}

void race_raise(_Atomic uint64_t *maximum, uint64_t value)
{
    uint64_t seen = atomic_load_explicit(maximum, memory_order_relaxed);

    while (seen < value && !atomic_compare_exchange_weak_explicit(
                               maximum, &seen, value, memory_order_relaxed, memory_order_relaxed)) {
    }
}

struct runner {
    void (*body)(void *user, unsigned index);
    void *user;
    unsigned index;
    struct race_barrier *start;
    pthread_t thread;
};

static void *run_one(void *argument)
{
    const struct runner *const self = argument;

    race_meet(self->start);
    self->body(self->user, self->index);
    return NULL;
}

void race_run(unsigned threads, void (*body)(void *user, unsigned index), void *user)
{
    struct runner runners[RACE_THREADS_MAX];
    struct race_barrier start;

    race_barrier_init(&start, threads);
    for (unsigned i = 0; i < threads; ++i) {
        runners[i] = (struct runner){.body = body, .user = user, .index = i, .start = &start};
        if (pthread_create(&runners[i].thread, NULL, run_one, &runners[i]) != 0) {
            (void)fprintf(stderr, "no thread\n");
            abort();
        }
    }
    for (unsigned i = 0; i < threads; ++i) {
        (void)pthread_join(runners[i].thread, NULL);
    }
}

void race_check_at(const char *file, int line, bool holds, const char *what, ...)
{
    char text[512];
    va_list arguments;

    if (holds || atomic_fetch_add(&failures, 1) >= FAILURES_SHOWN) {
        return;
    }
    va_start(arguments, what);
    (void)vsnprintf(text, sizeof(text), what, arguments);
    va_end(arguments);
    printf("%s:%d: FAILED: %s\n", file, line, text);
}

bool race_failed(void)
{
    return atomic_load(&failures) != 0;
}

int race_result(void)
{
    const uint64_t count = atomic_load(&failures);

    if (count > 0) {
        printf("%llu checks failed, %.1f s\n", (unsigned long long)count, race_seconds());
        return 1;
    }
    printf("ok, %.1f s\n", race_seconds());
    return 0;
}
