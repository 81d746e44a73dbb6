/*
 * tests/postgres/test_handle_close.c - the end of a handle: closed and freed inside callbacks, from other threads under
 * load, when the database is gone; and what is used after that.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "contest.h"
#include "recorder.h"

/* ---- close inside callbacks */

static atomic_int closed_inside;

static void close_handle_inside(struct part *part, const char *kind)
{
    if (strcmp(kind, "grant") == 0 || strcmp(kind, "leader") == 0) {
        pgk_error err;
        pgk_status status = pgk_ha_close(part->user, &err);
        atomic_store(&closed_inside, status == PGK_OK ? 1 : -1);
    }
}

static void close_election_inside(struct part *part, const char *kind)
{
    if (strcmp(kind, "grant") == 0) {
        atomic_store(&closed_inside, pgk_election_close(part->election, NULL) == PGK_OK ? 1 : -1);
    }
}

static void stop_retriever_inside(struct part *part, const char *kind)
{
    if (strcmp(kind, "leader") == 0) {
        atomic_store(&closed_inside, pgk_retriever_stop(part->retriever, NULL) == PGK_OK ? 1 : -1);
    }
}

static void close_inside(struct fixture *fixture, void (*hook)(struct part *, const char *),
                         const char *dispatch)
{
    struct recorder *recorder = recorder_new();
    pgk_ha *ha = handle_open(fixture, "a", "dispatch", dispatch, NULL);
    struct part part = {.hook = hook, .user = ha};
    struct part other = {0};
    bool manual = strcmp(dispatch, "manual") == 0;
    atomic_store(&closed_inside, 0);
    part_contend(&other, recorder, ha, "other", NULL);
    part_contend(&part, recorder, ha, "dispatcher", NULL);
    if (manual) {
        handle_dispatch_until(ha, recorder, "revoke dispatcher", 1);
    }
    WAIT_UNTIL(atomic_load(&closed_inside) != 0, WAIT_LONG_MS);
    assert_int_equal(atomic_load(&closed_inside), 1);
    WAIT_UNTIL(recorder_count(recorder, "revoke dispatcher") == 1, WAIT_LONG_MS);
    assert_int_equal(pgk_ha_close(ha, NULL), PGK_OK);
    assert_int_equal(recorder_count(recorder, "grant dispatcher"), 1);
    assert_int_equal(recorder_count(recorder, "grant other"),
                     recorder_count(recorder, "revoke other"));
    part_free(&part);
    part_free(&other);
    pgk_ha_free(ha);
    recorder_free(recorder);
    db_wait(fixture, "0", WAIT_LONG_MS,
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgkeeper:%%'");
}

static void test_handle__closed_inside_its_own_grant__revoked_once_and_no_deadlock(void **state)
{
    for (int i = 0; i < 5; i++) {
        close_inside(*state, close_handle_inside, "thread");
    }
    close_inside(*state, close_handle_inside, "manual");
}

static void test_handle__election_closed_inside_its_own_grant__revoked_once(void **state)
{
    for (int i = 0; i < 5; i++) {
        close_inside(*state, close_election_inside, "thread");
    }
    close_inside(*state, close_election_inside, "manual");
}

static void test_handle__closed_or_stopped_inside_a_leader_callback__no_deadlock(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    for (int i = 0; i < 4; i++) {
        struct recorder *recorder = recorder_new();
        pgk_ha *ha = handle_open_client(fixture, "f", NULL);
        struct part part = {.hook = i % 2 == 0 ? stop_retriever_inside : close_handle_inside,
                            .user = ha};
        atomic_store(&closed_inside, 0);
        part_follow(&part, recorder, ha, "dispatcher");
        WAIT_UNTIL(atomic_load(&closed_inside) == 1, WAIT_LONG_MS);
        pgk_ha_close(ha, NULL);
        assert_int_equal(recorder_count(recorder, "leader "), 1);
        part_free(&part);
        pgk_ha_free(ha);
        recorder_free(recorder);
    }
}

static void free_all_inside(struct part *part, const char *kind)
{
    if (strcmp(kind, "grant") == 0) {
        pgk_election *election = part->election;
        part->election = NULL;
        pgk_election_free(election);
        pgk_ha_free(part->user);
        atomic_store(&closed_inside, 1);
    }
}

static void free_all_when_granted(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    (void)session_id;
    (void)epoch;
    struct part *part = user;
    free_all_inside(part, "grant");
}

static void test_handle__freed_inside_its_own_grant__nothing_is_left(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++) {
        struct part part = {0};
        pgk_ha *ha = handle_open(fixture, "a", NULL);
        pgk_contender contender = {.size = sizeof(contender),
                                   .user = &part,
                                   .grant = free_all_when_granted,
                                   .revoke = ignore_tenure};
        part.user = ha;
        atomic_store(&closed_inside, 0);
        assert_int_equal(pgk_ha_election(ha, "dispatcher", &part.election, NULL), PGK_OK);
        assert_int_equal(pgk_election_start(part.election, &contender, NULL), PGK_OK);
        WAIT_UNTIL(atomic_load(&closed_inside) == 1, WAIT_LONG_MS);
        db_wait(fixture, "0", WAIT_LONG_MS,
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgkeeper:%%'");
    }
}

/* ---- close under load */

struct load {
    pgk_ha *ha;
    struct part *parts;
    atomic_bool stop;
    atomic_long calls;
};

static void *run_load(void *arg)
{
    struct load *load = arg;
    for (unsigned int i = 0; !atomic_load(&load->stop); i++) {
        struct part *part = &load->parts[i % 4];
        pgk_token token;
        pgk_election *election = NULL;
        if (pgk_election_token(part->election, &token, NULL) == PGK_OK) {
            (void)pgk_election_has_leadership(part->election, &token.session_id);
            (void)pgk_election_confirm(part->election, &token.session_id, "here", NULL);
        }
        if (i % 16 == 0) {
            (void)pgk_election_resign(part->election, NULL);
        }
        if (pgk_ha_election(load->ha, "passing", &election, NULL) == PGK_OK) {
            (void)pgk_election_close(election, NULL);
        }
        pgk_election_free(election);
        atomic_fetch_add(&load->calls, 1);
    }
    return NULL;
}

static void close_under_load(struct fixture *fixture, int close_after_ms)
{
    struct recorder *recorder = recorder_new();
    struct part parts[5] = {{0}};
    pthread_t threads[3];
    static const char *const components[4] = {"w", "x", "y", "z"};
    pgk_ha *ha = handle_open(fixture, "a", "leader-election.scope", "component", NULL);
    struct load load = {.ha = ha, .parts = parts};
    for (int i = 0; i < 4; i++) {
        part_contend(&parts[i], recorder, ha, components[i], NULL);
    }
    part_follow(&parts[4], recorder, ha, "x");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_load, &load), 0);
    }
    wait_pause_ms(close_after_ms);
    assert_int_equal(pgk_ha_close(ha, NULL), PGK_OK);
    size_t said = recorder_count(recorder, "");
    for (int i = 0; i < 4; i++) {
        char grant[32];
        char revoke[32];
        snprintf(grant, sizeof(grant), "grant %s ", components[i]);
        snprintf(revoke, sizeof(revoke), "revoke %s ", components[i]);
        assert_int_equal(recorder_count(recorder, grant), recorder_count(recorder, revoke));
    }
    wait_pause_ms(50);
    assert_int_equal(recorder_count(recorder, ""), said); /* nothing after close */
    atomic_store(&load.stop, true);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < 5; i++) {
        part_free(&parts[i]);
    }
    pgk_ha_free(ha);
    recorder_free(recorder);
}

