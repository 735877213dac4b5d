/*
 * In-structs of any version: an older caller's is completed with zeroes, a newer caller's is taken
 * if its unknown tail is zero, anything else is refused with a message that names the fix.
 */
#include "support/harness.h"

#include "base/options.h"

#include <string.h>

struct first_version {
    size_t size;
    uint64_t a;
};

struct known_version {
    size_t size;
    uint64_t a;
    uint64_t b;
};

struct newer_version {
    size_t size;
    uint64_t a;
    uint64_t b;
    uint64_t c;
};

static weir_status copied(struct known_version *target, const void *source, weir_error *error)
{
    return wr_options_copy(target, sizeof(*target), sizeof(struct first_version), source,
                           "weir_thing", error);
}

Test(options, a_struct_of_this_version_is_copied)
{
    const struct known_version source = {WEIR_SIZED(struct known_version), .a = 1, .b = 2};
    struct known_version target = {0};

    cr_assert_eq(copied(&target, &source, NULL), WEIR_OK);

    cr_assert_eq(target.a, 1U);
    cr_assert_eq(target.b, 2U);
}

Test(options, an_older_callers_struct_is_completed_with_zeroes)
{
    const struct first_version source = {WEIR_SIZED(struct first_version), .a = 1};
    struct known_version target;

    memset(&target, 0xff, sizeof(target));

    cr_assert_eq(copied(&target, &source, NULL), WEIR_OK);

    cr_assert_eq(target.a, 1U);
    cr_assert_eq(target.b, 0U);
}

Test(options, a_newer_callers_struct_is_taken_if_its_unknown_tail_is_zero)
{
    const struct newer_version source = {WEIR_SIZED(struct newer_version), .a = 1, .b = 2};
    struct {
        struct known_version known;
        uint64_t guard;
    } target = {.guard = 7};

    cr_assert_eq(copied(&target.known, &source, NULL), WEIR_OK);

    cr_assert_eq(target.known.b, 2U);
    cr_assert_eq(target.guard, 7U);
}

Test(options, a_newer_callers_struct_is_refused_if_any_byte_of_its_tail_is_set)
{
    for (size_t at = sizeof(struct known_version); at < sizeof(struct newer_version); ++at) {
        struct newer_version source = {WEIR_SIZED(struct newer_version)};
        struct known_version target = {.b = 5};
        weir_error error;

        ((unsigned char *)&source)[at] = 1;

        cr_assert_eq(copied(&target, &source, &error), WEIR_E_SIZE, "byte %zu", at);

        cr_assert_eq(error.status, WEIR_E_SIZE);
        cr_assert_not_null(strstr(error.message, "weir_thing"));
        cr_assert_not_null(strstr(error.message, WEIR_VERSION));
        cr_assert_eq(target.b, 5U);
    }
}

Test(options, a_size_that_is_no_size_is_refused_and_the_target_left_alone)
{
    static const size_t hostile[] = {
        0, 1, sizeof(struct first_version) - 1, 4097, SIZE_MAX / 2, SIZE_MAX};

    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); ++i) {
        struct known_version source = {.size = hostile[i], .a = 1};
        struct known_version target = {.a = 5};
        weir_error error;

        cr_assert_eq(copied(&target, &source, &error), WEIR_E_SIZE, "size %zu", hostile[i]);

        cr_assert_eq(error.status, WEIR_E_SIZE);
        cr_assert_not_null(strstr(error.message, "WEIR_SIZED(weir_thing)"));
        cr_assert_eq(target.a, 5U);
    }
}

Test(options, the_largest_sane_struct_is_read_to_its_end)
{
    union {
        struct known_version known;
        unsigned char bytes[4096];
    } source = {.known = {.size = 4096, .a = 3}};
    struct known_version target = {0};

    cr_assert_eq(copied(&target, &source, NULL), WEIR_OK);
    source.bytes[4095] = 1;
    cr_assert_eq(copied(&target, &source, NULL), WEIR_E_SIZE);
}

Test(options, an_error_may_be_null)
{
    const struct known_version source = {.size = 0};
    struct known_version target;

    cr_assert_eq(copied(&target, &source, NULL), WEIR_E_SIZE);
}
