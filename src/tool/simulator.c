/*
 * The script's lines against a simulation. See simulator.h.
 */
#include "tool/simulator.h"

#include "base/fail.h"
#include "base/rcu.h"
#include "command/state.h"
#include "tool/simulation.h"

#include <stdlib.h>
#include <string.h>

enum { SEED = 1 }; /* of jitter and ramp: the same in every run */

/* ---- one line ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct wr_sim_dependency *)a)->name,
                  ((const struct wr_sim_dependency *)b)->name);
}

static weir_status find(const struct wr_simulation *sim, const char *name,
                        struct wr_sim_dependency **ret_dependency)
{
    const struct wr_sim_dependency wanted = {.name = name};

    *ret_dependency =
        bsearch(&wanted, sim->dependencies, sim->dependency_count, sizeof(wanted), by_name);
    return *ret_dependency != NULL ? WEIR_OK
                                   : wr_script_unknown(&sim->script, sim->error, "dependency", name,
                                                       sim->names, sim->dependency_count);
}

static struct wr_ask ask_of(const struct wr_simulation *sim, const struct wr_line *line)
{
    return (struct wr_ask){
        .now_ns = sim->now_ns, .cost = line->cost, .key = line->key, .priority = line->priority};
}

static weir_status do_calls(struct wr_simulation *sim, struct wr_sim_dependency *dependency,
                            const struct wr_line *line)
{
    weir_status status = WEIR_OK;

    for (uint64_t i = 0; i < line->count && status == WEIR_OK; ++i) {
        status = wr_sim_call(sim, dependency, line);
    }
    return status;
}

static weir_status do_begin(struct wr_simulation *sim, struct wr_sim_dependency *dependency,
                            const struct wr_line *line)
{
    struct wr_kept_permit *const permit = wr_permit_book_put(&sim->permits, line->id);
    struct wr_ask ask = ask_of(sim, line);
    struct wr_attempt attempt;
    enum wr_step step;

    ask.leased = true;
    if (permit == NULL) {
        return wr_sim_no_memory(sim);
    }
    if (permit->state == WR_PERMIT_HELD) {
        return wr_script_fail(&sim->script, sim->error,
                              "permit %s is still held: end it first, or choose another name",
                              line->id);
    }
    step = wr_attempt_ask(dependency->handle, &ask, &attempt);
    permit->state = step == WR_ADMITTED ? WR_PERMIT_HELD : WR_PERMIT_REFUSED;
    permit->dependency = dependency->handle;
    permit->slot = attempt.slot;
    return wr_sim_show_decision(
        sim, dependency, (struct wr_sim_row){.event = "begin", .name = line->id}, step, &attempt);
}

static weir_status do_end(struct wr_simulation *sim, struct wr_sim_dependency *dependency,
                          const struct wr_line *line)
{
    struct wr_kept_permit *const permit = wr_permit_book_find(&sim->permits, line->id);
    struct wr_sim_row row = {
        .event = "end", .name = line->id, .reason = weir_status_name(line->outcome)};
    enum wr_settled settled = WR_SETTLED_STALE;

    if (permit == NULL || permit->dependency != dependency->handle) {
        return wr_script_fail(&sim->script, sim->error,
                              "no permit %s was begun at %s: begin it in an earlier line", line->id,
                              line->dependency);
    }
    if (permit->state == WR_PERMIT_REFUSED) {
        return WEIR_OK; /* nothing was given that could end */
    }
    /* A permit of mode observe that found no slot has no generation to tell its second end by. */
    if (permit->state == WR_PERMIT_HELD || permit->slot.index != WR_SLOT_NONE) {
        settled =
            wr_attempt_settle(dependency->handle, permit->slot, line->outcome, sim->now_ns, NULL);
    }
    permit->state = WR_PERMIT_ENDED;
    row.verdict = wr_sim_settled_name(settled);
    return wr_sim_show(sim, dependency, row);
}

