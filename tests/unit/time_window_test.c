/*
 * The time window's words, driven as one thread drives them, against a brute-force log: a word for
 * each position and class of outcome, re-tagged as the time enters a new bucket, re-tagged for a
 * new epoch, read without being written.
 */
#include "support/harness.h"

#include "policy/time_window.h"
#include "policy/window_sum.h"

#include <inttypes.h>
#include <string.h>

enum { BUCKETS_MAX = 32, EVENTS_MAX = 200, ROUNDS = 1 << WR_WINDOW_ROUND_BITS };
enum { CLASS_OK, CLASS_FAILED, CLASS_SLOW, CLASS_SLOW_FAILED, CLASSES };

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30U) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27U) * 0x94d049bb133111ebULL;
    return z ^ z >> 31U;
}

/* ---- the words ---- */

struct window {
    struct wr_time_rule rule;
    uint64_t epoch;
    uint64_t newest; /* bucket */
    uint64_t words[BUCKETS_MAX][CLASSES];
};

static void start(struct window *window, uint64_t bucket_ns, uint32_t buckets, uint64_t now_ns)
{
    *window = (struct window){.rule = {.bucket_ns = bucket_ns, .buckets = buckets}, .epoch = 1};
    window->newest = wr_time_window_bucket(&window->rule, now_ns);
    for (uint64_t i = 0; i < buckets && i <= window->newest; ++i) {
        const uint64_t bucket = window->newest - i;
        const uint64_t tag = wr_time_window_tag(&window->rule, window->epoch, bucket);

        for (int class = 0; class < CLASSES; ++class) {
            window->words[wr_time_window_position(&window->rule, bucket)][class] = tag;
        }
    }
    for (uint64_t i = window->newest + 1; i < buckets; ++i) { /* no bucket has been here yet */
        for (int class = 0; class < CLASSES; ++class) {
            window->words[i][class] = wr_time_window_next_era(0, window->epoch);
        }
    }
}

/* Re-tag what lies between the newest bucket and `bucket`; each position at most once. */
static void advance(struct window *window, uint64_t bucket)
{
    const uint64_t gap = bucket - window->newest;
    const uint64_t count = gap < window->rule.buckets ? gap : window->rule.buckets;

    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t entered = bucket - i;
        const uint64_t tag = wr_time_window_tag(&window->rule, window->epoch, entered);
        uint64_t *const words = window->words[wr_time_window_position(&window->rule, entered)];

        for (int class = 0; class < CLASSES; ++class) {
            words[class] = wr_time_window_next_round(words[class], tag);
        }
    }
    window->newest = bucket;
}

/* False: the stamp's bucket has left the window. */
static bool record(struct window *window, uint64_t stamp_ns, int class)
{
    const uint64_t bucket = wr_time_window_bucket(&window->rule, stamp_ns);
    const uint64_t tag = wr_time_window_tag(&window->rule, window->epoch, bucket);
    uint64_t *word;

    if (bucket > window->newest) {
        advance(window, bucket);
    }
    if (wr_time_window_left(&window->rule, bucket, window->newest)) {
        return false;
    }
    word = &window->words[wr_time_window_position(&window->rule, bucket)][class];
    cr_assert(wr_time_window_matches(*word, tag), "a bucket in the window has lost its word");
    *word = wr_time_window_add(*word);
    return true;
}

static void change_epoch(struct window *window)
{
    window->epoch += 1;
    for (uint32_t i = 0; i < window->rule.buckets; ++i) {
        for (int class = 0; class < CLASSES; ++class) {
            window->words[i][class] =
                wr_time_window_next_era(window->words[i][class], window->epoch);
        }
    }
}

/* Reads only. Buckets after the newest have no word yet: nothing has been recorded in them. */
static struct wr_window_sum read_sum(const struct window *window, uint64_t now_ns)
{
    const uint64_t now = wr_time_window_bucket(&window->rule, now_ns);
    struct wr_window_sum sum = {0};

    for (uint64_t i = 0; i < window->rule.buckets && i <= now; ++i) {
        const uint64_t tag = wr_time_window_tag(&window->rule, window->epoch, now - i);
        const uint64_t *const words =
            window->words[wr_time_window_position(&window->rule, now - i)];
        uint64_t counts[CLASSES] = {0};

        for (int class = 0; class < CLASSES && now - i <= window->newest; ++class) {
            counts[class] = wr_time_window_count(words[class], tag);
            sum.calls += counts[class];
        }
        sum.failures += counts[CLASS_FAILED] + counts[CLASS_SLOW_FAILED];
        sum.slow += counts[CLASS_SLOW] + counts[CLASS_SLOW_FAILED];
    }
    return sum;
}

/* ---- the log ---- */

