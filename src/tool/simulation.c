/*
 * Calls and events of a simulation. See simulation.h.
 *
 * The library is asked through attempt.h, the steps that weir_execute() and weir_begin() are made
 * of, with the event's time.
 */
#include "tool/simulation.h"

#include "base/fail.h"
#include "command/gate.h"

weir_status wr_sim_no_memory(const struct wr_simulation *sim)
{
    return wr_fail(sim->error, WEIR_E_MEMORY, "out of memory");
}

/* ---- rows ---- */

weir_status wr_sim_show(struct wr_simulation *sim, struct wr_sim_dependency *dependency,
                        struct wr_sim_row row)
{
    struct wr_view *const view = &row.view;

    if (sim->silent) {
        return WEIR_OK;
    }
    row.now_ns = sim->now_ns;
    row.dependency = dependency->name;
    wr_dependency_view(dependency->handle, sim->now_ns, view);
    /* Who has been handed a place has not gone on yet: here it waits still. */
    wr_sim_queue_look(&dependency->queue);
    view->in_flight -= dependency->queue.granted;
    view->queued += dependency->queue.granted;
    if (!wr_sim_row_write(sim->out, &row)) {
        return wr_fail(sim->error, WEIR_E_SYSTEM, "the output cannot be written");
    }
    return WEIR_OK;
}

weir_status wr_sim_show_decision(struct wr_simulation *sim, struct wr_sim_dependency *dependency,
                                 struct wr_sim_row row, enum wr_step step,
                                 const struct wr_attempt *attempt)
{
    if (step == WR_REFUSED) {
        row.verdict = "rejected";
        row.reason = weir_status_name(attempt->reason);
        row.retry_after_ns = attempt->retry_after_ns;
    } else {
        row.verdict = "admitted";
        row.reason =
            (attempt->flags & WEIR_FLAG_OBSERVED) != 0 ? weir_status_name(attempt->reason) : "-";
    }
    return wr_sim_show(sim, dependency, row);
}

/* ---- calls ---- */

static weir_status plan(struct wr_simulation *sim, struct wr_sim_call *call, uint64_t at_ns)
{
    const struct wr_sim_event event = {
        .at_ns = at_ns, .line = call->line, .sequence = ++sim->sequence, .subject = call};

    call->due = event.sequence;
    return wr_event_heap_push(&sim->events, &event) ? WEIR_OK : wr_sim_no_memory(sim);
}

/* What the library said to a call: it waits, runs or is over. */
static weir_status go_on(struct wr_simulation *sim, struct wr_sim_call *call, enum wr_step step)
{
    struct wr_attempt *const attempt = call->attempt;
    weir_status status;

    if (step == WR_WAIT) {
        if (attempt->at == WR_GATE_BULKHEAD) {
            wr_sim_queue_add(&call->dependency->queue, call);
        }
        return plan(sim, call, attempt->wait_until_ns);
    }
    status = wr_sim_show_decision(
        sim, call->dependency, (struct wr_sim_row){.event = "call", .id = call->id}, step, attempt);
    call->slot = attempt->slot;
    call->attempt = NULL;
    wr_item_return(&sim->attempts, attempt);
    if (step == WR_REFUSED) {
        call->due = 0;
        wr_item_return(&sim->calls, call);
        return status;
    }
    return plan(sim, call, sim->now_ns + call->took_ns) == WEIR_OK ? status : WEIR_E_MEMORY;
}

weir_status wr_sim_call(struct wr_simulation *sim, struct wr_sim_dependency *dependency,
                        const struct wr_line *line)
{
    const struct wr_ask ask = {.now_ns = sim->now_ns,
                               .cost = line->cost,
                               .key = line->key,
                               .priority = line->priority,
                               .may_wait = true};
    struct wr_sim_call *const call = wr_item_take(&sim->calls);
    struct wr_attempt *const attempt = wr_item_take(&sim->attempts);

    if (call == NULL || attempt == NULL) {
        return wr_sim_no_memory(sim); /* the pools own what was taken */
    }
    *call = (struct wr_sim_call){.dependency = dependency,
                                 .id = ++sim->last_id,
                                 .line = line->number,
                                 .took_ns = line->took_ns,
                                 .outcome = line->outcome,
                                 .attempt = attempt};
    return go_on(sim, call, wr_attempt_ask(dependency->handle, &ask, attempt));
}

static weir_status resume(struct wr_simulation *sim, struct wr_sim_call *call)
{
    if (call->queued) {
        wr_sim_queue_remove(&call->dependency->queue, call);
    }
    return go_on(sim, call, wr_attempt_resume(call->attempt, sim->now_ns));
}

weir_status wr_sim_hand_over(struct wr_simulation *sim, struct wr_sim_dependency *dependency)
{
    struct wr_sim_queue *const queue = &dependency->queue;
    weir_status status = WEIR_OK;

    wr_sim_queue_look(queue);
    while (status == WEIR_OK && queue->granted > 0) {
        status = resume(sim, queue->first);
        wr_sim_queue_look(queue);
    }
    return status;
}

const char *wr_sim_settled_name(enum wr_settled settled)
{
    return settled == WR_SETTLED ? "settled" : "late";
}

static weir_status settle(struct wr_simulation *sim, struct wr_sim_call *call)
{
    struct wr_sim_dependency *const dependency = call->dependency;
    struct wr_sim_row row = {
        .event = "end", .id = call->id, .reason = weir_status_name(call->outcome)};

    row.verdict = wr_sim_settled_name(
        wr_attempt_settle(dependency->handle, call->slot, call->outcome, sim->now_ns, NULL));
    wr_item_return(&sim->calls, call);
    return wr_sim_show(sim, dependency, row);
}

void wr_sim_move_to(struct wr_simulation *sim, uint64_t now_ns)
{
    if (now_ns != sim->now_ns) {
        sim->now_ns = now_ns;
        weir_manual_clock_set(sim->clock, now_ns);
    }
}

static weir_status run_event(struct wr_simulation *sim, struct wr_sim_call *call)
{
    struct wr_sim_dependency *const dependency = call->dependency;
    const weir_status status = call->attempt != NULL ? resume(sim, call) : settle(sim, call);

    return status == WEIR_OK ? wr_sim_hand_over(sim, dependency) : status;
}

weir_status wr_sim_run_until(struct wr_simulation *sim, uint64_t until_ns)
{
    const struct wr_sim_event *first = wr_event_heap_first(&sim->events);
    weir_status status = WEIR_OK;

    while (status == WEIR_OK && first != NULL && first->at_ns <= until_ns) {
        struct wr_sim_call *const call = first->subject;
        const uint64_t at_ns = first->at_ns;
        const bool valid = call->due == first->sequence;

        wr_event_heap_pop(&sim->events);
        if (valid) {
            wr_sim_move_to(sim, at_ns);
            status = run_event(sim, call);
        }
        first = wr_event_heap_first(&sim->events);
    }
    return status;
}
