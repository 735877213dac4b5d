/*
 * Control: a bulkhead that looks and then increments admits too many. The driver of
 * bulkhead_exact.c must see that.
 */
#include "support/admission.h"
#include "support/race.h"

#include <stdio.h>

enum { LIMIT = 2, THREADS = 4 };

struct planted {
    _Alignas(RACE_LINE) _Atomic uint32_t held;
};

static bool take(void *user)
{
    struct planted *const self = user;

    if (atomic_load(&self->held) >= LIMIT) {
        return false;
    }
    (void)atomic_fetch_add(&self->held, 1);
    return true;
}

static void give(void *user)
{
    struct planted *const self = user;

    (void)atomic_fetch_sub(&self->held, 1);
}

int main(void)
{
    const uint64_t rounds = race_rounds(500000, 200000, 50000);
    struct planted planted = {0};
    const struct admission admission = {.user = &planted, .take = take, .give = give};

    for (unsigned again = 0; again < 50; ++again) {
        const struct admission_result result = admission_run(&admission, THREADS, rounds);

        printf("%llu rounds, %llu taken, %llu refused, at most %llu inside\n",
               (unsigned long long)result.rounds * THREADS, (unsigned long long)result.taken,
               (unsigned long long)result.refused, (unsigned long long)result.most);
        if (result.most > LIMIT) {
            printf("caught: %llu inside, limit %d\n", (unsigned long long)result.most, LIMIT);
            return 1;
        }
    }
    return 0;
}
