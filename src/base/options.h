/*
 * The extensible-struct rule of openat2(2): an older caller's shorter struct is completed with
 * zeroes; a newer caller's longer one is accepted only if the tail that we do not know is zero.
 */
#ifndef WR_BASE_OPTIONS_H
#define WR_BASE_OPTIONS_H

#include <weir/base.h>

/*
 * Copy the caller's struct `source`, whose first member is its size, to `target` of `known` bytes.
 * `minimum` is the size of the first released version. A size above 4096 is taken for garbage.
 * Returns WEIR_OK, or WEIR_E_SIZE with a message that names `what`.
 */
weir_status wr_options_copy(void *target, size_t known, size_t minimum, const void *source,
                            const char *what, weir_error *error);

/*
 * The same without a copy in the common case: the caller's own struct if it has just our size, else
 * `room`, filled. NULL: *ret_status says why.
 */
static inline const void *wr_options_view(void *room, size_t known, size_t minimum,
                                          const void *source, const char *what,
                                          weir_status *ret_status)
{
    if (*(const size_t *)source == known) {
        return source;
    }
    *ret_status = wr_options_copy(room, known, minimum, source, what, NULL);
    return *ret_status == WEIR_OK ? room : NULL;
}

#endif
