/*
 * The bulkhead shared by threads: never above its limit, never refused while a place was free all
 * the time, no wake-up lost in hand-overs, resizes and quits.
 */
#include "base/clock.h"
#include "guard/bulkhead.h"
#include "support/admission.h"
#include "support/race.h"

#include <stdio.h>

#define LOST_NS 60000000000U /* nobody waits for a minute unless its wake-up was lost */

static bool take(void *user)
{
    return wr_bulkhead_take(user);
}

static void give(void *user)
{
    wr_bulkhead_give(user);
}

static void check_empty(struct wr_bulkhead *bulkhead, const char *name)
{
    const uint64_t word = wr_bulkhead_read(bulkhead);

    race_check(wr_bulkhead_held(word) == 0, "%s: %u places held in the end", name,
               wr_bulkhead_held(word));
    race_check(wr_bulkhead_waiters(word) == 0, "%s: %u waiters in the end", name,
               wr_bulkhead_waiters(word));
    wr_bulkhead_destroy(bulkhead);
}

/* `threads` threads that hold at most one place each. */
static void never_above_the_limit(unsigned threads, uint32_t limit, uint64_t rounds)
{
    struct wr_bulkhead bulkhead;
    const struct admission admission = {.user = &bulkhead, .take = take, .give = give};
    struct admission_result result;

    wr_bulkhead_init(&bulkhead, limit, &wr_system_clock);
    result = admission_run(&admission, threads, rounds);
    printf("limit %u, %u threads: %llu rounds, %llu refused, at most %llu inside\n", limit, threads,
           (unsigned long long)rounds * threads, (unsigned long long)result.refused,
           (unsigned long long)result.most);
    race_check(result.most <= limit, "%llu inside, limit %u", (unsigned long long)result.most,
               limit);
    /* As many places as threads: at every instant one is free for whoever takes. */
    race_check(threads > limit || result.refused == 0, "%llu refused although a place was free",
               (unsigned long long)result.refused);
    check_empty(&bulkhead, "take and give");
}

enum { WAITERS = 6, LIMIT_MAX = 4 };

struct storm {
    struct wr_bulkhead bulkhead;
    uint64_t rounds;
    bool resizes;
    uint64_t patience_ns; /* how long a waiter waits */
    uint32_t limit;       /* the largest */
    _Alignas(RACE_LINE) _Atomic uint64_t inside;
    _Atomic uint64_t most, waited, granted_late, gave_up, working;
    uint64_t resized;
};

/* Wait for a place. False: gave up. */
static bool wait_for_place(struct storm *storm)
{
    struct wr_waiter waiter;
    uint64_t until_ns;

    switch (wr_bulkhead_wait(&storm->bulkhead, &waiter)) {
    case WR_JOIN_TOOK:
        return true;
    case WR_JOINED:
        break;
    case WR_JOIN_FULL:
    default:
        race_check(false, "the queue is full");
        return false;
    }
    (void)atomic_fetch_add(&storm->waited, 1);
    until_ns = race_now() + storm->patience_ns;
    while (atomic_load_explicit(&waiter.granted, memory_order_acquire) == 0) {
        if (race_now() >= until_ns) {
            if (wr_bulkhead_quit(&storm->bulkhead, &waiter)) {
                (void)atomic_fetch_add(&storm->gave_up, 1);
                race_check(storm->patience_ns != LOST_NS, "a wake-up was lost");
                return false;
            }
            (void)atomic_fetch_add(&storm->granted_late, 1);
            break;
        }
        (void)wr_clock_wait(&wr_system_clock, &waiter.granted, 0, until_ns);
    }
    return true;
}

static void work(struct storm *storm, unsigned who)
{
    uint64_t random = 88172645463325252U + who;

    for (uint64_t i = 0; i < storm->rounds; ++i) {
        const uint64_t bits = race_random(&random);

        if (((bits & 1U) != 0 && wr_bulkhead_take(&storm->bulkhead)) || wait_for_place(storm)) {
            race_raise(&storm->most, atomic_fetch_add(&storm->inside, 1) + 1);
            race_spin((unsigned)(bits >> 8U & 127U));
            (void)atomic_fetch_sub(&storm->inside, 1);
            wr_bulkhead_give(&storm->bulkhead);
        }
    }
    (void)atomic_fetch_sub(&storm->working, 1);
}

/* Up and down. After a shrink, once below, never above the limit again until it is raised. */
static void resize(struct storm *storm)
{
    uint64_t random = 987654321;

    while (atomic_load(&storm->working) > 0) {
        const uint32_t limit = 1 + (uint32_t)(race_random(&random) % storm->limit);
        bool below = false;

        wr_bulkhead_resize(&storm->bulkhead, limit);
        storm->resized += 1;
        for (unsigned i = 0; i < 50; ++i) {
            const uint32_t held = wr_bulkhead_held(wr_bulkhead_read(&storm->bulkhead));

            race_check(!below || held <= limit, "%u held, limit %u", held, limit);
            below = below || held <= limit;
        }
        race_pause((unsigned)(race_random(&random) & 1023U));
    }
    wr_bulkhead_resize(&storm->bulkhead, storm->limit);
}

static void storm_thread(void *user, unsigned who)
{
    if (who == WAITERS) {
        resize(user);
    } else {
        work(user, who);
    }
}

static void storm_run(const char *name, struct storm *storm)
{
    atomic_init(&storm->working, WAITERS);
    wr_bulkhead_init(&storm->bulkhead, storm->limit, &wr_system_clock);
    race_run(WAITERS + (storm->resizes ? 1U : 0U), storm_thread, storm);
    printf("%s: %llu rounds, at most %llu inside of %u, %llu waited, %llu gave up, %llu granted "
           "while giving up, %llu resizes\n",
           name, (unsigned long long)storm->rounds * WAITERS,
           (unsigned long long)atomic_load(&storm->most), storm->limit,
           (unsigned long long)atomic_load(&storm->waited),
           (unsigned long long)atomic_load(&storm->gave_up),
           (unsigned long long)atomic_load(&storm->granted_late),
           (unsigned long long)storm->resized);
    race_check(atomic_load(&storm->most) <= storm->limit, "%s: above the limit", name);
    check_empty(&storm->bulkhead, name);
}

int main(void)
{
    const uint64_t rounds = race_rounds(2000000, 200000, 30000);
    struct storm hand_over = {.rounds = rounds / 10, .limit = 1, .patience_ns = LOST_NS};
    struct storm resizes = {
        .rounds = rounds / 10, .limit = LIMIT_MAX, .patience_ns = LOST_NS, .resizes = true};
    struct storm quits = {.rounds = rounds / 10, .limit = 2, .patience_ns = 3000};
    struct storm all = {
        .rounds = rounds / 10, .limit = LIMIT_MAX, .patience_ns = 20000, .resizes = true};

    never_above_the_limit(2, 2, rounds);
    never_above_the_limit(4, 4, rounds / 2);
    never_above_the_limit(4, 3, rounds / 2);
    never_above_the_limit(8, 1, rounds / 4);
    storm_run("hand-over", &hand_over);
    storm_run("resizes", &resizes);
    storm_run("quits", &quits);
    storm_run("resizes and quits", &all);
    return race_result();
}
