/*
 * Making and ending runtimes and dependencies: names, sizes, NULLs, what is left after a failure.
 */
#include "support/world.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static weir_status create_runtime(const weir_runtime_options *options, weir_error *error)
{
    weir_runtime *runtime = NULL;
    const weir_status status = weir_runtime_create(options, &runtime, error);

    weir_runtime_destroy(runtime);
    return status;
}

static weir_status create_named(struct world *world, const char *name)
{
    weir_dependency *dependency = NULL;

    return weir_dependency_create(world->runtime, name, NULL, &dependency, &world->error);
}

static weir_status create_with(struct world *world, const char *settings)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings};
    weir_dependency *dependency = NULL;
    const weir_status status =
        weir_dependency_create(world->runtime, "db", &options, &dependency, &world->error);

    cr_expect(status == WEIR_OK || dependency == NULL);
    return status;
}

/* ---- the runtime ---- */

Test(create, a_runtime_needs_no_options)
{
    cr_assert_eq(create_runtime(NULL, NULL), WEIR_OK);
}

Test(create, a_runtime_without_a_place_for_it_is_a_usage_error)
{
    weir_error error;

    cr_assert_eq(weir_runtime_create(NULL, NULL, &error), WEIR_E_ARGUMENT);
    cr_assert_eq(error.status, WEIR_E_ARGUMENT);
    cr_assert_not_null(strstr(error.message, "ret_runtime"));
}

Test(create, runtime_options_of_any_wrong_size_are_refused_and_the_message_names_the_fix)
{
    static const size_t sizes[] = {0, 1, 8, sizeof(weir_runtime_options) - 1, 1U << 20U, SIZE_MAX};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
        const weir_runtime_options options = {.size = sizes[i]};
        weir_error error;

        cr_assert_eq(create_runtime(&options, &error), WEIR_E_SIZE, "size %zu", sizes[i]);
        cr_assert_eq(error.status, WEIR_E_SIZE);
        cr_assert_not_null(strstr(error.message, "WEIR_SIZED(weir_runtime_options)"));
    }
}

struct newer_runtime_options {
    weir_runtime_options known;
    unsigned char tail[64];
};

Test(create, newer_runtime_options_are_accepted_while_their_tail_is_zero)
{
    struct newer_runtime_options options = {.known = {.size = sizeof(options)}};
    weir_error error;

    cr_assert_eq(create_runtime(&options.known, &error), WEIR_OK);
    options.tail[63] = 1;
    cr_assert_eq(create_runtime(&options.known, &error), WEIR_E_SIZE);
    cr_assert_not_null(strstr(error.message, "newer weir"));
}

static uint64_t no_time(void *user)
{
    (void)user;
    return 0;
}

Test(create, a_clock_without_all_its_functions_is_refused)
{
    const weir_clock clock = {WEIR_SIZED(weir_clock), .now = no_time};
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options), .clock = &clock};
    weir_error error;

    cr_assert_eq(create_runtime(&options, &error), WEIR_E_ARGUMENT);
    cr_assert_not_null(strstr(error.message, "give now, wait and wake"));
}

Test(create, a_random_table_without_its_function_is_refused)
{
    const weir_random random = {WEIR_SIZED(weir_random)};
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options), .random = &random};
    weir_error error;

    cr_assert_eq(create_runtime(&options, &error), WEIR_E_ARGUMENT);
    cr_assert_not_null(strstr(error.message, "give next"));
}

Test(create, an_allocator_without_all_its_functions_is_refused)
{
    const weir_allocator allocator = {WEIR_SIZED(weir_allocator)};
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options),
                                          .allocator = &allocator};
    weir_error error;

    cr_assert_eq(create_runtime(&options, &error), WEIR_E_ARGUMENT);
    cr_assert_not_null(strstr(error.message, "give allocate and release"));
}

