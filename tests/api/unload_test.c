/*
 * The library loaded and unloaded at run time. This program calls weir through dlsym() alone, so
 * that the linker leaves the library out and dlclose() really takes it away. Sanitizer builds link
 * it all the same: there the threads are counted, and the library stays.
 */
#define _GNU_SOURCE
#include "support/harness.h"

#include <weir/weir.h>

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIBRARY WEIR_BINARY_DIR "/libweir.so"

enum { PATIENCE_SECS = 60, ROUNDS = 100 };

/* ---- the functions of a loaded library ---- */

struct api {
    void *library;
    weir_status (*runtime_create)(const weir_runtime_options *options, weir_runtime **ret_runtime,
                                  weir_error *error);
    weir_status (*runtime_stop)(weir_runtime *runtime, uint64_t grace_ns, size_t *ret_stuck);
    void (*runtime_destroy)(weir_runtime *runtime);
    weir_status (*dependency_create)(weir_runtime *runtime, const char *name,
                                     const weir_dependency_options *options,
                                     weir_dependency **ret_dependency, weir_error *error);
    weir_status (*execute)(weir_dependency *dependency, const weir_command *command,
                           const weir_request *request, weir_outcome *ret_outcome);
    weir_status (*queue_create)(weir_runtime *runtime, weir_queue **ret_queue, weir_error *error);
    weir_status (*queue_destroy)(weir_queue *queue);
    weir_status (*context_derive)(const weir_context *parent, const weir_label *labels,
                                  size_t count, uint64_t within_ns, weir_context **ret_context);
    void (*context_release)(weir_context *context);
};

/* ISO C converts no object pointer to a function pointer; POSIX promises that the bytes do. */
static bool find(void *library, const char *name, void *ret_function, size_t size)
{
    void *const symbol = dlsym(library, name);

    memcpy(ret_function, &symbol, size);
    return symbol != NULL;
}

#define FIND(api, name) find((api)->library, "weir_" #name, &(api)->name, sizeof((api)->name))

static bool load(struct api *api)
{
    api->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    return api->library != NULL && FIND(api, runtime_create) && FIND(api, runtime_stop) &&
           FIND(api, runtime_destroy) && FIND(api, dependency_create) && FIND(api, execute) &&
           FIND(api, queue_create) && FIND(api, queue_destroy) && FIND(api, context_derive) &&
           FIND(api, context_release);
}

static bool is_loaded(void)
{
    void *const library = dlopen(LIBRARY, RTLD_NOW | RTLD_NOLOAD);

    if (library != NULL) {
        (void)dlclose(library);
    }
    return library != NULL;
}

/* ---- counting ---- */

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.' ? 1 : 0;
}

static int entries_of(const char *path)
{
    struct dirent **entries = NULL;
    const int count = scandir(path, &entries, is_visible, NULL);

    for (int i = 0; i < count; ++i) {
        free(entries[i]);
    }
    free(entries);
    return count;
}

static time_t real_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* A thread that has been joined may be seen there a moment longer. */
static bool await_threads(int wanted)
{
    const time_t until = real_seconds() + PATIENCE_SECS;

    while (entries_of("/proc/self/task") != wanted && real_seconds() < until) {
        (void)sched_yield();
    }
    return entries_of("/proc/self/task") == wanted;
}

/* ---- one life of the library ---- */

static int run_nothing(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)result;
    return 0;
}

static const weir_command nothing = {WEIR_SIZED(weir_command), .name = "nothing",
                                     .isolations = WEIR_INLINE | WEIR_THREAD, .run = run_nothing};

static weir_dependency *add(const struct api *api, weir_runtime *runtime, const char *name,
                            const char *settings)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings};
    weir_dependency *dependency = NULL;

    cr_assert_eq(api->dependency_create(runtime, name, &options, &dependency, NULL), WEIR_OK);
    return dependency;
}

