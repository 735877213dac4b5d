/*
 * The store of a pool's cells: a free list of fixed size, so that a call allocates nothing. Memory
 * only grows (live settings) and is freed at the end, so a stale pointer to a cell always points to
 * a cell.
 *
 * Free list: a stack of indexes whose head carries a 40-bit tag that grows with each change, so a
 * head that was read long ago is not taken for the same one (Treiber 1986; the tag is IBM's).
 */
#ifndef WR_ISOLATION_CELLS_H
#define WR_ISOLATION_CELLS_H

#include "base/hosted.h"
#include "isolation/cell.h"

#define WR_CELLS_MAX 0xfffffeU

enum { WR_CELL_SEGMENTS = 24 };

struct wr_cells {
    /* tag << 24 | index + 1; 0 in the low bits: none free. On a line of its own: whoever submits
     * and whoever collects write it, everybody reads the rest. */
    _Alignas(64) _Atomic uint64_t head;
    _Alignas(64) struct wr_host *host; /* borrowed */
    size_t stride;                     /* bytes from one cell to the next */
    _Atomic uint32_t capacity;
    struct {
        _Atomic(unsigned char *) memory;
        _Atomic uint64_t *expires_ns; /* one for each cell, dense: the timer scans them */
        uint32_t base, count;
    } segments[WR_CELL_SEGMENTS];
};

/* `cell_bytes`: of the struct that begins with a wr_cell, with all that follows it. */
void wr_cells_init(struct wr_cells *cells, struct wr_host *host, size_t cell_bytes);
void wr_cells_destroy(struct wr_cells *cells);

/* Live; one thread at a time. False: out of memory, nothing changed. */
bool wr_cells_grow(struct wr_cells *cells, uint32_t count);

/* NULL: at one instant none was free. The cell has one reference for each side. */
struct wr_cell *wr_cells_take(struct wr_cells *cells);

/* Back to the free list; its generation grows. */
void wr_cells_put(struct wr_cells *cells, struct wr_cell *cell);

/* Cells that are not free now; and the memory of all. O(cells). */
uint32_t wr_cells_used(const struct wr_cells *cells);
size_t wr_cells_bytes(const struct wr_cells *cells);

struct wr_cell *wr_cells_at(const struct wr_cells *cells, uint32_t index);

/* Calls visit(user, cell) for each live cell that expires at `now_ns` or before; returns the
 * earliest moment at which another one does. */
uint64_t wr_cells_expired(const struct wr_cells *cells, uint64_t now_ns,
                          void (*visit)(void *user, struct wr_cell *cell, uint64_t word),
                          void *user);

#endif
