/*
 * The window shared by threads: after concurrent recording over bucket boundaries its totals are
 * those of a log, an old epoch's outcome is never counted, and every concurrent read has failures
 * <= calls.
 */
#include "base/hosted.h"
#include "guard/breaker.h"
#include "guard/window.h"
#include "support/race.h"

#include <stdio.h>
#include <string.h>

enum { RECORDERS = 3, BUCKETS = 4, LOG = 4096 };
#define BUCKET_NS UINT64_C(1000)
#define BEGIN_NS  (1000000 * BUCKET_NS)

/* What was recorded, by absolute bucket. */
struct tally {
    _Alignas(RACE_LINE) struct wr_window_sum bucket[LOG];
    uint64_t outside, late;
};

struct stage {
    struct wr_host host;
    struct wr_window *window;
    uint64_t rounds;     /* of each recorder */
    uint64_t per_bucket; /* rounds after which a recorder moves the time on */
    uint64_t first_bucket;
    _Alignas(RACE_LINE) _Atomic uint64_t now_ns;
    _Atomic uint32_t working;
    uint64_t reads;
    struct tally tallies[RECORDERS];
};

static void stage_init(struct stage *stage, const struct wr_window_shape *shape, uint64_t rounds)
{
    memset(stage, 0, sizeof(*stage));
    atomic_init(&stage->now_ns, BEGIN_NS);
    atomic_init(&stage->working, RECORDERS);
    (void)wr_host_init(&stage->host, &(weir_runtime_options){.size = sizeof(weir_runtime_options)},
                       NULL);
    stage->window = wr_window_create(&stage->host, shape, 2, 7, BEGIN_NS);
    stage->rounds = rounds;
    stage->per_bucket = rounds / 200 + 1;
    stage->first_bucket = BEGIN_NS / BUCKET_NS;
}

static struct wr_observation random_outcome(uint64_t bits)
{
    return (struct wr_observation){.failure = (bits & 3U) == 0, .slow = (bits >> 2U & 3U) == 0};
}

static void note(struct wr_window_sum *sum, struct wr_observation observation)
{
    sum->calls += 1;
    sum->failures += observation.failure ? 1 : 0;
    sum->slow += observation.slow ? 1 : 0;
}

static void record_all(struct stage *stage, unsigned who)
{
    struct tally *const tally = &stage->tallies[who];
    uint64_t random = 88172645463325252U + who;

    for (uint64_t i = 0; i < stage->rounds; ++i) {
        const uint64_t bits = race_random(&random);
        const struct wr_observation observation = random_outcome(bits);
        uint64_t now_ns;

        if (i % stage->per_bucket == stage->per_bucket - 1) {
            (void)atomic_fetch_add(&stage->now_ns, BUCKET_NS / 2 + (bits >> 8U) % BUCKET_NS);
        }
        now_ns = atomic_load(&stage->now_ns);
        if ((bits >> 4U & 15U) == 0) { /* a stale stamp, sometimes too old */
            now_ns -= (bits >> 20U) % ((BUCKETS + 1) * BUCKET_NS);
        }
        switch (wr_window_record(stage->window, 7, now_ns, observation)) {
        case WR_RECORDED:
            note(&tally->bucket[now_ns / BUCKET_NS % LOG], observation);
            break;
        case WR_RECORDED_OUTSIDE:
            tally->outside += 1;
            break;
        case WR_RECORDED_LATE:
        case WR_RECORDED_MOVED:
        default:
            tally->late += 1;
            break;
        }
    }
    (void)atomic_fetch_sub(&stage->working, 1);
}

static void read_all(struct stage *stage)
{
    while (atomic_load(&stage->working) > 0) {
        const struct wr_window_sum sum =
            wr_window_sum(stage->window, atomic_load(&stage->now_ns) - stage->reads % 7 * 300);

        race_check(sum.failures <= sum.calls, "%llu failures of %llu calls",
                   (unsigned long long)sum.failures, (unsigned long long)sum.calls);
        race_check(sum.slow <= sum.calls, "%llu slow of %llu calls", (unsigned long long)sum.slow,
                   (unsigned long long)sum.calls);
        stage->reads += 1;
        if (stage->reads % 64 == 0) {
            race_pause(UINT32_MAX);
        }
    }
}

static void record_or_read(void *user, unsigned who)
{
    if (who == RECORDERS) {
        read_all(user);
    } else {
        record_all(user, who);
    }
}

static struct wr_window_sum expected(const struct stage *stage, uint64_t last)
{
    struct wr_window_sum sum = {0};

