/*
 * weir at work: one service over real TCP on the loopback interface, and two groups of threads that
 * call it, one bare and one through weir. The service is well, stops answering, is slow, is gone.
 * Each second is one line of what was measured; at the end there is a table. Nothing is made up:
 * the connections, the timeouts and the times are real. `./dev demo` runs it; Ctrl-C ends it early.
 *
 * Both groups do the same: each thread makes a call, pauses for 20 ms, and so on. Each call has
 * 200 ms at most; with weir that is the dependency's `timeout`, and the client asks for what is
 * left of it. (Under inline isolation weir cannot cut a call short: the client itself must.) What
 * weir adds is to stop calling while calling is of no use, which frees the threads for other work,
 * and to try again soon. The price is in the table too: calls refused, some of which would have
 * been answered.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <weir/weir.h>

enum { THREADS = 4, PAUSE_MS = 20, CALL_MS = 200, SLOW_MS = 120, BACKLOG = 12 };
enum { CLIENTS_MAX = 256, TICK_MS = 10 };

#define NS_PER_MS UINT64_C(1000000)

static const char settings[] =
    "max_concurrent: 8, timeout: 200ms, breaker.window.kind: count, breaker.window.size: 20, "
    "breaker.minimum_calls: 10, breaker.failure_rate: 50%, breaker.consecutive_failures: 5, "
    "breaker.slow_call: 60ms, breaker.slow_rate: 60%, breaker.open_for: 250ms";

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void sleep_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&time, NULL);
}

/* ---- the end: everybody looks at one flag ---- */

static volatile sig_atomic_t interrupted;
static atomic_bool ending;

static void on_signal(int signal)
{
    (void)signal;
    interrupted = 1;
}

static bool catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: it ends a sleep */

    return sigemptyset(&action.sa_mask) == 0 && sigaction(SIGINT, &action, NULL) == 0 &&
           sigaction(SIGTERM, &action, NULL) == 0;
}

/* ---- the service: one thread, one byte in, one byte out ---- */

enum mood { WELL, HANGS, SLOW, GONE };

static const char *const mood_names[] = {"well", "hangs", "slow", "gone"};

struct client {
    int fd;
    uint64_t answer_ns; /* when its answer is due; 0: it has not asked yet */
};

struct service {
    _Atomic int mood;
    struct sockaddr_in address;
    int listener; /* -1: closed, a connect is refused at once */
    struct client clients[CLIENTS_MAX];
    size_t count;
};