static void use(const struct api *api)
{
    weir_runtime *runtime = NULL;
    weir_context *context = NULL;
    weir_queue *queue = NULL;
    const int threads = entries_of("/proc/self/task");

    cr_assert_eq(api->runtime_create(NULL, &runtime, NULL), WEIR_OK);
    weir_dependency *const pooled =
        add(api, runtime, "pooled", "isolation: thread, threads: 3, timeout: off");
    weir_dependency *const inlined = add(api, runtime, "inlined", "breaker: on, timeout: off");
    cr_assert_eq(api->queue_create(runtime, &queue, NULL), WEIR_OK);
    cr_expect_eq(entries_of("/proc/self/task"), threads + 5); /* three workers, helper, timer */
    cr_expect_eq(api->execute(pooled, &nothing, NULL, NULL), WEIR_OK);
    cr_expect_eq(api->execute(inlined, &nothing, NULL, NULL), WEIR_OK);
    cr_expect_eq(api->context_derive(NULL, NULL, 0, 0, &context), WEIR_OK);
    api->context_release(context);
    cr_expect_eq(api->queue_destroy(queue), WEIR_OK);
    cr_expect_eq(api->runtime_stop(runtime, UINT64_MAX, NULL), WEIR_OK);
    api->runtime_destroy(runtime);
}

static void *end_at_once(void *user)
{
    return user;
}

/* A sanitizer starts a thread of its own when the program does. */
static void start_one_thread(void)
{
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, end_at_once, NULL), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
}

/* row: Hystrix#388 */
Test(unload, a_hundred_lives_of_the_library_each_end_with_this_thread_alone)
{
    const bool linked = is_loaded();
    const int descriptors = entries_of("/proc/self/fd");
    int threads;
    static struct api api;

    if (access(LIBRARY, R_OK) != 0) {
        return; /* built as a static library */
    }
    start_one_thread();
    threads = entries_of("/proc/self/task"); /* 1, but for the runner's or a sanitizer's own */
    for (int i = 0; i < ROUNDS; ++i) {
        cr_assert(load(&api));
        use(&api);
        cr_assert_eq(dlclose(api.library), 0);
        cr_assert_eq(is_loaded(), linked);
        cr_assert(await_threads(threads));
    }
    cr_expect_eq(entries_of("/proc/self/fd"), descriptors);
}

struct bystander {
    pthread_t thread;
    pthread_barrier_t used, unloaded;
    struct api api;
};

static void *bystander_main(void *user)
{
    struct bystander *const bystander = user;
    weir_runtime *runtime = NULL;

    (void)bystander->api.runtime_create(NULL, &runtime, NULL);
    bystander->api.runtime_destroy(runtime);
    (void)pthread_barrier_wait(&bystander->used);
    (void)pthread_barrier_wait(&bystander->unloaded);
    return NULL; /* its thread-specific data is destroyed after the library has gone */
}

Test(unload, a_thread_that_has_used_the_library_may_outlive_it)
{
    static struct bystander bystander;

    if (access(LIBRARY, R_OK) != 0) {
        return;
    }
    cr_assert(load(&bystander.api));
    (void)pthread_barrier_init(&bystander.used, NULL, 2);
    (void)pthread_barrier_init(&bystander.unloaded, NULL, 2);
    cr_assert_eq(pthread_create(&bystander.thread, NULL, bystander_main, &bystander), 0);
    (void)pthread_barrier_wait(&bystander.used);
    cr_expect_eq(dlclose(bystander.api.library), 0);
    (void)pthread_barrier_wait(&bystander.unloaded);
    cr_expect_eq(pthread_join(bystander.thread, NULL), 0);
    (void)pthread_barrier_destroy(&bystander.used);
    (void)pthread_barrier_destroy(&bystander.unloaded);
}

Test(unload, a_process_may_fork_when_the_library_has_gone)
{
    static struct api api;
    int status = 0;
    pid_t pid;

    if (access(LIBRARY, R_OK) != 0) {
        return;
    }
    cr_assert(load(&api));
    use(&api);
    cr_assert_eq(dlclose(api.library), 0);
    pid = fork();
    if (pid == 0) {
        _exit(42);
    }
    cr_assert_gt(pid, 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status));
    cr_expect_eq(WEXITSTATUS(status), 42);
}
