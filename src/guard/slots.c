/*
 * The slot table. See slots.h.
 */
#include "guard/slots.h"

#include "base/saturate.h"
#include "base/thread.h"

enum { SPARE_DIVISOR = 4, SPARE_MINIMUM = 8, RANDOM_PROBES = 16, STATE_BITS = 8, STATE_MASK = 3 };

#define SCANNING (1ULL << 63U)

static uint64_t slot_word(uint64_t generation, enum wr_slot_state state)
{
    return generation << STATE_BITS | (uint64_t)state;
}

static uint32_t room_for(uint32_t places)
{
    return places + places / SPARE_DIVISOR + SPARE_MINIMUM;
}

static struct wr_slot *slot_at(const struct wr_slots *slots, uint32_t index)
{
    uint32_t s = 0;

    while (index - slots->segments[s].base >= slots->segments[s].count) {
        ++s;
    }
    return atomic_load_explicit(&slots->segments[s].slots, memory_order_acquire) +
           (index - slots->segments[s].base);
}

static uint32_t capacity_of(const struct wr_slots *slots)
{
    /* Acquire: pairs with the release in wr_slots_grow(); segments below it are complete. */
    return atomic_load_explicit(&slots->capacity, memory_order_acquire);
}

bool wr_slots_init(struct wr_slots *slots, uint32_t places, struct wr_host *host)
{
    slots->host = host;
    atomic_init(&slots->capacity, 0);
    atomic_init(&slots->next_check, 0);
    atomic_init(&slots->scans, 0);
    atomic_init(&slots->overdue, 0);
    for (uint32_t s = 0; s < WR_SLOT_SEGMENTS; ++s) {
        atomic_init(&slots->segments[s].slots, NULL);
        slots->segments[s].base = 0;
        slots->segments[s].count = 0;
    }
    return wr_slots_grow(slots, places);
}

/* Called by one thread at a time. Each segment is at least a quarter of what there is, so that 20
 * are enough for any number of resizes. */
bool wr_slots_grow(struct wr_slots *slots, uint32_t places)
{
    const uint32_t have = capacity_of(slots);
    const uint32_t want = room_for(places);
    uint32_t segment = 0;
    uint32_t count;
    struct wr_slot *memory;

    if (want <= have) {
        return true;
    }
    while (segment < WR_SLOT_SEGMENTS && slots->segments[segment].count != 0) {
        ++segment;
    }
    count = want - have;
    if (segment > 0 && count < have) {
        count = have; /* at least double: 20 segments then suffice for a million places */
    }
    if (segment == WR_SLOT_SEGMENTS) {
        return false;
    }
    memory = wr_host_allocate(slots->host, count * sizeof(*memory));
    if (memory == NULL) {
        return false;
    }
    slots->segments[segment].base = have;
    slots->segments[segment].count = count;
    atomic_store_explicit(&slots->segments[segment].slots, memory, memory_order_release);
    atomic_store_explicit(&slots->capacity, have + count, memory_order_release);
    return true;
}

void wr_slots_destroy(struct wr_slots *slots)
{
    for (uint32_t s = 0; s < WR_SLOT_SEGMENTS; ++s) {
        wr_host_release(slots->host,
                        atomic_load_explicit(&slots->segments[s].slots, memory_order_relaxed),
                        slots->segments[s].count * sizeof(struct wr_slot));
    }
}

size_t wr_slots_bytes(const struct wr_slots *slots)
{
    return capacity_of(slots) * sizeof(struct wr_slot);
}

static bool try_claim(struct wr_slots *slots, uint32_t index, uint64_t *ret_generation)
{
    struct wr_slot *const slot = slot_at(slots, index);
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);

    if ((word & STATE_MASK) != WR_SLOT_FREE) {
        return false;
    }
    /* Acquire: pairs with the release in wr_slots_free(); the last owner's reads are over. */
    if (!atomic_compare_exchange_strong_explicit(&slot->word, &word,
                                                 slot_word(word >> STATE_BITS, WR_SLOT_CLAIMED),
                                                 memory_order_acquire, memory_order_relaxed)) {
        return false;
    }
    *ret_generation = word >> STATE_BITS;
    return true;
}

