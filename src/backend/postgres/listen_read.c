/*
 * backend/postgres/listen_read.c - what sql/retrieval/read.sql has read: told to the rules and to the services, and
 * this process's own leader records put back where they are not as they should be.
 *
 * Keeper thread.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/keeper.h"
#include "core/clock.h"
#include "core/text.h"

#define ORIGIN "keeper.listener"

/* Columns of sql/retrieval/read.sql; MEMBER of a leader: the leadership that its epoch is of. */
enum { KIND, NAME, EPOCH, SESSION, MEMBER, RELEASED, HELD, HANDOVER_FROM, ADDRESS };

static const char *cell(const PGresult *rows, int row, int column)
{
    return PQgetisnull(rows, row, column) ? NULL : PQgetvalue(rows, row, column);
}

static int find_row(const PGresult *rows, const char *kind, const char *name)
{
    for (int row = 0; row < PQntuples(rows); row++) {
        if (strcmp(PQgetvalue(rows, row, KIND), kind) == 0 &&
            strcmp(PQgetvalue(rows, row, NAME), name) == 0) {
            return row;
        }
    }
    return -1;
}

/* An id from outside; nil when absent or odd. */
static pgk_uuid id_of(const PGresult *rows, int row)
{
    pgk_uuid id = {{0}};
    const char *text = cell(rows, row, SESSION);
    if (text != NULL) {
        (void)pgk_uuid_parse(text, &id, NULL);
    }
    return id;
}

static int32_t member_of(const PGresult *rows, int row, int column)
{
    const char *text = cell(rows, row, column);
    return text != NULL ? (int32_t)strtol(text, NULL, 10) : 0;
}

/* ------------------------------------------------------------------ each part, under the lock */

static void apply_group(struct backend *backend, struct backend_group *group, const PGresult *rows)
{
    int at = find_row(rows, "group", group->name);
    if (at < 0) {
        return;
    }
    struct group_row row = {.epoch = strtoll(PQgetvalue(rows, at, EPOCH), NULL, 10),
                            .session_id = id_of(rows, at),
                            .member = member_of(rows, at, MEMBER),
                            .released = PQgetvalue(rows, at, RELEASED)[0] == 't',
                            .lock_free = PQgetvalue(rows, at, HELD)[0] == 'f',
                            .handover_from = member_of(rows, at, HANDOVER_FROM)};
    if (group == backend->subject && backend->waiting && row.epoch > group->rules.leader_epoch) {
        /* Another standby has won what we wait for: the former leader may have led more. */
        groups_try_what_led(backend, group->rules.leader);
    }
    groups_act(backend, group, rules_row(&group->rules, clock_now_ns(), backend->member_id, &row));
}

/* Records of a living leader that somebody changed are put back; equal ones are never rewritten. */
static void keep_records(struct backend *backend, const struct backend_group *group,
                         const PGresult *rows)
{
    pgk_token token = {.session_id = group->rules.session_id,
                       .epoch = group->rules.epoch,
                       .leadership_id = group->leadership_id};
    for (const struct record *record = group->records; record != NULL; record = record->next) {
        int at = find_row(rows, "leader", record->component);
        if (!record->asked || group->rules.state != GROUP_LEADING) {
            continue;
        }
        const char *address = at >= 0 ? cell(rows, at, ADDRESS) : NULL;
        /* Not so either when the row has been given to another group. */
        const char *stands = at >= 0 ? cell(rows, at, HELD) : NULL;
        pgk_uuid id = {{0}};
        if (at >= 0) {
            id = id_of(rows, at);
        }
        if (address == NULL || strcmp(address, record->address) != 0 || stands == NULL ||
            stands[0] != 't' || pgk_uuid_compare(&id, &token.session_id) != 0 ||
            strtoll(PQgetvalue(rows, at, EPOCH), NULL, 10) != token.epoch) {
            log_line(&backend->settings->logger, PGK_LOG_WARNING, ORIGIN,
                     "the leader record of %s was changed by somebody else; putting it back",
                     record->component);
            errand_add(backend, STMT_CONFIRM, &token, 0, record->component, record->address);
        }
    }
}

static void apply_watch(struct backend *backend, struct backend_watch *watch, const PGresult *rows)
{
    int at = find_row(rows, "leader", watch->component);
    pgk_leader leader = {.epoch = 0};
    bool present = false;
    if (at >= 0 && cell(rows, at, ADDRESS) != NULL) {
        leader.session_id = id_of(rows, at);
        leader.epoch = strtoll(PQgetvalue(rows, at, EPOCH), NULL, 10);
        text_copy(leader.address, sizeof(leader.address), cell(rows, at, ADDRESS));
        const char *held = cell(rows, at, HELD);
        if (held == NULL || held[0] != 't') {
            watch->dead_session = leader.session_id;
        } else if (backend->looking_at_locks) {
            watch->dead_session = (pgk_uuid){{0}};
        }
        /* Without a look at the locks the last look counts. */
        present = !pgk_uuid_is_nil(&leader.session_id) &&
                  pgk_uuid_compare(&leader.session_id, &watch->dead_session) != 0;
    }
    backend->env.sink.leader_seen(backend->env.sink.ctx, watch->ctx,
                                  present ? member_of(rows, at, MEMBER) : 0,
                                  present ? &leader : NULL);
}

void listen_apply_groups(struct backend *backend, const PGresult *rows)
{
    for (struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        keep_records(backend, g, rows);
        apply_group(backend, g, rows);
    }
}

void listen_apply(struct backend *backend)
{
    const PGresult *rows = backend->listener.result;
    keeper_lock(backend);
    listen_apply_groups(backend, rows);
    for (struct backend_watch *w = backend->watches; w != NULL; w = w->next) {
        if (w->asked) {
            apply_watch(backend, w, rows);
        }
    }
    for (struct errand *e = backend->errands; backend->looking_at_locks && e != NULL; e = e->next) {
        e->resting = false;
    }
    keeper_unlock(backend);
    backend->lost_at_ns = 0;
    backend->told_lost = false;
    if (backend->looking_at_locks) {
        backend->poll_at_ns = clock_now_ns() + backend->settings->poll_interval_ms * NS_PER_MS;
    }
}
