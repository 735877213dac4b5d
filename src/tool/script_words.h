/*
 * The words of one line of a script.
 */
#ifndef WR_TOOL_SCRIPT_WORDS_H
#define WR_TOOL_SCRIPT_WORDS_H

#include <stdbool.h>
#include <stddef.h>

enum { WR_WORDS_MAX = 16 };

struct wr_words {
    const char *at[WR_WORDS_MAX]; /* borrowed from the line */
    size_t count;
    size_t next;
};

static inline bool wr_is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

/* Cut `line` into words, in place. False: more than WR_WORDS_MAX. */
bool wr_words_split(char *line, struct wr_words *ret_words);

/* The next word; NULL after the last. */
const char *wr_words_take(struct wr_words *words);

#endif