static bool observes(const struct wr_sim_dependency *dependency)
{
    bool observe;

    wr_rcu_enter();
    observe = wr_plan_of(dependency->handle)->mode == WR_MODE_OBSERVE;
    wr_rcu_leave();
    return observe;
}

static weir_status do_ask(struct wr_simulation *sim, struct wr_sim_dependency *dependency,
                          const struct wr_line *line)
{
    const struct wr_ask ask = ask_of(sim, line);
    struct wr_sim_row row = {.event = "ask", .verdict = "admitted", .reason = "-"};
    uint64_t retry_after_ns = 0;
    const weir_status answer = wr_attempt_query(dependency->handle, &ask, &retry_after_ns);

    if (answer != WEIR_OK) {
        row.reason = weir_status_name(answer);
        if (!observes(dependency)) {
            row.verdict = "rejected";
            row.retry_after_ns = retry_after_ns;
        }
    }
    return wr_sim_show(sim, dependency, row);
}

static weir_status do_force(struct wr_simulation *sim, struct wr_sim_dependency *dependency,
                            const struct wr_line *line)
{
    if (weir_dependency_force(dependency->handle, line->override, "script", NULL) != WEIR_OK) {
        return wr_script_fail(&sim->script, sim->error,
                              "%s has no breaker to force: give it a block breaker: {}",
                              dependency->name);
    }
    return wr_sim_show(
        sim, dependency,
        (struct wr_sim_row){.event = "force", .verdict = "state", .reason = line->word});
}

static weir_status do_set(struct wr_simulation *sim, struct wr_sim_dependency *dependency,
                          const struct wr_line *line)
{
    const weir_setting setting = {
        .dependency = dependency->name, .key = line->word, .value = line->value};
    weir_error error;

    if (weir_runtime_apply(sim->runtime, &setting, 1, &error) != WEIR_OK) {
        return wr_script_fail(&sim->script, sim->error, "%s", error.message);
    }
    return wr_sim_show(sim, dependency,
                       (struct wr_sim_row){.event = "set", .verdict = "state", .reason = "-"});
}

static weir_status do_line(struct wr_simulation *sim, const struct wr_line *line)
{
    static weir_status (*const verbs[])(struct wr_simulation *, struct wr_sim_dependency *,
                                        const struct wr_line *) = {
        [WR_VERB_CALL] = do_calls, [WR_VERB_BEGIN] = do_begin, [WR_VERB_END] = do_end,
        [WR_VERB_ASK] = do_ask,    [WR_VERB_FORCE] = do_force, [WR_VERB_SET] = do_set,
    };
    struct wr_sim_dependency *dependency = NULL;
    weir_status status = wr_sim_run_until(sim, line->at_ns);

    if (status == WEIR_OK) {
        status = find(sim, line->dependency, &dependency);
    }
    if (status == WEIR_OK) {
        wr_sim_move_to(sim, line->at_ns);
        status = verbs[line->verb](sim, dependency, line);
    }
    return status == WEIR_OK ? wr_sim_hand_over(sim, dependency) : status;
}

/* ---- the script ---- */

/* Read every line once before the first is run. */
static weir_status check_script(struct wr_simulation *sim)
{
    struct wr_sim_dependency *dependency;
    struct wr_line line = {.number = 0};
    bool more = true;
    weir_status status;

    do {
        status = wr_script_next(&sim->script, &line, &more, sim->error);
        if (status == WEIR_OK && more) {
            status = find(sim, line.dependency, &dependency);
        }
    } while (status == WEIR_OK && more);
    return status;
}

static weir_status run_script(struct wr_simulation *sim)
{
    struct wr_line line = {.number = 0};
    bool more = true;
    weir_status status;

    do {
        status = wr_script_next(&sim->script, &line, &more, sim->error);
        if (status == WEIR_OK && more) {
            status = do_line(sim, &line);
        }
    } while (status == WEIR_OK && more);
    return status == WEIR_OK ? wr_sim_run_until(sim, UINT64_MAX) : status;
}

