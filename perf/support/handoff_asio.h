/*
 * Boost.Asio's thread_pool, as C sees it. No exception leaves these functions.
 */
#ifndef PERF_HANDOFF_ASIO_H
#define PERF_HANDOFF_ASIO_H

#ifdef __cplusplus
extern "C" {
#endif

/* NULL: it could not be made. */
void *handoff_asio_open(unsigned workers);

/* Lets the workers end what was posted, and joins them. */
void handoff_asio_close(void *pool);

/* Each 0 or -1: it was not handed over. */
int handoff_asio_call(void *pool, void (*run)(void *argument), void *argument);
int handoff_asio_post(void *pool, void (*run)(void *argument), void *argument);

#ifdef __cplusplus
}
#endif

#endif
