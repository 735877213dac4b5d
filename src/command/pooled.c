/*
 * Execute on a pool: the caller waits for the job's end, until its deadline, and takes the value.
 */
#include "command/fallback.h"
#include "command/job.h"
#include "policy/deadline.h"

#include <string.h>

/* Announce the sleep, then sleep; whoever tells wakes only who has announced it. */
static void sleep_until(struct wr_cell *cell, const weir_clock *clock, uint64_t until_ns)
{
    uint32_t done = WR_NOT_DONE;

    if (atomic_compare_exchange_strong_explicit(&cell->done, &done, WR_SLEEPER,
                                                memory_order_acq_rel, memory_order_acquire) ||
        done == WR_SLEEPER) {
        (void)wr_clock_wait(clock, &cell->done, WR_SLEEPER, until_ns);
    }
}

static bool is_told(const struct wr_cell *cell)
{
    /* Acquire: pairs with the release in wr_job_tell(). */
    return atomic_load_explicit(&cell->done, memory_order_acquire) == WR_ALL_DONE;
}

/* The caller's deadline has come: leave, unless it is over already. False: somebody else leaves the
 * call just now, and uses the cell until it tells. */
static bool leave(struct wr_job *job, uint64_t now_ns)
{
    for (;;) {
        const uint64_t word = wr_cell_read(&job->cell);

        if (wr_job_leave(job, word, WR_CELL_EXPIRED, WR_CELL_TIMED_OUT, now_ns)) {
            return true;
        }
        if (wr_cell_state(word) == WR_CELL_DONE) {
            return true; /* the value is there; its bookkeeping is not waited for */
        }
        if (wr_cell_has_left(word)) {
            return false;
        }
    }
}

/* Until the job is told, or left at its deadline. Returns when it ended. */
static uint64_t await(struct wr_job *job)
{
    struct wr_cell *const cell = &job->cell;
    const weir_clock *const clock = &job->dependency->host->clock;
    uint64_t until_ns = job->leave_ns;

    for (;;) {
        uint64_t now_ns;

        if (!is_told(cell)) {
            sleep_until(cell, clock, until_ns);
        }
        if (is_told(cell)) {
            return job->left_ns;
        }
        now_ns = until_ns != WR_NO_DEADLINE ? wr_clock_now(clock) : 0;
        if (wr_deadline_over(until_ns, now_ns) && leave(job, now_ns)) {
            return now_ns;
        }
        if (wr_deadline_over(until_ns, now_ns)) {
            until_ns = WR_NO_DEADLINE; /* its leaver tells */
        }
    }
}

/* On this thread the carriers' values are in place. */
static weir_status answer_instead(const struct wr_job *job, void *result, weir_status status,
                                  weir_outcome *outcome)
{
    struct wr_crossing own;

    wr_crossing_borrow(&own, job->crossing.context);
    return wr_fall_back(&(struct wr_fallback){.answer = job->fallback,
                                              .argument = job->argument,
                                              .result = result,
                                              .crossing = &own,
                                              .clock = &job->dependency->host->clock,
                                              .by_ns = job->answer_by_ns},
                        status, outcome);
}

weir_status wr_pooled_execute(const struct wr_attempt *attempt, const weir_command *command,
                              const weir_request *request, const weir_context *context,
                              weir_outcome *ret_outcome)
{
    void *const result = request->result;
    struct wr_job *const job = wr_job_make(attempt, command, request, context);
    uint64_t ended_ns;
    weir_status status;

    /* Turned away: that is an end like any other, made by ourselves. */
    ended_ns = wr_job_send(job) ? await(job) : job->left_ns;
    status = wr_job_outcome(job, ended_ns, ret_outcome);
    if (status == WEIR_OK && job->result != NULL) {
        memcpy(result, job->result, job->result_bytes);
    }
    if (wr_may_fall_back(job->fallback, status)) {
        status = answer_instead(job, result, status, ret_outcome);
    }
    wr_job_release(job);
    return status;
}
