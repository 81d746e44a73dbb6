/*
 * backend/postgres/contend.c - the lock session: joins, heartbeats, take-overs, releases; the lease
 * that rests on them.
 *
 * Keeper thread. One statement is under way at a time, each with a deadline; after any unclear
 * answer the session is closed, because a lock that "timed out" may be held.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/questions.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/text.h"

#define ORIGIN "keeper.lock"
/* A fenced write in flight holds up a release: how soon to ask again. */
#define RELEASE_RETRY_NS (20 * NS_PER_MS)
/* A tenure could not be entered: how soon to try again. */
#define ENTER_RETRY_NS (250 * NS_PER_MS)
/* After a release a successor is soon there. */
#define LOOK_AGAIN_NS (50 * NS_PER_MS)

/* ------------------------------------------------------------------ loss of the session */

static const char *reason_of(const pgk_error *fault)
{
    if (fault->status == PGK_ERR_TIMEOUT || strcmp(fault->sqlstate, "57P05") == 0) {
        return END_LEASE_EXPIRED;
    }
    if (strcmp(fault->sqlstate, "57P02") == 0) {
        return END_SERVER_RESTARTED; /* after a crash; the postmaster lives on, so nothing else tells */
    }
    return strcmp(fault->sqlstate, "57P01") == 0 ? END_TERMINATED : END_CONNECTION_LOST;
}

/* The session is down: every lock is free or soon will be. */
static void lost(struct backend *backend)
{
    const pgk_error *fault = &backend->lock.fault;
    const char *reason = reason_of(fault);
    log_line(&backend->settings->logger, PGK_LOG_WARNING, ORIGIN, "%s", fault->message);
    keeper_lock(backend);
    backend->subject = NULL;
    backend->waiting = false;
    backend->cancelling = false; /* it would meet a server process that is gone */
    backend->member_id = 0;
    for (struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        bool held = rules_holds(&g->rules);
        enum group_act act = rules_session_lost(&g->rules, reason);
        if (held) {
            report_later(backend, g, fault->message);
        }
        groups_act(backend, g, act);
        g->leadership_id = 0;
        g->announcement = NULL; /* whoever needs it looks for himself by and by */
        g->unentered = false;   /* a successor does it */
        g->release_until_ns = 0;
        if (g->wanted) {
            backend->env.sink.group_fault(backend->env.sink.ctx, g->ctx, fault);
        } else if (held && backend->closing) {
            backend->close_error = *fault;
        }
    }
    groups_sweep(backend);
    keeper_unlock(backend);
}

static void drop(struct backend *backend, pgk_status status, const char *message)
{
    pgk_error fault;
    error_set(&fault, status, ORIGIN, "%s", message);
    session_drop(&backend->lock, clock_now_ns(), &fault);
    lost(backend);
}

/* ------------------------------------------------------------------ answers */

/*
 * Every good answer renews the lease, counted from the moment its question was sent. False: too
 * late; a late answer does not revive, nor does one after a reader has been told that the deadline
 * has passed.
 */
static bool renew(struct backend *backend)
{
    int64_t now = clock_now_ns();
    int64_t until = backend->lock.sent_ns + backend->settings->profile.lease_ms * NS_PER_MS;
    bool in_time = now < until && (now < backend->lease_until_ns || !groups_hold_any(backend));
    for (struct backend_group *g = backend->groups; in_time && g != NULL; g = g->next) {
        if (g->wanted && g->rules.state == GROUP_LEADING) {
            in_time = tenure_renew(g->tenure, now, until);
        }
    }
    if (in_time) {
        backend->lease_until_ns = until;
    }
    return in_time;
}

static const char *cell(const struct backend *backend, int column)
{
    return PQgetvalue(backend->lock.result, 0, column);
}

/* The answer of take_over(): "early" is taken, and to be entered afterwards. */
static bool has_taken(const struct backend *backend)
{
    const char *outcome = cell(backend, 0);
    return strcmp(outcome, "taken") == 0 || strcmp(outcome, "early") == 0;
}

