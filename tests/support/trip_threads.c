/*
 * See trip_threads.h.
 */
#include "support/trip_threads.h"

#include "support/race.h"

enum { DELAY_MAX = 64 };

struct side {
    _Alignas(RACE_LINE) _Atomic uint64_t begun; /* number of the round, from 1 */
    uint64_t saw_other;                         /* rounds in which the other had begun by our end */
    bool saw_now;
};

struct driver {
    const struct crossing *crossing;
    struct race_barrier ready, done;
    struct side sides[2];
    struct crossing_result result;
};

static void record_one(struct driver *driver, unsigned who, uint64_t round, uint64_t *random)
{
    struct side *const own = &driver->sides[who];

    race_spin((unsigned)(race_random(random) % DELAY_MAX));
    atomic_store_explicit(&own->begun, round + 1, memory_order_relaxed);
    driver->crossing->record(driver->crossing->user, who);
    own->saw_now =
        atomic_load_explicit(&driver->sides[1 - who].begun, memory_order_relaxed) == round + 1;
}

static void judge(struct driver *driver, bool must_open)
{
    struct crossing_result *const result = &driver->result;
    const bool open = driver->crossing->is_open(driver->crossing->user);

    result->missed += must_open && !open ? 1 : 0;
    result->invented += !must_open && open ? 1 : 0;
    result->overlapped += driver->sides[0].saw_now && driver->sides[1].saw_now ? 1 : 0;
}

static void cross(void *user, unsigned who)
{
    struct driver *const driver = user;
    uint64_t random = 88172645463325252U + who;
    bool must_open = false;

    for (uint64_t round = 0; round < driver->result.rounds; ++round) {
        if (who == 0) {
            must_open = driver->crossing->prepare(driver->crossing->user, round);
        }
        race_meet(&driver->ready);
        record_one(driver, who, round, &random);
        race_meet(&driver->done);
        if (who == 0) {
            judge(driver, must_open);
        }
    }
}

struct crossing_result crossing_run(const struct crossing *crossing, uint64_t rounds)
{
    struct driver driver = {.crossing = crossing, .result = {.rounds = rounds}};

    race_barrier_init(&driver.ready, 2);
    race_barrier_init(&driver.done, 2);
    race_run(2, cross, &driver);
    return driver.result;
}
