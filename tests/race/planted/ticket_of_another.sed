# source: src/command/submit.c
# driver: pooled_calls
# A ticket cancels whatever call is in its cell now.
/^weir_status weir_ticket_cancel/,/^}/s/wr_cell_generation\(word\) == generation;/wr_cell_generation(word) != 0 \&\& generation != 0;/
