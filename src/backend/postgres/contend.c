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

#include "backend/postgres/keeper.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/text.h"

#define ORIGIN "keeper.lock"
/* A fenced write in flight holds up a release: how soon to ask again. */
#define RELEASE_RETRY_NS (20 * NS_PER_MS)
/* After a release a successor is soon there. */
#define LOOK_AGAIN_NS (50 * NS_PER_MS)

static const struct lease_profile *profile_of(const struct backend *backend)
{
    return &backend->settings->profile;
}

static int64_t ms_to_ns(int ms)
{
    return ms * NS_PER_MS;
}

/* ------------------------------------------------------------------ tenures, under the lock */

static void explain_later(struct backend *backend, const struct backend_group *group,
                          const char *detail)
{
    struct report *report = calloc(1, sizeof(*report));
    if (report == NULL) {
        return; /* history will say "lost" */
    }
    report->leadership_id = group->leadership_id;
    report->epoch = group->rules.epoch;
    report->session_id = group->rules.session_id;
    report->reason = group->rules.end_reason;
    text_copy(report->detail, sizeof(report->detail), detail);
    report->next = backend->reports;
    backend->reports = report;
}

void contend_forget_reports(struct backend *backend)
{
    while (backend->reports != NULL) {
        struct report *report = backend->reports;
        backend->reports = report->next;
        free(report);
    }
}

static void end_tenure(struct backend *backend, struct backend_group *group, bool orderly)
{
    records_clear(group);
    if (group->wanted) {
        tenure_end(group->tenure);
        backend->env.sink.tenure_ended(backend->env.sink.ctx, group->ctx, orderly);
    }
}

static void begin_tenure(struct backend *backend, struct backend_group *group)
{
    if (!group->wanted) {
        rules_decline(&group->rules);
        return;
    }
    tenure_begin(group->tenure, group->leadership_id, &group->rules.session_id, group->rules.epoch,
                 backend->lease_until_ns);
    backend->env.sink.tenure_began(backend->env.sink.ctx, group->ctx);
    log_line(&backend->settings->logger, PGK_LOG_INFO, ORIGIN,
             "leads %s, epoch %" PRId64 ".%" PRId64, group->name, group->rules.epoch >> 40,
             group->rules.epoch & ((INT64_C(1) << 40) - 1));
}

void contend_act(struct backend *backend, struct backend_group *group, enum group_act act)
{
    switch (act) {
    case ACT_GRANT:
        begin_tenure(backend, group);
        break;
    case ACT_END_ORDERLY:
    case ACT_END:
        log_line(&backend->settings->logger, PGK_LOG_INFO, ORIGIN, "no longer leads %s: %s",
                 group->name, group->rules.end_reason);
        end_tenure(backend, group, act == ACT_END_ORDERLY);
        break;
    case ACT_NOTHING:
        break;
    }
    if (group->rules.state == GROUP_RELEASING && act != ACT_END_ORDERLY) {
        records_clear(group);
    }
}

bool contend_busy(const struct backend *backend)
{
    for (const struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (g->rules.state == GROUP_TRYING || rules_holds(&g->rules) || g->announcement != NULL) {
            return true;
        }
    }
    return false;
}

bool contend_holds_any(const struct backend *backend)
{
    for (const struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (rules_holds(&g->rules)) {
            return true;
        }
    }
    return false;
}

/* With several leaders, different processes choose different ones: the choice turns with our own id. */
struct backend_group *contend_followed(const struct backend *backend)
{
    struct backend_group *chosen = NULL;
    uint32_t best = UINT32_MAX;
    for (struct backend_group *g = backend->groups; g != NULL && !backend->closing; g = g->next) {
        uint32_t distance = (uint32_t)g->rules.leader - (uint32_t)backend->member_id;
        if (g->wanted && g->rules.state == GROUP_WAITING && g->leadership_id != 0 &&
            g->rules.leader != 0 && (chosen == NULL || distance < best)) {
            best = distance;
            chosen = g;
        }
    }
    return chosen;
}

void contend_try_others(struct backend *backend, int32_t member)
{
    for (struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (g->rules.state == GROUP_WAITING && g->leadership_id != 0 &&
            g->rules.try_at_ns == CLOCK_NEVER &&
            (g->rules.leader != member || !backend->listening)) {
            g->rules.try_at_ns = clock_now_ns();
        }
    }
}

/* What somebody led whose lock is ours now: most likely it is free as well. [lock] */
static void try_what_led(struct backend *backend, int32_t member)
{
    for (struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (g->rules.leader == member) {
            rules_hint_released(&g->rules, clock_now_ns());
        }
    }
}

