/*
 * A small number for each thread, to spread threads over stripes and slots.
 */
#ifndef WR_BASE_THREAD_H
#define WR_BASE_THREAD_H

#include <stdint.h>

struct wr_thread {
    uint32_t number; /* from 1; 0: not yet given */
    uint32_t mixer;  /* state of wr_thread_mix() */
};

extern _Thread_local struct wr_thread wr_thread_self;

void wr_thread_introduce(void);

/* 1, 2, 3, ... in order of first use. */
static inline uint32_t wr_thread_number(void)
{
    if (wr_thread_self.number == 0) {
        wr_thread_introduce();
    }
    return wr_thread_self.number;
}

/* Cheap pseudo-random bits (xorshift32, Marsaglia 2003), to choose where to look next. Decides
 * nothing that is promised. */
static inline uint32_t wr_thread_mix(void)
{
    uint32_t x = wr_thread_self.mixer;

    x ^= x << 13U;
    x ^= x >> 17U;
    x ^= x << 5U;
    wr_thread_self.mixer = x;
    return x;
}

#endif
