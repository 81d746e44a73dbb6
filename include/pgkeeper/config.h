/*
 * pgkeeper/config.h - the configuration object: keys, where values come from, checks.
 *
 * Keys are those of Apache Flink's configuration where one exists; docs/configuration.md lists all
 * with types, defaults and limits. A value set by a call wins over the environment, the environment
 * over a file, a file over the default, whatever the order of the calls. A configuration belongs to
 * one thread at a time; opening a handle copies it, so it may be changed or freed afterwards.
 */
#ifndef PGKEEPER_CONFIG_H
#define PGKEEPER_CONFIG_H

#include <stddef.h>

#include <pgkeeper/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pgk_config pgk_config;

typedef enum pgk_log_level {
    PGK_LOG_DEBUG = 0,
    PGK_LOG_INFO = 1,
    PGK_LOG_WARNING = 2,
    PGK_LOG_ERROR = 3
} pgk_log_level;

/*
 * Receives the library's log lines; without one the library is silent (it never prints).
 * Called from any thread of the library or of the caller, possibly at the same time from several;
 * it must return soon and must not call the library. `context` names the part ("keeper.lock");
 * `message` is one line without a newline; both live for the call only.
 */
typedef void (*pgk_log_fn)(void *user, pgk_log_level level, const char *context,
                           const char *message);

/*
 * Makes an empty configuration: all keys at their defaults. Free it with pgk_config_free.
 * PGK_ERR_NO_MEMORY. Since 0.1.
 */
PGK_API pgk_status pgk_config_new(pgk_config **ret_config, pgk_error *err);

/* Frees a configuration; NULL is fine. Since 0.1. */
PGK_API void pgk_config_free(pgk_config *config);

/*
 * Sets a key, also by an older spelling of it. The value is checked and copied. PGK_ERR_CONFIG,
 * naming the key, the value and what is allowed, for an unknown key or a bad value; nothing is
 * changed then. Since 0.1.
 */
PGK_API pgk_status pgk_config_set(pgk_config *config, const char *key, const char *value,
                                  pgk_error *err);

/*
 * Takes keys from the environment: PGKEEPER_ and the key in upper case with '_' for '.' and '-'
 * (PGKEEPER_HIGH_AVAILABILITY_CLUSTER_ID). Empty variables count as not set. Variables that stand
 * for no key are passed over, but those beneath a prefix of the library's own (see below) are an
 * error. PGK_ERR_CONFIG, naming the variable, for a bad value; nothing of the environment is taken
 * then. Not while another thread changes the environment. Since 0.1.
 */
PGK_API pgk_status pgk_config_load_environment(pgk_config *config, pgk_error *err);

/*
 * Takes keys from a file of `key: value` lines with `#` comments, as in Flink's flat files. Keys
 * that are not the library's are passed over, because the file may be a Flink configuration with
 * many others; but an unknown key beneath a prefix of the library's own
 * (high-availability.postgres., retrieval., leader-election.) is an error. Older spellings of
 * Flink and keys of its ZooKeeper mode that have an equivalent are taken; what has none, or is set
 * twice, leaves a warning (pgk_config_warning). PGK_ERR_IO: not readable. PGK_ERR_CONFIG: names
 * the line; nested YAML is one. On error nothing of the file is taken. Since 0.1.
 */
PGK_API pgk_status pgk_config_load_file(pgk_config *config, const char *path, pgk_error *err);

/*
 * The value in force for a key, as text; NULL for an unknown key. The string belongs to the
 * configuration and lives until that key changes. Since 0.1.
 */
PGK_API const char *pgk_config_get(const pgk_config *config, const char *key);

/*
 * Checks what concerns several keys at once (the inequalities of the lease, see docs/election.md).
 * pgk_ha_open does so too. PGK_ERR_CONFIG with the offending values. Since 0.1.
 */
PGK_API pgk_status pgk_config_check(const pgk_config *config, pgk_error *err);

/*
 * What a file said that had no effect, or not the one that somebody may think, as one sentence with
 * the file, the line and the key, never a value: the first is number 0; NULL after the last (of a
 * hundred at most). Handles that are opened tell their log the same. The string lives as long as
 * the configuration. Since 0.1.
 */
PGK_API const char *pgk_config_warning(const pgk_config *config, size_t index);

/* Where a value comes from, in rising order of precedence. */
typedef enum pgk_config_origin {
    PGK_CONFIG_DEFAULT = 0,
    PGK_CONFIG_FILE = 1,
    PGK_CONFIG_ENVIRONMENT = 2,
    PGK_CONFIG_CALL = 3
} pgk_config_origin;

#define PGK_CONFIG_ALLOWED_SIZE 192
#define PGK_CONFIG_WHERE_SIZE 320

/* All about one key. The pointers belong to the library (value: to the configuration, and lives
 * until that key changes). */
typedef struct pgk_config_entry {
    size_t size; /* sizeof(pgk_config_entry), set by the caller */
    const char *key;
    const char *group;         /* heading of the documents that it stands under */
    const char *type;          /* "string", "duration", "integer", "boolean" or "one of" */
    const char *default_value; /* as it would be written, or a description of it */
    const char *description;   /* a sentence or more, without markup */
    const char *value;         /* in force; "(hidden)" for a secret that is not empty */
    bool secret;
    pgk_config_origin origin;
    char allowed[PGK_CONFIG_ALLOWED_SIZE]; /* "30 ms to 30 min" */
    char variable[80];                     /* of the environment */
    char where[PGK_CONFIG_WHERE_SIZE];     /* "path:line", the variable, or empty */
} pgk_config_entry;

/*
 * Describes the key number `index`, in the order of the documents, and its value in force. Secrets
 * are not shown. PGK_ERR_NOT_FOUND behind the last one. PGK_ERR_INVALID_ARGUMENT: config or
 * ret_entry is NULL, or ret_entry->size is wrong. Since 0.1.
 */
PGK_API pgk_status pgk_config_describe(const pgk_config *config, size_t index,
                                       pgk_config_entry *ret_entry, pgk_error *err);

/* Sends log lines of handles opened from this configuration to fn(user, ...). Since 0.1. */
PGK_API void pgk_config_set_log(pgk_config *config, pgk_log_fn fn, void *user);

#ifdef __cplusplus
}
#endif

#endif