/* Groups that nobody wants and that hold nothing go. [lock] */
static void sweep_groups(struct backend *backend)
{
    for (struct backend_group **at = &backend->groups; *at != NULL;) {
        struct backend_group *group = *at;
        if (group->wanted || group->rules.state != GROUP_WAITING || group == backend->subject ||
            group->announcement != NULL) {
            at = &group->next;
            continue;
        }
        if (group->leadership_id != 0 && backend->member_id != 0 && !backend->closing) {
            errand_add(backend, STMT_WITHDRAW_MEMBER, NULL, backend->member_id, group->name, NULL);
        }
        *at = group->next;
        records_clear(group);
        free(group->name);
        free(group);
    }
}

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
    backend->member_id = 0;
    for (struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        bool held = rules_holds(&g->rules);
        enum group_act act = rules_session_lost(&g->rules, reason);
        if (held) {
            explain_later(backend, g, fault->message);
        }
        contend_act(backend, g, act);
        g->leadership_id = 0;
        g->announcement = NULL; /* whoever needs it looks for himself by and by */
        g->release_until_ns = 0;
        if (g->wanted) {
            backend->env.sink.group_fault(backend->env.sink.ctx, g->ctx, fault);
        } else if (held && backend->closing) {
            backend->close_error = *fault;
        }
    }
    sweep_groups(backend);
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
    int64_t until = backend->lock.sent_ns + ms_to_ns(profile_of(backend)->lease_ms);
    bool in_time = now < until && (now < backend->lease_until_ns || !contend_holds_any(backend));
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
    if (strcmp(outcome, "taken") == 0) {
        group->announcement = "take_over";
        try_what_led(backend, holder);
        contend_act(backend, group, rules_taken(&group->rules, now, epoch, wait_ns));
        if (!group->wanted) {
            rules_decline(&group->rules);
        }
    } else if (strcmp(outcome, "busy") == 0) {
        rules_busy(&group->rules, now, holder, epoch);
        if (waited) {
            contend_try_others(backend, holder);
        }
    } else if (strcmp(outcome, "reserved") == 0) {
        rules_reserved(&group->rules, now, wait_ns);
    } else {
        group->leadership_id = 0; /* the row is gone: enroll again */
        rules_reserved(&group->rules, now, 0);
    }
}

static void release_answered(struct backend *backend, struct backend_group *group)
{
    int stand_back = group->wanted && strcmp(group->rules.end_reason, END_FENCED) != 0
                         ? profile_of(backend)->session_timeout_ms
                         : 0;
    int64_t now = clock_now_ns();
    if (strcmp(cell(backend, 0), "done") == 0) {
        group->announcement = "release";
    }
    rules_released(&group->rules, now, ms_to_ns(stand_back));
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
    case STMT_ANNOUNCE_TENURE:
        break;
    default:
        release_answered(backend, group);
        break;
    }
    sweep_groups(backend);
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

static void pop_report(struct backend *backend)
{
    struct report *report = backend->reports;
    backend->reports = report->next;
    free(report);
}

/* Our rows may be locked by somebody for a while; that says nothing of the lease. */
static bool read_may_fail(const struct session *session)
{
    return session->statement == STMT_READ && session->error.sqlstate[0] != '\0';
}

/* Only a commit proves that this is still the primary, where that is asked for. */
static bool proves_nothing(const struct backend *backend)
{
    return backend->settings->durable_heartbeat && backend->lock.statement == STMT_READ;
}

