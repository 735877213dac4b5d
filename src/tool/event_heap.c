/*
 * A binary heap in one array. See event_heap.h.
 */
#include "tool/event_heap.h"

#include <stdlib.h>

enum { FIRST_EVENTS = 256 };

static bool before(const struct wr_sim_event *a, const struct wr_sim_event *b)
{
    if (a->at_ns != b->at_ns) {
        return a->at_ns < b->at_ns;
    }
    return a->line != b->line ? a->line < b->line : a->sequence < b->sequence;
}

bool wr_event_heap_push(struct wr_event_heap *heap, const struct wr_sim_event *event)
{
    size_t at = heap->count;

    if (heap->count == heap->capacity) {
        const size_t room = heap->capacity == 0 ? FIRST_EVENTS : heap->capacity * 2;
        struct wr_sim_event *const larger = realloc(heap->events, room * sizeof(*larger));

        if (larger == NULL) {
            return false;
        }
        heap->events = larger;
        heap->capacity = room;
    }
    ++heap->count;
    while (at > 0 && before(event, &heap->events[(at - 1) / 2])) {
        heap->events[at] = heap->events[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->events[at] = *event;
    return true;
}

const struct wr_sim_event *wr_event_heap_first(const struct wr_event_heap *heap)
{
    return heap->count > 0 ? &heap->events[0] : NULL;
}

void wr_event_heap_pop(struct wr_event_heap *heap)
{
    const struct wr_sim_event *const last = &heap->events[--heap->count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < heap->count && before(&heap->events[child + 1], &heap->events[child])) {
            ++child;
        }
        if (child >= heap->count || !before(&heap->events[child], last)) {
            break;
        }
        heap->events[at] = heap->events[child];
        at = child;
    }
    heap->events[at] = *last;
}

void wr_event_heap_free(struct wr_event_heap *heap)
{
    free(heap->events);
    *heap = (struct wr_event_heap){0};
}