Test(create, ops_tables_of_wrong_sizes_are_refused)
{
    const weir_clock clock = {.size = 3};
    const weir_random random = {.size = 1U << 20U};
    const weir_allocator allocator = {.size = 0};
    const weir_runtime_options options[] = {
        {WEIR_SIZED(weir_runtime_options), .clock = &clock},
        {WEIR_SIZED(weir_runtime_options), .random = &random},
        {WEIR_SIZED(weir_runtime_options), .allocator = &allocator}};
    static const char *const names[] = {"weir_clock", "weir_random", "weir_allocator"};

    for (size_t i = 0; i < 3; ++i) {
        weir_error error;

        cr_assert_eq(create_runtime(&options[i], &error), WEIR_E_SIZE);
        cr_assert_not_null(strstr(error.message, names[i]));
    }
}

Test(create, an_error_is_optional_everywhere)
{
    const weir_runtime_options options = {.size = 1};
    weir_runtime *runtime = NULL;
    weir_dependency *dependency = NULL;

    cr_assert_eq(weir_runtime_create(&options, &runtime, NULL), WEIR_E_SIZE);
    cr_assert_eq(weir_runtime_create(NULL, &runtime, NULL), WEIR_OK);
    cr_assert_eq(weir_dependency_create(runtime, "no good", NULL, &dependency, NULL),
                 WEIR_E_ARGUMENT);
    cr_assert_eq(weir_runtime_apply(runtime, &(weir_setting){.key = "no"}, 1, NULL), WEIR_E_CONFIG);
    cr_assert_eq(weir_runtime_check(NULL, NULL), WEIR_E_ARGUMENT);
    weir_runtime_destroy(runtime);
}

Test(create, destroying_nothing_is_fine)
{
    weir_runtime_destroy(NULL);
}

Test(create, several_runtimes_are_independent_of_each_other)
{
    struct world one;
    struct world two;

    world_open(&one, "max_concurrent: 1");
    world_open(&two, "max_concurrent: 2");
    weir_permit permit = begin_one(one.dependency);

    cr_assert_eq(begin_status(one.dependency), WEIR_BULKHEAD);
    cr_assert_eq(begin_status(two.dependency), WEIR_OK);
    cr_assert_eq(world_count(&two, WEIR_COUNT_LIMIT), 2U);
    cr_assert_eq(world_count(&two, WEIR_COUNT_CALLS_SUBMITTED), 1U);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&one);
    cr_assert_eq(begin_status(two.dependency), WEIR_OK);
    world_close(&two);
}

Test(create, a_permit_that_is_still_out_keeps_its_dependency_so_that_a_late_end_is_harmless)
{
    static weir_permit permit; /* keeps what it points to findable for leak checkers */
    weir_runtime *runtime = NULL;
    weir_dependency *dependency = NULL;

    cr_assert_eq(weir_runtime_create(NULL, &runtime, NULL), WEIR_OK);
    cr_assert_eq(weir_dependency_create(runtime, "pay", NULL, &dependency, NULL), WEIR_OK);
    permit = begin_one(dependency);
    static weir_permit copy;
    copy = permit;
    static weir_dependency *kept; /* the same for what both ends have zeroed */
    kept = dependency;
    weir_runtime_destroy(runtime);

    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_assert_eq(weir_end(&copy, WEIR_V_OK, 0), WEIR_E_STALE);
    cr_assert_not_null(kept);
}

/* ---- dependencies ---- */

Test(create, a_dependency_needs_a_runtime_a_name_and_a_place)
{
    struct world world;
    weir_dependency *dependency = NULL;

    world_open_empty(&world);
    cr_assert_eq(weir_dependency_create(NULL, "a", NULL, &dependency, &world.error),
                 WEIR_E_ARGUMENT);
    cr_assert_eq(weir_dependency_create(world.runtime, NULL, NULL, &dependency, &world.error),
                 WEIR_E_ARGUMENT);
    cr_assert_eq(weir_dependency_create(world.runtime, "a", NULL, NULL, &world.error),
                 WEIR_E_ARGUMENT);
    cr_assert(world_says(&world, "give a runtime, a name and ret_dependency"));
    cr_assert_null(dependency);
    world_close(&world);
}