static void answered(struct backend *backend)
{
    struct session *session = &backend->lock;
    if (session->statement == STMT_REPORT_END) {
        pop_report(backend); /* whatever the answer: it is only told once */
    }
    if (session->status != PGK_OK && !release_may_retry(backend) && !read_may_fail(session)) {
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
        session->statement == STMT_HEARTBEAT || session->statement == STMT_HEARTBEAT_DURABLE;
    if (heartbeat && strtol(cell(backend, 0), NULL, 10) != session->link.backend_pid) {
        drop(backend, PGK_ERR_UNSUPPORTED,
             "the server process changed under the lock session: a pooler shares it; leader "
             "election needs a direct "
             "connection or session pooling");
        return;
    }
    keeper_lock(backend);
    bool in_time = proves_nothing(backend) || renew(backend);
    if (in_time && session->status == PGK_OK && session->statement == STMT_READ) {
        listen_apply_groups(backend, session->result);
    } else if (in_time && session->status == PGK_OK && backend->subject != NULL) {
        group_answered(backend);
    }
    keeper_unlock(backend);
    if (!in_time) {
        drop(backend, PGK_ERR_TIMEOUT, "the answer came after the lease had run out");
    } else if (session->statement == STMT_JOIN_MEMBER) {
        joined(backend);
    }
}

/* ------------------------------------------------------------------ questions */

/* Put together under the lock, sent without it. */
struct question {
    enum statement_id id;
    int wait_ms; /* it may take this long before it is answered */
    const char *params[STATEMENT_MAX_PARAMS];
    char text[STATEMENT_MAX_PARAMS][PGK_UUID_TEXT_SIZE];
};

static void param_number(struct question *question, int index, int64_t number)
{
    snprintf(question->text[index], sizeof(question->text[index]), "%" PRId64, number);
    question->params[index] = question->text[index];
}

static void param_uuid(struct question *question, int index, const pgk_uuid *uuid)
{
    pgk_uuid_format(uuid, question->text[index]);
    question->params[index] = question->text[index];
}

static void ask_join(const struct backend *backend, struct question *question)
{
    question->id = STMT_JOIN_MEMBER;
    question->params[0] = backend->incarnation;
    question->params[1] = backend->settings->cluster_id;
    question->params[2] = backend->settings->member_name;
    question->params[3] = pgk_version();
}

static void ask_report(const struct backend *backend, struct question *question)
{
    const struct report *report = backend->reports;
    question->id = STMT_REPORT_END;
    param_number(question, 0, report->leadership_id);
    param_number(question, 1, report->epoch);
    param_uuid(question, 2, &report->session_id);
    question->params[3] = report->reason;
    question->params[4] = report->detail;
}

static void ask_enroll(const struct backend *backend, const struct backend_group *group,
                       struct question *question)
{
    question->id = STMT_ENROLL;
    param_number(question, 0, backend->member_id);
    question->params[1] = backend->settings->cluster_id;
    question->params[2] = group->name;
}

static void ask_take_over(const struct backend *backend, struct backend_group *group, int wait_ms,
                          struct question *question)
{
    const struct lease_profile *profile = profile_of(backend);
    pgk_uuid session_id;
    pgk_uuid_new(&session_id);
    rules_try(&group->rules, &session_id);
    question->id = STMT_TAKE_OVER;
    param_number(question, 0, group->leadership_id);
    param_number(question, 1, backend->member_id);
    param_uuid(question, 2, &session_id);
    question->params[3] =
        backend->settings->take_over == TAKE_OVER_EXCLUSIVE ? "exclusive" : "immediate";
    param_number(question, 4, profile->heartbeat_ms);
    param_number(question, 5, profile->lease_ms);
    param_number(question, 6, profile->session_timeout_ms);
    param_number(question, 7, profile->grace_ms);
    param_number(question, 8, wait_ms);
    question->wait_ms = wait_ms;
}

static void ask_announcement(struct backend_group *group, struct question *question)
{
    question->id = STMT_ANNOUNCE_TENURE;
    param_number(question, 0, group->leadership_id);
    param_number(question, 1, group->rules.epoch);
    question->params[2] = group->announcement;
    group->announcement = NULL;
}

static void ask_release(const struct backend *backend, struct backend_group *group,
                        struct question *question)
{
    const struct lease_profile *profile = profile_of(backend);
    if (group->release_until_ns == 0) {
        group->release_until_ns = clock_now_ns() + 2 * ms_to_ns(profile->session_timeout_ms);
    }
    question->id = STMT_RELEASE;
    param_number(question, 0, group->leadership_id);
    param_number(question, 1, group->rules.epoch);
    param_uuid(question, 2, &group->rules.session_id);
    question->params[3] = group->rules.end_reason;
    question->params[4] = group->rules.granted ? "t" : "f";
    param_number(question, 5, group->wanted ? profile->session_timeout_ms : 0);
}

/* [lock] */
static struct backend_group *unannounced(const struct backend *backend)
{
    struct backend_group *group = backend->groups;
    while (group != NULL && group->announcement == NULL) {
        group = group->next;
    }
    return group;
}

/* The next group that something is due for; what is due is told by its state. */
static struct backend_group *due_group(struct backend *backend, int64_t now)
{
    struct backend_group *chosen = NULL;
    for (struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (g->rules.state == GROUP_RELEASING && now >= g->release_at_ns) {
            return g; /* somebody waits for it */
        }
        bool enroll = g->leadership_id == 0;
        if (chosen == NULL && g->wanted && g->rules.state == GROUP_WAITING &&
            (enroll || now >= g->rules.try_at_ns)) {
            chosen = g;
        }
    }
    return backend->closing ? NULL : chosen;
}

/*
 * Who leads nothing waits for a leader's lock on the very session that takes it over: neither this
 * process nor a notification is in the way then. The wait is half a lease at most, so that an answer
 * that brings the lock comes with a lease. [lock]
 */
static bool choose_wait(struct backend *backend, struct question *question)
{
    struct backend_group *group = contend_followed(backend);
    backend->subject = group;
    if (group == NULL || contend_holds_any(backend)) {
        backend->subject = NULL;
        return false;
    }
    ask_take_over(backend, group,
                  link_wait_slice_ms(&backend->lock.link, profile_of(backend)->lease_ms / 2),
                  question);
    backend->waiting = true;
    backend->wait_cancelled = false;
    return true;
}

bool contend_wait_is_idle(const struct backend *backend)
{
    int64_t now = clock_now_ns();
    bool idle = !backend->waiting || backend->closing || !backend->subject->wanted;
    for (const struct backend_group *g = backend->groups; !idle && g != NULL; g = g->next) {
        idle = g->wanted && g->rules.state == GROUP_WAITING &&
               (g->leadership_id == 0 || now >= g->rules.try_at_ns);
    }
    return backend->waiting && idle;
}

/* Puts together what is due; false: nothing. [lock] */
static bool choose_question(struct backend *backend, struct question *question)
{
    int64_t now = clock_now_ns();
    if (backend->member_id == 0) {
        if (backend->reports != NULL) {
            ask_report(backend, question);
        } else {
            ask_join(backend, question);
        }
        return true;
    }
    backend->subject = unannounced(backend);
    if (backend->subject != NULL) {
        ask_announcement(backend->subject, question);
        return true;
    }
    if (now >= backend->heartbeat_at_ns) {
        question->id =
            backend->settings->durable_heartbeat ? STMT_HEARTBEAT_DURABLE : STMT_HEARTBEAT;
        return true;
    }
    struct backend_group *group = due_group(backend, now);
    if (group == NULL) {
        return choose_wait(backend, question);
    }
    backend->subject = group;
    if (group->rules.state == GROUP_RELEASING) {
        ask_release(backend, group, question);
    } else if (group->leadership_id == 0) {
        ask_enroll(backend, group, question);
    } else {
        ask_take_over(backend, group, 0, question);
    }
    return true;
}

/* Reads our rows where the listener does not: an epoch raised by hand, a hand-over asked for, records changed. */
static void send_read(struct backend *backend)
{
    struct text_array groups;
    struct text_array components;
    int64_t now = clock_now_ns();
    backend->read_at_ns = now + ms_to_ns(backend->settings->poll_interval_ms) / 2;
    if (listen_collect(backend, false, &groups, &components)) {
        const char *const params[4] = {backend->settings->cluster_id, groups.text, components.text,
                                       "f"};
        session_send(&backend->lock, STMT_READ, params,
                     now + ms_to_ns(profile_of(backend)->session_timeout_ms));
    }
    text_array_free(&groups);
    text_array_free(&components);
}

/* [lock] */
static bool reads_itself(const struct backend *backend)
{
    return !backend->listening && contend_holds_any(backend);
}

static void send_next(struct backend *backend)
{
    struct question question = {.id = STMT_HEARTBEAT};
    keeper_lock(backend);
    bool any = choose_question(backend, &question);
    bool read = reads_itself(backend);
    keeper_unlock(backend);
    if (any) {
        int64_t now = clock_now_ns() + ms_to_ns(question.wait_ms);
        backend->heartbeat_at_ns = now + ms_to_ns(profile_of(backend)->heartbeat_ms);
        session_send(&backend->lock, question.id, question.params,
                     now + ms_to_ns(profile_of(backend)->session_timeout_ms));
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
    bool expired = contend_holds_any(backend) && now >= backend->lease_until_ns;
    for (struct backend_group *g = backend->groups; !expired && g != NULL; g = g->next) {
        contend_act(backend, g, rules_tick(&g->rules, now));
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
    sweep_groups(backend);
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
    bool tries = free || (backend->waiting && !backend->wait_cancelled);
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
            next = 0;
        }
        if (free && g->rules.state == GROUP_RELEASING) {
            next = earlier(next, g->release_at_ns);
        }
        if (tries && g->rules.state == GROUP_WAITING && g->wanted) {
            next = earlier(next, g->leadership_id == 0 ? 0 : g->rules.try_at_ns);
        }
    }
    return next;
}
