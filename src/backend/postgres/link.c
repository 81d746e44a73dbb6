/* backend/postgres/link.c - see link.h. The race of the hosts is in race.c. */
#include "backend/postgres/link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/race.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/text.h"

/* The schema version that this library was built for; see the table schema_meta. */
#define SCHEMA_VERSION 3
/* The longest wait for a lock in one statement. */
#define LONGEST_SLICE_MS 900

const char *session_role_name(enum session_role role)
{
    static const char *const names[] = {"lock", "sentinel", "listener", "work"};
    return names[role];
}

char *search_path_of(const char *schema)
{
    /* "a""b", pg_temp */
    size_t size = 2 * strlen(schema) + sizeof("\"\", pg_temp");
    char *path = malloc(size);
    size_t n = 0;
    if (path == NULL) {
        return NULL;
    }
    path[n++] = '"';
    for (; *schema != '\0'; schema++) {
        if (*schema == '"') {
            path[n++] = '"';
        }
        path[n++] = *schema;
    }
    memcpy(path + n, "\", pg_temp", sizeof("\", pg_temp"));
    return path;
}

pgk_status result_error(const PGresult *result, const char *origin, const char *what,
                        pgk_error *err)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    if (sqlstate == NULL) {
        return error_set(err, PGK_ERR_CONNECTION, origin, "%s: %.200s", what,
                         PQresultErrorMessage(result));
    }
    return error_set_sqlstate(err, sqlstate, origin, "%s: %s%s%s", what,
                              primary != NULL ? primary : "no message",
                              hint != NULL ? "; hint: " : "", hint != NULL ? hint : "");
}

bool link_is_stale(const struct link *link, struct link_memory *memory)
{
    pthread_mutex_lock(&memory->lock);
    bool stale = link->timeline < memory->timeline;
    pthread_mutex_unlock(&memory->lock);
    return stale;
}

static bool send_one(const struct link *link, enum statement_id id, const char *const *params)
{
    if (!link->prepared[id]) {
        return PQsendQueryParams(link->conn, statements[id].text, statements[id].params, NULL,
                                 params, NULL, NULL, 0) == 1;
    }
    return PQsendQueryPrepared(link->conn, statements[id].name, statements[id].params, params, NULL,
                               NULL, 0) == 1;
}

/* The server gives up first: its word that nothing was done is better than no word. */
static int limit_ms(const struct settings *settings)
{
    return settings->statement_timeout_ms - settings->statement_timeout_ms / 10;
}

void link_limit(const struct settings *settings, char out[LINK_LIMIT_SIZE])
{
    snprintf(out, LINK_LIMIT_SIZE, "%d", limit_ms(settings));
}

/*
 * Behind a pooler the settings go before each statement, in one pipeline without a sync
 * between them: one transaction, hence one server session.
 */
static bool send_pooled(const struct link *link, enum statement_id id, const char *const *params,
                        const struct settings *settings)
{
    char *path = search_path_of(settings->schema);
    char limit[LINK_LIMIT_SIZE];
    const char *const first_params[2] = {path, limit};
    link_limit(settings, limit);
    bool sent = path != NULL && PQenterPipelineMode(link->conn) == 1 &&
                send_one(link, STMT_USE_SCHEMA, first_params) && send_one(link, id, params) &&
                PQpipelineSync(link->conn) == 1;
    free(path);
    return sent;
}

bool link_send(const struct link *link, enum statement_id id, const char *const *params,
               const struct settings *settings)
{
    bool sent = link->pooled ? send_pooled(link, id, params, settings) : send_one(link, id, params);
    return sent && PQflush(link->conn) >= 0;
}

pgk_status link_wait_socket(const struct link *link, bool writing, int cancel_fd,
                            int64_t deadline_ns, pgk_error *err)
{
    for (;;) {
        struct pollfd fds[2] = {
            {.fd = PQsocket(link->conn), .events = (short)(POLLIN | (writing ? POLLOUT : 0))},
            {.fd = cancel_fd, .events = POLLIN},
        };
        int64_t now = clock_now_ns();
        if (now >= deadline_ns) {
            return error_set(err, PGK_ERR_TIMEOUT, "session",
                             "no answer from the database in time");
        }
        int ready = poll(fds, 2, clock_poll_timeout_ms(now, deadline_ns));
        if (ready < 0 && errno != EINTR) {
            return error_set(err, PGK_ERR_IO, "session", "poll: %s", strerror(errno));
        }
        if (ready > 0 && fds[1].revents != 0) {
            return error_set(err, PGK_ERR_ILLEGAL_STATE, "session", "the handle is being closed");
        }
        if (ready > 0 && fds[0].revents != 0) {
            return PGK_OK;
        }
    }
}

