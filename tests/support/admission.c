/*
 * See admission.h.
 */
#include "support/admission.h"

#include "support/race.h"

enum { STAY_MAX = 32, YIELD_ONE_IN = 256 };

struct driver {
    const struct admission *admission;
    uint64_t rounds;
    _Alignas(RACE_LINE) _Atomic uint64_t inside;
    _Atomic uint64_t most, taken, refused;
};

static void come_and_go(void *user, unsigned who)
{
    struct driver *const driver = user;
    const struct admission *const admission = driver->admission;
    uint64_t random = 88172645463325252U + who;
    uint64_t taken = 0;

    for (uint64_t i = 0; i < driver->rounds; ++i) {
        const uint64_t bits = race_random(&random);

        if (admission->take(admission->user)) {
            /* Counted after the take and before the give: never more than are really inside. */
            race_raise(&driver->most, atomic_fetch_add(&driver->inside, 1) + 1);
            race_spin((unsigned)(bits % STAY_MAX));
            if (bits / STAY_MAX % YIELD_ONE_IN == 0) {
                race_pause(UINT32_MAX); /* others come while we hold a place */
            }
            (void)atomic_fetch_sub(&driver->inside, 1);
            admission->give(admission->user);
            taken += 1;
        }
    }
    (void)atomic_fetch_add(&driver->taken, taken);
    (void)atomic_fetch_add(&driver->refused, driver->rounds - taken);
}

struct admission_result admission_run(const struct admission *admission, unsigned threads,
                                      uint64_t rounds)
{
    struct driver driver = {.admission = admission, .rounds = rounds};

    race_run(threads, come_and_go, &driver);
    return (struct admission_result){.rounds = rounds,
                                     .most = atomic_load(&driver.most),
                                     .taken = atomic_load(&driver.taken),
                                     .refused = atomic_load(&driver.refused)};
}
