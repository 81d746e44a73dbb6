/*
 * Elections and retrieval of the embedded mode: handles of one process that share a cluster id. No server.
 */
#include <pgkeeper/pgkeeper.h>

#include <stdio.h>
#include <stdlib.h>

#include "inproc.h"
#include "services/handle.h"

#define COMPONENT PGK_COMPONENT_DISPATCHER

static struct member *join(const char *cluster_id, const char *address)
{
    struct member *member = member_new(inproc_open("embedded", cluster_id, NULL));
    if (address != NULL) {
        actor_confirms(&member->a[0], address);
    }
    actor_contend(&member->a[0], member->ha, COMPONENT, NULL);
    return member;
}

/* How many of them are granted now. */
static int count_leaders(struct member *const *members, int count)
{
    int leaders = 0;
    for (int i = 0; i < count; i++) {
        leaders += members[i] != NULL && actor_leads(&members[i]->a[0]);
    }
    return leaders;
}

/* ------------------------------------------------------------------ the queue */

#define CONTENDERS 10

static void test_elections__ten_closed_one_after_the_other__each_leads_once(void **state)
{
    (void)state;
    struct member *members[CONTENDERS];
    int64_t epoch = 0;
    pgk_uuid session_ids[CONTENDERS];
    for (int i = 0; i < CONTENDERS; i++) {
        members[i] = join("ten", NULL);
    }
    for (int i = 0; i < CONTENDERS; i++) {
        ACTOR_WAIT(&members[i]->a[0], TAPE_GRANT, 1);
        struct tape_event grant = actor_last(&members[i]->a[0], TAPE_GRANT);
        assert_true(grant.epoch > epoch);
        epoch = grant.epoch;
        session_ids[i] = grant.session_id;
        for (int j = 0; j < i; j++) {
            assert_int_not_equal(pgk_uuid_compare(&session_ids[j], &session_ids[i]), 0);
        }
        assert_int_equal(count_leaders(members + i, CONTENDERS - i), 1);
        /* Now and then a handle is closed instead, with the election in it. */
        if (i % 3 == 0) {
            assert_int_equal(pgk_ha_close(members[i]->ha, NULL), PGK_OK);
        } else {
            assert_int_equal(pgk_election_close(members[i]->a[0].election, NULL), PGK_OK);
        }
        assert_int_equal(actor_count(&members[i]->a[0], TAPE_REVOKE), 1);
    }
    for (int i = 0; i < CONTENDERS; i++) {
        assert_int_equal(actor_count(&members[i]->a[0], TAPE_GRANT), 1);
        member_free(members[i]);
    }
}

static void test_elections__resigned__leads_again_after_all_others(void **state)
{
    (void)state;
    struct member *members[] = {join("resign", NULL), join("resign", NULL), join("resign", NULL)};
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 3; i++) {
            ACTOR_WAIT(&members[i]->a[0], TAPE_GRANT, round);
            assert_int_equal(pgk_election_resign(members[i]->a[0].election, NULL), PGK_OK);
            ACTOR_WAIT(&members[i]->a[0], TAPE_REVOKE, round);
        }
    }
    for (int i = 0; i < 3; i++) {
        member_free(members[i]);
    }
}

static void test_elections__resigned_alone__leads_again_in_a_new_tenure(void **state)
{
    (void)state;
    struct member *member = join("alone", NULL);
    struct actor *a = &member->a[0];
    ACTOR_WAIT(a, TAPE_GRANT, 1);
    struct tape_event first = actor_last(a, TAPE_GRANT);
    assert_int_equal(pgk_election_resign(a->election, NULL), PGK_OK);
    assert_false(pgk_election_has_leadership(a->election, &first.session_id));
    ACTOR_WAIT(a, TAPE_GRANT, 2);
    struct tape_event second = actor_last(a, TAPE_GRANT);
    assert_int_not_equal(pgk_uuid_compare(&first.session_id, &second.session_id), 0);
    assert_true(second.epoch > first.epoch);
    member_free(member);
}

