/*
 * Calls are captured on one thread and entered, left and released on another, while carriers are
 * added and removed. No thread ever sees another call's value or context, each has its own back
 * afterwards, every captured value is released exactly once, and no function of a carrier runs
 * after its removal has returned WEIR_OK.
 */
#include "context/crossing.h"
#include "support/race.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CALLERS = 3,
    CHANGERS = 2,
    KINDS_EACH = 3, /* a changer adds and removes its own */
    KINDS = CHANGERS * KINDS_EACH,
    MAILBOXES = 2,
    WITHOUT_VALUE = 5, /* every so many calls have no value for an odd kind */
    BOX_ALIVE = 0x626f78
};

_Static_assert((int)KINDS <= (int)WEIR_CARRIERS_MAX, "all can be there at once");

/* A kind of foreign value, and the carrier that moves it. */
struct kind {
    weir_carrier_slot *slot; /* its changer's; NULL: not added */
    size_t index;
    _Atomic bool alive; /* false once removal has said WEIR_OK */
    _Atomic uint64_t captured, released;
};

struct box {
    uint64_t call;
    uint64_t state; /* BOX_ALIVE until it is released */
};

/* A call on its way. */
struct parcel {
    struct wr_crossing crossing;
    uint64_t call;
};

static struct kind kinds[KINDS];
static _Atomic(struct parcel *) mailboxes[MAILBOXES];
static _Atomic uint64_t callers_done, values_seen, changes, times_busy;
static uint64_t rounds;
static weir_context *root;

/* What the foreign library knows on this thread: the call being made, and one value of each kind.
 */
static _Thread_local uint64_t making;
static _Thread_local uint64_t shown[KINDS];

/* ---- the carriers ---- */

static void *capture(void *user)
{
    struct kind *const kind = user;
    struct box *box;

    race_check(atomic_load(&kind->alive), "capture after removal");
    if (kind->index % 2 == 1 && making % WITHOUT_VALUE == 0) {
        return NULL;
    }
    box = malloc(sizeof(*box));
    if (box != NULL) {
        *box = (struct box){.call = making, .state = BOX_ALIVE};
        (void)atomic_fetch_add(&kind->captured, 1);
    }
    return box;
}

static void *enter(void *user, void *captured)
{
    const struct kind *const kind = user;
    const struct box *const box = captured;
    uint64_t *const saved = malloc(sizeof(*saved));

    race_check(atomic_load(&kind->alive), "enter after removal");
    if (saved == NULL) {
        abort();
    }
    *saved = shown[kind->index];
    race_check(box == NULL || box->state == BOX_ALIVE, "entered with a released value");
    shown[kind->index] = box != NULL ? box->call : 0;
    return saved;
}

static void leave(void *user, void *saved)
{
    const struct kind *const kind = user;

    race_check(atomic_load(&kind->alive), "leave after removal");
    shown[kind->index] = *(uint64_t *)saved;
    free(saved);
}

static void release(void *user, void *captured)
{
    struct kind *const kind = user;
    struct box *const box = captured;

    race_check(atomic_load(&kind->alive), "release after removal");
    race_check(box->state == BOX_ALIVE, "a value is released twice");
    box->state = 0;
    free(box);
    (void)atomic_fetch_add(&kind->released, 1);
}

/* ---- calls ---- */

static void call_text(char text[static 24], uint64_t call)
{
    (void)snprintf(text, 24, "%" PRIu64, call);
}

static struct parcel *make_call(uint64_t call)
{
    struct parcel *const parcel = malloc(sizeof(*parcel));
    weir_context *context = NULL;
    weir_scope scope;
    char text[24];

    if (parcel == NULL) {
        abort();
    }
    call_text(text, call);
    if (weir_context_derive(root, &(weir_label){"call", text}, 1, 0, &context) != WEIR_OK) {
        abort();
    }
    parcel->call = call;
    making = call;
    weir_scope_open(&scope, context);
    wr_crossing_capture(&parcel->crossing, NULL);
    race_check(weir_scope_close(&scope) == WEIR_OK, "own scope");
    weir_context_release(context);
    return parcel;
}

static void look_around(const struct parcel *parcel, uint64_t own)
{
    const char *const seen = weir_context_get(weir_context_current(), "call");
    char text[24];

    call_text(text, parcel->call);
    race_check(seen != NULL && strcmp(seen, text) == 0, "call %s sees the context of %s", text,
               seen != NULL ? seen : "nobody");
    race_check(weir_context_get(weir_context_current(), "root") != NULL, "labels of the parent");
    for (size_t i = 0; i < KINDS; ++i) {
        const bool without = i % 2 == 1 && parcel->call % WITHOUT_VALUE == 0;

        if (shown[i] == own) {
            continue; /* that carrier was not there when the call was made */
        }
        race_check(shown[i] == (without ? 0 : parcel->call), "call %s sees value %" PRIu64, text,
                   shown[i]);
        (void)atomic_fetch_add(&values_seen, 1);
    }
}