static void test_handle__closed_from_another_thread_under_load__nothing_hangs(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 6; i++) {
        close_under_load(fixture, i * 60);
    }
    db_wait(fixture, "0", WAIT_LONG_MS,
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgkeeper:%%'");
    check_history(fixture);
}

static void test_handle__database_gone__close_is_bounded_and_says_so(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part part = {0};
    pgk_error err;
    char direct[PGSERVER_CONNINFO_SIZE];
    char conninfo[PGSERVER_CONNINFO_SIZE];
    snprintf(direct, sizeof(direct), "%s", fixture->conninfo);
    struct proxy *proxy = fixture_proxy(fixture, conninfo, sizeof(conninfo));
    snprintf(fixture->conninfo, sizeof(fixture->conninfo), "%s", conninfo);
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    snprintf(fixture->conninfo, sizeof(fixture->conninfo), "%s", direct);
    part_contend(&part, recorder, ha, "dispatcher", NULL);
    part_granted(&part);
    proxy_cut(proxy, PROXY_CUT_BOTH);
    int64_t t0_ns = wait_now_ns();
    pgk_status status = pgk_ha_close(ha, &err);
    assert_true((wait_now_ns() - t0_ns) / WAIT_NS_PER_MS < 8000);
    assert_int_not_equal(status, PGK_OK);
    assert_true(strlen(err.message) > 10);
    assert_int_equal(recorder_count(recorder, "revoke "), 1);
    part_free(&part);
    pgk_ha_free(ha);
    recorder_free(recorder);
}

