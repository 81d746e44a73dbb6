/*
 * backend/postgres/questions.c - what the lock session is to ask next, put together. Keeper thread,
 * under the lock.
 */
#include "backend/postgres/questions.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/clock.h"

/* A wait that is cancelled before it has begun goes on, or ends with an error. */
#define CANCEL_AFTER_NS (5 * NS_PER_MS)

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
    const struct lease_profile *profile = &backend->settings->profile;
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
    /* Where belief itself hangs on commits that a standby has confirmed, so does the first one. */
    question->params[9] = backend->settings->durable_heartbeat ? "f" : "t";
    question->wait_ms = wait_ms;
}

static void ask_announcement(struct backend_group *group, struct question *question)
{
    question->id = group->unentered ? STMT_ENTER_TENURE : STMT_ANNOUNCE_TENURE;
    param_number(question, 0, group->leadership_id);
    param_number(question, 1, group->rules.epoch);
    question->params[2] = group->announcement;
}

static void ask_release(const struct backend *backend, struct backend_group *group,
                        struct question *question)
{
    const struct lease_profile *profile = &backend->settings->profile;
    if (group->release_until_ns == 0) {
        group->release_until_ns = clock_now_ns() + 2 * profile->session_timeout_ms * NS_PER_MS;
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
static struct backend_group *unannounced(const struct backend *backend, int64_t now)
{
    struct backend_group *group = backend->groups;
    while (group != NULL &&
           (group->announcement == NULL || (group->unentered && now < group->enter_at_ns))) {
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
    struct backend_group *group = groups_followed(backend);
    backend->subject = group;
    if (group == NULL || groups_hold_any(backend)) {
        backend->subject = NULL;
        return false;
    }
    ask_take_over(backend, group,
                  link_wait_slice_ms(&backend->lock.link, backend->settings->profile.lease_ms / 2),
                  question);
    backend->waiting = true;
    backend->cancel_at_ns = clock_now_ns() + CANCEL_AFTER_NS;
    return true;
}

int64_t question_wait_until_ns(const struct backend *backend)
{
    int64_t until = CLOCK_NEVER;
    if (!backend->waiting || backend->cancelling) {
        return CLOCK_NEVER;
    }
    for (const struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (g->wanted && g->rules.state == GROUP_WAITING) {
            int64_t due = g->leadership_id == 0 ? 0 : g->rules.try_at_ns;
            until = due < until ? due : until;
        }
    }
    if (backend->closing || !backend->subject->wanted) {
        until = 0;
    }
    return until == CLOCK_NEVER || until > backend->cancel_at_ns ? until : backend->cancel_at_ns;
}

bool question_choose(struct backend *backend, struct question *question)
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
    backend->subject = unannounced(backend, now);
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
