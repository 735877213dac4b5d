/*
 * Built-in random numbers and memory, and the checks of the host's ops tables.
 */
#define _GNU_SOURCE
#include "base/hosted.h"

#include "base/clock.h"
#include "base/fail.h"
#include "base/options.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { CACHE_LINE = 64 };

/* splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014):
 * one atomic add makes it safe for any number of threads. */
static uint64_t builtin_next(void *user)
{
    _Atomic uint64_t *const state = user;
    uint64_t z = atomic_fetch_add_explicit(state, 0x9e3779b97f4a7c15U, memory_order_relaxed) +
                 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
}

static void *builtin_allocate(void *user, size_t bytes, size_t alignment)
{
    void *memory = NULL;

    (void)user;
    return posix_memalign(&memory, alignment, bytes) == 0 ? memory : NULL;
}

static void builtin_release(void *user, void *memory, size_t bytes, size_t alignment)
{
    (void)user;
    (void)bytes;
    (void)alignment;
    free(memory);
}

static const weir_allocator builtin_allocator = {
    .size = sizeof(weir_allocator), .allocate = builtin_allocate, .release = builtin_release};

static weir_status copy_clock(struct wr_host *host, const weir_clock *clock, weir_error *error)
{
    const weir_status status =
        wr_options_copy(&host->clock, sizeof(host->clock), sizeof(host->clock),
                        clock != NULL ? clock : &wr_system_clock, "weir_clock", error);

    if (status == WEIR_OK &&
        (host->clock.now == NULL || host->clock.wait == NULL || host->clock.wake == NULL)) {
        return wr_fail(error, WEIR_E_ARGUMENT,
                       "weir_clock lacks a function: give now, wait and wake");
    }
    return status;
}

static weir_status copy_random(struct wr_host *host, const weir_random *random, weir_error *error)
{
    weir_status status;

    if (random == NULL) {
        host->random =
            (weir_random){.size = sizeof(weir_random), .user = &host->seed, .next = builtin_next};
        return WEIR_OK;
    }
    status = wr_options_copy(&host->random, sizeof(host->random), sizeof(host->random), random,
                             "weir_random", error);
    if (status == WEIR_OK && host->random.next == NULL) {
        return wr_fail(error, WEIR_E_ARGUMENT, "weir_random lacks its function: give next");
    }
    return status;
}

static weir_status copy_allocator(struct wr_host *host, const weir_allocator *allocator,
                                  weir_error *error)
{
    const weir_status status = wr_options_copy(
        &host->allocator, sizeof(host->allocator), sizeof(host->allocator),
        allocator != NULL ? allocator : &builtin_allocator, "weir_allocator", error);

    if (status == WEIR_OK &&
        (host->allocator.allocate == NULL || host->allocator.release == NULL)) {
        return wr_fail(error, WEIR_E_ARGUMENT,
                       "weir_allocator lacks a function: give allocate and release");
    }
    return status;
}

weir_status wr_host_init(struct wr_host *host, const weir_runtime_options *options,
                         weir_error *error)
{
    uint64_t seed = options->seed;
    weir_status status;

    if (seed == 0 && getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
        seed = wr_system_now(NULL); /* early boot: jitter needs no secrecy */
    }
    atomic_init(&host->seed, seed);
    status = copy_clock(host, options->clock, error);
    if (status == WEIR_OK) {
        status = copy_random(host, options->random, error);
    }
    if (status == WEIR_OK) {
        status = copy_allocator(host, options->allocator, error);
    }
    return status;
}

uint64_t wr_host_random(struct wr_host *host)
{
    return host->random.next(host->random.user);
}

void *wr_host_allocate(struct wr_host *host, size_t bytes)
{
    void *const memory = host->allocator.allocate(host->allocator.user, bytes, CACHE_LINE);

    if (memory != NULL) {
        memset(memory, 0, bytes);
    }
    return memory;
}

void wr_host_release(struct wr_host *host, void *memory, size_t bytes)
{
    if (memory != NULL) {
        host->allocator.release(host->allocator.user, memory, bytes, CACHE_LINE);
    }
}