/* Epochs rise for as long as a handle is there, also when nobody contends meanwhile. */
static void test_elections__nobody_contends_meanwhile__epochs_rise_all_the_same(void **state)
{
    (void)state;
    struct member *idle = member_new(inproc_open("embedded", "epochs", NULL));
    int64_t epoch = 0;
    for (int round = 0; round < 5; round++) {
        struct member *member = join("epochs", NULL);
        ACTOR_WAIT(&member->a[0], TAPE_GRANT, 1);
        struct tape_event grant = actor_last(&member->a[0], TAPE_GRANT);
        assert_true(grant.epoch > epoch);
        epoch = grant.epoch;
        member_free(member);
    }
    member_free(idle);
}

static atomic_bool let_go;

static void hold(struct actor *actor)
{
    (void)actor;
    while (!atomic_load(&let_go)) {
        wait_pause_ms(1);
    }
}

static void *close_election(void *user)
{
    pgk_election_close(((struct actor *)user)->election, NULL);
    return NULL;
}

static void *resign(void *user)
{
    pgk_election_resign(((struct actor *)user)->election, NULL);
    return NULL;
}

/* A successor leads when the revoke of its predecessor has returned, not before. */
static void expect_nobody_leads_meanwhile(void *(*leave)(void *user))
{
    pthread_t leaver;
    struct member *first = member_new(inproc_open("embedded", "revoking", NULL));
    atomic_store(&let_go, false);
    first->a[0].hook = hold;
    first->a[0].hook_kind = TAPE_REVOKE;
    actor_contend(&first->a[0], first->ha, COMPONENT, NULL);
    struct member *second = join("revoking", NULL);
    ACTOR_WAIT(&first->a[0], TAPE_GRANT, 1);
    assert_int_equal(pthread_create(&leaver, NULL, leave, &first->a[0]), 0);
    ACTOR_WAIT(&first->a[0], TAPE_REVOKE, 1);
    wait_pause_ms(30);
    assert_int_equal(actor_count(&second->a[0], TAPE_GRANT), 0);
    assert_false(actor_leads(&second->a[0]));
    atomic_store(&let_go, true);
    ACTOR_WAIT(&second->a[0], TAPE_GRANT, 1);
    pthread_join(leaver, NULL);
    member_free(first);
    member_free(second);
}

static void test_elections__revoke_callback_runs__nobody_leads_yet(void **state)
{
    (void)state;
    expect_nobody_leads_meanwhile(close_election);
    expect_nobody_leads_meanwhile(resign);
}

/* Whose turn it is leaves before its keeper has come to it: the turn is the next one's. */
static void test_elections__left_before_it_led__the_next_one_leads(void **state)
{
    (void)state;
    struct member *first = member_new(inproc_open("embedded", "passed", NULL));
    struct tenure tenure = {0};
    struct backend_group *group = NULL;
    pgk_ha *ha = first->ha;
    pthread_mutex_lock(&ha->lock); /* its keeper can do nothing */
    assert_int_equal(ha->ops->join(ha->backend, "master", &tenure, NULL, &group, NULL), PGK_OK);
    struct member *second = join("passed", NULL);
    wait_pause_ms(20);
    assert_int_equal(actor_count(&second->a[0], TAPE_GRANT), 0);
    ha->ops->leave(ha->backend, group);
    pthread_mutex_unlock(&ha->lock);
    ACTOR_WAIT(&second->a[0], TAPE_GRANT, 1);
    member_free(first);
    member_free(second);
}

/* ------------------------------------------------------------------ replacement */

#define SLOTS 3
#define ROUNDS 30
#define REPLACEMENTS (ROUNDS * SLOTS)

/* What a follower was told: epochs never fall, and the address is that of the epoch. */
static void check_follower(struct actor *follower, char addresses[][32])
{
    int64_t epoch = 0;
    struct tape *tape = follower->tape;
    pthread_mutex_lock(&tape->lock);
    for (int i = 0; i < tape->length; i++) {
        if (tape->events[i].kind == TAPE_LEADER) {
            assert_true(tape->events[i].epoch >= epoch);
            epoch = tape->events[i].epoch;
            assert_string_equal(tape->events[i].text, addresses[epoch]);
        }
    }
    pthread_mutex_unlock(&tape->lock);
}

static bool follows(struct actor *follower, const struct actor *leader)
{
    pgk_leader seen;
    return pgk_retriever_get(follower->retriever, &seen, NULL) == PGK_OK &&
           strcmp(seen.address, leader->user) == 0;
}

