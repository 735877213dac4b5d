/*
 * Starting a thread of our own in a neutral state. pthread_create(3) hands down what the creating
 * thread happens to have: its signal mask, its CPU affinity, its floating-point environment. Ours
 * begin with all signals blocked (but those that a fault raises, which the service's crash handler
 * wants), with the affinity that the process was loaded with, and with the default floating-point
 * environment; they cannot be cancelled.
 */
#ifndef WR_BASE_SPAWN_H
#define WR_BASE_SPAWN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* `name` is cut to 15 bytes. stack_bytes 0: the system's default. False: the system refused. The
 * thread is to be joined or detached. `body` must begin with wr_spawn_settle(). */
bool wr_spawn(pthread_t *ret_thread, size_t stack_bytes, void *(*body)(void *user), void *user);

/* First thing on the new thread: name, floating point, no cancellation. */
void wr_spawn_settle(const char *name);

/* Have this thread's timed waits end within a microsecond of their time, not the usual 50. */
void wr_spawn_be_punctual(void);

#endif
