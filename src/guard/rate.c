/*
 * The shared rate limit. See rate.h.
 */
#include "guard/rate.h"

#include "base/backoff.h"
#include "base/saturate.h"

#include <string.h>

/* Values of the word beside a TAT: a TAT stays below 2^63, 18 years of 1/16 ns since the limiter
 * was made; after that nothing passes until a change of rate makes a new one. */
#define WORD_UNSET  UINT64_MAX
#define WORD_FROZEN (1ULL << 63U)
#define TAT_MAX     ((1ULL << 63U) - 1U)

struct wr_rate {
    struct wr_host *host;
    size_t bytes;
    struct wr_rate_rule rule;
    struct wr_bucket_rule bucket;
    uint64_t origin_ns;
    struct wr_rate *previous; /* until its credit has been taken over */
    _Atomic uint64_t word;    /* TAT; UNSET before adoption; FROZEN | TAT afterwards. In window mode
                                 only UNSET, 0 and FROZEN */
    struct {
        struct wr_mutex mutex;
        struct wr_sliding_log log;
    } locked;
    uint64_t ring[]; /* of the log */
};

struct wr_rate *wr_rate_create(struct wr_host *host, const struct wr_rate_rule *rule,
                               uint64_t now_ns, struct wr_rate *previous)
{
    const uint32_t limit = rule->window ? (uint32_t)(rule->milli / 1000) : 0;
    const uint32_t before = previous != NULL ? previous->locked.log.capacity : 0;
    /* A lowered limit keeps the stamps of the higher one: they count if it is raised again. */
    const uint32_t stamps = rule->window && before > limit ? before : limit;
    const size_t bytes = sizeof(struct wr_rate) + stamps * sizeof(uint64_t);
    struct wr_rate *const rate = wr_host_allocate(host, bytes);

    if (rate == NULL) {
        return NULL;
    }
    rate->host = host;
    rate->bytes = bytes;
    rate->rule = *rule;
    rate->bucket = wr_bucket_rule(rule->milli, rule->per_ns, rule->burst, rule->pacing);
    rate->origin_ns = now_ns;
    rate->previous = previous;
    wr_mutex_init(&rate->locked.mutex);
    rate->locked.log =
        (struct wr_sliding_log){.period_ns = rule->per_ns, .limit = limit, .capacity = stamps};
    atomic_init(&rate->word, previous != NULL
                                 ? WORD_UNSET
                                 : wr_bucket_with_tokens(&rate->bucket, 0, rate->bucket.burst));
    return rate;
}

void wr_rate_destroy(struct wr_rate *rate)
{
    if (rate != NULL) {
        wr_mutex_destroy(&rate->locked.mutex);
        wr_host_release(rate->host, rate, rate->bytes);
    }
}

size_t wr_rate_bytes(const struct wr_rate *rate)
{
    return rate->bytes;
}

bool wr_rate_has_rule(const struct wr_rate *rate, const struct wr_rate_rule *rule)
{
    return rate->rule.milli == rule->milli && rate->rule.per_ns == rule->per_ns &&
           rate->rule.burst == rule->burst && rate->rule.pacing == rule->pacing &&
           rate->rule.window == rule->window;
}

static uint64_t since_origin(const struct wr_rate *rate, uint64_t now_ns)
{
    return wr_sat_sub(now_ns, rate->origin_ns);
}

static bool swap(struct wr_rate *rate,
                 uint64_t *word, /* NOLINT(readability-non-const-parameter): written on failure */
                 uint64_t next)
{
    return atomic_compare_exchange_strong_explicit(&rate->word, word, next, memory_order_acq_rel,
                                                   memory_order_acquire);
}

/* Let nobody take from here any more; returns the last TAT. */
static uint64_t freeze(struct wr_rate *rate)
{
    uint64_t word = atomic_load_explicit(&rate->word, memory_order_acquire);

    while ((word & WORD_FROZEN) == 0 && !swap(rate, &word, word | WORD_FROZEN)) {
    }
    return word & ~WORD_FROZEN;
}

/* Two windows of one period: the stamps go on as they are, the newest that fit. */
static void copy_log_locked(struct wr_rate *rate, const struct wr_rate *from)
    WR_REQUIRES(rate->locked.mutex)
{
    const struct wr_sliding_log *const log = &from->locked.log;

    for (uint32_t age = log->filled; age > 0 && rate->locked.log.capacity > 0; --age) {
        const uint32_t at = (log->next + log->capacity - age) % log->capacity;

        wr_sliding_log_take(&rate->locked.log, rate->ring, from->ring[at], 1);
    }
}

static uint64_t tokens_locked(const struct wr_rate *rate, uint64_t now_ns)
    WR_REQUIRES(rate->locked.mutex)
{
    return rate->locked.log.limit == 0
               ? 0
               : wr_sliding_log_tokens(&rate->locked.log, rate->ring, now_ns);
}

/* What the new word becomes; a window's log is filled on the way. Both mutexes are held in the
 * order of age, and an object is adopted only once. */
static uint64_t converted_locked(struct wr_rate *rate, struct wr_rate *from, uint64_t now_ns)
    WR_REQUIRES(rate->locked.mutex) WR_REQUIRES(from->locked.mutex)
{
    const uint64_t tat = freeze(from);
    uint64_t tokens;

    if (rate->rule.window && from->rule.window) {
        copy_log_locked(rate, from);
        return 0;
    }
    if (!rate->rule.window && !from->rule.window) {
        return wr_min_u64(wr_bucket_convert(tat, &from->bucket, since_origin(from, now_ns),
                                            &rate->bucket, since_origin(rate, now_ns)),
                          TAT_MAX);
    }
    tokens = from->rule.window ? tokens_locked(from, now_ns)
                               : wr_bucket_tokens(tat, &from->bucket, since_origin(from, now_ns));
    if (!rate->rule.window) {
        return wr_bucket_with_tokens(&rate->bucket, since_origin(rate, now_ns), tokens);
    }
    if (tokens < rate->locked.log.limit) {
        wr_sliding_log_take(&rate->locked.log, rate->ring, now_ns, rate->locked.log.limit - tokens);
    }
    return 0;
}

