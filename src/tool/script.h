/*
 * The simulator's script, one line at a time.
 *
 *   TIME DEPENDENCY call OUTCOME [took DURATION] [cost N] [key K] [priority P] [xN]
 *   TIME DEPENDENCY begin ID [cost N] [key K] [priority P]
 *   TIME DEPENDENCY end ID OUTCOME
 *   TIME DEPENDENCY ask [cost N] [key K] [priority P]
 *   TIME DEPENDENCY force open|closed|observe|auto
 *   TIME DEPENDENCY set KEY VALUE
 *
 * `#` begins a comment, blank lines are skipped. Times are absolute and never go back. Here a line
 * is checked by itself; which dependencies, permits and settings there are is the simulator's
 * business.
 */
#ifndef WR_TOOL_SCRIPT_H
#define WR_TOOL_SCRIPT_H

#include <weir/base.h>

#include <stdbool.h>

enum { WR_SCRIPT_LINE_MAX = 1024 }; /* bytes of a line without its comment */

enum wr_verb { WR_VERB_CALL, WR_VERB_BEGIN, WR_VERB_END, WR_VERB_ASK, WR_VERB_FORCE, WR_VERB_SET };

/* Texts are borrowed until the next line. */
struct wr_line {
    uint64_t number; /* from 1 */
    uint64_t at_ns;
    enum wr_verb verb;
    const char *dependency;
    const char *id;      /* begin, end */
    weir_status outcome; /* call, end */
    int32_t override;    /* force: WEIR_FORCE_... */
    const char *word;    /* force: the override's name; set: the key */
    const char *value;   /* set */
    uint64_t took_ns;    /* call */
    uint64_t count;      /* call: 1 to 1,000,000 */
    uint64_t cost;       /* call, begin, ask; at least 1 */
    uint64_t key;        /* a hash of K; 0: not given */
    uint32_t priority;
};

struct wr_script {
    const char *name; /* for messages */
    const char *text; /* borrowed */
    size_t length;
    size_t offset;    /* of the next line */
    uint64_t number;  /* of the last line read */
    uint64_t last_ns; /* its time */
    char buffer[WR_SCRIPT_LINE_MAX];
};

void wr_script_start(struct wr_script *script, const char *name, const char *text, size_t length);

/* The next line that says something. *ret_more false: there is none. */
weir_status wr_script_next(struct wr_script *script, struct wr_line *ret_line, bool *ret_more,
                           weir_error *error);

/* A failure in the line read last, with its number. */
__attribute__((format(printf, 3, 4))) weir_status wr_script_fail(const struct wr_script *script,
                                                                 weir_error *error,
                                                                 const char *format, ...);

/* Say that `word` is no valid `what` and name the nearest of `count` names, or all of them. */
weir_status wr_script_unknown(const struct wr_script *script, weir_error *error, const char *what,
                              const char *word, const char *const *names, size_t count);

#endif