/* ---- use after close */

static void test_handle__used_after_close__illegal_state_everywhere(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part part = {0};
    pgk_error err;
    pgk_token token;
    pgk_election *election = NULL;
    pgk_retriever *retriever = NULL;
    pgk_contender contender = {
        .size = sizeof(contender), .grant = ignore_tenure, .revoke = ignore_tenure};
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_election *idle = NULL;
    assert_int_equal(pgk_ha_election(ha, "idle", &idle, &err), PGK_OK);
    part_contend(&part, recorder, ha, "dispatcher", NULL);
    part_granted(&part);
    assert_int_equal(pgk_ha_close(ha, &err), PGK_OK);
    assert_int_equal(pgk_ha_close(ha, &err), PGK_OK);
    assert_int_equal(pgk_ha_election(ha, "x", &election, &err), PGK_ERR_ILLEGAL_STATE);
    assert_true(strlen(err.message) > 10);
    assert_int_equal(pgk_ha_election_in_group(ha, "x", "g", &election, &err),
                     PGK_ERR_ILLEGAL_STATE);
    assert_int_equal(pgk_ha_retriever(ha, "x", &retriever, &err), PGK_ERR_ILLEGAL_STATE);
    assert_int_equal(pgk_election_start(idle, &contender, &err), PGK_ERR_ILLEGAL_STATE);
    assert_int_equal(pgk_election_resign(part.election, &err), PGK_ERR_ILLEGAL_STATE);
    assert_int_not_equal(pgk_election_confirm(part.election, &part.session_id, "x", &err), PGK_OK);
    assert_int_equal(pgk_election_token(part.election, &token, &err), PGK_ERR_ILLEGAL_STATE);
    assert_false(pgk_election_has_leadership(part.election, &part.session_id));
    assert_int_equal(pgk_election_close(part.election, &err), PGK_OK);
    assert_int_equal(pgk_ha_fd(ha), -1);
    pgk_election_free(idle);
    /* The handle may go before its elections. */
    pgk_ha_free(ha);
    part_free(&part);
    recorder_free(recorder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_handle__closed_inside_its_own_grant__revoked_once_and_no_deadlock),
        DB_TEST(test_handle__election_closed_inside_its_own_grant__revoked_once),
        DB_TEST(test_handle__closed_or_stopped_inside_a_leader_callback__no_deadlock),
        DB_TEST(test_handle__freed_inside_its_own_grant__nothing_is_left),
        DB_TEST(test_handle__closed_from_another_thread_under_load__nothing_hangs),
        DB_TEST(test_handle__database_gone__close_is_bounded_and_says_so),
        DB_TEST(test_handle__used_after_close__illegal_state_everywhere),
    };
    return cmocka_run_group_tests_name("handle_close", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
