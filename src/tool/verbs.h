/*
 * The verbs of the command-line tool. Each prints its result on standard output, what is wrong on
 * standard error, and returns the tool's exit code.
 */
#ifndef WR_TOOL_VERBS_H
#define WR_TOOL_VERBS_H

#include <weir/base.h>

enum {
    WR_EXIT_OK = 0,
    WR_EXIT_FAILED = 1, /* the file or the script is wrong, or cannot be read */
    WR_EXIT_USAGE = 2   /* the command line is wrong */
};

/* Each gets exactly the arguments that the table in weir_tool.c asks for. */
int wr_verb_check(char *const arguments[]);
int wr_verb_explain(char *const arguments[]);
int wr_verb_sim(char *const arguments[]);
int wr_verb_settings(char *const arguments[]);
int wr_verb_version(char *const arguments[]);

/* Print `weir: ` or the place, then the message; returns WR_EXIT_FAILED. */
int wr_tool_fail(const weir_error *error);

/* Everything has been written: flush; returns the exit code. */
int wr_tool_finish(void);

#endif
