/*
 * A thread that ends the program when nothing happens any more: a lost wake-up is then a failure,
 * not a hang.
 *
 * WEIR_RACE_PATIENCE: how many seconds without a pat it bears (60).
 * WEIR_RACE_PLANTED=1: the library has a planted error. The first failed check ends the program at
 * once, with the line `caught: ...`: what comes after a broken rule may crash or hang.
 */
#ifndef WEIR_TESTS_WATCHDOG_H
#define WEIR_TESTS_WATCHDOG_H

/* `describe` prints where everything stands; may be NULL. */
void watchdog_start(void (*describe)(void));

/* Something happened. */
void watchdog_pat(void);

/* At the end of main(). */
void watchdog_stop(void);

#endif
