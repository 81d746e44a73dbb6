/*
 * tests/faults/test_server.c - what a database administrator and a crash do to the server under a leader:
 * sessions ended, restarts, a killed postmaster, a read-only server. After each: revoked within
 * milliseconds, sessions back, epochs rising, no two believers in `exclusive`, and the history tells the true reason.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "contest.h"

/* Revoked by the event, not by the lease (1000 ms) running out. */
#define AT_ONCE_MS 800
/* Options: each component is a group. */
#define EACH_ITS_OWN "--set", "leader-election.scope=component"

/* `a` leads, `b` waits. */
struct scene {
    struct fixture *fixture;
    struct process *all[2];
    const char *mode;
    int64_t epoch;
};

static void open_scene(struct scene *scene, void **state, const char *mode)
{
    char set[64];
    *scene = (struct scene){.fixture = *state, .mode = mode};
    snprintf(set, sizeof(set), "leader-election.take-over=%s", mode);
    scene->all[0] = contest_start(scene->fixture, "a", "--set", set, NULL);
    scene->epoch = contest_granted(scene->all[0]);
    scene->all[1] = contest_start(scene->fixture, "b", "--set", set, NULL);
    contest_ready(scene->fixture, "b");
}

static void revoked_at_once(struct process *leader, int64_t t0_ns)
{
    const char *line = process_expect(leader, "revoke ", WAIT_LONG_MS);
    assert_int_equal(line_number(line, "believes="), 0);
    assert_in_range((line_number(line, "at=") - t0_ns) / WAIT_NS_PER_MS, 0, AT_ONCE_MS);
}

/* What holds whatever happened. Nothing forbids two believers in `immediate`. */
static void check_laws(struct scene *scene)
{
    check_history(scene->fixture);
    check_alternates(scene->all[0]);
    check_alternates(scene->all[1]);
    if (strcmp(scene->mode, "exclusive") == 0) {
        check_beliefs(scene->fixture);
    }
}

/* Waits for a tenure after that of the scene that has published its address. */
static void led_again(struct scene *scene)
{
    db_wait(scene->fixture, "t", WAIT_LONG_MS,
            "SELECT EXISTS (SELECT FROM pgkeeper.stat_leaders"
            " WHERE epoch > %lld AND state = 'leading')",
            (long long)scene->epoch);
    scene->epoch = db_int(scene->fixture, "SELECT epoch FROM pgkeeper.leadership");
}

/* The standby's server process may outlive the leader's by a moment, and take over. */
#define RESTARTED "((terminated|lost|server_restarted),)?server_restarted"

/* As led_again, and both contend, and tenures have ended for these reasons; then all laws hold. */
static void settled(struct scene *scene, const char *reasons)
{
    led_again(scene);
    contest_believed(scene->fixture, scene->epoch);
    contest_ready(scene->fixture, "a");
    contest_ready(scene->fixture, "b");
    check_reasons_match(scene->fixture, "master", reasons);
    check_laws(scene);
}

static void terminate_leader(void **state, const char *mode)
{
    struct scene scene;
    open_scene(&scene, state, mode);
    int64_t pid = db_lock_pid(scene.fixture, "a");
    int64_t t0_ns = wait_now_ns();
    db_exec(scene.fixture, "SELECT pg_terminate_backend(%d)", (int)pid);
    revoked_at_once(scene.all[0], t0_ns);
    settled(&scene, "terminated");
}

static void test_server__lock_session_terminated_immediate__reason_is_known(void **state)
{
    terminate_leader(state, "immediate");
}

static void test_server__lock_session_terminated_exclusive__believers_never_overlap(void **state)
{
    terminate_leader(state, "exclusive");
}

static void test_server__only_contender_terminated__leads_again_by_itself(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", EXCLUSIVE, NULL);
    int64_t epoch = contest_granted(a);
    for (int i = 0; i < 3; i++) {
        db_exec(fixture, "SELECT pgkeeper.kick('" FIXTURE_CLUSTER "', 'dispatcher')");
        assert_int_equal(contest_revoked(a), epoch);
        int64_t next = contest_granted(a);
        assert_true(next > epoch);
        epoch = next;
    }
    check_reasons(fixture, "master", "kicked,kicked,kicked");
    check_history(fixture);
    check_alternates(a);
    contest_believed(fixture, epoch);
    check_beliefs(fixture);
}

