/*
 * Text written into a caller's buffer of any size; what does not fit is only counted.
 */
#ifndef WR_BASE_SINK_H
#define WR_BASE_SINK_H

#include <stddef.h>

struct wr_sink {
    char *buffer;
    size_t size;   /* of the buffer; 0: count only */
    size_t length; /* of the whole text so far; cut if >= size */
};

/* Append; the buffer stays NUL-terminated. */
__attribute__((format(printf, 2, 3))) void wr_sink_put(struct wr_sink *sink, const char *format,
                                                       ...);

#endif
