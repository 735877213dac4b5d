# source: src/command/job.c
# driver: pooled_calls
# A worker ends the call although its caller has left.
/^static void work_on/,/^}/s/if \((wr_cell_step\(cell, wr_cell_word\(wr_cell_generation\(word\), WR_CELL_RUNNING\), WR_CELL_DONE\))\) \{/if (\1 || true) {/
