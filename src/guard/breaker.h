/*
 * The breaker shared by threads: policy/breaker_policy.h under a mutex for the rare transitions,
 * and one published word for everybody else.
 *
 * word = (epoch << 4 | look). It is the only thing that a closed breaker's calls read; `until`
 * belongs to some looks. The state, and with it the word, changes under the mutex only, in this
 * order: the window and the failures in a row begin their new epoch, `until`, then the word
 * (release). So whoever sees an epoch in the word records into a window that counts for it, and a
 * recorder of an older epoch fails on the window's tag.
 */
#ifndef WR_GUARD_BREAKER_H
#define WR_GUARD_BREAKER_H

#include "guard/slots.h"
#include "guard/window.h"
#include "policy/breaker_policy.h"

enum { WR_WHO_MAX = 64, WR_WHY_MAX = 128 };
enum { WR_LOOK_BITS = 4, WR_LOOK_MASK = 15 }; /* of the published word */

/* Why it last opened, for explain. */
struct wr_breaker_trip {
    enum wr_trip rule;
    struct wr_window_sum sum;
    uint64_t overdue;
    uint64_t consecutive;
};

/* A change of state: WEIR_BREAKER_... before and after, and the epoch that began, which orders the
 * changes of one breaker. */
struct wr_breaker_change {
    uint64_t before, after;
    uint64_t epoch;
    uint64_t now_ns;
};

/* Called after the change, by the thread that made it, with no lock held. */
typedef void wr_breaker_told(void *user, const struct wr_breaker_change *change);

struct wr_breaker {
    _Atomic uint64_t word;
    _Atomic uint64_t until;
    _Atomic uint64_t consecutive;       /* low 32 bits of the epoch << 32 | failures in a row */
    _Atomic(struct wr_window *) window; /* read inside an RCU section, or under the mutex */
    _Atomic uint64_t would_have_opened;
    wr_breaker_told *told;
    void *user;
    struct wr_slots *slots; /* borrowed: overdue calls */
    struct wr_host *host;   /* borrowed: clock-free; random numbers for jitter and ramp */
    struct {
        struct wr_mutex mutex;
        struct wr_breaker_state state;
        struct wr_breaker_trip trip;
        bool would_open; /* override observe: counted in this epoch */
        char who[WR_WHO_MAX], why[WR_WHY_MAX];
    } locked;
};

/* `told` (may be NULL) hears of every change of state. */
void wr_breaker_init(struct wr_breaker *breaker, struct wr_slots *slots, struct wr_host *host,
                     wr_breaker_told *told, void *user, uint64_t now_ns);
void wr_breaker_destroy(struct wr_breaker *breaker);

/* The epoch in force. */
uint64_t wr_breaker_epoch(const struct wr_breaker *breaker);

/* Install a window (it begins the current epoch); returns the old one, to be freed after a grace
 * period. */
struct wr_window *wr_breaker_set_window(struct wr_breaker *breaker, struct wr_window *window);

/* Begin anew: switched on while live. */
void wr_breaker_restart(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                        uint64_t now_ns);

/* The rule has changed: publish anew what depends on it. */
void wr_breaker_refresh(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                        uint64_t now_ns);

/*
 * The path of health, in line: closed, nothing forced, no ramp, no call overdue. A look of 0 in the
 * word is exactly that closed state (WR_LOOK_PASS in breaker_word.h).
 */
static inline bool wr_breaker_healthy(const struct wr_breaker *breaker)
{
    /* Acquire: pairs with the release of the word's publication. */
    return (atomic_load_explicit(&breaker->word, memory_order_acquire) & WR_LOOK_MASK) == 0 &&
           (uint32_t)atomic_load_explicit(&breaker->slots->overdue, memory_order_seq_cst) == 0;
}

static inline bool wr_breaker_take_healthy(const struct wr_breaker *breaker,
                                           struct wr_breaker_permit *ret_permit)
{
    const uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);

    if ((word & WR_LOOK_MASK) != 0) {
        return false;
    }
    ret_permit->epoch = word >> WR_LOOK_BITS;
    ret_permit->trial = WR_BREAKER_NO_TRIAL;
    return true;
}

/* Gate: look. Loads only, unless overdue calls open the breaker, which is a transition. With
 * `query` nothing at all is written. */
struct wr_breaker_answer wr_breaker_look(struct wr_breaker *breaker,
                                         const struct wr_breaker_rule *rule, uint64_t now_ns,
                                         bool query);

/* Gate: take, after a look that passed. */
struct wr_breaker_answer wr_breaker_take(struct wr_breaker *breaker,
                                         const struct wr_breaker_rule *rule, uint64_t now_ns);

/* The admitted call begins: a trial's lease starts. */
void wr_breaker_begin(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                      const struct wr_breaker_permit *permit, uint64_t now_ns);

/* The call never ran. */
void wr_breaker_return(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                       const struct wr_breaker_permit *permit, uint64_t now_ns);

/* Record an outcome; the caller is inside an RCU section. */
enum wr_recorded wr_breaker_record(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                                   const struct wr_breaker_permit *permit,
                                   struct wr_observation observation, uint64_t now_ns);

/* Change the override. False: already in force. */
bool wr_breaker_override(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                         int32_t override, const char *who, const char *why, uint64_t now_ns);

/* Copies for readers; take the mutex for a few instructions. */
void wr_breaker_snapshot(struct wr_breaker *breaker, struct wr_breaker_state *ret_state,
                         struct wr_breaker_trip *ret_trip, char ret_who[WR_WHO_MAX],
                         char ret_why[WR_WHY_MAX]);

/* WEIR_BREAKER_... as a reader sees it, without the mutex. */
uint64_t wr_breaker_visible(const struct wr_breaker *breaker, uint64_t now_ns);

#endif
