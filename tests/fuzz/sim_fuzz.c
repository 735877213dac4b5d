/*
 * libFuzzer target: any script, run by the simulator on three dependencies with every policy.
 *
 * The library's own code runs underneath, so this reaches states that nobody thought of. It must
 * not crash or leak, and two runs must give the same bytes.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */

#include "tool/event_heap.c"   /* NOLINT(bugprone-suspicious-include): the tool is no library */
#include "tool/item_pool.c"    /* NOLINT(bugprone-suspicious-include): the same */
#include "tool/permit_book.c"  /* NOLINT(bugprone-suspicious-include): the same */
#include "tool/script.c"       /* NOLINT(bugprone-suspicious-include): the same */
#include "tool/script_words.c" /* NOLINT(bugprone-suspicious-include): the same */
#include "tool/sim_queue.c"    /* NOLINT(bugprone-suspicious-include): the same */
#include "tool/sim_row.c"      /* NOLINT(bugprone-suspicious-include): the same */
#include "tool/simulation.c"   /* NOLINT(bugprone-suspicious-include): the same */

#include "tool/simulator.c" /* NOLINT(bugprone-suspicious-include): the same */

enum { CALLS_MAX = 3000, SETS_MAX = 20 };

static const char config_text[] =
    "version: 1\n"
    "defaults: {timeout: 50ms, breaker: {minimum_calls: 3, open_for: 10ms, open_jitter: 10%}}\n"
    "dependencies:\n"
    "  pay: {max_concurrent: 2, max_wait: 20ms, rate_limit: {rate: 100/s, burst: 3, max_wait: "
    "30ms}}\n"
    "  stock:\n"
    "    mode: observe\n"
    "    max_concurrent: 3\n"
    "    breaker: {window: {kind: count, size: 8}, trial_calls: 3, trial_successes: 2}\n"
    "    rate_limit: {rate: 50/s, mode: pacing}\n"
    "  mail:\n"
    "    permit_lease: 40ms\n"
    "    max_concurrent: 4\n"
    "    breaker: {slow_call: 5ms, slow_rate: 50%, consecutive_failures: 3, recovery_ramp: 50ms}\n"
    "    rate_limit: {rate: 20/s, mode: window}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Asserts may be compiled out; this may not. */
static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Scripts that would take long show nothing that short ones do not. */
static bool is_short(const char *text, size_t length)
{
    struct wr_script script;
    struct wr_line line = {.count = 0};
    uint64_t calls = 0;
    uint64_t sets = 0;
    bool more = true;

    wr_script_start(&script, "fuzz", text, length);
    while (wr_script_next(&script, &line, &more, NULL) == WEIR_OK && more) {
        calls += line.count;
        sets += line.verb == WR_VERB_SET ? 1 : 0;
    }
    return calls <= CALLS_MAX && sets <= SETS_MAX;
}

/* The rows, which the caller frees. */
static char *rows_of(const weir_config *config, const char *text, size_t length)
{
    char *rows = NULL;
    size_t size = 0;
    FILE *const out = open_memstream(&rows, &size);
    weir_error error = {.status = WEIR_OK};
    weir_status status;

    must(out != NULL);
    status = wr_simulate(config, "fuzz", text, length, out, &error);
    must(status == error.status);
    must(fclose(out) == 0);
    return rows;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *const text = (const char *)data;
    weir_config *config = NULL;
    char *first;
    char *second;

    if (!is_short(text, size)) {
        return 0;
    }
    must(weir_config_parse("fuzz.yaml", config_text, sizeof(config_text) - 1, &config, NULL) ==
         WEIR_OK);
    first = rows_of(config, text, size);
    second = rows_of(config, text, size);
    must(strcmp(first, second) == 0);
    free(first);
    free(second);
    weir_config_destroy(config);
    return 0;
}
