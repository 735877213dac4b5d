/*
 * Settings of thread isolation: which belong together, which change only with a restart, how large
 * the values may be.
 */
#include "support/pool_world.h"

/* Creation with these settings and commands fails and says `part`; nothing is left behind. */
static void expect_refused(const weir_dependency_options *options, weir_status status,
                           const char *part)
{
    struct world world;
    weir_dependency *dependency = NULL;

    world_open_empty(&world);
    cr_expect_eq(weir_dependency_create(world.runtime, "pay", options, &dependency, &world.error),
                 status);
    cr_expect(world_says(&world, part), "no \"%s\" in: %s", part, world.error.message);
    cr_expect_null(weir_dependency_find(world.runtime, "pay"));
    world_close(&world);
}

static void expect_settings_refused(const char *settings, const char *part)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings};

    expect_refused(&options, WEIR_E_CONFIG, part);
}

/* ---- keys of an isolation ---- */

Test(pool_settings, keys_of_the_pool_are_refused_inline_and_the_message_says_what_to_remove)
{
    static const struct {
        const char *settings, *part;
    } rows[] = {{"threads: 3", "threads is for isolation thread, this is inline: remove it"},
                {"queue: 3", "queue is for isolation thread"},
                {"completions: 3", "completions is for isolation thread"},
                {"cell_size: 1KiB", "cell_size is for isolation thread"},
                {"stack_size: 1MiB", "stack_size is for isolation thread"},
                {"abandoned_max: 3", "abandoned_max is for isolation thread"},
                {"replace_abandoned: 3", "replace_abandoned is for isolation thread"},
                {"worker_retry: 1s", "worker_retry is for isolation thread"},
                {"cancel_signal: 10", "cancel_signal is for isolation thread"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        expect_settings_refused(rows[i].settings, rows[i].part);
    }
}

Test(pool_settings, max_concurrent_is_refused_with_a_pool_and_the_message_says_what_to_give)
{
    expect_settings_refused("isolation: thread, max_concurrent: 20",
                            "max_concurrent is for isolation inline, this is thread: remove it and "
                            "give threads and queue");
}

Test(pool_settings, a_lease_of_permits_is_refused_with_a_pool)
{
    expect_settings_refused("isolation: thread, permit_lease: 1s",
                            "permit_lease is for isolation inline");
}

Test(pool_settings, as_a_default_a_key_of_the_other_isolation_just_does_not_apply)
{
    const weir_setting defaults[] = {{.key = "max_concurrent", .value = "1"},
                                     {.key = "threads", .value = "3"},
                                     {.key = "queue", .value = "0"}};
    struct world world;
    weir_dependency *inline_one;

    world_open_empty(&world);
    cr_assert_eq(weir_runtime_apply(world.runtime, defaults, 3, &world.error), WEIR_OK);
    world.dependency = world_add(&world, "pay", "isolation: thread");
    inline_one = world_add(&world, "other", NULL);
    cr_assert_eq(world_count(&world, WEIR_COUNT_LIMIT), 3U);
    cr_assert_eq(count_of(inline_one, WEIR_COUNT_LIMIT), 1U);
    pool_close(&world);
}

Test(pool_settings, values_out_of_range_are_refused)
{
    expect_settings_refused("isolation: thread, threads: 0", "threads");
    expect_settings_refused("isolation: thread, threads: 4097", "threads");
    expect_settings_refused("isolation: process", "isolation");
    expect_settings_refused("isolation: thread, abandoned_max: 0", "abandoned_max");
    expect_settings_refused("isolation: thread, cell_size: 17MiB", "cell_size");
    expect_settings_refused("isolation: thread, cell_size: 512", "cell_size");
    expect_settings_refused("isolation: thread, stack_size: 1KiB", "stack_size is below 64KiB");
    expect_settings_refused("isolation: thread, cancel_signal: 9", "cancel_signal 9");
}

/* ---- live ---- */

Test(pool_settings, what_only_a_restart_can_change_is_refused_live_and_nothing_changes)
{
    static const struct {
        const char *key, *value;
    } rows[] = {{"isolation", "inline"},
                {"cell_size", "1KiB"},
                {"stack_size", "1MiB"},
                {"cancel_signal", "10"}};
    struct world world;

    pool_open(&world, "threads: 1");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        cr_expect_eq(world_set(&world, rows[i].key, rows[i].value), WEIR_E_CONFIG);
        cr_expect(world_says(&world, rows[i].key));
        if (strcmp(rows[i].key, "isolation") != 0) {
            cr_expect(world_says(&world, "restart"));
        }
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_RELOADS), 0U);
    cr_expect_eq(world_try(&world), WEIR_OK);
    pool_close(&world);
}

Test(pool_settings, isolation_cannot_change_while_live)
{
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(world_set(&world, "isolation", "thread"), WEIR_E_CONFIG);
    cr_assert(world_says(&world, "isolation cannot change while live: restart the service"));
    cr_assert_eq(begin_status(world.dependency), WEIR_OK);
    world_close(&world);
}