    for (uint64_t b = last + 1 - BUCKETS; b <= last; ++b) {
        for (unsigned i = 0; i < RECORDERS; ++i) {
            const struct wr_window_sum *const part = &stage->tallies[i].bucket[b % LOG];

            sum.calls += part->calls;
            sum.failures += part->failures;
            sum.slow += part->slow;
        }
    }
    return sum;
}

static void check_sum(const char *name, struct wr_window_sum sum, struct wr_window_sum wanted)
{
    race_check(sum.calls == wanted.calls && sum.failures == wanted.failures &&
                   sum.slow == wanted.slow,
               "%s: %llu/%llu/%llu, the log says %llu/%llu/%llu", name,
               (unsigned long long)sum.calls, (unsigned long long)sum.failures,
               (unsigned long long)sum.slow, (unsigned long long)wanted.calls,
               (unsigned long long)wanted.failures, (unsigned long long)wanted.slow);
}

static void time_window(uint64_t rounds, uint64_t again)
{
    const struct wr_window_shape shape = {.time = {.bucket_ns = BUCKET_NS, .buckets = BUCKETS}};
    uint64_t outside = 0;
    uint64_t reads = 0;

    for (uint64_t i = 0; i < again; ++i) {
        static struct stage stage;
        uint64_t newest;

        stage_init(&stage, &shape, rounds / again);
        race_run(RECORDERS + 1, record_or_read, &stage);
        newest = atomic_load(&stage.now_ns) / BUCKET_NS;
        race_check(newest - stage.first_bucket < LOG, "the log is too short");
        for (uint64_t ahead = 0; ahead <= BUCKETS; ++ahead) {
            check_sum("time window", wr_window_sum(stage.window, (newest + ahead) * BUCKET_NS),
                      expected(&stage, newest + ahead));
        }
        for (unsigned who = 0; who < RECORDERS; ++who) {
            race_check(stage.tallies[who].late == 0, "late within one epoch");
            outside += stage.tallies[who].outside;
        }
        reads += stage.reads;
        wr_window_destroy(stage.window);
    }
    printf("time window: %llu outcomes in %llu runs, %llu outside, %llu concurrent reads\n",
           (unsigned long long)rounds * RECORDERS, (unsigned long long)again,
           (unsigned long long)outside, (unsigned long long)reads);
}

static void count_window(uint64_t rounds)
{
    const struct wr_window_shape shape = {.size = 100000};
    static struct stage stage;
    struct wr_window_sum all = {0};
    struct wr_window_sum sum;

    stage_init(&stage, &shape, rounds < 30000 ? rounds : 30000);
    race_run(RECORDERS + 1, record_or_read, &stage);
    for (unsigned who = 0; who < RECORDERS; ++who) {
        for (unsigned b = 0; b < LOG; ++b) {
            all.calls += stage.tallies[who].bucket[b].calls;
            all.failures += stage.tallies[who].bucket[b].failures;
            all.slow += stage.tallies[who].bucket[b].slow;
        }
    }
    check_sum("count window", wr_window_sum(stage.window, 0), all);
    wr_window_destroy(stage.window);

    stage_init(&stage, &(struct wr_window_shape){.size = 100}, rounds);
    race_run(RECORDERS + 1, record_or_read, &stage);
    sum = wr_window_sum(stage.window, 0);
    race_check(sum.calls == 100, "%llu outcomes in a window of 100", (unsigned long long)sum.calls);
    printf("count window: %llu outcomes, %llu concurrent reads\n",
           (unsigned long long)rounds * RECORDERS, (unsigned long long)stage.reads);
    wr_window_destroy(stage.window);
}

/* ---- a new epoch while the old one's outcomes come in ---- */

struct epochs {
    struct stage stage;
    struct race_barrier ready, done;
    uint64_t epoch;
    _Atomic uint64_t recorded, late;
};

static void change_epoch(void *user, unsigned who)
{
    struct epochs *const self = user;

    for (uint64_t round = 0; round < self->stage.rounds; ++round) {
        race_meet(&self->ready);
        if (who == RECORDERS) {
            wr_window_begin_epoch(self->stage.window, self->epoch + 1);
        } else {
            const enum wr_recorded recorded =
                wr_window_record(self->stage.window, self->epoch, BEGIN_NS + round % 2 * BUCKET_NS,
                                 (struct wr_observation){.failure = who != 0});

            (void)atomic_fetch_add(recorded == WR_RECORDED ? &self->recorded : &self->late, 1);
        }
        race_meet(&self->done);
        if (who == RECORDERS) {
            const struct wr_window_sum sum = wr_window_sum(self->stage.window, BEGIN_NS);

            race_check(sum.calls == 0, "%llu outcomes of an older epoch counted",
                       (unsigned long long)sum.calls);
            self->epoch += 1;
        }
    }
}

