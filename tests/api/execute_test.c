/*
 * weir_execute() under inline isolation: outcomes, deadlines, arguments, usage errors.
 */
#include "support/world.h"

/* ---- outcomes ---- */

Test(execute, ok_means_that_there_is_a_value_and_that_run_gave_it)
{
    struct world world;
    weir_outcome outcome;
    int result = 0;
    const struct order order = {.code = WEIR_V_OK};
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &order,
                                  .argument_size = sizeof(order), .result = &result};

    world_open(&world, NULL);
    cr_assert_eq(weir_execute(world.dependency, obey(), &request, &outcome), WEIR_OK);
    cr_assert_eq(result, 42);
    cr_assert_eq(outcome.kind, WEIR_OK);
    cr_assert_eq(outcome.source, WEIR_BY_RUN);
    cr_assert_eq(outcome.attempts, 1U);
    cr_assert_eq(outcome.flags, 0U);
    cr_assert_eq(outcome.generation, 1U);
    cr_assert_eq(outcome.retry_after_ns, 0U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OK), 1U);
    world_close(&world);
}

Test(execute, an_outcome_is_128_bytes_and_filled_in_full)
{
    static const unsigned char zero[16 + 6 * 8] = {0};
    struct world world;
    weir_outcome outcome;
    const struct order order = {.code = WEIR_V_FAILED};

    cr_assert_eq(sizeof(outcome), 128U);
    memset(&outcome, 0xff, sizeof(outcome));
    world_open(&world, NULL);
    cr_assert_eq(call_for(world.dependency, &order, &outcome), WEIR_FAILED);
    cr_assert_eq(outcome.fallback_code, 0);
    cr_assert_eq(outcome.signal, 0);
    cr_assert_eq(outcome.reserved32, 0U);
    cr_assert_eq(outcome.answer_age_ns, 0U);
    cr_assert_arr_eq(outcome.trace_id, zero, 16);
    cr_assert_arr_eq(outcome.reserved, zero, 48);
    world_close(&world);
}

Test(execute, each_verdict_has_its_kind_and_its_counter)
{
    static const struct {
        weir_verdict verdict;
        weir_status kind;
        size_t count;
    } rows[] = {
        {WEIR_V_FAILED, WEIR_FAILED, WEIR_COUNT_CALLS_FAILED},
        {WEIR_V_RETRYABLE, WEIR_FAILED, WEIR_COUNT_CALLS_FAILED},
        {WEIR_V_OVERLOADED, WEIR_FAILED, WEIR_COUNT_CALLS_FAILED},
        {WEIR_V_IGNORED, WEIR_IGNORED, WEIR_COUNT_CALLS_IGNORED},
        {WEIR_V_TIMED_OUT, WEIR_TIMED_OUT, WEIR_COUNT_CALLS_TIMED_OUT},
        {WEIR_V_CANCELLED, WEIR_CANCELLED, WEIR_COUNT_CALLS_CANCELLED},
    };
    struct world world;

    world_open(&world, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        const struct order order = {.code = (int)rows[i].verdict};
        const uint64_t before = world_count(&world, rows[i].count);
        weir_outcome outcome;

        cr_assert_eq(call_for(world.dependency, &order, &outcome), rows[i].kind);
        cr_assert_eq(outcome.kind, rows[i].kind);
        cr_assert_eq(outcome.source, WEIR_BY_NOBODY);
        cr_assert_eq(outcome.code, (int)rows[i].verdict);
        cr_assert_eq(world_count(&world, rows[i].count), before + 1);
    }
    world_close(&world);
}

Test(execute, a_classify_that_gives_no_verdict_counts_as_a_failure)
{
    static const int hostile[] = {7, -1, 1000, INT32_MAX, INT32_MIN};
    struct world world;

    world_open(&world, NULL);
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); ++i) {
        const struct order order = {.code = hostile[i]};

        cr_assert_eq(call_for(world.dependency, &order, NULL), WEIR_FAILED);
    }
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_FAILED), 5U);
    world_close(&world);
}

static int return_code(weir_call *call, const void *argument, void *result)
{
    int code;

    (void)call;
    (void)result;
    memcpy(&code, argument, sizeof(code));
    return code;
}

static const weir_command plain = {WEIR_SIZED(weir_command), .name = "plain",
                                   .isolations = WEIR_INLINE, .argument_max = sizeof(int),
                                   .run = return_code};

