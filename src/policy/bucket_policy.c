/*
 * GCRA. See bucket_policy.h.
 */
#include "policy/bucket_policy.h"

#include "base/saturate.h"
#include "base/wide.h"

enum { TICKS_MAX = 16, PACED_COST_MAX = 1000 };

/* Bounds far beyond any use that keep sums from saturating: past them nothing passes. */
#define BURST_MAX (1ULL << 61U)

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        const uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

struct wr_bucket_rule wr_bucket_rule(uint64_t milli, uint64_t per_ns, uint64_t burst, bool pacing)
{
    struct wr_bucket_rule rule = {.ticks_per_ns = 1, .burst = pacing ? 1 : burst, .pacing = pacing};
    const uint64_t period = per_ns * 1000U; /* ns per 1000 periods: T = period / milli */
    uint64_t parts;

    if (milli == 0) {
        return rule;
    }
    parts = milli / common_divisor(period, milli);
    rule.ticks_per_ns = parts <= TICKS_MAX ? parts : TICKS_MAX;
    rule.token_ticks = (uint64_t)(((wr_u128)period * rule.ticks_per_ns + milli - 1) / milli);
    rule.burst_ticks = pacing ? 0 : wr_min_u64(wr_sat_mul(rule.token_ticks, burst), BURST_MAX);
    return rule;
}

static uint64_t ticks(const struct wr_bucket_rule *rule, uint64_t ns)
{
    return wr_sat_mul(ns, rule->ticks_per_ns);
}

static uint64_t ns_up(const struct wr_bucket_rule *rule, uint64_t in_ticks)
{
    return in_ticks / rule->ticks_per_ns + (in_ticks % rule->ticks_per_ns != 0 ? 1U : 0U);
}

uint64_t wr_bucket_cost_max(const struct wr_bucket_rule *rule)
{
    return rule->pacing ? PACED_COST_MAX : rule->burst;
}

struct wr_bucket_answer wr_bucket_ask(uint64_t tat, const struct wr_bucket_rule *rule,
                                      uint64_t now_ns, uint64_t cost)
{
    const uint64_t now = ticks(rule, now_ns);
    const uint64_t from = wr_max_u64(tat, now);
    const uint64_t after = wr_sat_add(from, wr_sat_mul(rule->token_ticks, cost));
    /* Pacing asks where the take begins, a bucket where it ends. */
    const uint64_t judged = rule->pacing ? from : after;
    const uint64_t bound = wr_sat_add(now, rule->burst_ticks);

    if (rule->token_ticks == 0 || cost > wr_bucket_cost_max(rule)) {
        return (struct wr_bucket_answer){.never = true, .tat = tat};
    }
    return (struct wr_bucket_answer){.passes = after < UINT64_MAX && judged <= bound,
                                     .wait_ns = ns_up(rule, wr_sat_sub(judged, bound)),
                                     .tat = after};
}

/* Ticks that a full bucket holds. A pacing one holds one token. */
static uint64_t capacity(const struct wr_bucket_rule *rule)
{
    return rule->pacing ? rule->token_ticks : rule->burst_ticks;
}

/* Ticks that are spent and not yet refilled; above the capacity when tokens are reserved. */
static uint64_t debt(uint64_t tat, const struct wr_bucket_rule *rule, uint64_t now_ns)
{
    return wr_sat_sub(tat, ticks(rule, now_ns));
}

uint64_t wr_bucket_tokens(uint64_t tat, const struct wr_bucket_rule *rule, uint64_t now_ns)
{
    return rule->token_ticks == 0
               ? 0
               : wr_sat_sub(capacity(rule), debt(tat, rule, now_ns)) / rule->token_ticks;
}

/* At rate 0 there are no ticks: the word keeps the credit itself, in 2^-24 tokens, above a zero
 * that leaves room for what is reserved. */
#define FROZEN_TOKEN (1ULL << 24U)
#define FROZEN_ZERO  (1ULL << 56U)

uint64_t wr_bucket_convert(uint64_t tat, const struct wr_bucket_rule *from, uint64_t from_now_ns,
                           const struct wr_bucket_rule *to, uint64_t to_now_ns)
{
    const uint64_t from_token = from->token_ticks != 0 ? from->token_ticks : FROZEN_TOKEN;
    const uint64_t to_token = to->token_ticks != 0 ? to->token_ticks : FROZEN_TOKEN;
    const uint64_t full = to->token_ticks != 0 ? capacity(to) : to->burst * FROZEN_TOKEN;
    uint64_t credit = wr_sat_sub(tat, FROZEN_ZERO);
    uint64_t over = wr_sat_sub(FROZEN_ZERO, tat);

    if (from->token_ticks != 0) {
        const uint64_t spent = debt(tat, from, from_now_ns);

        credit = wr_sat_sub(capacity(from), spent);
        over = wr_sat_sub(spent, capacity(from));
    }
    credit = wr_min_u64(wr_muldiv(credit, to_token, from_token), full);
    over = wr_muldiv_up(over, to_token, from_token);
    if (to->token_ticks == 0) {
        return wr_sat_sub(FROZEN_ZERO + credit, over);
    }
    return wr_sat_add(ticks(to, to_now_ns), wr_sat_add(full - credit, over));
}

uint64_t wr_bucket_with_tokens(const struct wr_bucket_rule *rule, uint64_t now_ns, uint64_t tokens)
{
    if (rule->token_ticks == 0) {
        return FROZEN_ZERO + wr_min_u64(tokens, rule->burst) * FROZEN_TOKEN;
    }
    return wr_sat_add(ticks(rule, now_ns),
                      wr_sat_sub(capacity(rule), wr_sat_mul(rule->token_ticks, tokens)));
}
