/*
 * Immutable, counted contexts: a head with the trace id and the deadline, and a set of labels that
 * children share. A child that changes no label is one small block of memory.
 *
 * Nothing here is written after weir_context_derive() has returned but the count, so a context may
 * be read on any thread that holds a reference; who hands it over must publish it, as with any
 * memory. Fresh trace ids come from the system each time: no state that a fork would double.
 */
#define _GNU_SOURCE
#include "base/clock.h"
#include "context/crossing.h"
#include "context/labels.h"
#include "policy/deadline.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { TRACE_BYTES = 16, TRACE_DIGITS = 2 * TRACE_BYTES, NIBBLE_BITS = 4, NIBBLE_MASK = 15 };

static const char hex_digits[] = "0123456789abcdef";

struct trace_id {
    uint8_t bytes[TRACE_BYTES];
    char text[TRACE_DIGITS + 1];
};

struct weir_context {
    /* Up by whoever holds one already, so relaxed; down with acq_rel, each with all the others: the
     * last one frees after what the others have read. */
    _Atomic uint64_t references;
    uint64_t deadline_ns;     /* by CLOCK_MONOTONIC */
    struct wr_labels *labels; /* counted */
    struct trace_id trace_id;
};

/* ---- trace ids ---- */

static bool is_zero(const uint8_t bytes[TRACE_BYTES])
{
    static const uint8_t zeroes[TRACE_BYTES];

    return memcmp(bytes, zeroes, TRACE_BYTES) == 0;
}

/* False: not 32 lower-case hex digits, or all zero. */
static bool trace_id_read(struct trace_id *id, const char *text)
{
    if (strlen(text) != TRACE_DIGITS) {
        return false;
    }
    for (size_t i = 0; i < TRACE_DIGITS; ++i) {
        const char *const digit = strchr(hex_digits, text[i]);
        const unsigned before = i % 2 == 0 ? 0U : id->bytes[i / 2];

        if (digit == NULL) {
            return false;
        }
        id->bytes[i / 2] = (uint8_t)(before << NIBBLE_BITS | (unsigned)(digit - hex_digits));
    }
    memcpy(id->text, text, sizeof(id->text));
    return !is_zero(id->bytes);
}

static weir_status trace_id_make(struct trace_id *id)
{
    do {
        /* 16 bytes come at once or not at all. Without waiting: early after boot there are none. */
        if (getrandom(id->bytes, sizeof(id->bytes), GRND_NONBLOCK) != sizeof(id->bytes)) {
            return WEIR_E_SYSTEM;
        }
    } while (is_zero(id->bytes));
    for (size_t i = 0; i < TRACE_BYTES; ++i) {
        id->text[2 * i] = hex_digits[id->bytes[i] >> NIBBLE_BITS];
        id->text[2 * i + 1] = hex_digits[id->bytes[i] & NIBBLE_MASK];
    }
    id->text[TRACE_DIGITS] = '\0';
    return WEIR_OK;
}

/* The one among the labels; else the parent's, unless it is taken away; else a fresh one. */
static weir_status trace_id_choose(struct trace_id *id, const weir_context *parent,
                                   const weir_label *labels, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        if (!wr_label_is_trace_id(&labels[i])) {
            continue;
        }
        if (labels[i].value == NULL) {
            return trace_id_make(id);
        }
        return trace_id_read(id, labels[i].value) ? WEIR_OK : WEIR_E_ARGUMENT;
    }
    if (parent == NULL) {
        return trace_id_make(id);
    }
    *id = parent->trace_id;
    return WEIR_OK;
}

/* ---- contexts ---- */

static uint64_t derive_deadline(const weir_context *parent, uint64_t within_ns)
{
    const uint64_t inherited = parent != NULL ? parent->deadline_ns : WR_NO_DEADLINE;

    if (within_ns == 0) {
        return inherited;
    }
    return wr_min_u64(inherited, wr_sat_add(wr_system_now(NULL), within_ns));
}

weir_status weir_context_derive(const weir_context *parent, const weir_label *labels, size_t count,
                                uint64_t within_ns, weir_context **ret_context)
{
    weir_context *made;
    weir_status status;

    if (ret_context == NULL || (labels == NULL && count > 0)) {
        return WEIR_E_ARGUMENT;
    }
    status = wr_labels_check(labels, count);
    if (status != WEIR_OK) {
        return status;
    }
    made = malloc(sizeof(*made));
    if (made == NULL) {
        return WEIR_E_MEMORY;
    }
    status = trace_id_choose(&made->trace_id, parent, labels, count);
    if (status == WEIR_OK) {
        status =
            wr_labels_edit(parent != NULL ? parent->labels : NULL, labels, count, &made->labels);
    }
    if (status != WEIR_OK) {
        free(made);
        return status;
    }
    atomic_init(&made->references, 1);
    made->deadline_ns = derive_deadline(parent, within_ns);
    *ret_context = made;
    return WEIR_OK;
}

weir_context *weir_context_retain(const weir_context *context)
{
    weir_context *counted;

    /* Every context came from malloc(); only what it says is constant. */
    memcpy(&counted, &context, sizeof(weir_context *));
    if (counted != NULL) {
        (void)atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
    }
    return counted;
}

void weir_context_release(weir_context *context)
{
    if (context != NULL &&
        atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) == 1) {
        wr_labels_release(context->labels);
        free(context);
    }
}

const char *weir_context_get(const weir_context *context, const char *name)
{
    if (context == NULL || name == NULL) {
        return NULL;
    }
    if (strcmp(name, WEIR_LABEL_TRACE_ID) == 0) {
        return context->trace_id.text;
    }
    return wr_labels_get(context->labels, name);
}

uint64_t weir_context_left_ns(const weir_context *context)
{
    if (context == NULL || context->deadline_ns == WR_NO_DEADLINE) {
        return UINT64_MAX;
    }
    return wr_deadline_left(context->deadline_ns, wr_system_now(NULL));
}

uint64_t wr_context_deadline(const weir_context *context, uint64_t deadline_ns, uint64_t now_ns,
                             int monotonic)
{
    if (context == NULL || context->deadline_ns == WR_NO_DEADLINE) {
        return deadline_ns;
    }
    if (monotonic != 0) {
        return wr_min_u64(deadline_ns, context->deadline_ns);
    }
    return wr_min_u64(deadline_ns, wr_sat_add(now_ns, weir_context_left_ns(context)));
}

void wr_context_trace_id(const weir_context *context, uint8_t ret_trace_id[16])
{
    if (context == NULL) {
        memset(ret_trace_id, 0, TRACE_BYTES);
    } else {
        memcpy(ret_trace_id, context->trace_id.bytes, TRACE_BYTES);
    }
}
