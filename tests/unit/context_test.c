/*
 * A context never changes, a child has what its parent had but for the edits, and what is malformed
 * or too large is refused with nothing made.
 */
#define _GNU_SOURCE
#include "support/harness.h"

#include "base/clock.h"
#include "context/crossing.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOUR     (3600 * 1000000000ULL)
#define TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"

enum {
    TRACE_DIGITS = 32,
    VALUE_MAX = 256,
    NAME_MAX_LENGTH = 64,
    EDITS_MAX = 2 * WEIR_LABELS_MAX + 1 /* every label exchanged, and the trace id */
};

static weir_context *derived(const weir_context *parent, const weir_label *labels, size_t count)
{
    weir_context *context = NULL;

    cr_assert_eq(weir_context_derive(parent, labels, count, 0, &context), WEIR_OK);
    cr_assert_not_null(context);
    return context;
}

static weir_context *derived_within(const weir_context *parent, uint64_t within_ns)
{
    weir_context *context = NULL;

    cr_assert_eq(weir_context_derive(parent, NULL, 0, within_ns, &context), WEIR_OK);
    return context;
}

/* What derive says of one label; nothing may be made unless it is WEIR_OK. */
static weir_status status_of(const char *name, const char *value)
{
    const weir_label label = {.name = name, .value = value};
    weir_context *context = NULL;
    const weir_status status = weir_context_derive(NULL, &label, 1, 0, &context);

    cr_expect_eq(context != NULL, status == WEIR_OK);
    weir_context_release(context);
    return status;
}

static const char *trace_id_of(const weir_context *context)
{
    return weir_context_get(context, WEIR_LABEL_TRACE_ID);
}

/* The absolute deadline. */
static uint64_t deadline_of(const weir_context *context)
{
    return wr_context_deadline(context, UINT64_MAX, 0, true);
}

/* ---- labels ---- */

Test(context, a_label_can_be_read_back)
{
    weir_context *const context =
        derived(NULL, (weir_label[]){{"tenant", "blue"}, {"lane", "canary"}}, 2);

    cr_expect_str_eq(weir_context_get(context, "tenant"), "blue");
    cr_expect_str_eq(weir_context_get(context, "lane"), "canary");
    cr_expect_null(weir_context_get(context, "ten"));
    cr_expect_null(weir_context_get(context, "tenants"));
    cr_expect_null(weir_context_get(context, ""));
    weir_context_release(context);
}

Test(context, a_child_has_its_parents_labels_with_the_edits)
{
    weir_context *const parent =
        derived(NULL, (weir_label[]){{"a", "1"}, {"b", "2"}, {"c", "3"}}, 3);

    weir_context *const child =
        derived(parent, (weir_label[]){{"d", "4"}, {"b", "two"}, {"a", NULL}}, 3);

    cr_expect_null(weir_context_get(child, "a"));
    cr_expect_str_eq(weir_context_get(child, "b"), "two");
    cr_expect_str_eq(weir_context_get(child, "c"), "3");
    cr_expect_str_eq(weir_context_get(child, "d"), "4");
    weir_context_release(child);
    weir_context_release(parent);
}

Test(context, a_parent_does_not_change)
{
    weir_context *const parent = derived(NULL, (weir_label[]){{"a", "1"}, {"b", "2"}}, 2);
    char trace_id[TRACE_DIGITS + 1];

    (void)snprintf(trace_id, sizeof(trace_id), "%s", trace_id_of(parent));
    weir_context *child = NULL;
    cr_assert_eq(
        weir_context_derive(
            parent,
            (weir_label[]){{"a", NULL}, {"b", "two"}, {"c", "3"}, {WEIR_LABEL_TRACE_ID, TRACE_ID}},
            4, HOUR, &child),
        WEIR_OK);

    cr_expect_str_eq(weir_context_get(parent, "a"), "1");
    cr_expect_str_eq(weir_context_get(parent, "b"), "2");
    cr_expect_null(weir_context_get(parent, "c"));
    cr_expect_str_eq(trace_id_of(parent), trace_id);
    cr_expect_eq(weir_context_left_ns(parent), UINT64_MAX);
    weir_context_release(child);
    weir_context_release(parent);
}

