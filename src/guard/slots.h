/*
 * Slots: one for each call in flight, with its start stamp, deadline, epoch and generation.
 *
 * A slot's word is (generation << 8 | state). Claiming and ending are one compare-and-swap each;
 * the generation grows when the slot is freed, so an old permit (ended before, copied, reclaimed)
 * never matches again. The fields are written by the claimer before the word turns HELD (release)
 * and read by whoever sees it HELD (acquire).
 *
 * Overdue detection: starts write nothing. `next_check` is a time before which no call in flight
 * can have become overdue; when now passes it, one thread wins it by compare-and-swap, scans, flags
 * the overdue slots and moves it. `overdue` counts the flags of one breaker epoch, whose low 32
 * bits it carries: a flag of another epoch is never counted. Whoever ends a flagged slot takes it
 * off before the call is recorded, so no call is ever counted twice.
 *
 * A call that waits for a worker has no start yet (WR_NOT_STARTED) and cannot be overdue. One whose
 * caller has left stays in ENDING, with the flag LEFT, until its work returns.
 */
#ifndef WR_GUARD_SLOTS_H
#define WR_GUARD_SLOTS_H

#include "base/hosted.h"

#include <stdatomic.h>
#include <stdbool.h>

enum wr_slot_state { WR_SLOT_FREE, WR_SLOT_CLAIMED, WR_SLOT_HELD, WR_SLOT_ENDING };
#define WR_SLOT_OVERDUE 4U /* flag beside HELD */
#define WR_SLOT_LEFT    8U /* flag beside ENDING: settled, the work still runs */
#define WR_SLOT_NONE    UINT32_MAX
#define WR_NOT_STARTED  UINT64_MAX /* start_ns of a call that waits for a worker */

/* What a held slot says of its call. */
struct wr_slot_data {
    uint64_t start_ns;
    uint64_t deadline_ns;
    uint64_t epoch;        /* of the breaker at admission; 0: not recorded there */
    uint64_t trial_serial; /* of the breaker's trial */
    uint32_t trial;        /* its index, or WR_BREAKER_NO_TRIAL */
    uint32_t leased;       /* a permit: permit_lease applies */
    void *context;         /* a permit's reference to its context; NULL: none */
};

struct wr_slot {
    _Atomic uint64_t word;
    _Atomic uint64_t start_ns;
    _Atomic uint64_t deadline_ns;
    _Atomic uint64_t epoch;
    _Atomic uint64_t trial_serial;
    _Atomic uint32_t trial;
    _Atomic uint32_t leased;
    _Atomic(void *) context;
    uint64_t padding; /* one cache line each: neighbours are used by other threads */
};

enum { WR_SLOT_SEGMENTS = 20 };

struct wr_slots {
    struct wr_host *host; /* borrowed */
    _Atomic uint32_t capacity;
    _Atomic uint64_t next_check; /* ns; UINT64_MAX: nothing to check; from 2^63: scan under way */
    _Atomic uint64_t scans;      /* tells one scan from the next */
    _Atomic uint64_t overdue;    /* low 32 bits of the epoch << 32 | count, which may be below 0 for
                                    a moment */
    struct {
        _Atomic(struct wr_slot *) slots;
        uint32_t base; /* index of its first slot */
        uint32_t count;
    } segments[WR_SLOT_SEGMENTS]; /* grow only; freed at the end */
};

/* What a scan looks for. */
struct wr_slot_check {
    uint64_t now_ns;
    uint64_t epoch;        /* calls of this epoch */
    uint64_t slow_call_ns; /* overdue when strictly longer; UINT64_MAX: not looked for */
    uint64_t lease_ns;     /* permits reclaimed from start + this on; UINT64_MAX: never */
};

/* Room for `places` held at once, with spare slots so that a free one is found in a few probes. */
bool wr_slots_init(struct wr_slots *slots, uint32_t places, struct wr_host *host);
/* Live. False: out of memory, nothing changed. */
bool wr_slots_grow(struct wr_slots *slots, uint32_t places);
void wr_slots_destroy(struct wr_slots *slots);
size_t wr_slots_bytes(const struct wr_slots *slots);

/* Claim a free slot. False: none found. */
bool wr_slots_claim(struct wr_slots *slots, uint32_t *ret_index, uint64_t *ret_generation);

/* The claimed slot's call begins. */
void wr_slots_hold(struct wr_slots *slots, uint32_t index, uint64_t generation,
                   const struct wr_slot_data *data);

/* End a held slot: of any number of enders exactly one gets true, and then owns the slot until
 * wr_slots_free(). False: stale. */
bool wr_slots_end(struct wr_slots *slots, uint32_t index, uint64_t generation,
                  struct wr_slot_data *ret_data);

/* The held slot's call has been taken up by a worker; also after it has been left. */
void wr_slots_start(struct wr_slots *slots, uint32_t index, uint64_t start_ns);

/* The caller of the ended slot has left while its work runs. */
void wr_slots_leave(struct wr_slots *slots, uint32_t index, uint64_t generation, uint64_t now_ns);

/* Free a claimed or ended slot; its generation grows. */
void wr_slots_free(struct wr_slots *slots, uint32_t index, uint64_t generation);

/* Deadline and context of a held slot; false: stale. */
bool wr_slots_look(struct wr_slots *slots, uint32_t index, uint64_t generation,
                   uint64_t *ret_deadline_ns, void **ret_context);

static inline bool wr_slots_check_due(const struct wr_slots *slots, uint64_t now_ns)
{
    return now_ns >= atomic_load_explicit(&slots->next_check, memory_order_seq_cst);
}

/* Overdue calls of the epoch, as far as checks have found them. */
static inline uint64_t wr_slots_overdue(const struct wr_slots *slots, uint64_t epoch)
{
    const uint64_t word = atomic_load_explicit(&slots->overdue, memory_order_seq_cst);
    const int32_t count = (int32_t)(uint32_t)word;

    return word >> 32U == (uint32_t)epoch && count > 0 ? (uint64_t)count : 0;
}

/* A new epoch begins: calls of the old one are not its overdue calls. */
void wr_slots_begin_epoch(struct wr_slots *slots, uint64_t epoch);

/* Ask for a check at the next opportunity: rule or epoch has changed. */
static inline void wr_slots_check_soon(struct wr_slots *slots)
{
    atomic_store_explicit(&slots->next_check, 0, memory_order_seq_cst);
}

/*
 * If a check is due: flag the overdue, move `next_check`. True if there may be permits whose lease
 * has run out: fetch them with wr_slots_expired(). O(capacity), by one thread at a time.
 */
bool wr_slots_check(struct wr_slots *slots, const struct wr_slot_check *check);

/* The next slot from *cursor on whose lease has run out. */
bool wr_slots_expired(struct wr_slots *slots, const struct wr_slot_check *check, uint32_t *cursor,
                      uint32_t *ret_index, uint64_t *ret_generation);

/* What is in the table now. Writes nothing. */
struct wr_slot_census {
    uint64_t returned;        /* times that a slot was freed */
    uint64_t held;            /* calls in flight, not settled */
    uint64_t queued;          /* of these: waiting for a worker */
    uint64_t abandoned;       /* settled, the work still runs */
    uint64_t claimed;         /* claimed, not yet held; or just ending */
    uint64_t overdue;         /* of check->epoch */
    uint64_t oldest_start_ns; /* UINT64_MAX: none runs */
    uint64_t oldest_left_ns;  /* UINT64_MAX: none abandoned */
};

void wr_slots_count(struct wr_slots *slots, const struct wr_slot_check *check,
                    struct wr_slot_census *ret_census);

#endif
