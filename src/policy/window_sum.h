/*
 * What any window tells the breaker.
 */
#ifndef WR_POLICY_WINDOW_SUM_H
#define WR_POLICY_WINDOW_SUM_H

#include <stdint.h>

struct wr_window_sum {
    uint64_t calls;    /* counted outcomes */
    uint64_t failures; /* of these, failed */
    uint64_t slow;     /* of these, slow (a slow failure is in both) */
};

#endif
