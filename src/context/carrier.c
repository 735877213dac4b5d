/*
 * Adding and removing carriers. A change composes a new table, publishes it with a compare-and-swap
 * and drops the old one after a grace period: no lock, so a fork cannot leave one held, and no
 * reader waits. The swap cannot mistake a recycled address for the old table: it happens in the
 * read section that loaded the old one, which keeps that from being freed.
 *
 * A slot counts the tables that hold it, and a captured call holds its table, so a slot without
 * tables is in no call's hands: removal frees it then and only then. What a removal needs is
 * allocated when the carrier is added; removing cannot fail for want of memory.
 */
#include "context/carrier.h"

#include "base/options.h"
#include "base/rcu.h"

#include <stdbool.h>
#include <stdlib.h>

enum { CARRIER_MINIMUM = sizeof(weir_carrier) }; /* size of the first released version */

/* Written by replace() with release, read with acquire in read sections: a table and its slots are
 * complete before they can be seen. */
static _Atomic(struct wr_carrier_table *) published;

struct wr_carrier_table *wr_carriers_acquire(void)
{
    struct wr_carrier_table *table;

    /* Relaxed: nothing is read through it; whoever must see an added carrier was told by other
     * means, which order this load after the store in replace(). */
    if (atomic_load_explicit(&published, memory_order_relaxed) == NULL) {
        return NULL;
    }
    wr_rcu_enter();
    /* Acquire: pairs with the release in replace(). */
    table = atomic_load_explicit(&published, memory_order_acquire);
    if (table != NULL) {
        /* Relaxed: the publication's own reference is not dropped before this section ends. */
        (void)atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
    }
    wr_rcu_leave();
    return table;
}

static void put(struct wr_carrier_table *table, weir_carrier_slot *slot)
{
    /* Relaxed: the slot is in our hands, or in a published table that the read section keeps. */
    (void)atomic_fetch_add_explicit(&slot->tables, 1, memory_order_relaxed);
    table->slots[table->count++] = slot;
}

static void clear(struct wr_carrier_table *table)
{
    while (table->count > 0) {
        weir_carrier_slot *const slot = table->slots[--table->count];

        /* Release: what was done by this slot's functions, and our last look at it, come before
         * the acquire load in weir_carrier_remove() that lets it be freed. */
        (void)atomic_fetch_sub_explicit(&slot->tables, 1, memory_order_release);
    }
}

void wr_carriers_release(struct wr_carrier_table *table)
{
    /* acq_rel, each with all the others: the last one frees after what the others have read. */
    if (table != NULL &&
        atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) == 1) {
        clear(table);
        free(table);
    }
}

/* `next` becomes `old` with `in`, behind those of the same order, and without `out`. Either may be
 * NULL. False: there is no room, and `next` is empty. */
static bool compose(struct wr_carrier_table *next, const struct wr_carrier_table *old,
                    weir_carrier_slot *in, const weir_carrier_slot *out)
{
    const size_t count = old != NULL ? old->count : 0;

    if (in != NULL && count == WEIR_CARRIERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; ++i) {
        if (in != NULL && in->carrier.order < old->slots[i]->carrier.order) {
            put(next, in);
            in = NULL;
        }
        if (old->slots[i] != out) {
            put(next, old->slots[i]);
        }
    }
    if (in != NULL) {
        put(next, in);
    }
    return true;
}

/* Publish the table with `in` and without `out`, using the memory of `next`, which is given away.
 * False: there is no room, nothing has changed, and `next` is still the caller's. */
static bool replace(struct wr_carrier_table *next, weir_carrier_slot *in,
                    const weir_carrier_slot *out)
{
    struct wr_carrier_table *old;
    struct wr_carrier_table *shown = NULL;

    wr_rcu_enter();
    /* Acquire: pairs with the release below, of the change before. */
    old = atomic_load_explicit(&published, memory_order_acquire);
    for (;;) {
        if (!compose(next, old, in, out)) {
            wr_rcu_leave();
            return false;
        }
        shown = next->count > 0 ? next : NULL;
        /* Release: pairs with the acquire loads of `published`. Acquire: on failure there is
         * another table to read. */
        if (atomic_compare_exchange_weak_explicit(&published, &old, shown, memory_order_acq_rel,
                                                  memory_order_acquire)) {
            break;
        }
        clear(next);
    }
    wr_rcu_leave();
    if (shown == NULL) {
        free(next);
    }
    wr_rcu_synchronize(); /* who saw the old table has counted it, or has let it go */
    wr_carriers_release(old);
    return true;
}

static struct wr_carrier_table *table_make(void)
{
    struct wr_carrier_table *const table = calloc(1, sizeof(*table));

    if (table != NULL) {
        atomic_init(&table->references, 1); /* the publication's */
    }
    return table;
}

static weir_carrier_slot *slot_make(const weir_carrier *carrier)
{
    weir_carrier_slot *const slot = calloc(1, sizeof(*slot));

    if (slot == NULL) {
        return NULL;
    }
    slot->carrier = *carrier;
    slot->spare = table_make();
    if (slot->spare == NULL) {
        free(slot);
        return NULL;
    }
    return slot;
}

static void slot_free(weir_carrier_slot *slot)
{
    free(slot->spare);
    free(slot);
}

static bool is_complete(const weir_carrier *carrier)
{
    return carrier->name != NULL && carrier->capture != NULL && carrier->enter != NULL &&
           carrier->leave != NULL && carrier->release != NULL &&
           (carrier->policy == WEIR_CARRY_CLEAR || carrier->policy == WEIR_CARRY_KEEP);
}

weir_status weir_carrier_add(const weir_carrier *carrier, weir_carrier_slot **ret_slot)
{
    struct wr_carrier_table *next;
    weir_carrier_slot *slot;
    weir_carrier copy;
    weir_status status;

    if (carrier == NULL || ret_slot == NULL) {
        return WEIR_E_ARGUMENT;
    }
    status = wr_options_copy(&copy, sizeof(copy), CARRIER_MINIMUM, carrier, "weir_carrier", NULL);
    if (status != WEIR_OK) {
        return status;
    }
    if (!is_complete(&copy)) {
        return WEIR_E_ARGUMENT;
    }
    slot = slot_make(&copy);
    if (slot == NULL) {
        return WEIR_E_MEMORY;
    }
    next = table_make();
    if (next == NULL || !replace(next, slot, NULL)) {
        status = next == NULL ? WEIR_E_MEMORY : WEIR_E_TOO_LARGE;
        free(next);
        slot_free(slot);
        return status;
    }
    *ret_slot = slot;
    return WEIR_OK;
}

weir_status weir_carrier_remove(weir_carrier_slot *slot)
{
    if (slot == NULL) {
        return WEIR_E_ARGUMENT;
    }
    if (slot->spare != NULL) {
        struct wr_carrier_table *const next = slot->spare;

        slot->spare = NULL;
        (void)replace(next, NULL, slot); /* taking out needs no room */
    }
    /* Acquire: pairs with the release in clear(), by whoever let go of the last table. */
    if (atomic_load_explicit(&slot->tables, memory_order_acquire) != 0) {
        return WEIR_E_BUSY;
    }
    slot_free(slot);
    return WEIR_OK;
}
