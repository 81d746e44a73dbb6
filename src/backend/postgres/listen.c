/*
 * backend/postgres/listen.c - the listener session: hears that something changed, reads what is
 * true now, tells the services and the rules, and keeps this process's own leader records standing.
 *
 * Keeper thread. Never opens a transaction. A notification is only a hint: the state is read after
 * LISTEN, after every reconnection, on each notification and at least every poll interval.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/postgres/questions.h"
#include "backend/postgres/text_array.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "keeper.listener"
#define ANSWER_NS (10 * NS_PER_S)
#define CANCEL_AGAIN_NS (20 * NS_PER_MS)
/* No longer wanted: ended after this, unless it is wanted again. */
#define LINGER_NS (200 * NS_PER_MS)

/* ------------------------------------------------------------------ questions */

bool listen_collect(struct backend *backend, bool watches, struct text_array *groups,
                    struct text_array *components)
{
    bool whole = text_array_begin(groups) && text_array_begin(components);
    keeper_lock(backend);
    backend->reread = backend->reread && !watches;
    for (struct backend_group *g = backend->groups; whole && g != NULL; g = g->next) {
        whole = text_array_add(groups, g->name);
        for (struct record *r = g->records; whole && r != NULL; r = r->next) {
            r->asked = true;
            whole = text_array_add(components, r->component);
        }
    }
    for (struct backend_watch *w = backend->watches; watches && whole && w != NULL; w = w->next) {
        w->asked = true;
        whole = text_array_add(components, w->component);
    }
    keeper_unlock(backend);
    return whole && text_array_end(groups) && text_array_end(components);
}

static void send_read(struct backend *backend, bool look_at_locks)
{
    struct text_array groups;
    struct text_array components;
    if (listen_collect(backend, true, &groups, &components)) {
        const char *const params[4] = {backend->settings->cluster_id, groups.text, components.text,
                                       look_at_locks ? "t" : "f"};
        backend->looking_at_locks = look_at_locks;
        backend->listener.notified = false;
        session_send(&backend->listener, STMT_READ, params, clock_now_ns() + ANSWER_NS);
    } else {
        pgk_error fault;
        error_set(&fault, PGK_ERR_NO_MEMORY, ORIGIN, "out of memory");
        session_drop(&backend->listener, clock_now_ns(), &fault);
    }
    text_array_free(&groups);
    text_array_free(&components);
}

static void send_listen(struct backend *backend)
{
    const char *const params[1] = {backend->settings->cluster_id};
    session_send(&backend->listener, STMT_LISTEN, params, clock_now_ns() + ANSWER_NS);
}

static void send_errand(struct backend *backend)
{
    const struct errand *errand = backend->errand;
    char id[16];
    char epoch[24];
    char session_id[PGK_UUID_TEXT_SIZE];
    bool fenced = errand->statement != STMT_WITHDRAW_MEMBER;
    snprintf(id, sizeof(id), "%" PRId32, fenced ? errand->token.leadership_id : errand->member_id);
    snprintf(epoch, sizeof(epoch), "%" PRId64, errand->token.epoch);
    pgk_uuid_format(&errand->token.session_id, session_id);
    const char *const params[5] = {id, fenced ? epoch : errand->name, session_id, errand->name,
                                   errand->address};
    session_send(&backend->listener, errand->statement, params, clock_now_ns() + ANSWER_NS);
}

/* [lock] */
static bool errand_due(const struct backend *backend)
{
    const struct errand *errand = backend->errands;
    while (errand != NULL && errand->resting) {
        errand = errand->next;
    }
    return errand != NULL;
}

