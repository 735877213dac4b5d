/*
 * However scopes end, what was current before is current again; what is wrongly closed changes
 * nothing; and a scope's memory is not needed for closing the one around it.
 */
#define _GNU_SOURCE
#include "support/harness.h"

#include "context/scope.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Scopes only borrow contexts and never look inside: any address will do. */
static uint64_t places[16];

static const weir_context *some(size_t i)
{
    const weir_context *context;
    const void *const place = &places[i];

    memcpy(&context, &place, sizeof(const void *));
    return context;
}

/* ---- as they should be used ---- */

Test(scope, without_a_scope_nothing_is_current)
{
    cr_assert_null(weir_context_current());
}

Test(scope, what_was_before_is_current_again)
{
    weir_scope outer;
    weir_scope inner;
    weir_scope none;

    weir_scope_open(&outer, some(1));
    cr_expect_eq(weir_context_current(), some(1));
    weir_scope_open(&inner, some(2));
    cr_expect_eq(weir_context_current(), some(2));
    weir_scope_open(&none, NULL);
    cr_expect_null(weir_context_current());

    cr_expect_eq(weir_scope_close(&none), WEIR_OK);
    cr_expect_eq(weir_context_current(), some(2));
    cr_expect_eq(weir_scope_close(&inner), WEIR_OK);
    cr_expect_eq(weir_context_current(), some(1));
    cr_expect_eq(weir_scope_close(&outer), WEIR_OK);
    cr_expect_null(weir_context_current());
}

Test(scope, the_same_context_can_be_current_twice)
{
    weir_scope outer;
    weir_scope inner;

    weir_scope_open(&outer, some(1));
    weir_scope_open(&inner, some(1));

    cr_expect_eq(weir_scope_close(&inner), WEIR_OK);
    cr_expect_eq(weir_context_current(), some(1));
    cr_expect_eq(weir_scope_close(&outer), WEIR_OK);
    cr_expect_null(weir_context_current());
}

Test(scope, a_scope_can_be_used_again)
{
    weir_scope scope;

    for (size_t i = 0; i < 3; ++i) {
        weir_scope_open(&scope, some(i));
        cr_expect_eq(weir_context_current(), some(i));
        cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
        cr_expect_null(weir_context_current());
    }
}

static void *read_current(void *user)
{
    *(const weir_context **)user = weir_context_current();
    return NULL;
}

Test(scope, a_new_thread_inherits_nothing)
{
    const weir_context *seen = some(2);
    weir_scope scope;
    pthread_t thread;

    weir_scope_open(&scope, some(1));
    cr_assert_eq(pthread_create(&thread, NULL, read_current, &seen), 0);
    (void)pthread_join(thread, NULL);

    cr_expect_null(seen);
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
}

/* ---- wrongly closed ---- */

Test(scope, no_scope_at_all_changes_nothing)
{
    weir_scope_open(NULL, some(1));
    cr_expect_null(weir_context_current());
    cr_expect_eq(weir_scope_close(NULL), WEIR_E_ARGUMENT);
}

Test(scope, what_was_never_opened_is_stale)
{
    weir_scope zeroed = {{0}};
    weir_scope garbage;

    memset(&garbage, 0xa5, sizeof(garbage));
    cr_expect_eq(weir_scope_close(&zeroed), WEIR_E_STALE);
    cr_expect_eq(weir_scope_close(&garbage), WEIR_E_STALE);
}

Test(scope, a_scope_closes_once)
{
    weir_scope outer;
    weir_scope scope;

    weir_scope_open(&outer, some(1));
    weir_scope_open(&scope, some(2));
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);

    cr_expect_eq(weir_scope_close(&scope), WEIR_E_STALE);
    cr_expect_eq(weir_context_current(), some(1));
    cr_expect_eq(weir_scope_close(&outer), WEIR_OK);
}

