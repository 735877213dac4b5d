/*
 * Filling a weir_error. See fail.h.
 */
#include "base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

weir_status wr_fail(weir_error *error, weir_status status, const char *format, ...)
{
    va_list arguments;

    if (error == NULL) {
        return status;
    }
    memset(error, 0, sizeof(*error));
    error->status = status;
    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start() is two lines above */
    (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return status;
}

weir_status wr_fail_at(weir_error *error, const char *file, uint32_t line, uint32_t column)
{
    if (error == NULL) {
        return WEIR_E_CONFIG;
    }
    if (file != NULL) {
        (void)snprintf(error->file, sizeof(error->file), "%s", file);
    }
    error->line = line;
    error->column = column;
    return error->status;
}
