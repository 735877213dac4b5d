/*
 * The library's real policies on virtual time: a script in, one row for each decision out.
 */
#ifndef WR_TOOL_SIMULATOR_H
#define WR_TOOL_SIMULATOR_H

#include <weir/config.h>

#include <stdio.h>

/*
 * Run the script (borrowed; `name` is for messages) on the dependencies of `config`, from virtual
 * time 0, and write the rows to `out`. Same input, same bytes.
 *
 * Result: WEIR_OK; WEIR_E_CONFIG with file and line (a script whose lines are not all well-formed
 *         writes nothing; a line that fails as it runs, such as a refused `set`, leaves the rows
 *         before it); WEIR_E_MEMORY; WEIR_E_SYSTEM (`out` is in error).
 */
weir_status wr_simulate(const weir_config *config, const char *name, const char *text,
                        size_t length, FILE *out, weir_error *error);

#endif
