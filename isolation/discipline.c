/*
 * First come, first served: a doubly linked list through the cells. See discipline.h.
 */
#include "isolation/discipline.h"

#include <stddef.h>

static void fifo_push(struct wr_cell_queue *queue, struct wr_cell *cell)
{
    cell->previous = queue->last;
    cell->next = NULL;
    cell->linked = true;
    *(queue->last != NULL ? &queue->last->next : &queue->first) = cell;
    queue->last = cell;
    queue->length += 1;
}

static void fifo_remove(struct wr_cell_queue *queue, struct wr_cell *cell)
{
    *(cell->previous != NULL ? &cell->previous->next : &queue->first) = cell->next;
    *(cell->next != NULL ? &cell->next->previous : &queue->last) = cell->previous;
    cell->linked = false;
    queue->length -= 1;
}

static struct wr_cell *fifo_pick(struct wr_cell_queue *queue)
{
    struct wr_cell *const cell = queue->first;

    if (cell != NULL) {
        fifo_remove(queue, cell);
    }
    return cell;
}

const struct wr_discipline wr_fifo = {
    .name = "fifo", .push = fifo_push, .pick = fifo_pick, .remove = fifo_remove};
