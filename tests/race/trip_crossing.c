/*
 * A threshold that two recordings cross together: when both have returned the breaker is open, and
 * it is not when all outcomes together stay below. A new epoch of one breaker every round.
 */
#include "base/hosted.h"
#include "guard/breaker.h"
#include "support/race.h"
#include "support/trip_threads.h"

#include <weir/dependency.h>

#include <stdio.h>

#define BUCKET_NS UINT64_C(1000000)
#define FAR       3600000000000U

enum { GOOD, BAD, SLOW, BAD_SLOW, OUTCOMES };

static const struct wr_observation observations[OUTCOMES] = {
    [GOOD] = {0},
    [BAD] = {.failure = true},
    [SLOW] = {.slow = true},
    [BAD_SLOW] = {.failure = true, .slow = true},
};

/* What the window holds before, what the two record, and whether that must open. */
struct scene {
    const char *name;
    uint64_t minimum_calls, failure_ppm, slow_ppm, consecutive;
    unsigned before[OUTCOMES];
    unsigned records[2];
    bool opens;
};

static const struct scene scenes[] = {
    {"failure rate", 4, 500000, WR_RATE_OFF, 0, {2, 0, 0, 0}, {BAD, BAD}, true},
    {"failure rate, not reached", 4, 500001, WR_RATE_OFF, 0, {2, 0, 0, 0}, {BAD, BAD}, false},
    {"failure rate, minimum missing", 5, 500000, WR_RATE_OFF, 0, {2, 0, 0, 0}, {BAD, BAD}, false},
    {"good and bad complete the minimum",
     4,
     500000,
     WR_RATE_OFF,
     0,
     {1, 1, 0, 0},
     {GOOD, BAD},
     true},
    {"first good and first bad", 2, 500000, WR_RATE_OFF, 0, {0}, {GOOD, BAD}, true},
    {"good and bad, minimum missing", 3, 500000, WR_RATE_OFF, 0, {0}, {GOOD, BAD}, false},
    {"two good complete the minimum", 4, 500000, WR_RATE_OFF, 0, {0, 2, 0, 0}, {GOOD, GOOD}, true},
    {"bad share below in any order", 3, 250000, WR_RATE_OFF, 0, {4, 0, 0, 0}, {BAD, GOOD}, false},
    {"bad shares below in any order",
     3,
     400000,
     WR_RATE_OFF,
     0,
     {4, 0, 0, 0},
     {BAD, BAD_SLOW},
     false},
    {"slow rate", 4, WR_RATE_OFF, 500000, 0, {2, 0, 0, 0}, {SLOW, SLOW}, true},
    {"slow rate of failures too", 2, WR_RATE_OFF, 1000000, 0, {0}, {SLOW, BAD_SLOW}, true},
    {"good and slow", 2, WR_RATE_OFF, 500000, 0, {0}, {GOOD, SLOW}, true},
    {"slow rate, not reached", 2, WR_RATE_OFF, 500001, 0, {2, 0, 0, 0}, {SLOW, SLOW}, false},
    {"either rate", 2, 500000, 500000, 0, {0}, {BAD, SLOW}, true},
    {"failures in a row", 1000, 1000000, WR_RATE_OFF, 2, {1, 0, 0, 0}, {BAD, BAD_SLOW}, true},
    {"failures in a row, one missing", 1000, 1000000, WR_RATE_OFF, 3, {0}, {BAD, BAD}, false},
};
enum { SCENES = sizeof(scenes) / sizeof(scenes[0]) };

struct stage {
    struct wr_host host;
    struct wr_slots slots;
    struct wr_breaker breaker;
    struct wr_breaker_rule rules[SCENES];
    struct wr_breaker_permit permit;
    const struct wr_breaker_rule *rule;
    const struct scene *scene;
    uint64_t now_ns[2]; /* of the two threads */
    uint64_t random;
};

