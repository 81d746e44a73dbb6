/* tests/lib/stage.c - what the tests of the services start from; see the header. */
#include "stage.h"

#include <stdatomic.h>
#include <string.h>

static const char *const names[STAGE_ACTORS] = {"a", "b", "c", "d"};
const char *const stage_manual[] = {"dispatch", "manual", NULL};

void stage_open(struct stage *stage, const char *const *pairs)
{
    memset(stage, 0, sizeof(*stage));
    tape_init(&stage->tape);
    stage->ha = script_open(pairs, false);
    stage->backend = script_of(stage->ha);
    for (int i = 0; i < STAGE_ACTORS; i++) {
        stage->a[i].tape = &stage->tape;
        stage->a[i].name = names[i];
        stage->a[i].ha = stage->ha;
        stage->a[i].user = stage;
    }
}

void stage_close(struct stage *stage)
{
    pgk_ha_free(stage->ha);
    for (int i = 0; i < STAGE_ACTORS; i++) {
        pgk_election_free(stage->a[i].election);
        pgk_retriever_free(stage->a[i].retriever);
        assert_int_equal(actor_count(&stage->a[i], TAPE_GRANT),
                         actor_count(&stage->a[i], TAPE_REVOKE));
    }
    assert_string_equal(tape_breach(&stage->tape), "");
    /* The last reference may be the notifier's, when the handle was freed in a callback. */
    WAIT_UNTIL(script_last_counts().freed == 1, WAIT_LONG_MS);
    assert_int_equal(script_last_counts().closed, 1);
    tape_destroy(&stage->tape);
}

void stage_contend(struct stage *stage, int actor)
{
    struct actor *who = &stage->a[actor];
    pgk_contender contender = actor_contender(who);
    pgk_error err;
    assert_int_equal(pgk_ha_election(stage->ha, who->name, &who->election, &err), PGK_OK);
    assert_int_equal(pgk_election_start(who->election, &contender, &err), PGK_OK);
}

void stage_follow(struct stage *stage, int actor, const char *component)
{
    struct actor *who = &stage->a[actor];
    pgk_error err;
    assert_int_equal(pgk_ha_retriever(stage->ha, component, &who->retriever, &err), PGK_OK);
    assert_int_equal(pgk_retriever_start(who->retriever, actor_leader, who, &err), PGK_OK);
}

void stage_lead(struct stage *stage)
{
    assert_true(script_begin(stage->backend, "master", STAGE_LEASE_MS, NULL));
}

static atomic_bool holding;

void stage_wait_for_release(struct actor *actor)
{
    (void)actor;
    while (atomic_load(&holding)) {
        wait_pause_ms(1);
    }
}

void stage_hold(void)
{
    atomic_store(&holding, true);
}

void stage_release(void)
{
    atomic_store(&holding, false);
}

void stage_expect(struct stage *stage, const char *order)
{
    char text[4096];
    tape_text(&stage->tape, text, sizeof(text));
    assert_string_equal(text, order);
}
