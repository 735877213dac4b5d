/*
 * An event loop that must never block, and work that does: epoll(7) here, a pool of workers there.
 *
 * The loop submits calls and goes on; a completion queue tells it of their ends through a file
 * descriptor, one more among those that it watches. The workers speak to a back end over TCP with
 * plain blocking code, one connection each. The back end is played by a thread of this program: it
 * needs 10 ms for a page, one after the other, and never answers when asked for a mute one.
 *
 * What happens: two mute pages occupy both workers, two more pages wait behind them, a fifth finds
 * no place. The second mute page is cancelled, which frees its worker for the two that wait. The
 * first runs into its deadline, one second, and is answered by the fallback. At the end the runtime
 * is stopped while one more call is under way.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <weir/weir.h>

enum { NAME_BYTES = 32, PAGE_BYTES = 64, PEERS = 8, ANSWER_MS = 10, TICK_MS = 10, BATCH = 4 };

/* ---- the back end: a server on the loopback interface ---- */

struct back_end {
    int listener;
    struct sockaddr_in address;
    pthread_t thread;
};

/* Read a page's name, send the page. False: the other side has gone. */
static bool serve_one(int peer)
{
    char name[NAME_BYTES];
    char page[PAGE_BYTES];
    const ssize_t got = recv(peer, name, sizeof(name) - 1, 0);
    int length;

    if (got <= 0) {
        return false;
    }
    name[got] = '\0';
    name[strcspn(name, "\n")] = '\0';
    if (strncmp(name, "mute", 4) == 0) {
        return true; /* and never another word */
    }
    (void)poll(NULL, 0, ANSWER_MS);
    length = snprintf(page, sizeof(page), "the page %s\n", name);
    return send(peer, page, (size_t)length, MSG_NOSIGNAL) == length;
}

/* Those that have said something; returns how many descriptors are left. */
static nfds_t serve_peers(struct pollfd *fds, nfds_t count)
{
    for (nfds_t i = count - 1; i > 0; --i) {
        if (fds[i].revents != 0 && !serve_one(fds[i].fd)) {
            (void)close(fds[i].fd);
            fds[i] = fds[--count];
        }
    }
    return count;
}

/* Until the listener is shut down. */
static void *serve(void *user)
{
    const struct back_end *const back_end = user;
    struct pollfd fds[1 + PEERS] = {{.fd = back_end->listener, .events = POLLIN}};
    nfds_t count = 1;

    while ((fds[0].revents & ~POLLIN) == 0) {
        (void)poll(fds, count, -1);
        count = serve_peers(fds, count);
        if (fds[0].revents == POLLIN && count <= PEERS) {
            fds[count] = (struct pollfd){.events = POLLIN};
            fds[count].fd = accept(back_end->listener, NULL, NULL);
            count += fds[count].fd >= 0 ? 1 : 0;
        }
    }
    while (count > 1) {
        (void)close(fds[--count].fd);
    }
    return NULL;
}

static bool back_end_start(struct back_end *back_end)
{
    struct sockaddr_in *const address = &back_end->address;
    socklen_t length = sizeof(*address);

    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    back_end->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (back_end->listener < 0 ||
        bind(back_end->listener, (const struct sockaddr *)address, length) != 0 ||
        listen(back_end->listener, PEERS) != 0 ||
        getsockname(back_end->listener, (struct sockaddr *)address, &length) != 0 ||
        pthread_create(&back_end->thread, NULL, serve, back_end) != 0) {
        perror("back end");
        if (back_end->listener >= 0) {
            (void)close(back_end->listener);
        }
        return false;
    }
    return true;
}

static void back_end_stop(const struct back_end *back_end)
{
    (void)shutdown(back_end->listener, SHUT_RDWR);
    (void)pthread_join(back_end->thread, NULL);
    (void)close(back_end->listener);
}

/* ---- on the workers: plain blocking code ---- */

