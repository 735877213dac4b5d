/*
 * An event loop round poll(2): weir_begin() before a request is sent, weir_end() when its answer or
 * its deadline comes. No thread but this one; weir never waits here.
 *
 * The other side is the far end of a socketpair(), played by this program: it answers the first
 * request and forgets the second. A third finds no place.
 */
#define _POSIX_C_SOURCE 200809L

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir/weir.h>

enum { REQUESTS = 3, HERE = 0, THERE = 1 };

struct request {
    int fd[2]; /* HERE and THERE; -1: closed */
    bool live; /* the permit must still be ended */
    weir_permit permit;
    weir_status ended_as;
};

/* Send request number `number`, if all gates let it. */
static bool start(struct request *request, int number, weir_dependency *dependency)
{
    weir_outcome outcome;

    if (weir_begin(dependency, NULL, &request->permit, &outcome) != WEIR_OK) {
        request->ended_as = outcome.kind; /* nothing was taken: nothing to end */
        return true;
    }
    request->live = true;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, request->fd) != 0 ||
        write(request->fd[HERE], "?", 1) != 1) {
        (void)weir_end(&request->permit, WEIR_V_FAILED, 0);
        request->live = false;
        return false;
    }
    if (number == 0) {
        return write(request->fd[THERE], "!", 1) == 1; /* the other side answers this one */
    }
    return true;
}

/* Every permit is ended once, on every path; a second end would be WEIR_E_STALE. */
static void finish(struct request *request, weir_verdict verdict, weir_status kind)
{
    (void)weir_end(&request->permit, verdict, 0);
    request->live = false;
    request->ended_as = kind;
}

static void read_answer(struct request *request)
{
    char answer;

    if (read(request->fd[HERE], &answer, 1) == 1) {
        finish(request, WEIR_V_OK, WEIR_OK);
    } else {
        finish(request, WEIR_V_FAILED, WEIR_FAILED);
    }
}

/* Milliseconds until the first deadline, rounded up. */
static int patience(const struct request *requests)
{
    uint64_t left_ns = UINT64_MAX;

    for (int i = 0; i < REQUESTS; ++i) {
        if (requests[i].live) {
            const uint64_t left = weir_permit_left_ns(&requests[i].permit);

            left_ns = left < left_ns ? left : left_ns;
        }
    }
    return left_ns >= UINT64_C(60000000000) ? 60000 : (int)((left_ns + 999999) / 1000000);
}

static bool any_live(const struct request *requests)
{
    for (int i = 0; i < REQUESTS; ++i) {
        if (requests[i].live) {
            return true;
        }
    }
    return false;
}

/* An answer, or an error of its socket, or its deadline: any of them ends the request. */
static void look_after(struct request *request, bool readable)
{
    if (readable) {
        read_answer(request);
    } else if (weir_permit_left_ns(&request->permit) == 0) {
        finish(request, WEIR_V_TIMED_OUT, WEIR_TIMED_OUT);
    }
}

/* Wait for the first thing to happen, then see to everything that has. */
static void turn(struct request *requests)
{
    struct pollfd fds[REQUESTS];

    for (int i = 0; i < REQUESTS; ++i) {
        fds[i].fd = requests[i].live ? requests[i].fd[HERE] : -1;
        fds[i].events = POLLIN;
        fds[i].revents = 0;
    }
    (void)poll(fds, REQUESTS, patience(requests));
    for (int i = 0; i < REQUESTS; ++i) {
        if (requests[i].live) {
            look_after(&requests[i], fds[i].revents != 0);
        }
    }
}

static void close_both(const struct request *request)
{
    for (int side = HERE; side <= THERE; ++side) {
        if (request->fd[side] >= 0) {
            (void)close(request->fd[side]);
        }
    }
}

int main(void)
{
    static const weir_status expected[REQUESTS] = {WEIR_OK, WEIR_TIMED_OUT, WEIR_BULKHEAD};
    const weir_dependency_options options = {
        WEIR_SIZED(weir_dependency_options),
        .settings = "max_concurrent: 2, timeout: 200ms, breaker.failure_rate: 50%",
    };
    struct request requests[REQUESTS];
    weir_runtime *runtime = NULL;
    weir_dependency *dependency = NULL;
    weir_error error;
    int wrong = 0;

    if (weir_runtime_create(NULL, &runtime, &error) != WEIR_OK ||
        weir_dependency_create(runtime, "answers", &options, &dependency, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        weir_runtime_destroy(runtime);
        return 1;
    }
    for (int i = 0; i < REQUESTS; ++i) {
        requests[i] = (struct request){.fd = {-1, -1}};
        wrong += start(&requests[i], i, dependency) ? 0 : 1;
    }
    while (any_live(requests)) {
        turn(requests);
    }
    for (int i = 0; i < REQUESTS; ++i) {
        (void)printf("request %d: %s\n", i + 1, weir_status_name(requests[i].ended_as));
        wrong += requests[i].ended_as == expected[i] ? 0 : 1;
        close_both(&requests[i]);
    }
    if (weir_runtime_check(runtime, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        ++wrong;
    }
    weir_runtime_destroy(runtime);
    return wrong == 0 ? 0 : 1;
}
