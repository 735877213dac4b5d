/*
 * The rate limit shared by threads whose stamps are stale now and then: never more than burst +
 * rate
 * * time, under saturation all of it, and a live change keeps the tokens that there are.
 */
#include "base/hosted.h"
#include "base/wide.h"
#include "guard/rate.h"
#include "support/race.h"

#include <stdio.h>
#include <stdlib.h>

enum { TAKERS = 3, CHANGES_MAX = 4096 };
#define BEGIN_NS  5000000000U
#define SECOND_NS 1000000000U
#define STALE_NS  2000000U

struct stage {
    struct wr_host host;
    _Atomic(struct wr_rate *) rate;
    _Alignas(RACE_LINE) _Atomic uint64_t now_ns;   /* the clock */
    _Alignas(RACE_LINE) _Atomic uint64_t refusals; /* with a fresh stamp, since the last step */
    _Atomic bool stop;
    uint64_t steps, step_ns, max_wait_ns;
    uint64_t changes;
    bool stale;
    _Atomic uint64_t admitted, attempts, moved;
    struct wr_rate *all[CHANGES_MAX + 1];
    uint64_t count;
};

static void stage_init(struct stage *stage, const struct wr_rate_rule *rule)
{
    *stage = (struct stage){.now_ns = BEGIN_NS};
    (void)wr_host_init(&stage->host, &(weir_runtime_options){.size = sizeof(weir_runtime_options)},
                       NULL);
    stage->all[0] = wr_rate_create(&stage->host, rule, BEGIN_NS, NULL);
    stage->count = 1;
    atomic_store(&stage->rate, stage->all[0]);
}

static void stage_end(struct stage *stage)
{
    for (uint64_t i = 0; i < stage->count; ++i) {
        wr_rate_destroy(stage->all[i]);
    }
}

static bool take_one(struct stage *stage, uint64_t now_ns)
{
    struct wr_rate_answer answer;

    do {
        answer = wr_rate_take(atomic_load(&stage->rate), now_ns, 1, stage->max_wait_ns);
        if (answer.verdict == WR_RATE_MOVED) {
            (void)atomic_fetch_add(&stage->moved, 1);
        }
    } while (answer.verdict == WR_RATE_MOVED);
    race_check(answer.verdict == WR_RATE_PASS || answer.verdict == WR_RATE_REFUSE, "verdict %d",
               (int)answer.verdict);
    race_check(answer.verdict != WR_RATE_PASS || answer.wait_ns <= stage->max_wait_ns,
               "a wait above the longest");
    return answer.verdict == WR_RATE_PASS;
}

static void take_until_told(struct stage *stage, unsigned who)
{
    uint64_t random = 88172645463325252U + who;
    uint64_t admitted = 0;
    uint64_t attempts = 0;

    while (!atomic_load(&stage->stop)) {
        const uint64_t bits = race_random(&random);
        const bool stale = stage->stale && (bits & 3U) == 0;
        const uint64_t now_ns = atomic_load(&stage->now_ns);
        bool passed;

        if ((bits >> 2U & 255U) == 0) {
            race_pause(UINT32_MAX); /* the stamp ages for real */
        }
        passed = take_one(stage, stale ? now_ns - (bits >> 32U) % STALE_NS : now_ns);
        attempts += 1;
        admitted += passed ? 1 : 0;
        if (!passed && !stale && now_ns == atomic_load(&stage->now_ns)) {
            (void)atomic_fetch_add(&stage->refusals, 1);
        }
    }
    (void)atomic_fetch_add(&stage->admitted, admitted);
    (void)atomic_fetch_add(&stage->attempts, attempts);
}

/* The time goes on when everybody has been refused: saturated at every moment. */
static void await_saturation(struct stage *stage)
{
    unsigned n = 0;

    atomic_store(&stage->refusals, 0);
    while (atomic_load(&stage->refusals) < TAKERS) {
        race_pause(n++);
    }
}

static void drive_clock(struct stage *stage)
{
    uint64_t random = 424242;

    for (uint64_t i = 0; i < stage->steps; ++i) {
        await_saturation(stage);
        (void)atomic_fetch_add(&stage->now_ns, race_random(&random) % stage->step_ns + 1);
    }
    await_saturation(stage);
    atomic_store(&stage->stop, true);
}

static void saturate(void *user, unsigned who)
{
    if (who == TAKERS) {
        drive_clock(user);
    } else {
        take_until_told(user, who);
    }
}

/* burst + rate * time in whole tokens, rounded down. */
static uint64_t ceiling(const struct wr_rate_rule *rule, uint64_t period_ns)
{
    return rule->burst +
           (uint64_t)((wr_u128)period_ns * rule->milli / ((wr_u128)rule->per_ns * 1000));
}

