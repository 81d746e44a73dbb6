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
    KEY_MEMBER_NAME,
    KEY_DISPATCH,
    KEY_COUNT
};

struct config_key {
    const char *name;
    enum config_type type;
    bool secret;              /* its value never appears in a message */
    bool derived;             /* default_text describes the default, config.c computes it */
    const char *default_text; /* the default, as it would be written */
    int64_t min;              /* CONFIG_STRING, _DURATION, _INTEGER */
    int64_t max;
    const char *const
        *choices;     /* CONFIG_ENUM: NULL-terminated, in the order of the enum in settings.h */
    const char *only; /* CONFIG_ENUM: the one choice that this version has; NULL: all */
    const char *description;
};

extern const struct config_key config_keys[KEY_COUNT];

/* KEY_COUNT when there is none. */
enum config_id config_key_find(const char *name);

/* True beneath a prefix where every key must be known. */
bool config_key_is_ours(const char *name);

/* A key that may have been meant; NULL when none is near. */
const char *config_key_suggest(const char *name);

#define CONFIG_ENV_NAME_SIZE 80

/* "PGKEEPER_HIGH_AVAILABILITY_CLUSTER_ID"; also of a prefix. */
void config_key_env_name(const char *name, char out[CONFIG_ENV_NAME_SIZE]);

/* True for a variable beneath such a prefix, as config_key_is_ours. */
bool config_env_is_ours(const char *variable);

/* The text of key (KEY_HEARTBEAT..KEY_GRACE) in a profile; profile: a choice of KEY_PROFILE. */
const char *config_profile_text(const char *profile, enum config_id key);

#endif