Test(context, a_child_outlives_its_parent)
{
    weir_context *const parent = derived(NULL, (weir_label[]){{"a", "1"}}, 1);
    weir_context *const same = derived(parent, NULL, 0);
    weir_context *const more = derived(parent, (weir_label[]){{"b", "2"}}, 1);

    weir_context_release(parent);

    cr_expect_str_eq(weir_context_get(same, "a"), "1");
    cr_expect_str_eq(weir_context_get(more, "a"), "1");
    weir_context_release(same);
    cr_expect_str_eq(weir_context_get(more, "a"), "1");
    weir_context_release(more);
}

Test(context, a_child_without_edits_shares_its_parents_labels)
{
    weir_context *const parent = derived(NULL, (weir_label[]){{"a", "1"}}, 1);

    weir_context *const same = derived(parent, NULL, 0);
    weir_context *const traced =
        derived(parent, (weir_label[]){{WEIR_LABEL_TRACE_ID, TRACE_ID}}, 1);

    cr_expect_eq(weir_context_get(same, "a"), weir_context_get(parent, "a"));
    cr_expect_eq(weir_context_get(traced, "a"), weir_context_get(parent, "a"));
    weir_context_release(traced);
    weir_context_release(same);
    weir_context_release(parent);
}

Test(context, names_and_values_are_copied)
{
    char name[] = "tenant";
    char value[] = "blue";
    weir_context *const context = derived(NULL, &(weir_label){name, value}, 1);

    memset(name, 'x', sizeof(name) - 1);
    memset(value, 'x', sizeof(value) - 1);

    cr_expect_str_eq(weir_context_get(context, "tenant"), "blue");
    weir_context_release(context);
}

Test(context, taking_away_a_label_that_is_not_there_changes_nothing)
{
    weir_context *const parent = derived(NULL, (weir_label[]){{"a", "1"}}, 1);
    weir_context *const child = derived(parent, (weir_label[]){{"b", NULL}}, 1);
    weir_context *const bare = derived(NULL, (weir_label[]){{"b", NULL}}, 1);

    cr_expect_str_eq(weir_context_get(child, "a"), "1");
    cr_expect_null(weir_context_get(child, "b"));
    cr_expect_null(weir_context_get(bare, "b"));
    weir_context_release(bare);
    weir_context_release(child);
    weir_context_release(parent);
}

Test(context, all_labels_can_be_taken_away)
{
    weir_context *const parent = derived(NULL, (weir_label[]){{"a", "1"}, {"b", "2"}}, 2);
    weir_context *const child = derived(parent, (weir_label[]){{"b", NULL}, {"a", NULL}}, 2);
    weir_context *const again = derived(child, (weir_label[]){{"c", "3"}}, 1);

    cr_expect_null(weir_context_get(child, "a"));
    cr_expect_null(weir_context_get(child, "b"));
    cr_expect_str_eq(trace_id_of(child), trace_id_of(parent));
    cr_expect_str_eq(weir_context_get(again, "c"), "3");
    weir_context_release(again);
    weir_context_release(child);
    weir_context_release(parent);
}

Test(context, a_retained_context_ends_with_its_last_reference)
{
    weir_context *const context = derived(NULL, (weir_label[]){{"a", "1"}}, 1);

    cr_expect_eq(weir_context_retain(context), context);
    weir_context_release(context);
    cr_expect_str_eq(weir_context_get(context, "a"), "1");
    weir_context_release(context);
}

