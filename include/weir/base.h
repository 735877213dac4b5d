/**
 * weir/base.h - what every other header needs: linkage, statuses, errors, versions.
 *
 * Conventions of the whole API:
 *   - A function that can fail returns weir_status; results come last, are named ret_..., and are
 *     left untouched on failure unless the comment says otherwise.
 *   - Time is monotonic nanoseconds in uint64_t. The API takes budgets (`..._ns` from now), never
 *     absolute times.
 *   - In-structs begin with their size and only grow at the end: initialise them with WEIR_SIZED
 *     (C) or weir_sized<T>() (C++). A newer caller's unknown tail must be zero, or the call is
 *     refused with WEIR_E_SIZE. Out-structs have a fixed size for ever and need no initialisation.
 *   - There is no thread-local last error, and errno is never a result.
 */
#ifndef WEIR_BASE_H
#define WEIR_BASE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#    error "weir is for Linux"
#endif
#define WEIR_API __attribute__((visibility("default")))

#ifdef __cplusplus
#    define WEIR_BEGIN_DECLS extern "C" {
#    define WEIR_END_DECLS   }
#else
#    define WEIR_BEGIN_DECLS
#    define WEIR_END_DECLS
#endif

/** First initialiser of every in-struct in C: `weir_request r = {WEIR_SIZED(weir_request), ...}`.
 */
#define WEIR_SIZED(type)   .size = sizeof(type)

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0
#define WEIR_VERSION       "0.1.0"

WEIR_BEGIN_DECLS

/**
 * The result of a function, and the kind of an outcome. Four classes:
 *   usage     < 0     the call was wrong or the process lacks something; nothing was done
 *   rejected  100..   a gate refused; the work never ran, so a retry is safe
 *   failed    200..   the work ran and said so
 *   unknown   300..   the work may still run, or may have had its effect
 * Numbers are fixed for ever. Nothing in this version gives shed or crashed yet.
 */
typedef int32_t weir_status;

/* One list: enum, names and documentation are made from it. X(symbol, number, name, meaning) */
#define WEIR_STATUS_LIST(X)                                                                        \
    X(WEIR_OK, 0, "ok", "there is a value; outcome.source says who answered")                      \
    X(WEIR_E_ARGUMENT, -1, "argument", "an argument is NULL, out of range or contradicts another") \
    X(WEIR_E_SIZE, -2, "size", "a struct's size is wrong, or its unknown tail is not zero")        \
    X(WEIR_E_MEMORY, -3, "memory", "the allocator gave nothing")                                   \
    X(WEIR_E_STALE, -4, "stale", "it has ended before, or was reclaimed")                          \
    X(WEIR_E_SHAPE, -5, "shape", "this shape of call is not allowed under this isolation")         \
    X(WEIR_E_FORKED, -6, "forked", "its threads are the parent's: make a new runtime")             \
    X(WEIR_E_CONFIG, -7, "config",                                                                 \
      "a setting is unknown, malformed, out of range or restart-only")                             \
    X(WEIR_E_TOO_LARGE, -8, "too_large", "a value or a table is larger than its limit")            \
    X(WEIR_E_BUSY, -9, "busy", "something that must end first is still in use")                    \
    X(WEIR_E_SYSTEM, -10, "system", "the operating system refused")                                \
    X(WEIR_OPEN, 100, "open", "refused by the breaker")                                            \
    X(WEIR_RATE, 101, "rate", "refused by the rate limit")                                         \
    X(WEIR_BULKHEAD, 102, "bulkhead", "refused: every place is taken")                             \
    X(WEIR_SHED, 103, "shed", "refused by priority")                                               \
    X(WEIR_OFF, 104, "off", "refused: the dependency is switched off")                             \
    X(WEIR_DEADLINE, 105, "deadline", "refused: no time left before it could run")                 \
    X(WEIR_SHUTDOWN, 106, "shutdown", "refused: the runtime is stopping")                          \
    X(WEIR_COST, 107, "cost", "refused: the cost is above the burst and can never pass")           \
    X(WEIR_CELLS, 108, "cells", "refused: no call cell is free")                                   \
    X(WEIR_FAILED, 200, "failed", "the work ran and failed")                                       \
    X(WEIR_CRASHED, 201, "crashed", "the worker process died")                                     \
    X(WEIR_IGNORED, 202, "ignored", "the caller's own mistake; says nothing of the dependency")    \
    X(WEIR_TIMED_OUT, 300, "timed_out", "the deadline came while the work ran")                    \
    X(WEIR_CANCELLED, 301, "cancelled",                                                            \
      "given up; outcome.attempts says whether the work had begun")

enum {
#define WEIR_STATUS_ENUM(symbol, number, name, meaning) symbol = (number),
    WEIR_STATUS_LIST(WEIR_STATUS_ENUM)
#undef WEIR_STATUS_ENUM
};

/** Who answered. */
enum {
    WEIR_BY_NOBODY,  /**< there is no value */
    WEIR_BY_RUN,     /**< the command's own run */
    WEIR_BY_CACHE,   /**< a fresh cache entry */
    WEIR_BY_STALE,   /**< a cache entry past its freshness */
    WEIR_BY_STATIC,  /**< the command's static result */
    WEIR_BY_FALLBACK /**< the command's fallback */
};

/**
 * Details of a failed set-up function: 512 bytes for ever, needs no initialisation, may be NULL.
 * `message` names the fix; `file`, `line`, `column` say where a setting came from (empty and 0 if
 * it came from code).
 */
typedef struct weir_error {
    weir_status status;
    uint32_t line, column;
    char file[116];
    char message[384];
} weir_error;

/** Class rejected: a gate refused, the work never ran. */
static inline int weir_status_is_rejected(weir_status status)
{
    return status >= 100 && status < 200;
}

/**
 * Name of a status, as used in metrics and in the simulator ("open", "timed_out", ...).
 * Result: a static string; "unknown" for a number that is no status. Never NULL.
 * Threads: any; never blocks. Since 0.1.
 */
WEIR_API const char *weir_status_name(weir_status status);

/** Name of a source: "nobody", "run", ... As weir_status_name() otherwise. Since 0.1. */
WEIR_API const char *weir_source_name(int32_t source);

/** Version of the library that runs, e.g. "0.1.0". Static. Threads: any. Since 0.1. */
WEIR_API const char *weir_version(void);

WEIR_END_DECLS

#ifdef __cplusplus
/** The in-struct T, zeroed, with its size set. */
template <typename T> inline T weir_sized()
{
    T value = T();
    value.size = sizeof(T);
    return value;
}
#endif

#endif
