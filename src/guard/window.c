/*
 * The shared window. See window.h.
 */
#include "guard/window.h"

#include "base/backoff.h"
#include "base/saturate.h"
#include "base/thread.h"

enum { WORDS_PER_LINE = 8, TOTAL_BITS = 21, TOTAL_MASK = (1 << TOTAL_BITS) - 1 };

/* Kinds of bad outcomes, each with a word of its own in every bucket. */
enum { BAD_FAILED, BAD_SLOW, BAD_FAILED_SLOW, BAD_KINDS };

struct wr_window {
    struct wr_host *host;
    size_t bytes;
    struct wr_window_shape shape;
    uint32_t stripes; /* a power of two */
    uint32_t stride;  /* words from one stripe to the next: whole cache lines */
    /* Time window. Written by recorders; `good` is [stripe][position], `bad` [position][kind]. */
    _Atomic uint64_t newest;    /* newest bucket; the window ends with it */
    _Atomic uint64_t ready;     /* newest bucket whose words are re-tagged; set after `newest` */
    _Atomic uint64_t bad_until; /* no bad outcome in buckets from this one on */
    _Atomic uint64_t *good;
    _Atomic uint64_t *bad;
    /* Count window. */
    _Atomic uint64_t totals; /* calls, failures, slow: 21 bits each */
    uint8_t *ring;
    struct {
        struct wr_mutex mutex; /* advance to a new bucket; the ring */
        uint64_t epoch;
        bool moved; /* inherited: record in the successor */
        struct wr_count_window count;
    } locked;
};

static size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

static void tag_all(struct wr_window *window, uint64_t epoch, uint64_t newest)
{
    const struct wr_time_rule *const rule = &window->shape.time;

    for (uint32_t back = 0; back < rule->buckets && back <= newest; ++back) {
        const uint64_t tag = wr_time_window_tag(rule, epoch, newest - back);
        const uint32_t at = wr_time_window_position(rule, newest - back);

        for (uint32_t s = 0; s < window->stripes; ++s) {
            atomic_init(&window->good[s * window->stride + at], tag);
        }
        for (uint32_t kind = 0; kind < BAD_KINDS; ++kind) {
            atomic_init(&window->bad[at * BAD_KINDS + kind], tag);
        }
    }
}

struct wr_window *wr_window_create(struct wr_host *host, const struct wr_window_shape *shape,
                                   uint32_t stripes, uint64_t epoch, uint64_t now_ns)
{
    const uint32_t buckets = shape->time.buckets;
    const size_t head = round_up(sizeof(struct wr_window), 64);
    const size_t stride = round_up(buckets, WORDS_PER_LINE);
    const size_t words = shape->size > 0 ? 0 : stride * stripes + (size_t)buckets * BAD_KINDS;
    const size_t bytes = head + words * sizeof(uint64_t) + shape->size;
    struct wr_window *const window = wr_host_allocate(host, bytes);

    if (window == NULL) {
        return NULL;
    }
    window->host = host;
    window->bytes = bytes;
    window->shape = *shape;
    window->stripes = stripes;
    window->stride = (uint32_t)stride;
    window->good = (_Atomic uint64_t *)(void *)((char *)window + head);
    window->bad = window->good + stride * stripes;
    window->ring = (uint8_t *)window + head;
    wr_mutex_init(&window->locked.mutex);
    window->locked.epoch = epoch;
    if (shape->size > 0) {
        wr_count_window_init(&window->locked.count, shape->size);
    } else {
        atomic_init(&window->newest, wr_time_window_bucket(&shape->time, now_ns));
        atomic_init(&window->ready, wr_time_window_bucket(&shape->time, now_ns));
        tag_all(window, epoch, wr_time_window_bucket(&shape->time, now_ns));
        wr_window_begin_epoch(window, epoch);
    }
    return window;
}

void wr_window_destroy(struct wr_window *window)
{
    if (window != NULL) {
        wr_mutex_destroy(&window->locked.mutex);
        wr_host_release(window->host, window, window->bytes);
    }
}