static struct actor *leader_of(struct member *const *members)
{
    for (int i = 0; i < SLOTS; i++) {
        if (actor_leads(&members[i]->a[0])) {
            return &members[i]->a[0];
        }
    }
    return NULL;
}

/* Each round all three masters, mostly the leader first, are replaced one by one by new ones with new addresses. */
static void
test_elections__slots_are_replaced__there_is_a_leader_and_never_an_old_address(void **state)
{
    (void)state;
    /* By epoch, which counts the tenures of this cluster from 1: at most one more in each round. */
    static char by_epoch[REPLACEMENTS + 2][32];
    static char names[REPLACEMENTS + SLOTS][32];
    int replaced[SLOTS] = {0};
    struct member *members[SLOTS];
    struct member *follower = member_new(inproc_open_client("embedded", "slots", NULL));
    actor_follow(&follower->a[0], follower->ha, COMPONENT);
    for (int i = 0; i < SLOTS + REPLACEMENTS; i++) {
        snprintf(names[i], sizeof(names[i]), "http://master-%d", i);
    }
    for (int i = 0; i < SLOTS; i++) {
        members[i] = join("slots", names[i]);
    }
    int slot = 0;
    for (int number = 0; number < REPLACEMENTS; number++) {
        struct actor *leader = NULL;
        WAIT_UNTIL((leader = leader_of(members)) != NULL && follows(&follower->a[0], leader),
                   WAIT_LONG_MS);
        struct tape_event grant = actor_last(leader, TAPE_GRANT);
        assert_in_range(grant.epoch, 1, REPLACEMENTS + 1);
        snprintf(by_epoch[grant.epoch], sizeof(by_epoch[0]), "%s", (const char *)leader->user);
        slot = (slot + 1) % SLOTS;
        for (int i = 0; i < SLOTS && number % SLOTS == 0 && number % 4 != 0; i++) {
            slot = leader == &members[i]->a[0] ? i : slot;
        }
        member_free(members[slot]);
        members[slot] = join("slots", names[SLOTS + number]);
        replaced[slot]++;
    }
    struct actor *leader = NULL;
    WAIT_UNTIL((leader = leader_of(members)) != NULL && follows(&follower->a[0], leader),
               WAIT_LONG_MS);
    int64_t epoch = actor_last(leader, TAPE_GRANT).epoch;
    assert_in_range(epoch, ROUNDS + 1, REPLACEMENTS + 1); /* each round has replaced the leader */
    snprintf(by_epoch[epoch], sizeof(by_epoch[0]), "%s", (const char *)leader->user);
    check_follower(&follower->a[0], by_epoch);
    for (int i = 0; i < SLOTS; i++) {
        assert_int_equal(replaced[i], ROUNDS);
        member_free(members[i]);
    }
    WAIT_UNTIL(actor_count(&follower->a[0], TAPE_NO_LEADER) > 0, WAIT_LONG_MS);
    member_free(follower);
}

/* ------------------------------------------------------------------ groups */

static void test_elections__process_scope__all_components_have_one_tenure(void **state)
{
    (void)state;
    struct member *first = join("process", NULL);
    struct member *second = member_new(inproc_open("embedded", "process", NULL));
    ACTOR_WAIT(&first->a[0], TAPE_GRANT, 1);
    actor_contend(&second->a[0], second->ha, PGK_COMPONENT_RESOURCE_MANAGER, NULL);
    actor_contend(&first->a[1], first->ha, PGK_COMPONENT_RESOURCE_MANAGER, NULL);
    ACTOR_WAIT(&first->a[1], TAPE_GRANT, 1);
    struct tape_event one = actor_last(&first->a[0], TAPE_GRANT);
    struct tape_event other = actor_last(&first->a[1], TAPE_GRANT);
    assert_int_equal(one.epoch, other.epoch);
    assert_int_equal(pgk_uuid_compare(&one.session_id, &other.session_id), 0);
    /* One of the two leaves: the other goes on leading. */
    assert_int_equal(pgk_election_close(first->a[0].election, NULL), PGK_OK);
    assert_true(actor_leads(&first->a[1]));
    assert_int_equal(actor_count(&second->a[0], TAPE_GRANT), 0);
    assert_int_equal(pgk_election_close(first->a[1].election, NULL), PGK_OK);
    ACTOR_WAIT(&second->a[0], TAPE_GRANT, 1);
    member_free(first);
    member_free(second);
}