/* Has the application come back to what it left? Then its record or entry is to stay. [lock] */
static bool overtaken(const struct backend *backend, const struct errand *errand)
{
    for (const struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (errand->statement == STMT_WITHDRAW_MEMBER && strcmp(g->name, errand->name) == 0) {
            return true;
        }
        for (const struct record *r = g->records; r != NULL; r = r->next) {
            if (errand->statement == STMT_WITHDRAW && g->rules.epoch == errand->token.epoch &&
                strcmp(r->component, errand->name) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool take_errand(struct backend *backend)
{
    struct errand **at = &backend->errands;
    keeper_lock(backend);
    while (*at != NULL && backend->errand == NULL) {
        struct errand *errand = *at;
        if (errand->resting) {
            at = &errand->next;
            continue;
        }
        *at = errand->next;
        if (overtaken(backend, errand)) {
            errand_free(errand);
        } else {
            backend->errand = errand;
        }
    }
    keeper_unlock(backend);
    return backend->errand != NULL;
}

/* [lock] */
static bool cancel_due(const struct backend *backend)
{
    return clock_now_ns() >= question_wait_until_ns(backend);
}

/* Ends the lock session's wait. */
static void send_cancel(struct backend *backend)
{
    char pid[16];
    const char *const params[1] = {pid};
    snprintf(pid, sizeof(pid), "%d", backend->lock.link.backend_pid);
    backend->cancelling = true;
    /* The lock session is mute until this is answered. */
    session_send(&backend->listener, STMT_CANCEL, params,
                 clock_now_ns() + backend->settings->profile.heartbeat_ms * NS_PER_MS);
}

static void send_next(struct backend *backend)
{
    int64_t now = clock_now_ns();
    keeper_lock(backend);
    bool cancel = cancel_due(backend);
    keeper_unlock(backend);
    if (cancel) {
        send_cancel(backend);
    } else if (!backend->listening) {
        send_listen(backend);
    } else if (take_errand(backend)) {
        send_errand(backend);
    } else {
        keeper_lock(backend);
        bool reread = backend->reread;
        keeper_unlock(backend);
        bool due = reread || now >= backend->poll_at_ns;
        if (due || backend->listener.notified) {
            send_read(backend, due);
        } else {
            graphs_send(backend, now);
        }
    }
}

/* ------------------------------------------------------------------ answers */

static void end_errand(struct backend *backend)
{
    errand_free(backend->errand);
    backend->errand = NULL;
}

/* It may not have been done. A record to be put back is found by the next read; what is to be taken
 * away nobody else remembers. */
static void put_errand_off(struct backend *backend)
{
    struct errand *errand = backend->errand;
    if (errand == NULL || errand->statement == STMT_CONFIRM) {
        end_errand(backend);
        return;
    }
    errand->resting = true;
    backend->errand = NULL;
    keeper_lock(backend);
    errand->next = backend->errands;
    backend->errands = errand;
    keeper_unlock(backend);
}

static void answered(struct backend *backend)
{
    struct session *session = &backend->listener;
    bool errand = backend->errand != NULL;
    if (session->statement == STMT_CANCEL) {
        backend->cancelling = false;
        backend->cancel_at_ns = clock_now_ns() + CANCEL_AGAIN_NS; /* if the wait goes on */
    } else if (errand && session->status != PGK_OK &&
               (session->error.flags & PGK_ERROR_RETRYABLE) != 0) {
        put_errand_off(backend); /* as when somebody's open transaction blocks it */
    } else if (errand) {
        end_errand(backend);
    } else if (graphs_answered(backend)) {
        return;
    } else if (session->status != PGK_OK) {
        pgk_error fault = session->error;
        session_drop(session, clock_now_ns(), &fault);
    } else if (session->statement == STMT_LISTEN) {
        backend->listening = true;
    } else {
        listen_apply(backend);
    }
}

static void lost(struct backend *backend, const pgk_error *fault)
{
    log_line(&backend->settings->logger, PGK_LOG_WARNING, ORIGIN, "%s", fault->message);
    put_errand_off(backend);
    backend->listening = false;
    backend->cancelling = false;
    if (backend->lost_at_ns == 0) {
        backend->lost_at_ns = clock_now_ns();
    }
}

/* Cut off for too long: what was known is not worth repeating. */
static void tell_lost(struct backend *backend)
{
    keeper_lock(backend);
    for (struct backend_watch *w = backend->watches; w != NULL; w = w->next) {
        backend->env.sink.leader_seen(backend->env.sink.ctx, w->ctx, 0, NULL);
    }
    keeper_unlock(backend);
    backend->told_lost = true;
}

/* A question that nobody answers is a disconnection too, long before the session is given up. */
static int64_t silent_at_ns(const struct backend *backend)
{
    const struct session *session = &backend->listener;
    const struct settings *settings = backend->settings;
    int patience = settings->disconnect_tolerance_ms > settings->profile.lease_ms
                       ? settings->disconnect_tolerance_ms
                       : settings->profile.lease_ms;
    return session->state == SESSION_BUSY && session->statement == STMT_READ
               ? session->sent_ns + patience * NS_PER_MS
               : CLOCK_NEVER;
}

static int64_t tell_lost_at_ns(const struct backend *backend)
{
    if (backend->told_lost) {
        return CLOCK_NEVER;
    }
    return backend->lost_at_ns == 0
               ? silent_at_ns(backend)
               : backend->lost_at_ns + backend->settings->disconnect_tolerance_ms * NS_PER_MS;
}

/*
 * A leader with nobody to follow does without a listener, and the lock session reads for it: when a
 * process dies, each of its sessions costs the server a millisecond or two of a processor to end, just
 * when its successor wants one. [lock]
 */
static bool wanted(const struct backend *backend)
{
    bool waits = false;
    for (const struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        waits = waits || !rules_holds(&g->rules);
    }
    return cancel_due(backend) ||
           (!backend->closing && (waits || backend->watches != NULL || backend->errands != NULL ||
                                  backend->graph_watches != NULL || backend->leave_store));
}

/* Saves the standby a round trip: take_over() finds out whether it is true. */
static void hint_released(struct backend *backend)
{
    int32_t id = backend->listener.released;
    backend->listener.released = 0;
    keeper_lock(backend);
    for (struct backend_group *g = backend->groups; id != 0 && g != NULL; g = g->next) {
        if (g->leadership_id == id) {
            rules_hint_released(&g->rules, clock_now_ns());
        }
    }
    keeper_unlock(backend);
}

void listen_step(struct backend *backend)
{
    struct session *session = &backend->listener;
    for (;;) {
        enum session_event event = session_step(session, clock_now_ns());
        if (event == SESSION_RESULT) {
            answered(backend);
        }
        if (event == SESSION_READY) {
            backend->listening = backend->settings->retrieval == RETRIEVAL_POLL;
            backend->poll_at_ns = 0;
            graphs_connected(backend);
        }
        if (event == SESSION_LOST || (event == SESSION_RESULT && session->state == SESSION_DOWN)) {
            lost(backend, &session->fault);
        }
        if (event == SESSION_NOTHING) {
            break;
        }
    }
    hint_released(backend);
    if (clock_now_ns() >= tell_lost_at_ns(backend)) {
        tell_lost(backend);
    }
    keeper_lock(backend);
    bool connect = wanted(backend);
    keeper_unlock(backend);
    int64_t now = clock_now_ns();
    if (connect) {
        backend->linger_until_ns = now + LINGER_NS;
        session_connect(session, now);
    }
    if (session->state != SESSION_IDLE) {
        return;
    }
    if (connect) {
        send_next(backend);
    } else if (now >= backend->linger_until_ns) {
        session_close(session);
        backend->listening = false;
    }
}

int64_t listen_next_ns(const struct backend *backend)
{
    bool connect = wanted(backend);
    int64_t next = session_deadline_ns(&backend->listener, connect);
    int64_t tell = tell_lost_at_ns(backend);
    if (backend->listener.state == SESSION_IDLE && connect) {
        bool now = backend->reread || errand_due(backend) || backend->listener.notified ||
                   !backend->listening;
        int64_t graphs = graphs_next_ns(backend);
        next = now ? 0 : backend->poll_at_ns;
        next = graphs < next ? graphs : next;
    } else if (backend->listener.state == SESSION_IDLE) {
        next = backend->linger_until_ns;
    }
    int64_t cancel = question_wait_until_ns(backend);
    if (backend->listener.state == SESSION_IDLE || cancel > clock_now_ns()) {
        next = cancel < next ? cancel : next; /* else it is first to be connected, or to be free */
    }
    return next < tell ? next : tell;
}
