/* backend/postgres/rules.c - see rules.h. */
#include "backend/postgres/rules.h"

#include <assert.h>
#include <string.h>

#include "core/clock.h"
#include "core/random.h"

/* When the lock is held by one who is gone - another standby is taking over, or the server is still
 * cleaning up. */
#define BACKOFF_MIN_NS (20 * NS_PER_MS)
#define BACKOFF_MAX_NS (200 * NS_PER_MS)

static void wait_until(struct group_rules *rules, int64_t try_at_ns)
{
    rules->state = GROUP_WAITING;
    rules->try_at_ns = try_at_ns;
}

static int64_t backoff_ns(struct group_rules *rules)
{
    int64_t ns = BACKOFF_MIN_NS << (rules->backoff < 4 ? rules->backoff : 4);
    rules->backoff++;
    return random_between(BACKOFF_MIN_NS, ns < BACKOFF_MAX_NS ? ns : BACKOFF_MAX_NS);
}

void rules_try(struct group_rules *rules, const pgk_uuid *session_id)
{
    assert(rules->state == GROUP_WAITING);
    rules->state = GROUP_TRYING;
    rules->session_id = *session_id;
    rules->granted = false;
    rules->end_reason = NULL;
}

enum group_act rules_taken(struct group_rules *rules, int64_t now_ns, int64_t epoch,
                           int64_t wait_ns)
{
    assert(rules->state == GROUP_TRYING);
    rules->epoch = epoch;
    rules->leader = 0;
    rules->gone = 0;
    rules->backoff = 0;
    rules->state = GROUP_GRACE;
    rules->grant_at_ns = now_ns + wait_ns;
    return rules_tick(rules, now_ns);
}

static bool is_gone(const struct group_rules *rules, int32_t member, int64_t epoch)
{
    return member == 0 || (member == rules->gone && epoch <= rules->gone_epoch);
}

static void follow(struct group_rules *rules, int32_t member, int64_t epoch)
{
    rules->leader = member;
    rules->leader_epoch = epoch;
    rules->backoff = 0;
    wait_until(rules, CLOCK_NEVER);
}

void rules_busy(struct group_rules *rules, int64_t now_ns, int32_t holder, int64_t epoch)
{
    assert(rules->state == GROUP_TRYING);
    if (!is_gone(rules, holder, epoch)) {
        follow(rules, holder, epoch);
    } else {
        wait_until(rules, now_ns + backoff_ns(rules));
    }
}

void rules_reserved(struct group_rules *rules, int64_t now_ns, int64_t wait_ns)
{
    assert(rules->state == GROUP_TRYING);
    rules->leader = 0;
    wait_until(rules, now_ns + (wait_ns > BACKOFF_MIN_NS ? wait_ns : BACKOFF_MIN_NS));
}

static void row_while_waiting(struct group_rules *rules, int64_t now_ns, int32_t me,
                              const struct group_row *row)
{
    bool led = row->member != 0 && !row->released;
    bool news = row->member != me && row->epoch > rules->hurried_epoch;
    if (led && row->lock_free) {
        /* Lost or given up within its grace, by a process that may live on: watching it would be
         * waiting for ever. */
        if (rules->try_at_ns == CLOCK_NEVER) {
            rules->leader = 0;
            rules->try_at_ns = now_ns;
        }
    } else if (led && !is_gone(rules, row->member, row->epoch)) {
        follow(rules, row->member, row->epoch);
    } else if (!led && row->epoch >= rules->leader_epoch && (rules->leader != 0 || news)) {
        /* Released since we began to watch, or by another while we stand back from a tenure of our
         * own: go for it. A row that stays so does not hurry us again. */
        rules->hurried_epoch = row->epoch;
        rules->leader = 0;
        rules->try_at_ns = now_ns;
    }
}

