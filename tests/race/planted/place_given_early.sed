# source: src/command/job.c
# driver: pooled_calls
# Whoever leaves a running call gives its place back, and not the second of the two.
/^static void end_left/,/^}/s/wr_attempt_release\(job->dependency, job->slot\);//
/^static void abandon/,/^}/s/wr_leave_act\(/wr_attempt_release(dependency, job->slot); wr_leave_act(/
