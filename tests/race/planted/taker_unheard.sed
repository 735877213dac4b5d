# source: src/command/completion.c
# driver: pooled_calls
# A taker finds nothing, leaves the mutex, and is counted as waiting then.
/^static struct wr_job \*take_jobs/,/^}/s/\} else if \(waits\) \{/} else if (waits) { wr_mutex_unlock(\&queue->locked.mutex); for (volatile int i = 0; i < 40000; ++i) {} wr_mutex_lock(\&queue->locked.mutex);/