static void joined(struct backend *backend)
{
    if (cell(backend, 1)[0] != 't') {
        drop(backend, PGK_ERR_CONNECTION,
             "an earlier session of this process still holds its lock at the server; waiting for "
             "it to end");
        return;
    }
    keeper_lock(backend);
    backend->member_id = (int32_t)strtol(cell(backend, 0), NULL, 10);
    for (struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (g->wanted) {
            backend->env.sink.group_fault(backend->env.sink.ctx, g->ctx, NULL);
        }
    }
    keeper_unlock(backend);
}

static void take_over_answered(struct backend *backend, struct backend_group *group)
{
    int64_t now = clock_now_ns();
    const char *outcome = cell(backend, 0);
    int64_t epoch = strtoll(cell(backend, 1), NULL, 10);
    int64_t wait_ns = strtoll(cell(backend, 2), NULL, 10) * NS_PER_MS;
    int32_t holder = (int32_t)strtol(cell(backend, 3), NULL, 10);
    bool waited = backend->waiting;
    backend->waiting = false;
    if (has_taken(backend)) {
        group->announcement = "take_over";
        group->unentered = strcmp(outcome, "early") == 0;
        group->enter_at_ns = now;
        group->enter_refused = false;
        groups_try_what_led(backend, holder);
        groups_act(backend, group, rules_taken(&group->rules, now, epoch, wait_ns));
        if (!group->wanted) {
            rules_decline(&group->rules);
        }
    } else if (strcmp(outcome, "busy") == 0) {
        rules_busy(&group->rules, now, holder, epoch);
        if (waited) {
            groups_try_others(backend, holder);
        }
    } else if (strcmp(outcome, "reserved") == 0 || strcmp(outcome, "paused") == 0) {
        rules_reserved(&group->rules, now, wait_ns);
    } else {
        group->leadership_id = 0; /* the row is gone: enroll again */
        rules_reserved(&group->rules, now, 0);
    }
}

static void release_answered(struct backend *backend, struct backend_group *group)
{
    int stand_back = group->wanted && strcmp(group->rules.end_reason, END_FENCED) != 0
                         ? backend->settings->profile.session_timeout_ms
                         : 0;
    int64_t now = clock_now_ns();
    if (strcmp(cell(backend, 0), "done") == 0) {
        group->announcement = "release";
    }
    group->unentered = false; /* release() does both */
    rules_released(&group->rules, now, stand_back * NS_PER_MS);
    group->release_until_ns = 0;
    /* The successor may have been announced before this answer came, while nobody was to be
     * followed: look again, or a second hand-over soon after this one would find us standing back
     * from the first. */
    if (backend->poll_at_ns > now + LOOK_AGAIN_NS) {
        backend->poll_at_ns = now + LOOK_AGAIN_NS;
    }
}

/* A good answer about one group, under the lock. */
static void group_answered(struct backend *backend)
{
    struct backend_group *group = backend->subject;
    backend->subject = NULL;
    switch (backend->lock.statement) {
    case STMT_ENROLL:
        group->leadership_id = (int32_t)strtol(cell(backend, 0), NULL, 10);
        rules_session_ready(&group->rules, clock_now_ns());
        backend->reread = true;
        break;
    case STMT_TAKE_OVER:
        take_over_answered(backend, group);
        break;
    case STMT_ENTER_TENURE:
        group->unentered = false;
        if (group->enter_refused) {
            log_line(&backend->settings->logger, PGK_LOG_INFO, ORIGIN,
                     "the tenure of %s is entered now", group->name);
        }
        break;
    case STMT_ANNOUNCE_TENURE:
        group->announcement = NULL;
        break;
    default:
        release_answered(backend, group);
        break;
    }
    groups_sweep(backend);
}

/* release() waits for the fence; writers in flight may take longer than one lock_timeout. */
static bool release_may_retry(struct backend *backend)
{
    struct session *session = &backend->lock;
    struct backend_group *group = backend->subject;
    int64_t now = clock_now_ns();
    if (session->statement != STMT_RELEASE || strcmp(session->error.sqlstate, "55P03") != 0 ||
        now >= group->release_until_ns) {
        return false;
    }
    group->release_at_ns = now + RELEASE_RETRY_NS;
    backend->subject = NULL;
    return true;
}

/* The tenure leads already, by the row that passes the fence. That it is not in the books yet, because somebody holds
 * their rows or the disk is full, is a matter of patience. */
