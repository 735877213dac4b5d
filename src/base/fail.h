/*
 * Filling a weir_error. Both accept a NULL error and return the status, so that a failure is one
 * line: `return wr_fail(error, WEIR_E_ARGUMENT, "...: give ...")`. The message names the fix.
 */
#ifndef WR_BASE_FAIL_H
#define WR_BASE_FAIL_H

#include <weir/base.h>

__attribute__((format(printf, 3, 4))) weir_status wr_fail(weir_error *error, weir_status status,
                                                          const char *format, ...);

/* Add where the setting came from to an error that wr_fail() has filled; returns its status. */
weir_status wr_fail_at(weir_error *error, const char *file, uint32_t line, uint32_t column);

#endif