Test(scope, a_closed_scope_stays_closed_when_others_are_open_again)
{
    weir_scope scope;
    weir_scope others[3];

    weir_scope_open(&scope, some(1));
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
    for (size_t i = 0; i < 3; ++i) {
        weir_scope_open(&others[i], some(2 + i));
    }

    cr_expect_eq(weir_scope_close(&scope), WEIR_E_STALE);
    cr_expect_eq(weir_context_current(), some(4));
    cr_expect_eq(weir_scope_close(&others[0]), WEIR_E_BUSY);
    cr_expect_null(weir_context_current());
}

Test(scope, a_copy_of_a_scope_is_stale)
{
    weir_scope scope;
    weir_scope other;

    weir_scope_open(&scope, some(1));
    weir_scope copy = scope;

    cr_expect_eq(weir_scope_close(&copy), WEIR_E_STALE);
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
    weir_scope_open(&other, some(2));
    cr_expect_eq(weir_scope_close(&copy), WEIR_E_STALE);
    cr_expect_eq(weir_context_current(), some(2));
    cr_expect_eq(weir_scope_close(&other), WEIR_OK);
}

struct closing {
    weir_scope *scope;
    weir_status status;
    const weir_context *before, *after;
};

static void *close_it(void *user)
{
    struct closing *const closing = user;
    weir_scope own;

    weir_scope_open(&own, some(5));
    closing->before = weir_context_current();
    closing->status = weir_scope_close(closing->scope);
    closing->after = weir_context_current();
    (void)weir_scope_close(&own);
    return NULL;
}

static void close_on_another_thread(struct closing *closing)
{
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, close_it, closing), 0);
    (void)pthread_join(thread, NULL);
}

Test(scope, another_thread_cannot_close_it)
{
    weir_scope scope;
    struct closing closing = {.scope = &scope};

    weir_scope_open(&scope, some(1));
    close_on_another_thread(&closing);

    cr_expect_eq(closing.status, WEIR_E_ARGUMENT);
    cr_expect_eq(closing.before, some(5));
    cr_expect_eq(closing.after, some(5));
    cr_expect_eq(weir_context_current(), some(1));
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
}

static void *open_and_exit(void *user)
{
    weir_scope_open(user, some(1));
    return NULL;
}

/* The thread after it often gets the same stack and thread-local memory. */
Test(scope, a_thread_cannot_close_what_an_ended_one_left_open)
{
    weir_scope scope;
    struct closing closing = {.scope = &scope};
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, open_and_exit, &scope), 0);
    (void)pthread_join(thread, NULL);
    close_on_another_thread(&closing);

    cr_expect_eq(closing.status, WEIR_E_ARGUMENT);
    cr_expect_eq(closing.after, some(5));
    cr_expect_eq(weir_scope_close(&scope), WEIR_E_ARGUMENT);
}

/* ---- out of order ---- */

Test(scope, closing_an_outer_scope_closes_the_inner_ones_with_it)
{
    weir_scope scopes[4];

    for (size_t i = 0; i < 4; ++i) {
        weir_scope_open(&scopes[i], some(i));
    }

    cr_expect_eq(weir_scope_close(&scopes[1]), WEIR_E_BUSY);
    cr_expect_eq(weir_context_current(), some(0));
    for (size_t i = 1; i < 4; ++i) {
        cr_expect_eq(weir_scope_close(&scopes[i]), WEIR_E_STALE);
        cr_expect_eq(weir_context_current(), some(0));
    }
    cr_expect_eq(weir_scope_close(&scopes[0]), WEIR_OK);
    cr_expect_null(weir_context_current());
}

Test(scope, a_scope_closed_from_outside_stays_closed_when_others_are_open_again)
{
    weir_scope outer;
    weir_scope inner;
    weir_scope others[2];

    weir_scope_open(&outer, some(1));
    weir_scope_open(&inner, some(2));
    cr_expect_eq(weir_scope_close(&outer), WEIR_E_BUSY);
    weir_scope_open(&others[0], some(3));
    weir_scope_open(&others[1], some(4));

    cr_expect_eq(weir_scope_close(&inner), WEIR_E_STALE);
    cr_expect_eq(weir_context_current(), some(4));
    cr_expect_eq(weir_scope_close(&others[1]), WEIR_OK);
    cr_expect_eq(weir_scope_close(&inner), WEIR_E_STALE);
    cr_expect_eq(weir_scope_close(&others[0]), WEIR_OK);
    cr_expect_null(weir_context_current());
}

