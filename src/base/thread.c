/*
 * Thread numbers. See thread.h.
 */
#include "base/thread.h"

#include <stdatomic.h>

_Thread_local struct wr_thread wr_thread_self;

void wr_thread_introduce(void)
{
    static _Atomic uint32_t last;
    const uint32_t number = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;

    wr_thread_self.number = number != 0 ? number : 1;
    wr_thread_self.mixer = wr_thread_self.number * 0x9e3779b9U | 1U;
}
