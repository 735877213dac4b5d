/*
 * What is still to come, earliest first: a binary heap ordered by time, then by the script line
 * that it comes from, then by the order in which it was planned.
 */
#ifndef WR_TOOL_EVENT_HEAP_H
#define WR_TOOL_EVENT_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wr_sim_event {
    uint64_t at_ns;
    uint64_t line;
    uint64_t sequence; /* unique */
    void *subject;     /* borrowed */
};

struct wr_event_heap {
    struct wr_sim_event *events; /* owned */
    size_t count, capacity;
};

/* False: out of memory, nothing added. */
bool wr_event_heap_push(struct wr_event_heap *heap, const struct wr_sim_event *event);

/* The earliest, NULL if there is none; until the next push or pop. */
const struct wr_sim_event *wr_event_heap_first(const struct wr_event_heap *heap);

/* Remove the earliest; there must be one. */
void wr_event_heap_pop(struct wr_event_heap *heap);

void wr_event_heap_free(struct wr_event_heap *heap);

#endif
