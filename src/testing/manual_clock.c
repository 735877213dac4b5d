/*
 * A clock that moves only when told. One mutex and one condition for all its waiters: tests have
 * few.
 */
#include <weir/testing.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A thread that waits on this clock; in its own stack. */
struct sleeper {
    const uint32_t *word;
    uint64_t until_ns;
    int woken;
    struct sleeper *next;
};

struct weir_manual_clock {
    weir_clock ops;
    _Atomic uint64_t now_ns;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct sleeper *sleepers;
    size_t count;
};

static uint64_t manual_now(void *user)
{
    weir_manual_clock *const clock = user;

    return atomic_load_explicit(&clock->now_ns, memory_order_acquire);
}

static void enter(weir_manual_clock *clock, struct sleeper *self)
{
    self->next = clock->sleepers;
    clock->sleepers = self;
    clock->count += 1;
    (void)pthread_cond_broadcast(&clock->changed); /* await_waiters() */
}

static void leave(weir_manual_clock *clock, const struct sleeper *self)
{
    struct sleeper **at = &clock->sleepers;

    while (*at != self) {
        at = &(*at)->next;
    }
    *at = self->next;
    clock->count -= 1;
    (void)pthread_cond_broadcast(&clock->changed);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the type of weir_clock.wait */
static int manual_wait(void *user, uint32_t *word, uint32_t old, uint64_t until_ns)
{
    weir_manual_clock *const clock = user;
    struct sleeper self = {.word = word, .until_ns = until_ns};
    int result = WEIR_WAIT_WOKEN;

    (void)pthread_mutex_lock(&clock->mutex);
    enter(clock, &self);
    while (!self.woken && __atomic_load_n(word, __ATOMIC_ACQUIRE) == old) {
        if (manual_now(clock) >= until_ns) {
            result = WEIR_WAIT_EXPIRED;
            break;
        }
        (void)pthread_cond_wait(&clock->changed, &clock->mutex);
    }
    leave(clock, &self);
    (void)pthread_mutex_unlock(&clock->mutex);
    return result;
}

/* The word's memory may be gone: only its address is compared.
 * NOLINTNEXTLINE(readability-non-const-parameter): the type of weir_clock.wake */
static void manual_wake(void *user, uint32_t *word, uint32_t count)
{
    weir_manual_clock *const clock = user;

    (void)pthread_mutex_lock(&clock->mutex);
    for (struct sleeper *s = clock->sleepers; s != NULL && count > 0; s = s->next) {
        if (s->word == word && !s->woken) {
            s->woken = 1;
            --count;
        }
    }
    (void)pthread_cond_broadcast(&clock->changed);
    (void)pthread_mutex_unlock(&clock->mutex);
}

weir_manual_clock *weir_manual_clock_create(uint64_t now_ns)
{
    weir_manual_clock *const clock = calloc(1, sizeof(*clock));

    if (clock == NULL) {
        return NULL;
    }
    clock->ops = (weir_clock){.size = sizeof(weir_clock),
                              .user = clock,
                              .now = manual_now,
                              .wait = manual_wait,
                              .wake = manual_wake};
    atomic_init(&clock->now_ns, now_ns);
    (void)pthread_mutex_init(&clock->mutex, NULL);
    (void)pthread_cond_init(&clock->changed, NULL);
    return clock;
}

void weir_manual_clock_destroy(weir_manual_clock *clock)
{
    if (clock != NULL) {
        (void)pthread_cond_destroy(&clock->changed);
        (void)pthread_mutex_destroy(&clock->mutex);
        free(clock);
    }
}

const weir_clock *weir_manual_clock_ops(const weir_manual_clock *clock)
{
    return &clock->ops;
}

uint64_t weir_manual_clock_now(const weir_manual_clock *clock)
{
    return atomic_load_explicit(&clock->now_ns, memory_order_acquire);
}

/* A waiter whose time has come has left when this returns. */
static void settle_locked(weir_manual_clock *clock)
{
    for (struct sleeper *s = clock->sleepers; s != NULL;) {
        if (!s->woken && s->until_ns <= manual_now(clock)) {
            (void)pthread_cond_wait(&clock->changed, &clock->mutex);
            s = clock->sleepers;
        } else {
            s = s->next;
        }
    }
}

void weir_manual_clock_set(weir_manual_clock *clock, uint64_t now_ns)
{
    (void)pthread_mutex_lock(&clock->mutex);
    atomic_store_explicit(&clock->now_ns, now_ns, memory_order_release);
    (void)pthread_cond_broadcast(&clock->changed);
    settle_locked(clock);
    (void)pthread_mutex_unlock(&clock->mutex);
}

void weir_manual_clock_advance(weir_manual_clock *clock, uint64_t ns)
{
    weir_manual_clock_set(clock, weir_manual_clock_now(clock) + ns);
}

void weir_manual_clock_await_waiters(weir_manual_clock *clock, size_t count)
{
    (void)pthread_mutex_lock(&clock->mutex);
    while (clock->count < count) {
        (void)pthread_cond_wait(&clock->changed, &clock->mutex);
    }
    (void)pthread_mutex_unlock(&clock->mutex);
}
