/*
 * Cutting a line into words. See script_words.h.
 */
#include "tool/script_words.h"

bool wr_words_split(char *line, struct wr_words *ret_words)
{
    char *at = line;

    *ret_words = (struct wr_words){.count = 0};
    for (;;) {
        while (wr_is_blank(*at)) {
            ++at;
        }
        if (*at == '\0') {
            return true;
        }
        if (ret_words->count == WR_WORDS_MAX) {
            return false;
        }
        ret_words->at[ret_words->count++] = at;
        while (*at != '\0' && !wr_is_blank(*at)) {
            ++at;
        }
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
}

const char *wr_words_take(struct wr_words *words)
{
    return words->next < words->count ? words->at[words->next++] : NULL;
}
