/*
 * A resolver that many threads share: weir_execute() round getaddrinfo(), which has no timeout.
 *
 * Shows a command with a classify function (a wrong name is the caller's mistake, not the
 * resolver's), the places of the bulkhead, what an outcome says, and what weir knows afterwards.
 * Without arguments it resolves names that need no network; give others to resolve those.
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

    (void)call; /* weir_call_left_ns(call) would say how much time is left; this cannot use it */
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

static const weir_command command = {
    WEIR_SIZED(weir_command),   .name = "dns.resolve",       .isolations = WEIR_INLINE,
    .argument_max = HOST_BYTES, .result_max = ADDRESS_BYTES, .run = resolve,
    .classify = judge,
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
        /* There is a value, perhaps a late one: outcome.kind would then be WEIR_TIMED_OUT. */
        (void)printf("%-16s %s (%s)\n", job->host, job->address,
                     weir_status_name(job->outcome.kind));
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
        .settings = "max_concurrent: 4, max_wait: 100ms, timeout: 2s, "
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
    /* No call is under way any more, so the counting laws must hold exactly. */
    if (weir_runtime_check(runtime, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        done = false;
    }
    weir_runtime_destroy(runtime);
    return done ? 0 : 1;
}
