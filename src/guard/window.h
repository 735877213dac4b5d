/*
 * The breaker's window shared by threads: exact, and nearly free while nothing fails.
 *
 * Time window: every outcome is one add by compare-and-swap to one tagged word
 * (policy/time_window.h): good outcomes (neither failed nor slow) to the recording thread's stripe,
 * bad ones to words that all share, one for each kind. So an outcome is in a sum as a whole or not
 * at all, and failures <= calls always.
 *
 * No trip can be missed: whoever records adds first and sums afterwards, both sequentially
 * consistent; of overlapping recordings the last to sum sees all the others. None can be invented:
 * a sum reads what is a share's numerator before what is only in its denominator, so that no share
 * it finds was above the true one at the moment between. A good outcome need not sum at all while
 * the window holds no bad one (quiet): the next bad one will sum.
 *
 * Count window: a ring under a mutex that is held for a few instructions; its totals are published
 * in one word.
 */
#ifndef WR_GUARD_WINDOW_H
#define WR_GUARD_WINDOW_H

#include "base/hosted.h"
#include "base/mutex.h"
#include "policy/count_window.h"
#include "policy/time_window.h"

#include <stdatomic.h>

struct wr_window_shape {
    uint32_t size;            /* above 0: a count window of so many outcomes */
    struct wr_time_rule time; /* else a time window */
};

struct wr_window;

enum wr_recorded { WR_RECORDED, WR_RECORDED_LATE, WR_RECORDED_OUTSIDE, WR_RECORDED_MOVED };

/* An empty window that counts for `epoch`. NULL: out of memory. */
struct wr_window *wr_window_create(struct wr_host *host, const struct wr_window_shape *shape,
                                   uint32_t stripes, uint64_t epoch, uint64_t now_ns);
void wr_window_destroy(struct wr_window *window);
size_t wr_window_bytes(const struct wr_window *window);
bool wr_window_has_shape(const struct wr_window *window, const struct wr_window_shape *shape);

/* Count for a new epoch from now on, empty. One caller at a time. */
void wr_window_begin_epoch(struct wr_window *window, uint64_t epoch);

/* Keep the newest outcomes of another count window, which takes no more from then on; nothing if
 * either is a time window. */
void wr_window_inherit(struct wr_window *window, struct wr_window *from);

/*
 * Record one counted outcome of a call that was admitted in `epoch`. LATE: the window counts for
 * another epoch; OUTSIDE: its bucket has left the window; MOVED: another window has inherited this
 * one, record there. All three leave the window as it was.
 */
enum wr_recorded wr_window_record(struct wr_window *window, uint64_t epoch, uint64_t now_ns,
                                  struct wr_observation observation);

/* Is there certainly no bad outcome in the window? */
bool wr_window_quiet(const struct wr_window *window, uint64_t now_ns);

/* All outcomes whose recording had returned before this call, and maybe some that overlap. Writes
 * nothing. O(buckets * stripes). */
struct wr_window_sum wr_window_sum(const struct wr_window *window, uint64_t now_ns);

#endif
