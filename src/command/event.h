/*
 * The one place through which every change of a dependency is told: counters today; log lines,
 * hooks, probes and records hang here. Called with no lock held, by the thread that made the
 * change.
 */
#ifndef WR_COMMAND_EVENT_H
#define WR_COMMAND_EVENT_H

#include <weir/dependency.h>

enum wr_happening {
    WR_BREAKER_CHANGED, /* before, after: WEIR_BREAKER_...; sequence: the epoch that began */
    WR_SETTINGS_CHANGED /* before, after: generations; sequence: the new generation */
};

struct wr_event_note {
    enum wr_happening kind;
    uint64_t before, after;
    uint64_t sequence; /* orders the events of one kind of one dependency */
    uint64_t now_ns;
};

void wr_emit(weir_dependency *dependency, const struct wr_event_note *note);

#endif
