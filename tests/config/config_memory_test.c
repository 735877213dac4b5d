/*
 * Memory of the reader: the n-th allocation fails, ours or libyaml's, for every n; nothing leaks
 * and nothing is half made.
 *
 * libyaml allocates through yaml_malloc() and its kin, which its shared library calls by name, so
 * the definitions below take their place.
 */
#include "support/harness.h"

#include "config/config_memory.h"

#include <weir/config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Hidden, as everything here is by default, they would not be found by the library. */
#pragma GCC visibility push(default)
void *yaml_malloc(size_t bytes);
void *yaml_realloc(void *memory, size_t bytes);
void yaml_free(void *memory);
char *yaml_strdup(const char *text);
#pragma GCC visibility pop

static unsigned int asked;   /* allocations so far */
static unsigned int fail_at; /* 0: none */
static unsigned int asked_by_yaml;
static int live; /* allocations not yet released */

static void *allocate(size_t bytes)
{
    void *const memory = ++asked == fail_at ? NULL : malloc(bytes);

    live += memory != NULL ? 1 : 0;
    return memory;
}

static void release(void *memory)
{
    live -= memory != NULL ? 1 : 0;
    free(memory);
}

void *yaml_malloc(size_t bytes)
{
    ++asked_by_yaml;
    return allocate(bytes != 0 ? bytes : 1);
}

void *yaml_realloc(void *memory, size_t bytes)
{
    if (memory == NULL) {
        return yaml_malloc(bytes);
    }
    ++asked_by_yaml;
    return ++asked == fail_at ? NULL : realloc(memory, bytes);
}

void yaml_free(void *memory)
{
    release(memory);
}

char *yaml_strdup(const char *text)
{
    const size_t bytes = text != NULL ? strlen(text) + 1 : 0;
    char *const copy = text != NULL ? yaml_malloc(bytes) : NULL;

    return copy != NULL ? memcpy(copy, text, bytes) : NULL;
}

/* A file of `count` dependencies; the caller frees it. */
static char *file_of(int count)
{
    enum { LINE = 96 };
    char *const text = malloc((size_t)(count + 1) * LINE);
    size_t length;

    cr_assert_not_null(text);
    length = (size_t)snprintf(text, LINE, "version: 1\ndefaults: {timeout: 2s}\ndependencies:\n");
    for (int i = 0; i < count; ++i) {
        length +=
            (size_t)snprintf(text + length, LINE,
                             "  d%d: {max_concurrent: %d, breaker: {open_for: 2s}}\n", i, i + 1);
    }
    return text;
}

static void count_from(unsigned int failing)
{
    wr_config_memory = (struct wr_config_memory){allocate, release};
    asked = 0;
    asked_by_yaml = 0;
    live = 0;
    fail_at = failing;
}

Test(config_memory, every_allocation_may_fail_and_leaves_nothing_behind)
{
    char *const text = file_of(40);
    weir_status status = WEIR_E_MEMORY;
    unsigned int failures = 0;

    for (unsigned int n = 1; status != WEIR_OK; ++n) {
        weir_config *config = NULL;
        weir_error error = {.message = ""};

        count_from(n);
        status = weir_config_parse("test.yaml", text, strlen(text), &config, &error);
        if (status != WEIR_OK) {
            cr_assert_eq(status, WEIR_E_MEMORY, "allocation %u: %s", n, error.message);
            cr_assert_eq(error.status, WEIR_E_MEMORY);
            cr_assert_null(config);
            ++failures;
        }
        weir_config_destroy(config);
        cr_assert_eq(live, 0, "allocation %u: %d left", n, live);
    }
    cr_expect_gt(failures, 10);
    cr_expect_gt(asked_by_yaml, 0, "libyaml's allocations were not seen");
    free(text);
}

Test(config_memory, every_allocation_of_reading_a_file_may_fail)
{
    static const char path[] = WEIR_BINARY_DIR "/config_memory_test.yaml";
    FILE *const file = fopen(path, "w");
    weir_status status = WEIR_E_MEMORY;

    cr_assert_not_null(file);
    cr_assert_geq(fputs("version: 1\ndependencies: {pay: {timeout: 2s}}\n", file), 0);
    cr_assert_eq(fclose(file), 0);

    for (unsigned int n = 1; status != WEIR_OK; ++n) {
        weir_config *config = NULL;

        count_from(n);
        status = weir_config_read(path, &config, NULL);
        cr_assert(status == WEIR_OK || status == WEIR_E_MEMORY, "allocation %u: %d", n, status);
        weir_config_destroy(config);
        cr_assert_eq(live, 0, "allocation %u: %d left", n, live);
    }
    cr_expect_eq(remove(path), 0);
}

Test(config_memory, refused_file_leaves_nothing_behind)
{
    static const char *const texts[] = {
        "version: 1\ndependencies: {pay: {timeout: 2s, timeout: 2s}}",
        "version: 1\ndependencies: {pay: {timeout: 2s",
        "version: 1\ndefaults: {timeout: &a 2s}",
        "version: 1\ndependencies: {pay: {breaker: {window: {buckets: 7}}}}",
        "\xFF",
        "",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); ++i) {
        weir_config *config = NULL;

        count_from(0);
        cr_expect_eq(weir_config_parse(NULL, texts[i], strlen(texts[i]), &config, NULL),
                     WEIR_E_CONFIG);
        cr_expect_eq(live, 0, "%d left after: %s", live, texts[i]);
    }
}

Test(config_memory, reading_takes_memory_in_proportion_to_the_file)
{
    char *const text = file_of(1000);
    weir_config *config = NULL;
    size_t count = 0;

    count_from(0);
    cr_assert_eq(weir_config_parse("test.yaml", text, strlen(text), &config, NULL), WEIR_OK);
    (void)weir_config_settings(config, &count);
    cr_expect_eq(count, 2001);
    cr_expect_lt(live, 40, "strings share blocks: %d allocations are held", live);
    weir_config_destroy(config);
    cr_expect_eq(live, 0);
    free(text);
}
