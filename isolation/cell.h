/*
 * The call cell: one call on its way through a pool.
 *
 * Its word is (generation << 8 | state), changed by compare-and-swap:
 *
 *            offered          a worker           run returned
 *     FREE ----------> QUEUED ----------> RUNNING ----------> DONE
 *                         |                  |
 *                         +------> LEFT <----+     whoever gives the call up, and why
 *
 * Whoever makes the step to DONE or LEFT owns the call's outcome: it settles the call, once, and
 * tells the waiting side, once. What the worker writes to the cell before DONE is read by whoever
 * sees DONE (release, acquire). The generation grows when the cell is freed, so a ticket or a timer
 * that is late matches nothing.
 *
 * Two references: the caller's side (the thread in execute, or the completion) and the work's side
 * (the worker, or whoever takes the cell off the queue). The last one drops the argument and frees
 * the cell.
 *
 * A left call keeps its place until the work returns. The one who left (after settling) and the
 * worker (after run) each set a bit in `ends`; the second of them gives the place back.
 */
#ifndef WR_ISOLATION_CELL_H
#define WR_ISOLATION_CELL_H

#include "isolation/isolator.h"
#include "isolation/leave.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum wr_cell_state {
    WR_CELL_FREE,
    WR_CELL_QUEUED,
    WR_CELL_RUNNING,
    WR_CELL_DONE,
    /* LEFT, and why: */
    WR_CELL_EXPIRED,     /* its deadline came in the queue: it never ran */
    WR_CELL_TURNED_AWAY, /* the pool closed: it never ran */
    WR_CELL_WITHDRAWN,   /* cancelled in the queue: it never ran */
    WR_CELL_TIMED_OUT,   /* its deadline came while it ran */
    WR_CELL_CANCELLED    /* cancelled while it ran */
};

enum { WR_CELL_STATE_BITS = 8, WR_CELL_STATE_MASK = 255 };

/* Values of `done`. */
enum { WR_NOT_DONE, WR_SLEEPER, WR_ALL_DONE };

/* Bits of `ends`. */
enum { WR_END_SETTLED = 1, WR_END_RETURNED = 2 };

struct wr_cell {
    _Atomic uint64_t word;
    _Atomic uint32_t done; /* the thread in execute sleeps on it; set after settling */
    _Atomic uint32_t references;
    _Atomic uint32_t ends;
    uint32_t index; /* in the store */
    _Atomic uint32_t next_free;
    _Atomic uint64_t *expires_ns; /* the timer's, in a dense array; UINT64_MAX: nothing to expire */
    /* The queue's, under the pool's mutex. */
    struct wr_cell *previous, *next;
    bool linked;
    struct wr_leave leave;
    struct weir_call call; /* what run is given */
};

static inline uint64_t wr_cell_word(uint64_t generation, enum wr_cell_state state)
{
    return generation << WR_CELL_STATE_BITS | (uint64_t)state;
}

static inline uint64_t wr_cell_generation(uint64_t word)
{
    return word >> WR_CELL_STATE_BITS;
}

static inline enum wr_cell_state wr_cell_state(uint64_t word)
{
    return (enum wr_cell_state)(word & WR_CELL_STATE_MASK);
}

static inline bool wr_cell_has_left(uint64_t word)
{
    return wr_cell_state(word) >= WR_CELL_EXPIRED;
}

/* Sequentially consistent: a leaver's step and a worker's watch must not both miss the other, see
 * leave.h. Acquire: pairs with the release of the step to DONE. */
static inline uint64_t wr_cell_read(const struct wr_cell *cell)
{
    return atomic_load_explicit(&cell->word, memory_order_seq_cst);
}

/* From the state in `word` to `next`, same generation. False: somebody was faster. */
static inline bool wr_cell_step(struct wr_cell *cell, uint64_t word, enum wr_cell_state next)
{
    return atomic_compare_exchange_strong_explicit(&cell->word, &word,
                                                   wr_cell_word(wr_cell_generation(word), next),
                                                   memory_order_seq_cst, memory_order_relaxed);
}

#endif