static pgk_status broken(const PGconn *conn, const char *what, pgk_error *err)
{
    return error_set(err, PGK_ERR_CONNECTION, "session", "%s: %.300s", what, PQerrorMessage(conn));
}

/* The next result; NULL when there is none any more. */
static pgk_status next_result(const struct link *link, const char *what, int cancel_fd,
                              int64_t deadline_ns, PGresult **ret_result, pgk_error *err)
{
    for (;;) {
        int flushed = PQflush(link->conn);
        if (flushed < 0) {
            return broken(link->conn, what, err);
        }
        if (flushed == 0 && !PQisBusy(link->conn)) {
            *ret_result = PQgetResult(link->conn);
            return PGK_OK;
        }
        pgk_status status = link_wait_socket(link, flushed > 0, cancel_fd, deadline_ns, err);
        if (status != PGK_OK) {
            return error_wrap(err, status, "%s", what);
        }
        if (PQconsumeInput(link->conn) == 0) {
            return broken(link->conn, what, err);
        }
    }
}

/* Keeps the last result with rows or the first error; drops the rest, up to the end of the
 * pipeline. */
static bool keep_result(PGresult *result, PGresult **kept)
{
    ExecStatusType kind = PQresultStatus(result);
    ExecStatusType had = *kept != NULL ? PQresultStatus(*kept) : PGRES_EMPTY_QUERY;
    if (kind == PGRES_PIPELINE_SYNC || kind == PGRES_PIPELINE_ABORTED || had == PGRES_FATAL_ERROR) {
        PQclear(result);
        return kind == PGRES_PIPELINE_SYNC;
    }
    PQclear(*kept);
    *kept = result;
    return false;
}

pgk_status link_wait(const struct link *link, enum statement_id id, int cancel_fd,
                     int64_t deadline_ns, PGresult **ret_result, pgk_error *err)
{
    const char *what = statements[id].name;
    PGresult *kept = NULL;
    bool ended = false;
    while (!ended) {
        PGresult *result = NULL;
        pgk_status status = next_result(link, what, cancel_fd, deadline_ns, &result, err);
        if (status != PGK_OK) {
            PQclear(kept);
            return status;
        }
        if (result != NULL) {
            ended = keep_result(result, &kept);
        } else {
            ended = !link->pooled;
        }
    }
    if (link->pooled) {
        PQexitPipelineMode(link->conn);
    }
    if (kept == NULL) {
        return broken(link->conn, what, err);
    }
    if (PQresultStatus(kept) != PGRES_TUPLES_OK) {
        pgk_status status = result_error(kept, "session", what, err);
        PQclear(kept);
        return status;
    }
    *ret_result = kept;
    return PGK_OK;
}

static pgk_status run(const struct link_request *request, const struct link *link,
                      enum statement_id id, const char *const *params, PGresult **ret_result,
                      pgk_error *err)
{
    if (!link_send(link, id, params, request->settings)) {
        return broken(link->conn, statements[id].name, err);
    }
    return link_wait(link, id, request->cancel_fd, request->deadline_ns, ret_result, err);
}

/* Sends a statement unprepared: for those that run before anything is prepared. */
static pgk_status run_text(const struct link_request *request, const struct link *link,
                           enum statement_id id, const char *const *params, PGresult **ret_result,
                           pgk_error *err)
{
    if (PQsendQueryParams(link->conn, statements[id].text, statements[id].params, NULL, params,
                          NULL, NULL, 0) != 1) {
        return broken(link->conn, statements[id].name, err);
    }
    return link_wait(link, id, request->cancel_fd, request->deadline_ns, ret_result, err);
}

struct timeouts {
    int idle;
    int statement;
    int lock;
};

/* The lock session's silence is its end (the lease); the others may be idle. */
static struct timeouts timeouts_of(const struct link_request *request)
{
    const struct settings *settings = request->settings;
    const struct lease_profile *profile = &settings->profile;
    switch (request->role) {
    case ROLE_LOCK:
        /* Nothing cancels a durable heartbeat: a cancelled one would look committed. */
        return (struct timeouts){profile->session_timeout_ms,
                                 settings->durable_heartbeat ? 0 : profile->session_timeout_ms,
                                 profile->heartbeat_ms};
    case ROLE_SENTINEL:
        return (struct timeouts){0, 10000, profile->heartbeat_ms};
    case ROLE_LISTENER:
        return (struct timeouts){0, 10000, profile->heartbeat_ms};
    default:
        return (struct timeouts){0, limit_ms(settings), limit_ms(settings)};
    }
}

