/*
 * backend/postgres/groups.c - the groups that this process contends for: their tenures begin and end
 * here, by the rules' acts; and why a tenure was lost is kept until it can be reported.
 *
 * Keeper thread, under the lock.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "backend/postgres/keeper.h"
#include "core/clock.h"
#include "core/text.h"

#define ORIGIN "keeper.lock"

/* ------------------------------------------------------------------ reports */

void report_later(struct backend *backend, const struct backend_group *group, const char *detail)
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

void reports_forget(struct backend *backend)
{
    while (backend->reports != NULL) {
        struct report *report = backend->reports;
        backend->reports = report->next;
        free(report);
    }
}

void reports_pop(struct backend *backend)
{
    struct report *report = backend->reports;
    backend->reports = report->next;
    free(report);
}

/* ------------------------------------------------------------------ tenures */

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

void groups_act(struct backend *backend, struct backend_group *group, enum group_act act)
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

bool groups_busy(const struct backend *backend)
{
    for (const struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (g->rules.state == GROUP_TRYING || rules_holds(&g->rules) || g->announcement != NULL) {
            return true;
        }
    }
    return false;
}

bool groups_hold_any(const struct backend *backend)
{
    for (const struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (rules_holds(&g->rules)) {
            return true;
        }
    }
    return false;
}

/* With several leaders, different processes choose different ones: the choice turns with our own id. */
struct backend_group *groups_followed(const struct backend *backend)
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

void groups_try_others(struct backend *backend, int32_t member)
{
    for (struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (g->rules.state == GROUP_WAITING && g->leadership_id != 0 &&
            g->rules.try_at_ns == CLOCK_NEVER &&
            (g->rules.leader != member || !backend->listening)) {
            g->rules.try_at_ns = clock_now_ns();
        }
    }
}

void groups_try_what_led(struct backend *backend, int32_t member)
{
    for (struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (g->rules.leader == member) {
            rules_hint_released(&g->rules, clock_now_ns());
        }
    }
}

void groups_sweep(struct backend *backend)
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