static void all_of_it_and_no_more(const char *name, struct wr_rate_rule rule, uint64_t steps,
                                  uint64_t max_wait_ns)
{
    static struct stage stage;
    uint64_t most;

    stage_init(&stage, &rule);
    stage.steps = steps;
    stage.step_ns = rule.per_ns / rule.milli * 1000 * (rule.burst < 8 ? 1 : 4);
    stage.max_wait_ns = max_wait_ns;
    stage.stale = true;
    race_run(TAKERS + 1, saturate, &stage);
    most = ceiling(&rule, atomic_load(&stage.now_ns) - BEGIN_NS + max_wait_ns);
    printf("%s: %llu attempts, %llu admitted, burst + rate * time = %llu\n", name,
           (unsigned long long)atomic_load(&stage.attempts),
           (unsigned long long)atomic_load(&stage.admitted), (unsigned long long)most);
    race_check(atomic_load(&stage.admitted) <= most, "%s: too many", name);
    /* T above 1/16 ns precision may cost 0.007 %; the last of them one token. */
    race_check(atomic_load(&stage.admitted) + 1 >= most - most / 1000, "%s: too few", name);
    stage_end(&stage);
}

/* In a sliding window nothing is promised but the bound: never more than n in any period. */
static void window_never_above(uint64_t steps)
{
    static struct stage stage;
    const struct wr_rate_rule rule = {
        .milli = 50000, .per_ns = SECOND_NS, .burst = 1, .window = true};
    uint64_t periods;

    stage_init(&stage, &rule);
    stage.steps = steps;
    stage.step_ns = SECOND_NS / 50;
    stage.stale = true;
    race_run(TAKERS + 1, saturate, &stage);
    periods = (atomic_load(&stage.now_ns) - BEGIN_NS) / SECOND_NS + 1;
    printf("window: %llu attempts, %llu admitted in %llu periods of at most 50\n",
           (unsigned long long)atomic_load(&stage.attempts),
           (unsigned long long)atomic_load(&stage.admitted), (unsigned long long)periods);
    race_check(atomic_load(&stage.admitted) <= periods * 50, "window: too many");
    race_check(atomic_load(&stage.admitted) >= (periods - 1) * 50 * 999 / 1000, "window: too few");
    stage_end(&stage);
}

/* ---- live changes while the time stands still ---- */

static const struct wr_rate_rule rules[] = {
    {.milli = 1000000, .per_ns = SECOND_NS, .burst = 100000},
    {.milli = 500000, .per_ns = SECOND_NS, .burst = 100000},
    {.milli = 8000, .per_ns = SECOND_NS, .burst = 200000},
    {.milli = 100000000, .per_ns = SECOND_NS, .burst = 100000, .window = true},
    {.milli = 125000, .per_ns = SECOND_NS, .burst = 150000},
    {.milli = 200000000, .per_ns = SECOND_NS, .burst = 100000, .window = true},
};
enum { RULES = sizeof(rules) / sizeof(rules[0]) };

static void change_rules(struct stage *stage)
{
    uint64_t random = 31337;

    for (uint64_t i = 0; i < stage->changes; ++i) {
        struct wr_rate *const old = stage->all[stage->count - 1];
        struct wr_rate *const next =
            wr_rate_create(&stage->host, &rules[(i + 1) % RULES], atomic_load(&stage->now_ns), old);

        if (next == NULL) {
            race_check(false, "no memory");
            break;
        }
        stage->all[stage->count++] = next;
        atomic_store(&stage->rate, next);
        if ((race_random(&random) & 1U) != 0) { /* else a taker may be the first to touch it */
            race_spin((unsigned)(race_random(&random) % 4096));
        }
        wr_rate_adopt(next, atomic_load(&stage->now_ns));
        race_spin((unsigned)(race_random(&random) % 4096));
        (void)wr_rate_tokens(next, atomic_load(&stage->now_ns));
    }
    await_saturation(stage);
    atomic_store(&stage->stop, true);
}

static void change_under_load(void *user, unsigned who)
{
    if (who == TAKERS) {
        change_rules(user);
    } else {
        take_until_told(user, who);
    }
}

static void changes_keep_the_tokens(uint64_t again)
{
    uint64_t moved = 0;
    uint64_t rounds = 0;

    for (; rounds < again && !race_failed(); ++rounds) {
        static struct stage stage;

        stage_init(&stage, &rules[0]);
        stage.changes = 24;
        race_run(TAKERS + 1, change_under_load, &stage);
        race_check(atomic_load(&stage.admitted) == 100000, "%llu admitted of 100000",
                   (unsigned long long)atomic_load(&stage.admitted));
        moved += atomic_load(&stage.moved);
        stage_end(&stage);
    }
    printf("live changes: %llu rounds of 24 changes, %llu takes met a frozen limit\n",
           (unsigned long long)rounds, (unsigned long long)moved);
}

int main(void)
{
    const uint64_t steps = race_rounds(60000, 12000, 2000);

    all_of_it_and_no_more(
        "1000/s, burst 100",
        (struct wr_rate_rule){.milli = 1000000, .per_ns = SECOND_NS, .burst = 100}, steps, 0);
    all_of_it_and_no_more("700/s, burst 10, waits of 20 ms",
                          (struct wr_rate_rule){.milli = 700000, .per_ns = SECOND_NS, .burst = 10},
                          steps, 20000000);
    all_of_it_and_no_more(
        "1000000/s, burst 1000",
        (struct wr_rate_rule){.milli = 1000000000, .per_ns = SECOND_NS, .burst = 1000}, steps, 0);
    window_never_above(steps / 4);
    changes_keep_the_tokens(steps / 500);
    return race_result();
}