size_t wr_window_bytes(const struct wr_window *window)
{
    return window->bytes;
}

bool wr_window_has_shape(const struct wr_window *window, const struct wr_window_shape *shape)
{
    return window->shape.size == shape->size &&
           (shape->size > 0 || (window->shape.time.bucket_ns == shape->time.bucket_ns &&
                                window->shape.time.buckets == shape->time.buckets));
}

/* Publish the ring's totals, so that a sum needs no lock. */
static void publish_totals_locked(struct wr_window *window) WR_REQUIRES(window->locked.mutex)
{
    const struct wr_window_sum sum = wr_count_window_sum(&window->locked.count);

    /* Sequentially consistent: the recorder judges by it after unlocking. */
    atomic_store_explicit(&window->totals,
                          sum.calls << (2 * TOTAL_BITS) | sum.failures << TOTAL_BITS | sum.slow,
                          memory_order_seq_cst);
}

/* Empty one word for a new era. Recorders of the old one fail their compare-and-swap from here on.
 */
static void next_era(_Atomic uint64_t *word, uint64_t epoch)
{
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(word, &old, wr_time_window_next_era(old, epoch),
                                                  memory_order_seq_cst, memory_order_relaxed)) {
    }
}

void wr_window_begin_epoch(struct wr_window *window, uint64_t epoch)
{
    wr_mutex_lock(&window->locked.mutex);
    window->locked.epoch = epoch;
    if (window->shape.size > 0) {
        wr_count_window_init(&window->locked.count, window->shape.size);
        publish_totals_locked(window);
    } else {
        /* `good` and `bad` lie behind each other. */
        const size_t words = (size_t)window->stride * window->stripes +
                             (size_t)window->shape.time.buckets * BAD_KINDS;

        for (size_t i = 0; i < words; ++i) {
            next_era(&window->good[i], epoch);
        }
        atomic_store_explicit(&window->bad_until, 0, memory_order_seq_cst);
    }
    wr_mutex_unlock(&window->locked.mutex);
}

void wr_window_inherit(struct wr_window *window, struct wr_window *from)
{
    if (window->shape.size == 0 || from->shape.size == 0) {
        return;
    }
    /* `window` is not published yet: only `from` needs its lock. */
    wr_mutex_lock(&from->locked.mutex);
    wr_count_window_copy(&window->locked.count, window->ring, &from->locked.count, from->ring);
    from->locked.moved = true;
    wr_mutex_unlock(&from->locked.mutex);
    wr_mutex_lock(&window->locked.mutex);
    publish_totals_locked(window);
    wr_mutex_unlock(&window->locked.mutex);
}

static enum wr_recorded record_count(struct wr_window *window, uint64_t epoch,
                                     struct wr_observation observation)
{
    enum wr_recorded result = WR_RECORDED_LATE;

    wr_mutex_lock(&window->locked.mutex);
    if (window->locked.moved) {
        result = WR_RECORDED_MOVED;
    } else if (window->locked.epoch == epoch) {
        wr_count_window_add(&window->locked.count, window->ring, observation);
        publish_totals_locked(window);
        result = WR_RECORDED;
    }
    wr_mutex_unlock(&window->locked.mutex);
    return result;
}

static void next_round(_Atomic uint64_t *word, uint64_t tag)
{
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(word, &old, wr_time_window_next_round(old, tag),
                                                  memory_order_seq_cst, memory_order_relaxed)) {
    }
}

/* Re-tag the words of one bucket's position. */
static void make_ready(struct wr_window *window, uint64_t bucket)
{
    const struct wr_time_rule *const rule = &window->shape.time;
    const uint64_t tag = wr_time_window_tag(rule, 0, bucket);
    const uint32_t at = wr_time_window_position(rule, bucket);

    for (uint32_t s = 0; s < window->stripes; ++s) {
        next_round(&window->good[s * window->stride + at], tag);
    }
    for (uint32_t kind = 0; kind < BAD_KINDS; ++kind) {
        next_round(&window->bad[at * BAD_KINDS + kind], tag);
    }
}

