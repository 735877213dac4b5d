/*
 * Read-copy-update: readers of configuration snapshots and of the registry never block, and what
 * they read is freed only after they have left. The only user of liburcu (flavour bp: caller
 * threads are arbitrary and unregistered).
 *
 * Pointers are published with C11 release stores and read with acquire loads; this file adds the
 * one thing that atomics lack, the grace period. A read section never covers run or a wait; of
 * foreign code only the host's wake and random functions, which must not call weir.
 */
#ifndef WR_BASE_RCU_H
#define WR_BASE_RCU_H

/* About 2 ns for the pair. Sections nest. */
void wr_rcu_enter(void);
void wr_rcu_leave(void);

/* Wait until every section that began before this call has ended. Never from inside a section. */
void wr_rcu_synchronize(void);

/*
 * ThreadSanitizer does not see liburcu's ordering, so rcu.c states it: everything before leave()
 * happens before the return of a later synchronize(). rcu.c itself is built without the sanitizer.
 */

#endif
