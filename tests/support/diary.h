/*
 * What the race tests of pools call with: orders (arguments that own memory), values (results that
 * own memory), a command that obeys, and a diary of every call by its number, which tells at the
 * end whether each had exactly one outcome, one drop of its argument and one end of each value.
 *
 * Orders and values carry canaries that their end poisons; what has ended is freed a good while
 * later, so that a late user meets the poison and not somebody else's memory. (Under a sanitizer it
 * is freed at once: then the sanitizer sees it.)
 */
#ifndef WEIR_TESTS_DIARY_H
#define WEIR_TESTS_DIARY_H

#include "support/race.h"

#include <weir/weir.h>

/* Where work runs. */
struct diary_site {
    _Alignas(RACE_LINE) _Atomic uint64_t inside;
    _Atomic uint64_t most;
};

/* What run is to do. */
enum diary_manner {
    DIARY_QUICK,
    DIARY_BUSY,     /* for a few microseconds */
    DIARY_FAILS,    /* WEIR_FAILED */
    DIARY_IGNORED,  /* WEIR_IGNORED */
    DIARY_RACES,    /* comes out at about its deadline */
    DIARY_OVERSTAYS /* runs until its caller has left, and then some */
};

struct diary_plan {
    struct diary_site *site;
    enum diary_manner manner;
    unsigned loops; /* of the spinning; for DIARY_RACES so many nanoseconds before the deadline */
};

/* The argument of a call. */
struct diary_argument {
    struct diary_order *order;
    uint64_t number;
};

struct diary_value;

/* The commands: result is a struct diary_value pointer. */
extern const weir_command diary_command;
extern const weir_command diary_command_with_fallback;

/* `stops`: calls are cancelled by a stop too, not by their tickets alone. */
void diary_open(uint64_t calls, bool stops);

/* The argument of call `number`; to be dropped by the library. */
struct diary_argument diary_argument_make(uint64_t number, const struct diary_plan *plan);

/* It was refused for a mistake: the argument is still ours, the number is not used. */
void diary_take_back(struct diary_argument *argument);

/* The call has its outcome. */
void diary_told(uint64_t number, weir_status status, const weir_outcome *outcome);

/* End a value that was delivered to the call. */
void diary_receive(uint64_t number, struct diary_value *value);

/* A ticket of the call was cancelled with WEIR_OK. */
void diary_cancelled(uint64_t number);

/* Has it been told? */
bool diary_is_told(uint64_t number);

/* Values that result_drop() was called for. */
uint64_t diary_values_dropped(void);

/* All calls have been told: checks the page of every call and frees all. Waits a little for work
 * that is still running. */
void diary_close(void);

#endif