static weir_status execute_plain(struct world *world, int code, weir_outcome *ret_outcome)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &code,
                                  .argument_size = sizeof(code)};

    return weir_execute(world->dependency, &plain, &request, ret_outcome);
}

Test(execute, without_classify_zero_is_ok_and_all_else_failed)
{
    struct world world;
    weir_outcome outcome;

    world_open(&world, NULL);
    cr_assert_eq(execute_plain(&world, 0, &outcome), WEIR_OK);
    cr_assert_eq(execute_plain(&world, -77, &outcome), WEIR_FAILED);
    cr_assert_eq(outcome.code, -77);
    cr_assert_eq(execute_plain(&world, 1, NULL), WEIR_FAILED);
    world_close(&world);
}

static int run_nothing(weir_call *call, const void *argument, void *result)
{
    (void)call;
    return argument == NULL && result == NULL ? 0 : 1;
}

static const weir_command bare = {WEIR_SIZED(weir_command), .name = "bare",
                                  .isolations = WEIR_INLINE, .run = run_nothing};

Test(execute, a_command_without_argument_and_result_needs_no_request)
{
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(weir_execute(world.dependency, &bare, NULL, NULL), WEIR_OK);
    world_close(&world);
}

Test(execute, latency_counts_from_the_call_to_its_end)
{
    struct world world;
    weir_outcome outcome;

    world_open(&world, NULL);
    cr_assert_eq(world_call_taking(&world, WEIR_V_OK, 7 * MS, &outcome), WEIR_OK);
    cr_assert_eq(outcome.latency_ns, 7 * MS);
    world_close(&world);
}

/* ---- deadlines ---- */

Test(execute, a_timeout_is_seen_when_run_returns_and_the_late_value_is_delivered_and_flagged)
{
    struct world world;
    weir_outcome outcome;

    world_open(&world, "timeout: 100ms, breaker: on");
    cr_assert_eq(world_call_taking(&world, WEIR_V_OK, 100 * MS, &outcome), WEIR_OK);
    cr_assert_eq(outcome.kind, WEIR_TIMED_OUT);
    cr_assert_eq(outcome.source, WEIR_BY_RUN);
    cr_assert_eq(outcome.flags, (uint32_t)WEIR_FLAG_LATE_VALUE);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_TIMED_OUT), 1U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_FAILURES), 1U);
    world_close(&world);
}

Test(execute, one_ns_before_its_deadline_a_call_is_in_time)
{
    struct world world;
    weir_outcome outcome;

    world_open(&world, "timeout: 100ms");
    cr_assert_eq(world_call_taking(&world, WEIR_V_OK, 100 * MS - 1, &outcome), WEIR_OK);
    cr_assert_eq(outcome.kind, WEIR_OK);
    world_close(&world);
}

Test(execute, a_late_failure_is_a_timeout_without_a_value)
{
    struct world world;
    weir_outcome outcome;

    world_open(&world, "timeout: 100ms");
    cr_assert_eq(world_call_taking(&world, WEIR_V_FAILED, SECOND, &outcome), WEIR_TIMED_OUT);
    cr_assert_eq(outcome.source, WEIR_BY_NOBODY);
    cr_assert_eq(outcome.flags, 0U);
    world_close(&world);
}

Test(execute, ignored_and_cancelled_stay_what_they_are_even_when_late)
{
    struct world world;

    world_open(&world, "timeout: 100ms, breaker: on");
    cr_assert_eq(world_call_taking(&world, WEIR_V_IGNORED, SECOND, NULL), WEIR_IGNORED);
    cr_assert_eq(world_call_taking(&world, WEIR_V_CANCELLED, SECOND, NULL), WEIR_CANCELLED);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
    world_close(&world);
}

/* What run saw of its deadline. */
struct glance {
    uint64_t left_ns;
    weir_manual_clock *clock;
    uint64_t spend_ns;
    uint64_t left_after_ns;
};

static int run_glance(weir_call *call, const void *argument, void *result)
{
    struct glance *glance;

    (void)result;
    memcpy(&glance, argument, sizeof(struct glance *));
    glance->left_ns = weir_call_left_ns(call);
    weir_manual_clock_advance(glance->clock, glance->spend_ns);
    glance->left_after_ns = weir_call_left_ns(call);
    return 0;
}

static const weir_command glancing = {WEIR_SIZED(weir_command), .name = "glance",
                                      .isolations = WEIR_INLINE,
                                      .argument_max = sizeof(struct glance *), .run = run_glance};

static struct glance glance_at(const char *settings, uint64_t within_ns, uint64_t spend_ns)
{
    struct world world;

