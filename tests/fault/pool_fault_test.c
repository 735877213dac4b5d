/*
 * The n-th thread, descriptor or allocation is not to be had, for every n, once and for ever: a
 * status, a message that says what to do, nothing left behind, and the next attempt works. And no
 * call on a pool allocates.
 *
 * The linker puts the functions below in the place of pthread_create(), eventfd() and malloc() and
 * its kin for all code of this program (--wrap).
 */
#include "support/world.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/* Something that can be had, until it cannot. */
struct supply {
    _Atomic uint64_t asked;
    _Atomic uint64_t fail_at; /* counted like `asked`; 0: none */
    _Atomic bool fail_forever;
};

static struct supply threads;
static struct supply descriptors;
static _Atomic uint64_t mallocs;

static bool fails(struct supply *supply)
{
    const uint64_t asked = atomic_fetch_add(&supply->asked, 1) + 1;
    const uint64_t fail_at = atomic_load(&supply->fail_at);

    return fail_at != 0 && (asked == fail_at || (supply->fail_forever && asked > fail_at));
}

/* From now on the n-th one fails; 0: none. */
static void fail_next(struct supply *supply, uint64_t n, bool forever)
{
    atomic_store(&supply->fail_forever, forever);
    atomic_store(&supply->fail_at, n == 0 ? 0 : atomic_load(&supply->asked) + n);
}

static bool has_failed(const struct supply *supply)
{
    return atomic_load(&supply->asked) >= atomic_load(&supply->fail_at);
}

/* The linker gives these names. */
/* NOLINTBEGIN(readability-identifier-naming) */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *user);
int __real_eventfd(unsigned value, int flags);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
int __real_posix_memalign(void **memory, size_t alignment, size_t size);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *user);
int __wrap_eventfd(unsigned value, int flags);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t size);
/* NOLINTEND(readability-identifier-naming) */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *user)
{
    return fails(&threads) ? EAGAIN : __real_pthread_create(thread, attributes, body, user);
}

int __wrap_eventfd(unsigned value, int flags)
{
    if (fails(&descriptors)) {
        errno = EMFILE;
        return -1;
    }
    return __real_eventfd(value, flags);
}

void *__wrap_malloc(size_t size)
{
    (void)atomic_fetch_add(&mallocs, 1);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    (void)atomic_fetch_add(&mallocs, 1);
    return __real_calloc(count, size);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t size)
{
    (void)atomic_fetch_add(&mallocs, 1);
    return __real_posix_memalign(memory, alignment, size);
}

/* From now on the world's n-th allocation fails. */
static void fail_memory(struct world *world, uint64_t n, bool forever)
{
    world->memory.fail_at = n == 0 ? 0 : world->memory.calls + n;
    world->memory.fail_forever = forever ? 1 : 0;
}

static bool memory_has_failed(const struct world *world)
{
    return world->memory.calls >= world->memory.fail_at;
}

/* ---- threads of this process ---- */

static unsigned thread_count(void)
{
    DIR *const tasks = opendir("/proc/self/task");
    const struct dirent *task;
    unsigned count = 0;

    cr_assert_not_null(tasks);
    while ((task = readdir(tasks)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        count += task->d_name[0] != '.' ? 1U : 0U;
    }
    (void)closedir(tasks);
    return count;
}

/* A thread that has been joined may be listed for another moment. */
static bool thread_count_comes_to(unsigned count)
{
    for (int i = 0; i < 10000; ++i) {
        if (thread_count() == count) {
            return true;
        }
        (void)sched_yield();
    }
    return false;
}

/* ---- commands ---- */

static int nothing_run(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)result;
    return 0;
}

static const weir_command nothing = {WEIR_SIZED(weir_command), .name = "nothing",
                                     .isolations = WEIR_THREAD, .run = nothing_run};

/* Its argument is a pointer to a gate. */
static const weir_command held = {WEIR_SIZED(weir_command), .name = "held",
                                  .isolations = WEIR_THREAD, .argument_max = sizeof(struct gate *),
                                  .run = gated_run};

static bool works(weir_dependency *dependency)
{
    return weir_execute(dependency, &nothing, NULL, NULL) == WEIR_OK;
}

/* ---- a dependency ---- */

static const char four[] = "isolation: thread, threads: 4, queue: 4, timeout: off";