/* A multiplicative hash into [0, capacity). */
static uint32_t spread(uint32_t bits, uint32_t capacity)
{
    return (uint32_t)((uint64_t)bits * capacity >> 32U);
}

bool wr_slots_claim(struct wr_slots *slots, uint32_t *ret_index, uint64_t *ret_generation)
{
    const uint32_t capacity = capacity_of(slots);
    /* A thread comes back to its own slot, whose line it has in its cache. */
    uint32_t index = spread(wr_thread_number() * 0x9e3779b9U, capacity);

    for (uint32_t probe = 0; probe < RANDOM_PROBES; ++probe) {
        if (try_claim(slots, index, ret_generation)) {
            *ret_index = index;
            return true;
        }
        index = spread(wr_thread_mix(), capacity);
    }
    for (uint32_t i = 0; i < 2 * capacity; ++i) {
        index = index + 1 < capacity ? index + 1 : 0;
        if (try_claim(slots, index, ret_generation)) {
            *ret_index = index;
            return true;
        }
    }
    return false;
}

void wr_slots_hold(struct wr_slots *slots, uint32_t index, uint64_t generation,
                   const struct wr_slot_data *data)
{
    struct wr_slot *const slot = slot_at(slots, index);

    atomic_store_explicit(&slot->start_ns, data->start_ns, memory_order_relaxed);
    atomic_store_explicit(&slot->deadline_ns, data->deadline_ns, memory_order_relaxed);
    atomic_store_explicit(&slot->epoch, data->epoch, memory_order_relaxed);
    atomic_store_explicit(&slot->trial_serial, data->trial_serial, memory_order_relaxed);
    atomic_store_explicit(&slot->trial, data->trial, memory_order_relaxed);
    atomic_store_explicit(&slot->leased, data->leased, memory_order_relaxed);
    atomic_store_explicit(&slot->context, data->context, memory_order_relaxed);
    /* Release: whoever sees HELD sees the fields. */
    atomic_store_explicit(&slot->word, slot_word(generation, WR_SLOT_HELD), memory_order_release);
}

/* Count one overdue call more or less, if the count is for its epoch. */
static void count_overdue(struct wr_slots *slots, uint64_t epoch, bool more)
{
    uint64_t word = atomic_load_explicit(&slots->overdue, memory_order_seq_cst);
    uint64_t next;

    do {
        if (word >> 32U != (uint32_t)epoch) {
            return;
        }
        next = (word >> 32U) << 32U | (uint32_t)((uint32_t)word + (more ? 1U : UINT32_MAX));
    } while (!atomic_compare_exchange_weak_explicit(&slots->overdue, &word, next,
                                                    memory_order_seq_cst, memory_order_seq_cst));
}

void wr_slots_begin_epoch(struct wr_slots *slots, uint64_t epoch)
{
    atomic_store_explicit(&slots->overdue, epoch << 32U, memory_order_seq_cst);
    wr_slots_check_soon(slots);
}

bool wr_slots_end(struct wr_slots *slots, uint32_t index, uint64_t generation,
                  struct wr_slot_data *ret_data)
{
    struct wr_slot *slot;
    uint64_t word;

    if (index >= capacity_of(slots)) {
        return false;
    }
    slot = slot_at(slots, index);
    word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    do {
        if ((word & ~(uint64_t)WR_SLOT_OVERDUE) != slot_word(generation, WR_SLOT_HELD)) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&slot->word, &word,
                                                    slot_word(generation, WR_SLOT_ENDING),
                                                    memory_order_acquire, memory_order_relaxed));
    *ret_data = (struct wr_slot_data){
        .start_ns = atomic_load_explicit(&slot->start_ns, memory_order_relaxed),
        .deadline_ns = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed),
        .epoch = atomic_load_explicit(&slot->epoch, memory_order_relaxed),
        .trial_serial = atomic_load_explicit(&slot->trial_serial, memory_order_relaxed),
        .trial = atomic_load_explicit(&slot->trial, memory_order_relaxed),
        .leased = atomic_load_explicit(&slot->leased, memory_order_relaxed),
        .context = atomic_load_explicit(&slot->context, memory_order_relaxed)};
    if ((word & WR_SLOT_OVERDUE) != 0) {
        count_overdue(slots, ret_data->epoch, false);
    }
    return true;
}

