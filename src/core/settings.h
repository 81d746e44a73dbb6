/*
 * core/settings.h - the configuration as typed values, checked as a whole; what the rest of the
 * library reads. A settings object is immutable once made and owns its strings.
 */
#ifndef PGK_CORE_SETTINGS_H
#define PGK_CORE_SETTINGS_H

#include <stdbool.h>

#include <pgkeeper/config.h>

#include "core/log.h"

enum election_scope { SCOPE_PROCESS, SCOPE_COMPONENT };
enum take_over_mode { TAKE_OVER_IMMEDIATE, TAKE_OVER_EXCLUSIVE };
enum retrieval_mode { RETRIEVAL_LISTEN, RETRIEVAL_POLL };
enum cleanup_strategy { CLEANUP_NONE, CLEANUP_FIXED_DELAY, CLEANUP_EXPONENTIAL_DELAY };
/* In the order of the choices of high-availability.type. */
enum ha_mode { HA_MODE_NONE, HA_MODE_STANDALONE, HA_MODE_EMBEDDED, HA_MODE_POSTGRES };
enum dispatch_mode { DISPATCH_THREAD, DISPATCH_MANUAL };

/* How a leader holds on and how a successor waits; docs/election.md, "the inequality". */
struct lease_profile {
    int heartbeat_ms; /* hb: a heartbeat is sent every hb; hb*3 <= D */
    int lease_ms;     /* D: believed for D after the last acknowledged one was sent; D*3 <= TTL*2 */
    int session_timeout_ms; /* TTL: the server ends a silent session after TTL */
    int grace_ms;           /* G: an exclusive successor waits G; G*1000 >= D*1001 */
};

/* How a clean-up that failed is tried again. */
struct cleanup_retry {
    enum cleanup_strategy strategy; /* cleanup-strategy */
    int fixed_attempts;             /* cleanup-strategy.fixed-delay.attempts: retries */
    int fixed_delay_ms;             /* cleanup-strategy.fixed-delay.delay */
    int initial_backoff_ms;         /* cleanup-strategy.exponential-delay.initial-backoff */
    int max_backoff_ms;             /* cleanup-strategy.exponential-delay.max-backoff */
    int attempts;                   /* cleanup-strategy.exponential-delay.attempts: retries */
};

struct settings {
    enum ha_mode mode; /* high-availability.type */
    char *cluster_id;  /* high-availability.cluster-id */
    char *uri;         /* high-availability.postgres.uri; empty: libpq's environment */
    char *schema;      /* high-availability.postgres.schema */
    char *member_name; /* member.name; default host:pid */
    struct lease_profile profile;
    enum take_over_mode take_over; /* leader-election.take-over */
    enum election_scope scope;     /* leader-election.scope */
    enum retrieval_mode retrieval; /* retrieval.mode */
    enum dispatch_mode dispatch;   /* dispatch */
    bool durable_heartbeat;        /* high-availability.postgres.durable-heartbeat */
    bool allow_session_pooler;     /* high-availability.postgres.allow-session-pooler */
    int connect_timeout_ms;        /* high-availability.postgres.connect-timeout: opening, in all */
    int statement_timeout_ms;      /* high-availability.postgres.statement-timeout */
    int retry_wait_ms;             /* high-availability.postgres.retry-wait: first wait */
    int max_retry_wait_ms;         /* high-availability.postgres.max-retry-wait */
    int max_retry_attempts;        /* high-availability.postgres.max-retry-attempts; 0: no limit */
    int max_connections;           /* high-availability.postgres.max-connections: work sessions */
    int poll_interval_ms;          /* retrieval.poll-interval */
    int disconnect_tolerance_ms;   /* retrieval.disconnect-tolerance; default: the lease */
    bool delete_results;           /* job-result-store.delete-on-commit */
    int64_t result_retention_ms;   /* job-result-store.retention */
    int num_retained;              /* execution.checkpointing.num-retained */
    struct cleanup_retry cleanup;
    char *job_manager_host; /* jobmanager.rpc.address; empty: not known */
    int job_manager_port;   /* jobmanager.rpc.port; 0: not known */
    char *rest_host;        /* rest.address, or else jobmanager.rpc.address */
    int rest_port;          /* rest.port; 0: not known */
    struct logger logger;
};

/* Makes settings from a configuration; PGK_ERR_CONFIG with key, value and what is allowed. */
pgk_status settings_new(const pgk_config *config, struct settings **ret_settings, pgk_error *err);
void settings_free(struct settings *settings);

#endif
