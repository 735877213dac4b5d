/*
 * Control: a recorder that counts in a shard of its own and then adds up all shards, without an
 * order between the two, loses trips. The driver of trip_crossing.c must see that.
 */
#include "support/race.h"
#include "support/trip_threads.h"

#include <stdio.h>

enum { THRESHOLD = 2 };

struct shard {
    _Alignas(RACE_LINE) _Atomic uint32_t count;
};

struct sharded {
    struct shard shards[2];
    _Alignas(RACE_LINE) _Atomic bool open;
};

static bool prepare(void *user, uint64_t round)
{
    struct sharded *const self = user;

    (void)round;
    atomic_store(&self->shards[0].count, 0);
    atomic_store(&self->shards[1].count, 0);
    atomic_store(&self->open, false);
    return true;
}

/* The store may still be on its way when the other shard is read: both can read 0. */
static void record_unordered(void *user, unsigned who)
{
    struct sharded *const self = user;
    const uint32_t own = atomic_load_explicit(&self->shards[who].count, memory_order_relaxed) + 1;

    atomic_store_explicit(&self->shards[who].count, own, memory_order_relaxed);
    if (own + atomic_load_explicit(&self->shards[1 - who].count, memory_order_relaxed) >=
        THRESHOLD) {
        atomic_store_explicit(&self->open, true, memory_order_relaxed);
    }
}

/* The same as a program: the others' sum is older than the own count. */
static void record_stale(void *user, unsigned who)
{
    struct sharded *const self = user;
    const uint32_t others = atomic_load(&self->shards[1 - who].count);
    const uint32_t own = atomic_fetch_add(&self->shards[who].count, 1) + 1;

    if (own + others >= THRESHOLD) {
        atomic_store(&self->open, true);
    }
}

static bool is_open(void *user)
{
    return atomic_load(&((struct sharded *)user)->open);
}

int main(void)
{
    const uint64_t rounds = race_rounds(2000000, 400000, 100000);
    uint64_t missed = 0;

    for (unsigned again = 0; again < 10 && missed == 0; ++again) {
        struct sharded sharded = {0};
        struct crossing crossing = {
            .user = &sharded, .prepare = prepare, .record = record_unordered, .is_open = is_open};
        const struct crossing_result unordered = crossing_run(&crossing, rounds);
        struct crossing_result stale;

        crossing.record = record_stale;
        stale = crossing_run(&crossing, rounds / 10);
        missed = unordered.missed + stale.missed;
        printf("unordered: %llu rounds, %llu overlapped, %llu trips lost; stale sum: %llu rounds, "
               "%llu lost\n",
               (unsigned long long)unordered.rounds, (unsigned long long)unordered.overlapped,
               (unsigned long long)unordered.missed, (unsigned long long)stale.rounds,
               (unsigned long long)stale.missed);
    }
    if (missed > 0) {
        printf("caught: %llu trips lost\n", (unsigned long long)missed);
        return 1;
    }
    return 0;
}
