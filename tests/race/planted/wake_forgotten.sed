# source: isolation/pool.c
# driver: pooled_calls
# A parked worker is given a call and not woken, once in 256 times.
/^bool wr_pool_offer/,/^}/s/^    if \(worker != NULL\) \{$/    static _Atomic unsigned times; if (worker != NULL \&\& ++times % 256 != 0) {/
