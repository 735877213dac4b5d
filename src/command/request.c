/*
 * See request.h.
 */
#include "command/request.h"

#include "base/options.h"
#include "command/job.h"
#include "context/crossing.h"

#include <string.h>

/* Sizes of the first released versions. */
enum { COMMAND_MINIMUM = sizeof(weir_command), REQUEST_MINIMUM = sizeof(weir_request) };

const weir_request *wr_request_view(weir_request *room, const weir_request *given,
                                    weir_status *ret_status)
{
    static const weir_request empty = {.size = sizeof(empty)};

    return given == NULL ? &empty
                         : wr_options_view(room, sizeof(*room), REQUEST_MINIMUM, given,
                                           "weir_request", ret_status);
}

static weir_status check_pool(const weir_dependency *dependency, const weir_command *command)
{
    if (!wr_pool_is_here(dependency->pool)) {
        return WEIR_E_FORKED;
    }
    return wr_job_values(command) > dependency->value_bytes ? WEIR_E_TOO_LARGE : WEIR_OK;
}

weir_status wr_call_view(struct wr_call_room *room, const weir_dependency *dependency,
                         const weir_command **command, const weir_request **request)
{
    const weir_command *what = *command;
    const weir_request *with;
    weir_status status = WEIR_E_ARGUMENT;

    if (dependency == NULL || what == NULL) {
        return status;
    }
    what = wr_options_view(&room->command, sizeof(room->command), COMMAND_MINIMUM, what,
                           "weir_command", &status);
    with = what != NULL ? wr_request_view(&room->request, *request, &status) : NULL;
    if (with == NULL) {
        return status;
    }
    if (what->run == NULL || what->name == NULL ||
        (with->argument == NULL && with->argument_size > 0)) {
        return WEIR_E_ARGUMENT;
    }
    if ((what->isolations & dependency->isolator->isolation) == 0) {
        return WEIR_E_SHAPE;
    }
    if (with->argument_size > what->argument_max) {
        return WEIR_E_TOO_LARGE;
    }
    *command = what;
    *request = with;
    return dependency->pool != NULL ? check_pool(dependency, what) : WEIR_OK;
}

void wr_ask_init(struct wr_ask *ask, const weir_dependency *dependency, const weir_request *request,
                 const weir_context *context)
{
    ask->now_ns = wr_dependency_now(dependency);
    ask->within_ns = request->within_ns;
    ask->cost = request->cost != 0 ? request->cost : 1;
    ask->key = 0;
    ask->priority = 0;
    ask->may_wait = false;
    ask->leased = false;
    ask->context = context;
}

/* Member by member: clearing the 128 bytes at once is a microcoded loop, which costs 10 ns. */
void wr_outcome_begin(weir_outcome *outcome, const struct wr_attempt *attempt)
{
    outcome->kind = attempt->reason;
    outcome->source = WEIR_BY_NOBODY;
    outcome->code = 0;
    outcome->fallback_code = 0;
    outcome->signal = 0;
    outcome->attempts = 0;
    outcome->flags = attempt->flags;
    outcome->reserved32 = 0;
    outcome->latency_ns = 0;
    outcome->retry_after_ns = attempt->retry_after_ns;
    outcome->answer_age_ns = 0;
    outcome->generation = attempt->plan_generation;
    if (attempt->ask.context != NULL) {
        wr_context_trace_id(attempt->ask.context, outcome->trace_id);
    } else {
        memset(outcome->trace_id, 0, sizeof(outcome->trace_id));
    }
    for (size_t i = 0; i < sizeof(outcome->reserved) / sizeof(outcome->reserved[0]); ++i) {
        outcome->reserved[i] = 0;
    }
}

weir_status wr_usage(weir_outcome *outcome, weir_status status)
{
    if (outcome != NULL) {
        *outcome = (weir_outcome){.kind = status};
    }
    return status;
}