    world_open(&world, settings);
    struct glance glance = {.clock = world.clock, .spend_ns = spend_ns};
    struct glance *const argument = &glance;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct glance *), .within_ns = within_ns};
    cr_expect_eq(weir_execute(world.dependency, &glancing, &request, NULL), WEIR_OK);
    world_close(&world);
    return glance;
}

Test(execute, the_earlier_of_timeout_and_the_callers_budget_is_the_deadline)
{
    cr_assert_eq(glance_at("timeout: 100ms", 0, 0).left_ns, 100 * MS);
    cr_assert_eq(glance_at("timeout: 100ms", 30 * MS, 0).left_ns, 30 * MS);
    cr_assert_eq(glance_at("timeout: 100ms", 300 * MS, 0).left_ns, 100 * MS);
    cr_assert_eq(glance_at("timeout: 100ms", UINT64_MAX, 0).left_ns, 100 * MS);
    cr_assert_eq(glance_at("timeout: off", 30 * MS, 0).left_ns, 30 * MS);
}

Test(execute, without_timeout_and_budget_there_is_no_deadline)
{
    cr_assert_eq(glance_at("timeout: off", 0, 0).left_ns, UINT64_MAX);
    cr_assert_eq(glance_at("timeout: off", 0, SECOND).left_after_ns, UINT64_MAX);
    cr_assert_eq(glance_at("timeout: off", UINT64_MAX, 0).left_ns, UINT64_MAX);
}

Test(execute, the_time_left_shrinks_to_zero_and_stays_there)
{
    cr_assert_eq(glance_at("timeout: 100ms", 0, 40 * MS).left_after_ns, 60 * MS);
    cr_assert_eq(glance_at("timeout: 100ms", 0, 100 * MS).left_after_ns, 0U);
    cr_assert_eq(glance_at("timeout: 100ms", 0, SECOND).left_after_ns, 0U);
}

Test(execute, with_no_time_at_all_it_never_runs)
{
    struct world world;
    weir_outcome outcome;

    world_open(&world, "timeout: 0ms");
    cr_assert_eq(world_call_taking(&world, WEIR_V_OK, 0, &outcome), WEIR_DEADLINE);
    cr_assert_eq(outcome.kind, WEIR_DEADLINE);
    cr_assert_eq(outcome.attempts, 0U);
    cr_assert_eq(outcome.source, WEIR_BY_NOBODY);
    cr_assert_eq(world_count(&world, WEIR_COUNT_REFUSED_DEADLINE), 1U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_ATTEMPTS_BEGUN), 0U);
    world_close(&world);
}

Test(execute, the_time_left_of_no_call_is_endless_and_its_pushback_goes_nowhere)
{
    cr_assert_eq(weir_call_left_ns(NULL), UINT64_MAX);
    weir_call_pushback(NULL, 5);
}

static int run_pushback(weir_call *call, const void *argument, void *result)
{
    (void)argument;
    (void)result;
    weir_call_pushback(call, 5 * SECOND);
    weir_call_pushback(call, 2 * SECOND);
    return 1;
}

Test(execute, the_last_pushback_comes_back_as_retry_after)
{
    static const weir_command command = {WEIR_SIZED(weir_command), .name = "pushback",
                                         .isolations = WEIR_INLINE, .run = run_pushback};
    struct world world;
    weir_outcome outcome;

    world_open(&world, NULL);
    cr_assert_eq(weir_execute(world.dependency, &command, NULL, &outcome), WEIR_FAILED);
    cr_assert_eq(outcome.retry_after_ns, 2 * SECOND);
    world_close(&world);
}

/* ---- the argument ---- */

static int drops;

static void count_drop(void *argument)
{
    (void)argument;
    drops += 1;
}

static weir_status execute_dropping(weir_dependency *dependency, const struct order *order)
{
    weir_command command = *obey();
    int result;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = order,
                                  .argument_size = sizeof(*order), .result = &result};

    command.argument_drop = count_drop;
    drops = 0;
    return weir_execute(dependency, &command, &request, NULL);
}

Test(execute, the_argument_is_dropped_exactly_once_whatever_run_did)
{
    struct world world;

    world_open(&world, "timeout: 100ms");
    for (int verdict = -1; verdict <= WEIR_V_CANCELLED + 1; ++verdict) {
        for (uint64_t took = 0; took <= 200 * MS; took += 200 * MS) {
            const struct order order = {.clock = world.clock, .took_ns = took, .code = verdict};

            (void)execute_dropping(world.dependency, &order);
            cr_assert_eq(drops, 1, "verdict %d", verdict);
        }
    }
    world_close(&world);
}

