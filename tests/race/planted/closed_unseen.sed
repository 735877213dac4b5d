# source: isolation/pool.c
# driver: stop_race
# A pool that has been closed takes calls that were let in before.
/^bool wr_pool_offer/,/^}/s/^    wr_mutex_lock/    for (volatile int i = 0; i < 40000; ++i) {} wr_mutex_lock/
/^bool wr_pool_offer/,/^}/s/closed = pool->locked.closed;/closed = false;/