/* Each worker has one connection, so no two calls ever share one. */
struct connection {
    const struct sockaddr_in *address;
    int fd; /* -1: closed */
};

/* The time limit of sends is that of connect(2) too. There is no call yet whose time is left. */
static int reconnect(struct connection *connection)
{
    const struct timeval patience = {.tv_usec = 100000};
    int error;

    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd >= 0 &&
        setsockopt(connection->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
        connect(connection->fd, (const struct sockaddr *)connection->address,
                sizeof(*connection->address)) == 0) {
        return 0;
    }
    error = errno;
    if (connection->fd >= 0) {
        (void)close(connection->fd);
        connection->fd = -1;
    }
    return error;
}

/* First on every worker. After a failure weir tries again; the worker takes no calls until then. */
static int worker_start(void *user, void **ret_state)
{
    /* One for each worker; freed by worker_stop(). */
    struct connection *const connection = malloc(sizeof(*connection));
    int error;

    if (connection == NULL) {
        return ENOMEM;
    }
    connection->address = user;
    error = reconnect(connection);
    if (error != 0) {
        free(connection);
        return error;
    }
    *ret_state = connection;
    return 0;
}

static void worker_stop(void *user, void *state)
{
    struct connection *const connection = state;

    (void)user;
    if (connection->fd >= 0) {
        (void)close(connection->fd);
    }
    free(connection);
}

/* Let reads wait for as long as the call may. Zero would mean for ever, so one microsecond is the
 * least; no deadline is UINT64_MAX, and then zero is what is meant. */
static void limit_reads(int fd, uint64_t left_ns)
{
    const uint64_t left_us = left_ns / 1000 + 1;
    const struct timeval limit = {.tv_sec = (time_t)(left_us / 1000000),
                                  .tv_usec = (suseconds_t)(left_us % 1000000)};
    const struct timeval none = {0};

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, left_ns == UINT64_MAX ? &none : &limit,
                     sizeof(limit));
}

/* 0, or an errno. */
static int exchange(weir_call *call, int fd, const char *name, char *page)
{
    char line[NAME_BYTES + 1];
    const int length = snprintf(line, sizeof(line), "%s\n", name);
    size_t have = 0;

    if (send(fd, line, (size_t)length, MSG_NOSIGNAL) != length) {
        return EPIPE; /* or a part of it in 100 ms: of no more use either */
    }
    while (have == 0 || page[have - 1] != '\n') {
        ssize_t got;

        if (have == PAGE_BYTES) {
            return EMSGSIZE;
        }
        limit_reads(fd, weir_call_left_ns(call)); /* anew each time: less is left */
        got = recv(fd, page + have, PAGE_BYTES - have, 0);
        if (got <= 0) {
            return got == 0 ? ECONNRESET : errno;
        }
        have += (size_t)got;
    }
    page[have - 1] = '\0';
    return 0;
}

/*
 * The work. At its deadline the read ends by itself. A call that is cancelled, or that the end of
 * the runtime cuts short, is left earlier than that: then the watched socket is shut down, and the
 * read returns at once.
 */
static int fetch(weir_call *call, const void *argument, void *result)
{
    struct connection *const connection = weir_call_worker(call);
    int error = connection->fd < 0 ? reconnect(connection) : 0;

    if (error != 0) {
        return error;
    }
    if (weir_call_watch_fd(call, connection->fd) == WEIR_OK) {
        error = exchange(call, connection->fd, argument, result);
    } else {
        error = ECANCELED; /* left before it began; the socket has been shut down */
    }
    /* End the watch before the descriptor is closed: its number may be reused. */
    if (weir_call_watch_fd(call, -1) != WEIR_OK && error == 0) {
        error = ECANCELED;
    }
    if (error != 0) {
        /* An answer that is still on its way must not be taken for the next page. */
        (void)close(connection->fd);
        connection->fd = -1;
    }
    return error;
}

/* On the thread of the loop, inside weir_queue_take(): it must not block. */
static int old_copy(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)snprintf(result, PAGE_BYTES, "an old copy of %s", (const char *)argument);
    return 0;
}

