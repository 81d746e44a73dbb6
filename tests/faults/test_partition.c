/*
 * tests/faults/test_partition.c - networks between a leader and its database that lose, delay and reset, played by
 * the proxy of testlib. Only the leader `a` goes through it; `b` and the test do not.
 */
#include "contest.h"

#define SESSION_TIMEOUT_MS 1500
#define GRACE_MS 1000
#define SLACK_MS 6000

/* `a` leads through the proxy, `b` waits beside it. */
struct scene {
    struct fixture *fixture;
    struct proxy *proxy;
    struct process *a;
    struct process *b;
    int64_t epoch;
};

static void open_scene(struct scene *scene, void **state, const char *mode)
{
    char conninfo[PGSERVER_CONNINFO_SIZE];
    char set[64];
    scene->fixture = *state;
    snprintf(set, sizeof(set), "leader-election.take-over=%s", mode);
    scene->proxy = fixture_proxy(scene->fixture, conninfo, sizeof(conninfo));
    scene->a = contest_start(scene->fixture, "a", "--conninfo", conninfo, "--write-conninfo",
                             scene->fixture->conninfo, "--set", set, NULL);
    scene->epoch = contest_granted(scene->a);
    scene->b = contest_start(scene->fixture, "b", "--set", set, NULL);
    contest_ready(scene->fixture, "b");
}

/* The leader is cut off; it must have stopped believing before the server lets anybody else lead. */
static void cut_and_heal(void **state, enum proxy_cut cut, const char *mode, int64_t grace_ms)
{
    struct scene scene;
    open_scene(&scene, state, mode);
    int64_t t0_ns = wait_now_ns();
    proxy_cut(scene.proxy, cut);
    assert_int_equal(contest_revoked(scene.a), scene.epoch);
    const char *line = process_expect(scene.b, "grant ", WAIT_LONG_MS);
    int64_t after_ms = (line_number(line, "at=") - t0_ns) / WAIT_NS_PER_MS;
    assert_in_range(after_ms, grace_ms + 500, SESSION_TIMEOUT_MS + grace_ms + SLACK_MS);
    check_beliefs(scene.fixture);
    contest_write(scene.a, "write", "PGK_ERR_FENCED");
    contest_write(scene.b, "write", "PGK_OK");
    proxy_cut(scene.proxy, PROXY_PASS);
    contest_ready(scene.fixture, "a");
    check_reasons(scene.fixture, "master", "lease_expired");
    contest_quit(scene.b);
    assert_true(contest_granted(scene.a) > scene.epoch);
    contest_quit(scene.a);
    check_reasons(scene.fixture, "master", "lease_expired,resigned,resigned");
    check_history(scene.fixture);
    check_alternates(scene.a);
    check_alternates(scene.b);
    check_beliefs(scene.fixture);
}

static void test_partition__cut_both_ways_immediate__leader_fences_itself_first(void **state)
{
    cut_and_heal(state, PROXY_CUT_BOTH, "immediate", 0);
}

static void test_partition__cut_both_ways_exclusive__leader_fences_itself_first(void **state)
{
    cut_and_heal(state, PROXY_CUT_BOTH, "exclusive", GRACE_MS);
}

static void test_partition__cut_to_server__leader_fences_itself_first(void **state)
{
    cut_and_heal(state, PROXY_CUT_TO_SERVER, "immediate", 0);
}

static void test_partition__cut_to_client__leader_fences_itself_first(void **state)
{
    cut_and_heal(state, PROXY_CUT_TO_CLIENT, "immediate", 0);
}

/* The grace is what keeps believers apart when the server frees the lock of a leader that cannot know. */
static void test_partition__cut_off_and_terminated_exclusive__believers_never_overlap(void **state)
{
    struct scene scene;
    open_scene(&scene, state, "exclusive");
    int64_t pid = db_lock_pid(scene.fixture, "a");
    proxy_cut(scene.proxy, PROXY_CUT_BOTH);
    db_exec(scene.fixture, "SELECT pg_terminate_backend(%d)", (int)pid);
    contest_revoked(scene.a);
    contest_believed(scene.fixture, contest_granted(scene.b));
    check_beliefs(scene.fixture);
    proxy_cut(scene.proxy, PROXY_PASS);
    contest_ready(scene.fixture, "a");
    check_reasons(scene.fixture, "master", "lease_expired");
    check_history(scene.fixture);
}

