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
 * The settings that a dependency must be created with, as text for weir_dependency_options: its own
 * in the file, and those of the file's defaults that cannot be changed later. For programs that
 * create a dependency themselves, to give it commands or worker_start, before weir_config_load().
 *
 * Result:  the text's length without its NUL; when that is >= size the text was cut. A name
 *          that the file does not have gets what its defaults say. "" and 0 for NULL.
 * Threads: any. Since 0.1.
 */
WEIR_API size_t weir_config_creation_settings(const weir_config *config, const char *name,
                                              char *buffer, size_t size);

/**
 * Create every dependency of the file that does not exist yet, then apply all its settings.
 *
 * Where calls run cannot change later: a dependency that exists already keeps its isolation, and
 * the file must not say otherwise (weir_config_creation_settings()).
 *
 * Result:  WEIR_OK; as weir_dependency_create() and weir_runtime_apply(). On failure no setting is
 *          applied to a dependency that existed; those created so far stay (a dependency lives as
 *          long as its runtime).
 * Threads: any. Blocks for a grace period.
 * Since:   0.1
 */
WEIR_API weir_status weir_config_load(const weir_config *config, weir_runtime *runtime,
                                      weir_error *error);

WEIR_END_DECLS

#endif