Test(create, a_name_is_1_to_64_letters_digits_and_three_signs)
{
    static const char *const hostile[] = {
        "",
        " ",
        "a b",
        "a\"b",
        "a\nb",
        "a/b",
        "a{b}",
        "\xc3\xa4",
        "a\\b",
        "a:b",
        "a,b",
        "%s%n",
        "12345678901234567890123456789012345678901234567890123456789012345",
        "_other"};
    struct world world;

    world_open_empty(&world);
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); ++i) {
        cr_assert_eq(create_named(&world, hostile[i]), WEIR_E_ARGUMENT, "%s", hostile[i]);
        cr_assert(world_says(&world, "1 to 64 of A-Z a-z 0-9 _ . -"));
    }
    world_close(&world);
}

Test(create, names_of_one_and_of_64_bytes_and_of_every_sign_are_fine)
{
    static const char *const names[] = {
        "a", "1234567890123456789012345678901234567890123456789012345678901234", "AZaz09_.-", "-",
        "."};
    struct world world;

    world_open_empty(&world);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        cr_assert_eq(create_named(&world, names[i]), WEIR_OK);
        cr_assert_str_eq(weir_dependency_name(weir_dependency_find(world.runtime, names[i])),
                         names[i]);
    }
    world_close(&world);
}

Test(create, a_name_in_use_is_refused_and_the_first_stays)
{
    struct world world;

    world_open(&world, "max_concurrent: 3");
    cr_assert_eq(create_named(&world, "pay"), WEIR_E_ARGUMENT);
    cr_assert(world_says(&world, "weir_dependency_find()"));
    cr_assert_eq(weir_dependency_find(world.runtime, "pay"), world.dependency);
    cr_assert_eq(world_count(&world, WEIR_COUNT_LIMIT), 3U);
    world_close(&world);
}

Test(create, dependency_options_of_any_wrong_size_are_refused)
{
    static const size_t sizes[] = {0, 7, sizeof(weir_dependency_options) - 1, 1U << 20U};
    struct world world;

    world_open_empty(&world);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
        const weir_dependency_options options = {.size = sizes[i]};
        weir_dependency *dependency = NULL;

        cr_assert_eq(
            weir_dependency_create(world.runtime, "db", &options, &dependency, &world.error),
            WEIR_E_SIZE);
        cr_assert(world_says(&world, "WEIR_SIZED(weir_dependency_options)"));
        cr_assert_null(dependency);
    }
    cr_assert_null(weir_dependency_find(world.runtime, "db"));
    world_close(&world);
}

Test(create, newer_dependency_options_are_accepted_while_their_tail_is_zero)
{
    struct {
        weir_dependency_options known;
        unsigned char tail[32];
    } options = {.known = {.size = sizeof(options)}};
    struct world world;
    weir_dependency *dependency = NULL;

    world_open_empty(&world);
    options.tail[0] = 7;
    cr_assert_eq(
        weir_dependency_create(world.runtime, "db", &options.known, &dependency, &world.error),
        WEIR_E_SIZE);
    options.tail[0] = 0;
    cr_assert_eq(
        weir_dependency_create(world.runtime, "db", &options.known, &dependency, &world.error),
        WEIR_OK);
    world_close(&world);
}

