/*
 * Arguments and results under thread isolation: who has which bytes, and that what they own ends
 * exactly once.
 */
#include "support/pool_world.h"

/* ---- by value ---- */

struct letter {
    struct gate *gate;
    int text[8];
};

static int letter_run(weir_call *call, const void *argument, void *result)
{
    struct letter letter;

    (void)call;
    memcpy(&letter, argument, sizeof(letter));
    gate_pass(letter.gate);
    memcpy(&letter, argument, sizeof(letter)); /* what is there now */
    memcpy(result, letter.text, sizeof(letter.text));
    return 0;
}

struct letter_box {
    weir_dependency *dependency;
    struct letter letter;
    int text[8];
    weir_status status;
};

static void *letter_main(void *user)
{
    static const weir_command command = {
        WEIR_SIZED(weir_command),      .name = "letter",
        .isolations = WEIR_THREAD,     .argument_max = sizeof(struct letter),
        .result_max = 8 * sizeof(int), .run = letter_run};
    struct letter_box *const box = user;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &box->letter,
                                  .argument_size = sizeof(box->letter), .result = box->text};

    box->status = weir_execute(box->dependency, &command, &request, NULL);
    return NULL;
}

Test(pool_value, the_argument_is_moved_by_value_so_the_callers_bytes_may_change_at_once)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct letter_box box = {.letter = {.gate = &gate, .text = {1, 2, 3, 4, 5, 6, 7, 8}}};
    static const int sent[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    pthread_t thread;

    pool_open(&world, "");
    box.dependency = world.dependency;
    cr_assert_eq(pthread_create(&thread, NULL, letter_main, &box), 0);
    gate_await(&gate, 1);
    memset(box.letter.text, 0xee, sizeof(box.letter.text));
    gate_open(&gate);
    (void)pthread_join(thread, NULL);
    cr_expect_eq(box.status, WEIR_OK);
    cr_expect_arr_eq(box.text, sent, sizeof(sent));
    pool_close(&world);
}

Test(pool_value, the_result_is_the_callers_only_when_execute_returns)
{
    struct world world;
    struct crew crew = {0};

    pool_open(&world, "");
    crew.tasks[0].number = 5;
    crew.gate = (struct gate)GATE_INIT;
    crew.tasks[0].gate = &crew.gate;
    errand_start(&crew.errands[0], world.dependency, &crew.tasks[0]);
    crew.count = 1;
    gate_await(&crew.gate, 1); /* run has written its result by now */
    cr_expect_eq(crew.errands[0].value.number, 0);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(crew.errands[0].value.number, 5);
    pool_close(&world);
}

Test(pool_value, after_a_timeout_late_work_does_not_touch_the_callers_memory)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate, .number = 5};
    struct errand errand = {.within_ns = 30 * MS, .value = {.number = -1}};

    pool_open(&world, "");
    errand_start(&errand, world.dependency, &task);
    gate_await(&gate, 1);
    world_pass(&world, 30 * MS);
    cr_expect_eq(errand_join(&errand), WEIR_TIMED_OUT);
    cr_expect_eq(errand.value.number, -1);
    gate_open(&gate);
    pool_close(&world);
    cr_expect_eq(errand.value.number, -1);
    cr_expect_null(errand.value.task);
}

Test(pool_value, a_call_that_expired_in_the_queue_does_not_touch_the_callers_memory)
{
    struct world world;
    struct crew crew = {0};
    struct task task = {.number = 5};
    struct errand errand = {.within_ns = 30 * MS, .value = {.number = -1}};

    pool_open(&world, "threads: 1, timeout: off");
    crew_hold(&crew, world.dependency, 1);
    errand_start(&errand, world.dependency, &task);
    weir_manual_clock_await_waiters(world.clock, 2);
    world_pass(&world, 30 * MS);
    cr_expect_eq(errand_join(&errand), WEIR_DEADLINE);
    crew_release(&crew, WEIR_OK);
    pool_close(&world);
    cr_expect_eq(errand.value.number, -1);
}

