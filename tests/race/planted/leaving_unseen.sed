# source: isolation/leave.c
# driver: leave_race
# A watch that is armed does not look whether its caller has left already.
/^weir_status weir_call_watch_fd/,/^}/s/if \(!has_left\(call\)\) \{/if (!has_left(call) || true) {/
