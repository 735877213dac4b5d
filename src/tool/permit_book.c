/*
 * Open addressing over an array of permits. See permit_book.h.
 */
#include "tool/permit_book.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_PERMITS = 64 };

/* The table's place of a name: where it is, or where it would go. */
static size_t *place_of(const struct wr_permit_book *book, const char *name)
{
    const size_t mask = 2 * book->capacity - 1;
    uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a */
    size_t at;

    for (const char *byte = name; *byte != '\0'; ++byte) {
        hash = (hash ^ (unsigned char)*byte) * 0x100000001b3ULL;
    }
    for (at = (size_t)(hash >> 20U) & mask; book->table[at] != 0; at = (at + 1) & mask) {
        if (strcmp(book->permits[book->table[at] - 1].name, name) == 0) {
            break;
        }
    }
    return &book->table[at];
}

/* Twice the room. Half of the table is always empty, so that every search ends. */
static bool grow(struct wr_permit_book *book)
{
    const size_t room = book->capacity == 0 ? FIRST_PERMITS : book->capacity * 2;
    size_t *const table = calloc(2 * room, sizeof(*table));
    struct wr_kept_permit *const permits = calloc(room, sizeof(*permits));

    if (table == NULL || permits == NULL) {
        free(table);
        free(permits);
        return false;
    }
    if (book->permits != NULL) {
        memcpy(permits, book->permits, book->count * sizeof(*permits));
    }
    free(book->table);
    free(book->permits);
    book->table = table;
    book->permits = permits;
    book->capacity = room;
    for (size_t i = 0; i < book->count; ++i) {
        *place_of(book, permits[i].name) = i + 1;
    }
    return true;
}

struct wr_kept_permit *wr_permit_book_find(const struct wr_permit_book *book, const char *name)
{
    const size_t index = book->count > 0 ? *place_of(book, name) : 0;

    return index != 0 ? &book->permits[index - 1] : NULL;
}

struct wr_kept_permit *wr_permit_book_put(struct wr_permit_book *book, const char *name)
{
    struct wr_kept_permit *permit = wr_permit_book_find(book, name);

    if (permit != NULL) {
        return permit;
    }
    if (strlen(name) > WR_PERMIT_NAME_MAX) {
        return NULL;
    }
    if ((book->permits == NULL || book->count == book->capacity) && !grow(book)) {
        return NULL;
    }
    permit = &book->permits[book->count++];
    memcpy(permit->name, name, strlen(name) + 1);
    *place_of(book, name) = book->count;
    return permit;
}

void wr_permit_book_free(struct wr_permit_book *book)
{
    free(book->permits);
    free(book->table);
    *book = (struct wr_permit_book){0};
}
