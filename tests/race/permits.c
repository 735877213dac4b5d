/*
 * One permit ended by several threads at once: exactly one end counts, also against the lease that
 * reclaims it, and old copies never end somebody else's call.
 */
#include "support/race.h"

#include <weir/testing.h>
#include <weir/weir.h>

#include <stdio.h>
#include <string.h>

enum { ENDERS = 3 };
#define LEASE_NS 1000000U

struct stage {
    weir_runtime *runtime;
    weir_dependency *dependency;
    weir_manual_clock *clock;
    uint64_t rounds;
    struct race_barrier ready, done;
    weir_permit permit;       /* this round's; each ender copies it */
    _Atomic uint32_t ends_ok; /* in this round */
    _Atomic uint64_t ended, reclaimed, refused;
};

static void stage_init(struct stage *stage, const char *settings, uint64_t rounds, unsigned parties)
{
    const weir_dependency_options dependency = {WEIR_SIZED(weir_dependency_options),
                                                .settings = settings};
    weir_runtime_options options = {WEIR_SIZED(weir_runtime_options)};
    weir_error error = {0};

    *stage = (struct stage){.rounds = rounds, .clock = weir_manual_clock_create(1000000000)};
    options.clock = weir_manual_clock_ops(stage->clock);
    race_check(weir_runtime_create(&options, &stage->runtime, &error) == WEIR_OK &&
                   weir_dependency_create(stage->runtime, "d", &dependency, &stage->dependency,
                                          &error) == WEIR_OK,
               "%s", error.message);
    race_barrier_init(&stage->ready, parties);
    race_barrier_init(&stage->done, parties);
}

static void stage_end(struct stage *stage, const char *name)
{
    uint64_t value[WEIR_COUNT_END] = {0};
    weir_error error = {0};

    race_check(weir_runtime_check(stage->runtime, &error) == WEIR_OK, "%s: %s", name,
               error.message);
    (void)weir_dependency_read(stage->dependency, value, WEIR_COUNT_END);
    race_check(value[WEIR_COUNT_SLOTS_HELD] == 0 && value[WEIR_COUNT_CALLS_OPEN] == 0,
               "%s: something is still held", name);
    race_check(value[WEIR_COUNT_CALLS_OK] == atomic_load(&stage->ended), "%s: ok counted", name);
    race_check(value[WEIR_COUNT_CALLS_LOST] == atomic_load(&stage->reclaimed), "%s: lost counted",
               name);
    printf("%s: %llu rounds, %llu ended, %llu reclaimed, %llu stale, %llu refused\n", name,
           (unsigned long long)stage->rounds, (unsigned long long)value[WEIR_COUNT_CALLS_OK],
           (unsigned long long)value[WEIR_COUNT_CALLS_LOST],
           (unsigned long long)value[WEIR_COUNT_STALE],
           (unsigned long long)atomic_load(&stage->refused));
    weir_runtime_destroy(stage->runtime);
    weir_manual_clock_destroy(stage->clock);
}

static void begin(struct stage *stage, weir_permit *ret_permit)
{
    const weir_status status = weir_begin(stage->dependency, NULL, ret_permit, NULL);

    race_check(status == WEIR_OK, "begin: %s", weir_status_name(status));
}

static bool end_copy(struct stage *stage, const weir_permit *permit)
{
    weir_permit copy = *permit;
    const weir_status status = weir_end(&copy, WEIR_V_OK, 0);

    race_check(status == WEIR_OK || status == WEIR_E_STALE, "end: %s", weir_status_name(status));
    if (status == WEIR_OK) {
        (void)atomic_fetch_add(&stage->ends_ok, 1);
        (void)atomic_fetch_add(&stage->ended, 1);
    }
    return status == WEIR_OK;
}

/* ---- one permit, several enders ---- */