static void run_call(struct parcel *parcel, const weir_context *own_context, uint64_t own)
{
    for (uint64_t times = parcel->call % 3; times <= 2; ++times) {
        struct wr_crossed crossed;
        weir_scope left_open;

        wr_crossing_enter(&parcel->crossing, &crossed);
        look_around(parcel, own);
        if (parcel->call % 4 == 0) {
            weir_scope_open(&left_open, NULL);
        }
        wr_crossing_leave(&parcel->crossing, &crossed);
        race_check(weir_context_current() == own_context, "the thread has another context");
        for (size_t i = 0; i < KINDS; ++i) {
            race_check(shown[i] == own, "the thread has value %" PRIu64, shown[i]);
        }
    }
    wr_crossing_release(&parcel->crossing);
    free(parcel);
}

static void call_all(unsigned who)
{
    const uint64_t own = UINT64_MAX - who;
    uint64_t random = 88172645463325252U + who;
    weir_context *own_context = NULL;
    weir_scope scope;

    if (weir_context_derive(root, NULL, 0, 0, &own_context) != WEIR_OK) {
        abort();
    }
    weir_scope_open(&scope, own_context);
    for (size_t i = 0; i < KINDS; ++i) {
        shown[i] = own;
    }
    for (uint64_t i = 1; i <= rounds; ++i) {
        struct parcel *const parcel = make_call(i * CALLERS + who);
        _Atomic(struct parcel *) *const mailbox = &mailboxes[race_random(&random) % MAILBOXES];
        /* acq_rel: gives away what this call has captured, takes what another has. */
        struct parcel *const other =
            atomic_exchange_explicit(mailbox, parcel, memory_order_acq_rel);

        if (other != NULL) {
            run_call(other, own_context, own);
        }
    }
    race_check(weir_scope_close(&scope) == WEIR_OK, "a thread's own scope");
    weir_context_release(own_context);
    (void)atomic_fetch_add(&callers_done, 1);
}

/* ---- changes ---- */

static void add(struct kind *kind, int32_t order)
{
    const weir_carrier carrier = {WEIR_SIZED(weir_carrier),
                                  .name = "kind",
                                  .order = order,
                                  .policy = WEIR_CARRY_CLEAR,
                                  .user = kind,
                                  .capture = capture,
                                  .enter = enter,
                                  .leave = leave,
                                  .release = release};

    atomic_store(&kind->alive, true);
    race_check(weir_carrier_add(&carrier, &kind->slot) == WEIR_OK, "add");
}

static void try_remove(struct kind *kind)
{
    const weir_status status = weir_carrier_remove(kind->slot);

    if (status == WEIR_E_BUSY) {
        (void)atomic_fetch_add(&times_busy, 1);
        return;
    }
    race_check(status == WEIR_OK, "remove");
    atomic_store(&kind->alive, false);
    kind->slot = NULL;
    race_check(atomic_load(&kind->captured) == atomic_load(&kind->released),
               "removed with values that were not released");
}

static void change_all(unsigned changer)
{
    uint64_t random = 2463534242U + changer;

    while (atomic_load(&callers_done) < CALLERS) {
        const uint64_t bits = race_random(&random);
        struct kind *const kind = &kinds[(size_t)changer * KINDS_EACH + bits % KINDS_EACH];

        if (kind->slot == NULL) {
            add(kind, (int32_t)(bits >> 32U & 3U));
        } else {
            try_remove(kind);
        }
        (void)atomic_fetch_add(&changes, 1);
        race_spin((unsigned)(bits >> 40U & 1023U));
    }
}

static void call_or_change(void *user, unsigned who)
{
    (void)user;
    if (who < CALLERS) {
        call_all(who);
    } else {
        change_all(who - CALLERS);
    }
}

/* ---- the end ---- */

static void finish(void)
{
    for (size_t i = 0; i < MAILBOXES; ++i) {
        struct parcel *const parcel = atomic_load(&mailboxes[i]);

        if (parcel != NULL) {
            run_call(parcel, NULL, 0);
        }
    }
    for (size_t i = 0; i < KINDS; ++i) {
        if (kinds[i].slot != NULL) {
            try_remove(&kinds[i]);
        }
        race_check(kinds[i].slot == NULL, "busy without a call");
        race_check(atomic_load(&kinds[i].captured) == atomic_load(&kinds[i].released),
                   "kind %zu: captured %" PRIu64 ", released %" PRIu64, i,
                   atomic_load(&kinds[i].captured), atomic_load(&kinds[i].released));
    }
    race_check(atomic_load(&values_seen) > 0, "no call met a carrier");
}

int main(void)
{
    rounds = race_rounds(200000, 60000, 6000);
    if (weir_context_derive(NULL, &(weir_label){"root", "here"}, 1, 0, &root) != WEIR_OK) {
        return 1;
    }
    for (size_t i = 0; i < KINDS; ++i) {
        kinds[i].index = i;
    }
    race_run(CALLERS + CHANGERS, call_or_change, NULL);
    finish();
    weir_context_release(root);
    printf("calls %" PRIu64 ", values seen %" PRIu64 ", changes %" PRIu64 ", busy %" PRIu64 "\n",
           rounds * CALLERS, atomic_load(&values_seen), atomic_load(&changes),
           atomic_load(&times_busy));
    return race_result();
}
