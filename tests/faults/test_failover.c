/*
 * tests/faults/test_failover.c - a standby is promoted while masters know both hosts. The token's timeline rises, the
 * old primary is refused when it comes back, and nobody leads on a standby.
 */
#include "contest.h"
#include "standby_pair.h"

/* Waits until the standby has all that the primary has written. */
static void caught_up(struct standby_pair *pair)
{
    db_wait(pair->fixture, "t", WAIT_LONG_MS,
            "SELECT coalesce(bool_and(replay_lsn >= pg_current_wal_lsn()), false)"
            " FROM pg_stat_replication");
}

/* From now on the test's own connection is to the promoted server. */
static void promote(struct standby_pair *pair)
{
    pgk_error err;
    assert_int_equal(pgserver_promote(pair->standby, &err), PGK_OK);
    standby_pair_move(pair);
}

static void close_pair(struct standby_pair *pair)
{
    process_free_all();
    standby_pair_free(pair);
}

static int failover_teardown(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    process_free_all();
    standby_pair_left_over();
    if (pgserver_pid(fixture->server) == 0 &&
        pgserver_start_again(fixture->server, &err) != PGK_OK) {
        return -1;
    }
    return fixture_teardown(state);
}

static struct process *start_with(struct standby_pair *pair, const char *name)
{
    return contest_start(pair->fixture, name, "--conninfo", pair->both, EXCLUSIVE, NULL);
}

/* Waits for a tenure after that epoch that has published its address; returns its epoch. */
static int64_t led_after(struct fixture *fixture, int64_t epoch)
{
    db_wait(fixture, "leading", WAIT_LONG_MS,
            "SELECT state FROM pgkeeper.stat_leaders WHERE epoch > %lld", (long long)epoch);
    return db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
}

static void test_failover__standby_promoted__token_rises_and_old_primary_is_refused(void **state)
{
    struct standby_pair pair;
    pgk_error err;
    standby_pair_open(&pair, *state);
    struct fixture *fixture = pair.fixture;
    struct process *a = start_with(&pair, "a");
    int64_t epoch = contest_granted(a);
    assert_int_equal(epoch >> 40, 1);
    struct process *b = start_with(&pair, "b");
    contest_ready(fixture, "b");
    caught_up(&pair);
    assert_int_equal(pgserver_stop(fixture->server, PGSERVER_IMMEDIATE, 0, &err), PGK_OK);
    contest_revoked(a);
    promote(&pair);
    epoch = led_after(fixture, epoch);
    assert_int_equal(epoch >> 40, 2);
    contest_believed(fixture, epoch);
    check_reasons_match(fixture, "master", "promoted(,promoted)?");
    check_history(fixture);
    check_alternates(a);
    check_alternates(b);
    check_beliefs(fixture);
    /* The old primary comes back. A new master looks at both and takes the newer. */
    assert_int_equal(pgserver_start_again(fixture->server, &err), PGK_OK);
    struct process *c = start_with(&pair, "c");
    contest_ready(fixture, "c");
    db_exec(fixture, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                     " WHERE application_name LIKE 'pgkeeper:%%:lock:%%'");
    epoch = led_after(fixture, epoch);
    contest_ready(fixture, "a");
    contest_ready(fixture, "b");
    contest_ready(fixture, "c");
    /* One whose session comes later may have taken over in between. */
    check_reasons_match(fixture, "master", "promoted(,promoted)?(,(terminated|lost))+");
    /* The new one goes away: those who know it do not go back. */
    assert_int_equal(pgserver_stop(pair.standby, PGSERVER_FAST, 0, &err), PGK_OK);
    process_expect(a, "error dispatcher PGK_ERR_STALE_PRIMARY", WAIT_LONG_MS);
    process_expect(b, "error dispatcher PGK_ERR_STALE_PRIMARY", WAIT_LONG_MS);
    process_expect(c, "error dispatcher PGK_ERR_STALE_PRIMARY", WAIT_LONG_MS);
    assert_int_equal(pgserver_start_again(pair.standby, &err), PGK_OK);
    epoch = led_after(fixture, epoch);
    assert_int_equal(epoch >> 40, 2);
    contest_believed(fixture, epoch);
    check_reasons_match(fixture, "master",
                        "promoted(,promoted)?(,(terminated|lost))+(,server_restarted)+");
    check_history(fixture);
    check_alternates(a);
    check_alternates(b);
    check_alternates(c);
    check_beliefs(fixture);
    close_pair(&pair);
}

