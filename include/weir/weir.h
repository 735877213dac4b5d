/**
 * weir/weir.h - the whole public API of the core library.
 *
 * weir decides whether a risky call may run, runs it, stops counting on it when its deadline comes,
 * and remembers what happened. Begin with README.md; the order of reading is the order below.
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <weir/base.h>
#include <weir/call.h>
#include <weir/dependency.h>
#include <weir/host.h>
#include <weir/runtime.h>

#endif
