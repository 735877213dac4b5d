/*
 * Names of statuses and sources, and the version.
 */
#include <weir/base.h>

const char *weir_status_name(weir_status status)
{
    switch (status) {
#define STATUS_NAME(symbol, number, name, meaning) \
    case symbol:                                   \
        return name;
        WEIR_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    default:
        return "unknown";
    }
}

const char *weir_source_name(int32_t source)
{
    static const char *const names[] = {"nobody", "run", "cache", "stale", "static", "fallback"};

    if (source < 0 || (size_t)source >= sizeof(names) / sizeof(names[0])) {
        return "unknown";
    }
    return names[source];
}

const char *weir_version(void)
{
    return WEIR_VERSION;
}
