/*
 * core/config_keys.c - the table of configuration keys: types, defaults, limits, meaning.
 *
 * docs/configuration.md says the same for people; a test compares the two. Immutable; any thread.
 */
#include "core/config_keys.h"

#include <string.h>

#include "core/text.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define HA "high-availability."
#define PG "high-availability.postgres."

#define STRING .type = CONFIG_STRING
#define DURATION .type = CONFIG_DURATION
#define INTEGER .type = CONFIG_INTEGER
#define BOOLEAN .type = CONFIG_BOOLEAN
#define ONE_OF(...)                                                                                \
    .type = CONFIG_ENUM, .choices = (const char *const[])                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define LIMITS(least, most) .min = (least), .max = (most)

/* clang-format off */
const struct config_key config_keys[KEY_COUNT] = {
    [KEY_TYPE] = {HA "type", ONE_OF("none", "standalone", "embedded", "postgres"),
        .only = "postgres", .default_text = "postgres",
        .description = "What keeps leadership."},
    [KEY_CLUSTER_ID] = {HA "cluster-id", STRING, LIMITS(1, 200), .default_text = "/default",
        .description = "Name of the cluster. Masters that stand in for one another have the same."},
    [KEY_URI] = {PG "uri", STRING, LIMITS(0, 8192), .secret = true, .default_text = "",
        .description =
            "Conninfo or URI of the database, as libpq takes it; several hosts are allowed. Empty: "
            "libpq's environment. Never shown in messages."},
    [KEY_SCHEMA] = {PG "schema", STRING, LIMITS(1, 63), .default_text = "pgkeeper",
        .description = "Schema of pgkeeper's tables."},
    [KEY_PROFILE] = {PG "profile", ONE_OF("default", "fast", "wan"), .default_text = "default",
        .description = "Where the four values of the lease come from that are not set themselves."},
    [KEY_HEARTBEAT] = {PG "heartbeat", DURATION, LIMITS(10, 10 * MINUTE), .derived = true,
        .default_text = "of the profile",
        .description =
            "How often a master tells the server that it lives. Three times this must not exceed "
            "the lease."},
    [KEY_LEASE] = {PG "lease", DURATION, LIMITS(30, 30 * MINUTE), .derived = true,
        .default_text = "of the profile",
        .description =
            "How long a leader believes in its leadership after it sent the last heartbeat that "
            "was answered. At most two thirds of the session timeout."},
    [KEY_SESSION_TIMEOUT] = {PG "session-timeout", DURATION, LIMITS(45, HOUR), .derived = true,
        .default_text = "of the profile",
        .description =
            "After this much silence the server ends the leader's session, and another may lead."},
    [KEY_GRACE] = {PG "grace", DURATION, LIMITS(30, HOUR), .derived = true,
        .default_text = "of the profile",
        .description =
            "With take-over exclusive: what a successor waits after an unclean end. At least 1.001 "
            "times the lease."},
    [KEY_DURABLE_HEARTBEAT] = {PG "durable-heartbeat", BOOLEAN, .default_text = "off",
        .description =
            "Heartbeats write WAL, so that with synchronous replication a leader on a primary that "
            "was cut off cannot renew its lease."},
    [KEY_ALLOW_SESSION_POOLER] = {PG "allow-session-pooler", BOOLEAN, .default_text = "off",
        .description =
            "Accept a connection pooler in session mode; poolers are refused otherwise."},
    [KEY_CONNECT_TIMEOUT] = {PG "connect-timeout", DURATION, LIMITS(10, HOUR),
        .default_text = "15 s",
        .description = "How long opening may take in all, retries included."},
    [KEY_STATEMENT_TIMEOUT] = {PG "statement-timeout", DURATION, LIMITS(10, HOUR),
        .default_text = "10 s",
        .description = "How long one statement may take."},
    [KEY_RETRY_WAIT] = {PG "retry-wait", DURATION, LIMITS(1, MINUTE), .default_text = "20 ms",
        .description = "Wait before the first retry; it grows up to max-retry-wait, with jitter."},
    [KEY_MAX_RETRY_WAIT] = {PG "max-retry-wait", DURATION, LIMITS(1, HOUR), .default_text = "1 s",
        .description = "Longest wait between retries; five times that for lasting faults (login, schema)."},
    [KEY_MAX_RETRY_ATTEMPTS] = {PG "max-retry-attempts", INTEGER, LIMITS(0, 1000000),
        .default_text = "0",
        .description = "Retries of one call within its time; 0: as many as fit. Background sessions never give up."},
    [KEY_MAX_CONNECTIONS] = {PG "max-connections", INTEGER, LIMITS(1, 1000), .default_text = "8",
        .description = "Most work sessions that the application's threads use at a time."},
    [KEY_TAKE_OVER] = {"leader-election.take-over", ONE_OF("immediate", "exclusive"),
        .default_text = "immediate",
        .description =
            "immediate: a successor is granted at once; exclusive: after the grace, unless the "
            "predecessor resigned, so that two processes never believe at a time."},
    [KEY_SCOPE] = {"leader-election.scope", ONE_OF("process", "component"),
        .default_text = "process",
        .description =
            "process: one process leads all components; component: each has its own leader."},
    [KEY_RETRIEVAL_MODE] = {"retrieval.mode", ONE_OF("listen", "poll"), .default_text = "listen",
        .description =
            "listen: changes are notified; poll: they are looked for, which works through a "
            "transaction pooler too."},
    [KEY_POLL_INTERVAL] = {"retrieval.poll-interval", DURATION, LIMITS(50, HOUR),
        .default_text = "1 s",
        .description = "How often leaders are read again, notified or not."},
    [KEY_DISCONNECT_TOLERANCE] = {"retrieval.disconnect-tolerance", DURATION, LIMITS(0, DAY),
        .derived = true, .default_text = "the lease",
        .description =
            "How long a known leader is kept after the database was lost, before it is announced "
            "as gone."},
    [KEY_RESULT_DELETE] = {"job-result-store.delete-on-commit", BOOLEAN, .default_text = "off",
        .description = "A result that is marked clean is deleted at once, not kept."},
    [KEY_RESULT_RETENTION] = {"job-result-store.retention", DURATION, LIMITS(0, 3650 * DAY),
        .default_text = "30 d",
        .description = "How long clean results are kept before they may be purged."},
    [KEY_NUM_RETAINED] = {"execution.checkpointing.num-retained", INTEGER, LIMITS(1, 1000000),
        .default_text = "1",
        .description = "How many completed checkpoints of a job to keep; see pgk_ha_num_retained()."},
    [KEY_MEMBER_NAME] = {"member.name", STRING, LIMITS(1, 200), .derived = true,
        .default_text = "<hostname>:<pid>",
        .description = "What people call this process in views and in the history."},
    [KEY_DISPATCH] = {"dispatch", ONE_OF("thread", "manual"), .default_text = "thread",
        .description =
            "thread: callbacks run on a thread of the library; manual: in pgk_ha_dispatch()."},
};
/* clang-format on */

