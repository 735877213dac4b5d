/*
 * A first deployment: `mode: observe` refuses nothing and counts what would have been refused. Look
 * at the numbers for a while, then switch the dependency on, without a restart.
 */
#include <inttypes.h>
#include <stdio.h>
#include <weir/weir.h>

enum { CALLS = 25, BURST = 10 };

/* The work: here it always goes well. */
static int fetch(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)result;
    return 0;
}

static const weir_command command = {
    WEIR_SIZED(weir_command),
    .name = "stock.fetch",
    .isolations = WEIR_INLINE,
    .run = fetch,
};

/* CALLS calls; returns how many ran. */
static int make_calls(weir_dependency *stock)
{
    const weir_request request = {WEIR_SIZED(weir_request)};
    int ran = 0;

    for (int i = 0; i < CALLS; ++i) {
        ran += weir_execute(stock, &command, &request, NULL) == WEIR_OK ? 1 : 0;
    }
    return ran;
}

/* One number of those that weir_dependency_read() gives. */
static uint64_t number(weir_dependency *dependency, size_t index)
{
    uint64_t values[WEIR_COUNT_END];

    return weir_dependency_read(dependency, values, WEIR_COUNT_END) > index ? values[index] : 0;
}

/*
 * What the rate limit would do, then what it does. Observed calls spend tokens as admitted ones do,
 * and ten an hour hardly refill: once switched on, the limit refuses everything.
 */
static int deploy(weir_runtime *runtime, weir_dependency *stock)
{
    const weir_setting on = {.dependency = "stock", .key = "mode", .value = "on"};
    weir_error error;
    uint64_t refused;
    int ran = make_calls(stock);
    int wrong = 0;

    refused = number(stock, WEIR_COUNT_WOULD_RATE);
    (void)printf("mode observe: %d of %d calls ran, %" PRIu64 " would have been refused\n", ran,
                 CALLS, refused);
    wrong += ran == CALLS && refused == CALLS - BURST ? 0 : 1;

    if (weir_runtime_apply(runtime, &on, 1, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    ran = make_calls(stock);
    refused = number(stock, WEIR_COUNT_REFUSED_RATE);
    (void)printf("mode on:      %d of %d calls ran, %" PRIu64 " were refused\n", ran, CALLS,
                 refused);
    return wrong + (ran == 0 && refused == CALLS ? 0 : 1);
}

int main(void)
{
    const weir_dependency_options options = {
        WEIR_SIZED(weir_dependency_options),
        .settings = "mode: observe, rate_limit.rate: 10/h, rate_limit.burst: 10",
    };
    weir_runtime *runtime = NULL;
    weir_dependency *stock = NULL;
    weir_error error;
    int wrong;

    if (weir_runtime_create(NULL, &runtime, &error) != WEIR_OK ||
        weir_dependency_create(runtime, "stock", &options, &stock, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        weir_runtime_destroy(runtime);
        return 1;
    }
    wrong = deploy(runtime, stock);
    weir_runtime_destroy(runtime);
    return wrong == 0 ? 0 : 1;
}