Test(execute, the_argument_is_dropped_exactly_once_by_every_refusal)
{
    static const struct {
        const char *settings;
        weir_status reason;
    } rows[] = {{"mode: off", WEIR_OFF},
                {"timeout: 0ms", WEIR_DEADLINE},
                {"max_concurrent: 0", WEIR_BULKHEAD},
                {"rate_limit.rate: 0/s", WEIR_RATE}};
    const struct order order = {.code = 0};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        struct world world;

        world_open(&world, rows[i].settings);
        cr_assert_eq(execute_dropping(world.dependency, &order), rows[i].reason);
        cr_assert_eq(drops, 1);
        world_close(&world);
    }
}

Test(execute, the_argument_stays_the_callers_after_a_usage_error)
{
    struct world world;
    weir_command command = *obey();
    const struct order order = {.code = 0};
    weir_request request = {WEIR_SIZED(weir_request), .argument = &order,
                            .argument_size = sizeof(order)};

    world_open(&world, NULL);
    command.argument_drop = count_drop;
    drops = 0;
    cr_assert_eq(weir_execute(world.dependency, &command, &request, NULL), WEIR_E_ARGUMENT);
    request.result = &drops;
    request.argument_size += 1;
    cr_assert_eq(weir_execute(world.dependency, &command, &request, NULL), WEIR_E_TOO_LARGE);
    request.size = 1;
    cr_assert_eq(weir_execute(world.dependency, &command, &request, NULL), WEIR_E_SIZE);
    cr_assert_eq(drops, 0);
    world_close(&world);
}

/* ---- usage errors ---- */

Test(execute, null_where_something_is_needed_is_a_usage_error)
{
    struct world world;
    weir_outcome outcome;
    weir_command command = *obey();

    world_open(&world, NULL);
    cr_assert_eq(weir_execute(NULL, obey(), NULL, &outcome), WEIR_E_ARGUMENT);
    cr_assert_eq(outcome.kind, WEIR_E_ARGUMENT);
    cr_assert_eq(weir_execute(world.dependency, NULL, NULL, &outcome), WEIR_E_ARGUMENT);
    cr_assert_eq(weir_execute(NULL, NULL, NULL, NULL), WEIR_E_ARGUMENT);
    cr_assert_eq(weir_execute(world.dependency, obey(), NULL, &outcome), WEIR_E_ARGUMENT);
    command = bare;
    command.run = NULL;
    cr_assert_eq(weir_execute(world.dependency, &command, NULL, &outcome), WEIR_E_ARGUMENT);
    command = bare;
    command.name = NULL;
    cr_assert_eq(weir_execute(world.dependency, &command, NULL, &outcome), WEIR_E_ARGUMENT);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_SUBMITTED), 0U);
    world_close(&world);
}

Test(execute, bytes_without_an_argument_are_a_usage_error)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument_size = 1};
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(weir_execute(world.dependency, &plain, &request, NULL), WEIR_E_ARGUMENT);
    world_close(&world);
}

Test(execute, an_argument_above_argument_max_is_too_large)
{
    const char bytes[sizeof(int) + 1] = {0};
    weir_request request = {WEIR_SIZED(weir_request), .argument = bytes,
                            .argument_size = sizeof(bytes)};
    struct world world;
    weir_outcome outcome;

    world_open(&world, NULL);
    cr_assert_eq(weir_execute(world.dependency, &plain, &request, &outcome), WEIR_E_TOO_LARGE);
    cr_assert_eq(outcome.kind, WEIR_E_TOO_LARGE);
    request.argument_size = SIZE_MAX;
    cr_assert_eq(weir_execute(world.dependency, &plain, &request, &outcome), WEIR_E_TOO_LARGE);
    world_close(&world);
}

Test(execute, a_command_of_another_isolation_has_the_wrong_shape)
{
    weir_command command = bare;
    struct world world;
    weir_outcome outcome;

    world_open(&world, NULL);
    command.isolations = 0;
    cr_assert_eq(weir_execute(world.dependency, &command, NULL, &outcome), WEIR_E_SHAPE);
    cr_assert_eq(outcome.kind, WEIR_E_SHAPE);
    command.isolations = ~(uint32_t)WEIR_INLINE;
    cr_assert_eq(weir_execute(world.dependency, &command, NULL, NULL), WEIR_E_SHAPE);
    world_close(&world);
}

