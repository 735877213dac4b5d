/*
 * One attempt: from asking the gates to its settlement, as steps that never block.
 *
 * weir_execute() sleeps between the steps, weir_begin() refuses where it would have to, and the
 * simulator moves virtual time: all three run this code.
 *
 *   ask -> ADMITTED -> settle            (once)
 *       -> REFUSED                       nothing is held
 *       -> WAIT -> resume -> ...         when granted, or when now >= wait_until_ns
 *
 * An admitted attempt of a pool has a cell besides; it may also end by leave and release, when its
 * caller leaves before its work returns, or by withdraw, when it never ran.
 *
 * An attempt that waits is linked into the dependency's list: it must not move until its last
 * resume has returned.
 */
#ifndef WR_COMMAND_ATTEMPT_H
#define WR_COMMAND_ATTEMPT_H

#include "guard/bulkhead.h"
#include "policy/breaker_policy.h"

#include <weir/call.h>

enum wr_step { WR_ADMITTED, WR_REFUSED, WR_WAIT };
enum wr_settled { WR_SETTLED, WR_SETTLED_LATE, WR_SETTLED_STALE };

/* What the gates are asked. */
struct wr_ask {
    uint64_t now_ns;
    uint64_t within_ns; /* the caller's own budget; 0: none */
    uint64_t cost;      /* at least 1 */
    uint64_t key;       /* seam for limits by key; no gate reads it yet */
    uint32_t priority;  /* seam for shedding; no gate reads it yet */
    bool may_wait;
    bool leased;                 /* a permit: permit_lease applies, and it keeps the context */
    const weir_context *context; /* its deadline bounds the call's; NULL: none */
};

/* The slot that an admitted attempt holds: all that a permit needs. */
struct wr_slot_ref {
    uint64_t generation;
    uint32_t index;
};

struct wr_attempt {
    weir_dependency *dependency;
    struct wr_ask ask;
    uint64_t began_ns;    /* of the first ask */
    uint64_t start_ns;    /* of the admission: slow calls are measured from here */
    uint64_t deadline_ns; /* WR_NO_DEADLINE: none */
    struct wr_breaker_permit breaker;
    struct wr_slot_ref slot;
    struct wr_cell *cell; /* of a pooled call; NULL: none */
    uint64_t plan_generation;
    bool observe;            /* mode observe: nobody leaves this call */
    uint32_t taken;          /* bits: gates that hold something for this attempt */
    bool entered;            /* past the looks: counted as begun */
    uint32_t at;             /* gate whose wait goes on */
    uint32_t flags;          /* WEIR_FLAG_... */
    weir_status reason;      /* of the refusal; with WEIR_FLAG_OBSERVED: what would have refused */
    uint64_t retry_after_ns; /* of the refusal; 0: not known */
    uint64_t wait_until_ns;  /* after WR_WAIT */
    struct wr_waiter waiter; /* its word changes when a place is handed over */
};

/* Ask all gates. Fills the attempt. */
enum wr_step wr_attempt_ask(weir_dependency *dependency, const struct wr_ask *ask,
                            struct wr_attempt *attempt);

/* Has the place that this attempt waits for been handed over? (The wait for tokens never is.) */
bool wr_attempt_granted(const struct wr_attempt *attempt);

/* What the waiting thread sleeps on while it is 0. */
_Atomic uint32_t *wr_attempt_word(struct wr_attempt *attempt);

/* When the waiting thread should look again, at the latest: wait_until_ns, or earlier if a permit's
 * lease may run out before. */
uint64_t wr_attempt_wake_ns(const struct wr_attempt *attempt, uint64_t now_ns);

/* Go on after a wait; may wait again, for tokens. */
enum wr_step wr_attempt_resume(struct wr_attempt *attempt, uint64_t now_ns);

/*
 * Settle and release, exactly once whoever calls: kind is WEIR_OK, WEIR_FAILED, WEIR_CRASHED,
 * WEIR_IGNORED, WEIR_TIMED_OUT or WEIR_CANCELLED. LATE: counted, but decided nothing in the
 * breaker. STALE: it had ended before; nothing was done. *ret_took_ns (may be NULL): since start.
 */
enum wr_settled wr_attempt_settle(weir_dependency *dependency, struct wr_slot_ref slot,
                                  weir_status kind, uint64_t now_ns, uint64_t *ret_took_ns);

/* Settle a call whose caller leaves while its work runs since `start_ns`: the slot and the place
 * stay taken until wr_attempt_release(). */
void wr_attempt_leave(weir_dependency *dependency, struct wr_slot_ref slot, weir_status kind,
                      uint64_t start_ns, uint64_t now_ns);
void wr_attempt_release(weir_dependency *dependency, struct wr_slot_ref slot);

/* An admitted call never ran: what it took goes back, but for its tokens, and it counts as refused
 * for this reason. */
void wr_attempt_withdraw(weir_dependency *dependency, struct wr_slot_ref slot, weir_status reason,
                         uint64_t now_ns);

/* Count a refusal. */
void wr_count_refusal(weir_dependency *dependency, weir_status reason);

/* Would a call pass now, without waiting? Writes nothing. WEIR_OK, or the refusal's reason. */
weir_status wr_attempt_query(weir_dependency *dependency, const struct wr_ask *ask,
                             uint64_t *ret_retry_after_ns);

/* The numbers behind the gates at one moment, for the simulator, explain and metrics. */
struct wr_view {
    bool breaker_on, rate_on;
    uint64_t breaker; /* WEIR_BREAKER_... */
    uint64_t epoch;
    uint64_t minimum_calls;
    struct wr_window_sum window;
    uint64_t overdue;
    uint32_t in_flight; /* places held */
    uint32_t queued;    /* calls waiting for a place */
    uint64_t tokens;
};

/* Writes nothing. */
void wr_dependency_view(weir_dependency *dependency, uint64_t now_ns, struct wr_view *ret_view);

#endif