static void epochs(const char *name, uint32_t size, uint64_t rounds)
{
    const struct wr_window_shape shape = {.size = size,
                                          .time = {.bucket_ns = BUCKET_NS, .buckets = BUCKETS}};
    static struct epochs self;

    memset(&self, 0, sizeof(self));
    stage_init(&self.stage, &shape, rounds);
    self.epoch = 7;
    race_barrier_init(&self.ready, RECORDERS + 1);
    race_barrier_init(&self.done, RECORDERS + 1);
    race_run(RECORDERS + 1, change_epoch, &self);
    printf("%s: %llu epochs, %llu recorded before the change, %llu late\n", name,
           (unsigned long long)rounds, (unsigned long long)atomic_load(&self.recorded),
           (unsigned long long)atomic_load(&self.late));
    wr_window_destroy(self.stage.window);
}

/* ---- a count window resized while outcomes come in: all of them are kept ---- */

enum { KEPT_SIZE = 60000 };

struct resized {
    struct wr_host host;
    struct wr_slots slots;
    struct wr_breaker breaker;
    struct wr_breaker_rule rule;
    uint64_t rounds;
    _Atomic uint32_t working;
    struct wr_window *replaced[KEPT_SIZE];
    uint64_t resizes;
};

static void resize_or_record(void *user, unsigned who)
{
    struct resized *const self = user;
    const struct wr_breaker_permit permit = {.epoch = wr_breaker_epoch(&self->breaker),
                                             .trial = WR_BREAKER_NO_TRIAL};

    if (who < RECORDERS) {
        for (uint64_t i = 0; i < self->rounds; ++i) {
            race_check(wr_breaker_record(&self->breaker, &self->rule, &permit,
                                         (struct wr_observation){.failure = i % 2 == 0},
                                         BEGIN_NS) == WR_RECORDED,
                       "not recorded");
        }
        (void)atomic_fetch_sub(&self->working, 1);
        return;
    }
    while (atomic_load(&self->working) > 0 && self->resizes < KEPT_SIZE) {
        const struct wr_window_shape shape = {.size = KEPT_SIZE + (uint32_t)(self->resizes % 2)};

        self->replaced[self->resizes] = wr_breaker_set_window(
            &self->breaker, wr_window_create(&self->host, &shape, 2, 1, BEGIN_NS));
        self->resizes += 1;
        race_pause(UINT32_MAX);
    }
}

static void resizes_keep_all(uint64_t again)
{
    uint64_t resizes = 0;

    for (uint64_t i = 0; i < again; ++i) {
        static struct resized self;
        const struct wr_window_shape shape = {.size = KEPT_SIZE};
        struct wr_window_sum sum;

        memset(&self, 0, sizeof(self));
        self.rounds = KEPT_SIZE / RECORDERS;
        atomic_init(&self.working, RECORDERS);
        self.rule = (struct wr_breaker_rule){.minimum_calls = 1000000000,
                                             .failure_rate_ppm = 1000000,
                                             .slow_rate_ppm = WR_RATE_OFF,
                                             .open_backoff_ppm = 1000000,
                                             .trial_calls = 1,
                                             .trial_successes = 1};
        (void)wr_host_init(&self.host,
                           &(weir_runtime_options){.size = sizeof(weir_runtime_options)}, NULL);
        (void)wr_slots_init(&self.slots, 8, &self.host);
        wr_breaker_init(&self.breaker, &self.slots, &self.host, NULL, NULL, BEGIN_NS);
        (void)wr_breaker_set_window(&self.breaker,
                                    wr_window_create(&self.host, &shape, 2, 1, BEGIN_NS));
        race_run(RECORDERS + 1, resize_or_record, &self);
        sum = wr_window_sum(atomic_load(&self.breaker.window), BEGIN_NS);
        check_sum("resized count window", sum,
                  (struct wr_window_sum){.calls = self.rounds * RECORDERS,
                                         .failures = self.rounds / 2 * RECORDERS});
        resizes += self.resizes;
        for (uint64_t r = 0; r < self.resizes; ++r) {
            wr_window_destroy(self.replaced[r]);
        }
        wr_breaker_destroy(&self.breaker);
        wr_slots_destroy(&self.slots);
    }
    printf("resized count window: %llu runs, %llu resizes\n", (unsigned long long)again,
           (unsigned long long)resizes);
}

int main(void)
{
    const uint64_t rounds = race_rounds(2000000, 400000, 60000);

    time_window(rounds, 10);
    count_window(rounds / 10);
    epochs("epochs of a time window", 0, rounds / 10);
    epochs("epochs of a count window", 50, rounds / 10);
    resizes_keep_all(rounds / 200000 + 1);
    return race_result();
}
