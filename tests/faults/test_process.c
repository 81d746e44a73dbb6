/*
 * tests/faults/test_process.c - leaders that are killed or stopped, as processes, in both take-over modes.
 * Nothing here is about the network or the server, which stay up.
 */
#include <stdlib.h>
#include <string.h>

#include "contest.h"

/* Of the default profile. */
#define GRACE_MS 1000
#define SESSION_TIMEOUT_MS 1500
/* What a loaded machine may add to any of them. */
#define SLACK_MS 5000

#ifdef PGK_TEST_SANITIZED
#define ROUNDS 4
#else
#define ROUNDS 9
#endif

/* Milliseconds from t0 to the next grant of a contender. */
static int64_t granted_after_ms(struct process *contender, int64_t t0_ns)
{
    const char *line = process_expect(contender, "grant ", WAIT_LONG_MS);
    int64_t at_ns = line_number(line, "at=");
    process_expect(contender, "confirmed ", WAIT_LONG_MS);
    return (at_ns - t0_ns) / WAIT_NS_PER_MS;
}

static void test_process__leader_killed_immediate__standby_leads_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    struct process *b = contest_start(fixture, "b", NULL);
    contest_ready(fixture, "b");
    db_wait(fixture, "a", WAIT_LONG_MS, "SELECT address FROM pgkeeper.leader");
    int64_t t0_ns = wait_now_ns();
    process_kill(a);
    /* A millisecond when quiet; a poll of the lock or the session timeout would be seen here. */
    assert_in_range(granted_after_ms(b, t0_ns), 0, 800);
    db_wait(fixture, "b", WAIT_LONG_MS, "SELECT address FROM pgkeeper.leader");
    check_reasons(fixture, "master", "lost");
    check_history(fixture);
    check_alternates(b);
    contest_quit(b);
    check_reasons(fixture, "master", "lost,resigned");
}

static void test_process__leader_killed_exclusive__standby_waits_the_grace(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", EXCLUSIVE, NULL);
    contest_granted(a);
    struct process *b = contest_start(fixture, "b", EXCLUSIVE, NULL);
    contest_ready(fixture, "b");
    int64_t t0_ns = wait_now_ns();
    process_kill(a);
    assert_in_range(granted_after_ms(b, t0_ns), GRACE_MS, GRACE_MS + SLACK_MS);
    check_history(fixture);
    check_beliefs(fixture);
    /* After a clean end there is nothing to wait for. */
    struct process *c = contest_start(fixture, "c", EXCLUSIVE, NULL);
    contest_ready(fixture, "c");
    t0_ns = wait_now_ns();
    process_send(b, "quit");
    assert_in_range(granted_after_ms(c, t0_ns), 0, GRACE_MS - 200);
    process_wait(b, WAIT_LONG_MS);
    check_reasons(fixture, "master", "lost,resigned");
    check_beliefs(fixture);
    check_alternates(b);
    check_alternates(c);
}

static void test_process__process_exits_without_closing__standby_leads(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    struct process *b = contest_start(fixture, "b", NULL);
    contest_ready(fixture, "b");
    process_send(a, "exit");
    contest_granted(b);
    process_wait(a, WAIT_LONG_MS);
    check_reasons(fixture, "master", "lost");
    check_history(fixture);
    check_alternates(b);
}

/* A leader is stopped for longer than the session timeout and runs again. */
static void stop_and_resume(struct fixture *fixture, const char *mode, int64_t earliest_ms)
{
    char set[64];
    snprintf(set, sizeof(set), "leader-election.take-over=%s", mode);
    struct process *a = contest_start(fixture, "a", "--set", set, NULL);
    int64_t epoch = contest_granted(a);
    struct process *b = contest_start(fixture, "b", "--set", set, NULL);
    contest_ready(fixture, "b");
    int64_t t0_ns = wait_now_ns();
    process_stop(a);
    assert_in_range(granted_after_ms(b, t0_ns), earliest_ms, SESSION_TIMEOUT_MS + SLACK_MS);
    /* The server freed the lock although the process holds its socket open. */
    contest_resume(a);
    assert_int_equal(contest_revoked(a), epoch);
    contest_write(a, "write", "PGK_ERR_FENCED");
    contest_write(b, "write", "PGK_OK");
    check_reasons(fixture, "master", "lease_expired");
    check_history(fixture);
    check_beliefs(fixture);
    /* It is a standby like any other now. */
    contest_ready(fixture, "a");
    contest_quit(b);
    assert_true(contest_granted(a) > epoch);
    contest_quit(a);
    check_reasons(fixture, "master", "lease_expired,resigned,resigned");
    check_alternates(a);
    check_alternates(b);
    check_beliefs(fixture);
}

static void test_process__leader_stopped_immediate__does_not_lead_when_it_runs_again(void **state)
{
    stop_and_resume(*state, "immediate", 700);
}

static void test_process__leader_stopped_exclusive__does_not_lead_when_it_runs_again(void **state)
{
    stop_and_resume(*state, "exclusive", 700 + GRACE_MS);
}

static void test_process__stopped_for_less_than_the_lease__goes_on_leading(void **state)
{
    struct fixture *fixture = *state;
    /* A lease long enough that no load of the machine ends it in the time of the stop. */
    struct process *a =
        contest_start(fixture, "a", "--set", "high-availability.postgres.profile=wan", NULL);
    contest_granted(a);
    process_stop(a);
    wait_pause_ms(400);
    process_continue(a);
    const char *line = contest_ask(a, "status", "status ");
    char word[16];
    line_word(line, 2, word, sizeof(word));
    assert_string_equal(word, "1");
    contest_write(a, "write", "PGK_OK");
    assert_int_equal(process_count(a, "revoke "), 0);
    check_reasons(fixture, "master", "");
}

