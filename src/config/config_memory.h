/*
 * Memory of a parsed file: an arena for its strings, and the one place that asks malloc.
 *
 * A file's strings live and die together, so they are cut from blocks; a failed parse frees them
 * all with one call.
 */
#ifndef WR_CONFIG_CONFIG_MEMORY_H
#define WR_CONFIG_CONFIG_MEMORY_H

#include <stddef.h>

/*
 * malloc and free, unless a test has put others here before its threads start: ones that count, or
 * that fail.
 */
struct wr_config_memory {
    void *(*allocate)(size_t bytes);
    void (*release)(void *memory);
};

extern struct wr_config_memory wr_config_memory;

struct wr_arena {
    struct wr_arena_block *newest; /* owns all blocks; NULL: empty */
    size_t used;                   /* bytes of the newest block */
};

/* Copy `length` bytes of `text` and end them with NUL. NULL: out of memory. */
char *wr_arena_text(struct wr_arena *arena, const char *text, size_t length);

/* Free every string. */
void wr_arena_free(struct wr_arena *arena);

/*
 * Make room for one more item in a vector of `count` items. Doubles it when it is full; returns the
 * vector to use from now on (the old one is freed), or NULL when out of memory (the old one
 * stands).
 */
void *wr_vector_grow(void *items, size_t count, size_t *capacity, size_t item_size);

#endif
