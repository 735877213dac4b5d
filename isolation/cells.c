/*
 * The store of cells. See cells.h.
 */
#include "isolation/cells.h"

#include "base/saturate.h"

enum { INDEX_BITS = 24, CACHE_LINE = 64 };
#define INDEX_MASK ((1ULL << INDEX_BITS) - 1)

void wr_cells_init(struct wr_cells *cells, struct wr_host *host, size_t cell_bytes)
{
    cells->host = host;
    cells->stride = (cell_bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    atomic_init(&cells->head, 0);
    atomic_init(&cells->capacity, 0);
    for (uint32_t s = 0; s < WR_CELL_SEGMENTS; ++s) {
        atomic_init(&cells->segments[s].memory, NULL);
        cells->segments[s].count = 0;
    }
}

void wr_cells_destroy(struct wr_cells *cells)
{
    for (uint32_t s = 0; s < WR_CELL_SEGMENTS; ++s) {
        const uint32_t count = cells->segments[s].count;

        if (count != 0) {
            wr_host_release(cells->host,
                            atomic_load_explicit(&cells->segments[s].memory, memory_order_relaxed),
                            count * cells->stride);
            wr_host_release(cells->host, cells->segments[s].expires_ns, count * sizeof(uint64_t));
        }
    }
}

struct wr_cell *wr_cells_at(const struct wr_cells *cells, uint32_t index)
{
    uint32_t s = 0;

    while (index - cells->segments[s].base >= cells->segments[s].count) {
        ++s;
    }
    return (struct wr_cell *)(void *)(atomic_load_explicit(&cells->segments[s].memory,
                                                           memory_order_acquire) +
                                      (index - cells->segments[s].base) * cells->stride);
}

/* Make `cell` the head. Release: pairs with the acquire in wr_cells_take(). */
static void push(struct wr_cells *cells, struct wr_cell *cell)
{
    uint64_t head = atomic_load_explicit(&cells->head, memory_order_relaxed);
    uint64_t next;

    do {
        atomic_store_explicit(&cell->next_free, (uint32_t)(head & INDEX_MASK),
                              memory_order_relaxed);
        next = ((head >> INDEX_BITS) + 1) << INDEX_BITS | (cell->index + 1);
    } while (!atomic_compare_exchange_weak_explicit(&cells->head, &head, next, memory_order_release,
                                                    memory_order_relaxed));
}

/* Each segment is at least as large as all before it, so that 24 are enough. */
bool wr_cells_grow(struct wr_cells *cells, uint32_t count)
{
    const uint32_t have = atomic_load_explicit(&cells->capacity, memory_order_relaxed);
    const uint32_t more = count > have ? (uint32_t)wr_max_u64(count - have, have) : 0;
    uint32_t s = 0;
    unsigned char *memory;
    _Atomic uint64_t *expires_ns;
    size_t bytes;

    if (more == 0) {
        return true;
    }
    while (s < WR_CELL_SEGMENTS && cells->segments[s].count != 0) {
        ++s;
    }
    if (s == WR_CELL_SEGMENTS || have + more > WR_CELLS_MAX ||
        __builtin_mul_overflow(more, cells->stride, &bytes)) {
        return false;
    }
    memory = wr_host_allocate(cells->host, bytes);
    expires_ns = wr_host_allocate(cells->host, more * sizeof(uint64_t));
    if (memory == NULL || expires_ns == NULL) {
        wr_host_release(cells->host, memory, bytes);
        wr_host_release(cells->host, expires_ns, more * sizeof(uint64_t));
        return false;
    }
    cells->segments[s].base = have;
    cells->segments[s].count = more;
    cells->segments[s].expires_ns = expires_ns;
    atomic_store_explicit(&cells->segments[s].memory, memory, memory_order_release);
    for (uint32_t i = 0; i < more; ++i) {
        struct wr_cell *const cell = wr_cells_at(cells, have + i);

        cell->index = have + i;
        cell->expires_ns = &expires_ns[i];
        atomic_init(&expires_ns[i], UINT64_MAX);
        atomic_init(&cell->word, wr_cell_word(1, WR_CELL_FREE));
    }
    /* Release: pairs with the acquire of whoever scans up to it: what it scans is complete. Before
     * the first of them can be taken, so that no moment is overlooked. */
    atomic_store_explicit(&cells->capacity, have + more, memory_order_release);
    for (uint32_t i = 0; i < more; ++i) {
        push(cells, wr_cells_at(cells, have + i));
    }
    return true;
}

struct wr_cell *wr_cells_take(struct wr_cells *cells)
{
    /* Acquire: pairs with the release in push(): the cell's last user is done with it. */
    uint64_t head = atomic_load_explicit(&cells->head, memory_order_acquire);
    struct wr_cell *cell;
    uint64_t next;

    do {
        if ((head & INDEX_MASK) == 0) {
            return NULL;
        }
        cell = wr_cells_at(cells, (uint32_t)(head & INDEX_MASK) - 1);
        next = ((head >> INDEX_BITS) + 1) << INDEX_BITS |
               atomic_load_explicit(&cell->next_free, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(&cells->head, &head, next, memory_order_acquire,
                                                    memory_order_acquire));
    atomic_store_explicit(&cell->done, WR_NOT_DONE, memory_order_relaxed);
    atomic_store_explicit(&cell->references, 2, memory_order_relaxed);
    atomic_store_explicit(&cell->ends, 0, memory_order_relaxed);
    return cell;
}

void wr_cells_put(struct wr_cells *cells, struct wr_cell *cell)
{
    const uint64_t word = atomic_load_explicit(&cell->word, memory_order_relaxed);

    atomic_store_explicit(&cell->word, wr_cell_word(wr_cell_generation(word) + 1, WR_CELL_FREE),
                          memory_order_release);
    push(cells, cell);
}

uint32_t wr_cells_used(const struct wr_cells *cells)
{
    const uint32_t capacity = atomic_load_explicit(&cells->capacity, memory_order_acquire);
    uint32_t used = 0;

    for (uint32_t i = 0; i < capacity; ++i) {
        const struct wr_cell *const cell = wr_cells_at(cells, i);

        used += wr_cell_state(wr_cell_read(cell)) != WR_CELL_FREE ? 1U : 0U;
    }
    return used;
}

size_t wr_cells_bytes(const struct wr_cells *cells)
{
    return atomic_load_explicit(&cells->capacity, memory_order_relaxed) *
           (cells->stride + sizeof(uint64_t));
}

static bool is_live(uint64_t word)
{
    return wr_cell_state(word) == WR_CELL_QUEUED || wr_cell_state(word) == WR_CELL_RUNNING;
}

/*
 * Visit the cell if its moment has come. A moment is stored after the state has become QUEUED and
 * taken back before the cell is freed: read after a live word, it belongs to that generation or to
 * a later one, and in the latter case the visitor's compare-and-swap of the word fails. One that is
 * due beside a word that is not live belongs to a call that is just being settled, or to one that
 * is just being submitted, which asks for a scan of its own.
 */
static uint64_t look_at(struct wr_cell *cell, uint64_t now_ns,
                        void (*visit)(void *user, struct wr_cell *cell, uint64_t word), void *user)
{
    const uint64_t word = wr_cell_read(cell);
    const uint64_t expires_ns = atomic_load_explicit(cell->expires_ns, memory_order_seq_cst);

    if (expires_ns > now_ns) {
        return expires_ns;
    }
    if (is_live(word)) {
        visit(user, cell, word);
    }
    return UINT64_MAX;
}

static uint64_t scan_segment(const struct wr_cells *cells, uint32_t s, uint64_t now_ns,
                             void (*visit)(void *user, struct wr_cell *cell, uint64_t word),
                             void *user)
{
    uint64_t earliest = UINT64_MAX;

    for (uint32_t i = 0; i < cells->segments[s].count; ++i) {
        /* Sequentially consistent: see timer.h. */
        uint64_t moment =
            atomic_load_explicit(&cells->segments[s].expires_ns[i], memory_order_seq_cst);

        if (moment <= now_ns) {
            moment = look_at(wr_cells_at(cells, cells->segments[s].base + i), now_ns, visit, user);
        }
        earliest = wr_min_u64(earliest, moment);
    }
    return earliest;
}

uint64_t wr_cells_expired(const struct wr_cells *cells, uint64_t now_ns,
                          void (*visit)(void *user, struct wr_cell *cell, uint64_t word),
                          void *user)
{
    /* Acquire: pairs with the release in wr_cells_grow(). */
    const uint32_t capacity = atomic_load_explicit(&cells->capacity, memory_order_acquire);
    uint64_t earliest = UINT64_MAX;

    for (uint32_t s = 0, seen = 0; seen < capacity; seen += cells->segments[s++].count) {
        earliest = wr_min_u64(earliest, scan_segment(cells, s, now_ns, visit, user));
    }
    return earliest;
}
