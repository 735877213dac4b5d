/*
 * The table of carriers: immutable, counted, replaced as a whole. A call keeps the one that it was
 * captured by until it ends, whatever is added or removed meanwhile.
 */
#ifndef WR_CONTEXT_CARRIER_H
#define WR_CONTEXT_CARRIER_H

#include <weir/context.h>

#include <stdatomic.h>

struct weir_carrier_slot {
    weir_carrier carrier;           /* constant */
    struct wr_carrier_table *spare; /* owned; for its removal; NULL: it has been taken out */
    _Atomic uint64_t tables;        /* tables that exist and hold this slot */
};

struct wr_carrier_table {
    /* One of the publication, one of each captured call. */
    _Atomic uint64_t references;
    size_t count;                                /* at least 1 */
    weir_carrier_slot *slots[WEIR_CARRIERS_MAX]; /* in order of entering; counted by slot->tables */
};

/* The table as it is now, counted; NULL: no carriers, and then it costs one load. */
struct wr_carrier_table *wr_carriers_acquire(void);

/* NULL is fine. */
void wr_carriers_release(struct wr_carrier_table *table);

#endif
