# source: src/command/job.c
# driver: pooled_calls
# Whoever leaves a running call gives back the worker's reference too.
/^static void abandon/,/^}/s/wr_pool_abandon\(dependency->pool\);/wr_pool_abandon(dependency->pool); wr_job_release(job);/
