/*
 * backend/postgres/sentinel.c - waits for the process that leads to be gone, in slices that are
 * short enough to hold back neither VACUUM nor anybody's CREATE INDEX CONCURRENTLY, and shorter
 * than deadlock_timeout so that nothing is logged. Holds nothing. Keeper thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "backend/postgres/keeper.h"
#include "core/clock.h"

#define LONGEST_SLICE_MS 900
/* Ending a session costs the server a millisecond or two of a processor: not while a take-over
 * wants it. */
#define LINGER_NS (50 * NS_PER_MS)

/* With several leaders, different processes watch different ones: the choice turns with our own id.
 * [lock] */
static int32_t choose_member(const struct backend *backend)
{
    int32_t chosen = 0;
    uint32_t best = UINT32_MAX;
    for (const struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (g->wanted && g->rules.state == GROUP_WAITING && g->rules.leader != 0) {
            uint32_t distance = (uint32_t)g->rules.leader - (uint32_t)backend->member_id;
            if (chosen == 0 || distance < best) {
                best = distance;
                chosen = g->rules.leader;
            }
        }
    }
    return chosen;
}

/* A leader is about to be known again: soon there will be somebody to watch. [lock] */
static bool waits(const struct backend *backend)
{
    for (const struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (g->wanted && !rules_holds(&g->rules)) {
            return !backend->closing;
        }
    }
    return false;
}

static int slice_ms(const struct backend *backend)
{
    int by_deadlock = backend->sentinel.link.deadlock_timeout_ms * 9 / 10;
    int slice = by_deadlock < LONGEST_SLICE_MS ? by_deadlock : LONGEST_SLICE_MS;
    return slice < 1 ? 1 : slice;
}

/* A slice has ended. Groups that nobody watches for us, or whose release we might have missed, are
 * tried. */
static void slice_ended(struct backend *backend, bool gone)
{
    int64_t now = clock_now_ns();
    backend->sentinel_until_ns = now + LINGER_NS;
    keeper_lock(backend);
    for (struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (gone) {
            rules_member_gone(&g->rules, now, backend->sentinel_member);
        } else if (g->rules.state == GROUP_WAITING && g->leadership_id != 0 &&
                   g->rules.try_at_ns == CLOCK_NEVER &&
                   (g->rules.leader != backend->sentinel_member || !backend->listening)) {
            g->rules.try_at_ns = now;
        }
    }
    keeper_unlock(backend);
}

static void send_slice(struct backend *backend)
{
    char member[16];
    char slice[16];
    const char *const params[2] = {member, slice};
    int ms = slice_ms(backend);
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
