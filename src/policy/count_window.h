/*
 * A window of the last N counted outcomes: one ring, in order of recording.
 *
 * Pure and flat: the caller brings the ring's bytes and the lock. An outcome is two bits (failure,
 * slow) in a byte. Totals are kept as outcomes come and go, so reading costs nothing.
 */
#ifndef WR_POLICY_COUNT_WINDOW_H
#define WR_POLICY_COUNT_WINDOW_H

#include "policy/classify.h"
#include "policy/window_sum.h"

struct wr_count_window {
    uint32_t size;   /* N, at least 1 */
    uint32_t filled; /* outcomes in the ring */
    uint32_t next;   /* where the next one goes */
    uint32_t failures;
    uint32_t slow;
};

void wr_count_window_init(struct wr_count_window *window, uint32_t size);

/* Record one counted outcome; the oldest leaves when the ring is full. O(1). */
void wr_count_window_add(struct wr_count_window *window, uint8_t *ring,
                         struct wr_observation observation);

static inline struct wr_window_sum wr_count_window_sum(const struct wr_count_window *window)
{
    return (struct wr_window_sum){
        .calls = window->filled, .failures = window->failures, .slow = window->slow};
}

/* Fill the empty `to` with the newest outcomes of `from`, in order. O(size). */
void wr_count_window_copy(struct wr_count_window *to, uint8_t *to_ring,
                          const struct wr_count_window *from, const uint8_t *from_ring);

#endif
