/*
 * Bytes that a dependency takes: as it says itself (memory_bytes), and as the process grows when
 * 500 of them are made. The difference is what malloc and whole pages add.
 */
#include <weir/weir.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

enum { DEPENDENCIES = 500 };

/* Resident bytes of this process; 0: not known. */
static uint64_t resident(void)
{
    FILE *const file = fopen("/proc/self/statm", "re");
    uint64_t total;
    uint64_t pages = 0;

    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%" SCNu64 " %" SCNu64, &total, &pages) != 2) {
        pages = 0;
    }
    (void)fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t stated(weir_dependency *dependency)
{
    uint64_t values[WEIR_COUNT_END];

    return weir_dependency_read(dependency, values, WEIR_COUNT_END) == WEIR_COUNT_END
               ? values[WEIR_COUNT_BYTES]
               : 0;
}

/* The runtime stays until the process ends, so that no memory of it is used again. */
static bool measure(const char *what, const char *settings)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings};
    weir_dependency *dependency = NULL;
    weir_runtime *runtime;
    weir_error error;
    uint64_t before;

    if (weir_runtime_create(NULL, &runtime, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s: %s\n", what, error.message);
        return false;
    }
    before = resident();
    for (unsigned i = 0; i < DEPENDENCIES; ++i) {
        char name[32];

        (void)snprintf(name, sizeof(name), "d%u", i);
        if (weir_dependency_create(runtime, name, &options, &dependency, &error) != WEIR_OK) {
            (void)fprintf(stderr, "%s: %s\n", what, error.message);
            return false;
        }
    }
    (void)printf("%-50s %12" PRIu64 " %12" PRIu64 "\n", what, stated(dependency),
                 (resident() - before) / DEPENDENCIES);
    return true;
}

int main(void)
{
    (void)printf("%-50s %12s %12s\n", "", "stated", "resident");
    return measure("max_concurrent: 10", "max_concurrent: 10") &&
                   measure("max_concurrent: 10, breaker, rate limit",
                           "max_concurrent: 10, breaker: on, rate_limit: on") &&
                   measure("default settings (1024 places)", NULL)
               ? 0
               : 1;
}
