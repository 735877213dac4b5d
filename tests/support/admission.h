/*
 * Threads that take a place, stay for a moment and give it back, and count how many are inside. The
 * same driver for the library's bulkhead and for the control that is known to admit too many.
 */
#ifndef WEIR_TESTS_ADMISSION_H
#define WEIR_TESTS_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

struct admission {
    void *user;
    bool (*take)(void *user);
    void (*give)(void *user);
};

struct admission_result {
    uint64_t rounds; /* of each thread */
    uint64_t most;   /* highest number that were inside at once */
    uint64_t taken;
    uint64_t refused;
};

struct admission_result admission_run(const struct admission *admission, unsigned threads,
                                      uint64_t rounds);

#endif
