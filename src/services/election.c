/*
 * services/election.c - election handles: argument checks, starting and closing, what a contender is told.
 *
 * Any thread. has_leadership and deadline_ns take no lock and do no I/O; what they read is constant or
 * atomic. Nothing here talks to the database but through the backend.
 */
#include <pgkeeper/election.h>

#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "services/handle.h"

#define PROCESS_GROUP "master"

static bool same_tenure(const struct grant *a, const struct grant *b)
{
    return a->live && b->live && a->epoch == b->epoch &&
           pgk_uuid_compare(&a->session_id, &b->session_id) == 0;
}

static bool same_fault(const pgk_error *a, const pgk_error *b)
{
    return a->status == b->status && strcmp(a->sqlstate, b->sqlstate) == 0 &&
           strcmp(a->message, b->message) == 0;
}

static void deliver_grant(pgk_election *election)
{
    struct grant grant = election->group->current;

    election->granted = grant;
    election->group->granted++;
    election->told_fault = (pgk_error){.status = PGK_OK}; /* whatever it was, it is over */
    notifier_enter(&election->subject);
    election->contender.grant(election->contender.user, &grant.session_id, grant.epoch);
    notifier_leave(&election->subject);
}

static void deliver_revoke(pgk_election *election)
{
    struct grant grant = election->granted;

    election->granted.live = false;
    election->revoking++;
    notifier_enter(&election->subject);
    election->contender.revoke(election->contender.user, &grant.session_id, grant.epoch);
    notifier_leave(&election->subject);
    election->revoking--;
    group_revoked(election->subject.ha, election->group);
    election_finish_close(election, false);
}

static void deliver_fault(pgk_election *election)
{
    pgk_error fault = election->fault;

    election->told_fault = election->fault_passed ? (pgk_error){.status = PGK_OK} : fault;
    notifier_enter(&election->subject);
    election->contender.error(election->contender.user, &fault);
    notifier_leave(&election->subject);
}

bool election_deliver(pgk_election *election)
{
    const struct ha_group *group = election->group;
    bool started = election->subject.state == SUBJECT_STARTED;

    if (election->granted.live && (!started || !same_tenure(&election->granted, &group->current))) {
        deliver_revoke(election);
        return true;
    }
    if (!started) {
        return false;
    }
    if (election->fault_pending) {
        election->fault_pending = false;
        if (election->contender.error != NULL &&
            !same_fault(&election->fault, &election->told_fault)) {
            deliver_fault(election);
            return true;
        }
    }
    if (!election->granted.live && group->current.live &&
        tenure_deadline_ns(&group->tenure, &group->current.session_id) > 0) {
        deliver_grant(election);
        return true;
    }
    return false;
}

void election_begin_close(pgk_election *election)
{
    struct subject *subject = &election->subject;

    if (subject->state == SUBJECT_NEW) {
        subject_retire(subject);
    }
    if (subject->state != SUBJECT_STARTED) {
        return;
    }
    atomic_store(&election->started, false);
    subject->state = SUBJECT_CLOSING;
    subject_mark_dirty(subject);
    election_finish_close(election, false);
}

void election_finish_close(pgk_election *election, bool force)
{
    if (election->subject.state != SUBJECT_CLOSING) {
        return;
    }
    if (!force && (election->granted.live || election->revoking > 0)) {
        return;
    }
    group_detach(election->subject.ha, election);
    subject_retire(&election->subject);
}

void election_free(pgk_election *election)
{
    group_put(election->subject.ha, election->group);
    free(election->component);
    free(election);
}

static pgk_status new_election(pgk_ha *ha, const char *component, const char *group,
                               pgk_election **ret_election, pgk_error *err)
{
    static const char origin[] = "ha.election";
    pgk_status status = ha_check_open(ha, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    if (ha->client_only) {
        return error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                         "the handle was opened for retrieval only; open it with pgk_ha_open");
    }
    pgk_election *election = calloc(1, sizeof(*election));

    if (election == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, origin, "no memory for an election");
    }
    election->component = strdup(component);
    election->group = election->component == NULL ? NULL : group_get(ha, group);
    if (election->group == NULL) {
        free(election->component);
        free(election);
        return error_set(err, PGK_ERR_NO_MEMORY, origin, "no memory for an election");
    }
    atomic_init(&election->started, false);
    subject_init(&election->subject, SUBJECT_ELECTION, ha);
    *ret_election = election;
    return PGK_OK;
}

static pgk_status make_election(pgk_ha *ha, const char *component, const char *group,
                                pgk_election **ret_election, pgk_error *err)
{
    static const char origin[] = "ha.election";

    if (ret_election == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "ret_election is NULL");
    }
    pgk_status status = subject_check_component(component, origin, err);

    if (status == PGK_OK) {
        status = ha_check_process(ha, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    if (group == NULL) {
        group = ha->settings->scope == SCOPE_COMPONENT ? component : PROCESS_GROUP;
    }
    pthread_mutex_lock(&ha->lock);
    status = new_election(ha, component, group, ret_election, err);
    pthread_mutex_unlock(&ha->lock);
    return status;
}

pgk_status pgk_ha_election(pgk_ha *ha, const char *component, pgk_election **ret_election,
                           pgk_error *err)
{
    error_reset(err);
    return make_election(ha, component, NULL, ret_election, err);
}

pgk_status pgk_ha_election_in_group(pgk_ha *ha, const char *component, const char *group,
                                    pgk_election **ret_election, pgk_error *err)
{
    error_reset(err);
    if (group == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, "ha.election", "group is NULL");
    }
    if (!text_is_valid(group, 1, PGK_COMPONENT_MAX_BYTES)) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, "ha.election",
                         "group must be 1 to %d bytes of UTF-8", PGK_COMPONENT_MAX_BYTES);
    }
    return make_election(ha, component, group, ret_election, err);
}

