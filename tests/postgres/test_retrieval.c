/*
 * tests/postgres/test_retrieval.c - the rules of following a leader: what is announced, when, and what is not. Leaders are
 * contender processes, followers are handles of this process.
 */
#include <stdio.h>
#include <string.h>

#include "contest.h"
#include "recorder.h"

struct follower {
    struct recorder *recorder;
    pgk_ha *ha;
    struct part part;
};

static void follow(struct fixture *fixture, struct follower *follower, const char *key,
                   const char *value)
{
    memset(follower, 0, sizeof(*follower));
    follower->recorder = recorder_new();
    follower->ha = handle_open_client(fixture, "follower", key, value, NULL);
    part_follow(&follower->part, follower->recorder, follower->ha, "dispatcher");
}

static void unfollow(struct follower *follower)
{
    part_free(&follower->part);
    handle_close(follower->ha);
    recorder_free(follower->recorder);
}

static size_t heard(const struct follower *follower)
{
    return recorder_count(follower->recorder, "leader ");
}

static void hear(struct follower *follower, const char *address)
{
    const char *line = recorder_expect(follower->recorder, "leader ", WAIT_LONG_MS);
    size_t length = strlen(line);
    size_t tail = strlen(address);
    if (length < tail || strcmp(line + length - tail, address) != 0) {
        fail_msg("announced \"%s\" instead of %s", line, address);
    }
}

static void test_retrieval__no_leader__nothing_is_said(void **state)
{
    struct follower f;
    pgk_leader leader;
    follow(*state, &f, "retrieval.poll-interval", "100 ms");
    wait_pause_ms(800);
    assert_int_equal(heard(&f), 0);
    assert_int_equal(pgk_retriever_get(f.part.retriever, &leader, NULL), PGK_ERR_NOT_FOUND);
    unfollow(&f);
}

static void test_retrieval__started_late__announces_the_present_leader_once(void **state)
{
    struct fixture *fixture = *state;
    struct follower f;
    pgk_leader leader;
    struct process *a = contest_start(fixture, "a", NULL);
    int64_t epoch = contest_granted(a);
    follow(fixture, &f, "retrieval.poll-interval", "100 ms");
    hear(&f, " a");
    assert_int_equal(pgk_retriever_get(f.part.retriever, &leader, NULL), PGK_OK);
    assert_string_equal(leader.address, "a");
    assert_int_equal(leader.epoch, epoch);
    /* Notifications without a change are only hints. */
    for (int i = 0; i < 5; i++) {
        db_exec(fixture, "SELECT pg_notify(pgkeeper.channel('%s'), '')", FIXTURE_CLUSTER);
    }
    wait_pause_ms(600);
    assert_int_equal(heard(&f), 1);
    unfollow(&f);
}

static void test_retrieval__same_address_in_a_new_tenure__is_a_change(void **state)
{
    struct fixture *fixture = *state;
    struct follower f;
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    follow(fixture, &f, "retrieval.mode", "listen");
    hear(&f, " a");
    db_exec(fixture, "SELECT pgkeeper.kick('" FIXTURE_CLUSTER "', 'master')");
    int64_t epoch = contest_granted(a);
    pgk_leader leader;
    WAIT_UNTIL(pgk_retriever_get(f.part.retriever, &leader, NULL) == PGK_OK &&
                   leader.epoch == epoch,
               WAIT_LONG_MS);
    WAIT_UNTIL(heard(&f) >= 2, WAIT_LONG_MS);
    char tail[64];
    snprintf(tail, sizeof(tail), "%lld a", (long long)epoch);
    WAIT_UNTIL(strstr(recorder_expect(f.recorder, "leader ", WAIT_LONG_MS), tail) != NULL,
               WAIT_LONG_MS);
    unfollow(&f);
}

static void test_retrieval__leader_killed_without_successor__announced_as_gone_once(void **state)
{
    struct fixture *fixture = *state;
    struct follower f;
    pgk_leader leader;
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    follow(fixture, &f, "retrieval.poll-interval", "200 ms");
    hear(&f, " a");
    process_kill(a); /* nobody notifies; the row still names it */
    hear(&f, " none");
    assert_string_equal(db_text(fixture, "SELECT address FROM pgkeeper.leader"), "a");
    assert_int_equal(pgk_retriever_get(f.part.retriever, &leader, NULL), PGK_ERR_NOT_FOUND);
    wait_pause_ms(700);
    assert_int_equal(heard(&f), 2);
    struct process *b = contest_start(fixture, "b", NULL);
    contest_granted(b);
    hear(&f, " b");
    contest_quit(b);
    hear(&f, " none");
    assert_int_equal(heard(&f), 4);
    unfollow(&f);
}