Test(scope, the_memory_of_inner_scopes_may_be_gone)
{
    weir_scope outer;
    weir_scope *const inner = malloc(2 * sizeof(*inner));

    cr_assert_not_null(inner);
    weir_scope_open(&outer, some(1));
    weir_scope_open(&inner[0], some(2));
    weir_scope_open(&inner[1], some(3));
    memset(inner, 0xa5, 2 * sizeof(*inner));
    free(inner);

    cr_expect_eq(weir_scope_close(&outer), WEIR_E_BUSY);
    cr_expect_null(weir_context_current());
}

static jmp_buf back;

__attribute__((noinline, noreturn)) static void open_and_jump(void)
{
    weir_scope scopes[3];

    for (size_t i = 0; i < 3; ++i) {
        weir_scope_open(&scopes[i], some(3 + i));
    }
    longjmp(back, 1);
}

Test(scope, a_longjmp_over_scopes_is_made_good_by_the_one_around_them)
{
    weir_scope outer;

    weir_scope_open(&outer, some(1));
    for (volatile int i = 0; i < 3; ++i) {
        weir_scope again;

        weir_scope_open(&again, some(2));
        if (setjmp(back) == 0) {
            open_and_jump();
        }
        cr_expect_eq(weir_scope_close(&again), WEIR_E_BUSY);
        cr_expect_eq(weir_context_current(), some(1));
    }
    cr_expect_eq(weir_scope_close(&outer), WEIR_OK);
    cr_expect_null(weir_context_current());
}

/* ---- against a model that remembers every scope ---- */

enum { STEPS = 20000 };

struct model {
    size_t scopes, depth;
    size_t stack[16]; /* indices of the open ones */
};

static const weir_context *model_current(const struct model *model)
{
    return model->depth > 0 ? some(model->stack[model->depth - 1]) : NULL;
}

/* Where `i` is on the stack; depth: it is not open. */
static size_t model_find(const struct model *model, size_t i)
{
    size_t at = 0;

    while (at < model->depth && model->stack[at] != i) {
        ++at;
    }
    return at;
}

static weir_status model_close(struct model *model, size_t i)
{
    const size_t at = model_find(model, i);
    const bool last = at + 1 == model->depth;

    if (at == model->depth) {
        return WEIR_E_STALE;
    }
    model->depth = at;
    return last ? WEIR_OK : WEIR_E_BUSY;
}

/* Open or close one of them; returns the scopes that could not be closed though they were open. */
static size_t step(struct model *model, weir_scope *scopes, uint64_t bits)
{
    const size_t i = (size_t)(bits >> 8U) % model->scopes;
    weir_status status;

    if (bits % 3 != 0 && model_find(model, i) == model->depth) {
        weir_scope_open(&scopes[i], some(i));
        model->stack[model->depth++] = i;
        return 0;
    }
    status = weir_scope_close(&scopes[i]);
    if (status == WEIR_E_STALE && model_find(model, i) < model->depth) {
        return 1;
    }
    cr_expect_eq(status, model_close(model, i));
    return 0;
}

static size_t steps(size_t scopes)
{
    weir_scope used[16] = {{{0}}};
    struct model model = {.scopes = scopes};
    uint64_t random = 88172645463325252U;
    size_t missed = 0;
    weir_scope outer;

    weir_scope_open(&outer, NULL);
    for (int i = 0; i < STEPS; ++i) {
        random ^= random << 13U;
        random ^= random >> 7U;
        random ^= random << 17U;
        missed += step(&model, used, random >> 20U);
        cr_assert_eq(weir_context_current(), model_current(&model));
    }
    cr_expect_eq(weir_scope_close(&outer), model.depth > 0 ? WEIR_E_BUSY : WEIR_OK);
    return missed;
}

