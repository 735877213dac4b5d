/*
 * The life of a job: made, sent, worked on by a worker or left, told. See job.h; each step of the
 * cell's word is made in one place here.
 */
#include "command/job.h"

#include "base/raw.h"
#include "base/saturate.h"
#include "policy/classify.h"
#include "policy/deadline.h"

#include <string.h>

enum { VALUE_ALIGNMENT = 16 };

static size_t aligned(size_t bytes)
{
    return (bytes + VALUE_ALIGNMENT - 1) / VALUE_ALIGNMENT * VALUE_ALIGNMENT;
}

size_t wr_job_bytes(size_t value_bytes)
{
    return aligned(sizeof(struct wr_job)) + aligned(value_bytes);
}

/* Saturating: a command may ask for anything. */
size_t wr_job_values(const weir_command *command)
{
    const uint64_t most = SIZE_MAX / 8;
    const size_t argument = aligned(wr_min_u64(command->argument_max, most));
    const size_t result = aligned(wr_min_u64(command->result_max, most));

    return argument + result + (command->fallback != NULL ? result : 0);
}

/* ---- making ---- */

/* A cell has served other calls: what this one does not fill is cleared, so that nobody reads what
 * was somebody else's. */
static void place_values(struct wr_job *job, const weir_command *command,
                         const weir_request *request)
{
    unsigned char *at = (unsigned char *)job + aligned(sizeof(*job));

    job->argument = request->argument != NULL ? at : NULL;
    if (job->argument != NULL) {
        memcpy(job->argument, request->argument, request->argument_size);
        memset(at + request->argument_size, 0, command->argument_max - request->argument_size);
    }
    at += aligned(command->argument_max);
    job->result_bytes = command->result_max;
    job->result = command->result_max > 0 ? at : NULL;
    job->answer = command->fallback != NULL && command->result_max > 0
                      ? at + aligned(command->result_max)
                      : NULL;
}

struct wr_job *wr_job_make(const struct wr_attempt *attempt, const weir_command *command,
                           const weir_request *request, const weir_context *context)
{
    struct wr_job *const job = wr_job_of(attempt->cell);
    const int monotonic = attempt->dependency->host->clock.now == wr_system_now ? 1 : 0;

    job->dependency = attempt->dependency;
    job->run = command->run;
    job->classify = command->classify;
    job->fallback = command->fallback;
    job->argument_drop = command->argument_drop;
    job->result_drop = command->result_drop;
    place_values(job, command, request);
    job->slot = attempt->slot;
    job->began_ns = attempt->began_ns;
    job->deadline_ns = attempt->deadline_ns;
    job->leave_ns = attempt->observe ? WR_NO_DEADLINE : attempt->deadline_ns;
    job->answer_by_ns =
        wr_context_deadline(context, wr_deadline(attempt->began_ns, UINT64_MAX, request->within_ns),
                            attempt->began_ns, monotonic);
    job->plan_generation = attempt->plan_generation;
    job->flags = attempt->flags;
    wr_crossing_capture(&job->crossing, context);
    atomic_store_explicit(&job->queue, NULL, memory_order_relaxed);
    atomic_store_explicit(&job->late_result, 0, memory_order_relaxed);
    atomic_store_explicit(&job->collected, 0, memory_order_relaxed);
    return job;
}

bool wr_job_send(struct wr_job *job)
{
    weir_dependency *const dependency = job->dependency;
    struct wr_cell *const cell = &job->cell;
    const uint64_t generation =
        wr_cell_generation(atomic_load_explicit(&cell->word, memory_order_relaxed));
    const uint64_t word = wr_cell_word(generation, WR_CELL_QUEUED);
    bool turned_away;

    /* Release, at the least: whoever sees QUEUED sees the job. */
    atomic_store_explicit(&cell->word, word, memory_order_seq_cst);
    if (atomic_load_explicit(&job->queue, memory_order_relaxed) != NULL) {
        wr_timer_arm(dependency->timer, dependency->pool, cell, job->leave_ns);
    }
    if (wr_pool_offer(dependency->pool, cell)) {
        return true;
    }
    turned_away = wr_job_leave(job, word, WR_CELL_TURNED_AWAY, WR_CELL_TURNED_AWAY,
                               wr_dependency_now(dependency));
    wr_job_release(job); /* the work's: no worker will have it */
    return !turned_away;
}

/* Both sides are done with it. */
static void end_job(void *user, struct wr_cell *cell)
{
    struct wr_job *const job = wr_job_of(cell);

    (void)user;
    if (job->argument != NULL && job->argument_drop != NULL) {
        job->argument_drop(job->argument);
    }
    wr_crossing_release(&job->crossing);
}

/* ---- telling ---- */

