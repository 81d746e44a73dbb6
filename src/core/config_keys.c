/*
 * core/config_keys.c - the table of configuration keys: types, defaults, limits, meaning.
 *
 * The one place: parsing, `pgkeeper config show`, pgkeeper-config(5) and docs/configuration.md are
 * made of it (./dev keys writes the last two, a check compares them). Immutable; any thread.
 */
#include "core/config_keys.h"

#include <inttypes.h>
#include <string.h>

#include "core/duration.h"
#include "core/text.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define ENDLESS 2147483647 /* attempts, as Flink counts them */

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

#define ALSO(...)                                                                                  \
    .also = (const char *const[])                                                                  \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define ALIASES(...)                                                                               \
    .aliases = (const struct config_alias[])                                                       \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }
#define IN(group_name) .group = GROUP_##group_name

/* clang-format off */
const struct config_group_text config_groups[GROUP_COUNT] = {
    [GROUP_WHERE] = {"where", "What and where"},
    [GROUP_LEASE] = {"lease", "The lease"},
    [GROUP_CONNECTIONS] = {"connections", "Connections"},
    [GROUP_RETRIEVAL] = {"retrieval", "Following leaders"},
    [GROUP_STORES] = {"stores", "Results and checkpoints"},
    [GROUP_CLEANUP] = {"cleanup", "Clean-up"},
    [GROUP_ADDRESSES] = {"addresses", "Addresses"},
};

