# source: src/command/stop.c
# driver: stop_race
# Whoever waits for a call that was still queued when the pool closed is not told.
/^static void turn_away_queued/,/^}/s/wr_job_tell\(job\);//
