/*
 * tests/faults/test_durable.c - synchronous replication with durable heartbeats: a leader whose primary has lost its
 * synchronous standby cannot renew its lease, although its session and its server live. So it has stopped
 * believing before anybody leads on the promoted standby.
 */
#include "contest.h"
#include "standby_pair.h"

/* A primary that waits for its standby with every commit. */
static void open_synchronous(struct standby_pair *pair, struct fixture *fixture)
{
    standby_pair_open(pair, fixture);
    commits_wait_for_standby(fixture);
}

static int durable_teardown(void **state)
{
    struct fixture *fixture = *state;
    process_free_all();
    standby_pair_left_over();
    commits_wait_for_none(fixture);
    return fixture_teardown(state);
}

static struct process *start_durable(struct standby_pair *pair, const char *name)
{
    return contest_start(pair->fixture, name, "--conninfo", pair->both, "--set",
                         "high-availability.postgres.durable-heartbeat=on", "--set",
                         "leader-election.take-over=exclusive", NULL);
}

/* Two contenders of which the first leads; returns its epoch. */
static int64_t start_two(struct standby_pair *pair, struct process *all[2])
{
    all[0] = start_durable(pair, "a");
    int64_t epoch = contest_granted(all[0]);
    all[1] = start_durable(pair, "b");
    contest_ready(pair->fixture, "b");
    return epoch;
}

static void test_durable__standby_gone__leader_cannot_renew_and_nobody_follows(void **state)
{
    struct standby_pair pair;
    struct process *all[2];
    pgk_error err;
    open_synchronous(&pair, *state);
    struct fixture *fixture = pair.fixture;
    int64_t epoch = start_two(&pair, all);
    wait_pause_ms(2500); /* it renews: longer than lease and session timeout */
    assert_int_equal(process_count(all[0], "revoke "), 0);
    assert_int_equal(pgserver_stop(pair.standby, PGSERVER_FAST, 0, &err), PGK_OK);
    assert_int_equal(contest_revoked(all[0]), epoch);
    wait_pause_ms(4000); /* longer than session timeout and grace */
    assert_int_equal(process_count(all[0], "grant ") + process_count(all[1], "grant "), 1);
    assert_int_equal(pgserver_start_again(pair.standby, &err), PGK_OK);
    db_wait(fixture, "leading", WAIT_LONG_MS,
            "SELECT state FROM pgkeeper.stat_leaders WHERE epoch > %lld", (long long)epoch);
    check_reasons(fixture, "master", "lease_expired");
    check_history(fixture);
    check_alternates(all[0]);
    check_alternates(all[1]);
    check_beliefs(fixture);
}

static void test_durable__promoted_while_the_primary_lives__believers_never_overlap(void **state)
{
    struct standby_pair pair;
    struct process *all[2];
    pgk_error err;
    open_synchronous(&pair, *state);
    struct fixture *fixture = pair.fixture;
    int64_t epoch = start_two(&pair, all);
    assert_int_equal(pgserver_promote(pair.standby, &err), PGK_OK);
    assert_int_equal(contest_revoked(all[0]), epoch); /* nobody has touched its session */
    standby_pair_move(&pair);
    db_wait(fixture, "leading", WAIT_LONG_MS,
            "SELECT state FROM pgkeeper.stat_leaders WHERE epoch > %lld", (long long)epoch);
    assert_int_equal(db_int(fixture, "SELECT epoch >> 40 FROM pgkeeper.leadership"), 2);
    /* The one is what the former leader knows, the other what its successor sees; the first to write stays. */
    check_reasons_match(fixture, "master", "lease_expired|promoted");
    check_history(fixture);
    check_alternates(all[0]);
    check_alternates(all[1]);
    check_beliefs(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_durable__standby_gone__leader_cannot_renew_and_nobody_follows, fixture_setup,
            durable_teardown),
        cmocka_unit_test_setup_teardown(
            test_durable__promoted_while_the_primary_lives__believers_never_overlap, fixture_setup,
            durable_teardown),
    };
    return cmocka_run_group_tests_name("durable", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