/*
 * Move the window on to `bucket`. Once a bucket, not once a call; under the mutex, so that no slow
 * thread re-tags for a round that is past. `newest` moves first: a sum that began before it is
 * begun again, so none counts the bad words of a bucket and misses its good ones.
 */
static void advance(struct wr_window *window, uint64_t bucket)
{
    const uint32_t buckets = window->shape.time.buckets;
    uint64_t ready;

    wr_mutex_lock(&window->locked.mutex);
    ready = atomic_load_explicit(&window->ready, memory_order_relaxed);
    if (ready < bucket) {
        atomic_store_explicit(&window->newest, bucket, memory_order_seq_cst);
        for (uint64_t b = wr_max_u64(ready + 1, wr_sat_sub(bucket + 1, buckets)); b <= bucket;
             ++b) {
            make_ready(window, b);
        }
        /* Release: whoever sees the bucket as ready sees its words re-tagged. */
        atomic_store_explicit(&window->ready, bucket, memory_order_seq_cst);
    }
    wr_mutex_unlock(&window->locked.mutex);
}

/* Add one to the word if its tag is the one meant. */
static bool add(_Atomic uint64_t *word, uint64_t tag)
{
    unsigned int pause = WR_BACKOFF_START;
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

    while (wr_time_window_matches(old, tag)) {
        /* W1: sequentially consistent, before the loads of wr_window_quiet() and
         * wr_window_sum() by the same thread. */
        if (atomic_compare_exchange_weak_explicit(word, &old, wr_time_window_add(old),
                                                  memory_order_seq_cst, memory_order_relaxed)) {
            return true;
        }
        wr_backoff(&pause);
    }
    return false;
}

/* From now on the window may hold a bad outcome until `bucket` has left. */
static void announce_bad(struct wr_window *window, uint64_t bucket)
{
    uint64_t until = atomic_load_explicit(&window->bad_until, memory_order_seq_cst);

    while (until <= bucket &&
           !atomic_compare_exchange_weak_explicit(&window->bad_until, &until, bucket + 1,
                                                  memory_order_seq_cst, memory_order_relaxed)) {
    }
}

enum wr_recorded wr_window_record(struct wr_window *window, uint64_t epoch, uint64_t now_ns,
                                  struct wr_observation observation)
{
    const struct wr_time_rule *const rule = &window->shape.time;
    uint64_t bucket;
    uint64_t newest;
    uint64_t tag;
    uint32_t at;
    _Atomic uint64_t *word;

    if (window->shape.size > 0) {
        return record_count(window, epoch, observation);
    }
    bucket = wr_time_window_bucket(rule, now_ns);
    if (atomic_load_explicit(&window->ready, memory_order_seq_cst) < bucket) {
        advance(window, bucket);
    }
    newest = atomic_load_explicit(&window->newest, memory_order_seq_cst);
    if (wr_time_window_left(rule, bucket, newest)) {
        return WR_RECORDED_OUTSIDE;
    }
    tag = wr_time_window_tag(rule, epoch, bucket);
    at = wr_time_window_position(rule, bucket);
    if (observation.failure || observation.slow) {
        const uint32_t kind = !observation.slow     ? BAD_FAILED
                              : observation.failure ? BAD_FAILED_SLOW
                                                    : BAD_SLOW;

        /* Before the add: a good recorder that does not see this will be seen by our sum. */
        announce_bad(window, bucket);
        word = &window->bad[at * BAD_KINDS + kind];
    } else {
        word = &window->good[(wr_thread_number() & (window->stripes - 1)) * window->stride + at];
    }
    if (add(word, tag)) {
        return WR_RECORDED;
    }
    newest = atomic_load_explicit(&window->newest, memory_order_seq_cst);
    return wr_time_window_left(rule, bucket, newest) ? WR_RECORDED_OUTSIDE : WR_RECORDED_LATE;
}