Test(context, no_context_is_fine_everywhere)
{
    uint8_t trace_id[TRACE_DIGITS / 2];
    static const uint8_t zeroes[TRACE_DIGITS / 2];

    memset(trace_id, 1, sizeof(trace_id));
    wr_context_trace_id(NULL, trace_id);

    cr_expect_arr_eq(trace_id, zeroes, sizeof(zeroes));
    cr_expect_null(weir_context_retain(NULL));
    cr_expect_null(weir_context_get(NULL, WEIR_LABEL_TRACE_ID));
    cr_expect_eq(weir_context_left_ns(NULL), UINT64_MAX);
    cr_expect_eq(wr_context_deadline(NULL, 7, 5, true), 7U);
    weir_context_release(NULL);
}

/* ---- what is refused ---- */

Test(context, a_missing_argument_is_refused)
{
    const weir_label label = {"a", "1"};
    weir_context *context = NULL;

    cr_expect_eq(weir_context_derive(NULL, &label, 1, 0, NULL), WEIR_E_ARGUMENT);
    cr_expect_eq(weir_context_derive(NULL, NULL, 1, 0, &context), WEIR_E_ARGUMENT);
    cr_expect_null(context);
    context = derived(NULL, &label, 1);
    cr_expect_null(weir_context_get(context, NULL));
    weir_context_release(context);
}

Test(context, what_was_in_the_result_stays_there_on_failure)
{
    weir_context *const before = derived(NULL, NULL, 0);
    weir_context *result = before;

    cr_expect_eq(weir_context_derive(before, &(weir_label){"a b", "1"}, 1, 0, &result),
                 WEIR_E_ARGUMENT);

    cr_expect_eq(result, before);
    weir_context_release(before);
}

Test(context, a_name_has_1_to_64_letters_digits_and_three_marks)
{
    static const char *const bad[] = {NULL,  "",    " ",  "a b",        "a/b",
                                      "a=b", "a\n", "a:", "caf\xc3\xa9"};
    char name[NAME_MAX_LENGTH + 2];

    memset(name, 'n', sizeof(name));
    name[NAME_MAX_LENGTH + 1] = '\0';
    cr_expect_eq(status_of(name, "1"), WEIR_E_ARGUMENT);
    name[NAME_MAX_LENGTH] = '\0';
    cr_expect_eq(status_of(name, "1"), WEIR_OK);
    cr_expect_eq(status_of("a", "1"), WEIR_OK);
    cr_expect_eq(status_of("azAZ09_.-", "1"), WEIR_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        cr_expect_eq(status_of(bad[i], "1"), WEIR_E_ARGUMENT);
        cr_expect_eq(status_of(bad[i], NULL), WEIR_E_ARGUMENT);
    }
}

Test(context, a_value_has_at_most_256_bytes)
{
    char value[VALUE_MAX + 2];

    memset(value, 'v', sizeof(value));
    value[VALUE_MAX + 1] = '\0';
    cr_expect_eq(status_of("a", value), WEIR_E_TOO_LARGE);
    value[VALUE_MAX] = '\0';
    cr_expect_eq(status_of("a", value), WEIR_OK);
    cr_expect_eq(status_of("a", ""), WEIR_OK);
}

Test(context, a_value_has_no_control_characters)
{
    for (int character = 1; character <= UINT8_MAX; ++character) {
        const char value[] = {'v', (char)character, '\0'};
        const bool control = character < ' ' || character == 0x7f;

        cr_expect_eq(status_of("a", value), control ? WEIR_E_ARGUMENT : WEIR_OK, "byte %d",
                     character);
    }
}

Test(context, a_name_given_twice_is_refused)
{
    weir_context *context = NULL;

    cr_expect_eq(weir_context_derive(NULL, (weir_label[]){{"a", "1"}, {"b", "2"}, {"a", "1"}}, 3, 0,
                                     &context),
                 WEIR_E_ARGUMENT);
    cr_expect_eq(weir_context_derive(NULL, (weir_label[]){{"a", NULL}, {"a", "1"}}, 2, 0, &context),
                 WEIR_E_ARGUMENT);
    cr_expect_eq(weir_context_derive(NULL,
                                     (weir_label[]){{WEIR_LABEL_TRACE_ID, TRACE_ID},
                                                    {WEIR_LABEL_TRACE_ID, TRACE_ID}},
                                     2, 0, &context),
                 WEIR_E_ARGUMENT);
    cr_expect_null(context);
}

