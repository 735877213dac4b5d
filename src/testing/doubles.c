/*
 * Scripted random numbers, and an allocator that counts and fails on demand.
 */
#define _GNU_SOURCE
#include <weir/testing.h>

#include <stdlib.h>

static uint64_t scripted_next(void *user)
{
    weir_scripted_random *const random = user;
    const size_t at = __atomic_fetch_add(&random->next, 1, __ATOMIC_RELAXED);

    if (random->count == 0) {
        return 0;
    }
    return random->values[at < random->count ? at : random->count - 1];
}

void weir_scripted_random_init(weir_scripted_random *random, const uint64_t *values, size_t count)
{
    *random = (weir_scripted_random){
        .ops = {.size = sizeof(weir_random), .user = random, .next = scripted_next},
        .values = values,
        .count = count};
}

static void *failing_allocate(void *user, size_t bytes, size_t alignment)
{
    weir_failing_allocator *const allocator = user;
    const uint64_t call = __atomic_add_fetch(&allocator->calls, 1, __ATOMIC_RELAXED);
    const int fails =
        allocator->fail_at != 0 &&
        (call == allocator->fail_at || (allocator->fail_forever != 0 && call > allocator->fail_at));
    void *memory = NULL;

    if (fails || posix_memalign(&memory, alignment, bytes) != 0) {
        return NULL;
    }
    __atomic_add_fetch(&allocator->live, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&allocator->live_bytes, bytes, __ATOMIC_RELAXED);
    return memory;
}

static void failing_release(void *user, void *memory, size_t bytes, size_t alignment)
{
    weir_failing_allocator *const allocator = user;

    (void)alignment;
    __atomic_sub_fetch(&allocator->live, 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&allocator->live_bytes, bytes, __ATOMIC_RELAXED);
    free(memory);
}

void weir_failing_allocator_init(weir_failing_allocator *allocator, uint64_t fail_at,
                                 int fail_forever)
{
    *allocator = (weir_failing_allocator){.ops = {.size = sizeof(weir_allocator),
                                                  .user = allocator,
                                                  .allocate = failing_allocate,
                                                  .release = failing_release},
                                          .fail_at = fail_at,
                                          .fail_forever = fail_forever};
}
