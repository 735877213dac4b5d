/*
 * The order in which queued calls reach workers: the seam for priorities and for dropping at the
 * head. All functions are called under the pool's mutex and take constant time.
 */
#ifndef WR_ISOLATION_DISCIPLINE_H
#define WR_ISOLATION_DISCIPLINE_H

#include "isolation/cell.h"

struct wr_cell_queue {
    struct wr_cell *first, *last;
    uint32_t length;
};

struct wr_discipline {
    const char *name;
    void (*push)(struct wr_cell_queue *queue, struct wr_cell *cell);
    /* The next call to run; NULL: none. */
    struct wr_cell *(*pick)(struct wr_cell_queue *queue);
    /* A linked cell, from wherever it stands. */
    void (*remove)(struct wr_cell_queue *queue, struct wr_cell *cell);
};

/* First come, first served. */
extern const struct wr_discipline wr_fifo;

#endif
