/*
 * The one user of liburcu. See rcu.h. Never instrumented by ThreadSanitizer: liburcu 0.13 would
 * show false races; the edges that matter are stated by hand below.
 */
#ifndef WR_TSAN
#    define _LGPL_SOURCE /* inline the read side: 2 ns instead of 16 */
#endif
#include "base/rcu.h"

#include <pthread.h>
#include <urcu/urcu-bp.h>

#ifdef WR_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
static char grace_period; /* the tag of the one RCU domain */
#    define READ_END()  __tsan_release(&grace_period)
#    define GRACE_END() __tsan_acquire(&grace_period)
#else
#    define READ_END()  ((void)0)
#    define GRACE_END() ((void)0)
#endif

/* In a child only the forking thread lives: drop the other threads' reader records, or the first
 * grace period of the child would wait for them for ever. */
__attribute__((constructor)) static void rcu_survive_fork(void)
{
    (void)pthread_atfork(urcu_bp_before_fork, urcu_bp_after_fork_parent, urcu_bp_after_fork_child);
}

void wr_rcu_enter(void)
{
    urcu_bp_read_lock();
}

void wr_rcu_leave(void)
{
    READ_END();
    urcu_bp_read_unlock();
}

void wr_rcu_synchronize(void)
{
    urcu_bp_synchronize_rcu();
    GRACE_END();
}