/* What fails in one round of a loop: the n-th thread or the n-th allocation. */
struct shortage {
    bool of_threads;
    bool forever;
    uint64_t n;
};

static void begin_shortage(struct world *world, const struct shortage *shortage)
{
    if (shortage->of_threads) {
        fail_next(&threads, shortage->n, shortage->forever);
    } else {
        fail_memory(world, shortage->n, shortage->forever);
    }
}

/* False: there was no n-th. */
static bool end_shortage(struct world *world, const struct shortage *shortage)
{
    const bool hit = shortage->of_threads ? has_failed(&threads) : memory_has_failed(world);

    fail_next(&threads, 0, false);
    fail_memory(world, 0, false);
    return hit;
}

static void check_message(struct world *world, const struct shortage *shortage, weir_status status)
{
    cr_expect_eq(status, shortage->of_threads ? WEIR_E_SYSTEM : WEIR_E_MEMORY);
    cr_expect(world_says(world, shortage->of_threads ? "ulimit -u" : "no memory"));
}

/* False: there was no n-th. */
static bool create_meets(const struct shortage *shortage)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options), .settings = four};
    struct world world;
    weir_dependency *dependency = NULL;
    weir_status status;
    bool hit;

    world_open_empty(&world);
    (void)world_add(&world, "first", "isolation: thread, threads: 1, timeout: off");
    const unsigned before = thread_count();
    const uint64_t live_bytes = world.memory.live_bytes;
    begin_shortage(&world, shortage);
    status = weir_dependency_create(world.runtime, "db", &options, &dependency, &world.error);
    hit = end_shortage(&world, shortage);
    /* Some memory can be done without. */
    cr_expect(status != WEIR_OK ? hit : !hit || !shortage->of_threads);
    if (status != WEIR_OK) {
        check_message(&world, shortage, status);
        cr_expect_null(dependency);
        cr_expect_null(weir_dependency_find(world.runtime, "db"));
        cr_expect_eq(world.memory.live_bytes, live_bytes);
        cr_expect(thread_count_comes_to(before));
        dependency = world_add(&world, "db", four);
    }
    cr_expect(works(dependency));
    world_close(&world);
    return hit;
}

Test(pool_fault, a_dependency_gets_all_its_threads_or_none)
{
    const unsigned before = thread_count();

    for (int forever = 0; forever <= 1; ++forever) {
        struct shortage shortage = {.of_threads = true, .forever = forever != 0, .n = 1};

        while (create_meets(&shortage)) {
            shortage.n += 1;
        }
        cr_expect_eq(shortage.n, 5U);
    }
    cr_expect(thread_count_comes_to(before));
}

Test(pool_fault, a_dependency_gets_all_its_memory_or_none)
{
    for (int forever = 0; forever <= 1; ++forever) {
        struct shortage shortage = {.forever = forever != 0, .n = 1};

        while (create_meets(&shortage)) {
            shortage.n += 1;
        }
        cr_expect_gt(shortage.n, 10U);
    }
}

Test(pool_fault, the_first_pool_of_a_runtime_needs_a_helper)
{
    const unsigned before = thread_count();
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options), .settings = four};
    weir_dependency *dependency = NULL;
    struct world world;

    world_open_empty(&world);
    fail_next(&threads, 1, false);
    cr_expect_eq(weir_dependency_create(world.runtime, "db", &options, &dependency, &world.error),
                 WEIR_E_SYSTEM);
    fail_next(&threads, 0, false);
    cr_expect(world_says(&world, "ulimit -u"));
    cr_expect(thread_count_comes_to(before));
    cr_expect(works(world_add(&world, "db", four)));
    world_close(&world);
    cr_expect(thread_count_comes_to(before));
}

/* ---- a queue ---- */

