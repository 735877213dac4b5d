# source: isolation/pool.c
# driver: pooled_calls
# A worker looks at the queue, leaves the mutex, and parks then: a call may have come in between.
/^static struct wr_cell \*next_locked/,/^}/s/worker->below = pool->locked.parked;/wr_mutex_unlock(\&pool->locked.mutex); for (volatile int i = 0; i < 4000; ++i) {} wr_mutex_lock(\&pool->locked.mutex); worker->below = pool->locked.parked;/
