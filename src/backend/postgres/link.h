/*
 * backend/postgres/link.h - making one fit connection, blocking, with a deadline: all hosts at
 * once, the writable one with the highest timeline wins; then settings, schema version and prepared
 * statements.
 *
 * Runs on the thread that needs the connection: a caller's (work sessions), or a connector thread,
 * so that names, TLS and logins never delay a heartbeat. Poll and libpq, no locks but that of
 * link_memory.
 */
#ifndef PGK_POSTGRES_LINK_H
#define PGK_POSTGRES_LINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "backend/postgres/statements.h"
#include "core/settings.h"

/* What a session is for; decides its settings and which statements it prepares. */
enum session_role { ROLE_LOCK, ROLE_SENTINEL, ROLE_LISTENER, ROLE_WORK };
const char *session_role_name(enum session_role role);

/* What this handle has seen of the database: a link to another system, or to an older timeline, is
 * refused. */
struct link_memory {
    pthread_mutex_t lock;
    char system_identifier[24];
    int64_t timeline;
};

struct link_request {
    enum session_role role;
    const struct settings *settings;
    struct link_memory *memory;
    const char *id;      /* last part of application_name */
    int cancel_fd;       /* readable: give up; -1: none */
    int64_t deadline_ns; /* CLOCK_BOOTTIME */
};

struct link {
    PGconn *conn; /* non-blocking mode */
    int backend_pid;
    int64_t timeline;
    int deadlock_timeout_ms;
    bool pooled; /* through a pooler: statements carry their search_path, nothing is prepared */
    bool prepared[STMT_COUNT]; /* the rest is sent as text */
};

/* Bytes of an application_name, terminator included. */
#define LINK_NAME_SIZE 64
/* statement_timeout and lock_timeout of a statement that waits for an answer. */
#define LINK_LIMIT_SIZE 12
void link_limit(const struct settings *settings, char out[LINK_LIMIT_SIZE]);

/* ASCII only. */
void link_application_name(const struct link_request *request, char out[LINK_NAME_SIZE]);

/*
 * Errors: CONFIG, ACCESS, SCHEMA, UNSUPPORTED (a person must mend it); CONNECTION, TIMEOUT,
 * READ_ONLY, STALE_PRIMARY, RESOURCE (retryable).
 */
pgk_status link_make(const struct link_request *request, struct link *ret_link, pgk_error *err);

/* True when the handle has seen a newer timeline since: the link leads to a primary of the past,
 * even if that still answers. */
bool link_is_stale(const struct link *link, struct link_memory *memory);

/*
 * How long a statement may wait for a lock, in ms, at most longest_ms: short enough to hold back
 * neither VACUUM nor anybody's CREATE INDEX CONCURRENTLY, and shorter than deadlock_timeout so that
 * nothing is logged.
 */
int link_wait_slice_ms(const struct link *link, int longest_ms);

/* Sends a statement; parameters are text, NULL is SQL NULL. False: the connection is broken. */
bool link_send(const struct link *link, enum statement_id id, const char *const *params,
               const struct settings *settings);

/* Waits for the one result of a statement sent. *ret_result (PQclear it) only with PGK_OK. */
pgk_status link_wait(const struct link *link, enum statement_id id, int cancel_fd,
                     int64_t deadline_ns, PGresult **ret_result, pgk_error *err);

/* Prepares a statement; not behind a pooler. */
pgk_status link_prepare(struct link *link, enum statement_id id, int cancel_fd, int64_t deadline_ns,
                        pgk_error *err);

/* Waits until there is something to read, or with `writing` room to write. TIMEOUT. */
pgk_status link_wait_socket(const struct link *link, bool writing, int cancel_fd,
                            int64_t deadline_ns, pgk_error *err);

/* Turns a result that is not good into a status, by SQLSTATE. */
pgk_status result_error(const PGresult *result, const char *origin, const char *what,
                        pgk_error *err);

/* The quoted schema and pg_temp, for search_path; free() it. NULL: out of memory. */
char *search_path_of(const char *schema);

#define AUTO_RESULT __attribute__((cleanup(result_cleanup))) PGresult
static inline void result_cleanup(PGresult **result)
{
    PQclear(*result);
}

#endif