struct many {
    char names[WEIR_LABELS_MAX + 1][8];
    weir_label labels[WEIR_LABELS_MAX + 1];
};

static void many_fill(struct many *many, char prefix, const char *value)
{
    for (int i = 0; i <= WEIR_LABELS_MAX; ++i) {
        (void)snprintf(many->names[i], sizeof(many->names[i]), "%c%d", prefix, i);
        many->labels[i] = (weir_label){many->names[i], value};
    }
}

Test(context, a_context_has_at_most_64_labels)
{
    struct many many;
    weir_context *context = NULL;

    many_fill(&many, 'n', "1");
    cr_expect_eq(weir_context_derive(NULL, many.labels, WEIR_LABELS_MAX + 1, 0, &context),
                 WEIR_E_TOO_LARGE);
    cr_assert_null(context);

    context = derived(NULL, many.labels, WEIR_LABELS_MAX);

    for (int i = 0; i < WEIR_LABELS_MAX; ++i) {
        cr_expect_str_eq(weir_context_get(context, many.names[i]), "1");
    }
    weir_context_release(context);
}

Test(context, a_full_context_takes_no_label_more_but_another_instead)
{
    struct many many;
    weir_context *child = NULL;

    many_fill(&many, 'n', "1");
    weir_context *const full = derived(NULL, many.labels, WEIR_LABELS_MAX);

    cr_expect_eq(weir_context_derive(full, &(weir_label){"more", "1"}, 1, 0, &child),
                 WEIR_E_TOO_LARGE);
    cr_assert_null(child);
    child = derived(full, (weir_label[]){{"n0", "2"}, {WEIR_LABEL_TRACE_ID, TRACE_ID}}, 2);
    cr_expect_str_eq(weir_context_get(child, "n0"), "2");
    weir_context_release(child);
    child = derived(full, (weir_label[]){{"more", "1"}, {"n63", NULL}}, 2);
    cr_expect_str_eq(weir_context_get(child, "more"), "1");
    cr_expect_null(weir_context_get(child, "n63"));
    weir_context_release(child);
    weir_context_release(full);
}

Test(context, all_labels_and_the_trace_id_can_be_exchanged_at_once)
{
    struct many out;
    struct many in;
    weir_label edits[EDITS_MAX + 1];
    weir_context *child = NULL;

    many_fill(&out, 'o', "1");
    weir_context *const parent = derived(NULL, out.labels, WEIR_LABELS_MAX);
    many_fill(&out, 'o', NULL);
    many_fill(&in, 'i', "2");
    memcpy(edits, in.labels, WEIR_LABELS_MAX * sizeof(weir_label));
    memcpy(edits + WEIR_LABELS_MAX, out.labels, (WEIR_LABELS_MAX + 1) * sizeof(weir_label));
    edits[EDITS_MAX] = (weir_label){"nonesuch", NULL};
    cr_expect_eq(weir_context_derive(parent, edits, EDITS_MAX + 1, 0, &child), WEIR_E_TOO_LARGE);
    edits[EDITS_MAX - 1] = (weir_label){WEIR_LABEL_TRACE_ID, TRACE_ID};

    child = derived(parent, edits, EDITS_MAX);

    cr_expect_null(weir_context_get(child, "o0"));
    cr_expect_str_eq(weir_context_get(child, "i63"), "2");
    cr_expect_str_eq(trace_id_of(child), TRACE_ID);
    weir_context_release(child);
    weir_context_release(parent);
}

/* ---- trace ids ---- */

static bool is_trace_id(const char *text)
{
    return text != NULL && strlen(text) == TRACE_DIGITS &&
           strspn(text, "0123456789abcdef") == TRACE_DIGITS && strspn(text, "0") < TRACE_DIGITS;
}