Test(pool_settings, a_refused_change_starts_no_thread)
{
    const weir_setting settings[] = {{.dependency = "pay", .key = "threads", .value = "7"},
                                     {.dependency = "pay", .key = "cell_size", .value = "1KiB"}};
    struct world world;

    pool_open(&world, "threads: 2");
    cr_expect_eq(weir_runtime_apply(world.runtime, settings, 2, &world.error), WEIR_E_CONFIG);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 2U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_LIMIT), 12U);
    pool_close(&world);
}

/* ---- room for values ---- */

/* Sums its bytes and gives as many back. */
static int bytes_run(weir_call *call, const void *argument, void *result)
{
    size_t count;

    (void)call;
    memcpy(&count, argument, sizeof(count));
    memset(result, 0x5a, count);
    return 0;
}

static weir_command bytes_command(size_t argument_max, size_t result_max)
{
    return (weir_command){WEIR_SIZED(weir_command),  .name = "bytes",
                          .isolations = WEIR_THREAD, .argument_max = argument_max,
                          .result_max = result_max,  .run = bytes_run};
}

static weir_status execute_bytes(weir_dependency *dependency, const weir_command *command)
{
    static unsigned char argument[65536];
    static unsigned char result[65536];
    const weir_request request = {WEIR_SIZED(weir_request), .argument = argument,
                                  .argument_size = command->argument_max, .result = result};
    weir_status status;

    memcpy(argument, &command->result_max, sizeof(size_t));
    memset(result, 0, sizeof(result));
    status = weir_execute(dependency, command, &request, NULL);
    for (size_t i = 0; i < sizeof(result); ++i) {
        cr_expect_eq(result[i], status == WEIR_OK && i < command->result_max ? 0x5a : 0);
    }
    return status;
}

Test(pool_settings, values_of_512_bytes_fit_unless_another_size_is_set)
{
    const weir_command fits = bytes_command(256, 256);
    const weir_command too_large = bytes_command(256, 272);
    struct world world;

    pool_open(&world, "");
    cr_assert_eq(execute_bytes(world.dependency, &fits), WEIR_OK);
    cr_assert_eq(execute_bytes(world.dependency, &too_large), WEIR_E_TOO_LARGE);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_SUBMITTED), 1U);
    pool_close(&world);
}

Test(pool_settings, cell_size_raises_the_room)
{
    const weir_command command = bytes_command(8192, 8192);
    struct world world;

    pool_open(&world, "cell_size: 16KiB");
    cr_assert_eq(execute_bytes(world.dependency, &command), WEIR_OK);
    pool_close(&world);
}

Test(pool_settings, commands_given_at_creation_raise_the_room)
{
    const weir_command small = bytes_command(16, 16);
    const weir_command large = bytes_command(60000, 40000);
    const weir_command larger = bytes_command(60000, 50000);
    const weir_command *const commands[] = {&small, &large};
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = "isolation: thread, completions: 4",
                                             .commands = commands, .command_count = 2};
    struct world world;

    world_open_empty(&world);
    cr_assert_eq(
        weir_dependency_create(world.runtime, "pay", &options, &world.dependency, &world.error),
        WEIR_OK);
    cr_assert_eq(execute_bytes(world.dependency, &small), WEIR_OK);
    cr_assert_eq(execute_bytes(world.dependency, &large), WEIR_OK);
    cr_assert_eq(execute_bytes(world.dependency, &larger), WEIR_E_TOO_LARGE);
    pool_close(&world);
}

Test(pool_settings, without_room_for_values_a_command_without_values_still_runs)
{
    const weir_command values = bytes_command(8, 8);
    struct world world;

    pool_open(&world, "cell_size: 0B");
    cr_assert_eq(execute_bytes(world.dependency, &values), WEIR_E_TOO_LARGE);
    pool_close(&world);
}

Test(pool_settings, larger_cells_are_counted_in_the_memory)
{
    struct world world;
    uint64_t small;

    pool_open(&world, "threads: 1, queue: 0, completions: 9");
    small = world_count(&world, WEIR_COUNT_BYTES);
    pool_close(&world);
    pool_open(&world, "threads: 1, queue: 0, completions: 9, cell_size: 64KiB");
    cr_assert_geq(world_count(&world, WEIR_COUNT_BYTES), small + 10UL * (65536U - 512U));
    pool_close(&world);
}

Test(pool_settings, a_command_that_forbids_the_isolation_is_named_at_creation)
{
    weir_command command = *task_command();
    const weir_command *const commands[] = {&command};
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = "isolation: thread", .commands = commands,
                                             .command_count = 1};

    command.isolations = WEIR_INLINE;
    expect_refused(&options, WEIR_E_CONFIG, "command task was not written for isolation thread");
}
