# source: src/command/pooled.c
# driver: pooled_calls
# A caller announces its sleep without looking whether it has been told meanwhile.
/^static void sleep_until/,/^}/s/uint32_t done = WR_NOT_DONE;/uint32_t done = WR_NOT_DONE; if (atomic_load(\&cell->done) == WR_NOT_DONE) { for (volatile int i = 0; i < 40000; ++i) {} atomic_store(\&cell->done, WR_SLEEPER); }/
