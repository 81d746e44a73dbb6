/*
 * tests/postgres/test_sentinel.c - where a standby waits: on its lock session while it leads nothing, with a
 * sentinel session when it leads something else.
 */
#include "contest.h"
#include "recorder.h"

#define WAITING "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

static void test_sentinel__three_standbys_that_lead_nothing__wait_for_the_lock_itself(void **state)
{
    struct fixture *fixture = *state;
    struct process *leader = contest_start(fixture, "a", NULL);
    contest_granted(leader);
    contest_start(fixture, "b", NULL);
    contest_start(fixture, "c", NULL);
    contest_start(fixture, "d", NULL);
    db_wait(fixture, "3", WAIT_LONG_MS, WAITING);
    assert_int_equal(db_sessions(fixture, "sentinel"), 0);
}

static void test_sentinel__leads_another_group__takes_over_from_a_session_that_died(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part mine = {0};
    struct part theirs = {0};
    struct part waits = {0};
    pgk_ha *a = handle_open(fixture, "a", NULL);
    pgk_ha *b = handle_open(fixture, "b", NULL);
    part_contend(&mine, recorder, a, "spinner", "spinning");
    part_granted(&mine);
    part_contend(&theirs, recorder, b, "weaver", "weaving");
    int64_t former = part_granted(&theirs);
    part_contend(&waits, recorder, a, "weaver", "weaving");
    db_wait(fixture, "watch_member", WAIT_LONG_MS,
            "SELECT substring(query FROM 'watch_member') FROM pg_stat_activity WHERE "
            "application_name LIKE"
            " 'pgkeeper:%%:sentinel:%%' AND state = 'active'");
    db_exec(fixture,
            "SELECT pg_terminate_backend(m.backend_pid) FROM pgkeeper.member m WHERE m.name = 'b'");
    assert_true(part_granted(&waits) > former);
    WAIT_UNTIL(recorder_count(recorder, "revoke") == 1, WAIT_LONG_MS);
    assert_true(pgk_election_has_leadership(mine.election, &mine.session_id));
    handle_close(a);
    handle_close(b);
    part_free(&mine);
    part_free(&theirs);
    part_free(&waits);
    recorder_free(recorder);
}

/* A wait must not hold up a group that the process joins meanwhile: without being ended early it would cost these rounds
 * nine seconds on average, half a wait each. */
static void test_sentinel__waits_for_one_group__joins_and_leads_others_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part led = {0};
    struct part waits = {0};
    pgk_ha *a = handle_open(fixture, "a", NULL);
    pgk_ha *b = handle_open(fixture, "b", "high-availability.postgres.profile", "wan", NULL);
    part_contend(&led, recorder, a, "weaver", "weaving");
    part_granted(&led);
    part_contend(&waits, recorder, b, "weaver", "weaving");
    int64_t took_ns = 0;
    for (int round = 0; round < 20; round++) {
        char name[32];
        struct part joins = {0};
        snprintf(name, sizeof(name), "spinner-%d", round);
        db_wait(fixture, "1", WAIT_LONG_MS, WAITING);
        int64_t t0_ns = wait_now_ns();
        part_contend(&joins, recorder, b, name, name);
        part_granted(&joins);
        took_ns += wait_now_ns() - t0_ns;
        assert_int_equal(pgk_election_close(joins.election, NULL), PGK_OK);
        part_free(&joins);
    }
    assert_true(took_ns < 4500 * WAIT_NS_PER_MS);
    handle_close(a);
    handle_close(b);
    part_free(&led);
    part_free(&waits);
    recorder_free(recorder);
}

/* The announcement follows the grant on the session that the lease rests on: it must not end the tenure. */
static void test_sentinel__audit_table_locked__leads_all_the_same(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part part = {0};
    PGconn *locker = PQconnectdb(fixture->conninfo);
    PQclear(PQexec(locker, "BEGIN; LOCK TABLE pgkeeper.event IN SHARE MODE"));
    pgk_ha *a = handle_open(fixture, "a", NULL);
    part_contend(&part, recorder, a, "dispatcher", NULL);
    part_granted(&part);
    db_wait(
        fixture, "t", WAIT_LONG_MS,
        "SELECT query LIKE '%%pg_backend_pid()%%' FROM pg_stat_activity WHERE application_name LIKE"
        " 'pgkeeper:%%:lock:%%'"); /* heartbeats again: it has given up */
    assert_true(pgk_election_has_leadership(part.election, &part.session_id));
    assert_int_equal(recorder_count(recorder, "revoke"), 0);
    PQfinish(locker);
    handle_close(a);
    part_free(&part);
    recorder_free(recorder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_sentinel__three_standbys_that_lead_nothing__wait_for_the_lock_itself),
        DB_TEST(test_sentinel__leads_another_group__takes_over_from_a_session_that_died),
        DB_TEST(test_sentinel__audit_table_locked__leads_all_the_same),
        DB_TEST(test_sentinel__waits_for_one_group__joins_and_leads_others_at_once),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
