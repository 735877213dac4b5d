/*
 * Items of one size that are taken and returned by the million and freed all at once.
 */
#ifndef WR_TOOL_ITEM_POOL_H
#define WR_TOOL_ITEM_POOL_H

#include <stddef.h>

struct wr_item_pool {
    size_t item_size; /* set by the user: sizeof an item that holds at least a pointer */
    void *free_items; /* list through the first bytes of each */
    void *blocks;     /* owned; list through the first bytes of each */
};

/* Zeroed. NULL: out of memory. */
void *wr_item_take(struct wr_item_pool *pool);

void wr_item_return(struct wr_item_pool *pool, void *item);

/* All items, returned or not. */
void wr_item_pool_free(struct wr_item_pool *pool);

#endif
