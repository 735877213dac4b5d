/*
 * The breaker's word and its `until` belong together: whatever changes of state overlap with a
 * look, a refusal never tells a wait longer than any state lasts, and a closed breaker refuses
 * nobody.
 */
#include "base/hosted.h"
#include "guard/breaker.h"
#include "support/race.h"

#include <weir/dependency.h>

#include <stdio.h>

enum { LOOKERS = 2 };
#define BEGIN_NS    1000000000U
#define OPEN_FOR_NS 1000U
#define LEASE_NS    5000U

struct stage {
    struct wr_host host;
    struct wr_slots slots;
    struct wr_breaker breaker;
    struct wr_breaker_rule rule;
    uint64_t rounds;
    _Alignas(RACE_LINE) _Atomic uint64_t now_ns;
    _Atomic bool stop;
    _Atomic uint64_t looks, refused, longest;
};

static struct wr_breaker_permit ask(struct stage *stage, uint64_t now_ns)
{
    return wr_breaker_take(&stage->breaker, &stage->rule, now_ns).permit;
}

/* One turn: closed, open, half-open with a waiting and a running trial, closed. */
static void turn(struct stage *stage)
{
    static const struct wr_observation good = {0};
    static const struct wr_observation bad = {.failure = true};
    struct wr_breaker *const breaker = &stage->breaker;
    const struct wr_breaker_rule *const rule = &stage->rule;
    uint64_t now_ns = atomic_load(&stage->now_ns);
    struct wr_breaker_permit permit = ask(stage, now_ns);
    struct wr_breaker_permit second;

    (void)wr_breaker_record(breaker, rule, &permit, bad, now_ns);
    race_check(wr_breaker_visible(breaker, now_ns) == WEIR_BREAKER_OPEN, "it must be open");
    now_ns += OPEN_FOR_NS;
    atomic_store(&stage->now_ns, now_ns);
    permit = ask(stage, now_ns);
    second = ask(stage, now_ns);
    wr_breaker_begin(breaker, rule, &permit, now_ns);
    wr_breaker_begin(breaker, rule, &second, now_ns);
    (void)wr_breaker_record(breaker, rule, &permit, good, now_ns);
    (void)wr_breaker_record(breaker, rule, &second, good, now_ns);
    race_check(wr_breaker_visible(breaker, now_ns) == WEIR_BREAKER_CLOSED, "it must be closed");
}

static void look(struct stage *stage)
{
    uint64_t looks = 0;
    uint64_t refused = 0;
    uint64_t longest = 0;

    while (!atomic_load(&stage->stop)) {
        const uint64_t now_ns = atomic_load(&stage->now_ns);
        const struct wr_breaker_answer answer =
            wr_breaker_look(&stage->breaker, &stage->rule, now_ns, looks % 2 == 0);

        looks += 1;
        refused += answer.passes ? 0 : 1;
        if (!answer.passes && answer.retry_after_ns > longest) {
            longest = answer.retry_after_ns;
        }
    }
    (void)atomic_fetch_add(&stage->looks, looks);
    (void)atomic_fetch_add(&stage->refused, refused);
    race_raise(&stage->longest, longest);
}

static void turn_or_look(void *user, unsigned who)
{
    struct stage *const stage = user;

    if (who > 0) {
        look(stage);
        return;
    }
    for (uint64_t i = 0; i < stage->rounds; ++i) {
        turn(stage);
    }
    atomic_store(&stage->stop, true);
}

int main(void)
{
    static struct stage stage;
    const struct wr_window_shape shape = {.size = 4};

    stage.rounds = race_rounds(1000000, 200000, 20000);
    stage.rule = (struct wr_breaker_rule){.minimum_calls = 1,
                                          .failure_rate_ppm = 1000000,
                                          .slow_rate_ppm = WR_RATE_OFF,
                                          .slow_call_ns = 1000,
                                          .consecutive_failures = 1,
                                          .open_for_ns = OPEN_FOR_NS,
                                          .open_backoff_ppm = 1000000,
                                          .open_for_max_ns = OPEN_FOR_NS,
                                          .trial_lease_ns = LEASE_NS,
                                          .trial_calls = 2,
                                          .trial_successes = 2};
    atomic_init(&stage.now_ns, BEGIN_NS);
    (void)wr_host_init(&stage.host, &(weir_runtime_options){.size = sizeof(weir_runtime_options)},
                       NULL);
    (void)wr_slots_init(&stage.slots, 8, &stage.host);
    wr_breaker_init(&stage.breaker, &stage.slots, &stage.host, NULL, NULL, BEGIN_NS);
    (void)wr_breaker_set_window(&stage.breaker,
                                wr_window_create(&stage.host, &shape, 1, 1, BEGIN_NS));
    race_run(1 + LOOKERS, turn_or_look, &stage);
    printf("%llu turns, %llu looks, %llu refused, longest wait told %llu ns\n",
           (unsigned long long)stage.rounds, (unsigned long long)atomic_load(&stage.looks),
           (unsigned long long)atomic_load(&stage.refused),
           (unsigned long long)atomic_load(&stage.longest));
    /* A stale stamp may see an opening that ends up to one turn later. */
    race_check(atomic_load(&stage.longest) <= 3600000000000U,
               "a refusal told to come back after %llu ns; the breaker opens for %u",
               (unsigned long long)atomic_load(&stage.longest), OPEN_FOR_NS);
    wr_breaker_destroy(&stage.breaker);
    wr_slots_destroy(&stage.slots);
    return race_result();
}