Test(create, bad_settings_are_refused_with_a_message_that_names_the_fix)
{
    static const struct {
        const char *settings, *says;
    } bad[] = {
        {"max_concurent: 5", "did you mean max_concurrent?"},
        {"open_for: 5s", "did you mean breaker.open_for?"},
        {"completely_else: 5s", "unknown key \"completely_else\""},
        {"max_concurrent", "key: value"},
        {"max_concurrent:", "key: value"},
        {": 5", "key: value"},
        {",", "key: value"},
        {"max_concurrent: 1,,timeout: 1s", "key: value"},
        {"max_concurrent: 1, max_concurrent: 2", "given twice"},
        {"timeout: 5", "timeout: \"5\" is not one: give duration"},
        {"timeout: 5 s", "give duration"},
        {"timeout: -5s", "give duration"},
        {"timeout: 25h", "out of range: give 0ms to 24h"},
        {"timeout: 99999999999999999999s", "give duration"},
        {"max_concurrent: 1000001", "give 0 to 1000000"},
        {"max_concurrent: 18446744073709551616", "whole number"},
        {"max_concurrent: 1.5", "whole number"},
        {"max_concurrent: 5s", "whole number"},
        {"breaker.failure_rate: 50", "percent"},
        {"breaker.failure_rate: 101%", "out of range"},
        {"breaker.failure_rate: 0%", "out of range"},
        {"breaker.open_backoff: 0.5", "out of range"},
        {"rate_limit.rate: 100", "rate (100/s"},
        {"rate_limit.rate: 1000001/s", "above 1000000/s"},
        {"rate_limit.rate: 99999999999999999999/s", "rate (100/s"},
        {"rate_limit.burst: 0", "give 1 to 1000000"},
        {"mode: maybe", "give on, observe, off"},
        {"isolation: green", "give inline, thread"},
        {"breaker: yes", "on or off"},
        {"breaker.window.span: 10s, breaker.window.buckets: 7", "no multiple"},
        {"breaker.trial_calls: 2, breaker.trial_successes: 3", "at most trial_calls"},
        {"rate_limit.mode: window, rate_limit.rate: 0.5/s", "whole rate_limit.rate"},
        {"rate_limit.rate: 0.001/h, rate_limit.burst: 1000000", "lower it"},
    };
    struct world world;

    world_open_empty(&world);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        cr_expect_eq(create_with(&world, bad[i].settings), WEIR_E_CONFIG, "%s", bad[i].settings);
        cr_expect_eq(world.error.status, WEIR_E_CONFIG);
        cr_expect(world_says(&world, bad[i].says), "%s", world.error.message);
        cr_expect_null(weir_dependency_find(world.runtime, "db"));
    }
    world_close(&world);
}

Test(create, settings_may_be_empty_or_written_over_lines)
{
    static const char *const settings[] = {"", " ", "\n", " max_concurrent:1 ,\n\ttimeout:  2s,"};
    struct world world;

    world_open_empty(&world);
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); ++i) {
        char name[8] = "d0";

        name[1] = (char)('0' + i);
        cr_assert_eq(count_of(world_add(&world, name, settings[i]), WEIR_COUNT_LIMIT),
                     i == 3 ? 1U : 1024U);
    }
    world_close(&world);
}

Test(create, settings_as_long_as_a_page_are_refused_in_bounds)
{
    static char settings[5000];
    struct world world;

    memset(settings, 'x', sizeof(settings) - 1);
    world_open_empty(&world);
    cr_assert_eq(create_with(&world, settings), WEIR_E_CONFIG);
    settings[7] = ':';
    cr_assert_eq(create_with(&world, settings), WEIR_E_CONFIG);
    world_close(&world);
}

Test(create, absent_is_the_default_and_zero_is_zero)
{
    struct world world;

    world_open(&world, "max_concurrent: 0");
    weir_dependency *const other = world_add(&world, "other", NULL);

    cr_assert_eq(begin_status(world.dependency), WEIR_BULKHEAD);
    cr_assert_eq(count_of(other, WEIR_COUNT_LIMIT), 1024U);
    world_close(&world);
}

Test(create, a_command_that_forbids_the_isolation_is_named)
{
    weir_command command = *obey();
    const weir_command *const commands[] = {obey(), &command};
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .commands = commands, .command_count = 2};
    weir_dependency *dependency = NULL;
    struct world world;

    command.isolations = 0x80;
    command.name = "fetch_invoice";
    world_open_empty(&world);
    cr_assert_eq(weir_dependency_create(world.runtime, "db", &options, &dependency, &world.error),
                 WEIR_E_CONFIG);
    cr_assert(world_says(&world, "fetch_invoice"));
    cr_assert(world_says(&world, "add it to its isolations"));
    cr_assert_null(weir_dependency_find(world.runtime, "db"));
    world_close(&world);
}

Test(create, a_list_of_commands_with_a_hole_is_refused)
{
    const weir_command *const commands[] = {NULL};
    weir_dependency_options options = {WEIR_SIZED(weir_dependency_options), .commands = commands,
                                       .command_count = 1};
    weir_dependency *dependency = NULL;
    struct world world;

    world_open_empty(&world);
    cr_assert_eq(weir_dependency_create(world.runtime, "db", &options, &dependency, &world.error),
                 WEIR_E_ARGUMENT);
    cr_assert(world_says(&world, "commands[0]"));
    options.commands = NULL;
    cr_assert_eq(weir_dependency_create(world.runtime, "db", &options, &dependency, &world.error),
                 WEIR_E_ARGUMENT);
    cr_assert(world_says(&world, "command_count without commands"));
    world_close(&world);
}