/* False: there was no n-th. */
static bool queue_meets(struct supply *supply, bool of_memory, uint64_t n)
{
    struct world world;
    weir_queue *queue = NULL;
    weir_status status;
    bool hit;

    world_open_empty(&world);
    const uint64_t live_bytes = world.memory.live_bytes;
    fail_memory(&world, of_memory ? n : 0, false);
    fail_next(supply, of_memory ? 0 : n, false);
    status = weir_queue_create(world.runtime, &queue, &world.error);
    hit = of_memory ? memory_has_failed(&world) : has_failed(supply);
    fail_memory(&world, 0, false);
    fail_next(supply, 0, false);
    cr_expect_eq(status != WEIR_OK, hit);
    if (hit) {
        cr_expect_eq(status, of_memory ? WEIR_E_MEMORY : WEIR_E_SYSTEM);
        cr_expect(world_says(&world, of_memory            ? "no memory"
                                     : supply == &threads ? "ulimit -u"
                                                          : "ulimit -n"));
        cr_expect_null(queue);
        cr_expect_eq(world.memory.live_bytes, live_bytes);
        cr_expect_eq(weir_queue_create(world.runtime, &queue, &world.error), WEIR_OK);
    }
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
    world_close(&world);
    return hit;
}

Test(pool_fault, a_queue_survives_each_of_its_needs_failing)
{
    const unsigned before = thread_count();

    cr_expect(queue_meets(&threads, false, 1));
    cr_expect_not(queue_meets(&threads, false, 2));
    cr_expect(queue_meets(&descriptors, false, 1));
    cr_expect_not(queue_meets(&descriptors, false, 2));
    cr_expect(queue_meets(&descriptors, true, 1));
    cr_expect_not(queue_meets(&descriptors, true, 2));
    cr_expect(thread_count_comes_to(before));
}

/* ---- growth ---- */

/* False: there was no n-th. */
static bool growth_meets(const struct shortage *shortage)
{
    static const weir_setting grow[] = {{.dependency = "pay", .key = "threads", .value = "6"},
                                        {.dependency = "db", .key = "threads", .value = "8"},
                                        {.dependency = "db", .key = "queue", .value = "400"}};
    struct world world;
    weir_dependency *db;
    weir_status status;
    bool hit;

    world_open(&world, four);
    db = world_add(&world, "db", four);
    const unsigned before = thread_count();
    begin_shortage(&world, shortage);
    status = weir_runtime_apply(world.runtime, grow, 3, &world.error);
    hit = end_shortage(&world, shortage);
    cr_expect_eq(status != WEIR_OK, hit);
    if (hit) {
        check_message(&world, shortage, status);
        cr_expect(thread_count_comes_to(before));
        cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 4U);
        cr_expect_eq(count_of(db, WEIR_COUNT_WORKERS), 4U);
        cr_expect_eq(world_count(&world, WEIR_COUNT_LIMIT), 8U);
        cr_expect_eq(count_of(db, WEIR_COUNT_LIMIT), 8U);
        cr_expect_eq(count_of(db, WEIR_COUNT_RELOADS), 0U);
        cr_expect(works(world.dependency) && works(db));
        cr_expect_eq(weir_runtime_apply(world.runtime, grow, 3, &world.error), WEIR_OK);
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 6U);
    cr_expect_eq(count_of(db, WEIR_COUNT_WORKERS), 8U);
    cr_expect_eq(count_of(db, WEIR_COUNT_LIMIT), 408U);
    cr_expect(thread_count_comes_to(before + 6));
    cr_expect(works(world.dependency) && works(db));
    world_close(&world);
    return hit;
}

Test(pool_fault, a_growth_of_two_pools_gets_all_its_threads_or_none)
{
    for (int forever = 0; forever <= 1; ++forever) {
        struct shortage shortage = {.of_threads = true, .forever = forever != 0, .n = 1};

        while (growth_meets(&shortage)) {
            shortage.n += 1;
        }
        cr_expect_eq(shortage.n, 7U);
    }
}

Test(pool_fault, a_growth_of_two_pools_gets_all_its_memory_or_none)
{
    for (int forever = 0; forever <= 1; ++forever) {
        struct shortage shortage = {.forever = forever != 0, .n = 1};

        while (growth_meets(&shortage)) {
            shortage.n += 1;
        }
        cr_expect_gt(shortage.n, 10U);
    }
}

/* ---- replacing abandoned work ---- */

/* Submit a call that stays in the gate, and give it up. */
static void abandon_one(struct world *world, weir_queue *queue, struct gate *gate, int inside)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &gate,
                                  .argument_size = sizeof(struct gate *)};
    weir_completion completion;
    weir_ticket ticket;

    cr_assert_eq(weir_submit(world->dependency, &held, &request, queue, NULL, &ticket, NULL),
                 WEIR_OK);
    gate_await(gate, inside);
    cr_expect_eq(weir_ticket_cancel(queue, ticket), WEIR_OK);
    cr_assert_eq(weir_queue_take(queue, &completion, 1, 0), 1U);
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
}

