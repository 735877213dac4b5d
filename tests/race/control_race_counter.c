/*
 * Control: two threads add to one plain number. ThreadSanitizer must report it. It can miss a race
 * that it meets once, when one thread is through before the other begins: so they meet again and
 * again.
 */
#include "support/race.h"

#include <stdio.h>

static uint64_t plain;

static void add(void *user, unsigned who)
{
    volatile uint64_t *const number = user; /* every step is an access */

    (void)who;
    for (unsigned i = 0; i < 10000; ++i) {
        *number += 1;
    }
}

int main(void)
{
    for (int again = 0; again < 50; ++again) {
        race_run(2, add, &plain);
    }
    printf("%llu\n", (unsigned long long)plain);
    return 0;
}
