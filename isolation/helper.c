/*
 * The helper thread. See helper.h.
 */
#include "isolation/helper.h"

#include "base/spawn.h"

#include <stddef.h>

/* The helper that this thread is; NULL: none. */
static _Thread_local const struct wr_helper *self;

static void poke(struct wr_helper *helper)
{
    /* Release: pairs with the acquire in the helper's loop. */
    (void)atomic_fetch_add_explicit(&helper->word, 1, memory_order_release);
    wr_unpark(&helper->word, 1);
}

/* NULL: nothing to do; *ret_stop: and nothing will come. */
static struct wr_chore *next_chore(struct wr_helper *helper, bool *ret_stop)
{
    struct wr_chore *chore;

    wr_mutex_lock(&helper->locked.mutex);
    chore = helper->locked.first;
    if (chore != NULL) {
        helper->locked.first = chore->next;
        chore->posted = false;
    }
    *ret_stop = chore == NULL && helper->locked.stopping;
    wr_mutex_unlock(&helper->locked.mutex);
    return chore;
}

static void *helper_body(void *user)
{
    struct wr_helper *const helper = user;
    bool stop = false;

    self = helper;
    wr_spawn_settle("weir-helper");
    while (!stop) {
        const uint32_t word = atomic_load_explicit(&helper->word, memory_order_acquire);
        struct wr_chore *const chore = next_chore(helper, &stop);

        if (chore != NULL) {
            chore->run(chore);
        } else if (!stop) {
            wr_park(&helper->word, word);
        }
    }
    /* Release: pairs with the acquire in wr_helper_stop(). */
    atomic_store_explicit(&helper->gone, 1, memory_order_release);
    wr_unpark(&helper->gone, INT32_MAX);
    return NULL;
}

void wr_helper_init(struct wr_helper *helper)
{
    wr_mutex_init(&helper->locked.mutex);
}

void wr_helper_destroy(struct wr_helper *helper)
{
    wr_mutex_destroy(&helper->locked.mutex);
}

bool wr_helper_start(struct wr_helper *helper)
{
    if (!helper->started) {
        helper->started = wr_spawn(&helper->thread, 0, helper_body, helper);
    }
    return helper->started;
}

bool wr_helper_post(struct wr_helper *helper, struct wr_chore *chore)
{
    bool stopping;
    bool added = false;

    wr_mutex_lock(&helper->locked.mutex);
    stopping = helper->locked.stopping;
    if (!stopping && !chore->posted) {
        added = true;
        chore->posted = true;
        chore->next = NULL;
        *(helper->locked.first != NULL ? &helper->locked.last->next : &helper->locked.first) =
            chore;
        helper->locked.last = chore;
    }
    wr_mutex_unlock(&helper->locked.mutex);
    if (added) {
        poke(helper);
    }
    return !stopping;
}

bool wr_helper_is_self(const struct wr_helper *helper)
{
    return self == helper;
}

bool wr_helper_stop(struct wr_helper *helper, uint64_t until_ns)
{
    if (!helper->started) {
        return true;
    }
    wr_mutex_lock(&helper->locked.mutex);
    helper->locked.stopping = true;
    wr_mutex_unlock(&helper->locked.mutex);
    poke(helper);
    while (atomic_load_explicit(&helper->gone, memory_order_acquire) == 0) {
        if (wr_clock_wait(&wr_system_clock, &helper->gone, 0, until_ns) == WEIR_WAIT_EXPIRED) {
            return false;
        }
    }
    (void)pthread_join(helper->thread, NULL);
    helper->started = false;
    return true;
}

void wr_helper_abandon(struct wr_helper *helper)
{
    /* What has not begun never will: what it is about may be freed now. */
    wr_mutex_lock(&helper->locked.mutex);
    helper->locked.first = NULL;
    wr_mutex_unlock(&helper->locked.mutex);
    if (helper->started) {
        (void)pthread_detach(helper->thread);
        helper->started = false;
    }
}
