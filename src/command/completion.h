/*
 * The completion queue as the rest of the command layer sees it. See weir/queue.h.
 */
#ifndef WR_COMMAND_COMPLETION_H
#define WR_COMMAND_COMPLETION_H

#include "command/job.h"

/* Does it belong to the runtime with this host? False for NULL. */
bool wr_queue_serves(const weir_queue *queue, const struct wr_host *host);

/* Was it made in this process? */
bool wr_queue_is_here(const weir_queue *queue);

uint64_t wr_queue_now(const weir_queue *queue);

/* One completion more is to come; it has been ended, or will not come after all. */
void wr_queue_expect(weir_queue *queue);
void wr_queue_forget(weir_queue *queue);

/* submit.c */
void wr_ticket_of(const struct wr_job *job, weir_ticket *ret_ticket);
struct wr_cell *wr_ticket_cell(const weir_ticket *ticket, uint64_t *ret_generation);

#endif
