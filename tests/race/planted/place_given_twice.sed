# source: src/command/job.c
# driver: pooled_calls
# Leaver and worker give the place back whenever the other has been there or not.
/^static void end_left/,/^}/s/if \(\(atomic_fetch_or_explicit\(&job->cell.ends, mine, memory_order_acq_rel\) & other\) != 0\) \{/(void)other; if ((atomic_fetch_or_explicit(\&job->cell.ends, mine, memory_order_acq_rel) \& mine) == 0) {/
