/*
 * Boost.Asio's thread_pool as a subject: calls as handoff_asio.cpp makes them, and posts that count
 * themselves down.
 */
#include "support/handoff_asio.h"
#include "support/handoff_flight.h"
#include "support/handoff_subject.h"

#include <stdio.h>
#include <stdlib.h>

struct asio_pool {
    void *threads;                  /* owned */
    struct handoff_flight *flights; /* owned; one for each caller */
};

static bool asio_call(void *pool, unsigned caller, handoff_run *run, void *argument)
{
    (void)caller;
    return handoff_asio_call(((struct asio_pool *)pool)->threads, run, argument) == 0;
}

static void start(void *pool, unsigned submitter)
{
    struct asio_pool *const self = pool;

    (void)handoff_asio_post(self->threads, handoff_flight_land,
                            handoff_flight_of(self->flights, submitter));
}

static bool asio_post(void *pool, struct handoff_post *post)
{
    struct asio_pool *const self = pool;

    return handoff_flight_post(handoff_flight_of(self->flights, post->submitter), post, start,
                               pool);
}

static void asio_close(void *pool)
{
    struct asio_pool *const self = pool;

    if (self->threads != NULL) {
        handoff_asio_close(self->threads);
    }
    handoff_flights_destroy(self->flights);
    free(self);
}

static void *asio_open(const struct handoff_shape *shape)
{
    struct asio_pool *const self = calloc(1, sizeof(*self));

    if (self == NULL) {
        return NULL;
    }
    self->threads = handoff_asio_open(shape->workers);
    self->flights = handoff_flights_create(shape->callers, shape->in_flight);
    if (self->threads == NULL || self->flights == NULL) {
        (void)fprintf(stderr, "Boost.Asio: no memory or no thread\n");
        asio_close(self);
        return NULL;
    }
    return self;
}

const struct handoff_subject handoff_asio = {.name = "Boost.Asio thread_pool",
                                             .parts = HANDOFF_BLOCKING | HANDOFF_CROWD |
                                                      HANDOFF_QUEUED | HANDOFF_POST,
                                             .open = asio_open,
                                             .close = asio_close,
                                             .call = asio_call,
                                             .post = asio_post};
