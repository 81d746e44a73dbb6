/*
 * tests/faults/test_records.c - leader records changed by hand while their leader lives: restored within a second if they
 * differ, never rewritten if not, and records that are nobody's left alone.
 */
#include <string.h>

#include "contest.h"
#include "recorder.h"

/* Promised: 1000; the rest is for a loaded machine. */
#define RESTORED_MS 3000

static struct process *one_leader(struct fixture *fixture)
{
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    db_wait(fixture, "a", WAIT_LONG_MS, "SELECT address FROM pgkeeper.leader");
    return a;
}

static void restored(struct fixture *fixture, struct process *a, int64_t t0_ns)
{
    db_wait(fixture, "a|true", RESTORED_MS,
            "SELECT r.address || '|' || ((r.epoch, r.session_id) = (l.epoch, l.session_id))::text"
            " FROM (SELECT address, epoch, session_id FROM pgkeeper.leader"
            "       WHERE component = 'dispatcher') r, pgkeeper.leadership l");
    fprintf(stderr, "restored after %lld ms\n",
            (long long)((wait_now_ns() - t0_ns) / WAIT_NS_PER_MS));
    assert_int_equal(process_count(a, "revoke "), 0);
    check_reasons(fixture, "master", "");
}

static void test_records__address_changed_by_hand__restored(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = one_leader(fixture);
    int64_t t0_ns = wait_now_ns();
    db_exec(fixture, "UPDATE pgkeeper.leader SET address = 'elsewhere'");
    restored(fixture, a, t0_ns);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.event"
                                     " WHERE act = 'update leader' AND by_hand"),
                     1);
}

static void test_records__row_deleted_by_hand__restored(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = one_leader(fixture);
    for (int i = 0; i < 3; i++) {
        int64_t t0_ns = wait_now_ns();
        db_exec(fixture, "DELETE FROM pgkeeper.leader");
        restored(fixture, a, t0_ns);
    }
}

static void test_records__moved_to_another_group_by_hand__restored(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = one_leader(fixture);
    db_exec(fixture, "INSERT INTO pgkeeper.leadership (cluster_id, group_name)"
                     " VALUES ('" FIXTURE_CLUSTER "', 'elsewhere')");
    db_exec(fixture, "UPDATE pgkeeper.leader SET group_name = 'elsewhere'");
    db_wait(fixture, "a|master", RESTORED_MS,
            "SELECT address || '|' || group_name FROM pgkeeper.leader");
    assert_int_equal(process_count(a, "revoke "), 0);
}

static void test_records__session_id_changed_or_emptied_by_hand__restored(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = one_leader(fixture);
    int64_t t0_ns = wait_now_ns();
    db_exec(fixture, "UPDATE pgkeeper.leader SET session_id = gen_random_uuid()");
    restored(fixture, a, t0_ns);
    t0_ns = wait_now_ns();
    db_exec(fixture, "UPDATE pgkeeper.leader SET session_id = NULL, address = NULL,"
                     " confirmed_at = NULL");
    restored(fixture, a, t0_ns);
}

static void test_records__changed_without_a_notification__restored_all_the_same(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = one_leader(fixture);
    db_exec(fixture, "SET session_replication_role = replica"); /* no triggers */
    int64_t t0_ns = wait_now_ns();
    db_exec(fixture, "UPDATE pgkeeper.leader SET address = 'elsewhere'");
    restored(fixture, a, t0_ns);
    db_exec(fixture, "RESET session_replication_role");
}

static void test_records__equal_record__never_rewritten(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = one_leader(fixture);
    /* A change to what it was: notified, read, and found equal. */
    db_exec(fixture, "UPDATE pgkeeper.leader SET address = address");
    char before[32];
    snprintf(before, sizeof(before), "%s", db_text(fixture, "SELECT xmin FROM pgkeeper.leader"));
    wait_pause_ms(2600); /* two re-reads by interval, and one by the notification */
    assert_string_equal(db_text(fixture, "SELECT xmin FROM pgkeeper.leader"), before);
    contest_ask(a, "confirm a", "confirmed dispatcher PGK_OK");
    assert_string_equal(db_text(fixture, "SELECT xmin FROM pgkeeper.leader"), before);
    contest_ask(a, "confirm b", "confirmed dispatcher PGK_ERR_ILLEGAL_STATE");
    assert_string_equal(db_text(fixture, "SELECT xmin FROM pgkeeper.leader"), before);
}

