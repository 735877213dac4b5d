/*
 * libuv and weir: a uv_poll_t on the descriptor of a completion queue. Built where pkg-config finds
 * libuv. epoll_pages.c says more of each step; this program shows what is different.
 *
 * uv_queue_work() has one pool of four threads for everything, libuv's own name look-ups and files
 * among it: four calls to a back end that hangs stop them all, and none has a deadline. Here the
 * back end has a pool of its own, with a bound, a deadline and a breaker.
 *
 * The back end is played by a thread of this program: it answers at once, or never when asked for a
 * mute page. Of three pages one runs into its deadline and is answered by the fallback, one is
 * cancelled, one comes.
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
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <uv.h>
#include <weir/weir.h>

enum { NAME_BYTES = 32, PAGE_BYTES = 64, PAGES = 3, CANCELLED_PAGE = 1, PEERS = 4, TICK_MS = 10 };

/* ---- the back end ---- */

struct back_end {
    int listener;
    struct sockaddr_in address;
    pthread_t thread;
};

static bool serve_one(int peer)
{
    char page[PAGE_BYTES];
    const ssize_t got = recv(peer, page, sizeof(page), 0);

    return got > 0 && (page[0] == 'm' || send(peer, page, (size_t)got, MSG_NOSIGNAL) == got);
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

/* ---- on the workers ---- */

struct connection {
    const struct sockaddr_in *address;
    int fd; /* -1: closed */
};

static int reconnect(struct connection *connection)
{
    const struct timeval patience = {.tv_usec = 100000}; /* for connect(2) too */
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

static int worker_start(void *user, void **ret_state)
{
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

/* 0, or an errno. The name is echoed with its NUL; a short page, so that it comes in one piece. */
static int exchange(weir_call *call, int fd, const char *name, char *page)
{
    const size_t length = strlen(name) + 1;
    const uint64_t left_us = weir_call_left_ns(call) / 1000 + 1; /* there is a timeout */
    const struct timeval limit = {.tv_sec = (time_t)(left_us / 1000000),
                                  .tv_usec = (suseconds_t)(left_us % 1000000)};

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
        send(fd, name, length, MSG_NOSIGNAL) != (ssize_t)length ||
        recv(fd, page, length, MSG_WAITALL) != (ssize_t)length) {
        return EIO;
    }
    return 0;
}

static int fetch(weir_call *call, const void *argument, void *result)
{
    struct connection *const connection = weir_call_worker(call);
    int error = connection->fd < 0 ? reconnect(connection) : 0;

    if (error != 0) {
        return error;
    }
    error = weir_call_watch_fd(call, connection->fd) == WEIR_OK
                ? exchange(call, connection->fd, argument, result)
                : ECANCELED;
    if (weir_call_watch_fd(call, -1) != WEIR_OK && error == 0) {
        error = ECANCELED;
    }
    if (error != 0) { /* nothing late may stand in it for the next call */
        (void)close(connection->fd);
        connection->fd = -1;
    }
    return error;
}

/* On the thread of the loop. */
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

struct page {
    const char *name;
    int32_t expected; /* who answers */
    weir_ticket ticket;
};

struct service {
    weir_dependency *pages_dependency;
    weir_queue *queue;
    uv_poll_t completions;
    uv_timer_t timer;
    int ticks;
    int answered;
    int wrong;
    struct page pages[PAGES];
};

/* When all have been answered nothing keeps the loop alive: uv_run() returns. */
static void answer(struct service *service, const struct page *page, const weir_outcome *outcome,
                   const char *text)
{
    (void)printf("%-6s %-9s by %-8s %s\n", page->name, weir_status_name(outcome->kind),
                 weir_source_name(outcome->source), text);
    service->wrong += outcome->source == page->expected ? 0 : 1;
    service->answered += 1;
    if (service->answered == PAGES) {
        uv_close((uv_handle_t *)&service->completions, NULL);
        uv_close((uv_handle_t *)&service->timer, NULL);
    }
}

static void ask_for(struct service *service, struct page *page)
{
    const weir_request request = {
        WEIR_SIZED(weir_request),
        .argument = page->name,
        .argument_size = strlen(page->name) + 1,
    };
    weir_outcome outcome;

    if (weir_submit(service->pages_dependency, &command, &request, service->queue, page,
                    &page->ticket, &outcome) != WEIR_OK) {
        answer(service, page, &outcome, ""); /* no completion will come */
    }
}

/* One completion a turn: libuv calls again while the descriptor is readable. */
static void on_completion(uv_poll_t *handle, int status, int events)
{
    struct service *const service = handle->data;
    weir_completion done;
    char text[PAGE_BYTES] = "";

    (void)status;
    (void)events;
    if (weir_queue_take(service->queue, &done, 1, 0) == 1) {
        (void)weir_completion_end(&done, text); /* written only if there is a value */
        answer(service, done.user, &done.outcome, text);
    }
}

/* All pages at once, then the cancellation. */
static void on_tick(uv_timer_t *handle)
{
    struct service *const service = handle->data;

    service->ticks += 1;
    if (service->ticks == 1) {
        for (int i = 0; i < PAGES; ++i) {
            ask_for(service, &service->pages[i]);
        }
    } else {
        (void)weir_ticket_cancel(service->queue, service->pages[CANCELLED_PAGE].ticket);
        (void)uv_timer_stop(handle);
    }
}

static bool loop(struct service *service)
{
    uv_loop_t uv;
    int error = uv_loop_init(&uv);

    if (error == 0) {
        /* Cannot fail once the loop stands. */
        (void)uv_timer_init(&uv, &service->timer);
        service->timer.data = service;
        (void)uv_timer_start(&service->timer, on_tick, TICK_MS, TICK_MS);
        error = uv_poll_init(&uv, &service->completions, weir_queue_fd(service->queue));
        if (error == 0) {
            service->completions.data = service;
            (void)uv_poll_start(&service->completions, UV_READABLE, on_completion);
        } else {
            uv_close((uv_handle_t *)&service->timer, NULL);
        }
        (void)uv_run(&uv, UV_RUN_DEFAULT);
        (void)uv_loop_close(&uv);
    }
    if (error != 0) {
        (void)fprintf(stderr, "%s\n", uv_strerror(error));
    }
    return error == 0 && service->wrong == 0;
}

static bool make(struct service *service, weir_runtime **ret_runtime, struct back_end *back_end)
{
    const weir_dependency_options options = {
        WEIR_SIZED(weir_dependency_options),
        .settings = "isolation: thread, threads: 3, queue: 8, timeout: 1s, "
                    "breaker.failure_rate: 50%",
        .commands = (const weir_command *const[]){&command},
        .command_count = 1,
        .worker_start = worker_start,
        .worker_stop = worker_stop,
        .user = &back_end->address,
    };
    weir_error error;

    if (weir_runtime_create(NULL, ret_runtime, &error) != WEIR_OK ||
        weir_dependency_create(*ret_runtime, "pages", &options, &service->pages_dependency,
                               &error) != WEIR_OK ||
        weir_queue_create(*ret_runtime, &service->queue, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return false;
    }
    return true;
}

int main(void)
{
    struct service service = {.pages = {{.name = "mute-1", .expected = WEIR_BY_FALLBACK},
                                        {.name = "mute-2", .expected = WEIR_BY_NOBODY},
                                        {.name = "home", .expected = WEIR_BY_RUN}}};
    weir_runtime *runtime = NULL;
    struct back_end back_end;
    bool good;

    if (!back_end_start(&back_end)) {
        return 1;
    }
    good = make(&service, &runtime, &back_end) && loop(&service);
    /* Every page has been answered, but work that was left may just be returning: it has a second.
     * The poll handle is closed, so the queue, which owns the descriptor, may go. */
    good = weir_runtime_stop(runtime, 1000000000, NULL) == WEIR_OK && good;
    good = weir_queue_destroy(service.queue) == WEIR_OK && good;
    weir_runtime_destroy(runtime);
    back_end_stop(&back_end);
    return good ? 0 : 1;
}
