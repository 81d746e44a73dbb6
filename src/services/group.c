/*
 * services/group.c - groups: what the backend says of them, handed on to their contenders.
 *
 * Sink functions run on a thread of the backend under the handle's lock; they only note and wake. Nothing
 * here calls the application.
 */
#include <stdlib.h>
#include <string.h>

#include "services/job_graphs.h"

struct ha_group *group_get(pgk_ha *ha, const char *name)
{
    struct ha_group *group;

    TAILQ_FOREACH (group, &ha->groups, link) {
        if (strcmp(group->name, name) == 0) {
            group->refs++;
            return group;
        }
    }
    group = calloc(1, sizeof(*group));
    if (group == NULL) {
        return NULL;
    }
    group->name = strdup(name);
    if (group->name == NULL) {
        free(group);
        return NULL;
    }
    group->refs = 1;
    TAILQ_INSERT_TAIL(&ha->groups, group, link);
    return group;
}

void group_put(pgk_ha *ha, struct ha_group *group)
{
    if (--group->refs > 0) {
        return;
    }
    TAILQ_REMOVE(&ha->groups, group, link);
    free(group->name);
    free(group);
}

static pgk_election *as_contender(struct subject *subject, const struct ha_group *group)
{
    pgk_election *election = (pgk_election *)subject;

    if (subject->kind != SUBJECT_ELECTION || election->group != group || !election->attached) {
        return NULL;
    }
    return election;
}

static void wake_contenders(pgk_ha *ha, const struct ha_group *group)
{
    struct subject *subject;

    TAILQ_FOREACH (subject, &ha->subjects, link) {
        if (as_contender(subject, group) != NULL) {
            subject_mark_dirty(subject);
        }
    }
}

static void answer_backend(pgk_ha *ha, struct ha_group *group)
{
    if (!group->revoke_pending || group->backend_group == NULL) {
        return;
    }
    group->revoke_pending = false;
    ha->ops->revoked(ha->backend, group->backend_group);
}

static void answer_if_all_revoked(pgk_ha *ha, struct ha_group *group)
{
    if (group->granted == 0) {
        answer_backend(ha, group);
    }
}

pgk_status group_attach(pgk_ha *ha, pgk_election *election, pgk_error *err)
{
    struct ha_group *group = election->group;

    if (group->contenders == 0) {
        struct backend_group *joined = NULL;
        pgk_status status =
            ha->ops->join(ha->backend, group->name, &group->tenure, group, &joined, err);

        if (status != PGK_OK) {
            return status;
        }
        group->backend_group = joined;
    }
    group->contenders++;
    election->attached = true;
    election->contending.name = election->component;
    if (ha->ops->attend != NULL) {
        ha->ops->attend(ha->backend, group->backend_group, &election->contending);
    }
    return PGK_OK;
}

/* Does another contender of this component go on? Then the record is its business. */
static bool has_successor(const pgk_ha *ha, const pgk_election *election)
{
    struct subject *subject;

    TAILQ_FOREACH (subject, &ha->subjects, link) {
        const pgk_election *other = as_contender(subject, election->group);

        if (other != NULL && other != election && subject->state == SUBJECT_STARTED &&
            strcmp(other->component, election->component) == 0) {
            return true;
        }
    }
    return false;
}

void group_withdraw(pgk_ha *ha, const pgk_election *election)
{
    struct ha_group *group = election->group;

    if (group->backend_group == NULL || !group->current.live || election->claimed[0] == '\0' ||
        pgk_uuid_compare(&election->claimed_by, &group->current.session_id) != 0 ||
        has_successor(ha, election)) {
        return;
    }
    ha->ops->withdraw(ha->backend, group->backend_group, election->component);
}

bool group_leads(const pgk_ha *ha, const pgk_uuid *session_id)
{
    const struct ha_group *group;

    TAILQ_FOREACH (group, &ha->groups, link) {
        if (group->current.live && pgk_uuid_compare(&group->current.session_id, session_id) == 0) {
            return true;
        }
    }
    return false;
}

static void end_current(pgk_ha *ha, struct ha_group *group)
{
    bool led = group->current.live;

    group->current.live = false;
    /* Without election all groups have the same session id. */
    if (led && !group_leads(ha, &group->current.session_id)) {
        async_tenure_over(ha, &group->current.session_id);
    }
}

void group_detach(pgk_ha *ha, pgk_election *election)
{
    struct ha_group *group = election->group;

    election->attached = false;
    if (ha->ops->depart != NULL) {
        ha->ops->depart(ha->backend, group->backend_group, &election->contending);
    }
    if (--group->contenders > 0) {
        group_withdraw(ha, election);
        return;
    }
    struct backend_group *left = group->backend_group;

    /* Nobody is left to be told, but a revoke whose callback closes the handle: it has begun at least. */
    answer_backend(ha, group);
    group->backend_group = NULL;
    ha->ops->leave(ha->backend, left);
    end_current(ha, group);
}

void group_revoked(pgk_ha *ha, struct ha_group *group)
{
    group->granted--;
    answer_if_all_revoked(ha, group);
}

static void on_tenure_began(void *ctx, void *group_ctx)
{
    pgk_ha *ha = ctx;
    struct ha_group *group = group_ctx;
    pgk_token token;

    /* Already over again: there is nothing to grant, and its end is on its way. */
    group->current.live = tenure_token(&group->tenure, &token);
    if (group->current.live) {
        group->current.session_id = token.session_id;
        group->current.epoch = token.epoch;
    }
    wake_contenders(ha, group);
}

static void on_tenure_ended(void *ctx, void *group_ctx, bool orderly)
{
    pgk_ha *ha = ctx;
    struct ha_group *group = group_ctx;

    end_current(ha, group);
    group->revoke_pending = orderly;
    wake_contenders(ha, group);
    answer_if_all_revoked(ha, group);
}

static void on_group_fault(void *ctx, void *group_ctx, const pgk_error *error)
{
    pgk_ha *ha = ctx;
    struct subject *subject;

    TAILQ_FOREACH (subject, &ha->subjects, link) {
        pgk_election *election = as_contender(subject, group_ctx);

        if (election == NULL || subject->state != SUBJECT_STARTED) {
            continue;
        }
        if (error == NULL) {
            /* It is over: the same one again will be news. One still to be told is told all the same. */
            election->fault_passed = election->fault_pending;
            election->told_fault = (pgk_error){.status = PGK_OK};
            continue;
        }
        election->fault_passed = false;
        election->fault = *error;
        election->fault_pending = true;
        subject_mark_dirty(subject);
    }
}

static void on_leader_seen(void *ctx, void *watch_ctx, int32_t leadership, const pgk_leader *leader)
{
    (void)ctx;
    retriever_see(watch_ctx, leadership, leader);
}

struct backend_sink group_sink(pgk_ha *ha)
{
    return (struct backend_sink){.ctx = ha,
                                 .tenure_began = on_tenure_began,
                                 .tenure_ended = on_tenure_ended,
                                 .group_fault = on_group_fault,
                                 .leader_seen = on_leader_seen,
                                 .graphs_reading = job_graphs_reading,
                                 .graphs_seen = job_graphs_seen};
}
