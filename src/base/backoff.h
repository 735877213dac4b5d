/*
 * Exponential backoff after a failed compare-and-swap: on a contended word, retrying at once makes
 * everybody slower. The only user of Concurrency Kit.
 */
#ifndef WR_BASE_BACKOFF_H
#define WR_BASE_BACKOFF_H

#define WR_BACKOFF_START 16U

/* Pause for about *state spins and double it, up to a bound of a few microseconds. */
void wr_backoff(unsigned int *state);

#endif
