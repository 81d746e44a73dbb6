/*
 * tests/postgres/test_waiting.c - a group whose row names a living process that does not hold its lock: the standbys must
 * not wait for that process.
 */
#include <string.h>

#include "contest.h"
#include "recorder.h"

static const char group[] = "thrift";

/* As if somebody had led it and been lost: an exclusive successor waits this long. */
static void lose_a_leader(struct fixture *fixture, int grace_ms)
{
    db_exec(fixture,
            "INSERT INTO pgkeeper.leadership (cluster_id, group_name, epoch, session_id, member_id,"
            " taken_at, grace_ms) VALUES ('" FIXTURE_CLUSTER
            "', '%s', 1, gen_random_uuid(), 999999,"
            " now(), %d)",
            group, grace_ms);
}

/* Notifications may be lost; here none is heard. */
static pgk_ha *open_exclusive(struct fixture *fixture, const char *name)
{
    return handle_open(fixture, name, "leader-election.take-over", "exclusive", "retrieval.mode",
                       "poll", NULL);
}

/* Waits until a member is in its grace; returns its id. */
static int64_t in_grace(struct fixture *fixture, const char *name)
{
    db_wait(fixture, "in grace", WAIT_LONG_MS,
            "SELECT state FROM pgkeeper.stat_contenders WHERE group_name = '%s' AND member_name ="
            " '%s'",
            group, name);
    return db_int(fixture, "SELECT id FROM pgkeeper.member WHERE name = '%s'", name);
}

static void contends(struct fixture *fixture, const char *name)
{
    db_wait(fixture, "standby", WAIT_LONG_MS,
            "SELECT state FROM pgkeeper.stat_contenders WHERE group_name = '%s' AND member_name ="
            " '%s'",
            group, name);
}

static void test_waiting__left_in_the_grace_by_a_process_that_lives_on__another_leads(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part stays = {0};
    struct part leaves = {0};
    struct part other = {0};
    pgk_ha *a = open_exclusive(fixture, "a");
    pgk_ha *b = open_exclusive(fixture, "b");
    lose_a_leader(fixture, 3000);
    part_contend(&stays, recorder, a, "dispatcher", NULL);
    part_granted(&stays);
    part_contend(&leaves, recorder, a, "spinner", group);
    in_grace(fixture, "a");
    part_contend(&other, recorder, b, "weaver", group);
    contends(fixture, "b");
    assert_int_equal(pgk_election_close(leaves.election, NULL), PGK_OK);
    part_granted(&other);
    assert_true(pgk_election_has_leadership(stays.election, &stays.session_id));
    handle_close(a);
    handle_close(b);
    part_free(&stays);
    part_free(&leaves);
    part_free(&other);
    recorder_free(recorder);
}

static void test_waiting__switched_over_in_the_grace__target_takes_over_in_the_window(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part from = {0};
    struct part to = {0};
    pgk_ha *a = open_exclusive(fixture, "a");
    pgk_ha *b = open_exclusive(fixture, "b");
    lose_a_leader(fixture, 8000);
    part_contend(&from, recorder, a, "spinner", group);
    in_grace(fixture, "a");
    part_contend(&to, recorder, b, "weaver", group);
    contends(fixture, "b");
    int64_t target = db_int(fixture, "SELECT id FROM pgkeeper.member WHERE name = 'b'");
    db_exec(fixture, "SELECT pgkeeper.request_handover('" FIXTURE_CLUSTER "', '%s', %lld, 10000)",
            group, (long long)target);
    db_wait(fixture, "b", 6000,
            "SELECT member_name FROM pgkeeper.leader_history WHERE ended_at IS NULL");
    handle_close(a);
    handle_close(b);
    part_free(&from);
    part_free(&to);
    recorder_free(recorder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_waiting__left_in_the_grace_by_a_process_that_lives_on__another_leads),
        DB_TEST(test_waiting__switched_over_in_the_grace__target_takes_over_in_the_window),
    };
    return cmocka_run_group_tests_name("waiting", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
