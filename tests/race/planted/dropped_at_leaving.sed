# source: src/command/job.c
# driver: pooled_calls
# The argument is dropped when the caller leaves, while the work may still read it.
/^static void abandon/,/^}/s/wr_pool_abandon\(dependency->pool\);/wr_pool_abandon(dependency->pool); job->argument_drop(job->argument); job->argument_drop = NULL;/