static const weir_command command = {
    WEIR_SIZED(weir_command),   .name = "pages.fetch",    .isolations = WEIR_THREAD,
    .argument_max = NAME_BYTES, .result_max = PAGE_BYTES, .run = fetch,
    .fallback = old_copy,
};

/* ---- the loop ---- */

enum { PAGES = 6, CANCELLED_PAGE = 1, REFUSED_PAGE = 4, LAST_PAGE = 5 };

struct page {
    const char *name;
    weir_ticket ticket;
    weir_status kind;
    int32_t source;
    char text[PAGE_BYTES];
};

struct service {
    weir_runtime *runtime;
    weir_dependency *back_end;
    weir_queue *queue;
    int epoll, timer;
    int ticks;
    int answered;
    struct page pages[PAGES];
};

static void answer(struct service *service, struct page *page, const weir_outcome *outcome)
{
    page->kind = outcome->kind;
    page->source = outcome->source;
    service->answered += 1;
    (void)printf("%-6s %-9s by %-8s %s\n", page->name, weir_status_name(page->kind),
                 weir_source_name(page->source), page->text);
}

static void ask_for(struct service *service, struct page *page)
{
    const weir_request request = {
        WEIR_SIZED(weir_request),
        .argument = page->name, /* copied: it need not live until the end of the call */
        .argument_size = strlen(page->name) + 1,
    };
    weir_outcome outcome;

    if (weir_submit(service->back_end, &command, &request, service->queue, page, &page->ticket,
                    &outcome) != WEIR_OK) {
        answer(service, page, &outcome); /* no completion will come: answer now */
    }
}

/* Take a few; while there are more, the descriptor stays readable and the loop comes back. */
static void on_completions(struct service *service, uint64_t wait_ns)
{
    weir_completion done[BATCH];
    const size_t count = weir_queue_take(service->queue, done, BATCH, wait_ns);

    for (size_t i = 0; i < count; ++i) {
        struct page *const page = done[i].user;

        (void)weir_completion_end(&done[i], page->text); /* written only if there is a value */
        answer(service, page, &done[i].outcome);
    }
}

/* All pages but the last one at once, then the cancellation. */
static void on_tick(struct service *service)
{
    uint64_t expirations;

    if (read(service->timer, &expirations, sizeof(expirations)) < 0) {
        return; /* woken for nothing */
    }
    service->ticks += 1;
    if (service->ticks == 1) {
        for (int i = 0; i < LAST_PAGE; ++i) {
            ask_for(service, &service->pages[i]);
        }
    } else if (service->ticks == 2) {
        /* WEIR_E_STALE: it has its outcome already. Either way its completion comes. */
        (void)weir_ticket_cancel(service->queue, service->pages[CANCELLED_PAGE].ticket);
    }
}

