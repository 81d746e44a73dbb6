/*
 * backend/postgres/session.h - one background session of the keeper: connects in a thread of its
 * own, then runs one statement at a time without blocking, notices at once when it is lost, and
 * waits before it comes back.
 *
 * Belongs to the keeper thread; takes no lock.
 */
#ifndef PGK_POSTGRES_SESSION_H
#define PGK_POSTGRES_SESSION_H

#include <poll.h>

#include "backend/postgres/connector.h"

enum session_state { SESSION_DOWN, SESSION_CONNECTING, SESSION_IDLE, SESSION_BUSY };

enum session_event {
    SESSION_NOTHING,
    SESSION_READY,  /* just connected */
    SESSION_RESULT, /* session->result is the answer to session->statement */
    SESSION_LOST    /* session->fault says why; it is down now */
};

struct session {
    struct link_request request; /* role, settings, memory, id */
    struct wake *wake;           /* the keeper's; set when a connect has ended */
    enum session_state state;
    struct link link;
    struct connector *connector;
    int failures;        /* connects failed in a row */
    int64_t retry_at_ns; /* when down: not before */

    enum statement_id statement;
    int64_t sent_ns;     /* clock read before it was sent */
    int64_t deadline_ns; /* for its answer */
    PGresult *result;    /* cleared at the next send or close */
    pgk_status status;   /* of the result; PGK_OK: rows */
    pgk_error error;     /* when the status is not PGK_OK */
    bool warned;         /* the server warned while the statement ran */

    /* Until the keeper resets them: a notification has come; it named this leadership as released. */
    bool notified;
    bool graphs_notified; /* one has come that is of job graphs */
    int32_t released;
    bool doomed; /* a FATAL has been read: the server has ended the session */
    pgk_error fault;
};

void session_init(struct session *session, const struct link_request *request, struct wake *wake);

/* Starts to connect when it is down and its wait is over. */
void session_connect(struct session *session, int64_t now_ns);

/* What has happened; call until SESSION_NOTHING. */
enum session_event session_step(struct session *session, int64_t now_ns);

/* Sends a statement on an idle session, with a deadline for the answer. A failure shows as
 * SESSION_LOST. */
void session_send(struct session *session, enum statement_id id, const char *const *params,
                  int64_t deadline_ns);

/* Ends the session for a reason; it may be connected again after its wait. */
void session_drop(struct session *session, int64_t now_ns, const pgk_error *fault);

/* Ends the session for good (or until session_connect), without a fault. */
void session_close(struct session *session);

/* In a forked child: closes the descriptor and tells the server nothing. */
void session_forget(struct session *session);

/* For poll(): fd is -1 when there is none. */
struct pollfd session_pollfd(const struct session *session);

/* When session_step or session_connect is due by time; CLOCK_NEVER if only by an event. */
int64_t session_deadline_ns(const struct session *session, bool wanted);

#endif