void wr_job_tell(struct wr_job *job)
{
    weir_queue *const queue = atomic_load_explicit(&job->queue, memory_order_relaxed);
    struct wr_cell *const cell = &job->cell;
    const weir_clock *const clock = &job->dependency->host->clock;

    if (queue != NULL) {
        wr_queue_push(queue, job);
        return;
    }
    /* Release: pairs with the acquire of the waiting thread. From here on the cell may be free and
     * in use again: the wake uses its address only, and a thread that it wakes for nothing looks
     * again. */
    if (atomic_exchange_explicit(&cell->done, WR_ALL_DONE, memory_order_acq_rel) == WR_SLEEPER) {
        wr_clock_wake(clock, &cell->done, 1);
    }
}

/* ---- leaving ---- */

/* A queued call was left: it never ran, so its place is free at once. */
static void withdraw(struct wr_job *job, enum wr_cell_state why, uint64_t now_ns)
{
    weir_dependency *const dependency = job->dependency;

    if (why == WR_CELL_WITHDRAWN) {
        (void)wr_attempt_settle(dependency, job->slot, WEIR_CANCELLED, now_ns, NULL);
    } else {
        wr_attempt_withdraw(dependency, job->slot,
                            why == WR_CELL_EXPIRED ? WEIR_DEADLINE : WEIR_SHUTDOWN, now_ns);
    }
    if (wr_pool_recall(dependency->pool, &job->cell)) {
        wr_job_release(job); /* else the worker that has it gives it back */
    }
}

/* The second of leaver and worker gives the place back. */
static void end_left(struct wr_job *job, uint32_t mine, uint32_t other)
{
    if ((atomic_fetch_or_explicit(&job->cell.ends, mine, memory_order_acq_rel) & other) != 0) {
        wr_attempt_release(job->dependency, job->slot);
        wr_pool_come_back(job->dependency->pool);
    }
}

/* A running call was left: it is settled now, and keeps its place until the work returns. */
static void abandon(struct wr_job *job, enum wr_cell_state why, uint64_t now_ns)
{
    weir_dependency *const dependency = job->dependency;

    wr_attempt_leave(dependency, job->slot,
                     why == WR_CELL_TIMED_OUT ? WEIR_TIMED_OUT : WEIR_CANCELLED,
                     atomic_load_explicit(&job->started_ns, memory_order_relaxed), now_ns);
    wr_pool_abandon(dependency->pool);
    wr_leave_act(dependency->pool, &job->cell);
    end_left(job, WR_END_SETTLED, WR_END_RETURNED);
}

bool wr_job_leave(struct wr_job *job, uint64_t word, enum wr_cell_state if_queued,
                  enum wr_cell_state if_running, uint64_t now_ns)
{
    struct wr_cell *const cell = &job->cell;
    const enum wr_cell_state state = wr_cell_state(word);

    if ((state != WR_CELL_QUEUED && state != WR_CELL_RUNNING) ||
        !wr_cell_step(cell, word, state == WR_CELL_QUEUED ? if_queued : if_running)) {
        return false;
    }
    wr_timer_disarm(cell);
    job->left_ns = now_ns;
    if (state == WR_CELL_QUEUED) {
        withdraw(job, if_queued, now_ns);
    } else {
        abandon(job, if_running, now_ns);
    }
    return true;
}

/* ---- the worker ---- */

/* User code, in the call's context. */
static void run(struct wr_job *job, const struct wr_worker *worker)
{
    struct wr_pool *const pool = job->dependency->pool;
    WR_RAW struct wr_crossed crossed;
    weir_call *const call = &job->cell.call;

    *call = (weir_call){.clock = &job->dependency->host->clock,
                        .deadline_ns = job->deadline_ns,
                        .cell = &job->cell,
                        .worker_state = worker->state};
    if (job->result != NULL) {
        memset(job->result, 0, job->result_bytes);
    }
    wr_crossing_enter(&job->crossing, &crossed);
    wr_leave_let_in(pool);
    job->code = job->run(call, job->argument, job->result);
    wr_leave_close(pool, &job->cell);
    job->verdict = wr_verdict_of(job->classify, job->code);
    wr_crossing_leave(&job->crossing, &crossed);
    job->pushback_ns = call->pushback_ns;
}

/* The caller was still there: the outcome is the work's. */
static void finish(struct wr_job *job)
{
    if (wr_attempt_settle(job->dependency, job->slot, job->kind, job->ended_ns, NULL) ==
        WR_SETTLED_LATE) {
        atomic_store_explicit(&job->late_result, 1, memory_order_relaxed);
    }
    wr_timer_disarm(&job->cell);
    wr_job_tell(job);
}

