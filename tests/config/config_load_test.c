/*
 * From a file on disk to the settings of live dependencies.
 */
#include "support/harness.h"

#include "command/state.h"

#include <weir/config.h>
#include <weir/testing.h>

#include <stdio.h>
#include <string.h>

static weir_config *parse(const char *text)
{
    weir_config *config = NULL;
    weir_error error = {.message = ""};

    cr_assert_eq(weir_config_parse("test.yaml", text, strlen(text), &config, &error), WEIR_OK, "%s",
                 error.message);
    return config;
}

static weir_runtime *create(const weir_allocator *allocator)
{
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options), .allocator = allocator,
                                          .seed = 1};
    weir_runtime *runtime = NULL;

    cr_assert_eq(weir_runtime_create(&options, &runtime, NULL), WEIR_OK);
    return runtime;
}

/* The value in force of a dependency that exists. */
static uint64_t value_of(weir_runtime *runtime, const char *name, enum wr_key key)
{
    weir_dependency *const dependency = weir_dependency_find(runtime, name);

    cr_assert_not_null(dependency, "no dependency %s", name);
    return wr_plan_of(dependency)->value[key];
}

Test(config_load, missing_dependencies_are_created_and_all_settings_applied)
{
    weir_config *const config = parse("version: 1\n"
                                      "defaults: {timeout: 3s, max_concurrent: 7}\n"
                                      "dependencies:\n"
                                      "  pay: {max_concurrent: 9, isolation: inline}\n"
                                      "  mail: {}\n");
    weir_runtime *const runtime = create(NULL);
    weir_error error = {.message = ""};

    cr_assert_eq(weir_config_load(config, runtime, &error), WEIR_OK, "%s", error.message);

    cr_expect_eq(value_of(runtime, "pay", WR_MAX_CONCURRENT), 9);
    cr_expect_eq(value_of(runtime, "pay", WR_TIMEOUT), 3000000000U);
    cr_expect_eq(value_of(runtime, "mail", WR_MAX_CONCURRENT), 7);
    weir_runtime_destroy(runtime);
    weir_config_destroy(config);
}

Test(config_load, dependencies_that_exist_are_changed_live)
{
    weir_config *const before = parse("version: 1\ndependencies: {pay: {max_concurrent: 9}}");
    weir_config *const after = parse("version: 1\ndependencies: {pay: {max_concurrent: 4}, m: {}}");
    weir_runtime *const runtime = create(NULL);
    const weir_dependency *dependency;

    cr_assert_eq(weir_config_load(before, runtime, NULL), WEIR_OK);
    dependency = weir_dependency_find(runtime, "pay");
    cr_assert_eq(weir_config_load(after, runtime, NULL), WEIR_OK);

    cr_expect_eq(weir_dependency_find(runtime, "pay"), dependency);
    cr_expect_eq(value_of(runtime, "pay", WR_MAX_CONCURRENT), 4);
    weir_runtime_destroy(runtime);
    weir_config_destroy(before);
    weir_config_destroy(after);
}

Test(config_load, config_may_be_loaded_by_many_runtimes_and_outlives_none)
{
    weir_config *const config = parse("version: 1\ndependencies: {pay: {max_concurrent: 9}}");
    weir_runtime *const one = create(NULL);
    weir_runtime *const two = create(NULL);

    cr_assert_eq(weir_config_load(config, one, NULL), WEIR_OK);
    cr_assert_eq(weir_config_load(config, two, NULL), WEIR_OK);
    weir_config_destroy(config);

    cr_expect_eq(value_of(one, "pay", WR_MAX_CONCURRENT), 9);
    cr_expect_eq(value_of(two, "pay", WR_MAX_CONCURRENT), 9);
    weir_runtime_destroy(one);
    weir_runtime_destroy(two);
}

Test(config_load, file_without_dependencies_sets_the_defaults_of_later_ones)
{
    weir_config *const config = parse("version: 1\ndefaults: {max_concurrent: 7}");
    weir_runtime *const runtime = create(NULL);
    weir_dependency *dependency = NULL;

    cr_assert_eq(weir_config_load(config, runtime, NULL), WEIR_OK);
    cr_assert_eq(weir_dependency_create(runtime, "later", NULL, &dependency, NULL), WEIR_OK);

    cr_expect_eq(value_of(runtime, "later", WR_MAX_CONCURRENT), 7);
    weir_runtime_destroy(runtime);
    weir_config_destroy(config);
}

Test(config_load, failed_load_applies_no_setting)
{
    weir_config *const config = parse("version: 1\n"
                                      "defaults: {timeout: 3s}\n"
                                      "dependencies: {pay: {max_concurrent: 5000}}\n");
    weir_status status = WEIR_E_MEMORY;

    for (uint64_t n = 1; status != WEIR_OK; ++n) {
        weir_failing_allocator allocator;
        weir_runtime *runtime;
        weir_dependency *pay = NULL;

        weir_failing_allocator_init(&allocator, 0, 0);
        runtime = create(&allocator.ops);
        cr_assert_eq(weir_dependency_create(runtime, "pay", NULL, &pay, NULL), WEIR_OK);
        allocator.fail_at = allocator.calls + n;
        status = weir_config_load(config, runtime, NULL);
        if (status != WEIR_OK) {
            cr_assert_eq(status, WEIR_E_MEMORY);
            cr_assert_eq(value_of(runtime, "pay", WR_MAX_CONCURRENT), 1024);
            cr_assert_eq(value_of(runtime, "pay", WR_TIMEOUT), 1000000000U);
        }
        weir_runtime_destroy(runtime);
        cr_assert_eq(allocator.live, 0, "allocation %llu leaks", (unsigned long long)n);
    }
    weir_config_destroy(config);
}

