/*
 * core/config_keys.h - the one table of configuration keys, and look-ups in it.
 *
 * Immutable; any thread. A new key is one row in config_keys.c and one id here, in the same order.
 */
#ifndef PGK_CORE_CONFIG_KEYS_H
#define PGK_CORE_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_STRING,   /* limits in bytes of UTF-8 */
    CONFIG_DURATION, /* limits in milliseconds */
    CONFIG_INTEGER,
    CONFIG_BOOLEAN,
    CONFIG_ENUM
};

enum config_id {
    KEY_TYPE,
    KEY_CLUSTER_ID,
    KEY_URI,
    KEY_SCHEMA,
    KEY_PROFILE,
    KEY_HEARTBEAT, /* the four values of a profile stand together, in this order */
    KEY_LEASE,
    KEY_SESSION_TIMEOUT,
    KEY_GRACE,
    KEY_DURABLE_HEARTBEAT,
    KEY_ALLOW_SESSION_POOLER,
    KEY_CONNECT_TIMEOUT,
    KEY_STATEMENT_TIMEOUT,
    KEY_RETRY_WAIT,
    KEY_MAX_RETRY_WAIT,
    KEY_MAX_RETRY_ATTEMPTS,
    KEY_MAX_CONNECTIONS,
    KEY_TAKE_OVER,
    KEY_SCOPE,
    KEY_RETRIEVAL_MODE,
    KEY_POLL_INTERVAL,
    KEY_DISCONNECT_TOLERANCE,
    KEY_RESULT_DELETE,
    KEY_RESULT_RETENTION,
    KEY_NUM_RETAINED,
    KEY_CLEANUP_STRATEGY,
    KEY_CLEANUP_FIXED_ATTEMPTS,
    KEY_CLEANUP_FIXED_DELAY,
    KEY_CLEANUP_INITIAL_BACKOFF,
    KEY_CLEANUP_MAX_BACKOFF,
    KEY_CLEANUP_ATTEMPTS,
    KEY_JOB_MANAGER_HOST,
    KEY_JOB_MANAGER_PORT,
    KEY_REST_HOST,
    KEY_REST_PORT,
    KEY_MEMBER_NAME,
    KEY_DISPATCH,
    KEY_COUNT
};

/* Which table of docs/configuration.md and pgkeeper-config(5) a key stands in. */
enum config_group {
    GROUP_WHERE,
    GROUP_LEASE,
    GROUP_CONNECTIONS,
    GROUP_RETRIEVAL,
    GROUP_STORES,
    GROUP_CLEANUP,
    GROUP_ADDRESSES,
    GROUP_COUNT
};

/* The name of a group in marks of the documents, and its heading. */
struct config_group_text {
    const char *name;
    const char *heading;
};
extern const struct config_group_text config_groups[GROUP_COUNT];

/* Another word for a choice. */
struct config_alias {
    const char *word;
    const char *choice;
};

struct config_key {
    const char *name;
    enum config_group group;
    enum config_type type;
    bool secret;              /* its value never appears in a message */
    bool derived;             /* default_text describes the default, config.c computes it */
    const char *default_text; /* the default, as it would be written */
    int64_t min;              /* CONFIG_STRING, _DURATION, _INTEGER */
    int64_t max;
    const char *const
        *choices; /* CONFIG_ENUM: NULL-terminated, in the order of the enum in settings.h */
    const struct config_alias *aliases; /* CONFIG_ENUM: ended by a NULL word; NULL: none */
    /* Other spellings, NULL-terminated, those that count more first; NULL: none. The key's own name
     * counts most. */
    const char *const *also;
    const char *description;
};

extern const struct config_key config_keys[KEY_COUNT];

/* KEY_COUNT when there is none. Knows other spellings: *ret_rank (NULL is fine) is 0 for the key's
 * own name, and greater for what counts less. */
enum config_id config_key_find(const char *name, size_t *ret_rank);

/* True beneath a prefix where every key must be known. */
bool config_key_is_ours(const char *name);

/* A key that may have been meant; NULL when none is near. */
const char *config_key_suggest(const char *name);

#define CONFIG_ENV_NAME_SIZE 80

/* What a key accepts, for people: "30 ms to 30 min", "one of a, b", ... */
#define CONFIG_ALLOWED_SIZE 192
void config_key_allowed(const struct config_key *key, char out[CONFIG_ALLOWED_SIZE]);

/* "string", "duration", ... */
const char *config_type_name(enum config_type type);

/* "PGKEEPER_HIGH_AVAILABILITY_CLUSTER_ID"; also of a prefix. */
void config_key_env_name(const char *name, char out[CONFIG_ENV_NAME_SIZE]);

/* True for a variable beneath such a prefix, as config_key_is_ours. */
bool config_env_is_ours(const char *variable);

/* The text of key (KEY_HEARTBEAT..KEY_GRACE) in a profile; profile: a choice of KEY_PROFILE. */
const char *config_profile_text(const char *profile, enum config_id key);

#endif
