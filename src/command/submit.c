/*
 * The shape submit: a call whose end is told through a completion queue; and giving one up.
 */
#include "command/completion.h"
#include "command/job.h"
#include "command/request.h"

#include "base/raw.h"

#include <string.h>

/* A ticket's words: the cell, and its generation. */
enum { TICKET_CELL, TICKET_GENERATION };
_Static_assert(sizeof(struct wr_cell *) <= sizeof(uint64_t), "a word of a ticket holds a pointer");

void wr_ticket_of(const struct wr_job *job, weir_ticket *ret_ticket)
{
    const struct wr_cell *const cell = &job->cell;

    *ret_ticket = (weir_ticket){{0, 0}};
    memcpy(&ret_ticket->opaque[TICKET_CELL], &cell, sizeof(struct wr_cell *));
    ret_ticket->opaque[TICKET_GENERATION] =
        wr_cell_generation(atomic_load_explicit(&cell->word, memory_order_relaxed));
}

struct wr_cell *wr_ticket_cell(const weir_ticket *ticket, uint64_t *ret_generation)
{
    struct wr_cell *cell;

    memcpy(&cell, &ticket->opaque[TICKET_CELL], sizeof(struct wr_cell *));
    *ret_generation = ticket->opaque[TICKET_GENERATION];
    return cell;
}

static weir_status refuse(const struct wr_attempt *attempt, const weir_command *command,
                          const weir_request *request)
{
    if (command->argument_drop != NULL && request->argument != NULL) {
        void *value; /* handed over to us: from here on it is ours to end */

        memcpy(&value, &request->argument, sizeof(value));
        command->argument_drop(value);
    }
    return attempt->reason;
}

/* Turned away by a pool that closed meanwhile: nothing will come. */
static weir_status turned_away(struct wr_job *job, weir_queue *queue, weir_outcome *outcome)
{
    weir_outcome room;
    const weir_status status = wr_job_outcome(job, job->left_ns, outcome != NULL ? outcome : &room);

    wr_job_release(job);
    wr_queue_forget(queue);
    return status;
}

static weir_status send(struct wr_job *job, weir_queue *queue, weir_ticket *ret_ticket,
                        weir_outcome *outcome)
{
    atomic_store_explicit(&job->queue, queue, memory_order_relaxed);
    wr_queue_expect(queue);
    if (ret_ticket != NULL) {
        wr_ticket_of(job, ret_ticket);
    }
    /* From here on, if it is sent, the job may be gone at any moment. */
    return wr_job_send(job) ? WEIR_OK : turned_away(job, queue, outcome);
}

static weir_status check_submit(const weir_dependency *dependency, const weir_request *request,
                                const weir_queue *queue)
{
    if (dependency->pool == NULL) {
        return WEIR_E_SHAPE;
    }
    if (request->result != NULL || !wr_queue_serves(queue, dependency->host)) {
        return WEIR_E_ARGUMENT;
    }
    return WEIR_OK;
}

/* NOLINTNEXTLINE(readability-function-size): execute's parameters and those of its queue */
weir_status weir_submit(weir_dependency *dependency, const weir_command *command,
                        const weir_request *request, weir_queue *queue, void *user,
                        weir_ticket *ret_ticket, weir_outcome *ret_outcome)
{
    WR_RAW struct wr_call_room room;
    WR_RAW struct wr_attempt attempt;
    WR_RAW struct wr_ask ask;
    const weir_context *context;
    struct wr_job *job;
    weir_status status = wr_call_view(&room, dependency, &command, &request);
    enum wr_step step;

    status = status == WEIR_OK ? check_submit(dependency, request, queue) : status;
    if (status != WEIR_OK) {
        return wr_usage(ret_outcome, status);
    }
    context = wr_request_context(request);
    wr_ask_init(&ask, dependency, request, context);
    step = wr_attempt_ask(dependency, &ask, &attempt);
    if (step == WR_ADMITTED) {
        attempt.reason = WEIR_OK; /* mode observe notes what would have refused it */
    }
    if (ret_outcome != NULL) {
        wr_outcome_begin(ret_outcome, &attempt);
    }
    if (step != WR_ADMITTED) {
        return refuse(&attempt, command, request);
    }
    job = wr_job_make(&attempt, command, request, context);
    job->user = user;
    return send(job, queue, ret_ticket, ret_outcome);
}

weir_status weir_ticket_cancel(weir_queue *queue, weir_ticket ticket)
{
    uint64_t generation;
    struct wr_cell *const cell = wr_ticket_cell(&ticket, &generation);
    uint64_t word;

    if (queue == NULL) {
        return WEIR_E_ARGUMENT;
    }
    if (cell == NULL || !wr_queue_is_here(queue)) {
        return cell == NULL ? WEIR_E_STALE : WEIR_E_FORKED;
    }
    /* A cell's memory stays until the runtime ends. Read after a live word of this generation, the
     * queue is this call's, or the step fails. */
    for (word = wr_cell_read(cell); wr_cell_generation(word) == generation;
         word = wr_cell_read(cell)) {
        struct wr_job *const job = wr_job_of(cell);

        if ((wr_cell_state(word) != WR_CELL_QUEUED && wr_cell_state(word) != WR_CELL_RUNNING) ||
            atomic_load_explicit(&job->queue, memory_order_relaxed) != queue) {
            break;
        }
        if (wr_job_leave(job, word, WR_CELL_WITHDRAWN, WR_CELL_CANCELLED, wr_queue_now(queue))) {
            wr_job_tell(job);
            return WEIR_OK;
        }
    }
    return WEIR_E_STALE;
}