/* Beneath these every key must be known; elsewhere a file may hold keys of other programs. */
static const char *const own_prefixes[] = {PG, "leader-election.", "retrieval."};

/* docs/election.md, "the inequality". */
static const struct {
    const char *name;
    const char *texts[4]; /* KEY_HEARTBEAT.. */
} profiles[] = {
    {"default", {"300 ms", "1000 ms", "1500 ms", "1050 ms"}},
    {"fast", {"100 ms", "400 ms", "600 ms", "420 ms"}},
    {"wan", {"1000 ms", "4000 ms", "6000 ms", "4200 ms"}},
};

enum config_id config_key_find(const char *name)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(config_keys[i].name, name) == 0) {
            return (enum config_id)i;
        }
    }
    return KEY_COUNT;
}

bool config_key_is_ours(const char *name)
{
    for (size_t i = 0; i < sizeof(own_prefixes) / sizeof(own_prefixes[0]); i++) {
        if (strncmp(name, own_prefixes[i], strlen(own_prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

void config_key_env_name(const char *name, char out[CONFIG_ENV_NAME_SIZE])
{
    text_format(out, CONFIG_ENV_NAME_SIZE, "PGKEEPER_%s", name);
    for (char *at = out; *at != '\0'; at++) {
        if (*at == '.' || *at == '-') {
            *at = '_';
        } else if (*at >= 'a' && *at <= 'z') {
            *at = (char)(*at - 'a' + 'A');
        }
    }
}

bool config_env_is_ours(const char *variable)
{
    for (size_t i = 0; i < sizeof(own_prefixes) / sizeof(own_prefixes[0]); i++) {
        char prefix[CONFIG_ENV_NAME_SIZE];
        config_key_env_name(own_prefixes[i], prefix);
        if (strncmp(variable, prefix, strlen(prefix)) == 0) {
            return true;
        }
    }
    return false;
}

#define SUGGEST_MAX_BYTES 63
#define SUGGEST_MAX_EDITS 3

/* Letters to insert, delete or replace to get from a to b; both at most SUGGEST_MAX_BYTES. */
static size_t edits_between(const char *a, const char *b)
{
    size_t row[SUGGEST_MAX_BYTES + 1];
    size_t width = strlen(b);
    for (size_t j = 0; j <= width; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            size_t best = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            if (row[j] + 1 < best) {
                best = row[j] + 1;
            }
            if (diagonal + 1 < best) {
                best = diagonal + 1;
            }
            row[j + 1] = best;
        }
    }
    return row[width];
}

const char *config_key_suggest(const char *name)
{
    const char *nearest = NULL;
    size_t fewest = SUGGEST_MAX_EDITS + 1;
    if (strnlen(name, SUGGEST_MAX_BYTES + 1) > SUGGEST_MAX_BYTES) {
        return NULL;
    }
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const char *last = strrchr(config_keys[i].name, '.');
        size_t edits = edits_between(name, config_keys[i].name);
        if (last != NULL && strcmp(last + 1, name) == 0) {
            edits = 0; /* only the prefix was left out */
        }
        if (edits < fewest) {
            fewest = edits;
            nearest = config_keys[i].name;
        }
    }
    return nearest;
}

const char *config_profile_text(const char *profile, enum config_id key)
{
    for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
        if (strcmp(profiles[i].name, profile) == 0) {
            return profiles[i].texts[key - KEY_HEARTBEAT];
        }
    }
    return NULL;
}
