/*
 * weir sim: read configuration and script, print the rows.
 */
#include "tool/verbs.h"

#include "base/fail.h"
#include "tool/simulator.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 1 << 16 };
static const size_t script_max = (size_t)1 << 30;

/* Twice the room for the text; false: it does not fit. */
static bool make_room(char **text, size_t *room)
{
    const size_t more = *room == 0 ? FIRST_BYTES : *room * 2;
    char *const larger = more <= script_max ? realloc(*text, more) : NULL;

    if (larger == NULL) {
        return false;
    }
    *text = larger;
    *room = more;
    return true;
}

/* Read the stream to its end into *ret_text, which the caller frees whatever comes back. */
static weir_status read_all(FILE *stream, const char *path, char **ret_text, size_t *ret_length,
                            weir_error *error)
{
    size_t room = 0;
    size_t length = 0;

    while (feof(stream) == 0 && ferror(stream) == 0) {
        if (length == room && !make_room(ret_text, &room)) {
            return wr_fail(error, WEIR_E_TOO_LARGE, "%s does not fit: split the script", path);
        }
        length += fread(*ret_text + length, 1, room - length, stream);
    }
    if (ferror(stream) != 0) {
        return wr_fail(error, WEIR_E_SYSTEM, "%s cannot be read", path);
    }
    *ret_length = length;
    return WEIR_OK;
}

static weir_status read_script(const char *path, char **ret_text, size_t *ret_length,
                               weir_error *error)
{
    FILE *const stream = fopen(path, "re");
    weir_status status;

    if (stream == NULL) {
        return wr_fail(error, WEIR_E_SYSTEM,
                       errno == ENOENT ? "%s does not exist" : "%s cannot be opened", path);
    }
    status = read_all(stream, path, ret_text, ret_length, error);
    (void)fclose(stream);
    return status;
}

int wr_verb_sim(char *const arguments[])
{
    weir_config *config = NULL;
    char *text = NULL;
    size_t length = 0;
    weir_error error;
    weir_status status = weir_config_read(arguments[0], &config, &error);

    if (status == WEIR_OK) {
        status = read_script(arguments[1], &text, &length, &error);
    }
    if (status == WEIR_OK) {
        (void)setvbuf(stdout, NULL, _IOFBF, FIRST_BYTES);
        status = wr_simulate(config, arguments[1], text, length, stdout, &error);
    }
    free(text);
    weir_config_destroy(config);
    return status == WEIR_OK ? wr_tool_finish() : wr_tool_fail(&error);
}
