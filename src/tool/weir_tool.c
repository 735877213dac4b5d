/*
 * The command-line tool `weir`: which verb, how many arguments, which exit code.
 */
#include "tool/verbs.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: weir check FILE                       check a configuration file\n"
    "       weir explain FILE DEPENDENCY[.KEY]    why a dependency, or one setting of it, is so\n"
    "       weir sim FILE SCRIPT                  run a script on virtual time, print CSV\n"
    "       weir settings                         print every setting as markdown\n"
    "       weir version                          print the version of the library\n"
    "       weir --help                           print this\n"
    "\n"
    "SCRIPT, one event a line; `#` begins a comment, times never go back; units ns us ms s m h:\n"
    "  TIME DEPENDENCY call OUTCOME [took DURATION] [cost N] [key K] [priority P] [xN]\n"
    "  TIME DEPENDENCY begin ID [cost N] [key K] [priority P]\n"
    "  TIME DEPENDENCY end ID OUTCOME\n"
    "  TIME DEPENDENCY ask [cost N] [key K] [priority P]\n"
    "  TIME DEPENDENCY force open|closed|observe|auto\n"
    "  TIME DEPENDENCY set KEY VALUE\n"
    "OUTCOME is ok, fail, timeout, ignore, cancel or crash.\n"
    "\n"
    "exit codes: 0 done; 1 the file or the script is wrong or cannot be read, see standard error;\n"
    "2 the command line is wrong.\n";

struct verb {
    const char *name;
    const char *arguments; /* for messages */
    int count;
    int (*run)(char *const arguments[]);
};

static const struct verb verbs[] = {
    {"check", "FILE", 1, wr_verb_check},
    {"explain", "FILE DEPENDENCY[.KEY]", 2, wr_verb_explain},
    {"sim", "FILE SCRIPT", 2, wr_verb_sim},
    {"settings", "", 0, wr_verb_settings},
    {"version", "", 0, wr_verb_version},
};
enum { VERB_COUNT = sizeof(verbs) / sizeof(verbs[0]) };

int wr_tool_fail(const weir_error *error)
{
    (void)fflush(stdout);
    if (error->file[0] == '\0') {
        (void)fprintf(stderr, "weir: %s\n", error->message);
    } else if (error->line == 0) {
        (void)fprintf(stderr, "%s: %s\n", error->file, error->message);
    } else if (error->column == 0) {
        (void)fprintf(stderr, "%s:%u: %s\n", error->file, (unsigned int)error->line,
                      error->message);
    } else {
        (void)fprintf(stderr, "%s:%u:%u: %s\n", error->file, (unsigned int)error->line,
                      (unsigned int)error->column, error->message);
    }
    return WR_EXIT_FAILED;
}

int wr_tool_finish(void)
{
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        (void)fprintf(stderr, "weir: the output cannot be written\n");
        return WR_EXIT_FAILED;
    }
    return WR_EXIT_OK;
}

int wr_verb_version(char *const arguments[])
{
    (void)arguments;
    (void)printf("weir %s\n", weir_version());
    return wr_tool_finish();
}

static int usage(void)
{
    (void)fputs(help, stderr);
    return WR_EXIT_USAGE;
}

int main(int argc, char *argv[])
{
    if (argc < 2) {
        return usage();
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        (void)fputs(help, stdout);
        return wr_tool_finish();
    }
    for (size_t i = 0; i < VERB_COUNT; ++i) {
        if (strcmp(argv[1], verbs[i].name) != 0) {
            continue;
        }
        if (argc - 2 != verbs[i].count) {
            (void)fprintf(stderr, "usage: weir %s %s\n", verbs[i].name, verbs[i].arguments);
            return WR_EXIT_USAGE;
        }
        return verbs[i].run(argv + 2);
    }
    (void)fprintf(stderr, "weir: no verb \"%s\"\n", argv[1]);
    return usage();
}