static bool enter_may_retry(const struct session *session)
{
    return session->statement == STMT_ENTER_TENURE && session->error.sqlstate[0] != '\0' &&
           session->error.status != PGK_ERR_FENCED && session->error.status != PGK_ERR_CONNECTION;
}

/* Our rows, or the audit's table, may be locked by somebody for a while; that says nothing of the
 * lease. */
static bool may_fail(const struct session *session)
{
    if (enter_may_retry(session)) {
        return true;
    }
    return (session->statement == STMT_READ || session->statement == STMT_ANNOUNCE_TENURE) &&
           session->error.sqlstate[0] != '\0';
}

/* Only a commit that waited for the standbys proves that this is still the primary, where that is
 * asked for. */
static bool proves_nothing(const struct backend *backend)
{
    return backend->settings->durable_heartbeat &&
           (backend->lock.statement == STMT_READ ||
            backend->lock.statement == STMT_ANNOUNCE_TENURE);
}

/* Somebody else leads on, and we hold nothing: it does not matter how late we hear of it. */
static bool may_be_late(const struct backend *backend)
{
    return backend->lock.status == PGK_OK && backend->lock.statement == STMT_TAKE_OVER &&
           !has_taken(backend) && !groups_hold_any(backend);
}

static void enter_later(struct backend *backend)
{
    struct backend_group *group = backend->subject;
    log_line(&backend->settings->logger, group->enter_refused ? PGK_LOG_DEBUG : PGK_LOG_WARNING,
             ORIGIN,
             "leads %s, but cannot enter the tenure into leadership and leader_history yet: %s",
             group->name, backend->lock.error.message);
    group->enter_refused = true;
    group->enter_at_ns = clock_now_ns() + ENTER_RETRY_NS;
    backend->subject = NULL;
}

static void answered(struct backend *backend)
{
    struct session *session = &backend->lock;
    if (session->statement == STMT_REPORT_END) {
        reports_pop(backend); /* whatever the answer: it is only told once */
    }
    if (session->status != PGK_OK && !release_may_retry(backend) && !may_fail(session)) {
        pgk_error fault = session->error;
        session_drop(session, clock_now_ns(), &fault);
        lost(backend);
        return;
    }
    if (session->warned) {
        drop(backend, PGK_ERR_CONNECTION,
             "the server warned while it answered; not trusted as a commit");
        return;
    }
    bool heartbeat =
        session->statement == STMT_HEARTBEAT || session->statement == STMT_ENTER_TENURE ||
        session->statement == STMT_HEARTBEAT_DURABLE || session->statement == STMT_ANNOUNCE_TENURE;
    if (heartbeat && session->status == PGK_OK &&
        strtol(cell(backend, 0), NULL, 10) != session->link.backend_pid) {
        drop(backend, PGK_ERR_UNSUPPORTED,
             "the server process changed under the lock session: a pooler shares it; leader "
             "election needs a direct "
             "connection or session pooling");
        return;
    }
    keeper_lock(backend);
    bool in_time = proves_nothing(backend) || renew(backend) || may_be_late(backend);
    if (in_time && session->status == PGK_OK && session->statement == STMT_READ) {
        listen_apply_groups(backend, session->result);
    } else if (in_time && session->status == PGK_OK && backend->subject != NULL) {
        group_answered(backend);
    } else if (in_time && session->statement == STMT_ANNOUNCE_TENURE) {
        backend->subject->announcement = NULL; /* whoever needs it looks for himself by and by */
        backend->subject = NULL;
    } else if (in_time && session->statement == STMT_ENTER_TENURE) {
        enter_later(backend);
    }
    keeper_unlock(backend);
    if (!in_time) {
        drop(backend, PGK_ERR_TIMEOUT, "the answer came after the lease had run out");
    } else if (session->statement == STMT_JOIN_MEMBER) {
        joined(backend);
    }
}

