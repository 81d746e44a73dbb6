/*
 * tests/lib/draw_rules_main.c - draws the states of one group in one process as a Mermaid diagram, by giving every event
 * of backend/postgres/rules.h to the rules in every state that may get it. For tests/lib/draw.sh; one thread.
 */
#include <stddef.h>
#include <stdio.h>

#include "backend/postgres/rules.h"

#define ME 1
#define NOW 1000
#define EPOCH 7

struct event {
    const char *words;
    unsigned states; /* in which it may come: bits 1 << GROUP_X */
    enum group_act (*give)(struct group_rules *rules);
};

#define IN(state) (1u << GROUP_##state)
#define ANYWHERE (~0u)

static const char *const names[] = {
    [GROUP_WAITING] = "WAITING", [GROUP_TRYING] = "TRYING",     [GROUP_GRACE] = "GRACE",
    [GROUP_LEADING] = "LEADING", [GROUP_REVOKING] = "REVOKING", [GROUP_RELEASING] = "RELEASING"};
static const char *const acts[] = {[ACT_NOTHING] = "",
                                   [ACT_GRANT] = " / grant",
                                   [ACT_END_ORDERLY] = " / revoke",
                                   [ACT_END] = " / revoke, over already"};

static enum group_act try_it(struct group_rules *rules)
{
    rules_try(rules, &rules->session_id);
    return ACT_NOTHING;
}

static enum group_act taken(struct group_rules *rules)
{
    return rules_taken(rules, NOW, EPOCH, 0);
}

static enum group_act taken_with_grace(struct group_rules *rules)
{
    return rules_taken(rules, NOW, EPOCH, 1);
}

static enum group_act busy(struct group_rules *rules)
{
    rules_busy(rules, NOW, ME + 1, EPOCH);
    return ACT_NOTHING;
}

static enum group_act reserved(struct group_rules *rules)
{
    rules_reserved(rules, NOW, 1);
    return ACT_NOTHING;
}

static enum group_act grace_over(struct group_rules *rules)
{
    return rules_tick(rules, NOW);
}

static enum group_act resign(struct group_rules *rules)
{
    return rules_resign(rules, END_RESIGNED);
}

static enum group_act asked_to_hand_over(struct group_rules *rules)
{
    const struct group_row row = {.epoch = EPOCH, .member = ME, .handover_from = ME};
    return rules_row(rules, NOW, ME, &row);
}

static enum group_act row_of_another(struct group_rules *rules)
{
    const struct group_row row = {.epoch = EPOCH + 1, .member = ME + 1};
    return rules_row(rules, NOW, ME, &row);
}

static enum group_act decline(struct group_rules *rules)
{
    rules_decline(rules);
    return ACT_NOTHING;
}

static enum group_act revoked(struct group_rules *rules)
{
    rules_revoked(rules);
    return ACT_NOTHING;
}

static enum group_act released(struct group_rules *rules)
{
    rules_released(rules, NOW, 0);
    return ACT_NOTHING;
}

static enum group_act session_lost(struct group_rules *rules)
{
    return rules_session_lost(rules, END_CONNECTION_LOST);
}

static const struct event events[] = {
    {"time to try", IN(WAITING), try_it},
    {"busy", IN(TRYING), busy},
    {"reserved for another", IN(TRYING), reserved},
    {"taken, no wait", IN(TRYING), taken},
    {"taken, grace to wait", IN(TRYING), taken_with_grace},
    {"grace is over", IN(GRACE), grace_over},
    {"resign", IN(GRACE) | IN(LEADING), resign},
    {"asked to hand over", ANYWHERE, asked_to_hand_over},
    {"fenced", IN(GRACE) | IN(LEADING), rules_fenced},
    {"another's tenure is seen", ANYWHERE, row_of_another},
    {"nobody contends any more", ANYWHERE, decline},
    {"revokes delivered", ANYWHERE, revoked},
    {"released", IN(RELEASING), released},
    {"session lost", ANYWHERE, session_lost},
};

int main(void)
{
    printf("stateDiagram-v2\n    [*] --> WAITING\n");
    for (int from = GROUP_WAITING; from <= GROUP_RELEASING; from++) {
        for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
            struct group_rules rules = {
                .state = (enum group_state)from, .epoch = EPOCH, .grant_at_ns = NOW};
            if ((events[i].states & 1u << from) == 0)
                continue;
            enum group_act act = events[i].give(&rules);
            if ((int)rules.state != from || act != ACT_NOTHING)
                printf("    %s --> %s: %s%s\n", names[from], names[rules.state], events[i].words,
                       acts[act]);
        }
    }
    return 0;
}
