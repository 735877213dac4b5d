/*
 * Tasks in flight of one submitter, for pools that give no completion: each task counts itself down
 * at its end. A submitter that has all in flight sleeps until half of them have ended.
 *
 * A flight must live until the pool is closed: the last task still looks at it after its count.
 */
#ifndef PERF_HANDOFF_FLIGHT_H
#define PERF_HANDOFF_FLIGHT_H

#include "support/handoff_subject.h"

struct handoff_flight;

/* Arrays, one for each submitter. NULL: no memory. */
struct handoff_flight *handoff_flights_create(unsigned count, unsigned in_flight);
void handoff_flights_destroy(struct handoff_flight *flights);
struct handoff_flight *handoff_flight_of(struct handoff_flight *flights, unsigned submitter);

/* What a task does. */
void handoff_flight_land(void *flight);

/* Give `start` one task after the other until post->stop; returns when all have landed. */
bool handoff_flight_post(struct handoff_flight *flight, struct handoff_post *post,
                         void (*start)(void *pool, unsigned submitter), void *pool);

#endif
