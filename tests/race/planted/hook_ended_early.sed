# source: isolation/leave.c
# driver: leave_race
# Ending a hook does not wait for one that is under way.
/^static void call_hook/,/^}/s/leave->call\(leave->user\);/for (volatile int i = 0; i < 40000; ++i) {} leave->call(leave->user);/
/^static void end_action/,/^}/s/wr_park\(&leave->changed, changed\);/(void)changed; return;/
