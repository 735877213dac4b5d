/*
 * The job: a call cell with what the command layer keeps in it: the command's functions, the
 * values, the slot, the context, and who is told of the end. See isolation/cell.h for its states.
 *
 * Who writes what, and when:
 *   the submitting thread   everything of the first group, before the cell is QUEUED
 *   the worker              the second group, before its step to DONE
 *   the leaver              left_ns, before it tells the waiting side
 * Values stand behind the struct: argument, result, and the fallback's result, which needs room of
 * its own because abandoned work may still write to the first.
 */
#ifndef WR_COMMAND_JOB_H
#define WR_COMMAND_JOB_H

#include "command/attempt.h"
#include "command/state.h"
#include "context/crossing.h"

#include <weir/queue.h>

struct wr_job {
    struct wr_cell cell; /* first: a cell is its job */

    weir_dependency *dependency;
    int (*run)(weir_call *call, const void *argument, void *result);
    weir_verdict (*classify)(int code);
    int (*fallback)(weir_call *call, const void *argument, void *result);
    void (*argument_drop)(void *argument);
    void (*result_drop)(void *result);
    size_t result_bytes;
    void *argument; /* in the cell; NULL: none */
    void *result;   /* in the cell; NULL: none */
    void *answer;   /* in the cell: what a fallback gives; NULL: none */
    struct wr_slot_ref slot;
    uint64_t began_ns;
    uint64_t deadline_ns;  /* what run is told */
    uint64_t leave_ns;     /* when its caller leaves: the deadline, or never (mode observe) */
    uint64_t answer_by_ns; /* the end of the caller's own budget, which a fallback may use */
    uint64_t plan_generation;
    uint32_t flags;
    struct wr_crossing crossing;
    _Atomic(weir_queue *) queue; /* of a submitted call; NULL: somebody waits in execute */
    void *user;

    _Atomic uint64_t started_ns; /* before the step to RUNNING */
    int code;
    weir_verdict verdict;
    weir_status kind;
    uint64_t ended_ns;
    uint64_t pushback_ns;

    uint64_t left_ns;
    _Atomic uint32_t late_result; /* settled in an older epoch */
    _Atomic uint32_t collected;   /* its completion has been ended */
    struct wr_job *next_completion;
};

/* Bytes of a cell whose values need this much room. */
size_t wr_job_bytes(size_t value_bytes);

/* Room that a command's values need. */
size_t wr_job_values(const weir_command *command);

/* Turn an admitted attempt into a job; the argument's value is moved in. */
struct wr_job *wr_job_make(const struct wr_attempt *attempt, const weir_command *command,
                           const weir_request *request, const weir_context *context);

/* QUEUED, and offered. False: the pool is closed and the call was turned away here: nobody else has
 * it or will tell of it; the work's reference is given back. */
bool wr_job_send(struct wr_job *job);

/*
 * Leave the call that is in `word`: a queued one becomes `if_queued` and never runs, a running one
 * `if_running`. True: this call of the function did it and settled the call; it has to tell, unless
 * it is the waiting side itself.
 */
bool wr_job_leave(struct wr_job *job, uint64_t word, enum wr_cell_state if_queued,
                  enum wr_cell_state if_running, uint64_t now_ns);

/* Tell the waiting side that the call is settled. The job is not the teller's any more. */
void wr_job_tell(struct wr_job *job);

/* What became of a settled job. Returns WEIR_OK if there is a value in job->result. */
weir_status wr_job_outcome(const struct wr_job *job, uint64_t now_ns, weir_outcome *ret_outcome);

static inline weir_verdict wr_verdict_of(weir_verdict (*classify)(int code), int code)
{
    if (classify != NULL) {
        return classify(code);
    }
    return code == 0 ? WEIR_V_OK : WEIR_V_FAILED;
}

static inline struct wr_job *wr_job_of(struct wr_cell *cell)
{
    return (struct wr_job *)(void *)cell;
}

static inline void wr_job_release(struct wr_job *job)
{
    wr_pool_release(job->dependency->pool, &job->cell);
}

extern const struct wr_pool_ops wr_job_ops;

/* completion.c: a settled job of a submitted call. */
void wr_queue_push(weir_queue *queue, struct wr_job *job);

/* pooled.c: execute on the dependency's pool, from an admitted attempt on. */
weir_status wr_pooled_execute(const struct wr_attempt *attempt, const weir_command *command,
                              const weir_request *request, const weir_context *context,
                              weir_outcome *ret_outcome);

#endif