Test(context, a_context_without_parent_has_a_trace_id_of_its_own)
{
    weir_context *const one = derived(NULL, NULL, 0);
    weir_context *const other = derived(NULL, NULL, 0);

    cr_expect(is_trace_id(trace_id_of(one)));
    cr_expect(is_trace_id(trace_id_of(other)));
    cr_expect_str_neq(trace_id_of(one), trace_id_of(other));
    weir_context_release(other);
    weir_context_release(one);
}

Test(context, a_child_keeps_the_trace_id_unless_it_is_given_another)
{
    weir_context *const parent = derived(NULL, NULL, 0);
    weir_context *const child = derived(parent, (weir_label[]){{"a", "1"}}, 1);
    weir_context *const other =
        derived(child, (weir_label[]){{"a", "2"}, {WEIR_LABEL_TRACE_ID, TRACE_ID}}, 2);
    weir_context *const grandchild = derived(other, NULL, 0);

    cr_expect_str_eq(trace_id_of(child), trace_id_of(parent));
    cr_expect_str_eq(trace_id_of(other), TRACE_ID);
    cr_expect_str_eq(trace_id_of(grandchild), TRACE_ID);
    weir_context_release(grandchild);
    weir_context_release(other);
    weir_context_release(child);
    weir_context_release(parent);
}

Test(context, a_trace_id_that_is_taken_away_gives_place_to_a_fresh_one)
{
    weir_context *const parent = derived(NULL, (weir_label[]){{WEIR_LABEL_TRACE_ID, TRACE_ID}}, 1);
    weir_context *const child = derived(parent, (weir_label[]){{WEIR_LABEL_TRACE_ID, NULL}}, 1);

    cr_expect(is_trace_id(trace_id_of(child)));
    cr_expect_str_neq(trace_id_of(child), TRACE_ID);
    weir_context_release(child);
    weir_context_release(parent);
}

Test(context, a_trace_id_is_the_same_in_bytes_and_in_text)
{
    weir_context *const given = derived(NULL, (weir_label[]){{WEIR_LABEL_TRACE_ID, TRACE_ID}}, 1);
    weir_context *const fresh = derived(NULL, NULL, 0);
    weir_context *const both[] = {given, fresh};

    for (int i = 0; i < 2; ++i) {
        uint8_t bytes[TRACE_DIGITS / 2];
        char text[TRACE_DIGITS + 1] = "";

        wr_context_trace_id(both[i], bytes);
        for (size_t at = 0; at < sizeof(bytes); ++at) {
            (void)snprintf(text + 2 * at, 3, "%02x", bytes[at]);
        }
        cr_expect_str_eq(text, trace_id_of(both[i]));
    }
    weir_context_release(fresh);
    weir_context_release(given);
}

Test(context, a_malformed_trace_id_is_refused)
{
    static const char *const bad[] = {"",
                                      "4bf92f3577b34da6a3ce929d0e0e473",
                                      "4bf92f3577b34da6a3ce929d0e0e47366",
                                      "4BF92F3577B34DA6A3CE929D0E0E4736",
                                      "4bf92f3577b34da6a3ce929d0e0e473g",
                                      "4bf92f35-77b34da6-a3ce929d0e0e47",
                                      "00000000000000000000000000000000"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        cr_expect_eq(status_of(WEIR_LABEL_TRACE_ID, bad[i]), WEIR_E_ARGUMENT, "%s", bad[i]);
    }
    cr_expect_eq(status_of(WEIR_LABEL_TRACE_ID, "00000000000000000000000000000001"), WEIR_OK);
    cr_expect_eq(status_of(WEIR_LABEL_TRACE_ID, "80000000000000000000000000000000"), WEIR_OK);
}

