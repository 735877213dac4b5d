/*
 * Weir at the end of a process and of a thread: from atexit handlers, destructors, and destructors
 * of thread-specific data. Each scene is this program again, which then runs nothing but the scene
 * and ends as the scene says; its exit code says whether all was well.
 */
#define _GNU_SOURCE
#include "support/harness.h"

#include <weir/weir.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit codes of a scene; a scene that hangs ends itself. */
enum { ALL_WELL = 42, WENT_WRONG = 1, SCENE_SECONDS = 60 };

#define SCENE_FLAG "--scene"

/* In a scene: says what is wrong and ends it. */
#define SCENE_EXPECT(holds)                                                                 \
    do {                                                                                    \
        if (!(holds)) {                                                                     \
            (void)fprintf(stderr, "%s:%d: in the scene: %s\n", __FILE__, __LINE__, #holds); \
            _exit(WENT_WRONG);                                                              \
        }                                                                                   \
    } while (0)

/* ---- what a scene has ---- */

static weir_runtime *runtime;
static weir_dependency *pooled;
static weir_dependency *inlined;
static _Atomic int runs;

static int run_once(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)result;
    (void)atomic_fetch_add(&runs, 1);
    return 0;
}

/* Never returns. */
static int run_stuck(weir_call *call, const void *argument, void *result)
{
    int rest = run_once(call, argument, result);

    while (rest == 0) {
        rest = pause() == 0 ? 1 : 0; /* it never gives 0 */
    }
    return rest;
}

static const weir_command once = {WEIR_SIZED(weir_command), .name = "once",
                                  .isolations = WEIR_INLINE | WEIR_THREAD, .run = run_once};

static const weir_command stuck = {WEIR_SIZED(weir_command), .name = "stuck",
                                   .isolations = WEIR_THREAD, .run = run_stuck};

static weir_dependency *add(const char *name, const char *settings)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings};
    weir_dependency *dependency = NULL;

    SCENE_EXPECT(weir_dependency_create(runtime, name, &options, &dependency, NULL) == WEIR_OK);
    return dependency;
}

static void make_all(void)
{
    SCENE_EXPECT(weir_runtime_create(NULL, &runtime, NULL) == WEIR_OK);
    pooled = add("pooled", "isolation: thread, threads: 2, timeout: off");
    inlined = add("inlined", "timeout: off, rate_limit.burst: 1000000");
}

/* Every shape of call, and a context with its scope. */
static void use_all(void)
{
    const int before = atomic_load(&runs);
    weir_context *context = NULL;
    weir_completion completion;
    weir_queue *queue = NULL;
    weir_permit permit;
    weir_scope scope;

    SCENE_EXPECT(weir_context_derive(NULL, NULL, 0, 0, &context) == WEIR_OK);
    weir_scope_open(&scope, context);
    SCENE_EXPECT(weir_execute(inlined, &once, NULL, NULL) == WEIR_OK);
    SCENE_EXPECT(weir_begin(inlined, NULL, &permit, NULL) == WEIR_OK);
    SCENE_EXPECT(weir_end(&permit, WEIR_V_OK, 0) == WEIR_OK);
    SCENE_EXPECT(weir_execute(pooled, &once, NULL, NULL) == WEIR_OK);
    SCENE_EXPECT(weir_queue_create(runtime, &queue, NULL) == WEIR_OK);
    SCENE_EXPECT(weir_submit(pooled, &once, NULL, queue, NULL, NULL, NULL) == WEIR_OK);
    SCENE_EXPECT(weir_queue_take(queue, &completion, 1, UINT64_MAX) == 1);
    SCENE_EXPECT(weir_completion_end(&completion, NULL) == WEIR_OK);
    SCENE_EXPECT(weir_queue_destroy(queue) == WEIR_OK);
    SCENE_EXPECT(weir_context_current() == context);
    SCENE_EXPECT(weir_scope_close(&scope) == WEIR_OK);
    weir_context_release(context);
    SCENE_EXPECT(atomic_load(&runs) == before + 3);
}

static void end_all(void)
{
    SCENE_EXPECT(weir_runtime_stop(runtime, UINT64_MAX, NULL) == WEIR_OK);
    weir_runtime_destroy(runtime);
    runtime = NULL;
}

