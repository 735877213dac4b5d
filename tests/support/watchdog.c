/*
 * See watchdog.h.
 */
#define _GNU_SOURCE
#include "support/watchdog.h"

#include "support/race.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 60, LOOK_NS = 20000000 };

static struct {
    pthread_t thread;
    _Alignas(RACE_LINE) _Atomic uint64_t pats;
    _Atomic bool stopping;
    bool planted;
    uint64_t patience_ns;
    void (*describe)(void);
} dog;

static void pause_a_little(void)
{
    const struct timespec little = {.tv_nsec = LOOK_NS};

    (void)nanosleep(&little, NULL);
}

static void give_up(const char *why)
{
    printf("%s: %s, %.1f s\n", dog.planted ? "caught" : "FAILED", why, race_seconds());
    (void)fflush(stdout);
    if (dog.describe != NULL) {
        dog.describe();
        (void)fflush(stdout);
    }
    _exit(1);
}

static void *watch(void *user)
{
    uint64_t seen = atomic_load(&dog.pats);
    uint64_t since_ns = race_now();

    (void)user;
    while (!atomic_load(&dog.stopping)) {
        const uint64_t pats = atomic_load(&dog.pats);

        if (pats != seen) {
            seen = pats;
            since_ns = race_now();
        }
        if (race_now() - since_ns > dog.patience_ns) {
            give_up("nothing happens any more");
        }
        pause_a_little();
        if (dog.planted && race_failed()) {
            pause_a_little(); /* the check's own line comes first */
            give_up("a check failed");
        }
    }
    return NULL;
}

/* What comes after a failed check may crash; a crash alone is no catch. */
static void on_crash(int number)
{
    static const char line[] = "caught: a check failed, then a crash\n";

    /* NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c): one atomic load */
    if (race_failed() && write(STDOUT_FILENO, line, sizeof(line) - 1) > 0) {
        _exit(1);
    }
    (void)signal(number, SIG_DFL); /* comes again */
}

static void catch_crashes(void)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT};

    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); ++i) {
        (void)signal(crashes[i], on_crash);
    }
}

void watchdog_start(void (*describe)(void))
{
    const char *const patience = getenv("WEIR_RACE_PATIENCE"); /* NOLINT(concurrency-mt-unsafe) */
    const char *const planted = getenv("WEIR_RACE_PLANTED");   /* NOLINT(concurrency-mt-unsafe) */

    dog.patience_ns = 1000000000U * (patience != NULL ? strtoull(patience, NULL, 10) : PATIENCE_S);
    dog.planted = planted != NULL && planted[0] == '1';
    dog.describe = describe;
    if (dog.planted) {
        catch_crashes();
    }
    if (pthread_create(&dog.thread, NULL, watch, NULL) != 0) {
        (void)fprintf(stderr, "no thread\n");
        abort();
    }
}

void watchdog_pat(void)
{
    (void)atomic_fetch_add_explicit(&dog.pats, 1, memory_order_relaxed);
}

void watchdog_stop(void)
{
    atomic_store(&dog.stopping, true);
    (void)pthread_join(dog.thread, NULL);
    if (dog.planted && race_failed()) {
        give_up("a check failed");
    }
}