Test(context, a_process_and_its_child_make_different_trace_ids)
{
    char child_id[TRACE_DIGITS + 1] = "";
    int ends[2];
    int status = 0;

    cr_assert_eq(pipe(ends), 0);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        weir_context *made = NULL;
        const bool wrote = weir_context_derive(NULL, NULL, 0, 0, &made) == WEIR_OK &&
                           write(ends[1], trace_id_of(made), TRACE_DIGITS) == TRACE_DIGITS;

        _exit(wrote ? 0 : 1);
    }
    weir_context *const here = derived(NULL, NULL, 0);
    cr_assert_eq(read(ends[0], child_id, TRACE_DIGITS), TRACE_DIGITS);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0);
    cr_expect(is_trace_id(child_id));
    cr_expect_str_neq(child_id, trace_id_of(here));
    weir_context_release(here);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---- deadlines ---- */

Test(context, a_context_has_the_deadline_it_was_given)
{
    const uint64_t before = wr_system_now(NULL);
    weir_context *const context = derived_within(NULL, HOUR);
    const uint64_t after = wr_system_now(NULL);

    cr_expect_geq(deadline_of(context), before + HOUR);
    cr_expect_leq(deadline_of(context), after + HOUR);
    cr_expect_leq(weir_context_left_ns(context), HOUR);
    cr_expect_gt(weir_context_left_ns(context), 0U);
    weir_context_release(context);
}

Test(context, without_a_deadline_time_never_ends)
{
    weir_context *const context = derived(NULL, NULL, 0);
    weir_context *const endless = derived_within(NULL, UINT64_MAX);

    cr_expect_eq(weir_context_left_ns(context), UINT64_MAX);
    cr_expect_eq(weir_context_left_ns(endless), UINT64_MAX);
    cr_expect_eq(wr_context_deadline(context, 7, 5, true), 7U);
    cr_expect_eq(wr_context_deadline(context, 7, 5, false), 7U);
    cr_expect_eq(wr_context_deadline(context, UINT64_MAX, 5, false), UINT64_MAX);
    weir_context_release(endless);
    weir_context_release(context);
}

Test(context, a_child_has_the_earlier_of_its_parents_deadline_and_its_own)
{
    weir_context *const parent = derived_within(NULL, HOUR);
    weir_context *const same = derived_within(parent, 0);
    weir_context *const later = derived_within(parent, 2 * HOUR);
    weir_context *const earlier = derived_within(parent, HOUR / 2);

    cr_expect_eq(deadline_of(same), deadline_of(parent));
    cr_expect_eq(deadline_of(later), deadline_of(parent));
    cr_expect_lt(deadline_of(earlier), deadline_of(parent));
    weir_context_release(earlier);
    weir_context_release(later);
    weir_context_release(same);
    weir_context_release(parent);
}

Test(context, at_its_deadline_a_context_has_no_time_left)
{
    weir_context *const context = derived_within(NULL, 1);

    while (wr_system_now(NULL) < deadline_of(context)) {
    }

    cr_expect_eq(weir_context_left_ns(context), 0U);
    cr_expect_eq(wr_context_deadline(context, 1000, 100, false), 100U);
    weir_context_release(context);
}

Test(context, a_call_has_the_earlier_of_its_deadline_and_the_contexts)
{
    weir_context *const context = derived_within(NULL, HOUR);
    const uint64_t deadline = deadline_of(context);

    cr_expect_eq(wr_context_deadline(context, deadline + 1, 0, true), deadline);
    cr_expect_eq(wr_context_deadline(context, deadline - 1, 0, true), deadline - 1);
    weir_context_release(context);
}

Test(context, on_another_clock_the_time_left_is_carried_over)
{
    const uint64_t now = 5;
    weir_context *const context = derived_within(NULL, HOUR);
    const uint64_t carried = wr_context_deadline(context, UINT64_MAX, now, false);

    cr_expect_gt(carried, now);
    cr_expect_leq(carried, now + HOUR);
    cr_expect_eq(wr_context_deadline(context, now + 1, now, false), now + 1);
    weir_context_release(context);
}
