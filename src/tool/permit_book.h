/*
 * The permits of a script, by name: a hash table that keeps what `begin` got until it is begun
 * anew.
 */
#ifndef WR_TOOL_PERMIT_BOOK_H
#define WR_TOOL_PERMIT_BOOK_H

#include "command/attempt.h"

enum { WR_PERMIT_NAME_MAX = 64 };

enum wr_permit_state { WR_PERMIT_NEW, WR_PERMIT_REFUSED, WR_PERMIT_HELD, WR_PERMIT_ENDED };

struct wr_kept_permit {
    char name[WR_PERMIT_NAME_MAX + 1];
    enum wr_permit_state state;
    weir_dependency *dependency; /* borrowed */
    struct wr_slot_ref slot;
};

struct wr_permit_book {
    struct wr_kept_permit *permits; /* owned; in order of the first begin */
    size_t count, capacity;
    size_t *table; /* owned; index + 1 into permits, 0: empty; 2 * capacity places */
};

/* NULL: there is none. Borrowed until the next put. */
struct wr_kept_permit *wr_permit_book_find(const struct wr_permit_book *book, const char *name);

/* Find it or add it, NEW then. NULL: out of memory, or the name is too long. Borrowed until the
 * next put. */
struct wr_kept_permit *wr_permit_book_put(struct wr_permit_book *book, const char *name);

void wr_permit_book_free(struct wr_permit_book *book);

#endif