Test(scope, any_order_of_opening_and_closing_is_answered_exactly)
{
    cr_expect_eq(steps(2), 0U);
    cr_expect_eq(steps(4), 0U);
}

/* More depths of wrong closing than a thread remembers: some that are open count as closed, none
 * that is closed counts as open, and the one around all makes it good. */
Test(scope, what_is_closed_is_never_open_again_however_deep_the_disorder)
{
    (void)steps(16);
    cr_expect_null(weir_context_current());
}

/* ---- in odd places ---- */

struct ending {
    weir_scope left_open;
    const weir_context *seen, *within, *after;
    weir_status status;
};

static pthread_key_t ending_key;

static void use_at_thread_end(void *user)
{
    struct ending *const ending = user;
    weir_scope scope;

    ending->seen = weir_context_current();
    weir_scope_open(&scope, some(2));
    ending->within = weir_context_current();
    ending->status = weir_scope_close(&scope);
    ending->after = weir_context_current();
}

static void *end_with_a_destructor(void *user)
{
    struct ending *const ending = user;

    (void)pthread_setspecific(ending_key, ending);
    weir_scope_open(&ending->left_open, some(1));
    return NULL;
}

Test(scope, thread_destructors_can_use_scopes)
{
    struct ending ending = {.status = WEIR_E_STALE};
    pthread_t thread;

    cr_assert_eq(pthread_key_create(&ending_key, use_at_thread_end), 0);
    cr_assert_eq(pthread_create(&thread, NULL, end_with_a_destructor, &ending), 0);
    (void)pthread_join(thread, NULL);
    (void)pthread_key_delete(ending_key);

    cr_expect_eq(ending.seen, some(1));
    cr_expect_eq(ending.within, some(2));
    cr_expect_eq(ending.status, WEIR_OK);
    cr_expect_eq(ending.after, some(1));
}

/* What a child process returns from `body`. */
static int in_a_child(int (*body)(weir_scope *scope), weir_scope *scope)
{
    int status = -1;

    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        _exit(body(scope));
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void leave_with_what_is_current(void)
{
    weir_scope scope;
    bool good = weir_context_current() == some(1);

    weir_scope_open(&scope, some(2));
    good = good && weir_context_current() == some(2);
    good = good && weir_scope_close(&scope) == WEIR_OK;
    _exit(good && weir_context_current() == some(1) ? 3 : 1);
}

static int exit_with_a_handler(weir_scope *scope)
{
    (void)scope;
    if (atexit(leave_with_what_is_current) != 0) {
        return 1;
    }
    exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
}

Test(scope, atexit_handlers_can_use_scopes)
{
    weir_scope scope;

    weir_scope_open(&scope, some(1));
    cr_expect_eq(in_a_child(exit_with_a_handler, &scope), 3);
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
}

static int close_in_the_child(weir_scope *scope)
{
    return weir_context_current() == some(1) && weir_scope_close(scope) == WEIR_OK &&
                   weir_context_current() == NULL
               ? 0
               : 1;
}

Test(scope, after_fork_the_child_has_the_scopes_of_its_thread)
{
    weir_scope scope;

    weir_scope_open(&scope, some(1));
    cr_expect_eq(in_a_child(close_in_the_child, &scope), 0);

    cr_expect_eq(weir_context_current(), some(1));
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
}

static const weir_context *volatile seen_by_signal;

static void on_signal(int number)
{
    (void)number;
    seen_by_signal = weir_context_current();
}

Test(scope, a_signal_handler_reads_the_context_of_its_thread)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction before;
    weir_scope scope;

    cr_assert_eq(sigaction(SIGUSR1, &action, &before), 0);
    weir_scope_open(&scope, some(1));
    (void)raise(SIGUSR1);
    (void)sigaction(SIGUSR1, &before, NULL);

    cr_expect_eq(seen_by_signal, some(1));
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
}
