/*
 * A list with a border between the granted and the others. See sim_queue.h.
 */
#include "tool/sim_queue.h"

#include <stddef.h>

void wr_sim_queue_add(struct wr_sim_queue *queue, struct wr_sim_call *call)
{
    call->queued = true;
    call->next = NULL;
    call->previous = queue->last;
    *(call->previous != NULL ? &call->previous->next : &queue->first) = call;
    queue->last = call;
    if (queue->ungranted == NULL) {
        queue->ungranted = call;
    }
}

void wr_sim_queue_remove(struct wr_sim_queue *queue, struct wr_sim_call *call)
{
    wr_sim_queue_look(queue);
    if (wr_attempt_granted(call->attempt)) {
        --queue->granted; /* the look has counted it */
    } else if (queue->ungranted == call) {
        queue->ungranted = call->next;
    }
    *(call->previous != NULL ? &call->previous->next : &queue->first) = call->next;
    *(call->next != NULL ? &call->next->previous : &queue->last) = call->previous;
    call->queued = false;
}

void wr_sim_queue_look(struct wr_sim_queue *queue)
{
    while (queue->ungranted != NULL && wr_attempt_granted(queue->ungranted->attempt)) {
        ++queue->granted;
        queue->ungranted = queue->ungranted->next;
    }
}