Test(config_load, what_is_missing_in_the_call_is_a_status)
{
    weir_config *const config = parse("version: 1");
    weir_runtime *const runtime = create(NULL);
    weir_error error = {.message = ""};

    cr_expect_eq(weir_config_load(NULL, runtime, &error), WEIR_E_ARGUMENT);
    cr_expect_eq(weir_config_load(config, NULL, &error), WEIR_E_ARGUMENT);
    weir_runtime_destroy(runtime);
    weir_config_destroy(config);
}

Test(config_load, file_that_cannot_be_read_is_named_with_the_reason)
{
    weir_config *config = NULL;
    weir_error error = {.message = ""};

    cr_expect_eq(weir_config_read("no/such/file.yaml", &config, &error), WEIR_E_SYSTEM);
    cr_expect_str_eq(error.file, "no/such/file.yaml");
    cr_expect_eq(error.line, 0);
    cr_expect_not_null(strstr(error.message, "No such file"), "%s", error.message);
    cr_expect_eq(weir_config_read("/", &config, &error), WEIR_E_SYSTEM);
    cr_expect_null(config);
}

Test(config_load, file_is_read_and_named_in_its_settings)
{
    static const char path[] = WEIR_BINARY_DIR "/config_load_test.yaml";
    FILE *const file = fopen(path, "w");
    weir_config *config = NULL;
    size_t count = 0;

    cr_assert_not_null(file);
    cr_assert_geq(fputs("version: 1\ndependencies: {pay: {timeout: 2s}}\n", file), 0);
    cr_assert_eq(fclose(file), 0);

    cr_expect_eq(weir_config_read(path, &config, NULL), WEIR_OK);
    cr_expect_eq(remove(path), 0);

    cr_expect_str_eq(weir_config_settings(config, &count)[0].file, path);
    cr_expect_eq(count, 1);
    weir_config_destroy(config);
}

Test(config_load, a_file_says_where_calls_run)
{
    weir_config *const config = parse("version: 1\n"
                                      "defaults: {isolation: thread, threads: 2}\n"
                                      "dependencies:\n"
                                      "  pay: {queue: 3}\n"
                                      "  mail: {isolation: inline, max_concurrent: 9}\n");
    weir_runtime *const runtime = create(NULL);
    weir_error error = {.message = ""};

    cr_assert_eq(weir_config_load(config, runtime, &error), WEIR_OK, "%s", error.message);

    cr_expect_eq(value_of(runtime, "pay", WR_ISOLATION), WR_ISOLATION_THREAD);
    cr_expect_eq(value_of(runtime, "pay", WR_QUEUE), 3);
    cr_expect_eq(value_of(runtime, "mail", WR_ISOLATION), WR_ISOLATION_INLINE);
    cr_expect_eq(weir_config_load(config, runtime, &error), WEIR_OK, "%s", error.message);
    weir_runtime_destroy(runtime);
    weir_config_destroy(config);
}

Test(config_load, a_dependency_that_exists_keeps_where_its_calls_run)
{
    weir_config *const config =
        parse("version: 1\ndependencies: {pay: {isolation: thread, threads: 2}}\n");
    weir_runtime *const runtime = create(NULL);
    weir_dependency *pay = NULL;
    weir_error error = {.message = ""};

    cr_assert_eq(weir_dependency_create(runtime, "pay", NULL, &pay, &error), WEIR_OK);

    cr_expect_eq(weir_config_load(config, runtime, &error), WEIR_E_CONFIG);

    cr_expect_not_null(strstr(error.message, "cannot change while live"));
    weir_runtime_destroy(runtime);
    weir_config_destroy(config);
}

Test(config_load, a_program_that_creates_a_dependency_itself_asks_for_its_settings)
{
    weir_config *const config = parse("version: 1\n"
                                      "defaults: {isolation: thread, threads: 2, timeout: 3s}\n"
                                      "dependencies:\n"
                                      "  pay: {queue: 3, breaker: {open_for: 2s}}\n");
    weir_runtime *const runtime = create(NULL);
    char settings[128];
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings};
    weir_dependency *pay = NULL;
    weir_error error = {.message = ""};

    cr_assert_eq(weir_config_creation_settings(config, "pay", settings, sizeof(settings)),
                 strlen(settings));
    cr_expect_str_eq(settings, "isolation: thread, queue: 3, breaker.open_for: 2s");
    cr_assert_eq(weir_dependency_create(runtime, "pay", &options, &pay, &error), WEIR_OK, "%s",
                 error.message);
    cr_expect_eq(weir_config_load(config, runtime, &error), WEIR_OK, "%s", error.message);

    cr_expect_eq(value_of(runtime, "pay", WR_THREADS), 2);
    cr_expect_eq(weir_config_creation_settings(config, "none", settings, sizeof(settings)), 17U);
    cr_expect_eq(weir_config_creation_settings(NULL, "pay", settings, sizeof(settings)), 0U);
    cr_expect_str_eq(settings, "");
    weir_runtime_destroy(runtime);
    weir_config_destroy(config);
}
