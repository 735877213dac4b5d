/*
 * The arena and the growing vector. See config_memory.h.
 */
#include "config/config_memory.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 4000, FIRST_ITEMS = 16 };

struct wr_config_memory wr_config_memory = {malloc, free};

struct wr_arena_block {
    struct wr_arena_block *older;
    size_t size;
    char bytes[];
};

char *wr_arena_text(struct wr_arena *arena, const char *text, size_t length)
{
    char *copy;

    if (arena->newest == NULL || arena->newest->size - arena->used < length + 1) {
        const size_t size = length + 1 > BLOCK_BYTES ? length + 1 : BLOCK_BYTES;
        struct wr_arena_block *const block = wr_config_memory.allocate(sizeof(*block) + size);

        if (block == NULL) {
            return NULL;
        }
        block->older = arena->newest;
        block->size = size;
        arena->newest = block;
        arena->used = 0;
    }
    copy = arena->newest->bytes + arena->used;
    memcpy(copy, text, length);
    copy[length] = '\0';
    arena->used += length + 1;
    return copy;
}

void wr_arena_free(struct wr_arena *arena)
{
    while (arena->newest != NULL) {
        struct wr_arena_block *const block = arena->newest;

        arena->newest = block->older;
        wr_config_memory.release(block);
    }
    arena->used = 0;
}

void *wr_vector_grow(void *items, size_t count, size_t *capacity, size_t item_size)
{
    const size_t room = *capacity == 0 ? FIRST_ITEMS : *capacity * 2;
    void *larger;

    if (count < *capacity) {
        return items;
    }
    larger = wr_config_memory.allocate(room * item_size);
    if (larger == NULL) {
        return NULL;
    }
    if (count > 0) {
        memcpy(larger, items, count * item_size);
    }
    wr_config_memory.release(items);
    *capacity = room;
    return larger;
}