/* End what is still held, without a word: the runtime frees only what nobody holds. */
static void end_all(struct wr_simulation *sim)
{
    sim->silent = true;
    sim->error = NULL;
    while (sim->events.count > 0 && wr_sim_run_until(sim, UINT64_MAX) == WEIR_OK) {
    }
    for (size_t i = 0; i < sim->permits.count; ++i) {
        const struct wr_kept_permit *const permit = &sim->permits.permits[i];

        if (permit->state == WR_PERMIT_HELD) {
            (void)wr_attempt_settle(permit->dependency, permit->slot, WEIR_CANCELLED, sim->now_ns,
                                    NULL);
        }
    }
}

/* ---- set-up ---- */

static weir_status list_dependencies(struct wr_simulation *sim, const weir_config *config)
{
    const size_t count = weir_config_dependency_count(config);

    sim->dependencies = calloc(count + 1, sizeof(*sim->dependencies));
    sim->names = calloc(count + 1, sizeof(*sim->names));
    if (sim->dependencies == NULL || sim->names == NULL) {
        return wr_sim_no_memory(sim);
    }
    for (size_t i = 0; i < count; ++i) {
        sim->names[i] = weir_config_dependency(config, i);
        sim->dependencies[i].name = sim->names[i];
        sim->dependencies[i].handle = weir_dependency_find(sim->runtime, sim->names[i]);
        if (sim->dependencies[i].handle->pool != NULL) {
            return wr_fail(sim->error, WEIR_E_CONFIG,
                           "%s: isolation thread is not simulated: give isolation inline, with "
                           "max_concurrent for threads + queue",
                           sim->names[i]);
        }
    }
    sim->dependency_count = count;
    qsort(sim->dependencies, count, sizeof(*sim->dependencies), by_name);
    return WEIR_OK;
}

static weir_status set_up(struct wr_simulation *sim, const weir_config *config)
{
    weir_runtime_options options = {WEIR_SIZED(weir_runtime_options), .seed = SEED};
    weir_status status;

    sim->clock = weir_manual_clock_create(0);
    if (sim->clock == NULL) {
        return wr_sim_no_memory(sim);
    }
    options.clock = weir_manual_clock_ops(sim->clock);
    status = weir_runtime_create(&options, &sim->runtime, sim->error);
    if (status == WEIR_OK) {
        status = weir_config_load(config, sim->runtime, sim->error);
    }
    return status == WEIR_OK ? list_dependencies(sim, config) : status;
}

static void tear_down(struct wr_simulation *sim)
{
    end_all(sim);
    weir_runtime_destroy(sim->runtime);
    weir_manual_clock_destroy(sim->clock);
    wr_event_heap_free(&sim->events);
    wr_permit_book_free(&sim->permits);
    wr_item_pool_free(&sim->calls);
    wr_item_pool_free(&sim->attempts);
    free(sim->dependencies);
    free(sim->names);
}

weir_status wr_simulate(const weir_config *config, const char *name, const char *text,
                        size_t length, FILE *out, weir_error *error)
{
    struct wr_simulation sim = {.calls = {.item_size = sizeof(struct wr_sim_call)},
                                .attempts = {.item_size = sizeof(struct wr_attempt)},
                                .out = out,
                                .error = error};
    weir_status status = set_up(&sim, config);

    if (status == WEIR_OK) {
        wr_script_start(&sim.script, name, text, length);
        status = check_script(&sim);
    }
    if (status == WEIR_OK) {
        wr_script_start(&sim.script, name, text, length);
        status = wr_sim_row_header(out)
                     ? run_script(&sim)
                     : wr_fail(error, WEIR_E_SYSTEM, "the output cannot be written");
    }
    tear_down(&sim);
    return status;
}
