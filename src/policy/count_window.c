/*
 * The last N outcomes. See count_window.h.
 */
#include "policy/count_window.h"

enum { BIT_FAILURE = 1, BIT_SLOW = 2 };

void wr_count_window_init(struct wr_count_window *window, uint32_t size)
{
    *window = (struct wr_count_window){.size = size};
}

static void add_bits(struct wr_count_window *window, uint8_t *ring, uint8_t bits)
{
    if (window->filled == window->size) {
        const uint8_t leaving = ring[window->next];

        window->failures -= (leaving & BIT_FAILURE) != 0 ? 1U : 0U;
        window->slow -= (leaving & BIT_SLOW) != 0 ? 1U : 0U;
    } else {
        window->filled += 1;
    }
    ring[window->next] = bits;
    window->failures += (bits & BIT_FAILURE) != 0 ? 1U : 0U;
    window->slow += (bits & BIT_SLOW) != 0 ? 1U : 0U;
    window->next = window->next + 1 == window->size ? 0 : window->next + 1;
}

void wr_count_window_add(struct wr_count_window *window, uint8_t *ring,
                         struct wr_observation observation)
{
    add_bits(
        window, ring,
        (uint8_t)((observation.failure ? BIT_FAILURE : 0) | (observation.slow ? BIT_SLOW : 0)));
}

void wr_count_window_copy(struct wr_count_window *to, uint8_t *to_ring,
                          const struct wr_count_window *from, const uint8_t *from_ring)
{
    const uint32_t keep = from->filled < to->size ? from->filled : to->size;
    uint32_t at = (from->next + from->size - keep) % from->size;

    for (uint32_t i = 0; i < keep; ++i) {
        add_bits(to, to_ring, from_ring[at]);
        at = at + 1 == from->size ? 0 : at + 1;
    }
}
