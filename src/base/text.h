/*
 * Literals with units, to numbers and back; the nearest of some names.
 *
 * A literal is decimal digits, at most one point, then a unit without space: 250ms, 12.5%, 100/s.
 * No sign, no exponent, no octal, no blanks. What does not fit exactly is refused, not rounded.
 */
#ifndef WR_BASE_TEXT_H
#define WR_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns false and leaves *ret_value alone if the text is not such a literal. */
bool wr_text_duration(const char *text, uint64_t *ret_ns); /* ns us ms s m h */
bool wr_text_percent(const char *text, uint64_t *ret_ppm); /* %, at most 4 decimals */
bool wr_text_factor(const char *text, uint64_t *ret_ppm);  /* no unit, at most 6 decimals */
bool wr_text_count(const char *text, uint64_t *ret_count); /* whole number, no unit */
bool wr_text_size(const char *text, uint64_t *ret_bytes);  /* B KiB MiB */

/* Events in thousandths per unit of time, at most 3 decimals: 100/s, 0.5/s, 30/m, 10/h. */
bool wr_text_rate(const char *text, uint64_t *ret_milli, uint64_t *ret_per_ns);

/* The shortest exact literal, e.g. 250ms; returns its length. `size` of 32 is always enough. */
int wr_text_put_duration(char *buffer, size_t size, uint64_t ns);

int wr_text_put_size(char *buffer, size_t size, uint64_t bytes); /* the same, e.g. 64KiB */

/* The name nearest to `text` by edit distance; NULL if none is near. `count` names. */
const char *wr_text_nearest(const char *text, const char *const *names, size_t count);

#endif