void wr_rate_adopt(struct wr_rate *rate, uint64_t now_ns)
{
    struct wr_rate *from;
    uint64_t word;

    if (atomic_load_explicit(&rate->word, memory_order_acquire) != WORD_UNSET) {
        return;
    }
    from = rate->previous;
    now_ns = wr_max_u64(now_ns, rate->origin_ns); /* a stale stamp must not cost credit */
    wr_mutex_lock(&from->locked.mutex);
    wr_mutex_lock(&rate->locked.mutex);
    if (atomic_load_explicit(&rate->word, memory_order_acquire) == WORD_UNSET) {
        word = converted_locked(rate, from, now_ns);
        /* Release: who sees a word that is set sees the log filled. */
        atomic_store_explicit(&rate->word, word, memory_order_release);
    }
    wr_mutex_unlock(&rate->locked.mutex);
    wr_mutex_unlock(&from->locked.mutex);
}

static struct wr_rate_answer answer(enum wr_rate_verdict verdict, uint64_t wait_ns)
{
    return (struct wr_rate_answer){.verdict = verdict, .wait_ns = wait_ns};
}

static struct wr_rate_answer log_take(struct wr_rate *rate, uint64_t now_ns, uint64_t cost,
                                      uint64_t max_wait_ns, bool take)
{
    struct wr_sliding_log *const log = &rate->locked.log;
    struct wr_rate_answer result;

    if (log->limit == 0) {
        return answer(WR_RATE_NEVER, 0);
    }
    if (cost > log->limit) {
        return answer(WR_RATE_COST, 0);
    }
    wr_mutex_lock(&rate->locked.mutex);
    if ((atomic_load_explicit(&rate->word, memory_order_acquire) & WORD_FROZEN) != 0) {
        result = answer(take ? WR_RATE_MOVED : WR_RATE_PASS, 0);
    } else {
        result.wait_ns = wr_sliding_log_wait(log, rate->ring, now_ns, cost);
        result.verdict = result.wait_ns <= max_wait_ns ? WR_RATE_PASS : WR_RATE_REFUSE;
        if (take && result.verdict == WR_RATE_PASS) {
            wr_sliding_log_take(log, rate->ring, now_ns + result.wait_ns, cost);
        }
    }
    wr_mutex_unlock(&rate->locked.mutex);
    return result;
}

static struct wr_rate_answer judge_bucket(const struct wr_rate *rate,
                                          const struct wr_bucket_answer *asked, uint64_t cost)
{
    if (asked->never) {
        return answer(rate->bucket.token_ticks != 0 && cost > wr_bucket_cost_max(&rate->bucket)
                          ? WR_RATE_COST
                          : WR_RATE_NEVER,
                      0);
    }
    return asked->passes ? answer(WR_RATE_PASS, 0) : answer(WR_RATE_REFUSE, asked->wait_ns);
}

struct wr_rate_answer wr_rate_look(struct wr_rate *rate, uint64_t now_ns, uint64_t cost)
{
    const uint64_t word = atomic_load_explicit(&rate->word, memory_order_acquire);
    struct wr_bucket_answer asked;

    if (word == WORD_UNSET) {
        return answer(WR_RATE_PASS, 0); /* the take will know */
    }
    if (rate->rule.window) {
        return log_take(rate, now_ns, cost, 0, false);
    }
    asked = wr_bucket_ask(word & ~WORD_FROZEN, &rate->bucket, since_origin(rate, now_ns), cost);
    return judge_bucket(rate, &asked, cost);
}

struct wr_rate_answer wr_rate_take(struct wr_rate *rate, uint64_t now_ns, uint64_t cost,
                                   uint64_t max_wait_ns)
{
    unsigned int pause = WR_BACKOFF_START;
    uint64_t word;

    wr_rate_adopt(rate, now_ns);
    if (rate->rule.window) {
        return log_take(rate, now_ns, cost, max_wait_ns, true);
    }
    word = atomic_load_explicit(&rate->word, memory_order_acquire);
    for (;;) {
        struct wr_bucket_answer asked;

        if ((word & WORD_FROZEN) != 0) {
            return answer(WR_RATE_MOVED, 0);
        }
        asked = wr_bucket_ask(word, &rate->bucket, since_origin(rate, now_ns), cost);
        if (asked.never || (!asked.passes && asked.wait_ns > max_wait_ns)) {
            return judge_bucket(rate, &asked, cost);
        }
        if (asked.tat > TAT_MAX) {
            return answer(WR_RATE_NEVER, 0);
        }
        if (swap(rate, &word, asked.tat)) {
            return answer(WR_RATE_PASS, asked.wait_ns);
        }
        wr_backoff(&pause);
    }
}

uint64_t wr_rate_tokens(struct wr_rate *rate, uint64_t now_ns)
{
    const uint64_t word = atomic_load_explicit(&rate->word, memory_order_acquire);
    uint64_t tokens;

    if (word == WORD_UNSET) {
        return 0;
    }
    if (!rate->rule.window) {
        return wr_bucket_tokens(word & ~WORD_FROZEN, &rate->bucket, since_origin(rate, now_ns));
    }
    wr_mutex_lock(&rate->locked.mutex);
    tokens = tokens_locked(rate, now_ns);
    wr_mutex_unlock(&rate->locked.mutex);
    return tokens;
}
