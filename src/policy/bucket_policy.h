/*
 * Token bucket as GCRA (generic cell rate algorithm, ITU-T I.371): one word, the theoretical
 * arrival time (TAT) up to which tokens are spent.
 *
 * A take of n at `now` passes iff max(TAT, now) + n*T - now <= burst*T, and then TAT grows to
 * max(TAT, now) + n*T. A stale `now` cannot grant anything extra, a bucket that was never used (TAT
 * 0) is full, and over any period W at most burst + W/T tokens pass.
 *
 * Pacing is the same word with another test: a take passes iff TAT <= now, and its cost, at most
 * 1,000, pushes the next one back.
 *
 * Time is counted in ticks of 1/ticks_per_ns ns from the bucket's origin. ticks_per_ns is the
 * smallest number that makes T whole, if that is at most 16: then everything is exact. Else T is
 * rounded up to 1/16 ns, which admits at most 0.007 % less than the rate and never more. Ticks last
 * 36 years from the origin at the least; after that nothing passes.
 */
#ifndef WR_POLICY_BUCKET_POLICY_H
#define WR_POLICY_BUCKET_POLICY_H

#include <stdbool.h>
#include <stdint.h>

struct wr_bucket_rule {
    uint64_t ticks_per_ns; /* 1..16 */
    uint64_t token_ticks;  /* T; 0: rate 0, nothing passes */
    uint64_t burst_ticks;  /* burst * T; 0 when pacing */
    uint64_t burst;        /* tokens; 1 when pacing */
    bool pacing;
};

struct wr_bucket_answer {
    bool passes;
    bool never;       /* can never pass: cost above the burst, or rate 0 */
    uint64_t wait_ns; /* if it does not pass: when it would, from now */
    uint64_t tat;     /* after a take that passes now, or that is reserved for after the wait */
};

/* The rule for milli/1000 tokens per per_ns nanoseconds. */
struct wr_bucket_rule wr_bucket_rule(uint64_t milli, uint64_t per_ns, uint64_t burst, bool pacing);

/* A higher cost can never pass. */
uint64_t wr_bucket_cost_max(const struct wr_bucket_rule *rule);

/* Would a take of `cost` (at least 1) pass? `now_ns` counts from the bucket's origin. */
struct wr_bucket_answer wr_bucket_ask(uint64_t tat, const struct wr_bucket_rule *rule,
                                      uint64_t now_ns, uint64_t cost);

/* Whole tokens available. */
uint64_t wr_bucket_tokens(uint64_t tat, const struct wr_bucket_rule *rule, uint64_t now_ns);

/*
 * The TAT under `to` that leaves the tokens available under `from`, at most the new burst: a live
 * change neither creates nor destroys credit. Fractions of a token are kept to one tick.
 */
uint64_t wr_bucket_convert(uint64_t tat, const struct wr_bucket_rule *from, uint64_t from_now_ns,
                           const struct wr_bucket_rule *to, uint64_t to_now_ns);

/* The TAT that leaves `tokens` whole tokens, at most the burst. */
uint64_t wr_bucket_with_tokens(const struct wr_bucket_rule *rule, uint64_t now_ns, uint64_t tokens);

#endif