void wr_slots_start(struct wr_slots *slots, uint32_t index, uint64_t start_ns)
{
    /* Relaxed: a scan that misses it judges the call at the next one. */
    atomic_store_explicit(&slot_at(slots, index)->start_ns, start_ns, memory_order_relaxed);
}

void wr_slots_leave(struct wr_slots *slots, uint32_t index, uint64_t generation, uint64_t now_ns)
{
    struct wr_slot *const slot = slot_at(slots, index);

    /* A left call needs its deadline no more: the moment takes its place. */
    atomic_store_explicit(&slot->deadline_ns, now_ns, memory_order_relaxed);
    /* Release: whoever sees LEFT sees the moment. */
    atomic_store_explicit(&slot->word, slot_word(generation, WR_SLOT_ENDING) | WR_SLOT_LEFT,
                          memory_order_release);
}

void wr_slots_free(struct wr_slots *slots, uint32_t index, uint64_t generation)
{
    struct wr_slot *const slot = slot_at(slots, index);

    /* Release: pairs with the acquire of the next claim. */
    atomic_store_explicit(&slot->word, slot_word(generation + 1, WR_SLOT_FREE),
                          memory_order_release);
}

bool wr_slots_look(struct wr_slots *slots, uint32_t index, uint64_t generation,
                   uint64_t *ret_deadline_ns, void **ret_context)
{
    const struct wr_slot *slot;
    uint64_t word;

    if (index >= capacity_of(slots)) {
        return false;
    }
    slot = slot_at(slots, index);
    word = atomic_load_explicit(&slot->word, memory_order_acquire);
    *ret_deadline_ns = atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed);
    *ret_context = atomic_load_explicit(&slot->context, memory_order_relaxed);
    return (word & ~(uint64_t)WR_SLOT_OVERDUE) == slot_word(generation, WR_SLOT_HELD);
}

static bool is_overdue(const struct wr_slot *slot, const struct wr_slot_check *check)
{
    return atomic_load_explicit(&slot->epoch, memory_order_relaxed) == check->epoch &&
           wr_sat_sub(check->now_ns, atomic_load_explicit(&slot->start_ns, memory_order_relaxed)) >
               check->slow_call_ns;
}

static bool is_expired(const struct wr_slot *slot, const struct wr_slot_check *check)
{
    return check->lease_ns != UINT64_MAX &&
           atomic_load_explicit(&slot->leased, memory_order_relaxed) != 0 &&
           check->now_ns >= wr_sat_add(atomic_load_explicit(&slot->start_ns, memory_order_relaxed),
                                       check->lease_ns);
}

/* From which moment on might this held slot need a look? */
static uint64_t next_look(const struct wr_slot *slot, const struct wr_slot_check *check,
                          bool overdue)
{
    const uint64_t start = atomic_load_explicit(&slot->start_ns, memory_order_relaxed);
    uint64_t next = UINT64_MAX;

    if (!overdue && check->slow_call_ns != UINT64_MAX &&
        atomic_load_explicit(&slot->epoch, memory_order_relaxed) == check->epoch) {
        next = wr_sat_add(wr_sat_add(start, check->slow_call_ns), 1);
    }
    if (check->lease_ns != UINT64_MAX &&
        atomic_load_explicit(&slot->leased, memory_order_relaxed) != 0) {
        next = wr_min_u64(next, wr_sat_add(start, check->lease_ns));
    }
    return next;
}

/*
 * Set or clear the flag of one slot and count it. The compare-and-swap comes before the count: the
 * one who ends a flagged slot may take it off first, and the count is below 0 for a moment, which
 * readers take for 0; the scanner judges after its count.
 */
static void flag(struct wr_slots *slots, struct wr_slot *slot, uint64_t word, bool overdue)
{
    const uint64_t epoch = atomic_load_explicit(&slot->epoch, memory_order_relaxed);

    if (overdue == ((word & WR_SLOT_OVERDUE) != 0)) {
        return;
    }
    if (atomic_compare_exchange_strong_explicit(&slot->word, &word, word ^ WR_SLOT_OVERDUE,
                                                memory_order_seq_cst, memory_order_relaxed)) {
        count_overdue(slots, epoch, overdue);
    }
}