/* ---- scenes of the end of the process ---- */

static bool checks_at_exit; /* the last handler of all ends the process well */

static void use_at_exit(void)
{
    use_all();
    end_all();
    checks_at_exit = true;
}

static void say_at_exit(void)
{
    _exit(checks_at_exit ? ALL_WELL : WENT_WRONG);
}

static void scene_atexit(void)
{
    SCENE_EXPECT(atexit(say_at_exit) == 0);
    SCENE_EXPECT(atexit(use_at_exit) == 0); /* registered before weir is used at all */
    make_all();
    use_all();
    exit(0); /* NOLINT(concurrency-mt-unsafe): the other threads are weir's */
}

static void make_and_use_at_exit(void)
{
    make_all();
    use_at_exit();
}

/* Everything happens in the handler. */
static void scene_begin_at_exit(void)
{
    SCENE_EXPECT(atexit(say_at_exit) == 0);
    SCENE_EXPECT(atexit(make_and_use_at_exit) == 0);
    exit(0); /* NOLINT(concurrency-mt-unsafe): there is one thread */
}

static bool destructor_uses; /* only in its scene */

__attribute__((destructor)) static void use_in_destructor(void)
{
    if (destructor_uses) {
        use_all();
        end_all();
        _exit(ALL_WELL);
    }
}

static void scene_destructor(void)
{
    destructor_uses = true;
    make_all();
    exit(0); /* NOLINT(concurrency-mt-unsafe): the other threads are weir's */
}

/* Nobody stops or destroys anything; workers sleep, one is stuck. */
static void scene_exit_with_all_alive(void)
{
    weir_queue *queue = NULL;

    make_all();
    use_all();
    SCENE_EXPECT(weir_queue_create(runtime, &queue, NULL) == WEIR_OK);
    SCENE_EXPECT(weir_submit(pooled, &stuck, NULL, queue, NULL, NULL, NULL) == WEIR_OK);
    exit(ALL_WELL); /* NOLINT(concurrency-mt-unsafe): that is what is asked */
}

static int run_exit(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)result;
    exit(ALL_WELL); /* NOLINT(concurrency-mt-unsafe): that is what is asked */
}

static void scene_exit_on_a_worker(void)
{
    static const weir_command leaving = {WEIR_SIZED(weir_command), .name = "leaving",
                                         .isolations = WEIR_THREAD, .run = run_exit};

    make_all();
    (void)weir_execute(pooled, &leaving, NULL, NULL);
    _exit(WENT_WRONG);
}

/* ---- scenes of the end of a thread ---- */

static pthread_key_t key_before; /* made before weir is used on any thread */
static pthread_key_t key_after;
static _Atomic int destructions;

/* glibc gives destructors several rounds; ThreadSanitizer is gone after the first. */
#ifdef WR_TSAN
enum { DESTRUCTIONS = 2 };
#else
enum { DESTRUCTIONS = 8 };
#endif

/* In each round, whoever's destructors ran before in it. */
static void use_in_thread_destructor(void *value)
{
    const pthread_key_t *const key = value;

    use_all();
    if (atomic_fetch_add(&destructions, 1) < DESTRUCTIONS - 2) {
        (void)pthread_setspecific(*key, key);
    }
}

static void *use_and_end(void *user)
{
    weir_scope scope;

    (void)user;
    (void)pthread_setspecific(key_before, &key_before);
    (void)pthread_setspecific(key_after, &key_after);
    use_all();
    weir_scope_open(&scope, NULL); /* never closed: the thread ends */
    return NULL;
}

/* weir is used by the destructors only. */
static void *only_end(void *user)
{
    (void)user;
    (void)pthread_setspecific(key_before, &key_before);
    (void)pthread_setspecific(key_after, &key_after);
    return NULL;
}