static void end_together(void *user, unsigned who)
{
    struct stage *const stage = user;

    for (uint64_t round = 0; round < stage->rounds; ++round) {
        if (who == 0) {
            begin(stage, &stage->permit);
            atomic_store(&stage->ends_ok, 0);
        }
        race_meet(&stage->ready);
        (void)end_copy(stage, &stage->permit);
        race_meet(&stage->done);
        race_check(atomic_load(&stage->ends_ok) == 1, "%u ends of one permit counted",
                   atomic_load(&stage->ends_ok));
        /* Nobody begins anew while another still looks. */
        race_meet(&stage->done);
    }
}

/* ---- the lease against an end ---- */

/* 0 ends the permit whose lease has just run out; the others make calls, which reclaim it. */
static void reclaim_or_end(void *user, unsigned who)
{
    struct stage *const stage = user;
    uint64_t random = 12345 + who;

    for (uint64_t round = 0; round < stage->rounds; ++round) {
        if (who == 0) {
            begin(stage, &stage->permit);
            weir_manual_clock_advance(stage->clock, LEASE_NS);
        }
        race_meet(&stage->ready);
        race_spin((unsigned)(race_random(&random) % 64));
        if (who == 0) {
            if (!end_copy(stage, &stage->permit)) {
                (void)atomic_fetch_add(&stage->reclaimed, 1);
            }
        } else {
            weir_permit own;

            if (weir_begin(stage->dependency, NULL, &own, NULL) == WEIR_OK) {
                race_check(end_copy(stage, &own), "a fresh permit was stale");
            } else {
                (void)atomic_fetch_add(&stage->refused, 1);
            }
        }
        race_meet(&stage->done);
    }
}

/* ---- old copies ---- */

struct shared_copies {
    struct stage stage;
    weir_permit old[ENDERS];
};

/* Each thread begins and ends, and ends the others' permits of the round before. */
static void end_old_copies(void *user, unsigned who)
{
    struct shared_copies *const shared = user;
    struct stage *const stage = &shared->stage;

    for (uint64_t round = 0; round < stage->rounds; ++round) {
        weir_permit own;

        begin(stage, &own);
        for (unsigned i = 0; round > 0 && i < ENDERS; ++i) {
            weir_permit copy = shared->old[i];

            race_check(weir_end(&copy, WEIR_V_FAILED, 0) == WEIR_E_STALE, "an old permit ended");
        }
        race_meet(&stage->ready);
        shared->old[who] = own;
        race_check(end_copy(stage, &own), "a live permit was stale");
        race_meet(&stage->done);
    }
}

/* ---- mode observe: more calls than there are slots ---- */

static void end_unslotted(uint64_t rounds)
{
    enum { PERMITS = 64 };
    struct stage stage;

    stage_init(&stage, "mode: observe, max_concurrent: 1", rounds, 1);
    for (uint64_t round = 0; round < rounds; ++round) {
        weir_permit permits[PERMITS];
        weir_permit copies[PERMITS];

        for (unsigned i = 0; i < PERMITS; ++i) {
            begin(&stage, &permits[i]);
        }
        memcpy(copies, permits, sizeof(copies));
        for (unsigned i = 0; i < PERMITS; ++i) {
            race_check(end_copy(&stage, &permits[i]), "a live permit was stale");
        }
        for (unsigned i = 0; i < PERMITS; ++i) {
            race_check(weir_end(&copies[i], WEIR_V_OK, 0) == WEIR_E_STALE,
                       "the second end of permit %u counted", i);
        }
    }
    stage_end(&stage, "mode observe, double ends");
}

int main(void)
{
    const uint64_t rounds = race_rounds(200000, 50000, 10000);
    struct stage stage;
    struct shared_copies copies;

    stage_init(&stage, "max_concurrent: 1, breaker.minimum_calls: 1000000", rounds, ENDERS);
    race_run(ENDERS, end_together, &stage);
    stage_end(&stage, "ended together");

    stage_init(&stage, "max_concurrent: 2, permit_lease: 1ms", rounds, ENDERS);
    race_run(ENDERS, reclaim_or_end, &stage);
    stage_end(&stage, "lease against end");

    stage_init(&copies.stage, "max_concurrent: 3", rounds, ENDERS);
    race_run(ENDERS, end_old_copies, &copies);
    stage_end(&copies.stage, "old copies");

    end_unslotted(1);
    return race_result();
}