/* Flag one slot if its call is overdue. When to look again; 0: its lease has run out. */
static uint64_t check_slot(struct wr_slots *slots, struct wr_slot *slot,
                           const struct wr_slot_check *check)
{
    const uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);
    bool overdue;

    if ((word & STATE_MASK) != WR_SLOT_HELD) {
        return UINT64_MAX;
    }
    overdue = check->slow_call_ns != UINT64_MAX && is_overdue(slot, check);
    flag(slots, slot, word, overdue);
    return is_expired(slot, check) ? 0 : next_look(slot, check, overdue);
}

bool wr_slots_check(struct wr_slots *slots, const struct wr_slot_check *check)
{
    const uint32_t capacity = capacity_of(slots);
    uint64_t due = atomic_load_explicit(&slots->next_check, memory_order_seq_cst);
    /* A mark of its own: when a new check is asked for and begun meanwhile, this one must not pass
     * for it at the end. */
    uint64_t scanning =
        SCANNING | atomic_fetch_add_explicit(&slots->scans, 1, memory_order_relaxed);
    uint64_t next;
    bool expired = false;

    if (check->now_ns < due ||
        !atomic_compare_exchange_strong_explicit(&slots->next_check, &due, scanning,
                                                 memory_order_seq_cst, memory_order_relaxed)) {
        return false;
    }
    /* A call that starts from now on starts at now or later. */
    next = wr_min_u64(check->slow_call_ns == UINT64_MAX
                          ? UINT64_MAX
                          : wr_sat_add(wr_sat_add(check->now_ns, check->slow_call_ns), 1),
                      wr_sat_add(check->now_ns, check->lease_ns));
    for (uint32_t i = 0; i < capacity; ++i) {
        const uint64_t look = check_slot(slots, slot_at(slots, i), check);

        expired = expired || look == 0;
        next = look == 0 ? next : wr_min_u64(next, look);
    }
    /* If somebody asked for another check meanwhile, 0 stays. */
    (void)atomic_compare_exchange_strong_explicit(&slots->next_check, &scanning, next,
                                                  memory_order_seq_cst, memory_order_relaxed);
    return expired;
}

bool wr_slots_expired(struct wr_slots *slots, const struct wr_slot_check *check, uint32_t *cursor,
                      uint32_t *ret_index, uint64_t *ret_generation)
{
    const uint32_t capacity = capacity_of(slots);

    for (; *cursor < capacity; ++*cursor) {
        const struct wr_slot *const slot = slot_at(slots, *cursor);
        const uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);

        if ((word & STATE_MASK) == WR_SLOT_HELD && is_expired(slot, check)) {
            *ret_index = *cursor;
            *ret_generation = word >> STATE_BITS;
            *cursor += 1;
            return true;
        }
    }
    return false;
}

void wr_slots_count(struct wr_slots *slots, const struct wr_slot_check *check,
                    struct wr_slot_census *ret_census)
{
    const uint32_t capacity = capacity_of(slots);
    struct wr_slot_census census = {.oldest_start_ns = UINT64_MAX, .oldest_left_ns = UINT64_MAX};

    for (uint32_t i = 0; i < capacity; ++i) {
        const struct wr_slot *const slot = slot_at(slots, i);
        const uint64_t word = atomic_load_explicit(&slot->word, memory_order_acquire);

        census.returned += word >> STATE_BITS;
        if ((word & STATE_MASK) == WR_SLOT_HELD) {
            const uint64_t start_ns = atomic_load_explicit(&slot->start_ns, memory_order_relaxed);

            census.held += 1;
            census.queued += start_ns == WR_NOT_STARTED;
            census.overdue += check->slow_call_ns != UINT64_MAX && is_overdue(slot, check);
            census.oldest_start_ns = wr_min_u64(census.oldest_start_ns, start_ns);
        } else if ((word & WR_SLOT_LEFT) != 0) {
            census.abandoned += 1;
            census.oldest_left_ns =
                wr_min_u64(census.oldest_left_ns,
                           atomic_load_explicit(&slot->deadline_ns, memory_order_relaxed));
        } else if ((word & STATE_MASK) != WR_SLOT_FREE) {
            census.claimed += 1;
        }
    }
    *ret_census = census;
}
