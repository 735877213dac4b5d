/*
 * Control: a snapshot is written to after it has been published, and read inside a read section.
 * ThreadSanitizer must report it although the grace period's edges are stated by hand. It misses
 * the race when one thread is through before the other gets a CPU: so they meet again and again.
 */
#include "base/rcu.h"
#include "support/race.h"

#include <stdio.h>
#include <stdlib.h>

enum { PUBLISHED = 1000 };

struct snapshot {
    uint64_t left, right;
};

struct cell {
    _Atomic(struct snapshot *) current;
    _Atomic bool stop;
    uint64_t seen;
};

static void publish(struct cell *cell)
{
    for (uint64_t i = 0; i < PUBLISHED; ++i) {
        struct snapshot *const next = calloc(1, sizeof(*next));
        struct snapshot *old;

        if (next == NULL) {
            break;
        }
        next->left = i;
        old = atomic_exchange_explicit(&cell->current, next, memory_order_acq_rel);
        next->right = i; /* the mistake */
        wr_rcu_synchronize();
        free(old);
    }
    atomic_store(&cell->stop, true);
}

static void read_or_publish(void *user, unsigned who)
{
    struct cell *const cell = user;

    if (who == 0) {
        publish(cell);
        return;
    }
    while (!atomic_load(&cell->stop)) {
        const struct snapshot *snapshot;

        wr_rcu_enter();
        snapshot = atomic_load_explicit(&cell->current, memory_order_acquire);
        if (snapshot != NULL) {
            cell->seen += snapshot->right != snapshot->left ? 1 : 0;
        }
        wr_rcu_leave();
    }
}

int main(void)
{
    struct cell cell = {.seen = 0};

    for (int again = 0; again < 20; ++again) {
        atomic_store(&cell.stop, false);
        race_run(2, read_or_publish, &cell);
    }
    printf("half-written snapshots seen: %llu\n", (unsigned long long)cell.seen);
    free(atomic_load(&cell.current));
    return 0;
}
