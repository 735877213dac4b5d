/*
 * The table of dependencies by name: immutable, replaced as a whole when one is added, so that a
 * find is a hash and a few loads inside one read section.
 */
#include "command/state.h"

#include <string.h>

/* FNV-1a. The names come from the service's own code, not from requests. */
static uint32_t hash_of(const char *name)
{
    uint32_t hash = 2166136261U;

    for (; *name != '\0'; ++name) {
        hash = (hash ^ (unsigned char)*name) * 16777619U;
    }
    return hash;
}

static size_t bytes_of(uint32_t slots)
{
    return sizeof(struct wr_registry) + 2 * (size_t)slots * sizeof(weir_dependency *);
}

static void insert(struct wr_registry *registry, weir_dependency *dependency)
{
    uint32_t at = hash_of(dependency->name) & registry->mask;

    while (registry->slots[at] != NULL) {
        at = (at + 1) & registry->mask;
    }
    registry->slots[at] = dependency;
    registry->list[registry->count] = dependency;
    registry->count += 1;
}

struct wr_registry *wr_registry_with(struct wr_host *host, const struct wr_registry *old,
                                     weir_dependency *dependency)
{
    const uint32_t count = (old != NULL ? old->count : 0) + (dependency != NULL ? 1 : 0);
    uint32_t slots = 8;
    struct wr_registry *registry;

    while (slots < 2 * count) {
        slots *= 2; /* at most half full */
    }
    registry = wr_host_allocate(host, bytes_of(slots));
    if (registry == NULL) {
        return NULL;
    }
    registry->mask = slots - 1;
    registry->list = &registry->slots[slots];
    for (uint32_t i = 0; old != NULL && i < old->count; ++i) {
        insert(registry, old->list[i]);
    }
    if (dependency != NULL) {
        insert(registry, dependency);
    }
    return registry;
}

void wr_registry_free(struct wr_host *host, struct wr_registry *registry)
{
    if (registry != NULL) {
        wr_host_release(host, registry, bytes_of(registry->mask + 1));
    }
}

weir_dependency *wr_registry_find(const struct wr_registry *registry, const char *name)
{
    uint32_t at = hash_of(name) & registry->mask;

    while (registry->slots[at] != NULL) {
        if (strcmp(registry->slots[at]->name, name) == 0) {
            return registry->slots[at];
        }
        at = (at + 1) & registry->mask;
    }
    return NULL;
}