static bool service_listen(struct service *service)
{
    const int on = 1;
    socklen_t length = sizeof(service->address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        return false;
    }
    /* A short queue: when nobody accepts, connects soon hang, as they do when a host is dead. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (const struct sockaddr *)&service->address, length) != 0 ||
        listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&service->address, &length) != 0) {
        (void)close(fd);
        return false;
    }
    service->listener = fd;
    return true;
}

static void service_drop(struct service *service, size_t index)
{
    (void)close(service->clients[index].fd);
    service->clients[index] = service->clients[--service->count];
}

static void service_close(struct service *service)
{
    while (service->count > 0) {
        service_drop(service, 0);
    }
    if (service->listener >= 0) {
        (void)close(service->listener);
        service->listener = -1;
    }
}

static void service_accept(struct service *service)
{
    while (service->count < CLIENTS_MAX) {
        const int fd = accept(service->listener, NULL, NULL);

        if (fd < 0) {
            return;
        }
        service->clients[service->count++] = (struct client){.fd = fd};
    }
}

/* Read the question, or send the answer that is due. False: done with this client. */
static bool service_serve(struct client *client, enum mood mood, bool readable)
{
    char byte;

    if (client->answer_ns == 0) {
        if (!readable) {
            return true;
        }
        if (recv(client->fd, &byte, 1, MSG_DONTWAIT) != 1) {
            return false;
        }
        client->answer_ns = now_ns() + (mood == SLOW ? SLOW_MS * NS_PER_MS : 0);
    }
    if (now_ns() < client->answer_ns) {
        return true;
    }
    (void)send(client->fd, "!", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    return false;
}

static void service_round(struct service *service, enum mood mood)
{
    struct pollfd fds[CLIENTS_MAX + 1];
    const size_t count = service->count;

    for (size_t i = 0; i < count; ++i) {
        fds[i] =
            (struct pollfd){.fd = service->clients[i].answer_ns == 0 ? service->clients[i].fd : -1,
                            .events = POLLIN};
    }
    fds[count] = (struct pollfd){.fd = service->listener, .events = POLLIN};
    (void)poll(fds, count + 1, TICK_MS);
    for (size_t i = count; i-- > 0;) {
        if (!service_serve(&service->clients[i], mood, fds[i].revents != 0)) {
            service_drop(service, i);
        }
    }
    if (fds[count].revents != 0) {
        service_accept(service);
    }
}

static void *service_main(void *argument)
{
    struct service *const service = argument;

    while (!atomic_load(&ending)) {
        const enum mood mood = (enum mood)atomic_load(&service->mood);

        if (mood == GONE) {
            service_close(service);
        } else if (service->listener < 0) {
            (void)service_listen(service);
        }
        if (mood == HANGS || service->listener < 0) {
            sleep_ms(TICK_MS);
        } else {
            service_round(service, mood);
        }
    }
    service_close(service);
    return NULL;
}

/* ---- the client: connect, ask, read the answer, all before one moment ---- */

/* 0, or an errno. */
static int await(int fd, short events, uint64_t until_ns)
{
    struct pollfd wait = {.fd = fd, .events = events};
    const uint64_t now = now_ns();
    int ready = 0;

    if (now < until_ns) {
        ready = poll(&wait, 1, (int)((until_ns - now + NS_PER_MS - 1) / NS_PER_MS));
    }
    if (ready < 0) {
        return errno;
    }
    return ready == 0 ? ETIMEDOUT : 0;
}

static int connect_until(int fd, const struct sockaddr_in *address, uint64_t until_ns)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
        return 0;
    }
    if (errno != EINPROGRESS) {
        return errno;
    }
    error = await(fd, POLLOUT, until_ns);
    if (error == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
        error = errno;
    }
    return error;
}

static int ask(const struct sockaddr_in *address, uint64_t until_ns)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char answer;
    int error;

    if (fd < 0) {
        return errno;
    }
    error = connect_until(fd, address, until_ns);
    if (error == 0 && send(fd, "?", 1, MSG_NOSIGNAL) != 1) {
        error = errno;
    }
    if (error == 0) {
        error = await(fd, POLLIN, until_ns);
    }
    if (error == 0 && recv(fd, &answer, 1, 0) != 1) {
        error = ECONNRESET;
    }
    (void)close(fd);
    return error;
}

/* The same for weir: a command, whose time is what the call has left. */
static int run_ask(weir_call *call, const void *argument, void *result)
{
    (void)result;
    return ask(argument, now_ns() + weir_call_left_ns(call));
}

static const weir_command ask_command = {
    WEIR_SIZED(weir_command), .name = "service.ask", .isolations = WEIR_INLINE,
    .argument_max = sizeof(struct sockaddr_in), .run = run_ask};

/* ---- the two groups of callers ---- */

struct tally {
    uint64_t answered, failed, refused;
    uint64_t spent_ns;   /* in calls */
    uint64_t lost_ns;    /* of that, in calls that brought no answer */
    uint64_t longest_ns; /* of all calls */
};

struct group {
    const struct sockaddr_in *address;
    weir_dependency *dependency; /* NULL: bare */
    pthread_mutex_t mutex;
    struct tally second, total; /* under the mutex */
};

static weir_status make_call(const struct group *group)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = group->address,
                                  .argument_size = sizeof(*group->address)};

    if (group->dependency != NULL) {
        return weir_execute(group->dependency, &ask_command, &request, NULL);
    }
    return ask(group->address, now_ns() + CALL_MS * NS_PER_MS) == 0 ? WEIR_OK : WEIR_FAILED;
}

