/**
 * weir/config.h - configuration files: YAML to settings.
 *
 * Library weir-config (CMake component config). Format: docs/configuration.md. A strict subset of
 * YAML: block and flow mappings of scalars; unknown and duplicate keys, anchors, aliases, tags,
 * sequences, several documents and missing units are errors with file:line:column and the nearest
 * valid name.
 */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include <weir/base.h>
#include <weir/runtime.h>

WEIR_BEGIN_DECLS

/** A parsed and checked file. Immutable. */
typedef struct weir_config weir_config;

/**
 * Read a configuration file (at most 1 MiB), or a text (`name` is used in messages).
 *
 * Every key, value, range and contradiction is checked here, as weir_runtime_apply() would.
 * Result:  WEIR_OK; WEIR_E_CONFIG with file, line, column and the fix in `error`; WEIR_E_SYSTEM
 *          (cannot be read); WEIR_E_TOO_LARGE; WEIR_E_MEMORY; WEIR_E_ARGUMENT. Nothing is left
 *          behind on failure.
 * Owns:    the caller; weir_config_destroy().
 * Threads: any. Blocks on the file.
 * Since:   0.1
 */
WEIR_API weir_status weir_config_read(const char *path, weir_config **ret_config,
                                      weir_error *error);
WEIR_API weir_status weir_config_parse(const char *name, const char *text, size_t length,
                                       weir_config **ret_config, weir_error *error);

/** Free it. NULL is fine. */
WEIR_API void weir_config_destroy(weir_config *config);

/** The settings in file order, defaults first; borrowed until destroy. Ready for
 *  weir_runtime_apply() once every named dependency exists. */
WEIR_API const weir_setting *weir_config_settings(const weir_config *config, size_t *ret_count);

/** Number of dependencies in the file, and their names in file order; NULL past the end. */
WEIR_API size_t weir_config_dependency_count(const weir_config *config);
WEIR_API const char *weir_config_dependency(const weir_config *config, size_t index);

/**
 * Create every dependency of the file that does not exist yet, then apply all its settings.
 *
 * Result:  WEIR_OK; as weir_dependency_create() and weir_runtime_apply(). On failure no setting is
 *          applied; dependencies created so far stay, with their defaults (a dependency lives as
 *          long as its runtime).
 * Threads: any. Blocks for a grace period.
 * Since:   0.1
 */
WEIR_API weir_status weir_config_load(const weir_config *config, weir_runtime *runtime,
                                      weir_error *error);

WEIR_END_DECLS

#endif
