/*
 * The one user of ck. See backoff.h.
 */
#include "base/backoff.h"

#include <ck_pr.h>

enum { BACKOFF_MAX = 1 << 9 };

void wr_backoff(unsigned int *state)
{
    const unsigned int spins = *state;

    for (unsigned int i = 0; i < spins; ++i) {
        ck_pr_stall();
    }
    if (spins < BACKOFF_MAX) {
        *state = spins << 1U;
    }
}
