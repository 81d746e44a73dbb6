/* backend/postgres/session.c - see session.h. */
#include "backend/postgres/session.h"

#include <string.h>
#include <unistd.h>

#include "backend/postgres/notification.h"
#include "backend/postgres/retry.h"
#include "core/clock.h"
#include "core/error.h"

/* One try to connect; a host that drops packets is given up after it. */
#define CONNECT_MIN_NS (3 * NS_PER_S)

void session_init(struct session *session, const struct link_request *request, struct wake *wake)
{
    memset(session, 0, sizeof(*session));
    session->request = *request;
    session->wake = wake;
    session->state = SESSION_DOWN;
}

/*
 * A FATAL comes as a notice when no statement is under way, and libpq still says CONNECTION_OK: the
 * notice is the first sign that the session is gone. A warning means that a heartbeat or commit is
 * not what it seems (a cancelled wait for a synchronous standby is reported as one).
 */
static void on_notice(void *arg, const PGresult *result)
{
    struct session *session = arg;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (severity == NULL || sqlstate == NULL) {
        return;
    }
    if (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0 ||
        strncmp(sqlstate, "57P", 3) == 0) {
        session->doomed = true;
        result_error(result, "session", session_role_name(session->request.role), &session->fault);
    } else if (strcmp(severity, "WARNING") == 0) {
        session->warned = true;
    }
}

static void clear_result(struct session *session)
{
    PQclear(session->result);
    session->result = NULL;
}

static void hang_up(struct session *session)
{
    if (session->connector != NULL) {
        connector_cancel(session->connector);
        session->connector = NULL;
    }
    clear_result(session);
    /* Out of sight first: a fork may come at any moment, and session_forget() looks in the child. */
    PGconn *conn = session->link.conn;
    session->link.conn = NULL;
    PQfinish(conn);
    session->state = SESSION_DOWN;
    session->notified = false;
    session->released = 0;
}

void session_drop(struct session *session, int64_t now_ns, const pgk_error *fault)
{
    session->fault = *fault;
    hang_up(session);
    session->failures++;
    session->retry_at_ns =
        now_ns + retry_wait_ns(session->request.settings, session->failures, fault);
}

void session_close(struct session *session)
{
    hang_up(session);
    session->failures = 0;
    session->retry_at_ns = 0;
}

void session_forget(struct session *session)
{
    if (session->link.conn != NULL) {
        close(PQsocket(session->link.conn));
    }
}

void session_connect(struct session *session, int64_t now_ns)
{
    if (session->state != SESSION_DOWN || now_ns < session->retry_at_ns) {
        return;
    }
    int64_t limit = 2 * session->request.settings->profile.session_timeout_ms * NS_PER_MS;
    session->request.deadline_ns = now_ns + (limit > CONNECT_MIN_NS ? limit : CONNECT_MIN_NS);
    pgk_error error;
    if (connector_start(&session->request, session->wake, &session->connector, &error) == PGK_OK) {
        session->state = SESSION_CONNECTING;
    } else {
        session_drop(session, now_ns, &error);
    }
}

static enum session_event lost(struct session *session, int64_t now_ns, pgk_status status,
                               const char *reason)
{
    pgk_error fault = session->fault;
    if (!session->doomed) {
        error_set(&fault, status, "session", "%s session: %.300s",
                  session_role_name(session->request.role), reason);
    }
    session_drop(session, now_ns, &fault);
    return SESSION_LOST;
}

static enum session_event step_connecting(struct session *session, int64_t now_ns)
{
    pgk_error error;
    if (!connector_done(session->connector)) {
        return SESSION_NOTHING;
    }
    pgk_status status = connector_finish(session->connector, &session->link, &error);
    session->connector = NULL;
    if (status != PGK_OK) {
        error_wrap(&error, status, "%s session", session_role_name(session->request.role));
        session_drop(session, now_ns, &error);
        return SESSION_LOST;
    }
    session->failures = 0;
    session->state = SESSION_IDLE;
    session->doomed = false;
    session->warned = false;
    /* Something may have changed while nobody listened. */
    session->notified = true;
    PQsetNoticeReceiver(session->link.conn, on_notice, session);
    return SESSION_READY;
}

