/*
 * libFuzzer target: any bytes as a configuration file and as a simulator's script.
 *
 * Neither may crash, leak or read outside of the input; a refusal has a place and a message; what
 * is accepted keeps the promises of config.h and script.h.
 */
#include "command/plan.h"
#include "tool/script.c"       /* NOLINT(bugprone-suspicious-include): the tool is no library */
#include "tool/script_words.c" /* NOLINT(bugprone-suspicious-include): the same */

#include <weir/config.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Asserts may be compiled out; this may not. */
static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_error(const weir_error *error, weir_status status)
{
    must(error->status == status);
    must(error->message[0] != '\0');
    must(memchr(error->message, '\0', sizeof(error->message)) != NULL);
    must(strcmp(error->file, "fuzz") == 0);
}

static void check_settings(const weir_config *config)
{
    size_t count = 0;
    const weir_setting *const settings = weir_config_settings(config, &count);
    bool defaults = true;

    for (size_t i = 0; i < count; ++i) {
        struct wr_layer layer = {{0}, {0}};

        must(wr_layer_set(&layer, settings[i].key, settings[i].value, NULL) == WEIR_OK);
        must(settings[i].line >= 1 && settings[i].column >= 1);
        must(defaults || settings[i].dependency != NULL);
        defaults = settings[i].dependency == NULL;
    }
    for (size_t i = 0; i < weir_config_dependency_count(config); ++i) {
        const size_t length = strlen(weir_config_dependency(config, i));

        must(length >= 1 && length <= 64);
    }
}

static void fuzz_config(const char *text, size_t length)
{
    weir_config *config = NULL;
    weir_error error;
    const weir_status status = weir_config_parse("fuzz", text, length, &config, &error);

    must((status == WEIR_OK) == (config != NULL));
    if (status == WEIR_OK) {
        check_settings(config);
    } else {
        check_error(&error, status);
        must(status == WEIR_E_CONFIG ? error.line >= 1 && error.column >= 1
                                     : status == WEIR_E_TOO_LARGE);
    }
    weir_config_destroy(config);
}

static void fuzz_script(const char *text, size_t length)
{
    struct wr_script script;
    struct wr_line line = {.number = 0};
    weir_error error;
    weir_status status;
    uint64_t number = 0;
    uint64_t at_ns = 0;
    bool more = true;

    wr_script_start(&script, "fuzz", text, length);
    do {
        status = wr_script_next(&script, &line, &more, &error);
        if (status == WEIR_OK && more) {
            must(line.number > number && line.at_ns >= at_ns);
            must(line.count >= 1 && line.cost >= 1 && line.dependency != NULL);
            number = line.number;
            at_ns = line.at_ns;
        }
    } while (status == WEIR_OK && more);
    if (status != WEIR_OK) {
        check_error(&error, WEIR_E_CONFIG);
        must(error.line > number);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_config((const char *)data, size);
    fuzz_script((const char *)data, size);
    return 0;
}
