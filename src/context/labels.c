/*
 * One block of memory for each set: the array of labels, behind it the text they point to. Edits
 * make a new set; edits that name no label but the trace id share the old one. At most 64 labels
 * and twice as many edits: a search from the front is as fast as anything.
 */
#include "context/labels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_MAX_LENGTH = 64,
    VALUE_MAX_LENGTH = 256,
    /* All labels of a full set taken away, as many put in their places, and a trace id. */
    EDITS_MAX = 2 * WEIR_LABELS_MAX + 1
};

struct wr_labels {
    /* Up by whoever holds one already, so relaxed; down with acq_rel, each with all the others: the
     * last one frees after what the others have read. */
    _Atomic uint64_t references;
    size_t count;
    weir_label label[]; /* into the text behind the array */
};

bool wr_label_is_trace_id(const weir_label *label)
{
    return strcmp(label->name, WEIR_LABEL_TRACE_ID) == 0;
}

/* By hand: <ctype.h> depends on the locale. */
static bool is_name_character(char character)
{
    return (character >= 'A' && character <= 'Z') || (character >= 'a' && character <= 'z') ||
           (character >= '0' && character <= '9') || character == '_' || character == '.' ||
           character == '-';
}

static bool is_name(const char *name)
{
    size_t length = 0;

    if (name == NULL) {
        return false;
    }
    while (length <= NAME_MAX_LENGTH && is_name_character(name[length])) {
        ++length;
    }
    return length > 0 && length <= NAME_MAX_LENGTH && name[length] == '\0';
}

static weir_status check_value(const char *value)
{
    enum { FIRST_PRINTABLE = 0x20, DELETE = 0x7f };
    size_t length = 0;

    for (; value[length] != '\0'; ++length) {
        const unsigned char character = (unsigned char)value[length];

        if (length == VALUE_MAX_LENGTH) {
            return WEIR_E_TOO_LARGE;
        }
        if (character < FIRST_PRINTABLE || character == DELETE) {
            return WEIR_E_ARGUMENT;
        }
    }
    return WEIR_OK;
}

/* Of the first `count`; NULL if there is none. */
static const weir_label *find(const weir_label *labels, size_t count, const char *name)
{
    for (size_t i = 0; i < count; ++i) {
        if (strcmp(labels[i].name, name) == 0) {
            return &labels[i];
        }
    }
    return NULL;
}

weir_status wr_labels_check(const weir_label *edits, size_t count)
{
    if (count > EDITS_MAX) {
        return WEIR_E_TOO_LARGE;
    }
    for (size_t i = 0; i < count; ++i) {
        weir_status status = WEIR_OK;

        if (!is_name(edits[i].name) || find(edits, i, edits[i].name) != NULL) {
            return WEIR_E_ARGUMENT;
        }
        if (edits[i].value != NULL) {
            status = check_value(edits[i].value);
        }
        if (status != WEIR_OK) {
            return status;
        }
    }
    return WEIR_OK;
}

/* A set of its own of these labels, text and all; NULL: no memory. */
static struct wr_labels *copy(const weir_label *labels, size_t count)
{
    size_t bytes = sizeof(struct wr_labels) + count * sizeof(weir_label);
    struct wr_labels *made;
    char *text;

    for (size_t i = 0; i < count; ++i) {
        bytes += strlen(labels[i].name) + 1 + strlen(labels[i].value) + 1;
    }
    made = malloc(bytes);
    if (made == NULL) {
        return NULL;
    }
    atomic_init(&made->references, 1);
    made->count = count;
    text = (char *)&made->label[count];
    for (size_t i = 0; i < count; ++i) {
        const size_t name_size = strlen(labels[i].name) + 1;
        const size_t value_size = strlen(labels[i].value) + 1;

        made->label[i] = (weir_label){.name = text, .value = text + name_size};
        memcpy(text, labels[i].name, name_size);
        memcpy(text + name_size, labels[i].value, value_size);
        text += name_size + value_size;
    }
    return made;
}

/* What `base` has after the edits: replaced in place or left out, then what is new, in order. Both
 * lend their text. */
static weir_status merge(const struct wr_labels *base, const weir_label *edits, size_t count,
                         weir_label merged[WEIR_LABELS_MAX], size_t *ret_count)
{
    const size_t had = base != NULL ? base->count : 0;
    size_t n = 0;

    for (size_t i = 0; i < had; ++i) {
        const weir_label *const edit = find(edits, count, base->label[i].name);

        if (edit == NULL || edit->value != NULL) {
            merged[n++] = edit == NULL ? base->label[i] : *edit;
        }
    }
    for (size_t i = 0; i < count; ++i) {
        if (edits[i].value == NULL || wr_label_is_trace_id(&edits[i]) ||
            (had > 0 && find(base->label, had, edits[i].name) != NULL)) {
            continue;
        }
        if (n == WEIR_LABELS_MAX) {
            return WEIR_E_TOO_LARGE;
        }
        merged[n++] = edits[i];
    }
    *ret_count = n;
    return WEIR_OK;
}

static struct wr_labels *retain(struct wr_labels *labels)
{
    if (labels != NULL) {
        (void)atomic_fetch_add_explicit(&labels->references, 1, memory_order_relaxed);
    }
    return labels;
}

weir_status wr_labels_edit(struct wr_labels *base, const weir_label *edits, size_t count,
                           struct wr_labels **ret_labels)
{
    weir_label merged[WEIR_LABELS_MAX];
    struct wr_labels *made = NULL;
    size_t merged_count = 0;
    weir_status status;

    if (count == 0 || (count == 1 && wr_label_is_trace_id(&edits[0]))) {
        *ret_labels = retain(base);
        return WEIR_OK;
    }
    status = merge(base, edits, count, merged, &merged_count);
    if (status != WEIR_OK) {
        return status;
    }
    if (merged_count > 0) {
        made = copy(merged, merged_count);
        if (made == NULL) {
            return WEIR_E_MEMORY;
        }
    }
    *ret_labels = made;
    return WEIR_OK;
}

const char *wr_labels_get(const struct wr_labels *labels, const char *name)
{
    const weir_label *const label =
        labels != NULL ? find(labels->label, labels->count, name) : NULL;

    return label != NULL ? label->value : NULL;
}

void wr_labels_release(struct wr_labels *labels)
{
    if (labels != NULL &&
        atomic_fetch_sub_explicit(&labels->references, 1, memory_order_acq_rel) == 1) {
        free(labels);
    }
}
