/*
 * tests/faults/test_operator.c - what the operator's verbs say where the server itself is the trouble: a standby, one that
 * has been promoted, a primary that has lost its synchronous standby; and that `migrate verify`, which doctor runs too,
 * leaves nothing behind on which the recovery from a crash would fail.
 */
#include <stdlib.h>
#include <string.h>

#include "contest.h"
#include "standby_pair.h"

static int operator_teardown(void **state)
{
    struct fixture *fixture = *state;
    process_free_all();
    standby_pair_left_over();
    unsetenv("PGTARGETSESSIONATTRS");
    commits_wait_for_none(fixture);
    return fixture_teardown(state);
}

/* Runs a verb with up to three words; it must end with `code` and say all of `said`, which ends with NULL. */
static void expect(const char *conninfo, int code, const char *const words[4],
                   const char *const said[])
{
    const char *const argv[] = {PGK_TEST_COMMAND,
                                "-d",
                                conninfo,
                                "--cluster",
                                FIXTURE_CLUSTER,
                                words[0],
                                words[1],
                                words[1] ? words[2] : NULL,
                                NULL};
    char *output = NULL;
    int got = process_run(argv, NULL, &output);
    if (got != code) {
        fail_msg("pgkeeper %s ended with %d, not %d: %s", words[0], got, code, output);
    }
    for (size_t i = 0; said[i] != NULL; i++) {
        if (strstr(output, said[i]) == NULL) {
            fail_msg("pgkeeper %s does not say \"%s\": %s", words[0], said[i], output);
        }
    }
    free(output);
}
#define WORDS(...) ((const char *const[4]){__VA_ARGS__})
#define SAYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *const check[] = {"status", "--check", NULL, NULL};
static const char *const doctor[] = {"doctor", "--format", "csv", NULL};
static const char *const top[] = {"top", "--once", NULL, NULL};
static const char *const metrics[] = {"metrics", NULL, NULL, NULL};

static void test_operator__standby__is_told_from_its_primary(void **state)
{
    struct standby_pair pair;
    char standby[PGSERVER_CONNINFO_SIZE];
    pgk_error err;
    standby_pair_open(&pair, *state);
    pgserver_conninfo(pair.standby, pair.fixture->database, standby, sizeof(standby));
    struct process *a = contest_start(pair.fixture, "a", NULL);
    int64_t epoch = contest_granted(a);
    db_wait(pair.fixture, "t", WAIT_LONG_MS,
            "SELECT coalesce(bool_and(replay_lsn >= pg_current_wal_lsn()), false)"
            " FROM pg_stat_replication");
    expect(pair.fixture->conninfo, 0, doctor,
           SAYS("\nrecovery,ok,\"primary, timeline 1\"", "\nreplication,warn,\"asynchronous, 1 "));
    /* The verbs want a primary. Those that say how things are look at a standby rather than at nothing. */
    expect(standby, 3, top, SAYS(""));
    expect(standby, 3, WORDS("leaders"), SAYS(""));
    expect(
        standby, 2, check,
        SAYS("CRITICAL: this server is in recovery: locks and leaders are those of its primary"));
    expect(standby, 0, WORDS("status"), SAYS("verdict     CRITICAL: this server is in recovery"));
    expect(standby, 1, doctor,
           SAYS("\nrecovery,fail,\"in recovery: a standby", "\ndrift,ok,", "\nleaders,fail,"));
    expect(standby, 0, metrics, SAYS("pgkeeper_server_in_recovery 1\n"));
    setenv("PGTARGETSESSIONATTRS", "any", 1);
    expect(standby, 0, top, SAYS("CRITICAL: this server is in recovery"));
    setenv("PGTARGETSESSIONATTRS", "primary", 1); /* who insists has it so */
    expect(standby, 2, check, SAYS("CRITICAL: the database cannot be reached"));
    expect(standby, 3, doctor, SAYS("\nconnection,fail,"));
    unsetenv("PGTARGETSESSIONATTRS");
    /* Promoted: a primary like any other, and the leader of before is not here. */
    assert_int_equal(pgserver_promote(pair.standby, &err), PGK_OK);
    expect(standby, 2, check, SAYS("CRITICAL: no leader of group \"master\""));
    expect(standby, 1, doctor,
           SAYS("\nrecovery,ok,\"primary, timeline 2\"", "\nleaders,fail,", "\ndrift,ok,"));
    expect(standby, 0, top, SAYS("CRITICAL: no leader of group \"master\""));
    expect(standby, 0, metrics,
           SAYS("pgkeeper_server_in_recovery 0\n",
                "pgkeeper_group_led{cluster=\"" FIXTURE_CLUSTER "\",group=\"master\"} 0\n"));
    assert_int_equal(db_int(pair.fixture, "SELECT epoch FROM pgkeeper.leadership"), epoch);
}

static void
test_operator__synchronous_standby_lost__doctor_says_so_and_waits_for_nothing(void **state)
{
    struct standby_pair pair;
    pgk_error err;
    standby_pair_open(&pair, *state);
    struct process *a = contest_start(pair.fixture, "a", NULL);
    contest_granted(a);
    commits_wait_for_standby(pair.fixture);
    expect(
        pair.fixture->conninfo, 0, doctor,
        SAYS("\nreplication,ok,\"synchronous_standby_names = '*', 1 of 1 standbys synchronous\""));
    assert_int_equal(pgserver_stop(pair.standby, PGSERVER_FAST, 0, &err), PGK_OK);
    db_wait(pair.fixture, "0", WAIT_LONG_MS, "SELECT count(*) FROM pg_stat_replication");
    expect(
        pair.fixture->conninfo, 1, doctor,
        SAYS("\nreplication,fail,\"synchronous_standby_names = '*', 0 of 0 standbys synchronous\","
             "\"every commit waits",
             "\ndrift,ok,"));
    /* The leader does not renew durably: it leads, and its commits wait. */
    expect(pair.fixture->conninfo, 1, check, SAYS("led by \"a\""));
    expect(pair.fixture->conninfo, 0, top, SAYS("led by \"a\""));
    assert_int_equal(pgserver_start_again(pair.standby, &err), PGK_OK);
    db_wait(pair.fixture, "sync", WAIT_LONG_MS, "SELECT sync_state FROM pg_stat_replication");
    expect(pair.fixture->conninfo, 0, doctor, SAYS("\nreplication,ok,"));
}

static void test_operator__crash_right_after_verify__server_recovers(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    for (int round = 0; round < 3; round++) {
        expect(fixture->conninfo, 0, WORDS("migrate", "verify"), SAYS(""));
        assert_int_equal(pgserver_stop(fixture->server, PGSERVER_IMMEDIATE, 0, &err), PGK_OK);
        if (pgserver_start_again(fixture->server, &err) != PGK_OK) {
            fail_msg("round %d: the server does not start: %s", round, err.message);
        }
    }
}

static struct fixture the_fixture;

/* With fsync, as doctor wants it. */
static int operator_group_setup(void **state)
{
    static const char *const settings[] = {"fsync=on", NULL};
    fixture_start(&the_fixture, settings);
    *state = &the_fixture;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_operator__standby__is_told_from_its_primary,
                                        fixture_setup, operator_teardown),
        cmocka_unit_test_setup_teardown(
            test_operator__synchronous_standby_lost__doctor_says_so_and_waits_for_nothing,
            fixture_setup, operator_teardown),
        cmocka_unit_test_setup_teardown(test_operator__crash_right_after_verify__server_recovers,
                                        fixture_setup, operator_teardown),
    };
    return cmocka_run_group_tests_name("operator", tests, operator_group_setup,
                                       fixture_group_teardown);
}