void link_application_name(const struct link_request *request, char out[LINK_NAME_SIZE])
{
    char cluster_id[33];
    /* 63 bytes are what the server keeps: the cluster id is cut so that role and id stay. */
    text_copy(cluster_id, sizeof(cluster_id), request->settings->cluster_id);
    snprintf(out, LINK_NAME_SIZE, "pgkeeper:%s:%s:%.8s", cluster_id,
             session_role_name(request->role), request->id);
    /* What the server would make of other bytes differs by version: end_former compares names. */
    for (char *c = out; *c != '\0'; c++) {
        if (*c < 0x20 || *c > 0x7e) {
            *c = '?';
        }
    }
}

static pgk_status set_up(const struct link_request *request, const struct link *link,
                         bool linux_server, pgk_error *err)
{
    struct timeouts limits = timeouts_of(request);
    char numbers[5][16];
    const int values[5] = {limits.idle, limits.statement, limits.lock,
                           request->settings->profile.session_timeout_ms,
                           2 * request->settings->profile.lease_ms};
    char application_name[LINK_NAME_SIZE];
    char *path = search_path_of(request->settings->schema);
    AUTO_RESULT *result = NULL;
    if (path == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "session", "out of memory");
    }
    for (size_t i = 0; i < 5; i++) {
        snprintf(numbers[i], sizeof(numbers[i]), "%d", values[i]);
    }
    link_application_name(request, application_name);
    const char *const params[8] = {
        path,       application_name, numbers[0], numbers[1],
        numbers[2], numbers[3],       numbers[4], linux_server ? "t" : "f"};
    pgk_status status = run_text(request, link, STMT_SETUP, params, &result, err);
    free(path);
    return status;
}

pgk_status link_prepare(struct link *link, enum statement_id id, int cancel_fd, int64_t deadline_ns,
                        pgk_error *err)
{
    const char *name = statements[id].name;
    PGresult *result = NULL;
    if (PQsendPrepare(link->conn, name, statements[id].text, 0, NULL) != 1) {
        return broken(link->conn, name, err);
    }
    for (;;) {
        PGresult *next = NULL;
        pgk_status status = next_result(link, name, cancel_fd, deadline_ns, &next, err);
        if (status != PGK_OK) {
            PQclear(result);
            return status;
        }
        if (next == NULL) {
            break;
        }
        PQclear(result);
        result = next;
    }
    pgk_status status = PGK_OK;
    if (result == NULL) {
        status = broken(link->conn, name, err);
    } else if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        status = result_error(result, "session", name, err);
    }
    PQclear(result);
    link->prepared[id] = status == PGK_OK;
    return status;
}

/* Statements of stores are prepared when a work session first runs them. */
static pgk_status prepare(const struct link_request *request, struct link *link, pgk_error *err)
{
    static const enum statement_id lock[] = {
        STMT_HEARTBEAT, STMT_HEARTBEAT_DURABLE, STMT_JOIN_MEMBER,
        STMT_ENROLL,    STMT_TAKE_OVER,         STMT_ENTER_TENURE,
        STMT_RELEASE,   STMT_ANNOUNCE_TENURE,   STMT_REPORT_END,
        STMT_READ,      STMT_REHEARSE,          STMT_COUNT};
    static const enum statement_id sentinel[] = {STMT_WATCH_MEMBER, STMT_COUNT};
    static const enum statement_id listener[] = {
        STMT_LISTEN,          STMT_READ,   STMT_CONFIRM, STMT_WITHDRAW,
        STMT_WITHDRAW_MEMBER, STMT_CANCEL, STMT_COUNT};
    static const enum statement_id work[] = {STMT_CONFIRM, STMT_COUNT};
    static const enum statement_id *const of_role[] = {lock, sentinel, listener, work};
    pgk_status status = PGK_OK;

    for (const enum statement_id *id = of_role[request->role];
         status == PGK_OK && *id != STMT_COUNT; id++) {
        status = link_prepare(link, *id, request->cancel_fd, request->deadline_ns, err);
    }
    return status;
}

/* A schema that this role may not use looks like one that is not there. */
static pgk_status schema_missing(const struct link_request *request, const struct link *link,
                                 pgk_error *err)
{
    const char *schema = request->settings->schema;
    const char *const params[1] = {schema};
    AUTO_RESULT *result = NULL;
    if (run_text(request, link, STMT_SCHEMA_HIDDEN, params, &result, NULL) == PGK_OK &&
        PQgetvalue(result, 0, 0)[0] == 't') {
        return error_set_sqlstate(err, "42501", "session",
                                  "permission denied for schema \"%s\": grant this role what "
                                  "sql/roles.sql grants to applications",
                                  schema);
    }
    return error_set(err, PGK_ERR_SCHEMA, "session",
                     "schema \"%s\" is not there or not set up: run `pgkeeper --schema '%s' "
                     "migrate up` with the "
                     "same database, or check high-availability.postgres.schema",
                     schema, schema);
}