pgk_status election_lock(const pgk_election *election, const char *origin, pgk_error *err)
{
    return subject_lock(election != NULL ? &election->subject : NULL, "election", origin, err);
}

pgk_status election_check_started(const pgk_election *election, const char *origin, pgk_error *err)
{
    if (election->subject.state == SUBJECT_STARTED) {
        return PGK_OK;
    }
    return error_set(err, PGK_ERR_ILLEGAL_STATE, origin, "the election for %s %s",
                     election->component,
                     election->subject.state == SUBJECT_NEW
                         ? "has not been started; call pgk_election_start first"
                         : "is closed; make a new one");
}

static pgk_status check_contender(const pgk_contender *contender, const char *origin,
                                  pgk_error *err)
{
    if (contender == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "contender is NULL");
    }
    if (contender->size != sizeof(*contender)) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "contender.size is %zu; set it to sizeof(pgk_contender), %zu",
                         contender->size, sizeof(*contender));
    }
    if (contender->grant == NULL || contender->revoke == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "contender.%s is NULL",
                         contender->grant == NULL ? "grant" : "revoke");
    }
    return PGK_OK;
}

static const struct subject *find_contender(const pgk_ha *ha, const char *component)
{
    const struct subject *subject;

    TAILQ_FOREACH (subject, &ha->subjects, link) {
        if (subject->kind == SUBJECT_ELECTION && subject->state == SUBJECT_STARTED &&
            strcmp(((const pgk_election *)subject)->component, component) == 0) {
            return subject;
        }
    }
    return NULL;
}

static pgk_status start(pgk_election *election, const pgk_contender *contender, const char *origin,
                        pgk_error *err)
{
    struct subject *subject = &election->subject;
    pgk_ha *ha = subject->ha;
    pgk_status status = ha_check_open(ha, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    if (subject->state != SUBJECT_NEW) {
        return error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                         "the election for %s was %s before; make a new one", election->component,
                         subject->state == SUBJECT_STARTED ? "started" : "closed");
    }
    if (find_contender(ha, election->component) != NULL) {
        return error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                         "the handle already has a contender for %s; close that election first",
                         election->component);
    }
    election->contender = *contender;
    status = group_attach(ha, election, err);
    if (status != PGK_OK) {
        return status;
    }
    subject->state = SUBJECT_STARTED;
    TAILQ_INSERT_TAIL(&ha->subjects, subject, link);
    atomic_store(&election->started, true);
    subject_mark_dirty(subject); /* the group may lead already */
    return PGK_OK;
}

pgk_status pgk_election_start(pgk_election *election, const pgk_contender *contender,
                              pgk_error *err)
{
    static const char origin[] = "election.start";

    error_reset(err);
    pgk_status status = check_contender(contender, origin, err);

    if (status == PGK_OK) {
        status = election_lock(election, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = start(election, contender, origin, err);
    pthread_mutex_unlock(&election->subject.ha->lock);
    return status;
}

int64_t pgk_election_deadline_ns(const pgk_election *election, const pgk_uuid *session_id)
{
    if (election == NULL || session_id == NULL || !atomic_load(&election->started)) {
        return 0;
    }
    int64_t deadline = tenure_deadline_ns(&election->group->tenure, session_id);

    /* The process is asked for last, because that is a system call. */
    return deadline > 0 && !ha_is_foreign(election->subject.ha) ? deadline : 0;
}

bool pgk_election_has_leadership(const pgk_election *election, const pgk_uuid *session_id)
{
    return pgk_election_deadline_ns(election, session_id) > 0;
}

pgk_status pgk_election_token(const pgk_election *election, pgk_token *ret_token, pgk_error *err)
{
    static const char origin[] = "election.token";
    pgk_token token;

    error_reset(err);
    if (ret_token == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "ret_token is NULL");
    }
    pgk_status status = election_lock(election, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    status = election_check_started(election, origin, err);
    pthread_mutex_unlock(&election->subject.ha->lock);
    if (status != PGK_OK) {
        return status;
    }
    if (!tenure_token(&election->group->tenure, &token)) {
        return error_set(err, PGK_ERR_FENCED, origin, "this process does not lead %s now",
                         election->group->name);
    }
    *ret_token = token;
    return PGK_OK;
}

pgk_status pgk_election_resign(pgk_election *election, pgk_error *err)
{
    static const char origin[] = "election.resign";

    error_reset(err);
    pgk_status status = election_lock(election, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    pgk_ha *ha = election->subject.ha;
    struct ha_group *group = election->group;

    status = election_check_started(election, origin, err);
    if (status == PGK_OK && !group->current.live) {
        status =
            error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                      "%s is not led by this process; there is nothing to resign", group->name);
    }
    if (status == PGK_OK) {
        status = ha->ops->resign(ha->backend, group->backend_group, err);
    }
    pthread_mutex_unlock(&ha->lock);
    return status;
}

pgk_status pgk_election_close(pgk_election *election, pgk_error *err)
{
    return subject_close(election != NULL ? &election->subject : NULL, "election", "election.close",
                         err);
}

void pgk_election_free(pgk_election *election)
{
    subject_free(election != NULL ? &election->subject : NULL);
}