static void test_partition__connection_reset__revoked_at_once_with_that_reason(void **state)
{
    struct scene scene;
    open_scene(&scene, state, "immediate");
    int64_t t0_ns = wait_now_ns();
    proxy_refuse(scene.proxy, 1);
    proxy_reset_all(scene.proxy);
    const char *line = process_expect(scene.a, "revoke ", WAIT_LONG_MS);
    assert_in_range((line_number(line, "at=") - t0_ns) / WAIT_NS_PER_MS, 0, 600);
    assert_int_equal(line_number(line, "believes="), 0);
    assert_true(contest_granted(scene.b) > scene.epoch);
    process_expect(scene.a, "error dispatcher PGK_ERR_CONNECTION", WAIT_LONG_MS);
    proxy_refuse(scene.proxy, 0);
    contest_ready(scene.fixture, "a");
    check_reasons(scene.fixture, "master", "connection_lost");
    check_history(scene.fixture);
    check_alternates(scene.a);
}

static void test_partition__long_round_trips__no_change_of_leader(void **state)
{
    struct scene scene;
    open_scene(&scene, state, "immediate");
    proxy_delay(scene.proxy, 80);
    wait_pause_ms(3000);
    assert_int_equal(process_count(scene.a, "revoke "), 0);
    assert_int_equal(process_count(scene.b, "grant "), 0);
    assert_int_equal(db_int(scene.fixture, "SELECT epoch FROM pgkeeper.leadership"), scene.epoch);
    /* A confirmation takes its time and works. */
    contest_ask(scene.a, "confirm a", "confirmed dispatcher PGK_OK");
    check_reasons(scene.fixture, "master", "");
    check_history(scene.fixture);
}

static void test_partition__refused_for_a_while__retries_with_backoff(void **state)
{
    struct scene scene;
    open_scene(&scene, state, "immediate");
    size_t before = proxy_accepted(scene.proxy);
    proxy_refuse(scene.proxy, 1);
    proxy_reset_all(scene.proxy);
    contest_granted(scene.b);
    wait_pause_ms(1500);
    proxy_refuse(scene.proxy, 0);
    contest_ready(scene.fixture, "a");
    assert_in_range(proxy_accepted(scene.proxy) - before, 1, 6);
    contest_quit(scene.b);
    contest_granted(scene.a);
    check_reasons(scene.fixture, "master", "connection_lost,resigned");
    check_alternates(scene.a);
    check_history(scene.fixture);
}

static void test_partition__standby_cut_off__nobody_notices(void **state)
{
    struct scene scene;
    struct fixture *fixture = *state;
    char conninfo[PGSERVER_CONNINFO_SIZE];
    open_scene(&scene, state, "immediate");
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d dbname=%s user=%s",
             proxy_port(scene.proxy), fixture->database, PGSERVER_USER);
    contest_quit(scene.a);
    contest_granted(scene.b);
    struct process *c = contest_start(fixture, "c", "--conninfo", conninfo, NULL);
    contest_ready(fixture, "c");
    proxy_cut(scene.proxy, PROXY_CUT_BOTH);
    db_wait(
        fixture, "f", WAIT_LONG_MS,
        "SELECT EXISTS (SELECT FROM pgkeeper.stat_contenders WHERE member_name = 'c' AND alive)");
    /* A waiter that was cut off holds nothing back. */
    struct process *d = contest_start(fixture, "d", NULL);
    contest_ready(fixture, "d");
    contest_quit(scene.b);
    contest_granted(d);
    proxy_cut(scene.proxy, PROXY_PASS);
    contest_ready(fixture, "c");
    contest_quit(d);
    contest_granted(c);
    check_reasons(fixture, "master", "resigned,resigned,resigned");
    check_alternates(c);
    check_history(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_partition__cut_both_ways_immediate__leader_fences_itself_first),
        DB_TEST(test_partition__cut_both_ways_exclusive__leader_fences_itself_first),
        DB_TEST(test_partition__cut_to_server__leader_fences_itself_first),
        DB_TEST(test_partition__cut_to_client__leader_fences_itself_first),
        DB_TEST(test_partition__cut_off_and_terminated_exclusive__believers_never_overlap),
        DB_TEST(test_partition__connection_reset__revoked_at_once_with_that_reason),
        DB_TEST(test_partition__long_round_trips__no_change_of_leader),
        DB_TEST(test_partition__refused_for_a_while__retries_with_backoff),
        DB_TEST(test_partition__standby_cut_off__nobody_notices),
    };
    return cmocka_run_group_tests_name("partition", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
