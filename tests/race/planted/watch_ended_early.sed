# source: isolation/leave.c
# driver: leave_race
# Ending a watch does not wait for a shutdown that is under way.
/^static void shut_down/,/^}/s/\(void\)shutdown\(fd, SHUT_RDWR\);/for (volatile int i = 0; i < 4000; ++i) {} (void)shutdown(fd, SHUT_RDWR);/
/^static bool end_fd/,/^}/s/wr_park\(&leave->changed, changed\);/(void)changed; return false;/
