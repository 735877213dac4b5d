/*
 * What the race tests share: threads that start together, a barrier that spins, cheap random
 * numbers, and counts that fit the build.
 *
 * A race test is a plain main(): it calls race_check() from any thread and ends with
 * `return race_result();`. A negative control prints `caught: ...` and returns 1 itself.
 */
#ifndef WEIR_TESTS_RACE_H
#define WEIR_TESTS_RACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RACE_THREADS_MAX = 16, RACE_LINE = 64 };

/*
 * How many rounds: `full` in an optimised build, or when WEIR_RACE_FULL is set to 1; `debug`
 * without NDEBUG; `sanitized` under a sanitizer. WEIR_RACE_SCALE gives a percentage of that.
 */
uint64_t race_rounds(uint64_t full, uint64_t debug, uint64_t sanitized);

/* Run body(user, 0 .. threads - 1) at the same time, and wait for all. */
void race_run(unsigned threads, void (*body)(void *user, unsigned index), void *user);

/* All parties meet here, again and again. Spins, and gives its processor away when that takes long.
 */
struct race_barrier {
    _Alignas(RACE_LINE) _Atomic uint32_t arrived;
    _Alignas(RACE_LINE) _Atomic uint32_t round;
    uint32_t parties;
};

void race_barrier_init(struct race_barrier *barrier, unsigned parties);
void race_meet(struct race_barrier *barrier);

/* Wait a little: the n-th call in a row, counted by the caller from 0. */
void race_pause(unsigned n);

/* Do nothing for about so many nanoseconds. */
void race_spin(unsigned loops);

/* xorshift64: one state for each thread, not 0. */
uint64_t race_random(uint64_t *state);

/* Monotonic nanoseconds, and seconds since the first call of either. */
uint64_t race_now(void);
double race_seconds(void);

/* Note a failure (the first few are printed) unless `holds`. */
void race_check_at(const char *file, int line, bool holds, const char *what, ...)
    __attribute__((format(printf, 4, 5)));
#define race_check(holds, ...) race_check_at(__FILE__, __LINE__, (holds), __VA_ARGS__)

/* Has a check failed? */
bool race_failed(void);

/* For main(): prints the time taken; 0, or 1 if a check failed. */
int race_result(void);

/* Raise *maximum to value. */
void race_raise(_Atomic uint64_t *maximum, uint64_t value);

#endif