enum { ROOM = 96 };

/* Leaves its result full of ones; 0: all that nobody had written was zero. */
static int zeros_run(weir_call *call, const void *argument, void *result)
{
    const unsigned char *const given = argument;
    const unsigned char *const room = result;
    int code = 0;

    (void)call;
    for (size_t i = 0; i < ROOM; ++i) {
        code |= room[i] != 0 ? 1 : 0;
        code |= i >= given[0] && given[i] != 0 ? 2 : 0;
    }
    memset(result, 0xff, ROOM);
    return code;
}

Test(pool_value,
     run_is_given_a_zeroed_result_and_a_zeroed_rest_of_the_argument_also_when_a_cell_was_used)
{
    static const weir_command command = {WEIR_SIZED(weir_command),  .name = "zeros",
                                         .isolations = WEIR_THREAD, .argument_max = ROOM,
                                         .result_max = ROOM,        .run = zeros_run};
    struct world world;
    unsigned char argument[ROOM];
    unsigned char result[ROOM];
    weir_request request = {WEIR_SIZED(weir_request), .argument = argument, .result = result};
    weir_outcome outcome;

    pool_open(&world, "threads: 1, queue: 0, completions: 0"); /* one cell */
    for (unsigned char size = ROOM; size >= 1; size = (unsigned char)(size / 2)) {
        memset(argument, 0xff, sizeof(argument));
        argument[0] = size;
        request.argument_size = size;
        cr_assert_eq(weir_execute(world.dependency, &command, &request, &outcome), WEIR_OK,
                     "%d bytes: code %d", size, outcome.code);
        cr_assert(await_count(&world, WEIR_COUNT_CELLS, 0));
    }
    pool_close(&world);
}

/* ---- the result's end ---- */

Test(pool_value, a_late_value_is_dropped_exactly_once_and_counted)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate};
    struct errand errand = {.within_ns = 30 * MS};

    pool_open(&world, "");
    errand_start(&errand, world.dependency, &task);
    gate_await(&gate, 1);
    world_pass(&world, 30 * MS);
    cr_expect_eq(errand_join(&errand), WEIR_TIMED_OUT);
    cr_expect_eq(atomic_load(&task.value_drops), 0);
    cr_expect_eq(world_count(&world, WEIR_COUNT_LATE_VALUES), 0U);
    gate_open(&gate);
    cr_expect(await_count(&world, WEIR_COUNT_LATE_VALUES, 1));
    pool_close(&world);
    cr_expect_eq(atomic_load(&task.value_drops), 1);
}

Test(pool_value, a_value_that_was_delivered_is_the_callers_and_not_dropped)
{
    struct world world;
    struct task task = {0};

    pool_open(&world, "");
    cr_assert_eq(task_execute(world.dependency, &task, NULL), WEIR_OK);
    pool_close(&world);
    cr_assert_eq(atomic_load(&task.value_drops), 0);
}

Test(pool_value, what_a_failed_run_left_in_its_result_is_not_dropped)
{
    struct world world;
    struct task task = {.code = WEIR_V_FAILED};

    pool_open(&world, "");
    cr_assert_eq(task_execute(world.dependency, &task, NULL), WEIR_FAILED);
    pool_close(&world);
    cr_assert_eq(atomic_load(&task.value_drops), 0);
}

/* ---- the argument's end ---- */

Test(pool_value, the_argument_is_dropped_exactly_once_whatever_run_did)
{
    struct world world;

    pool_open(&world, "");
    for (int verdict = -1; verdict <= WEIR_V_CANCELLED + 1; ++verdict) {
        struct task task = {.code = verdict};

        (void)task_execute(world.dependency, &task, NULL);
        /* The worker may be the last user. */
        cr_assert(await_count(&world, WEIR_COUNT_CELLS, 0));
        cr_assert_eq(atomic_load(&task.argument_drops), 1, "verdict %d", verdict);
    }
    pool_close(&world);
}

