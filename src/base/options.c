/*
 * Copying in-structs of any version. See options.h.
 */
#include "base/options.h"

#include "base/fail.h"

#include <string.h>

enum { SANE_MAX = 4096 };

static int tail_is_zero(const unsigned char *bytes, size_t from, size_t to)
{
    for (size_t i = from; i < to; ++i) {
        if (bytes[i] != 0) {
            return 0;
        }
    }
    return 1;
}

weir_status wr_options_copy(void *target, size_t known, size_t minimum, const void *source,
                            const char *what, weir_error *error)
{
    size_t size;

    memcpy(&size, source, sizeof(size));
    if (size < minimum || size > SANE_MAX) {
        return wr_fail(error, WEIR_E_SIZE,
                       "%s.size is %zu, expected at least %zu: initialise it with WEIR_SIZED(%s)",
                       what, size, minimum, what);
    }
    if (size > known && !tail_is_zero(source, known, size)) {
        return wr_fail(error, WEIR_E_SIZE,
                       "%s has members that weir %s does not know: zero them or use a newer weir",
                       what, WEIR_VERSION);
    }
    memset(target, 0, known);
    memcpy(target, source, size < known ? size : known);
    return WEIR_OK;
}