/* Both are primaries for a while: two databases. The token shows which is newer, and every new session goes there.
 * What keeps believers apart then is in test_durable.c. */
static void test_failover__old_primary_lives_on__new_sessions_go_to_the_newer(void **state)
{
    struct standby_pair pair;
    pgk_error err;
    standby_pair_open(&pair, *state);
    struct fixture *fixture = pair.fixture;
    struct process *a = start_with(&pair, "a");
    int64_t epoch = contest_granted(a);
    caught_up(&pair);
    PGconn *old = db_connect(fixture->conninfo);
    promote(&pair);
    struct process *b = start_with(&pair, "b");
    int64_t newer = contest_granted(b);
    assert_int_equal(newer >> 40, 2);
    assert_true(newer > epoch);
    /* The leader of the old one loses its session, and joins the others on the new one. */
    PQclear(PQexec(old, "SELECT pgkeeper.kick('" FIXTURE_CLUSTER "', 'master')"));
    PQfinish(old);
    contest_revoked(a);
    contest_ready(fixture, "a");
    contest_quit(b);
    assert_true(contest_granted(a) > newer);
    check_reasons(fixture, "master", "promoted,resigned");
    check_history(fixture);
    check_alternates(a);
    check_alternates(b);
    assert_int_equal(pgserver_restart(fixture->server, PGSERVER_FAST, &err), PGK_OK);
    assert_int_equal(process_count(a, "revoke "), 1);
    close_pair(&pair);
}

/* A server in recovery refuses to read tenure, which is unlogged; who asks there who leads is told what is logged. */
static void test_failover__views_on_a_standby__can_be_read(void **state)
{
    struct standby_pair pair;
    char conninfo[PGSERVER_CONNINFO_SIZE];
    standby_pair_open(&pair, *state);
    struct process *a = contest_start(pair.fixture, "a", NULL);
    contest_granted(a);
    caught_up(&pair);
    pgserver_conninfo_tcp(pair.standby, pair.fixture->database, conninfo, sizeof(conninfo));
    PGconn *conn = db_connect(conninfo);
    PGresult *result =
        PQexec(conn, "SELECT l.member_name, c.state FROM pgkeeper.stat_leaders l"
                     " JOIN pgkeeper.stat_contenders c USING (cluster_id, group_name)");
    assert_string_equal(PQresultErrorMessage(result), "");
    assert_string_equal(PQgetvalue(result, 0, 0), "a");
    assert_string_equal(PQgetvalue(result, 0, 1), "gone"); /* locks are not seen there */
    PQclear(result);
    PQfinish(conn);
    close_pair(&pair);
}

static void test_failover__only_a_standby__waits_with_a_clear_status(void **state)
{
    struct standby_pair pair;
    char conninfo[PGSERVER_CONNINFO_SIZE];
    standby_pair_open(&pair, *state);
    caught_up(&pair);
    pgserver_conninfo_tcp(pair.standby, pair.fixture->database, conninfo, sizeof(conninfo));
    struct process *a = contest_spawn(pair.fixture, "a", "--conninfo", conninfo, "--set",
                                      "high-availability.postgres.connect-timeout=700 ms", NULL);
    process_expect(a, "open - PGK_ERR_READ_ONLY", WAIT_LONG_MS);
    struct process *b =
        contest_spawn(pair.fixture, "b", "--conninfo", conninfo, "--set",
                      "high-availability.postgres.connect-timeout=60 s", EXCLUSIVE, NULL);
    promote(&pair);
    process_expect(b, "open - PGK_OK", WAIT_LONG_MS);
    int64_t epoch = contest_granted(b);
    assert_int_equal(epoch >> 40, 2);
    contest_believed(pair.fixture, epoch);
    check_reasons(pair.fixture, "master", "");
    check_history(pair.fixture);
    check_alternates(b);
    check_beliefs(pair.fixture);
    close_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_failover__standby_promoted__token_rises_and_old_primary_is_refused, fixture_setup,
            failover_teardown),
        cmocka_unit_test_setup_teardown(
            test_failover__old_primary_lives_on__new_sessions_go_to_the_newer, fixture_setup,
            failover_teardown),
        cmocka_unit_test_setup_teardown(test_failover__views_on_a_standby__can_be_read,
                                        fixture_setup, failover_teardown),
        cmocka_unit_test_setup_teardown(test_failover__only_a_standby__waits_with_a_clear_status,
                                        fixture_setup, failover_teardown),
    };
    return cmocka_run_group_tests_name("failover", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