static void test_records__records_of_others__left_alone(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = one_leader(fixture);
    db_exec(fixture,
            "INSERT INTO pgkeeper.leader (cluster_id, component, group_name, epoch,"
            " session_id, address, confirmed_at) SELECT cluster_id, 'stranger', group_name,"
            " epoch, gen_random_uuid(), 'abroad', now() FROM pgkeeper.leadership");
    int64_t t0_ns = wait_now_ns();
    db_exec(fixture, "DELETE FROM pgkeeper.leader WHERE component = 'dispatcher'");
    restored(fixture, a, t0_ns);
    wait_pause_ms(1200);
    assert_string_equal(
        db_text(fixture, "SELECT address FROM pgkeeper.leader WHERE component = 'stranger'"),
        "abroad");
}

/* Nobody else would take it away before the tenure ends. */
static void test_records__closed_while_somebody_locks_the_record__withdrawn_afterwards(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part stays = {0};
    struct part leaves = {0};
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    part_contend(&stays, recorder, ha, "dispatcher", NULL);
    part_contend(&leaves, recorder, ha, "spinner", NULL);
    part_granted(&stays);
    part_granted(&leaves);
    part_confirm(&stays, "here");
    part_confirm(&leaves, "there");
    db_exec(fixture, "BEGIN");
    db_exec(fixture, "SELECT FROM pgkeeper.leader WHERE component = 'spinner' FOR UPDATE");
    assert_int_equal(pgk_election_close(leaves.election, NULL), PGK_OK);
    wait_pause_ms(1500); /* several times as long as a statement of ours waits for a row */
    db_exec(fixture, "COMMIT");
    db_wait(fixture, "true", WAIT_LONG_MS,
            "SELECT (address IS NULL)::text FROM pgkeeper.leader WHERE component = 'spinner'");
    assert_string_equal(
        db_text(fixture, "SELECT address FROM pgkeeper.leader WHERE component = 'dispatcher'"),
        "here");
    check_reasons(fixture, "master", "");
    handle_close(ha);
    check_reasons(fixture, "master", "resigned");
    check_history(fixture);
    part_free(&stays);
    part_free(&leaves);
    recorder_free(recorder);
}

/* Asked now it names a, and what it announced last is a's session. */
static bool knows(struct process *follower, const char *session)
{
    char line[256];
    const char *got = contest_ask(follower, "get", "got dispatcher ");
    if (strncmp(got, "got dispatcher PGK_OK a", 23) != 0) {
        return false;
    }
    snprintf(line, sizeof(line), "leader dispatcher %s", session);
    size_t last = follower->line_count - 1;
    while (strncmp(follower->lines[last], "leader ", 7) != 0) {
        last--; /* it ends: one was awaited before */
    }
    return strncmp(follower->lines[last], line, strlen(line)) == 0;
}

static void test_records__follower__sees_the_truth_again(void **state)
{
    struct fixture *fixture = *state;
    one_leader(fixture);
    struct process *f = contest_follow(fixture, "f", "--follow", "dispatcher", "--client", NULL);
    char session[64];
    line_word(process_expect(f, "leader dispatcher ", WAIT_LONG_MS), 2, session, sizeof(session));
    db_exec(fixture, "DELETE FROM pgkeeper.leader");
    db_wait(fixture, "a", WAIT_LONG_MS, "SELECT address FROM pgkeeper.leader");
    /* Whatever was announced in between, in the end it is the leader. */
    WAIT_UNTIL(knows(f, session), WAIT_LONG_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_records__address_changed_by_hand__restored),
        DB_TEST(test_records__row_deleted_by_hand__restored),
        DB_TEST(test_records__moved_to_another_group_by_hand__restored),
        DB_TEST(test_records__session_id_changed_or_emptied_by_hand__restored),
        DB_TEST(test_records__changed_without_a_notification__restored_all_the_same),
        DB_TEST(test_records__equal_record__never_rewritten),
        DB_TEST(test_records__records_of_others__left_alone),
        DB_TEST(test_records__closed_while_somebody_locks_the_record__withdrawn_afterwards),
        DB_TEST(test_records__follower__sees_the_truth_again),
    };
    return cmocka_run_group_tests_name("records", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