/* Reads our rows where the listener does not: an epoch raised by hand, a hand-over asked for, records changed. */
static void send_read(struct backend *backend)
{
    struct text_array groups;
    struct text_array components;
    int64_t now = clock_now_ns();
    backend->read_at_ns = now + backend->settings->poll_interval_ms * NS_PER_MS / 2;
    if (listen_collect(backend, false, &groups, &components)) {
        const char *const params[4] = {backend->settings->cluster_id, groups.text, components.text,
                                       "f"};
        session_send(&backend->lock, STMT_READ, params,
                     now + backend->settings->profile.session_timeout_ms * NS_PER_MS);
    }
    text_array_free(&groups);
    text_array_free(&components);
}

/* [lock] */
static bool reads_itself(const struct backend *backend)
{
    return !backend->listening && groups_hold_any(backend);
}

static void send_next(struct backend *backend)
{
    struct question question = {.id = STMT_HEARTBEAT};
    keeper_lock(backend);
    bool any = question_choose(backend, &question);
    bool read = reads_itself(backend);
    keeper_unlock(backend);
    if (any) {
        int64_t now = clock_now_ns() + question.wait_ms * NS_PER_MS;
        backend->heartbeat_at_ns = now + backend->settings->profile.heartbeat_ms * NS_PER_MS;
        session_send(&backend->lock, question.id, question.params,
                     now + backend->settings->profile.session_timeout_ms * NS_PER_MS);
    } else if (read && clock_now_ns() >= backend->read_at_ns) {
        send_read(backend);
    }
}

/* ------------------------------------------------------------------ the part's two calls */

/* [lock] A lock session is wanted while there are groups. */
static bool wanted(const struct backend *backend)
{
    return backend->groups != NULL && !backend->closing;
}

static void tick(struct backend *backend)
{
    int64_t now = clock_now_ns();
    keeper_lock(backend);
    bool expired = groups_hold_any(backend) && now >= backend->lease_until_ns;
    for (struct backend_group *g = backend->groups; !expired && g != NULL; g = g->next) {
        groups_act(backend, g, rules_tick(&g->rules, now));
    }
    keeper_unlock(backend);
    if (expired) {
        drop(backend, PGK_ERR_TIMEOUT,
             "no heartbeat was acknowledged within the lease: this process was stopped or starved, "
             "or is cut off from "
             "the database");
    }
}

void contend_step(struct backend *backend)
{
    struct session *session = &backend->lock;
    for (enum session_event event = session_step(session, clock_now_ns()); event != SESSION_NOTHING;
         event = session_step(session, clock_now_ns())) {
        if (event == SESSION_LOST) {
            lost(backend);
        } else if (event == SESSION_RESULT) {
            answered(backend);
        } else {
            backend->lease_until_ns = 0;
            backend->heartbeat_at_ns = 0;
        }
    }
    tick(backend);
    keeper_lock(backend);
    bool connect = wanted(backend);
    bool idle_out = backend->groups == NULL && session->state == SESSION_IDLE;
    if (idle_out) {
        backend->member_id = 0;
    }
    groups_sweep(backend);
    keeper_unlock(backend);
    if (idle_out) {
        session_close(session);
    } else if (connect) {
        session_connect(session, clock_now_ns());
    }
    if (session->state == SESSION_IDLE && !backend->cancelling) {
        send_next(backend);
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t contend_next_ns(const struct backend *backend)
{
    const struct session *session = &backend->lock;
    int64_t next = session_deadline_ns(session, wanted(backend));
    bool free = session->state == SESSION_IDLE && !backend->cancelling;
    if (free) {
        next = earlier(next, backend->heartbeat_at_ns);
        next = earlier(next, reads_itself(backend) ? backend->read_at_ns : CLOCK_NEVER);
    }
    for (const struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (rules_holds(&g->rules)) {
            next = earlier(next, backend->lease_until_ns);
        }
        if (g->rules.state == GROUP_GRACE) {
            next = earlier(next, g->rules.grant_at_ns);
        }
        if (free && g->announcement != NULL) {
            next = earlier(next, g->unentered ? g->enter_at_ns : 0);
        }
        if (free && g->rules.state == GROUP_RELEASING) {
            next = earlier(next, g->release_at_ns);
        }
        if (free && g->rules.state == GROUP_WAITING && g->wanted) {
            next = earlier(next, g->leadership_id == 0 ? 0 : g->rules.try_at_ns);
        }
    }
    return next;
}