/* The server drops the session of a stopped leader: the one case in which only the grace keeps believers apart. */
static int64_t stop_and_terminate(struct fixture *fixture, const char *mode)
{
    char set[64];
    snprintf(set, sizeof(set), "leader-election.take-over=%s", mode);
    struct process *a = contest_start(fixture, "a", "--set", set, NULL);
    contest_granted(a);
    struct process *b = contest_start(fixture, "b", "--set", set, NULL);
    contest_ready(fixture, "b");
    int64_t pid = db_lock_pid(fixture, "a");
    process_stop(a);
    int64_t t0_ns = wait_now_ns();
    db_exec(fixture, "SELECT pg_terminate_backend(%d)", (int)pid);
    int64_t after_ms = granted_after_ms(b, t0_ns);
    contest_believed(fixture, db_int(fixture, "SELECT epoch FROM pgkeeper.leadership"));
    process_continue(a);
    contest_revoked(a);
    contest_write(a, "write", "PGK_ERR_FENCED");
    check_reasons(fixture, "master", "terminated");
    check_history(fixture);
    check_alternates(a);
    return after_ms;
}

static void test_process__stopped_and_terminated_exclusive__believers_never_overlap(void **state)
{
    struct fixture *fixture = *state;
    assert_in_range(stop_and_terminate(fixture, "exclusive"), GRACE_MS, GRACE_MS + SLACK_MS);
    check_beliefs(fixture);
}

/* Says what `immediate` does not promise, and that the book of beliefs can see an overlap at all. */
static void test_process__stopped_and_terminated_immediate__overlap_is_fenced(void **state)
{
    struct fixture *fixture = *state;
    if (stop_and_terminate(fixture, "immediate") < 300) {
        assert_true(belief_count_overlaps(fixture->book) > 0);
    }
}

/* Why the tenure ends: each is the only thing that happens to it. */
static const char *const reason_of[] = {"lost", "lease_expired", "kicked"};

static void disturb(struct fixture *fixture, struct process **leader, int kind, int round)
{
    char name[32];
    switch (kind) {
    case 0:
        process_kill(*leader);
        process_free(*leader);
        snprintf(name, sizeof(name), "r%d", round);
        *leader = contest_start(fixture, name, EXCLUSIVE, NULL);
        break;
    case 1:
        process_stop(*leader);
        break;
    default:
        process_stop(*leader);
        db_exec(fixture, "SELECT pgkeeper.kick('" FIXTURE_CLUSTER "', 'master')");
        break;
    }
}

static void test_process__random_kills_and_stops_exclusive__believers_never_overlap(void **state)
{
    struct fixture *fixture = *state;
    struct process *all[3];
    static const char *const names[3] = {"a", "b", "c"};
    char reasons[ROUNDS * 16] = "";
    unsigned int seed = (unsigned int)wait_now_ns();
    fprintf(stderr, "seed %u\n", seed);
    for (int i = 0; i < 3; i++) {
        all[i] = contest_start(fixture, names[i], EXCLUSIVE, NULL);
        contest_ready(fixture, names[i]);
    }
    int64_t epoch = 0;
    for (int round = 0; round < ROUNDS; round++) {
        db_wait(
            fixture, "leading", WAIT_LONG_MS,
            "SELECT state FROM pgkeeper.stat_leaders WHERE epoch > %lld AND address IS NOT NULL",
            (long long)epoch);
        epoch = db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
        db_text(fixture, "SELECT member_name FROM pgkeeper.stat_leaders");
        int at = 0;
        while (at < 3 && strcmp(all[at]->name, fixture->text) != 0) {
            at++;
        }
        assert_true(at < 3);
        int kind = rand_r(&seed) % 3;
        disturb(fixture, &all[at], kind, round);
        size_t length = strlen(reasons);
        snprintf(reasons + length, sizeof(reasons) - length, "%s%s", round > 0 ? "," : "",
                 reason_of[kind]);
        if (kind != 0) {
            db_wait(fixture, "t", WAIT_LONG_MS, "SELECT epoch > %lld FROM pgkeeper.leadership",
                    (long long)epoch);
            process_continue(all[at]);
        }
    }
    db_wait(fixture, "t", WAIT_LONG_MS, "SELECT epoch > %lld FROM pgkeeper.leadership",
            (long long)epoch);
    check_reasons(fixture, "master", reasons);
    check_history(fixture);
    check_beliefs(fixture);
    for (int i = 0; i < 3; i++) {
        check_alternates(all[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_process__leader_killed_immediate__standby_leads_at_once),
        DB_TEST(test_process__leader_killed_exclusive__standby_waits_the_grace),
        DB_TEST(test_process__process_exits_without_closing__standby_leads),
        DB_TEST(test_process__leader_stopped_immediate__does_not_lead_when_it_runs_again),
        DB_TEST(test_process__leader_stopped_exclusive__does_not_lead_when_it_runs_again),
        DB_TEST(test_process__stopped_for_less_than_the_lease__goes_on_leading),
        DB_TEST(test_process__stopped_and_terminated_exclusive__believers_never_overlap),
        DB_TEST(test_process__stopped_and_terminated_immediate__overlap_is_fenced),
        DB_TEST(test_process__random_kills_and_stops_exclusive__believers_never_overlap),
    };
    return cmocka_run_group_tests_name("process", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