static bool workers_come_to(struct world *world, uint64_t count)
{
    for (int i = 0; i < 1000000; ++i) {
        if (world_count(world, WEIR_COUNT_WORKERS) == count) {
            return true;
        }
        (void)sched_yield();
    }
    return false;
}

static void await_asked(uint64_t asked)
{
    while (atomic_load(&threads.asked) < asked) {
        (void)sched_yield();
    }
}

Test(pool_fault, without_a_thread_to_replace_an_abandoned_one_the_others_go_on)
{
    struct gate gate = GATE_INIT;
    weir_queue *queue = NULL;
    struct world world;

    world_open(&world, "isolation: thread, threads: 3, replace_abandoned: 2, timeout: off");
    cr_assert_eq(weir_queue_create(world.runtime, &queue, &world.error), WEIR_OK);
    const uint64_t asked = atomic_load(&threads.asked);
    fail_next(&threads, 1, true);
    abandon_one(&world, queue, &gate, 1);
    await_asked(asked + 1);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 3U);
    cr_expect(works(world.dependency));
    fail_next(&threads, 0, false);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 3U); /* nobody has asked again */
    abandon_one(&world, queue, &gate, 2);
    cr_expect(workers_come_to(&world, 5));
    cr_expect(works(world.dependency));
    gate_open(&gate);
    cr_expect(workers_come_to(&world, 3));
    cr_expect(works(world.dependency));
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
    world_close(&world);
}

/* ---- the call path ---- */

static int overstaying_run(weir_call *call, const void *argument, void *result)
{
    (void)argument;
    (void)result;
    while (weir_call_abandoned(call) == 0) {
        (void)sched_yield();
    }
    return 0;
}

static const weir_command overstaying = {WEIR_SIZED(weir_command), .name = "overstaying",
                                         .isolations = WEIR_THREAD, .run = overstaying_run};

static void exercise(weir_dependency *dependency, weir_queue *queue)
{
    const weir_request soon = {WEIR_SIZED(weir_request), .within_ns = 100000};
    weir_completion completion;

    const weir_status left = weir_execute(dependency, &overstaying, &soon, NULL);

    /* It may not have begun. */
    cr_expect(left == WEIR_TIMED_OUT || left == WEIR_DEADLINE);
    cr_expect_eq(weir_execute(dependency, &nothing, NULL, NULL), WEIR_OK);
    cr_expect_eq(weir_submit(dependency, &nothing, NULL, queue, NULL, NULL, NULL), WEIR_OK);
    cr_expect_eq(weir_queue_take(queue, &completion, 1, UINT64_MAX), 1U);
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    cr_expect_eq(weir_submit(dependency, &overstaying, &soon, queue, NULL, NULL, NULL), WEIR_OK);
    cr_expect_eq(weir_queue_take(queue, &completion, 1, UINT64_MAX), 1U);
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    while (count_of(dependency, WEIR_COUNT_CELLS) != 0) {
        (void)sched_yield();
    }
}

Test(pool_fault, no_call_on_a_pool_allocates)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options), .settings = four};
    weir_failing_allocator memory;
    const weir_runtime_options real = {WEIR_SIZED(weir_runtime_options), .allocator = &memory.ops};
    weir_runtime *runtime = NULL;
    weir_dependency *dependency = NULL;
    weir_queue *queue = NULL;

    weir_failing_allocator_init(&memory, 0, 0);
    cr_assert_eq(weir_runtime_create(&real, &runtime, NULL), WEIR_OK);
    cr_assert_eq(weir_dependency_create(runtime, "db", &options, &dependency, NULL), WEIR_OK);
    cr_assert_eq(weir_queue_create(runtime, &queue, NULL), WEIR_OK);
    for (int i = 0; i < 100; ++i) {
        exercise(dependency, queue);
    }
    const uint64_t calls = memory.calls;
    const uint64_t before = atomic_load(&mallocs);
    for (int i = 0; i < 1000; ++i) {
        exercise(dependency, queue);
    }
    cr_expect_eq(memory.calls, calls);
    cr_expect_eq(atomic_load(&mallocs), before);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
    weir_runtime_destroy(runtime);
    cr_expect_eq(memory.live, 0U);
}
