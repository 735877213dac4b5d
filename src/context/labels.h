/*
 * The labels of a context: an immutable, counted set, shared by every context that adds nothing to
 * it. NULL is the empty set. The label "trace_id" is checked here like any other and kept in the
 * context itself.
 */
#ifndef WR_CONTEXT_LABELS_H
#define WR_CONTEXT_LABELS_H

#include <weir/context.h>

#include <stdbool.h>

struct wr_labels;

bool wr_label_is_trace_id(const weir_label *label);

/* Are these edits well formed, and no name given twice? The statuses of weir_context_derive(). */
weir_status wr_labels_check(const weir_label *edits, size_t count);

/* `base` with checked edits: added, replaced or (value NULL) without. The caller owns a reference.
 */
weir_status wr_labels_edit(struct wr_labels *base, const weir_label *edits, size_t count,
                           struct wr_labels **ret_labels);

/* NULL if there is none of that name. */
const char *wr_labels_get(const struct wr_labels *labels, const char *name);

void wr_labels_release(struct wr_labels *labels);

#endif