Test(execute, commands_and_requests_of_wrong_sizes_are_refused)
{
    static const size_t sizes[] = {0, 1, 8, 1U << 20U, SIZE_MAX};
    struct world world;

    world_open(&world, NULL);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
        weir_command command = bare;
        const weir_request request = {.size = sizes[i]};
        weir_outcome outcome;

        command.size = sizes[i];
        cr_assert_eq(weir_execute(world.dependency, &command, NULL, &outcome), WEIR_E_SIZE);
        cr_assert_eq(outcome.kind, WEIR_E_SIZE);
        cr_assert_eq(weir_execute(world.dependency, &bare, &request, &outcome), WEIR_E_SIZE);
    }
    world_close(&world);
}

Test(execute, newer_structs_are_accepted_while_their_tail_is_zero)
{
    struct {
        weir_command known;
        uint64_t tail;
    } command = {.known = bare};
    struct {
        weir_request known;
        uint64_t tail;
    } request = {.known = {.size = sizeof(request)}};
    struct world world;

    world_open(&world, NULL);
    command.known.size = sizeof(command);
    cr_assert_eq(weir_execute(world.dependency, &command.known, &request.known, NULL), WEIR_OK);
    request.tail = 1;
    cr_assert_eq(weir_execute(world.dependency, &command.known, &request.known, NULL), WEIR_E_SIZE);
    request.tail = 0;
    command.tail = 1;
    cr_assert_eq(weir_execute(world.dependency, &command.known, &request.known, NULL), WEIR_E_SIZE);
    world_close(&world);
}

Test(execute, a_command_of_a_wrong_size_is_refused_whatever_the_request)
{
    struct {
        weir_request known;
        uint64_t tail;
    } request = {.known = {.size = sizeof(request)}};
    weir_command command = bare;
    struct world world;
    weir_outcome outcome;

    world_open(&world, NULL);
    command.size = 3;
    cr_assert_eq(weir_execute(world.dependency, &command, &request.known, &outcome), WEIR_E_SIZE);
    cr_assert_eq(outcome.kind, WEIR_E_SIZE);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_SUBMITTED), 0U);
    world_close(&world);
}

Test(execute, the_rejected_statuses_are_those_of_the_gates)
{
#define CHECK_CLASS(symbol, number, name, meaning) \
    cr_assert_eq(weir_status_is_rejected(symbol) != 0, (number) >= 100 && (number) < 200);
    WEIR_STATUS_LIST(CHECK_CLASS)
#undef CHECK_CLASS
}

/* ---- the order of the gates ---- */

Test(execute, the_first_gate_in_their_order_is_the_reason)
{
    static const struct {
        const char *key, *value;
        weir_status reason;
    } rows[] = {{"rate_limit.rate", "0/s", WEIR_RATE},
                {"max_concurrent", "0", WEIR_BULKHEAD},
                {"breaker", "on", WEIR_OPEN},
                {"timeout", "0ms", WEIR_DEADLINE},
                {"mode", "off", WEIR_OFF}};
    struct world world;

    world_open(&world, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        cr_assert_eq(world_set(&world, rows[i].key, rows[i].value), WEIR_OK);
        if (rows[i].reason == WEIR_OPEN) {
            cr_assert_eq(weir_dependency_force(world.dependency, WEIR_FORCE_OPEN, "t", "t"),
                         WEIR_OK);
        }
        cr_assert_eq(world_call(&world, WEIR_V_OK), rows[i].reason);
    }
    world_close(&world);
}

Test(execute, a_refusal_says_when_the_same_call_could_pass)
{
    struct world world;
    weir_outcome outcome;

    world_open(&world, "rate_limit.rate: 10/s, rate_limit.burst: 1");
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    cr_assert_eq(world_call_taking(&world, WEIR_V_OK, 0, &outcome), WEIR_RATE);
    cr_assert_eq(outcome.retry_after_ns, 100 * MS);
    cr_assert_eq(outcome.attempts, 0U);
    world_pass(&world, outcome.retry_after_ns - 1);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_RATE);
    world_pass(&world, 1);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    world_close(&world);
}

static weir_status begin_costing(weir_dependency *dependency, uint64_t cost)
{
    const weir_request request = {WEIR_SIZED(weir_request), .cost = cost};
    weir_permit permit;
    const weir_status status = weir_begin(dependency, &request, &permit, NULL);

    if (status == WEIR_OK) {
        (void)weir_end(&permit, WEIR_V_OK, 0);
    }
    return status;
}