struct event {
    uint64_t stamp_ns;
    uint64_t epoch;
    int class;
};

struct log {
    uint64_t bucket_ns;
    uint64_t span_ns;
    uint64_t epoch;
    size_t length;
    struct event events[EVENTS_MAX];
};

/* In the window at `now`: from the begin of the oldest of its buckets to the end of the newest. */
static struct wr_window_sum log_sum(const struct log *log, uint64_t now_ns)
{
    const uint64_t begin_of_newest = now_ns - now_ns % log->bucket_ns;
    const uint64_t last = begin_of_newest + (log->bucket_ns - 1);
    const uint64_t first = last >= log->span_ns - 1 ? last - (log->span_ns - 1) : 0;
    struct wr_window_sum sum = {0};

    for (size_t i = 0; i < log->length; ++i) {
        const struct event *const event = &log->events[i];

        if (event->epoch == log->epoch && event->stamp_ns >= first && event->stamp_ns <= last) {
            sum.calls += 1;
            sum.failures += event->class == CLASS_FAILED || event->class == CLASS_SLOW_FAILED;
            sum.slow += event->class == CLASS_SLOW || event->class == CLASS_SLOW_FAILED;
        }
    }
    return sum;
}

static bool same(struct wr_window_sum a, struct wr_window_sum b)
{
    return a.calls == b.calls && a.failures == b.failures && a.slow == b.slow;
}

/* Steps that land on, just before and just after the edges that matter. */
static uint64_t random_step(uint64_t *seed, uint64_t bucket_ns, uint64_t span_ns)
{
    const uint64_t random = next_random(seed);

    switch (random % 16) {
    case 0:
        return bucket_ns;
    case 1:
        return bucket_ns - 1;
    case 2:
        return bucket_ns + 1;
    case 3:
        return span_ns;
    case 4:
        return span_ns - 1;
    case 5:
        return span_ns + 1;
    case 6:
        return span_ns * (random / 16 % 1000);
    case 7:
    case 8:
    case 9:
        return random / 16 % (2 * bucket_ns);
    default:
        return random / 16 % 3;
    }
}

static void run_against_log(uint64_t seed_of_run)
{
    static const uint64_t starts[] = {0, 1, 1000000007, 1ULL << 40, 1ULL << 62, 1ULL << 63};
    static const uint64_t widths[] = {1, 2, 3, 7, 10, 1000, 1000000007};
    static struct log log;
    static struct window window;
    uint64_t seed = seed_of_run;
    const uint32_t buckets = (uint32_t)(next_random(&seed) % BUCKETS_MAX) + 1;
    const uint64_t bucket_ns = widths[next_random(&seed) % 7];
    uint64_t now = starts[next_random(&seed) % 6];

    log = (struct log){.bucket_ns = bucket_ns, .span_ns = bucket_ns * buckets, .epoch = 1};
    start(&window, bucket_ns, buckets, now);
    while (log.length < EVENTS_MAX) {
        const uint64_t random = next_random(&seed);
        const uint64_t age = random % 8 == 0 ? random / 8 % (log.span_ns + bucket_ns) : 0;
        const uint64_t stamp = now > age ? now - age : 0;
        const int class = (int)(random >> 60U & 3U);
        struct wr_window_sum sum;

        now += random_step(&seed, bucket_ns, log.span_ns);
        (void)record(&window, stamp, class);
        log.events[log.length++] = (struct event){stamp, log.epoch, class};
        if (random >> 32U << 58U == 0) {
            change_epoch(&window);
            log.epoch += 1;
        }
        sum = read_sum(&window, now);
        cr_assert_leq(sum.failures, sum.calls);
        cr_assert(same(sum, log_sum(&log, now)), "seed %" PRIu64 ", event %zu", seed_of_run,
                  log.length);
    }
}

Test(time_window, a_million_random_steps_equal_a_brute_force_log)
{
    for (uint64_t seed = 1; seed <= 1000000 / EVENTS_MAX; ++seed) {
        run_against_log(seed);
    }
}

static void check_one_outcome_each_ns(uint64_t bucket_ns, uint32_t buckets)
{
    static struct window window;

    start(&window, bucket_ns, buckets, 0);
    for (uint64_t now = 0; now < 3 * bucket_ns * buckets; ++now) {
        const uint64_t since_begin = now % bucket_ns + 1;
        const uint64_t before = (uint64_t)(buckets - 1) * bucket_ns;
        const uint64_t ever_before = now + 1 - since_begin;
        const uint64_t expected = since_begin + (before < ever_before ? before : ever_before);

        cr_assert(record(&window, now, CLASS_FAILED));
        cr_assert_eq(read_sum(&window, now).failures, expected,
                     "%" PRIu32 " buckets of %" PRIu64 " ns, at %" PRIu64, buckets, bucket_ns, now);
    }
}

