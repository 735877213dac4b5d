/*
 * A resolver that many threads share. getaddrinfo() has no timeout and cannot be interrupted, so it
 * runs on workers of its own: whoever asks is answered by the deadline, whatever the resolver does.
 *
 * Shows a command with a classify function (a wrong name is the caller's mistake, not the
 * resolver's) and a fallback, the bounds of a pool, what an outcome says, and what weir knows
 * afterwards. Without arguments it resolves names that need no network; give others to resolve
 * those.
 */
#define _POSIX_C_SOURCE 200809L

#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <weir/weir.h>

enum { THREADS = 4, ADDRESS_BYTES = 64, HOST_BYTES = 256 };

/* ---- the command ---- */

/* 0 is success, anything else is the application's own code: here those of getaddrinfo(). */
static int resolve(weir_call *call, const void *argument, void *result)
{
    const char *const host = argument;
    char *const address = result;
    struct addrinfo *found = NULL;
    int error;

    (void)call; /* it could tell how much time is left, or that nobody waits any more */
    if (strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:") !=
        strlen(host)) {
        return EAI_NONAME;
    }
    error = getaddrinfo(host, NULL, NULL, &found);
    if (error != 0) {
        return error;
    }
    error = getnameinfo(found->ai_addr, found->ai_addrlen, address, ADDRESS_BYTES, NULL, 0,
                        NI_NUMERICHOST);
    freeaddrinfo(found);
    return error;
}

/* What a code says about the resolver. Ignored: nothing. */
static weir_verdict judge(int code)
{
    switch (code) {
    case 0:
        return WEIR_V_OK;
    case EAI_NONAME:
        return WEIR_V_IGNORED;
    case EAI_AGAIN:
        return WEIR_V_RETRYABLE;
    default:
        return WEIR_V_FAILED;
    }
}

/* When the resolver has no answer in time: the address that the service was configured with. Not
 * asked after a wrong name, which has been answered. */
static int configured(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)snprintf(result, ADDRESS_BYTES, "192.0.2.1");
    return 0;
}

static const weir_command command = {
    WEIR_SIZED(weir_command),   .name = "dns.resolve",       .isolations = WEIR_THREAD,
    .argument_max = HOST_BYTES, .result_max = ADDRESS_BYTES, .run = resolve,
    .classify = judge,          .fallback = configured,
};

/* ---- its callers ---- */

struct job {
    weir_dependency *dns;
    const char *host;
    char address[ADDRESS_BYTES];
    weir_status status;
    weir_outcome outcome;
};

static void *do_job(void *argument)
{
    struct job *const job = argument;
    const weir_request request = {
        WEIR_SIZED(weir_request),
        .argument = job->host,
        .argument_size = strlen(job->host) + 1,
        .result = job->address,
    };

    job->status = weir_execute(job->dns, &command, &request, &job->outcome);
    return NULL;
}

static void report(const struct job *job)
{
    if (job->status == WEIR_OK) {
        /* There is a value, perhaps the fallback's: outcome.kind says what became of the call. */
        (void)printf("%-16s %s (%s, by %s)\n", job->host, job->address,
                     weir_status_name(job->outcome.kind), weir_source_name(job->outcome.source));
    } else if (job->outcome.attempts == 0) {
        (void)printf("%-16s refused: %s\n", job->host, weir_status_name(job->status));
    } else {
        (void)printf("%-16s %s: %s\n", job->host, weir_status_name(job->status),
                     gai_strerror(job->outcome.code));
    }
}

/* One thread for each of at most THREADS names. */
static bool resolve_some(weir_dependency *dns, const char *const hosts[], int count)
{
    struct job jobs[THREADS];
    pthread_t threads[THREADS];
    int started = 0;

    while (started < count) {
        jobs[started] = (struct job){.dns = dns, .host = hosts[started]};
        if (pthread_create(&threads[started], NULL, do_job, &jobs[started]) != 0) {
            break;
        }
        ++started;
    }
    for (int i = 0; i < started; ++i) {
        (void)pthread_join(threads[i], NULL);
        report(&jobs[i]);
    }
    return started == count;
}

static bool resolve_all(weir_dependency *dns, const char *const hosts[], int count)
{
    for (int first = 0; first < count; first += THREADS) {
        const int left = count - first;

        if (!resolve_some(dns, hosts + first, left < THREADS ? left : THREADS)) {
            (void)fprintf(stderr, "a thread could not be started\n");
            return false;
        }
    }
    return true;
}

int main(int argc, char *argv[])
{
    static const char *const samples[] = {"localhost", "127.0.0.1", "::1", "not a name"};
    const weir_dependency_options options = {
        WEIR_SIZED(weir_dependency_options),
        /* Four may hang at once, eight may wait behind them, nobody for longer than a second. */
        .settings = "isolation: thread, threads: 4, queue: 8, timeout: 1s, "
                    "breaker.failure_rate: 50%, breaker.slow_call: 500ms, "
                    "rate_limit.rate: 100/s, rate_limit.burst: 100",
        .commands = (const weir_command *const[]){&command},
        .command_count = 1,
    };
    weir_runtime *runtime = NULL;
    weir_dependency *dns = NULL;
    weir_error error;
    char text[2048];
    bool done;

    if (weir_runtime_create(NULL, &runtime, &error) != WEIR_OK ||
        weir_dependency_create(runtime, "dns", &options, &dns, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        weir_runtime_destroy(runtime);
        return 1;
    }
    done = argc > 1 ? resolve_all(dns, (const char *const *)argv + 1, argc - 1)
                    : resolve_all(dns, samples, 4);
    if (weir_dependency_explain(dns, NULL, text, sizeof(text)) == WEIR_OK) {
        (void)printf("\n%s", text);
    }
    /* Names that nobody waits for any more may still be looked up: a second is given to those. When
     * no call is under way, the counting laws must hold exactly. */
    if (weir_runtime_stop(runtime, 1000000000, NULL) == WEIR_OK &&
        weir_runtime_check(runtime, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        done = false;
    }
    weir_runtime_destroy(runtime);
    return done ? 0 : 1;
}