static void follow_changes(void **state, const char *mode)
{
    struct fixture *fixture = *state;
    struct follower f;
    struct process *all[2];
    follow(fixture, &f, "retrieval.mode", mode);
    all[0] = contest_start(fixture, "a", NULL);
    contest_granted(all[0]);
    hear(&f, " a");
    all[1] = contest_start(fixture, "b", NULL);
    contest_ready(fixture, "b");
    process_kill(all[0]);
    contest_granted(all[1]);
    pgk_leader leader;
    WAIT_UNTIL(pgk_retriever_get(f.part.retriever, &leader, NULL) == PGK_OK &&
                   strcmp(leader.address, "b") == 0,
               WAIT_LONG_MS);
    /* The follower takes no lock and one session. */
    db_wait(fixture, "1", WAIT_LONG_MS,
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgkeeper:%%'"
            " AND pid NOT IN (SELECT a.pid FROM pg_stat_activity a JOIN pg_stat_activity l"
            " ON right(a.application_name, 8) = right(l.application_name, 8)"
            " WHERE l.application_name LIKE 'pgkeeper:%%:lock:%%')");
    unfollow(&f);
}

static void test_retrieval__mode_listen__follows_changes(void **state)
{
    follow_changes(state, "listen");
}

static void test_retrieval__mode_poll__follows_changes(void **state)
{
    follow_changes(state, "poll");
}

/* A follower behind a proxy that can be cut. */
static struct proxy *follow_through_proxy(struct fixture *fixture, struct follower *f,
                                          const char *tolerance)
{
    char conninfo[PGSERVER_CONNINFO_SIZE];
    char direct[PGSERVER_CONNINFO_SIZE];
    struct proxy *proxy = fixture_proxy(fixture, conninfo, sizeof(conninfo));
    snprintf(direct, sizeof(direct), "%s", fixture->conninfo);
    snprintf(fixture->conninfo, sizeof(fixture->conninfo), "%s", conninfo);
    follow(fixture, f, "retrieval.disconnect-tolerance", tolerance);
    snprintf(fixture->conninfo, sizeof(fixture->conninfo), "%s", direct);
    return proxy;
}

static void test_retrieval__disconnected_for_long__gone_once_and_back_again(void **state)
{
    struct fixture *fixture = *state;
    struct follower f;
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    struct proxy *proxy = follow_through_proxy(fixture, &f, "1500 ms");
    hear(&f, " a");
    int64_t t0_ns = wait_now_ns();
    proxy_refuse(proxy, 1);
    proxy_reset_all(proxy);
    hear(&f, " none");
    assert_true((wait_now_ns() - t0_ns) / WAIT_NS_PER_MS >= 1400);
    wait_pause_ms(2000);
    assert_int_equal(heard(&f), 2);
    proxy_refuse(proxy, 0);
    hear(&f, " a"); /* the same leader is announced again */
    unfollow(&f);
}

static void test_retrieval__disconnected_for_short__nothing_is_said(void **state)
{
    struct fixture *fixture = *state;
    struct follower f;
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    struct proxy *proxy = follow_through_proxy(fixture, &f, "60 s");
    hear(&f, " a");
    size_t before = proxy_accepted(proxy);
    proxy_reset_all(proxy);
    WAIT_UNTIL(proxy_accepted(proxy) > before, WAIT_LONG_MS);
    wait_pause_ms(1500);
    assert_int_equal(heard(&f), 1);
    unfollow(&f);
}

static void test_retrieval__changed_while_disconnected__seen_afterwards(void **state)
{
    struct fixture *fixture = *state;
    struct follower f;
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    struct proxy *proxy = follow_through_proxy(fixture, &f, "60 s");
    hear(&f, " a");
    proxy_refuse(proxy, 1);
    proxy_reset_all(proxy);
    struct process *b = contest_start(fixture, "b", NULL);
    contest_ready(fixture, "b");
    contest_quit(a);
    contest_granted(b);
    assert_int_equal(heard(&f), 1);
    proxy_refuse(proxy, 0);
    hear(&f, " b");
    unfollow(&f);
}

/* Cut without a word: no answer to a question is a disconnection too. */
static void test_retrieval__network_loses_everything__gone_and_back_again(void **state)
{
    struct fixture *fixture = *state;
    struct follower f;
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    struct proxy *proxy = follow_through_proxy(fixture, &f, "1 s");
    hear(&f, " a");
    int64_t t0_ns = wait_now_ns();
    proxy_cut(proxy, PROXY_CUT_BOTH);
    hear(&f, " none");
    /* The next question by interval (1 s) and the tolerance; not when TCP gives up. */
    assert_in_range((wait_now_ns() - t0_ns) / WAIT_NS_PER_MS, 900, 5000);
    proxy_cut(proxy, PROXY_PASS);
    hear(&f, " a");
    unfollow(&f);
}

static void test_retrieval__older_epoch_in_the_table__never_announced(void **state)
{
    struct fixture *fixture = *state;
    struct follower f;
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    follow(fixture, &f, "retrieval.poll-interval", "50 ms");
    hear(&f, " a");
    for (int i = 0; i < 10; i++) {
        db_exec(fixture, "UPDATE pgkeeper.leader SET epoch = epoch - 1, address = 'old'");
        wait_pause_ms(60);
    }
    db_wait(fixture, "a", WAIT_LONG_MS, "SELECT address FROM pgkeeper.leader");
    const char *line;
    while ((line = recorder_seek(f.recorder, "leader ", 300)) != NULL) {
        assert_null(strstr(line, " old"));
    }
    unfollow(&f);
}