static void enter(struct tally *tally, weir_status status, uint64_t took_ns)
{
    tally->spent_ns += took_ns;
    if (status == WEIR_OK) {
        tally->answered += 1;
    } else {
        /* 100 to 199 are refusals: the work never ran. */
        *(status >= 100 && status < 200 ? &tally->refused : &tally->failed) += 1;
        tally->lost_ns += took_ns;
    }
    if (took_ns > tally->longest_ns) {
        tally->longest_ns = took_ns;
    }
}

static void *caller_main(void *argument)
{
    struct group *const group = argument;

    while (!atomic_load(&ending)) {
        const uint64_t start_ns = now_ns();
        const weir_status status = make_call(group);
        const uint64_t took_ns = now_ns() - start_ns;

        (void)pthread_mutex_lock(&group->mutex);
        enter(&group->second, status, took_ns);
        enter(&group->total, status, took_ns);
        (void)pthread_mutex_unlock(&group->mutex);
        sleep_ms(PAUSE_MS);
    }
    return NULL;
}

static struct tally take_second(struct group *group)
{
    struct tally second;

    (void)pthread_mutex_lock(&group->mutex);
    second = group->second;
    group->second = (struct tally){0};
    (void)pthread_mutex_unlock(&group->mutex);
    return second;
}

/* ---- what is shown ---- */

static const char *breaker_name(weir_dependency *dependency)
{
    static const char *const names[] = {[WEIR_BREAKER_CLOSED] = "closed",
                                        [WEIR_BREAKER_OPEN] = "open",
                                        [WEIR_BREAKER_HALF_OPEN] = "half-open"};
    uint64_t values[WEIR_COUNT_END];
    uint64_t state;

    (void)weir_dependency_read(dependency, values, WEIR_COUNT_END);
    state = values[WEIR_COUNT_BREAKER_STATE];
    return state >= WEIR_BREAKER_CLOSED && state <= WEIR_BREAKER_HALF_OPEN ? names[state] : "-";
}

static void show_head(void)
{
    (void)printf("%d threads call a service over TCP without weir, %d with it; %d ms between calls,"
                 " %d ms for each at most.\n"
                 "\"lost\" is time that a group's threads spent in calls without an answer.\n\n"
                 "            |  without weir             |  with weir\n"
                 "  s service | answered failed   lost ms | answered failed refused   lost ms  "
                 "breaker\n",
                 THREADS, THREADS, PAUSE_MS, CALL_MS);
}

static void show_second(int second, enum mood mood, struct group *bare, struct group *guarded)
{
    const struct tally one = take_second(bare);
    const struct tally two = take_second(guarded);

    (void)printf("%3d %-7s | %8lu %6lu %9.1f | %8lu %6lu %7lu %9.1f  %s\n", second,
                 mood_names[mood], (unsigned long)one.answered, (unsigned long)one.failed,
                 (double)one.lost_ns / 1e6, (unsigned long)two.answered, (unsigned long)two.failed,
                 (unsigned long)two.refused, (double)two.lost_ns / 1e6,
                 breaker_name(guarded->dependency));
    (void)fflush(stdout);
}

static void show_table(const struct tally *one, const struct tally *two)
{
    (void)printf("\n%-32s %12s %12s\n", "in all", "without weir", "with weir");
    (void)printf("%-32s %12lu %12lu\n", "calls answered", (unsigned long)one->answered,
                 (unsigned long)two->answered);
    (void)printf("%-32s %12lu %12lu\n", "calls failed or timed out", (unsigned long)one->failed,
                 (unsigned long)two->failed);
    (void)printf("%-32s %12s %12lu\n", "calls refused by weir", "-", (unsigned long)two->refused);
    (void)printf("%-32s %12.1f %12.1f\n", "time spent in calls, ms", (double)one->spent_ns / 1e6,
                 (double)two->spent_ns / 1e6);
    (void)printf("%-32s %12.1f %12.1f\n", "  of that without an answer", (double)one->lost_ns / 1e6,
                 (double)two->lost_ns / 1e6);
    (void)printf("%-32s %12.1f %12.1f\n", "longest call, ms", (double)one->longest_ns / 1e6,
                 (double)two->longest_ns / 1e6);
}