Test(create, a_command_of_a_wrong_size_is_refused_at_creation)
{
    static const size_t sizes[] = {0, 8, sizeof(weir_command) - 1, 1U << 20U};
    struct world world;

    world_open_empty(&world);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
        weir_command command = *obey();
        const weir_command *const commands[] = {&command};
        const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                                 .commands = commands, .command_count = 1};
        weir_dependency *dependency = NULL;

        command.size = sizes[i];
        cr_expect_lt(
            weir_dependency_create(world.runtime, "db", &options, &dependency, &world.error), 0,
            "size %zu", sizes[i]);
    }
    world_close(&world);
}

/* ---- find ---- */

Test(create, find_knows_what_was_created_and_nothing_else)
{
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(weir_dependency_find(world.runtime, "pay"), world.dependency);
    cr_assert_null(weir_dependency_find(world.runtime, "pa"));
    cr_assert_null(weir_dependency_find(world.runtime, ""));
    cr_assert_null(weir_dependency_find(world.runtime, NULL));
    cr_assert_null(weir_dependency_find(NULL, "pay"));
    cr_assert_null(weir_dependency_name(NULL));
    world_close(&world);
}

Test(create, past_1024_names_all_share_one_dependency_made_with_the_first_ones_options)
{
    const weir_dependency_options first = {WEIR_SIZED(weir_dependency_options),
                                           .settings = "max_concurrent: 7"};
    weir_dependency *overflow[3] = {NULL};
    char name[16];
    struct world world;

    world_open_empty(&world);
    const weir_setting small = {.key = "max_concurrent", .value = "1"};
    cr_assert_eq(weir_runtime_apply(world.runtime, &small, 1, NULL), WEIR_OK);
    for (int i = 0; i < 1024; ++i) {
        (void)snprintf(name, sizeof(name), "d%d", i);
        (void)world_add(&world, name, NULL);
    }
    cr_assert_null(weir_dependency_find(world.runtime, "_other"));
    for (int i = 0; i < 3; ++i) {
        (void)snprintf(name, sizeof(name), "more%d", i);
        cr_assert_eq(weir_dependency_create(world.runtime, name, i == 0 ? &first : NULL,
                                            &overflow[i], &world.error),
                     WEIR_OK);
    }
    cr_assert_str_eq(weir_dependency_name(overflow[0]), "_other");
    cr_assert_eq(overflow[1], overflow[0]);
    cr_assert_eq(overflow[2], overflow[0]);
    cr_assert_eq(count_of(overflow[2], WEIR_COUNT_LIMIT), 7U);
    cr_assert_eq(weir_dependency_find(world.runtime, "_other"), overflow[0]);
    cr_assert_eq(create_named(&world, "d5"), WEIR_E_ARGUMENT);
    world_close(&world);
}

/* ---- fork ---- */

/* The child's verdict is its exit code: 0, or the step that went wrong. */
static int child_of(struct world *world, weir_permit *permit)
{
    if (world_call(world, WEIR_V_OK) != WEIR_OK) {
        return 1;
    }
    if (weir_end(permit, WEIR_V_OK, 0) != WEIR_OK) {
        return 2;
    }
    if (world_set(world, "max_concurrent", "5") != WEIR_OK) {
        return 3;
    }
    if (world_count(world, WEIR_COUNT_LIMIT) != 5) {
        return 4;
    }
    if (weir_runtime_check(world->runtime, NULL) != WEIR_OK) {
        return 5;
    }
    (void)world_add(world, "child", NULL);
    weir_runtime_destroy(world->runtime);
    return world->memory.live == 0 ? 0 : 6;
}

Test(create, a_runtime_made_before_fork_works_in_the_child)
{
    struct world world;
    int status = -1;

    world_open(&world, "max_concurrent: 2");
    weir_permit permit = begin_one(world.dependency);
    const pid_t child = fork();

    if (child == 0) {
        _exit(child_of(&world, &permit));
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 0);
    cr_assert_eq(world_count(&world, WEIR_COUNT_LIMIT), 2U);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}
