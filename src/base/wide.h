/*
 * 128-bit unsigned numbers, for products that must not overflow or round.
 */
#ifndef WR_BASE_WIDE_H
#define WR_BASE_WIDE_H

#include <stdint.h>

__extension__ typedef unsigned __int128 wr_u128;

/* floor(a * b / c), saturated; c is not 0. */
static inline uint64_t wr_muldiv(uint64_t a, uint64_t b, uint64_t c)
{
    const wr_u128 quotient = (wr_u128)a * b / c;
    return quotient > UINT64_MAX ? UINT64_MAX : (uint64_t)quotient;
}

/* The same, rounded up. */
static inline uint64_t wr_muldiv_up(uint64_t a, uint64_t b, uint64_t c)
{
    const wr_u128 quotient = ((wr_u128)a * b + c - 1) / c;
    return quotient > UINT64_MAX ? UINT64_MAX : (uint64_t)quotient;
}

#endif