Test(time_window, every_number_of_buckets_and_every_span_from_one_up_counts_exactly)
{
    for (uint32_t buckets = 1; buckets <= 16; ++buckets) {
        for (uint64_t bucket_ns = 1; bucket_ns <= 12; ++bucket_ns) {
            check_one_outcome_each_ns(bucket_ns, buckets);
        }
    }
}

Test(time_window, an_outcome_at_exactly_k_buckets_belongs_to_bucket_k)
{
    const struct wr_time_rule rule = {.bucket_ns = 1000, .buckets = 10};

    for (uint64_t k = 1; k < 100; ++k) {
        cr_assert_eq(wr_time_window_bucket(&rule, k * 1000 - 1), k - 1);
        cr_assert_eq(wr_time_window_bucket(&rule, k * 1000), k);
        cr_assert_eq(wr_time_window_bucket(&rule, k * 1000 + 1), k);
    }
}

Test(time_window, an_outcome_is_seen_until_its_bucket_has_left_and_no_nanosecond_longer)
{
    static struct window window;

    for (uint64_t stamp = 4000; stamp <= 4999; stamp += 333) { /* all in bucket 4 */
        start(&window, 1000, 10, 0);
        cr_assert(record(&window, stamp, CLASS_OK));

        cr_assert_eq(read_sum(&window, stamp).calls, 1U);
        cr_assert_eq(read_sum(&window, 13999).calls, 1U);
        cr_assert_eq(read_sum(&window, 14000).calls, 0U);
        cr_assert_eq(read_sum(&window, 14001).calls, 0U);
    }
}

Test(time_window, buckets_are_aligned_to_the_origin_not_to_the_first_outcome)
{
    static struct window window;

    start(&window, 1000, 2, 900);
    (void)record(&window, 999, CLASS_OK);
    (void)record(&window, 1000, CLASS_OK);

    cr_assert_eq(read_sum(&window, 1999).calls, 2U);
    cr_assert_eq(read_sum(&window, 2000).calls, 1U);
    cr_assert_eq(read_sum(&window, 3000).calls, 0U);
}

Test(time_window, idle_longer_than_the_span_it_is_empty)
{
    static struct window window;

    start(&window, 1000, 10, 0);
    for (uint64_t now = 0; now < 10000; now += 100) {
        (void)record(&window, now, CLASS_FAILED);
    }

    cr_assert_eq(read_sum(&window, 9999).calls, 100U);
    cr_assert_eq(read_sum(&window, 18999).calls, 10U);
    for (uint64_t now = 19000; now < 10000000; now += 777) {
        cr_assert_eq(read_sum(&window, now).calls, 0U, "at %" PRIu64, now);
    }
}

Test(time_window, idle_for_as_many_rounds_as_a_tag_can_tell_it_is_empty_still)
{
    static struct window window;
    const uint64_t wrap = 10000ULL * ROUNDS;

    start(&window, 1000, 10, 0);
    (void)record(&window, 4000, CLASS_FAILED);

    for (uint64_t i = 1; i < 5; ++i) {
        cr_assert_eq(read_sum(&window, 4000 + i * wrap).calls, 0U);
        cr_assert_eq(read_sum(&window, 4000 + i * wrap / 2).calls, 0U);
    }
    cr_assert(record(&window, 4000 + wrap, CLASS_OK));
    cr_assert_eq(read_sum(&window, 4000 + wrap).calls, 1U);
    cr_assert_eq(read_sum(&window, 4000 + wrap).failures, 0U);
}

Test(time_window, reading_writes_nothing)
{
    static struct window window;
    static struct window before;

    start(&window, 1000, 10, 0);
    (void)record(&window, 500, CLASS_FAILED);
    before = window;
    for (uint64_t now = 0; now < 100000; now += 500) {
        (void)read_sum(&window, now);
    }

    cr_assert_eq(window.newest, before.newest);
    cr_assert_eq(memcmp(window.words, before.words, sizeof(before.words)), 0);
}

Test(time_window, a_stamp_whose_bucket_has_left_is_not_counted)
{
    static struct window window;

    start(&window, 1000, 10, 0);
    (void)record(&window, 14000, CLASS_OK);

    cr_assert_not(record(&window, 4999, CLASS_FAILED));
    cr_assert(record(&window, 5000, CLASS_FAILED));
    cr_assert_eq(read_sum(&window, 14000).failures, 1U);
}