/* ---- the course of events ---- */

static const struct {
    enum mood mood;
    int seconds;
} course[] = {{WELL, 2}, {HANGS, 3}, {WELL, 2}, {SLOW, 2}, {GONE, 2}, {WELL, 2}};

/* One mood for some seconds. False: interrupted. */
static bool play_mood(size_t at, int *second, struct group *bare, struct group *guarded)
{
    for (int s = 0; s < course[at].seconds; ++s) {
        sleep_ms(1000);
        if (interrupted) {
            return false;
        }
        *second += 1;
        show_second(*second, course[at].mood, bare, guarded);
    }
    return true;
}

static void play(struct service *service, struct group *bare, struct group *guarded)
{
    bool goes_on = true;
    int second = 0;

    show_head();
    for (size_t i = 0; i < sizeof(course) / sizeof(course[0]) && goes_on; ++i) {
        atomic_store(&service->mood, course[i].mood);
        goes_on = play_mood(i, &second, bare, guarded);
    }
}

/* The service, then THREADS callers for each group. Returns how many have started. */
static size_t start_threads(pthread_t *threads, struct service *service, struct group *bare,
                            struct group *guarded)
{
    size_t started = 0;

    if (pthread_create(&threads[started], NULL, service_main, service) == 0) {
        ++started;
    }
    while (started > 0 && started <= 2 * (size_t)THREADS) {
        if (pthread_create(&threads[started], NULL, caller_main,
                           started % 2 == 0 ? bare : guarded) != 0) {
            break;
        }
        ++started;
    }
    return started;
}

/* Plays it and stops every thread. False: it could not be played. */
static bool play_with_threads(struct service *service, struct group *bare, struct group *guarded)
{
    pthread_t threads[1 + 2 * THREADS];
    const size_t started = start_threads(threads, service, bare, guarded);
    const bool complete = started == 1 + 2 * (size_t)THREADS;

    if (complete) {
        play(service, bare, guarded);
    }
    atomic_store(&ending, true);
    for (size_t i = 0; i < started; ++i) {
        (void)pthread_join(threads[i], NULL);
    }
    return complete;
}

/* 0: played to its end; 1: something is wrong; 130: interrupted. */
static int demo(weir_runtime *runtime, weir_dependency *dependency, struct service *service)
{
    struct group bare = {.address = &service->address, .mutex = PTHREAD_MUTEX_INITIALIZER};
    struct group guarded = {
        .address = &service->address, .dependency = dependency, .mutex = PTHREAD_MUTEX_INITIALIZER};
    weir_error error;

    if (!play_with_threads(service, &bare, &guarded)) {
        (void)fprintf(stderr, "demo: a thread could not be started\n");
        return 1;
    }
    show_table(&bare.total, &guarded.total);
    /* Nothing runs any more: what weir has counted must add up exactly. */
    if (weir_runtime_check(runtime, &error) != WEIR_OK) {
        (void)fprintf(stderr, "demo: %s\n", error.message);
        return 1;
    }
    (void)printf("\nAll threads and sockets are closed%s.\n",
                 interrupted ? "; it was stopped early" : "");
    return interrupted ? 130 : 0;
}

int main(void)
{
    static struct service service = {.listener = -1, .address = {.sin_family = AF_INET}};
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings};
    weir_runtime *runtime = NULL;
    weir_dependency *dependency = NULL;
    weir_error error;
    int code = 1;

    service.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK); /* port 0: the kernel chooses one */
    if (!catch_signals() || !service_listen(&service)) {
        perror("demo: no socket on the loopback interface");
        return 1;
    }
    if (weir_runtime_create(NULL, &runtime, &error) == WEIR_OK &&
        weir_dependency_create(runtime, "service", &options, &dependency, &error) == WEIR_OK) {
        code = demo(runtime, dependency, &service);
    } else {
        (void)fprintf(stderr, "demo: %s\n", error.message);
    }
    service_close(&service);
    weir_runtime_destroy(runtime);
    return code;
}