Test(execute, a_cost_above_the_burst_is_its_own_refusal)
{
    struct world world;

    world_open(&world, "rate_limit.rate: 10/s, rate_limit.burst: 5");
    cr_assert_eq(begin_costing(world.dependency, 6), WEIR_COST);
    cr_assert_eq(begin_costing(world.dependency, UINT64_MAX), WEIR_COST);
    cr_assert_eq(world_count(&world, WEIR_COUNT_REFUSED_COST), 2U);
    cr_assert_eq(begin_costing(world.dependency, 5), WEIR_OK);
    cr_assert_eq(begin_costing(world.dependency, 0), WEIR_RATE);
    world_close(&world);
}

Test(execute, a_token_is_never_given_back_and_what_was_taken_before_it_is)
{
    struct world world;

    world_open(&world, "max_concurrent: 1, rate_limit.rate: 10/s, rate_limit.burst: 1");
    cr_assert_eq(world_call(&world, WEIR_V_CANCELLED), WEIR_CANCELLED);
    cr_assert_eq(world_count(&world, WEIR_COUNT_TOKENS), 0U);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_RATE);
    cr_assert_eq(world_count(&world, WEIR_COUNT_SLOTS_HELD), 0U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 0U);
    world_close(&world);
}

/* ---- re-entrancy ---- */

struct nested {
    weir_dependency *dependency;
    weir_runtime *runtime;
    weir_status inner, begun, ended;
    size_t values;
};

static int run_nested(weir_call *call, const void *argument, void *result)
{
    static char text[16384];
    struct nested *nested;
    uint64_t values[WEIR_COUNT_END];
    weir_permit permit;

    (void)call;
    (void)result;
    memcpy(&nested, argument, sizeof(struct nested *));
    nested->inner = weir_execute(nested->dependency, &bare, NULL, NULL);
    nested->begun = weir_begin(nested->dependency, NULL, &permit, NULL);
    nested->values = weir_dependency_read(nested->dependency, values, WEIR_COUNT_END);
    (void)weir_dependency_explain(nested->dependency, NULL, text, sizeof(text));
    (void)weir_metrics_render(nested->runtime, WEIR_FORMAT_JSON, text, sizeof(text));
    (void)weir_dependency_find(nested->runtime, "pay");
    (void)weir_runtime_check(nested->runtime, NULL);
    (void)weir_dependency_force(nested->dependency, WEIR_FORCE_CLOSED, "run", "nested");
    nested->ended = weir_end(&permit, WEIR_V_OK, 0);
    return 0;
}

Test(execute, run_may_call_weir_again)
{
    static const weir_command command = {
        WEIR_SIZED(weir_command), .name = "nested", .isolations = WEIR_INLINE,
        .argument_max = sizeof(struct nested *), .run = run_nested};
    struct world world;

    world_open(&world, "max_concurrent: 2, breaker: on");
    struct nested nested = {.dependency = world.dependency, .runtime = world.runtime};
    struct nested *const argument = &nested;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct nested *)};
    weir_outcome outcome;
    cr_assert_eq(weir_execute(world.dependency, &command, &request, &outcome), WEIR_OK);
    cr_assert_eq(nested.inner, WEIR_OK);
    cr_assert_eq(nested.begun, WEIR_OK);
    cr_assert_eq(nested.ended, WEIR_OK);
    cr_assert_eq(nested.values, (size_t)WEIR_COUNT_END);
    cr_assert_eq(outcome.flags, (uint32_t)WEIR_FLAG_LATE_RESULT);
    world_close(&world);
}

Test(execute, a_nested_call_counts_against_the_places)
{
    struct world world;

    world_open(&world, "max_concurrent: 1");
    struct nested nested = {.dependency = world.dependency, .runtime = world.runtime};
    struct nested *const argument = &nested;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct nested *)};
    static const weir_command command = {
        WEIR_SIZED(weir_command), .name = "nested", .isolations = WEIR_INLINE,
        .argument_max = sizeof(struct nested *), .run = run_nested};
    cr_assert_eq(weir_execute(world.dependency, &command, &request, NULL), WEIR_OK);
    cr_assert_eq(nested.inner, WEIR_BULKHEAD);
    cr_assert_eq(nested.begun, WEIR_BULKHEAD);
    cr_assert_eq(nested.ended, WEIR_E_STALE);
    world_close(&world);
}
