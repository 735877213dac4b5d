/*
 * See spawn.h.
 */
#define _GNU_SOURCE
#include "base/spawn.h"

#include <fenv.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { NAME_BYTES = 16, CPUS_MAX = 8192 };

/* Of the main thread at load, before anybody pins it: what the administrator chose. */
static struct {
    size_t bytes; /* 0: not known */
    cpu_set_t sets[CPUS_MAX / CPU_SETSIZE];
} affinity;

__attribute__((constructor)) static void remember_affinity(void)
{
    if (sched_getaffinity(getpid(), sizeof(affinity.sets), affinity.sets) == 0) {
        affinity.bytes = sizeof(affinity.sets);
    }
}

/* All signals but those that the thread's own instructions raise. */
static void block_signals(pthread_attr_t *attributes)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t mask;

    (void)sigfillset(&mask);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); ++i) {
        (void)sigdelset(&mask, own[i]);
    }
    (void)pthread_attr_setsigmask_np(attributes, &mask);
}

bool wr_spawn(pthread_t *ret_thread, size_t stack_bytes, void *(*body)(void *user), void *user)
{
    pthread_attr_t attributes;
    bool made;

    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    block_signals(&attributes);
    if (affinity.bytes != 0) {
        (void)pthread_attr_setaffinity_np(&attributes, affinity.bytes, affinity.sets);
    }
    made = (stack_bytes == 0 || pthread_attr_setstacksize(&attributes, stack_bytes) == 0) &&
           pthread_create(ret_thread, &attributes, body, user) == 0;
    (void)pthread_attr_destroy(&attributes);
    return made;
}

void wr_spawn_settle(const char *name)
{
    char cut[NAME_BYTES];

    (void)snprintf(cut, sizeof(cut), "%s", name);
    (void)pthread_setname_np(pthread_self(), cut);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    (void)fesetenv(FE_DFL_ENV);
}

void wr_spawn_be_punctual(void)
{
    (void)prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
}