bool wr_window_quiet(const struct wr_window *window, uint64_t now_ns)
{
    uint64_t until;

    if (window->shape.size > 0) {
        const uint64_t totals = atomic_load_explicit(&window->totals, memory_order_seq_cst);

        return (totals & ((1ULL << (2 * TOTAL_BITS)) - 1)) == 0;
    }
    until = atomic_load_explicit(&window->bad_until, memory_order_seq_cst);
    return until == 0 || until + window->shape.time.buckets <=
                             wr_time_window_bucket(&window->shape.time, now_ns) + 1;
}

static uint64_t count(const _Atomic uint64_t *word, uint64_t tag)
{
    return wr_time_window_count(atomic_load_explicit(word, memory_order_seq_cst), tag);
}

/* All bad outcomes of one bucket. */
static void add_bad(const struct wr_window *window, uint64_t bucket, uint64_t tag,
                    struct wr_window_sum *sum)
{
    const _Atomic uint64_t *const bad =
        &window->bad[(size_t)wr_time_window_position(&window->shape.time, bucket) * BAD_KINDS];
    const uint64_t failed = count(&bad[BAD_FAILED], tag);
    const uint64_t slow = count(&bad[BAD_SLOW], tag);
    const uint64_t both = count(&bad[BAD_FAILED_SLOW], tag);

    sum->failures += failed + both;
    sum->slow += slow + both;
    sum->calls += failed + slow + both;
}

/*
 * One pass over the window that ends with bucket `last`: first the failures and the slow ones, then
 * all calls, the bad words read once more. So each share that is judged was never above the true
 * one at the moment between: what is its numerator was read before, what is only in its denominator
 * after.
 */
static struct wr_window_sum sum_pass(const struct wr_window *window, uint64_t last)
{
    const struct wr_time_rule *const rule = &window->shape.time;
    const uint64_t first = wr_sat_sub(last + 1, rule->buckets);
    /* Any word's era is the window's: they change together, under the mutex. */
    const uint64_t era =
        atomic_load_explicit(&window->bad[0], memory_order_seq_cst) >> (64U - WR_WINDOW_ERA_BITS);
    struct wr_window_sum bad = {0};
    struct wr_window_sum all = {0};

    for (uint64_t b = first; b <= last; ++b) {
        add_bad(window, b, wr_time_window_tag(rule, era, b), &bad);
    }
    for (uint64_t b = first; b <= last; ++b) {
        const uint64_t tag = wr_time_window_tag(rule, era, b);
        const uint32_t at = wr_time_window_position(rule, b);

        add_bad(window, b, tag, &all);
        for (uint32_t s = 0; s < window->stripes; ++s) {
            all.calls += count(&window->good[s * window->stride + at], tag);
        }
    }
    bad.calls = all.calls;
    return bad;
}

/*
 * The window ends at the newest bucket that anybody has recorded in, or at the reader's own if that
 * is later: a slow thread's stamp must not hide what others have recorded since. A pass during
 * which the window moved on is begun again; each new pass needs a new bucket, so there are few.
 */
static struct wr_window_sum sum_time(const struct wr_window *window, uint64_t now_ns)
{
    const uint64_t own = wr_time_window_bucket(&window->shape.time, now_ns);
    uint64_t newest = atomic_load_explicit(&window->newest, memory_order_seq_cst);

    for (;;) {
        const uint64_t last = wr_max_u64(own, newest);
        struct wr_window_sum sum = {0};
        uint64_t again;

        if (!wr_time_window_left(&window->shape.time, newest, last)) {
            sum = sum_pass(window, last);
        }
        again = atomic_load_explicit(&window->newest, memory_order_seq_cst);
        if (again == newest) {
            return sum;
        }
        newest = again;
    }
}

struct wr_window_sum wr_window_sum(const struct wr_window *window, uint64_t now_ns)
{
    uint64_t totals;

    if (window->shape.size == 0) {
        return sum_time(window, now_ns);
    }
    totals = atomic_load_explicit(&window->totals, memory_order_seq_cst);
    return (struct wr_window_sum){.calls = totals >> (2 * TOTAL_BITS) & TOTAL_MASK,
                                  .failures = totals >> TOTAL_BITS & TOTAL_MASK,
                                  .slow = totals & TOTAL_MASK};
}
