/*
 * A dependency's pool: made when the dependency is, grown when its settings change.
 */
#ifndef WR_COMMAND_POOL_SETUP_H
#define WR_COMMAND_POOL_SETUP_H

#include "command/state.h"

/* Make the pool of a new dependency: cells, and threads that wait in *ret_recruits until the
 * dependency is known to all. On failure what was made is ended by wr_pool_teardown(). */
weir_status wr_pool_setup(weir_dependency *dependency, const struct wr_plan *plan,
                          const weir_dependency_options *options, struct wr_helper *helper,
                          struct wr_worker_list *ret_recruits, weir_error *error);

/* Cells and threads that the pool lacks for a new plan. On failure it stands as before (cells that
 * had to grow stay grown). */
weir_status wr_pool_provide(weir_dependency *dependency, const struct wr_plan *plan,
                            struct wr_worker_list *ret_recruits, weir_error *error);

/* The new plan holds: let the recruits in, or let workers go. */
void wr_pool_follow(weir_dependency *dependency, const struct wr_plan *plan,
                    struct wr_worker_list *recruits);

/* Free a pool that has no threads. NULL is fine. */
void wr_pool_teardown(weir_dependency *dependency);

#endif
