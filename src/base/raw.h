/*
 * Hardening clears every local variable at its declaration. On the call path the large ones are
 * filled in full right after, and clearing them first costs more than a gate: they say so with
 * WR_RAW.
 */
#ifndef WR_BASE_RAW_H
#define WR_BASE_RAW_H

#define WR_RAW __attribute__((uninitialized))

#endif