Test(pool_value, the_argument_of_left_work_lives_until_the_work_returns)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate};
    struct errand errand = {.within_ns = 30 * MS};

    pool_open(&world, "");
    errand_start(&errand, world.dependency, &task);
    gate_await(&gate, 1);
    world_pass(&world, 30 * MS);
    cr_expect_eq(errand_join(&errand), WEIR_TIMED_OUT);
    cr_expect_eq(atomic_load(&task.argument_drops), 0);
    gate_open(&gate);
    pool_close(&world);
    cr_expect_eq(atomic_load(&task.argument_drops), 1);
}

Test(pool_value, the_argument_of_a_call_that_expired_in_the_queue_is_dropped_at_once)
{
    struct world world;
    struct crew crew = {0};
    struct task task = {0};
    struct errand errand = {.within_ns = 30 * MS};

    pool_open(&world, "threads: 1, timeout: off");
    crew_hold(&crew, world.dependency, 1);
    errand_start(&errand, world.dependency, &task);
    weir_manual_clock_await_waiters(world.clock, 2);
    world_pass(&world, 30 * MS);
    cr_expect_eq(errand_join(&errand), WEIR_DEADLINE);
    cr_expect_eq(atomic_load(&task.argument_drops), 1);
    crew_release(&crew, WEIR_OK);
    pool_close(&world);
    cr_expect_eq(atomic_load(&task.argument_drops), 1);
}

Test(pool_value, the_argument_is_dropped_exactly_once_by_every_refusal)
{
    static const struct {
        const char *settings;
        weir_status reason;
    } rows[] = {{"mode: off", WEIR_OFF},
                {"timeout: 0ms", WEIR_DEADLINE},
                {"breaker: on", WEIR_OPEN},
                {"threads: 1, queue: 0", WEIR_BULKHEAD},
                {"rate_limit.rate: 0/s", WEIR_RATE}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        struct world world;
        struct crew crew = {0};
        struct task task = {0};

        pool_open(&world, rows[i].settings);
        if (rows[i].reason == WEIR_OPEN) {
            cr_expect_eq(weir_dependency_force(world.dependency, WEIR_FORCE_OPEN, NULL, NULL),
                         WEIR_OK);
        }
        if (rows[i].reason == WEIR_BULKHEAD) {
            crew_hold(&crew, world.dependency, 1);
        }
        cr_expect_eq(task_execute(world.dependency, &task, NULL), rows[i].reason);
        cr_expect_eq(atomic_load(&task.argument_drops), 1);
        crew_release(&crew, WEIR_OK);
        pool_close(&world);
        cr_expect_eq(atomic_load(&task.argument_drops), 1);
        cr_expect_eq(atomic_load(&task.runs), 0);
    }
}

Test(pool_value, the_argument_stays_the_callers_after_a_usage_error)
{
    struct world world;
    weir_command command = *task_command();
    struct task task = {0};
    struct task *const argument = &task;
    struct value value;
    weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                            .argument_size = sizeof(struct task *)};

    pool_open(&world, "");
    cr_assert_eq(weir_execute(world.dependency, &command, &request, NULL), WEIR_E_ARGUMENT);
    request.result = &value;
    request.argument_size += 1;
    cr_assert_eq(weir_execute(world.dependency, &command, &request, NULL), WEIR_E_TOO_LARGE);
    request.argument_size -= 1;
    command.argument_max = 1 << 20;
    cr_assert_eq(weir_execute(world.dependency, &command, &request, NULL), WEIR_E_TOO_LARGE);
    command = *task_command();
    command.isolations = WEIR_INLINE;
    cr_assert_eq(weir_execute(world.dependency, &command, &request, NULL), WEIR_E_SHAPE);
    request.size = 1;
    cr_assert_eq(weir_execute(world.dependency, task_command(), &request, NULL), WEIR_E_SIZE);
    pool_close(&world);
    cr_assert_eq(atomic_load(&task.argument_drops), 0);
    cr_assert_eq(atomic_load(&task.runs), 0);
}