static pgk_status check_schema(const struct link_request *request, const struct link *link,
                               pgk_error *err)
{
    const char *schema = request->settings->schema;
    AUTO_RESULT *result = NULL;
    pgk_error local;
    pgk_status status = link->pooled
                            ? run(request, link, STMT_SCHEMA_VERSION, NULL, &result, &local)
                            : run_text(request, link, STMT_SCHEMA_VERSION, NULL, &result, &local);
    if (status == PGK_ERR_SCHEMA || (status == PGK_OK && PQntuples(result) != 1)) {
        return schema_missing(request, link, err);
    }
    if (status != PGK_OK) {
        if (err != NULL) {
            *err = local;
        }
        return status;
    }
    long version = strtol(PQgetvalue(result, 0, 0), NULL, 10);
    long min_client = strtol(PQgetvalue(result, 0, 1), NULL, 10);
    if (version < SCHEMA_VERSION) {
        return error_set(
            err, PGK_ERR_SCHEMA, "session",
            "schema \"%s\" has version %ld, this library needs %d: run `pgkeeper migrate up`",
            schema, version, SCHEMA_VERSION);
    }
    if (min_client > SCHEMA_VERSION) {
        return error_set(err, PGK_ERR_SCHEMA, "session",
                         "schema \"%s\" admits clients for schema version %ld and newer, this "
                         "library is for %d: "
                         "upgrade libpgkeeper in this program",
                         schema, min_client, SCHEMA_VERSION);
    }
    return PGK_OK;
}

/* A transaction pooler shares server sessions, so locks and LISTEN mean nothing behind one. */
static pgk_status check_pooler(const struct link_request *request, const struct link *link,
                               pgk_error *err)
{
    const struct settings *settings = request->settings;
    bool needs_session =
        request->role == ROLE_LOCK || request->role == ROLE_SENTINEL ||
        (request->role == ROLE_LISTENER && settings->retrieval == RETRIEVAL_LISTEN);
    if (!link->pooled || !needs_session || settings->allow_session_pooler) {
        return PGK_OK;
    }
    return error_set(
        err, PGK_ERR_UNSUPPORTED, "session",
        "the connection goes through a pooler (server process %d, the connection says %d): leader "
        "election "
        "and LISTEN need a direct connection; behind session pooling set "
        "high-availability.postgres.allow-session-pooler, for retrieval alone retrieval.mode: poll",
        link->backend_pid, PQbackendPID(link->conn));
}

static pgk_status make_ready(const struct link_request *request, struct link *link,
                             bool linux_server, pgk_error *err)
{
    pgk_status status = check_pooler(request, link, err);
    if (status != PGK_OK) {
        return status;
    }
    if (link->pooled && request->settings->allow_session_pooler) {
        link->pooled = false; /* one server session for as long as we stay: an ordinary one */
    }
    if (!link->pooled) {
        status = set_up(request, link, linux_server, err);
    }
    if (status == PGK_OK) {
        status = check_schema(request, link, err);
    }
    if (status == PGK_OK && !link->pooled) {
        status = prepare(request, link, err);
    }
    if (status == PGK_OK && request->role == ROLE_LOCK) {
        AUTO_RESULT *result = NULL;
        status = run(request, link, STMT_REHEARSE, NULL, &result, err);
    }
    return status;
}

int link_wait_slice_ms(const struct link *link, int longest_ms)
{
    int by_deadlock = link->deadlock_timeout_ms * 9 / 10;
    int slice = by_deadlock < LONGEST_SLICE_MS ? by_deadlock : LONGEST_SLICE_MS;
    slice = longest_ms < slice ? longest_ms : slice;
    return slice < 1 ? 1 : slice;
}

pgk_status link_make(const struct link_request *request, struct link *ret_link, pgk_error *err)
{
    struct race_winner winner;
    pgk_status status = race_run(request, &winner, err);
    if (status != PGK_OK) {
        return status;
    }
    struct link link = {.conn = winner.conn,
                        .backend_pid = winner.backend_pid,
                        .timeline = winner.timeline,
                        .deadlock_timeout_ms = winner.deadlock_timeout_ms,
                        .pooled = winner.backend_pid != PQbackendPID(winner.conn)};
    status = make_ready(request, &link, winner.linux_server, err);
    if (status != PGK_OK) {
        PQfinish(link.conn);
        return status;
    }
    *ret_link = link;
    return PGK_OK;
}