static void test_elections__component_scope__each_is_led_for_itself(void **state)
{
    (void)state;
    struct member *members[2];
    for (int i = 0; i < 2; i++) {
        members[i] = member_new(
            inproc_open("embedded", "scope", "leader-election.scope", "component", NULL));
    }
    actor_contend(&members[0]->a[0], members[0]->ha, "x", NULL);
    actor_contend(&members[1]->a[0], members[1]->ha, "y", NULL);
    actor_contend(&members[0]->a[1], members[0]->ha, "y", NULL);
    actor_contend(&members[1]->a[1], members[1]->ha, "x", NULL);
    ACTOR_WAIT(&members[0]->a[0], TAPE_GRANT, 1);
    ACTOR_WAIT(&members[1]->a[0], TAPE_GRANT, 1);
    assert_int_equal(pgk_election_close(members[0]->a[0].election, NULL), PGK_OK);
    ACTOR_WAIT(&members[1]->a[1], TAPE_GRANT, 1);
    assert_int_equal(actor_count(&members[1]->a[0], TAPE_REVOKE), 0);
    assert_int_equal(actor_count(&members[0]->a[1], TAPE_GRANT), 0);
    member_free(members[0]);
    member_free(members[1]);
}

static void test_elections__other_cluster_id__has_its_own_leader(void **state)
{
    (void)state;
    struct member *first = join("left", "left");
    struct member *second = join("right", "right");
    ACTOR_WAIT(&first->a[0], TAPE_GRANT, 1);
    ACTOR_WAIT(&second->a[0], TAPE_GRANT, 1);
    actor_follow(&first->a[1], first->ha, COMPONENT);
    ACTOR_WAIT(&first->a[1], TAPE_LEADER, 1);
    assert_string_equal(actor_last(&first->a[1], TAPE_LEADER).text, "left");
    member_free(first);
    member_free(second);
}

/* ------------------------------------------------------------------ addresses */

static void test_confirm__old_session__is_fenced_and_changes_nothing(void **state)
{
    (void)state;
    struct member *member = join("stale", "now");
    struct actor *a = &member->a[0];
    pgk_error err;
    pgk_leader seen;
    ACTOR_WAIT(a, TAPE_GRANT, 1);
    pgk_uuid old = actor_last(a, TAPE_GRANT).session_id;
    actor_follow(&member->a[1], member->ha, COMPONENT);
    ACTOR_WAIT(&member->a[1], TAPE_LEADER, 1);
    assert_int_equal(pgk_election_resign(a->election, &err), PGK_OK);
    ACTOR_WAIT(a, TAPE_GRANT, 2);
    assert_int_equal(pgk_election_confirm(a->election, &old, "then", &err), PGK_ERR_FENCED);
    WAIT_UNTIL(pgk_retriever_get(member->a[1].retriever, &seen, NULL) == PGK_OK &&
                   pgk_uuid_compare(&seen.session_id, &old) != 0,
               WAIT_LONG_MS);
    assert_string_equal(seen.address, "now");
    pgk_uuid present = actor_last(a, TAPE_GRANT).session_id;
    assert_int_equal(pgk_election_confirm(a->election, &present, "now", &err), PGK_OK);
    assert_int_equal(pgk_election_confirm(a->election, &present, "elsewhere", &err),
                     PGK_ERR_ILLEGAL_STATE);
    member_free(member);
}