Test(time_window, a_stamp_ahead_of_the_newest_bucket_has_not_left)
{
    const struct wr_time_rule rule = {.bucket_ns = 1000, .buckets = 10};

    cr_assert_not(wr_time_window_left(&rule, 5, 5));
    cr_assert_not(wr_time_window_left(&rule, 6, 5));
    cr_assert_not(wr_time_window_left(&rule, UINT64_MAX, 5));
    cr_assert_not(wr_time_window_left(&rule, 5, 14));
    cr_assert(wr_time_window_left(&rule, 5, 15));
    cr_assert(wr_time_window_left(&rule, 0, UINT64_MAX));
}

Test(time_window, a_new_epoch_begins_with_an_empty_window)
{
    static struct window window;

    start(&window, 1000, 10, 0);
    for (uint64_t now = 0; now < 10000; now += 100) {
        (void)record(&window, now, CLASS_FAILED);
    }
    change_epoch(&window);

    cr_assert_eq(read_sum(&window, 9999).calls, 0U);
    (void)record(&window, 9999, CLASS_OK);
    cr_assert_eq(read_sum(&window, 9999).calls, 1U);
    cr_assert_eq(read_sum(&window, 9999).failures, 0U);
}

Test(time_window, an_outcome_of_an_older_epoch_finds_no_word)
{
    const struct wr_time_rule rule = {.bucket_ns = 1000, .buckets = 10};
    const uint64_t word = wr_time_window_tag(&rule, 100, 7);

    for (uint64_t later = 1; later < 1U << WR_WINDOW_ERA_BITS; ++later) {
        const uint64_t retagged = wr_time_window_next_era(word, 100 + later);

        cr_assert_not(wr_time_window_matches(retagged, word));
        cr_assert(wr_time_window_matches(retagged, wr_time_window_tag(&rule, 100 + later, 7)));
        cr_assert_eq(wr_time_window_count(retagged, word), 0U);
    }
}

Test(time_window, a_word_is_told_from_every_other_round_of_a_long_idle)
{
    const struct wr_time_rule rule = {.bucket_ns = 1000, .buckets = 10};
    const uint64_t tag = wr_time_window_tag(&rule, 1, 7);
    const uint64_t word = wr_time_window_add(tag);

    for (uint64_t rounds = 1; rounds < ROUNDS; ++rounds) {
        const uint64_t later = wr_time_window_tag(&rule, 1, 7 + 10 * rounds);

        cr_assert_eq(wr_time_window_count(word, later), 0U, "%" PRIu64 " rounds", rounds);
    }
    cr_assert_eq(wr_time_window_count(word, tag), 1U);
}

Test(time_window, a_word_entering_a_new_round_is_empty_and_keeps_its_era)
{
    const struct wr_time_rule rule = {.bucket_ns = 1, .buckets = 4};
    const uint64_t word = wr_time_window_add(wr_time_window_tag(&rule, 9, 40));
    const uint64_t in_other_era = wr_time_window_tag(&rule, 8, 44);

    cr_assert_eq(wr_time_window_next_round(word, in_other_era), wr_time_window_tag(&rule, 9, 44));
}

Test(time_window, a_word_entering_a_new_epoch_is_empty_and_keeps_its_round)
{
    const struct wr_time_rule rule = {.bucket_ns = 1, .buckets = 4};
    const uint64_t word = wr_time_window_add(wr_time_window_tag(&rule, 9, 40));

    cr_assert_eq(wr_time_window_next_era(word, 10), wr_time_window_tag(&rule, 10, 40));
    cr_assert_eq(wr_time_window_next_era(word, (1ULL << WR_WINDOW_ERA_BITS) + 10),
                 wr_time_window_tag(&rule, 10, 40));
}

Test(time_window, a_count_stays_at_its_maximum_and_never_spills_into_the_tag)
{
    const struct wr_time_rule rule = {.bucket_ns = 1, .buckets = 4};
    const uint64_t tag = wr_time_window_tag(&rule, 9, 40);
    const uint64_t almost = tag | (UINT32_MAX - 1U);

    cr_assert_eq(wr_time_window_count(wr_time_window_add(almost), tag), UINT32_MAX);
    cr_assert_eq(wr_time_window_add(wr_time_window_add(almost)), wr_time_window_add(almost));
}

Test(time_window, the_buckets_of_one_window_have_a_position_each)
{
    for (uint32_t buckets = 1; buckets <= BUCKETS_MAX; ++buckets) {
        const struct wr_time_rule rule = {.bucket_ns = 1000, .buckets = buckets};

        for (uint64_t newest = buckets; newest < 4ULL * buckets; ++newest) {
            uint64_t seen = 0;

            for (uint32_t i = 0; i < buckets; ++i) {
                seen |= 1ULL << wr_time_window_position(&rule, newest - i);
            }
            cr_assert_eq(seen, (1ULL << buckets) - 1U);
        }
    }
}