enum group_act rules_row(struct group_rules *rules, int64_t now_ns, int32_t me,
                         const struct group_row *row)
{
    switch (rules->state) {
    case GROUP_WAITING:
        row_while_waiting(rules, now_ns, me, row);
        return ACT_NOTHING;
    case GROUP_GRACE:
    case GROUP_LEADING:
        if (row->epoch < rules->epoch) {
            return ACT_NOTHING; /* read before our take-over */
        }
        if (row->epoch > rules->epoch || row->released ||
            pgk_uuid_compare(&row->session_id, &rules->session_id) != 0) {
            return rules_fenced(rules);
        }
        if (row->handover_from == me && me != 0) {
            return rules_resign(rules, END_SWITCHOVER);
        }
        return ACT_NOTHING;
    default:
        return ACT_NOTHING;
    }
}

void rules_hint_released(struct group_rules *rules, int64_t now_ns)
{
    if (rules->state == GROUP_WAITING && rules->leader != 0) {
        rules->leader = 0;
        rules->try_at_ns = now_ns;
    }
}

void rules_member_gone(struct group_rules *rules, int64_t now_ns, int32_t member)
{
    if (rules->state == GROUP_WAITING && rules->leader == member) {
        rules->gone = member;
        rules->gone_epoch = rules->leader_epoch;
        rules->leader = 0;
        rules->try_at_ns = now_ns;
    }
}

enum group_act rules_tick(struct group_rules *rules, int64_t now_ns)
{
    if (rules->state != GROUP_GRACE || now_ns < rules->grant_at_ns) {
        return ACT_NOTHING;
    }
    rules->state = GROUP_LEADING;
    rules->granted = true;
    return ACT_GRANT;
}

enum group_act rules_resign(struct group_rules *rules, const char *reason)
{
    rules->end_reason = reason;
    if (rules->state == GROUP_GRACE) {
        rules->state = GROUP_RELEASING;
        return ACT_NOTHING;
    }
    assert(rules->state == GROUP_LEADING);
    rules->state = GROUP_REVOKING;
    return ACT_END_ORDERLY;
}

enum group_act rules_fenced(struct group_rules *rules)
{
    enum group_act act = rules->state == GROUP_LEADING ? ACT_END : ACT_NOTHING;
    rules->end_reason = END_FENCED;
    rules->state = GROUP_RELEASING;
    return act;
}

void rules_decline(struct group_rules *rules)
{
    if (rules->state == GROUP_GRACE || rules->state == GROUP_LEADING ||
        rules->state == GROUP_REVOKING) {
        rules->end_reason = END_RESIGNED;
        rules->state = GROUP_RELEASING;
    }
}

void rules_revoked(struct group_rules *rules)
{
    if (rules->state == GROUP_REVOKING) {
        rules->state = GROUP_RELEASING;
    }
}

void rules_released(struct group_rules *rules, int64_t now_ns, int64_t stand_back_ns)
{
    assert(rules->state == GROUP_RELEASING);
    wait_until(rules, now_ns + stand_back_ns);
}

enum group_act rules_session_lost(struct group_rules *rules, const char *reason)
{
    enum group_act act = rules->state == GROUP_LEADING ? ACT_END : ACT_NOTHING;
    /* A resignation that was under way has failed, or history knows better. Who was fenced was so by
     * hand, unless the lease had run out: then by a successor, whose write came to us first. */
    if (rules->end_reason == NULL || strcmp(rules->end_reason, END_FENCED) != 0 ||
        strcmp(reason, END_LEASE_EXPIRED) == 0) {
        rules->end_reason = reason;
    }
    rules->leader = 0;
    rules->gone = 0;
    wait_until(rules, CLOCK_NEVER);
    return act;
}

void rules_session_ready(struct group_rules *rules, int64_t now_ns)
{
    assert(rules->state == GROUP_WAITING);
    rules->leader = 0;
    rules->gone = 0;
    rules->backoff = 0;
    rules->try_at_ns = now_ns;
}

bool rules_holds(const struct group_rules *rules)
{
    return rules->state >= GROUP_GRACE;
}
