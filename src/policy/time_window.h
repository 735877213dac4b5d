/*
 * The arithmetic of a time window: span in equal buckets, aligned to the clock's zero.
 *
 * Bucket number k covers [k * bucket_ns, (k + 1) * bucket_ns). The ring holds `buckets` positions;
 * bucket k lives at k % buckets in round k / buckets. A count is one 64-bit word that carries its
 * own tag, so that a compare-and-swap adds to exactly the bucket and breaker epoch that it was
 * meant for, or fails:
 *
 *     | era 12 bits | round 20 bits | count 32 bits |
 *
 * era is the low part of the epoch that the window counts for, round the low part of the round.
 * Before anything is counted in a new bucket, all words at its position are re-tagged (advance), so
 * no word keeps the tag of a round long past; for a false match a thread would have to stay
 * between one load and one compare-and-swap for 2^20 rounds and 2^12 epochs, to the bucket.
 */
#ifndef WR_POLICY_TIME_WINDOW_H
#define WR_POLICY_TIME_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct wr_time_rule {
    uint64_t bucket_ns; /* at least 1 */
    uint32_t buckets;   /* at least 1 */
};

#define WR_WINDOW_ERA_BITS   12U
#define WR_WINDOW_ROUND_BITS 20U

static inline uint64_t wr_time_window_bucket(const struct wr_time_rule *rule, uint64_t now_ns)
{
    return now_ns / rule->bucket_ns;
}

static inline uint32_t wr_time_window_position(const struct wr_time_rule *rule, uint64_t bucket)
{
    return (uint32_t)(bucket % rule->buckets);
}

/* The tag of a word that counts `bucket` in `epoch`; the count's 32 bits are zero. */
static inline uint64_t wr_time_window_tag(const struct wr_time_rule *rule, uint64_t epoch,
                                          uint64_t bucket)
{
    const uint64_t era = epoch & ((1U << WR_WINDOW_ERA_BITS) - 1U);
    const uint64_t round = (bucket / rule->buckets) & ((1U << WR_WINDOW_ROUND_BITS) - 1U);

    return era << 52U | round << 32U;
}

static inline bool wr_time_window_matches(uint64_t word, uint64_t tag)
{
    return (word ^ tag) >> 32U == 0;
}

/* The word with one more outcome; it stays at 2^32 - 1. */
static inline uint64_t wr_time_window_add(uint64_t word)
{
    return (uint32_t)word == UINT32_MAX ? word : word + 1;
}

static inline uint64_t wr_time_window_count(uint64_t word, uint64_t tag)
{
    return wr_time_window_matches(word, tag) ? (uint32_t)word : 0;
}

/* The word re-tagged for a new round, empty, in the era that it has. */
static inline uint64_t wr_time_window_next_round(uint64_t word, uint64_t tag)
{
    return (word >> 52U) << 52U | ((tag << 12U) >> 12U);
}

/* The word re-tagged for a new epoch, empty, in the round that it has. */
static inline uint64_t wr_time_window_next_era(uint64_t word, uint64_t epoch)
{
    return (epoch & ((1U << WR_WINDOW_ERA_BITS) - 1U)) << 52U | ((word << 12U) >> 44U) << 32U;
}

/* Has `bucket` left the window whose newest bucket is `newest`? */
static inline bool wr_time_window_left(const struct wr_time_rule *rule, uint64_t bucket,
                                       uint64_t newest)
{
    return newest >= bucket && newest - bucket >= rule->buckets;
}

#endif
