# source: isolation/timer.c
# driver: pooled_calls
# The timer does not look again after it has said until when it sleeps.
/^static void \*timer_body/,/^}/s/until_ns = earliest\(timer\);/until_ns = earliest(timer); for (volatile int i = 0; i < 200000; ++i) {}/
/^static void \*timer_body/,/^}/s/if \(earliest\(timer\) >= until_ns\) \{/{/
