/*
 * Prints the Prometheus text of a runtime in which every kind of number is not zero, for promtool.
 */
#include <weir/testing.h>
#include <weir/weir.h>

#include <stdio.h>

enum { TEXT_MAX = 1 << 18 };

static int run_code(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)result;
    return *(const int *)argument;
}

static weir_verdict classify_code(int code)
{
    return (weir_verdict)code;
}

static const weir_command command = {WEIR_SIZED(weir_command),  .name = "code",
                                     .isolations = WEIR_INLINE, .argument_max = sizeof(int),
                                     .run = run_code,           .classify = classify_code};

static weir_dependency *add(weir_runtime *runtime, const char *name, const char *settings)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings};
    weir_dependency *dependency = NULL;

    (void)weir_dependency_create(runtime, name, &options, &dependency, NULL);
    return dependency;
}

static void load(weir_dependency *dependency, weir_manual_clock *clock)
{
    for (int i = 0; i < 200; ++i) {
        const int verdict = i % (WEIR_V_CANCELLED + 1);
        const weir_request request = {WEIR_SIZED(weir_request), .argument = &verdict,
                                      .argument_size = sizeof(verdict)};
        weir_permit permit;

        (void)weir_execute(dependency, &command, &request, NULL);
        (void)weir_begin(dependency, NULL, &permit, NULL);
        weir_manual_clock_advance(clock, (uint64_t)i * (uint64_t)i * 1000);
        (void)weir_end(&permit, (weir_verdict)verdict, 0);
        (void)weir_end(&permit, WEIR_V_OK, 0);
    }
}

int main(void)
{
    static char text[TEXT_MAX];
    weir_manual_clock *const clock = weir_manual_clock_create(1000000000);
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options),
                                          .clock = weir_manual_clock_ops(clock)};
    weir_runtime *runtime = NULL;
    weir_dependency *pay;
    weir_permit permit;
    size_t length;

    if (weir_runtime_create(&options, &runtime, NULL) != WEIR_OK) {
        return 1;
    }
    pay = add(runtime, "pay", "breaker: on, rate_limit: on, permit_lease: 1h");
    load(pay, clock);
    load(add(runtime, "A.strange_NAME-1", "mode: observe, max_concurrent: 0"), clock);
    (void)add(runtime, "idle", NULL);
    (void)weir_begin(pay, NULL, &permit, NULL);
    weir_manual_clock_advance(clock, 1500000000);
    length = weir_metrics_render(runtime, WEIR_FORMAT_PROMETHEUS, text, sizeof(text));
    (void)weir_end(&permit, WEIR_V_OK, 0);
    weir_runtime_destroy(runtime);
    weir_manual_clock_destroy(clock);
    return length > 0 && length < sizeof(text) && fputs(text, stdout) >= 0 ? 0 : 1;
}