/* The caller has left: nobody is given the value. */
static void finish_late(struct wr_job *job)
{
    if (job->verdict == WEIR_V_OK) {
        wr_count(&job->dependency->counters, WR_EV_LATE_VALUE);
        if (job->result != NULL && job->result_drop != NULL) {
            job->result_drop(job->result);
        }
    }
    end_left(job, WR_END_RETURNED, WR_END_SETTLED);
}

static void work_on(struct wr_job *job, const struct wr_worker *worker, uint64_t word,
                    uint64_t now_ns)
{
    struct wr_cell *const cell = &job->cell;

    atomic_store_explicit(&job->started_ns, now_ns, memory_order_relaxed);
    wr_leave_open(job->dependency->pool, cell);
    if (!wr_cell_step(cell, word, WR_CELL_RUNNING)) {
        return; /* left just now; its leaver has settled it */
    }
    wr_slots_start(&job->dependency->slots, job->slot.index, now_ns);
    run(job, worker);
    job->ended_ns = wr_dependency_now(job->dependency);
    job->kind = wr_judge(job->verdict, wr_deadline_over(job->deadline_ns, job->ended_ns));
    if (wr_cell_step(cell, wr_cell_word(wr_cell_generation(word), WR_CELL_RUNNING), WR_CELL_DONE)) {
        finish(job);
    } else {
        finish_late(job);
    }
}

static void work(void *user, struct wr_cell *cell, struct wr_worker *worker)
{
    struct wr_job *const job = wr_job_of(cell);
    weir_dependency *const dependency = user;
    const uint64_t word = wr_cell_read(cell);
    uint64_t now_ns;

    if (wr_cell_state(word) == WR_CELL_QUEUED) {
        now_ns = wr_dependency_now(dependency);
        if (!wr_deadline_over(job->leave_ns, now_ns)) {
            work_on(job, worker, word, now_ns);
        } else if (wr_job_leave(job, word, WR_CELL_EXPIRED, WR_CELL_TIMED_OUT, now_ns)) {
            wr_job_tell(job);
        }
    }
    wr_pool_release(dependency->pool, cell);
}

/* ---- the timer ---- */

static void expire(void *user, struct wr_cell *cell, uint64_t word, uint64_t now_ns)
{
    struct wr_job *const job = wr_job_of(cell);

    (void)user;
    /* Lost to a worker that has just begun: it is looked at again as a running one. */
    while (!wr_job_leave(job, word, WR_CELL_EXPIRED, WR_CELL_TIMED_OUT, now_ns)) {
        const uint64_t seen = wr_cell_read(cell);

        if (seen != wr_cell_word(wr_cell_generation(word), WR_CELL_RUNNING) || seen == word) {
            return;
        }
        word = seen;
    }
    wr_job_tell(job);
}

const struct wr_pool_ops wr_job_ops = {.work = work, .expire = expire, .end = end_job};

/* ---- the outcome ---- */

weir_status wr_job_outcome(const struct wr_job *job, uint64_t now_ns, weir_outcome *ret_outcome)
{
    static const weir_status kinds[] = {[WR_CELL_EXPIRED] = WEIR_DEADLINE,
                                        [WR_CELL_TURNED_AWAY] = WEIR_SHUTDOWN,
                                        [WR_CELL_WITHDRAWN] = WEIR_CANCELLED,
                                        [WR_CELL_TIMED_OUT] = WEIR_TIMED_OUT,
                                        [WR_CELL_CANCELLED] = WEIR_CANCELLED};
    const enum wr_cell_state state = wr_cell_state(wr_cell_read(&job->cell));
    const bool late = atomic_load_explicit(&job->late_result, memory_order_relaxed) != 0;

    *ret_outcome = (weir_outcome){.flags = job->flags | (late ? WEIR_FLAG_LATE_RESULT : 0U),
                                  .generation = job->plan_generation};
    wr_context_trace_id(job->crossing.context, ret_outcome->trace_id);
    if (state != WR_CELL_DONE) {
        ret_outcome->kind = kinds[state];
        ret_outcome->attempts = state == WR_CELL_TIMED_OUT || state == WR_CELL_CANCELLED ? 1 : 0;
        ret_outcome->latency_ns = wr_sat_sub(now_ns, job->began_ns);
        return ret_outcome->kind;
    }
    ret_outcome->kind = job->kind;
    ret_outcome->code = job->code;
    ret_outcome->attempts = 1;
    ret_outcome->retry_after_ns = job->pushback_ns;
    ret_outcome->latency_ns = wr_sat_sub(job->ended_ns, job->began_ns);
    if (job->verdict != WEIR_V_OK) {
        return job->kind;
    }
    ret_outcome->source = WEIR_BY_RUN;
    ret_outcome->flags |= job->kind == WEIR_TIMED_OUT ? (uint32_t)WEIR_FLAG_LATE_VALUE : 0U;
    return WEIR_OK;
}