const struct config_key config_keys[KEY_COUNT] = {
    [KEY_TYPE] = {HA "type", IN(WHERE), ONE_OF("none", "standalone", "embedded", "postgres"),
        .default_text = "postgres",
        ALSO("recovery.mode", "high-availability"),
        .description =
            "What keeps leadership and what is stored. postgres: the database, for any number of processes; "
            "embedded: the memory of this process, for all its handles of one cluster id; standalone and none: "
            "nothing, the leaders are fixed. In these three no server is needed, and keys that are about a database "
            "or a lease have no effect."},
    [KEY_CLUSTER_ID] = {HA "cluster-id", IN(WHERE), STRING, LIMITS(1, 200), .default_text = "/default",
        ALSO(HA "zookeeper.path.namespace", "recovery.zookeeper.path.namespace"),
        .description =
            "Name of the cluster. Masters that stand in for one another have the same; clusters with different names "
            "share a schema without meeting."},
    [KEY_URI] = {PG "uri", IN(WHERE), STRING, LIMITS(0, 8192), .secret = true, .default_text = "",
        .description =
            "Conninfo (host=db1,db2 dbname=ha user=master) or URI (postgresql://master@db1,db2/ha) as libpq takes it. "
            "Several hosts are allowed: the writable one with the newest timeline is used. Empty: libpq's own "
            "environment (PGHOST, PGSERVICE, ...). It may hold a password, so no message ever shows it; better places "
            "for a password are .pgpass and the service file."},
    [KEY_SCHEMA] = {PG "schema", IN(WHERE), STRING, LIMITS(1, 63), .default_text = "pgkeeper",
        .description = "Schema of pgkeeper's tables, as given to pgkeeper migrate."},
    [KEY_MEMBER_NAME] = {"member.name", IN(WHERE), STRING, LIMITS(1, 200), .derived = true,
        .default_text = "<hostname>:<pid>",
        .description = "What people call this process in views and in the history."},
    [KEY_DISPATCH] = {"dispatch", IN(WHERE), ONE_OF("thread", "manual"), .default_text = "thread",
        .description =
            "thread: callbacks run on a thread of the library; manual: they run in pgk_ha_dispatch(), called from the "
            "application's own loop."},

    [KEY_PROFILE] = {PG "profile", IN(LEASE), ONE_OF("default", "fast", "wan"), .default_text = "default",
        .description = "Where those of the next four come from that are not set themselves."},
    [KEY_HEARTBEAT] = {PG "heartbeat", IN(LEASE), DURATION, LIMITS(10, 10 * MINUTE), .derived = true,
        .default_text = "of the profile",
        .description = "How often a master tells the server that it lives."},
    [KEY_LEASE] = {PG "lease", IN(LEASE), DURATION, LIMITS(30, 30 * MINUTE), .derived = true,
        .default_text = "of the profile",
        .description =
            "How long a leader believes in its leadership after it sent the last heartbeat that was answered."},
    [KEY_SESSION_TIMEOUT] = {PG "session-timeout", IN(LEASE), DURATION, LIMITS(45, HOUR), .derived = true,
        .default_text = "of the profile",
        ALSO(HA "zookeeper.client.session-timeout", "recovery.zookeeper.client.session-timeout"),
        .description =
            "After this much silence the server ends the leader's session, and another process may lead."},
    [KEY_GRACE] = {PG "grace", IN(LEASE), DURATION, LIMITS(30, HOUR), .derived = true,
        .default_text = "of the profile",
        .description = "With take-over exclusive: what a successor waits after an unclean end."},
    [KEY_DURABLE_HEARTBEAT] = {PG "durable-heartbeat", IN(LEASE), BOOLEAN, .default_text = "off",
        .description =
            "Heartbeats write WAL, so that with synchronous replication a leader on a primary that was cut off cannot "
            "renew its lease."},
    [KEY_TAKE_OVER] = {"leader-election.take-over", IN(LEASE), ONE_OF("immediate", "exclusive"),
        .default_text = "immediate",
        .description =
            "immediate: a successor is granted as soon as the lock is free; exclusive: it waits the grace first, "
            "unless its predecessor resigned, so that two processes never believe at the same time. pgkeeper run uses "
            "exclusive."},
    [KEY_SCOPE] = {"leader-election.scope", IN(LEASE), ONE_OF("process", "component"),
        .default_text = "process",
        .description = "process: one process leads all components; component: each component has its own leader."},

    [KEY_CONNECT_TIMEOUT] = {PG "connect-timeout", IN(CONNECTIONS), DURATION, LIMITS(10, HOUR),
        .default_text = "15 s",
        ALSO(HA "zookeeper.client.connection-timeout", "recovery.zookeeper.client.connection-timeout"),
        .description = "How long opening a handle may take in all, hosts and retries included."},
    [KEY_STATEMENT_TIMEOUT] = {PG "statement-timeout", IN(CONNECTIONS), DURATION, LIMITS(10, HOUR),
        .default_text = "10 s",
        .description = "How long one statement may take."},
    [KEY_RETRY_WAIT] = {PG "retry-wait", IN(CONNECTIONS), DURATION, LIMITS(1, MINUTE), .default_text = "20 ms",
        ALSO(HA "zookeeper.client.retry-wait", "recovery.zookeeper.client.retry-wait"),
        .description = "Wait before the first retry; it grows from retry to retry, with jitter."},
    [KEY_MAX_RETRY_WAIT] = {PG "max-retry-wait", IN(CONNECTIONS), DURATION, LIMITS(1, HOUR), .derived = true,
        .default_text = "1 s, or retry-wait if that is longer",
        .description =
            "The longest such wait; not less than retry-wait. What a person has to mend (login, schema) is tried again "
            "after five times that."},
    [KEY_MAX_RETRY_ATTEMPTS] = {PG "max-retry-attempts", IN(CONNECTIONS), INTEGER, LIMITS(0, 1000000),
        .default_text = "0",
        ALSO(HA "zookeeper.client.max-retry-attempts", "recovery.zookeeper.client.max-retry-attempts"),
        .description =
            "Retries of one call (opening, confirm) within its time; 0: as many as fit. Background sessions never give "
            "up."},
    [KEY_MAX_CONNECTIONS] = {PG "max-connections", IN(CONNECTIONS), INTEGER, LIMITS(1, 1000), .default_text = "8",
        .description =
            "How many work sessions the application's threads use at a time. The sessions of the election come on "
            "top."},
    [KEY_ALLOW_SESSION_POOLER] = {PG "allow-session-pooler", IN(CONNECTIONS), BOOLEAN, .default_text = "off",
        .description =
            "Accept a connection pooler in session mode. Poolers are refused otherwise, and transaction pooling "
            "always, because a lock would not stay with its session."},

    [KEY_RETRIEVAL_MODE] = {"retrieval.mode", IN(RETRIEVAL), ONE_OF("listen", "poll"), .default_text = "listen",
        .description =
            "listen: changes are notified; poll: they are looked for every poll-interval, which works through a "
            "transaction pooler too."},
    [KEY_POLL_INTERVAL] = {"retrieval.poll-interval", IN(RETRIEVAL), DURATION, LIMITS(50, HOUR),
        .default_text = "1 s",
        .description = "How often leaders are read again, notified or not."},
    [KEY_DISCONNECT_TOLERANCE] = {"retrieval.disconnect-tolerance", IN(RETRIEVAL), DURATION, LIMITS(0, DAY),
        .derived = true, .default_text = "the lease",
        .description =
            "How long a known leader is kept after the database was lost, before it is announced as gone."},

    [KEY_RESULT_DELETE] = {"job-result-store.delete-on-commit", IN(STORES), BOOLEAN, .default_text = "off",
        .description =
            "A result that is marked clean is deleted at once. Otherwise it stays, so that a job submitted twice is "
            "known to have ended."},
    [KEY_RESULT_RETENTION] = {"job-result-store.retention", IN(STORES), DURATION, LIMITS(0, 3650 * DAY),
        .default_text = "30 d",
        .description =
            "How long clean results are kept before pgk_job_results_purge() or pgkeeper purge may delete them."},
    [KEY_NUM_RETAINED] = {"execution.checkpointing.num-retained", IN(STORES), INTEGER, LIMITS(1, 1000000),
        .default_text = "1",
        ALSO("state.checkpoints.num-retained"),
        .description =
            "How many completed checkpoints of a job to keep. The library does not apply it by itself: "
            "pgk_ha_num_retained() gives it to an application, for max_retained of pgk_ha_checkpoints()."},

    [KEY_CLEANUP_STRATEGY] = {"cleanup-strategy", IN(CLEANUP), ONE_OF("none", "fixed-delay", "exponential-delay"),
        ALSO("cleanup-strategy.type"),
        ALIASES({"disable", "none"}, {"off", "none"}, {"fixeddelay", "fixed-delay"},
                {"exponentialdelay", "exponential-delay"}),
        .default_text = "exponential-delay",
        .description =
            "What pgk_ha_cleanup_job_async() does when cleaning up after a job fails for a reason that may pass. none "
            "(also disable, off): nothing, it is tried once; fixed-delay: it is tried again after the same wait each "
            "time; exponential-delay: after a wait that doubles."},
    [KEY_CLEANUP_FIXED_ATTEMPTS] = {"cleanup-strategy.fixed-delay.attempts", IN(CLEANUP), INTEGER,
        LIMITS(0, ENDLESS), .default_text = "2147483647",
        .description =
            "With fixed-delay: how often a clean-up that failed is tried again. 2147483647, which Flink calls "
            "infinite: until it succeeds."},
    [KEY_CLEANUP_FIXED_DELAY] = {"cleanup-strategy.fixed-delay.delay", IN(CLEANUP), DURATION, LIMITS(0, DAY),
        .default_text = "1 min",
        .description = "With fixed-delay: the wait before each retry."},
    [KEY_CLEANUP_INITIAL_BACKOFF] = {"cleanup-strategy.exponential-delay.initial-backoff", IN(CLEANUP), DURATION,
        LIMITS(1, DAY), .default_text = "1 s",
        .description = "With exponential-delay: the wait before the first retry; not more than max-backoff."},
    [KEY_CLEANUP_MAX_BACKOFF] = {"cleanup-strategy.exponential-delay.max-backoff", IN(CLEANUP), DURATION,
        LIMITS(1, DAY), .default_text = "1 h",
        .description = "With exponential-delay: the longest wait between retries."},
    [KEY_CLEANUP_ATTEMPTS] = {"cleanup-strategy.exponential-delay.attempts", IN(CLEANUP), INTEGER,
        LIMITS(0, ENDLESS), .default_text = "2147483647",
        .description =
            "With exponential-delay: how often a clean-up that failed is tried again. 2147483647, which Flink calls "
            "infinite: until it succeeds."},

    [KEY_JOB_MANAGER_HOST] = {"jobmanager.rpc.address", IN(ADDRESSES), STRING, LIMITS(0, 255), .default_text = "",
        .description =
            "Host name or IP address of the one master there is when nothing is elected (standalone); "
            "pgk_config_job_manager_address() reads it. Empty: not known."},
    [KEY_JOB_MANAGER_PORT] = {"jobmanager.rpc.port", IN(ADDRESSES), INTEGER, LIMITS(0, 65535),
        .default_text = "6123",
        .description = "Port of that master. 0: chosen at its start, so that nobody can know it beforehand."},
    [KEY_REST_HOST] = {"rest.address", IN(ADDRESSES), STRING, LIMITS(0, 255), .derived = true,
        .default_text = "jobmanager.rpc.address",
        .description =
            "Host name or IP address of the REST endpoint when nothing is elected; pgk_config_rest_address() reads "
            "it."},
    [KEY_REST_PORT] = {"rest.port", IN(ADDRESSES), INTEGER, LIMITS(0, 65535), .default_text = "8081",
        ALSO("web.port"),
        .description = "Port of the REST endpoint. 0: chosen at its start, as above."},
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

enum config_id config_key_find(const char *name, size_t *ret_rank)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const char *const *also = config_keys[i].also;
        const char *spelling = config_keys[i].name;
        for (size_t rank = 0; spelling != NULL; rank++) {
            if (strcmp(spelling, name) == 0) {
                if (ret_rank != NULL) {
                    *ret_rank = rank;
                }
                return (enum config_id)i;
            }
            spelling = also != NULL ? also[rank] : NULL;
        }
    }
    return KEY_COUNT;
}

