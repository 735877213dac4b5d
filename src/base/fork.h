/*
 * How often this process has forked, seen from the child: what was started under another count has
 * its threads in another process.
 */
#ifndef WR_BASE_FORK_H
#define WR_BASE_FORK_H

#include <stdint.h>

/* One load. Async-signal-safe. */
uint32_t wr_fork_count(void);

#endif