static void test_server__every_session_terminated_again_and_again__election_goes_on(void **state)
{
    struct scene scene;
    open_scene(&scene, state, "exclusive");
    for (int i = 0; i < 4; i++) {
        db_exec(scene.fixture, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                               " WHERE application_name LIKE 'pgkeeper:%%'");
        led_again(&scene);
    }
    contest_believed(scene.fixture, scene.epoch);
    /* Lost: a session that ended before its process knew that it had taken over. */
    check_reasons_match(scene.fixture, "master", "(terminated|lost)(,(terminated|lost)){3,}");
    check_laws(&scene);
}

/* A process that leads one group and waits for another has all sessions that there are. */
static void test_server__sentinel_and_listener_terminated__no_change_of_leader(void **state)
{
    static const char there[] = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE"
                                " application_name LIKE 'pgkeeper:%%:sentinel:%%')";
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", EXCLUSIVE, EACH_ITS_OWN, NULL);
    int64_t epoch = contest_granted(a);
    struct process *b = contest_start(fixture, "b", EXCLUSIVE, EACH_ITS_OWN, "--component",
                                      "spinner", "--component", CONTEST_COMPONENT, NULL);
    contest_granted(b);
    db_wait(fixture, "t", WAIT_LONG_MS, there);
    db_exec(fixture, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                     " application_name LIKE 'pgkeeper:%%:sentinel:%%'"
                     " OR application_name LIKE 'pgkeeper:%%:listener:%%'");
    /* The standby watches again: it notices the kill. */
    db_wait(fixture, "t", WAIT_LONG_MS, there);
    assert_int_equal(process_count(a, "revoke ") + process_count(b, "revoke "), 0);
    check_reasons(fixture, CONTEST_COMPONENT, "");
    process_kill(a);
    assert_true(contest_granted(b) > epoch);
    check_reasons(fixture, CONTEST_COMPONENT, "lost");
    check_reasons(fixture, "spinner", "");
    check_history(fixture);
    check_alternates(b);
}

static void restart(void **state, enum pgserver_stop_mode how, const char *mode)
{
    struct scene scene;
    pgk_error err;
    open_scene(&scene, state, mode);
    int64_t t0_ns = wait_now_ns();
    assert_int_equal(pgserver_stop(scene.fixture->server, how, 0, &err), PGK_OK);
    revoked_at_once(scene.all[0], t0_ns);
    assert_int_equal(pgserver_start_again(scene.fixture->server, &err), PGK_OK);
    settled(&scene, RESTARTED);
}

static void test_server__fast_restart_immediate__election_goes_on(void **state)
{
    restart(state, PGSERVER_FAST, "immediate");
}

static void test_server__fast_restart_exclusive__believers_never_overlap(void **state)
{
    restart(state, PGSERVER_FAST, "exclusive");
}

static void test_server__immediate_restart__election_goes_on(void **state)
{
    restart(state, PGSERVER_IMMEDIATE, "exclusive");
}

static void test_server__postmaster_killed__election_goes_on(void **state)
{
    struct scene scene;
    pgk_error err;
    open_scene(&scene, state, "exclusive");
    assert_int_equal(pgserver_kill(scene.fixture->server, &err), PGK_OK);
    assert_int_equal(pgserver_start_again(scene.fixture->server, &err), PGK_OK);
    contest_revoked(scene.all[0]);
    settled(&scene, RESTARTED);
}

/* `b` has taken over from `a`, killed, but cannot enter its tenure: somebody holds the row. */
static PGconn *lead_unentered(struct scene *scene)
{
    PGconn *holder = db_connect(scene->fixture->conninfo);
    scene->all[0] = contest_start(scene->fixture, "a", NULL);
    scene->epoch = contest_granted(scene->all[0]);
    scene->all[1] = contest_start(scene->fixture, "b", "--no-confirm", NULL);
    contest_ready(scene->fixture, "b");
    PQclear(PQexec(holder, "BEGIN"));
    PQclear(PQexec(holder, "SELECT FROM pgkeeper.leadership FOR UPDATE"));
    assert_int_equal(PQtransactionStatus(holder), PQTRANS_INTRANS);
    process_kill(scene->all[0]);
    process_expect(scene->all[1], "grant ", WAIT_LONG_MS);
    assert_int_equal(db_int(scene->fixture, "SELECT epoch FROM pgkeeper.leadership"), scene->epoch);
    assert_int_equal(db_int(scene->fixture, "SELECT epoch FROM pgkeeper.tenure WHERE NOT entered"),
                     scene->epoch + 1);
    return holder;
}

