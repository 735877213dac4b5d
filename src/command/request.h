/*
 * Reading what the caller of a call gives, and beginning what the caller is told: shared by the
 * shapes execute, submit and begin.
 */
#ifndef WR_COMMAND_REQUEST_H
#define WR_COMMAND_REQUEST_H

#include "command/attempt.h"
#include "command/state.h"
#include "context/scope.h"

/* Where structs of another size than ours are completed. */
struct wr_call_room {
    weir_command command;
    weir_request request;
};

/* The caller's request in place; NULL stands for an empty one. NULL: *ret_status says why not. */
const weir_request *wr_request_view(weir_request *room, const weir_request *given,
                                    weir_status *ret_status);

/* Check all that a call with a command is given, and view it in place. */
weir_status wr_call_view(struct wr_call_room *room, const weir_dependency *dependency,
                         const weir_command **command, const weir_request **request);

/* The context that the call is made in: the request's, else the thread's. */
static inline const weir_context *wr_request_context(const weir_request *request)
{
    return request->context != NULL ? request->context : wr_scope_current();
}

/* Neither waiting nor a permit, until the shape says so. Reads the clock. */
void wr_ask_init(struct wr_ask *ask, const weir_dependency *dependency, const weir_request *request,
                 const weir_context *context);

/* The outcome of a refusal, or of an admitted attempt as far as it is known. */
void wr_outcome_begin(weir_outcome *outcome, const struct wr_attempt *attempt);

/* A usage error: nothing was done. outcome may be NULL. Returns the status. */
weir_status wr_usage(weir_outcome *outcome, weir_status status);

#endif
