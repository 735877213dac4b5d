/*
 * The rate limit shared by threads: a GCRA word by compare-and-swap, or a sliding log under a
 * mutex.
 *
 * One object per rule. A live change makes a new object that takes over the credit of the old one
 * (previous): the first to touch it freezes the old word, converts what it held, and installs the
 * result, so that no take is counted twice or forgotten. A take that meets a frozen object is told
 * MOVED and comes back with the new one, which is published before anything is frozen.
 */
#ifndef WR_GUARD_RATE_H
#define WR_GUARD_RATE_H

#include "base/hosted.h"
#include "base/mutex.h"
#include "policy/bucket_policy.h"
#include "policy/sliding_log.h"

#define WR_RATE_WINDOW_MAX 1000000U /* tokens a period in window mode */

struct wr_rate_rule {
    uint64_t milli;  /* thousandths of a token ... */
    uint64_t per_ns; /* ... in this time */
    uint64_t burst;
    bool pacing;
    bool window;
};

struct wr_rate;

enum wr_rate_verdict { WR_RATE_PASS, WR_RATE_REFUSE, WR_RATE_NEVER, WR_RATE_COST, WR_RATE_MOVED };

struct wr_rate_answer {
    enum wr_rate_verdict verdict;
    uint64_t wait_ns; /* PASS: until the tokens' time (0: now); REFUSE: when it would pass */
};

/* `previous` (borrowed until a grace period after its replacement; may be NULL) hands its credit
 * on. A first limiter is full. NULL: out of memory. */
struct wr_rate *wr_rate_create(struct wr_host *host, const struct wr_rate_rule *rule,
                               uint64_t now_ns, struct wr_rate *previous);
void wr_rate_destroy(struct wr_rate *rate);
size_t wr_rate_bytes(const struct wr_rate *rate);
bool wr_rate_has_rule(const struct wr_rate *rate, const struct wr_rate_rule *rule);

/* Take over the previous one's credit, if that has not happened yet. */
void wr_rate_adopt(struct wr_rate *rate, uint64_t now_ns);

/* Would `cost` pass at once? Loads only (window mode: under its mutex). Never MOVED. */
struct wr_rate_answer wr_rate_look(struct wr_rate *rate, uint64_t now_ns, uint64_t cost);

/* Take `cost`, or reserve it if it is to be had within max_wait_ns. */
struct wr_rate_answer wr_rate_take(struct wr_rate *rate, uint64_t now_ns, uint64_t cost,
                                   uint64_t max_wait_ns);

/* Whole tokens available. */
uint64_t wr_rate_tokens(struct wr_rate *rate, uint64_t now_ns);

#endif