static void stage_init(struct stage *stage, uint32_t count_window)
{
    const struct wr_window_shape shape = {.size = count_window,
                                          .time = {.bucket_ns = BUCKET_NS, .buckets = 3}};

    *stage = (struct stage){.random = 1234567, .now_ns = {BUCKET_NS * 1000, BUCKET_NS * 1000}};
    (void)wr_host_init(&stage->host, &(weir_runtime_options){.size = sizeof(weir_runtime_options)},
                       NULL);
    (void)wr_slots_init(&stage->slots, 8, &stage->host);
    wr_breaker_init(&stage->breaker, &stage->slots, &stage->host, NULL, NULL, stage->now_ns[0]);
    (void)wr_breaker_set_window(&stage->breaker,
                                wr_window_create(&stage->host, &shape, 2, 1, stage->now_ns[0]));
    for (unsigned i = 0; i < SCENES; ++i) {
        stage->rules[i] = (struct wr_breaker_rule){.minimum_calls = scenes[i].minimum_calls,
                                                   .failure_rate_ppm = scenes[i].failure_ppm,
                                                   .slow_rate_ppm = scenes[i].slow_ppm,
                                                   .slow_call_ns = BUCKET_NS,
                                                   .consecutive_failures = scenes[i].consecutive,
                                                   .open_for_ns = FAR,
                                                   .open_backoff_ppm = 1000000,
                                                   .open_for_max_ns = FAR,
                                                   .trial_lease_ns = FAR,
                                                   .trial_calls = 1,
                                                   .trial_successes = 1};
    }
}

static void stage_destroy(struct stage *stage)
{
    wr_breaker_destroy(&stage->breaker);
    wr_slots_destroy(&stage->slots);
}

static bool prepare(void *user, uint64_t round)
{
    struct stage *const stage = user;
    const uint64_t bits = race_random(&stage->random);
    uint64_t now_ns = stage->now_ns[0] > stage->now_ns[1] ? stage->now_ns[0] : stage->now_ns[1];

    stage->scene = &scenes[round % SCENES];
    stage->rule = &stage->rules[round % SCENES];
    now_ns += (bits & 3U) * BUCKET_NS / 2;
    wr_breaker_restart(&stage->breaker, stage->rule, now_ns);
    stage->permit = (struct wr_breaker_permit){.epoch = wr_breaker_epoch(&stage->breaker),
                                               .trial = WR_BREAKER_NO_TRIAL};
    for (unsigned outcome = 0; outcome < OUTCOMES; ++outcome) {
        for (unsigned i = 0; i < stage->scene->before[outcome]; ++i) {
            (void)wr_breaker_record(&stage->breaker, stage->rule, &stage->permit,
                                    observations[outcome], now_ns);
        }
    }
    /* Often one of the two is the first to record in a new bucket, or has a stale stamp. */
    stage->now_ns[0] = now_ns + (bits >> 2U & 1U) * BUCKET_NS;
    stage->now_ns[1] = now_ns + (bits >> 3U & 1U) * BUCKET_NS;
    return stage->scene->opens;
}

static void record(void *user, unsigned who)
{
    struct stage *const stage = user;

    (void)wr_breaker_record(&stage->breaker, stage->rule, &stage->permit,
                            observations[stage->scene->records[who]], stage->now_ns[who]);
}

static bool is_open(void *user)
{
    struct stage *const stage = user;

    return wr_breaker_visible(&stage->breaker, stage->now_ns[0]) == WEIR_BREAKER_OPEN;
}

static uint64_t play(const char *name, uint32_t count_window, uint64_t rounds)
{
    struct stage stage;
    const struct crossing crossing = {
        .user = &stage, .prepare = prepare, .record = record, .is_open = is_open};
    struct crossing_result result;

    stage_init(&stage, count_window);
    result = crossing_run(&crossing, rounds);
    stage_destroy(&stage);
    printf("%s: %llu rounds, %llu overlapped, %llu trips missed, %llu invented\n", name,
           (unsigned long long)result.rounds, (unsigned long long)result.overlapped,
           (unsigned long long)result.missed, (unsigned long long)result.invented);
    race_check(result.missed == 0, "%s: trips were missed", name);
    race_check(result.invented == 0, "%s: trips were invented", name);
    return result.overlapped;
}

int main(void)
{
    enum { TRIES = 10 };
    const uint64_t rounds = race_rounds(2000000, 200000, 40000);
    uint64_t overlapped = 0;

    /* On a machine whose CPUs others use, two threads may not meet at all for a while. */
    for (int i = 0; i < TRIES && overlapped == 0; ++i) {
        overlapped += play("time window", 0, rounds);
        overlapped += play("count window", 64, rounds / 4);
    }
    race_check(rounds < 1000 || overlapped > 0, "nothing overlapped: this proves nothing");
    return race_result();
}
