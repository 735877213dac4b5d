/*
 * Completion queues: a list of settled jobs under a mutex, an eventfd for event loops, a word for
 * threads that wait in take.
 *
 * The eventfd is written when the list becomes non-empty and read when it becomes empty, both under
 * the mutex: it is readable exactly while completions stand. Nobody pays for it before somebody has
 * asked for it.
 */
#define _GNU_SOURCE
#include "command/completion.h"

#include "base/fail.h"
#include "base/saturate.h"
#include "command/fallback.h"

#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct weir_queue {
    struct wr_host *host; /* borrowed */
    uint32_t forks;
    int fd;
    _Alignas(64) _Atomic uint32_t expected; /* submitted and not ended */
    _Atomic uint32_t word;                  /* grows when a waiter is woken; they sleep on it */
    struct {
        _Alignas(64) struct wr_mutex mutex;
        struct wr_job *first, *last;
        uint32_t waiters; /* at least those that sleep and have not been woken: a burst of
                             completions wakes each of them once */
        bool signals;     /* weir_queue_fd() has been called */
    } locked;
};

static weir_status make(weir_runtime *runtime, weir_queue **ret_queue, weir_error *error)
{
    struct wr_host *const host = &runtime->host;
    weir_queue *const queue = wr_host_allocate(host, sizeof(*queue));

    if (queue == NULL) {
        return wr_fail(error, WEIR_E_MEMORY, "no memory for a completion queue");
    }
    queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->fd < 0) {
        wr_host_release(host, queue, sizeof(*queue));
        return wr_fail(error, WEIR_E_SYSTEM,
                       "no file descriptor for a completion queue: raise the limit (ulimit -n)");
    }
    queue->host = host;
    queue->forks = wr_fork_count();
    wr_mutex_init(&queue->locked.mutex);
    *ret_queue = queue;
    return WEIR_OK;
}

static bool start_timer(weir_runtime *runtime)
{
    wr_runtime_settle(runtime);
    return wr_timer_start(&runtime->timer);
}

weir_status weir_queue_create(weir_runtime *runtime, weir_queue **ret_queue, weir_error *error)
{
    weir_status status;

    if (runtime == NULL || ret_queue == NULL) {
        return wr_fail(error, WEIR_E_ARGUMENT, "give a runtime and ret_queue");
    }
    if (!wr_runtime_is_here(runtime)) {
        return wr_fail(error, WEIR_E_FORKED,
                       "the runtime's threads are the parent's: make a new runtime in the child");
    }
    wr_mutex_lock(&runtime->locked.mutex);
    if (runtime->locked.stopped) {
        status = wr_fail(error, WEIR_E_BUSY, "the runtime has been stopped: make a new one");
    } else if (!start_timer(runtime)) {
        status =
            wr_fail(error, WEIR_E_SYSTEM, "no thread for the timer: raise the limit (ulimit -u)");
    } else {
        status = make(runtime, ret_queue, error);
    }
    wr_mutex_unlock(&runtime->locked.mutex);
    return status;
}

weir_status weir_queue_destroy(weir_queue *queue)
{
    struct wr_host *host;

    if (queue == NULL) {
        return WEIR_OK;
    }
    /* Acquire: pairs with the release in wr_queue_forget(). */
    if (atomic_load_explicit(&queue->expected, memory_order_acquire) != 0 &&
        wr_queue_is_here(queue)) {
        return WEIR_E_BUSY;
    }
    host = queue->host;
    (void)close(queue->fd);
    wr_mutex_destroy(&queue->locked.mutex);
    wr_host_release(host, queue, sizeof(*queue));
    return WEIR_OK;
}

bool wr_queue_serves(const weir_queue *queue, const struct wr_host *host)
{
    return queue != NULL && queue->host == host;
}

bool wr_queue_is_here(const weir_queue *queue)
{
    return queue->forks == wr_fork_count();
}

uint64_t wr_queue_now(const weir_queue *queue)
{
    return wr_clock_now(&queue->host->clock);
}

void wr_queue_expect(weir_queue *queue)
{
    (void)atomic_fetch_add_explicit(&queue->expected, 1, memory_order_relaxed);
}

void wr_queue_forget(weir_queue *queue)
{
    (void)atomic_fetch_sub_explicit(&queue->expected, 1, memory_order_release);
}

/* Cannot fail: the counter of an eventfd is far from full, and reading it never blocks. */
static void signal_locked(weir_queue *queue) WR_REQUIRES(queue->locked.mutex)
{
    (void)eventfd_write(queue->fd, 1);
}

static void unsignal_locked(weir_queue *queue) WR_REQUIRES(queue->locked.mutex)
{
    eventfd_t ignored;

    (void)eventfd_read(queue->fd, &ignored);
}

int weir_queue_fd(weir_queue *queue)
{
    if (queue == NULL) {
        return -1;
    }
    if (!wr_queue_is_here(queue)) {
        return queue->fd;
    }
    wr_mutex_lock(&queue->locked.mutex);
    if (!queue->locked.signals && queue->locked.first != NULL) {
        signal_locked(queue);
    }
    queue->locked.signals = true;
    wr_mutex_unlock(&queue->locked.mutex);
    return queue->fd;
}

void wr_queue_push(weir_queue *queue, struct wr_job *job)
{
    const weir_clock *const clock = &queue->host->clock;
    _Atomic uint32_t *const word = &queue->word;
    bool waits;

    wr_mutex_lock(&queue->locked.mutex);
    job->next_completion = NULL;
    if (queue->locked.first == NULL && queue->locked.signals) {
        signal_locked(queue);
    }
    *(queue->locked.first != NULL ? &queue->locked.last->next_completion : &queue->locked.first) =
        job;
    queue->locked.last = job;
    waits = queue->locked.waiters != 0;
    if (waits) {
        queue->locked.waiters -= 1;
        (void)atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
    }
    wr_mutex_unlock(&queue->locked.mutex);
    /* The queue may be gone: its last completion taken and ended, and it destroyed. */
    if (waits) {
        wr_clock_wake(clock, word, 1);
    }
}