static bool watch(const struct service *service, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return fd >= 0 && epoll_ctl(service->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void on_event(struct service *service, const struct epoll_event *event)
{
    if (event->data.fd == service->timer) {
        on_tick(service);
    } else {
        on_completions(service, 0);
    }
}

static bool loop(struct service *service)
{
    while (service->answered < LAST_PAGE) {
        struct epoll_event events[2];
        const int count = epoll_wait(service->epoll, events, 2, -1);

        if (count < 0 && errno != EINTR) {
            perror("epoll_wait");
            return false;
        }
        for (int i = 0; i < count; ++i) {
            on_event(service, &events[i]);
        }
    }
    return true;
}

/*
 * A clean end: no new calls, 100 ms for those that run, then they are cancelled. Work that has just
 * been cancelled may need a moment more to return: ask again. Every call that was submitted has its
 * completion, whatever happened: the queue is busy until all have been ended.
 */
static bool stop(struct service *service)
{
    const uint64_t grace_ns = 100000000;
    size_t stuck = 0;
    weir_error error;

    if (service->runtime == NULL) {
        return false;
    }
    if (weir_runtime_stop(service->runtime, grace_ns, NULL) == WEIR_E_BUSY) {
        (void)weir_runtime_stop(service->runtime, 10 * grace_ns, &stuck);
    }
    while (weir_queue_destroy(service->queue) == WEIR_E_BUSY) {
        on_completions(service, 1000000);
    }
    if (stuck != 0) {
        (void)fprintf(stderr, "%zu threads are stuck in the work\n", stuck);
        return false;
    }
    /* No call is under way any more, so the counting laws must hold exactly. */
    if (weir_runtime_check(service->runtime, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return false;
    }
    return true;
}

static bool make(struct service *service, struct back_end *back_end)
{
    const struct itimerspec each_tick = {.it_interval.tv_nsec = TICK_MS * 1000000L,
                                         .it_value.tv_nsec = TICK_MS * 1000000L};
    const weir_dependency_options options = {
        WEIR_SIZED(weir_dependency_options),
        .settings = "isolation: thread, threads: 2, queue: 2, completions: 8, timeout: 1s, "
                    "breaker.failure_rate: 50%",
        /* Known here, a command that does not fit is refused now and not at its first call. */
        .commands = (const weir_command *const[]){&command},
        .command_count = 1,
        .worker_start = worker_start,
        .worker_stop = worker_stop,
        .user = &back_end->address,
    };
    weir_error error;

    if (weir_runtime_create(NULL, &service->runtime, &error) != WEIR_OK ||
        weir_dependency_create(service->runtime, "pages", &options, &service->back_end, &error) !=
            WEIR_OK ||
        weir_queue_create(service->runtime, &service->queue, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return false;
    }
    service->epoll = epoll_create1(EPOLL_CLOEXEC);
    service->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (service->epoll < 0 || !watch(service, service->timer) ||
        !watch(service, weir_queue_fd(service->queue)) ||
        timerfd_settime(service->timer, 0, &each_tick, NULL) != 0) {
        perror("event loop");
        return false;
    }
    return true;
}

/* Each may be missing. The runtime owns its dependencies. */
static void unmake(const struct service *service)
{
    if (service->timer >= 0) {
        (void)close(service->timer);
    }
    if (service->epoll >= 0) {
        (void)close(service->epoll);
    }
    weir_runtime_destroy(service->runtime);
}

/* Was each page answered as it had to be? */
static bool as_expected(const struct page *pages)
{
    static const int32_t sources[LAST_PAGE] = {WEIR_BY_FALLBACK, WEIR_BY_NOBODY, WEIR_BY_RUN,
                                               WEIR_BY_RUN, WEIR_BY_NOBODY};
    const weir_status last = pages[LAST_PAGE].kind;

    for (int i = 0; i < LAST_PAGE; ++i) {
        if (pages[i].source != sources[i]) {
            (void)fprintf(stderr, "%s is not as expected\n", pages[i].name);
            return false;
        }
    }
    /* Shutdown: no worker had taken it yet. */
    return pages[CANCELLED_PAGE].kind == WEIR_CANCELLED &&
           pages[REFUSED_PAGE].kind == WEIR_BULKHEAD &&
           (last == WEIR_CANCELLED || last == WEIR_SHUTDOWN);
}

int main(void)
{
    struct service service = {
        .epoll = -1,
        .timer = -1,
        .pages = {{.name = "mute-1"},
                  {.name = "mute-2"},
                  {.name = "home"},
                  {.name = "news"},
                  {.name = "help"},
                  {.name = "mute-3"}},
    };
    struct back_end back_end;
    bool good;

    if (!back_end_start(&back_end)) {
        return 1;
    }
    good = make(&service, &back_end) && loop(&service);
    if (good) {
        ask_for(&service, &service.pages[LAST_PAGE]); /* under way when the service is stopped */
    }
    good = stop(&service) && good && as_expected(service.pages);
    unmake(&service);
    back_end_stop(&back_end);
    return good ? 0 : 1;
}