static void test_confirm__component_of_another_group__conflicts_while_that_leads(void **state)
{
    (void)state;
    struct member *first = member_new(inproc_open("embedded", "groups", NULL));
    struct member *second = member_new(inproc_open("embedded", "groups", NULL));
    actor_contend(&first->a[0], first->ha, COMPONENT, "one");
    actor_contend(&second->a[0], second->ha, COMPONENT, "two");
    ACTOR_WAIT(&first->a[0], TAPE_GRANT, 1);
    ACTOR_WAIT(&second->a[0], TAPE_GRANT, 1);
    pgk_uuid one = actor_last(&first->a[0], TAPE_GRANT).session_id;
    pgk_uuid two = actor_last(&second->a[0], TAPE_GRANT).session_id;
    assert_int_equal(pgk_election_confirm(first->a[0].election, &one, "one", NULL), PGK_OK);
    assert_int_equal(pgk_election_confirm(second->a[0].election, &two, "two", NULL),
                     PGK_ERR_CONFLICT);
    assert_int_equal(pgk_election_close(first->a[0].election, NULL), PGK_OK);
    assert_int_equal(pgk_election_confirm(second->a[0].election, &two, "two", NULL), PGK_OK);
    member_free(first);
    member_free(second);
}

static void test_retrieval__started_late__announces_the_present_leader(void **state)
{
    (void)state;
    struct member *member = join("late", "here");
    ACTOR_WAIT(&member->a[0], TAPE_GRANT, 1);
    struct member *client = member_new(inproc_open_client("embedded", "late", NULL));
    actor_follow(&client->a[0], client->ha, COMPONENT);
    actor_follow(&client->a[1], client->ha, "nobody's");
    ACTOR_WAIT(&client->a[0], TAPE_LEADER, 1);
    assert_string_equal(actor_last(&client->a[0], TAPE_LEADER).text, "here");
    assert_int_equal(pgk_election_close(member->a[0].election, NULL), PGK_OK);
    ACTOR_WAIT(&client->a[0], TAPE_NO_LEADER, 1);
    assert_int_equal(actor_count(&client->a[1], TAPE_LEADER), 0);
    assert_int_equal(actor_count(&client->a[1], TAPE_NO_LEADER), 0);
    member_free(member);
    member_free(client);
}

static void test_election__token__names_epoch_and_leadership(void **state)
{
    (void)state;
    struct member *member = join("token", NULL);
    pgk_token token;
    ACTOR_WAIT(&member->a[0], TAPE_GRANT, 1);
    assert_int_equal(pgk_election_token(member->a[0].election, &token, NULL), PGK_OK);
    assert_int_equal(token.epoch, 1);
    assert_int_not_equal(token.leadership_id, 0);
    assert_string_equal(token.epoch_text, "0.1");
    /* No lease runs out. */
    assert_int_equal(pgk_election_deadline_ns(member->a[0].election, &token.session_id), INT64_MAX);
    member_free(member);
}

static void test_handle__dispatched_by_hand__elects_as_well(void **state)
{
    (void)state;
    struct member *member =
        member_new(inproc_open("embedded", "manual", "dispatch", "manual", NULL));
    actor_contend(&member->a[0], member->ha, COMPONENT, NULL);
    assert_true(pgk_ha_fd(member->ha) >= 0);
    WAIT_UNTIL(pgk_ha_dispatch(member->ha, NULL) == PGK_OK &&
                   actor_count(&member->a[0], TAPE_GRANT) == 1,
               WAIT_LONG_MS);
    member_free(member);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elections__ten_closed_one_after_the_other__each_leads_once),
        cmocka_unit_test(test_elections__resigned__leads_again_after_all_others),
        cmocka_unit_test(test_elections__resigned_alone__leads_again_in_a_new_tenure),
        cmocka_unit_test(test_elections__nobody_contends_meanwhile__epochs_rise_all_the_same),
        cmocka_unit_test(test_elections__revoke_callback_runs__nobody_leads_yet),
        cmocka_unit_test(test_elections__left_before_it_led__the_next_one_leads),
        cmocka_unit_test(
            test_elections__slots_are_replaced__there_is_a_leader_and_never_an_old_address),
        cmocka_unit_test(test_elections__process_scope__all_components_have_one_tenure),
        cmocka_unit_test(test_elections__component_scope__each_is_led_for_itself),
        cmocka_unit_test(test_elections__other_cluster_id__has_its_own_leader),
        cmocka_unit_test(test_confirm__old_session__is_fenced_and_changes_nothing),
        cmocka_unit_test(test_confirm__component_of_another_group__conflicts_while_that_leads),
        cmocka_unit_test(test_retrieval__started_late__announces_the_present_leader),
        cmocka_unit_test(test_election__token__names_epoch_and_leadership),
        cmocka_unit_test(test_handle__dispatched_by_hand__elects_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