/* Take up to `max` jobs off the list, linked. If there is none and `waits`, be counted as a waiter;
 * *ret_word is what to sleep on. */
static struct wr_job *take_jobs(weir_queue *queue, size_t max, bool waits, uint32_t *ret_word)
{
    struct wr_job *first;
    struct wr_job *last;

    wr_mutex_lock(&queue->locked.mutex);
    first = queue->locked.first;
    for (last = first; last != NULL && max > 1 && last->next_completion != NULL; --max) {
        last = last->next_completion;
    }
    if (first != NULL) {
        queue->locked.first = last->next_completion;
        last->next_completion = NULL;
        if (queue->locked.first == NULL && queue->locked.signals) {
            unsignal_locked(queue);
        }
    } else if (waits) {
        queue->locked.waiters += 1;
        *ret_word = atomic_load_explicit(&queue->word, memory_order_relaxed);
    }
    wr_mutex_unlock(&queue->locked.mutex);
    return first;
}

/* A waiter that comes back while the word stands was woken by nobody: it takes itself off. (If the
 * word has moved for another waiter, it counts as one too many until the next completion.) */
static void stop_waiting(weir_queue *queue, uint32_t word)
{
    wr_mutex_lock(&queue->locked.mutex);
    if (atomic_load_explicit(&queue->word, memory_order_relaxed) == word) {
        queue->locked.waiters -= 1;
    }
    wr_mutex_unlock(&queue->locked.mutex);
}

static struct wr_job *await_jobs(weir_queue *queue, size_t max, uint64_t wait_ns)
{
    const weir_clock *const clock = &queue->host->clock;
    const uint64_t until_ns = wait_ns != 0 ? wr_sat_add(wr_clock_now(clock), wait_ns) : 0;
    uint32_t word = 0;
    struct wr_job *first;

    while ((first = take_jobs(queue, max, wait_ns != 0, &word)) == NULL && wait_ns != 0) {
        const int woken = wr_clock_wait(clock, &queue->word, word, until_ns);

        stop_waiting(queue, word);
        if (woken == WEIR_WAIT_EXPIRED) {
            wait_ns = 0; /* one more look */
        }
    }
    return first;
}

static weir_status answer_instead(struct wr_job *job, weir_completion *completion)
{
    if (job->answer != NULL) {
        memset(job->answer, 0, job->result_bytes);
    }
    return wr_fall_back(&(struct wr_fallback){.answer = job->fallback,
                                              .argument = job->argument,
                                              .result = job->answer,
                                              .crossing = &job->crossing,
                                              .clock = &job->dependency->host->clock,
                                              .by_ns = job->answer_by_ns},
                        completion->status, &completion->outcome);
}

/* May run the call's fallback. */
static void fill(weir_completion *completion, struct wr_job *job)
{
    completion->user = job->user;
    completion->cell = &job->cell;
    wr_ticket_of(job, &completion->ticket);
    completion->reserved = 0;
    completion->status = wr_job_outcome(job, job->left_ns, &completion->outcome);
    if (wr_may_fall_back(job->fallback, completion->status)) {
        completion->status = answer_instead(job, completion);
    }
}

size_t weir_queue_take(weir_queue *queue, weir_completion *ret_completions, size_t max,
                       uint64_t wait_ns)
{
    struct wr_job *job;
    size_t count = 0;

    if (queue == NULL || ret_completions == NULL || max == 0 || !wr_queue_is_here(queue)) {
        return 0;
    }
    for (job = await_jobs(queue, max, wait_ns); job != NULL; ++count) {
        struct wr_job *const next = job->next_completion;

        fill(&ret_completions[count], job);
        job = next;
    }
    return count;
}

/* The job that a completion stands for; NULL: it has been ended before. */
static struct wr_job *job_of(const weir_completion *completion)
{
    uint64_t generation;
    struct wr_cell *const cell = wr_ticket_cell(&completion->ticket, &generation);

    return cell != NULL && completion->cell == cell &&
                   wr_cell_generation(wr_cell_read(cell)) == generation
               ? wr_job_of(cell)
               : NULL;
}

const weir_context *weir_completion_context(const weir_completion *completion)
{
    struct wr_job *const job = completion != NULL ? job_of(completion) : NULL;

    return job != NULL ? job->crossing.context : NULL;
}

weir_status weir_completion_end(weir_completion *completion, void *ret_result)
{
    struct wr_job *const job = completion != NULL ? job_of(completion) : NULL;
    weir_queue *queue;
    void *value;

    if (completion == NULL) {
        return WEIR_E_ARGUMENT;
    }
    completion->cell = NULL;
    if (job == NULL || atomic_exchange_explicit(&job->collected, 1, memory_order_relaxed) != 0) {
        return WEIR_E_STALE;
    }
    value = completion->outcome.source == WEIR_BY_FALLBACK ? job->answer : job->result;
    if (completion->status == WEIR_OK && value != NULL) {
        if (ret_result != NULL) {
            memcpy(ret_result, value, job->result_bytes);
        } else if (job->result_drop != NULL) {
            job->result_drop(value);
        }
    }
    queue = atomic_load_explicit(&job->queue, memory_order_relaxed);
    wr_job_release(job);
    wr_queue_forget(queue);
    return WEIR_OK;
}