static void check_fence(struct scene *scene, int64_t epoch, const char *sqlstate)
{
    assert_string_equal(db_try(scene->fixture,
                               "SELECT pgkeeper.fence(id, %lld) FROM pgkeeper.leadership",
                               (long long)epoch),
                        sqlstate);
}

/* Granted before it is durable: what a crash of the server forgets, it forgets for everybody. */
static void
test_server__crash_before_the_tenure_is_entered__neither_token_passes_again(void **state)
{
    struct scene scene = {.fixture = *state, .mode = "immediate"};
    pgk_error err;
    PGconn *holder = lead_unentered(&scene);
    check_fence(&scene, scene.epoch, "PK001");
    check_fence(&scene, scene.epoch + 1, "00000");
    process_stop(scene.all[1]); /* nobody takes over before we have looked */
    assert_int_equal(pgserver_kill(scene.fixture->server, &err), PGK_OK);
    assert_int_equal(pgserver_start_again(scene.fixture->server, &err), PGK_OK);
    PQfinish(holder);
    assert_int_equal(db_int(scene.fixture, "SELECT epoch FROM pgkeeper.leadership"), scene.epoch);
    check_fence(&scene, scene.epoch, "PK001");
    check_fence(&scene, scene.epoch + 1, "PK001");
    process_continue(scene.all[1]);
    assert_int_equal(contest_revoked(scene.all[1]), scene.epoch + 1);
    /* The number that was forgotten is not given out again. */
    const char *line = process_expect(scene.all[1], "grant ", WAIT_LONG_MS);
    char epoch[32];
    line_word(line, 3, epoch, sizeof(epoch));
    assert_int_equal(strtoll(epoch, NULL, 10), scene.epoch + 2);
    check_reasons_match(scene.fixture, "master", "server_restarted|lost");
    check_alternates(scene.all[1]);
}

static void test_server__tenure_cannot_be_entered__leads_and_is_entered_when_it_can(void **state)
{
    struct scene scene = {.fixture = *state, .mode = "immediate"};
    PGconn *holder = lead_unentered(&scene);
    wait_pause_ms(2500); /* longer than any time-out of a lease */
    assert_int_equal(process_count(scene.all[1], "revoke "), 0);
    /* It tries several times a second, and tells once. */
    assert_int_equal(process_count(scene.all[1], "warning leads master, but cannot enter"), 1);
    check_fence(&scene, scene.epoch + 1, "00000");
    PQfinish(holder);
    contest_ask(scene.all[1], "confirm somewhere", "confirmed dispatcher PGK_OK");
    assert_int_equal(db_int(scene.fixture, "SELECT epoch FROM pgkeeper.leadership"),
                     scene.epoch + 1);
    check_reasons(scene.fixture, "master", "lost");
    check_history(scene.fixture);
}

static void test_server__leader_dies_before_it_is_entered__successor_enters_both(void **state)
{
    struct scene scene = {.fixture = *state, .mode = "immediate"};
    PGconn *holder = lead_unentered(&scene);
    struct process *c = contest_start(scene.fixture, "c", NULL);
    process_kill(scene.all[1]);
    PQfinish(holder);
    assert_int_equal(contest_granted(c), scene.epoch + 2);
    check_reasons(scene.fixture, "master", "lost,lost");
    check_history(scene.fixture);
}

/* The postmaster ends all its children when one of them dies, and tells them why. */
static void test_server__backend_killed__crash_recovery_and_election_goes_on(void **state)
{
    struct scene scene;
    open_scene(&scene, state, "exclusive");
    int64_t pid = db_lock_pid(scene.fixture, "b");
    int64_t t0_ns = wait_now_ns();
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
    revoked_at_once(scene.all[0], t0_ns);
    settled(&scene, RESTARTED);
}

static void set_read_only(struct fixture *fixture, const char *change)
{
    db_exec(fixture, "%s", change);
    db_exec(fixture, "SELECT pg_reload_conf()");
}

/* Also when the test failed half way: others use the server. */
static int read_only_teardown(void **state)
{
    struct fixture *fixture = *state;
    set_read_only(fixture, "ALTER SYSTEM RESET default_transaction_read_only");
    return fixture_teardown(state);
}

