/*
 * See sink.h.
 */
#include "base/sink.h"

#include <stdarg.h>
#include <stdio.h>

void wr_sink_put(struct wr_sink *sink, const char *format, ...)
{
    const size_t room = sink->length < sink->size ? sink->size - sink->length : 0;
    va_list arguments;
    int written;

    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start() is the line above */
    written = vsnprintf(room > 0 ? sink->buffer + sink->length : NULL, room, format, arguments);
    va_end(arguments);
    sink->length += written > 0 ? (size_t)written : 0;
}