/* Reads until it would block; false: the connection has ended. */
static bool read_all(struct session *session)
{
    for (;;) {
        struct pollfd fd = {.fd = PQsocket(session->link.conn), .events = POLLIN};
        if (poll(&fd, 1, 0) <= 0) {
            return true;
        }
        if (PQconsumeInput(session->link.conn) == 0 ||
            PQstatus(session->link.conn) != CONNECTION_OK) {
            return false;
        }
    }
}

static void take_notifications(struct session *session)
{
    for (PGnotify *n = PQnotifies(session->link.conn); n != NULL;
         n = PQnotifies(session->link.conn)) {
        struct notification read = notification_read(n->extra);
        if (read.graphs) {
            session->graphs_notified = true;
        } else {
            session->notified = true;
        }
        if (read.released != 0) {
            session->released = read.released;
        }
        PQfreemem(n);
    }
}

/* Takes results that are there; true when the statement's last one has been taken. */
static bool take_results(struct session *session)
{
    while (!PQisBusy(session->link.conn)) {
        PGresult *result = PQgetResult(session->link.conn);
        ExecStatusType kind = PQresultStatus(result);
        if (result == NULL && session->link.pooled &&
            PQstatus(session->link.conn) == CONNECTION_OK) {
            continue; /* between the statements of a pipeline; a broken one has no end */
        }
        if (kind == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            PQexitPipelineMode(session->link.conn);
            return true;
        }
        if (result == NULL) {
            return true;
        }
        bool failed =
            session->result != NULL && PQresultStatus(session->result) == PGRES_FATAL_ERROR;
        if (kind == PGRES_PIPELINE_ABORTED || failed) {
            PQclear(result); /* the first error is the one that tells */
            continue;
        }
        clear_result(session);
        session->result = result;
    }
    return false;
}

enum session_event session_step(struct session *session, int64_t now_ns)
{
    if (session->state == SESSION_DOWN) {
        return SESSION_NOTHING;
    }
    if (session->state == SESSION_CONNECTING) {
        return step_connecting(session, now_ns);
    }
    bool alive = PQflush(session->link.conn) >= 0 && read_all(session);
    take_notifications(session);
    if (session->state == SESSION_BUSY && take_results(session)) {
        session->state = SESSION_IDLE;
        session->status = PQresultStatus(session->result) == PGRES_TUPLES_OK
                              ? PGK_OK
                              : result_error(session->result, "session",
                                             statements[session->statement].name, &session->error);
        if (alive && !session->doomed) {
            return SESSION_RESULT;
        }
        if (!session->doomed && session->status == PGK_ERR_CONNECTION &&
            session->error.sqlstate[0] != '\0') {
            /* The server's last word came as the answer: it knows why, the broken connection does not. */
            session->fault = session->error;
            session->doomed = true;
        }
    }
    if (!alive || session->doomed) {
        return lost(session, now_ns, PGK_ERR_CONNECTION, PQerrorMessage(session->link.conn));
    }
    if (link_is_stale(&session->link, session->request.memory)) {
        return lost(session, now_ns, PGK_ERR_STALE_PRIMARY,
                    "its server is an old primary: another session has met a newer timeline");
    }
    if (session->state == SESSION_BUSY && now_ns >= session->deadline_ns) {
        return lost(session, now_ns, PGK_ERR_TIMEOUT, "no answer in time");
    }
    return SESSION_NOTHING;
}

void session_send(struct session *session, enum statement_id id, const char *const *params,
                  int64_t deadline_ns)
{
    clear_result(session);
    session->warned = false;
    session->statement = id;
    session->sent_ns = clock_now_ns();
    session->deadline_ns = deadline_ns;
    session->state = SESSION_BUSY;
    if (!link_send(&session->link, id, params, session->request.settings)) {
        session->deadline_ns = 0; /* the next step finds it lost */
    }
}

struct pollfd session_pollfd(const struct session *session)
{
    struct pollfd fd = {.fd = -1, .events = POLLIN};
    if (session->link.conn != NULL) {
        fd.fd = PQsocket(session->link.conn);
        if (PQflush(session->link.conn) > 0) {
            fd.events |= POLLOUT;
        }
    }
    return fd;
}

int64_t session_deadline_ns(const struct session *session, bool wanted)
{
    if (session->state == SESSION_DOWN) {
        return wanted ? session->retry_at_ns : CLOCK_NEVER;
    }
    return session->state == SESSION_BUSY ? session->deadline_ns : CLOCK_NEVER;
}