/* Asks again when a starved server had no answer in time. */
static void confirms(struct process *contender, const char *status)
{
    char word[64];
    do {
        const char *line = contest_ask(contender, "confirm somewhere", "confirmed dispatcher ");
        line_word(line, 2, word, sizeof(word));
    } while (strcmp(word, "PGK_ERR_TIMEOUT") == 0);
    assert_string_equal(word, status);
}

static void test_server__read_only__no_change_of_leader_and_a_clear_status(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", "--no-confirm", EXCLUSIVE, NULL);
    process_expect(a, "grant ", WAIT_LONG_MS);
    struct process *b = contest_start(fixture, "b", EXCLUSIVE, NULL);
    contest_ready(fixture, "b");
    int64_t epoch = db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
    set_read_only(fixture, "ALTER SYSTEM SET default_transaction_read_only = on");
    db_wait(fixture, "on", WAIT_LONG_MS, "SHOW default_transaction_read_only");
    confirms(a, "PGK_ERR_READ_ONLY");
    wait_pause_ms(2500); /* longer than any time-out of a lease */
    assert_int_equal(process_count(a, "revoke "), 0);
    assert_int_equal(process_count(b, "grant "), 0);
    set_read_only(fixture, "ALTER SYSTEM RESET default_transaction_read_only");
    db_wait(fixture, "off", WAIT_LONG_MS, "SHOW default_transaction_read_only");
    confirms(a, "PGK_OK");
    assert_int_equal(db_int(fixture, "SELECT epoch FROM pgkeeper.leadership"), epoch);
    check_reasons(fixture, "master", "");
    check_history(fixture);
    check_alternates(a);
    check_beliefs(fixture);
}

static void test_server__leader_killed_while_read_only__standby_leads_when_it_ends(void **state)
{
    struct scene scene;
    open_scene(&scene, state, "exclusive");
    struct fixture *fixture = scene.fixture;
    char begun[64];
    set_read_only(fixture, "ALTER SYSTEM SET default_transaction_read_only = on");
    db_wait(fixture, "on", WAIT_LONG_MS, "SHOW default_transaction_read_only");
    /* A transaction that began before may still write: the standby waits in one for a while. */
    snprintf(begun, sizeof(begun), "%s", db_text(fixture, "SELECT clock_timestamp()"));
    db_wait(fixture, "t", WAIT_LONG_MS,
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE"
            " 'pgkeeper:%%:lock:%%' AND xact_start < timestamptz '%s' + interval '100 ms')"
            " AND clock_timestamp() > timestamptz '%s' + interval '100 ms'",
            begun, begun);
    process_kill(scene.all[0]);
    process_expect(scene.all[1], "error dispatcher PGK_ERR_READ_ONLY", WAIT_LONG_MS);
    assert_int_equal(process_count(scene.all[1], "grant "), 0);
    set_read_only(fixture, "ALTER SYSTEM RESET default_transaction_read_only");
    int64_t epoch = contest_granted(scene.all[1]);
    assert_true(epoch > scene.epoch);
    contest_believed(fixture, epoch);
    check_reasons(fixture, "master", "lost");
    check_laws(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_server__lock_session_terminated_immediate__reason_is_known),
        DB_TEST(test_server__lock_session_terminated_exclusive__believers_never_overlap),
        DB_TEST(test_server__only_contender_terminated__leads_again_by_itself),
        DB_TEST(test_server__every_session_terminated_again_and_again__election_goes_on),
        DB_TEST(test_server__sentinel_and_listener_terminated__no_change_of_leader),
        DB_TEST(test_server__fast_restart_immediate__election_goes_on),
        DB_TEST(test_server__fast_restart_exclusive__believers_never_overlap),
        DB_TEST(test_server__immediate_restart__election_goes_on),
        DB_TEST(test_server__postmaster_killed__election_goes_on),
        DB_TEST(test_server__crash_before_the_tenure_is_entered__neither_token_passes_again),
        DB_TEST(test_server__tenure_cannot_be_entered__leads_and_is_entered_when_it_can),
        DB_TEST(test_server__leader_dies_before_it_is_entered__successor_enters_both),
        DB_TEST(test_server__backend_killed__crash_recovery_and_election_goes_on),
        cmocka_unit_test_setup_teardown(
            test_server__read_only__no_change_of_leader_and_a_clear_status, fixture_setup,
            read_only_teardown),
        cmocka_unit_test_setup_teardown(
            test_server__leader_killed_while_read_only__standby_leads_when_it_ends, fixture_setup,
            read_only_teardown),
    };
    return cmocka_run_group_tests_name("server", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