static void scene_thread_destructors(void)
{
    SCENE_EXPECT(pthread_key_create(&key_before, use_in_thread_destructor) == 0);
    make_all();
    use_all();
    SCENE_EXPECT(pthread_key_create(&key_after, use_in_thread_destructor) == 0);
    for (int i = 0; i < 20; ++i) {
        pthread_t thread;

        atomic_store(&destructions, 0);
        SCENE_EXPECT(pthread_create(&thread, NULL, i % 2 == 0 ? use_and_end : only_end, NULL) == 0);
        SCENE_EXPECT(pthread_join(thread, NULL) == 0);
        SCENE_EXPECT(atomic_load(&destructions) == DESTRUCTIONS);
        use_all(); /* a grace period that waits for none of the dead */
        SCENE_EXPECT(weir_runtime_apply(runtime, NULL, 0, NULL) == WEIR_OK);
    }
    end_all();
    _exit(ALL_WELL);
}

/* The main thread ends before the process does. */
static void *outlive_main(void *user)
{
    const pthread_t *const main_thread = user;

    SCENE_EXPECT(pthread_join(*main_thread, NULL) == 0);
    use_all();
    end_all();
    _exit(ALL_WELL);
}

static void scene_main_thread_ends_first(void)
{
    static pthread_t main_thread;
    pthread_t thread;

    main_thread = pthread_self();
    make_all();
    use_all();
    SCENE_EXPECT(pthread_create(&thread, NULL, outlive_main, &main_thread) == 0);
    (void)syscall(SYS_exit, 0); /* of this thread; pthread_exit() needs a main() to unwind to */
}

/* ---- the stage ---- */

static const struct scene {
    const char *name;
    void (*play)(void);
} scenes[] = {{"atexit", scene_atexit},
              {"begin_at_exit", scene_begin_at_exit},
              {"destructor", scene_destructor},
              {"exit_with_all_alive", scene_exit_with_all_alive},
              {"exit_on_a_worker", scene_exit_on_a_worker},
              {"thread_destructors", scene_thread_destructors},
              {"main_thread_ends_first", scene_main_thread_ends_first}};

/* glibc gives constructors the arguments of main(). Before main(), so before the test runner has
 * done anything that its own end would undo. */
__attribute__((constructor(65535))) static void play_scene(int count, char **arguments)
{
    if (count != 3 || strcmp(arguments[1], SCENE_FLAG) != 0) {
        return;
    }
    (void)alarm(SCENE_SECONDS);
    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); ++i) {
        if (strcmp(scenes[i].name, arguments[2]) == 0) {
            scenes[i].play();
        }
    }
    _exit(WENT_WRONG);
}

/* Its exit code; above 1000: the signal that ended it. */
static int play(const char *name)
{
    char flag[] = SCENE_FLAG;
    char self[] = "/proc/self/exe";
    char scene[64];
    char *const arguments[] = {self, flag, scene, NULL};
    int status = 0;
    pid_t pid;

    (void)snprintf(scene, sizeof(scene), "%s", name);
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        (void)execv(self, arguments);
        _exit(WENT_WRONG);
    }
    cr_assert_gt(pid, 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

Test(process_end, an_atexit_handler_may_make_calls_and_end_the_runtime)
{
    cr_expect_eq(play("atexit"), ALL_WELL);
}

Test(process_end, an_atexit_handler_may_be_the_first_to_use_weir)
{
    cr_expect_eq(play("begin_at_exit"), ALL_WELL);
}

Test(process_end, a_destructor_of_the_program_may_make_calls_and_end_the_runtime)
{
    cr_expect_eq(play("destructor"), ALL_WELL);
}

Test(process_end, a_process_may_end_with_workers_alive_and_one_stuck)
{
    cr_expect_eq(play("exit_with_all_alive"), ALL_WELL);
}

Test(process_end, work_on_a_worker_may_end_the_process)
{
    cr_expect_eq(play("exit_on_a_worker"), ALL_WELL);
}

Test(process_end, destructors_of_thread_specific_data_may_make_calls_in_every_round)
{
    cr_expect_eq(play("thread_destructors"), ALL_WELL);
}

/* ThreadSanitizer does not know the main thread as one that can be joined. */
#ifdef WR_TSAN
#    define MAIN_THREAD_MAY_END false
#else
#    define MAIN_THREAD_MAY_END true
#endif

Test(process_end, the_main_thread_may_end_first, .disabled = !MAIN_THREAD_MAY_END)
{
    cr_expect_eq(play("main_thread_ends_first"), ALL_WELL);
}

Test(process_end, a_scene_that_goes_wrong_is_seen)
{
    cr_expect_eq(play("no such scene"), WENT_WRONG);
}
