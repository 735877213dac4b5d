/*
 * A free list over blocks of malloc. See item_pool.h.
 */
#include "tool/item_pool.h"

#include <stdlib.h>
#include <string.h>

enum { ITEMS_A_BLOCK = 256, HEADER = sizeof(max_align_t) };

static void *next_of(const void *item)
{
    void *next;

    memcpy(&next, item, sizeof(next));
    return next;
}

static void push(void **list, void *item)
{
    memcpy(item, list, sizeof(*list));
    *list = item;
}

void *wr_item_take(struct wr_item_pool *pool)
{
    void *item;

    if (pool->free_items == NULL) {
        char *const block = malloc(HEADER + ITEMS_A_BLOCK * pool->item_size);

        if (block == NULL) {
            return NULL;
        }
        push(&pool->blocks, block);
        for (size_t i = ITEMS_A_BLOCK; i-- > 0;) {
            push(&pool->free_items, block + HEADER + i * pool->item_size);
        }
    }
    item = pool->free_items;
    pool->free_items = next_of(item);
    memset(item, 0, pool->item_size);
    return item;
}

void wr_item_return(struct wr_item_pool *pool, void *item)
{
    push(&pool->free_items, item);
}

void wr_item_pool_free(struct wr_item_pool *pool)
{
    while (pool->blocks != NULL) {
        void *const block = pool->blocks;

        pool->blocks = next_of(block);
        free(block);
    }
    pool->free_items = NULL;
}
