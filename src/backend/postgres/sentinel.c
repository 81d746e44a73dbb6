/*
 * backend/postgres/sentinel.c - for a process that leads some groups and waits for others, whose
 * lock session is busy with heartbeats: waits for the process that leads those to be gone, in slices
 * (see link_wait_slice_ms). Holds nothing. Keeper thread.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/postgres/keeper.h"
#include "core/clock.h"

/* Ending a session costs the server a millisecond or two of a processor: not while a take-over
 * wants it. */
#define LINGER_NS (50 * NS_PER_MS)

/* Only a process that leads something needs us: others wait on the lock session itself. [lock] */
static int32_t choose_member(const struct backend *backend)
{
    const struct backend_group *group = groups_followed(backend);
    return group != NULL && groups_hold_any(backend) ? group->rules.leader : 0;
}

/* A leader is about to be known again: soon there will be somebody to watch. [lock] */
static bool waits(const struct backend *backend)
{
    for (const struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (g->wanted && !rules_holds(&g->rules)) {
            return !backend->closing && groups_hold_any(backend);
        }
    }
    return false;
}

/* A slice has ended. Groups that nobody watches for us, or whose release we might have missed, are
 * tried. */
static void slice_ended(struct backend *backend, bool gone)
{
    int64_t now = clock_now_ns();
    backend->sentinel_until_ns = now + LINGER_NS;
    keeper_lock(backend);
    for (struct backend_group *g = backend->groups; gone && g != NULL; g = g->next) {
        rules_member_gone(&g->rules, now, backend->sentinel_member);
    }
    if (!gone) {
        groups_try_others(backend, backend->sentinel_member);
    }
    keeper_unlock(backend);
}

static void send_slice(struct backend *backend)
{
    char member[16];
    char slice[16];
    const char *const params[2] = {member, slice};
    int ms = link_wait_slice_ms(&backend->sentinel.link, INT_MAX);
    snprintf(member, sizeof(member), "%d", backend->sentinel_member);
    snprintf(slice, sizeof(slice), "%d", ms);
    int64_t limit = ms + backend->settings->profile.session_timeout_ms;
    session_send(&backend->sentinel, STMT_WATCH_MEMBER, params, clock_now_ns() + limit * NS_PER_MS);
}

void sentinel_step(struct backend *backend)
{
    struct session *session = &backend->sentinel;
    int64_t now = clock_now_ns();
    for (enum session_event event = session_step(session, now); event != SESSION_NOTHING;
         event = session_step(session, now)) {
        if (event == SESSION_RESULT && session->status == PGK_OK) {
            slice_ended(backend, PQgetvalue(session->result, 0, 0)[0] == 't');
        } else if (event == SESSION_RESULT) {
            session_drop(session, now, &session->error);
        }
        if (event == SESSION_LOST) {
            log_line(&backend->settings->logger, PGK_LOG_WARNING, "keeper.sentinel", "%s",
                     session->fault.message);
        }
    }
    keeper_lock(backend);
    int32_t member = backend->closing ? 0 : choose_member(backend);
    bool keep = waits(backend);
    keeper_unlock(backend);
    if (member == 0) {
        if (session->state == SESSION_IDLE && !keep && now >= backend->sentinel_until_ns) {
            session_close(session); /* no leader to watch, no session held */
        }
        return;
    }
    session_connect(session, now);
    if (session->state == SESSION_IDLE) {
        backend->sentinel_member = member;
        backend->sentinel_until_ns = CLOCK_NEVER;
        send_slice(backend);
    }
}

int64_t sentinel_next_ns(const struct backend *backend)
{
    bool watch = choose_member(backend) != 0 && !backend->closing;
    int64_t next = session_deadline_ns(&backend->sentinel, watch);
    if (!watch && backend->sentinel.state == SESSION_IDLE && !waits(backend) &&
        backend->sentinel_until_ns < next) {
        next = backend->sentinel_until_ns;
    }
    return next;
}
