/**
 * weir/weir.h - the whole public API of the core library.
 *
 * weir decides whether a risky call may run, runs it, stops counting on it when its deadline comes,
 * and remembers what happened. Begin with README.md; then read
 * base.h, runtime.h, dependency.h, call.h, then context.h and queue.h; host.h is for those who
 * bring their own clock or memory.
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <weir/base.h>
#include <weir/call.h>
#include <weir/context.h>
#include <weir/dependency.h>
#include <weir/host.h>
#include <weir/queue.h>
#include <weir/runtime.h>

#endif