const char *config_type_name(enum config_type type)
{
    static const char *const names[] = {"string", "duration", "integer", "boolean", "one of"};
    return names[type];
}

void config_key_allowed(const struct config_key *key, char out[CONFIG_ALLOWED_SIZE])
{
    char least[DURATION_TEXT_SIZE];
    char most[DURATION_TEXT_SIZE];
    switch (key->type) {
    case CONFIG_STRING:
        if (key->min == 0) {
            text_format(out, CONFIG_ALLOWED_SIZE, "at most %" PRId64 " bytes", key->max);
            return;
        }
        text_format(out, CONFIG_ALLOWED_SIZE, "%" PRId64 " to %" PRId64 " bytes", key->min,
                    key->max);
        return;
    case CONFIG_DURATION:
        duration_format(key->min, least);
        duration_format(key->max, most);
        text_format(out, CONFIG_ALLOWED_SIZE, "%s to %s", least, most);
        return;
    case CONFIG_INTEGER:
        text_format(out, CONFIG_ALLOWED_SIZE, "%" PRId64 " to %" PRId64, key->min, key->max);
        return;
    case CONFIG_BOOLEAN:
        text_copy(out, CONFIG_ALLOWED_SIZE, "true, false, on, off, yes, no");
        return;
    case CONFIG_ENUM:
        out[0] = '\0';
        for (size_t i = 0; key->choices[i] != NULL; i++) {
            size_t used = strlen(out);
            text_format(out + used, CONFIG_ALLOWED_SIZE - used, "%s%s", i > 0 ? ", " : "",
                        key->choices[i]);
        }
        return;
    }
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