/* Groups count epochs each for itself: that of the new one is lower. */
static void test_retrieval__component_passes_to_another_group__its_leader_is_announced(void **state)
{
    struct fixture *fixture = *state;
    struct follower f;
    follow(fixture, &f, "retrieval.poll-interval", "50 ms");
    for (int i = 0; i < 3; i++) {
        struct process *a = contest_start(fixture, "a", NULL);
        contest_granted(a);
        hear(&f, " a");
        process_kill(a);
        hear(&f, "none");
    }
    struct process *b = contest_start(fixture, "b", "--group", "other", NULL);
    contest_granted(b);
    hear(&f, " b");
    unfollow(&f);
}

static void test_retrieval__many_retrievers__all_told_over_one_session(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part parts[20] = {{0}};
    pgk_ha *ha = handle_open_client(fixture, "follower", NULL);
    for (int i = 0; i < 20; i++) {
        part_follow(&parts[i], recorder, ha, i < 10 ? "dispatcher" : "rest_endpoint");
    }
    struct process *a = contest_start(fixture, "a", "--component", "dispatcher", "--component",
                                      "rest_endpoint", NULL);
    contest_granted(a);
    WAIT_UNTIL(recorder_count(recorder, "leader dispatcher") == 10, WAIT_LONG_MS);
    WAIT_UNTIL(recorder_count(recorder, "leader rest_endpoint") == 10, WAIT_LONG_MS);
    assert_in_range(db_sessions(fixture, "listener"), 1, 2); /* theirs, and for a moment a's own */
    /* Stopped ones hear nothing more. */
    for (int i = 0; i < 10; i++) {
        assert_int_equal(pgk_retriever_stop(parts[i].retriever, NULL), PGK_OK);
    }
    contest_quit(a);
    WAIT_UNTIL(recorder_count(recorder, "leader rest_endpoint none") == 10, WAIT_LONG_MS);
    assert_int_equal(recorder_count(recorder, "leader dispatcher none"), 0);
    for (int i = 0; i < 20; i++) {
        part_free(&parts[i]);
    }
    handle_close(ha);
    recorder_free(recorder);
}

static void ignore_leader(void *user, const pgk_leader *leader)
{
    (void)user;
    (void)leader;
}

static void test_retrieval__wrong_calls__a_status_and_a_sentence(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open_client(fixture, "follower", NULL);
    pgk_retriever *retriever = NULL;
    pgk_election *election = NULL;
    pgk_leader leader;
    pgk_error err;
    assert_int_equal(pgk_ha_election(ha, "dispatcher", &election, &err), PGK_ERR_ILLEGAL_STATE);
    assert_true(strlen(err.message) > 10);
    assert_int_equal(pgk_ha_retriever(ha, "dispatcher", &retriever, &err), PGK_OK);
    assert_int_equal(pgk_retriever_get(retriever, &leader, &err), PGK_ERR_ILLEGAL_STATE);
    assert_int_equal(pgk_retriever_start(retriever, NULL, NULL, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_retriever_start(retriever, ignore_leader, NULL, &err), PGK_OK);
    assert_int_equal(pgk_retriever_start(retriever, ignore_leader, NULL, &err),
                     PGK_ERR_ILLEGAL_STATE);
    assert_int_equal(pgk_retriever_stop(retriever, &err), PGK_OK);
    assert_int_equal(pgk_retriever_stop(retriever, &err), PGK_OK);
    assert_int_equal(pgk_retriever_start(retriever, ignore_leader, NULL, &err),
                     PGK_ERR_ILLEGAL_STATE);
    pgk_retriever_free(retriever);
    handle_close(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_retrieval__no_leader__nothing_is_said),
        DB_TEST(test_retrieval__started_late__announces_the_present_leader_once),
        DB_TEST(test_retrieval__same_address_in_a_new_tenure__is_a_change),
        DB_TEST(test_retrieval__leader_killed_without_successor__announced_as_gone_once),
        DB_TEST(test_retrieval__mode_listen__follows_changes),
        DB_TEST(test_retrieval__mode_poll__follows_changes),
        DB_TEST(test_retrieval__disconnected_for_long__gone_once_and_back_again),
        DB_TEST(test_retrieval__disconnected_for_short__nothing_is_said),
        DB_TEST(test_retrieval__changed_while_disconnected__seen_afterwards),
        DB_TEST(test_retrieval__network_loses_everything__gone_and_back_again),
        DB_TEST(test_retrieval__older_epoch_in_the_table__never_announced),
        DB_TEST(test_retrieval__component_passes_to_another_group__its_leader_is_announced),
        DB_TEST(test_retrieval__many_retrievers__all_told_over_one_session),
        DB_TEST(test_retrieval__wrong_calls__a_status_and_a_sentence),
    };
    return cmocka_run_group_tests_name("retrieval", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
