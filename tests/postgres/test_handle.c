/*
 * tests/postgres/test_handle.c - the life of a handle: dispatch in the application's own loop, bad input through the real
 * library, names and configuration. Its end is in test_handle_close.c.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "contest.h"
#include "recorder.h"

/* ---- dispatch: manual */

static pthread_t dispatching_thread;
static atomic_int strange_threads;

static void note_thread(struct part *part, const char *kind)
{
    (void)part;
    (void)kind;
    if (!pthread_equal(pthread_self(), dispatching_thread)) {
        atomic_fetch_add(&strange_threads, 1);
    }
}

static void test_handle__manual_dispatch__callbacks_run_in_the_applications_loop(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part part = {.hook = note_thread};
    struct part watch = {.hook = note_thread};
    pgk_ha *ha = handle_open(fixture, "a", "dispatch", "manual", NULL);
    dispatching_thread = pthread_self();
    atomic_store(&strange_threads, 0);
    part_contend(&part, recorder, ha, "dispatcher", NULL);
    part_follow(&watch, recorder, ha, "dispatcher");
    handle_dispatch_until(ha, recorder, "grant ", 1);
    part_confirm(&part, "a");
    handle_dispatch_until(ha, recorder, "leader ", 1);
    /* Heartbeats do not depend on the loop. */
    wait_pause_ms(2200);
    assert_true(pgk_election_has_leadership(part.election, &part.session_id));
    db_exec(fixture, "SELECT pgkeeper.kick('" FIXTURE_CLUSTER "', 'master')");
    WAIT_UNTIL(!pgk_election_has_leadership(part.election, &part.session_id), WAIT_LONG_MS);
    assert_int_equal(recorder_count(recorder, "revoke "), 0); /* not before we dispatch */
    handle_dispatch_until(ha, recorder, "revoke ", 1);
    handle_dispatch_until(ha, recorder, "grant ", 2);
    pgk_ha_close(ha, NULL);
    assert_int_equal(recorder_count(recorder, "revoke "), 2);
    assert_int_equal(atomic_load(&strange_threads), 0);
    assert_int_equal(pgk_ha_dispatch(ha, NULL), PGK_ERR_ILLEGAL_STATE);
    part_free(&part);
    part_free(&watch);
    pgk_ha_free(ha);
    recorder_free(recorder);
}

static void dispatch_inside(struct part *part, const char *kind)
{
    if (strcmp(kind, "grant") == 0) {
        atomic_store(&strange_threads, (int)pgk_ha_dispatch(part->user, NULL));
    }
}

static void test_handle__dispatch_where_it_does_not_belong__illegal_state(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    pgk_ha *threaded = handle_open(fixture, "a", NULL);
    assert_int_equal(pgk_ha_fd(threaded), -1);
    assert_int_equal(pgk_ha_dispatch(threaded, NULL), PGK_ERR_ILLEGAL_STATE);
    handle_close(threaded);
    pgk_ha *ha = handle_open(fixture, "a", "dispatch", "manual", NULL);
    struct part part = {.hook = dispatch_inside, .user = ha};
    part_contend(&part, recorder, ha, "dispatcher", NULL);
    handle_dispatch_until(ha, recorder, "grant ", 1);
    assert_int_equal(atomic_load(&strange_threads), PGK_ERR_ILLEGAL_STATE);
    handle_close(ha);
    part_free(&part);
    recorder_free(recorder);
}

/* ---- wrong use */

/* Names and addresses that are refused, with a sentence. */
static const struct {
    const char *what;
    const char *text;
} bad_texts[] = {
    {"empty", ""},
    {"a lone continuation byte", "a\x80"},
    {"cut short", "abc\xe2\x82"},
    {"overlong", "\xc0\xaf"},
    {"a surrogate", "\xed\xa0\x80"},
    {"beyond Unicode", "\xf5\x80\x80\x80"},
};

static void refuses(pgk_status status, const pgk_error *err, const char *what)
{
    if (status != PGK_ERR_INVALID_ARGUMENT || strlen(err->message) < 10) {
        fail_msg("%s: %s \"%s\"", what, pgk_status_name(status), err->message);
    }
}

static void test_handle__bad_names_and_addresses__refused_with_a_sentence(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part part = {0};
    pgk_error err;
    pgk_election *election = NULL;
    pgk_retriever *retriever = NULL;
    char oversized[PGK_ADDRESS_MAX_BYTES + 2];
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    part_contend(&part, recorder, ha, "dispatcher", NULL);
    part_granted(&part);
    for (size_t i = 0; i < sizeof(bad_texts) / sizeof(bad_texts[0]); i++) {
        const char *text = bad_texts[i].text;
        const char *what = bad_texts[i].what;
        refuses(pgk_ha_election(ha, text, &election, &err), &err, what);
        refuses(pgk_ha_election_in_group(ha, "x", text, &election, &err), &err, what);
        refuses(pgk_ha_retriever(ha, text, &retriever, &err), &err, what);
        refuses(pgk_election_confirm(part.election, &part.session_id, text, &err), &err, what);
    }
    memset(oversized, 'n', sizeof(oversized) - 1);
    oversized[sizeof(oversized) - 1] = '\0';
    refuses(pgk_election_confirm(part.election, &part.session_id, oversized, &err), &err,
            "1025 bytes");
    oversized[PGK_ADDRESS_MAX_BYTES] = '\0';
    part_confirm(&part, oversized);
    oversized[PGK_COMPONENT_MAX_BYTES + 1] = '\0';
    refuses(pgk_ha_election(ha, oversized, &election, &err), &err, "201 bytes");
    refuses(pgk_ha_election_in_group(ha, "x", oversized, &election, &err), &err, "201 bytes");
    oversized[PGK_COMPONENT_MAX_BYTES] = '\0';
    assert_int_equal(pgk_ha_election(ha, oversized, &election, &err), PGK_OK);
    pgk_election_free(election);
    assert_int_equal(pgk_ha_election(ha, "gr\xc3\xbc\xc3\x9f '\"\\ %s {,}", &election, &err),
                     PGK_OK);
    pgk_election_free(election);
    handle_close(ha);
    part_free(&part);
    recorder_free(recorder);
}

static void test_handle__null_pointers__refused_not_crashed(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    pgk_ha *ha = NULL;
    pgk_election *election = NULL;
    pgk_retriever *retriever = NULL;
    pgk_token token;
    pgk_leader leader;
    pgk_contender contender = {.size = sizeof(contender)};
    refuses(pgk_ha_open(NULL, &ha, &err), &err, "no configuration");
    refuses(pgk_ha_open_client(NULL, &ha, &err), &err, "no configuration");
    ha = handle_open(fixture, "a", NULL);
    refuses(pgk_ha_election(NULL, "x", &election, &err), &err, "no handle");
    refuses(pgk_ha_election(ha, NULL, &election, &err), &err, "no name");
    refuses(pgk_ha_election(ha, "x", NULL, &err), &err, "nowhere to put it");
    refuses(pgk_ha_election_in_group(ha, "x", NULL, &election, &err), &err, "no group");
    refuses(pgk_ha_retriever(ha, NULL, &retriever, &err), &err, "no name");
    refuses(pgk_ha_retriever(ha, "x", NULL, &err), &err, "nowhere to put it");
    assert_int_equal(pgk_ha_election(ha, "x", &election, &err), PGK_OK);
    refuses(pgk_election_start(election, NULL, &err), &err, "no contender");
    refuses(pgk_election_start(election, &contender, &err), &err, "no callbacks");
    contender.grant = ignore_tenure;
    refuses(pgk_election_start(election, &contender, &err), &err, "no revoke");
    contender.revoke = ignore_tenure;
    contender.size = 3;
    refuses(pgk_election_start(election, &contender, &err), &err, "wrong size");
    refuses(pgk_election_start(NULL, &contender, &err), &err, "no election");
    refuses(pgk_election_confirm(election, NULL, "x", &err), &err, "no session id");
    refuses(pgk_election_token(election, NULL, &err), &err, "nowhere to put it");
    refuses(pgk_election_token(NULL, &token, &err), &err, "no election");
    refuses(pgk_retriever_get(NULL, &leader, &err), &err, "no retriever");
    assert_false(pgk_election_has_leadership(NULL, NULL));
    assert_false(pgk_election_has_leadership(election, NULL));
    assert_int_equal(pgk_election_deadline_ns(NULL, NULL), 0);
    /* An error is never required. */
    assert_int_equal(pgk_election_start(NULL, NULL, NULL), PGK_ERR_INVALID_ARGUMENT);
    pgk_election_free(NULL);
    pgk_retriever_free(NULL);
    pgk_ha_free(NULL);
    pgk_election_free(election);
    handle_close(ha);
}

static void test_handle__second_contender_of_a_component__illegal_state(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part part = {0};
    pgk_error err;
    pgk_election *second = NULL;
    pgk_contender contender = {
        .size = sizeof(contender), .grant = ignore_tenure, .revoke = ignore_tenure};
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    part_contend(&part, recorder, ha, "dispatcher", NULL);
    assert_int_equal(pgk_election_start(part.election, &contender, &err), PGK_ERR_ILLEGAL_STATE);
    assert_int_equal(pgk_ha_election(ha, "dispatcher", &second, &err), PGK_OK);
    assert_int_equal(pgk_election_start(second, &contender, &err), PGK_ERR_ILLEGAL_STATE);
    assert_non_null(strstr(err.message, "dispatcher"));
    assert_int_equal(pgk_election_close(second, &err), PGK_OK); /* never started */
    assert_int_equal(pgk_election_close(second, &err), PGK_OK);
    pgk_election_free(second);
    handle_close(ha);
    part_free(&part);
    recorder_free(recorder);
}

static void test_handle__bad_configuration__names_key_value_and_limits(void **state)
{
    static const char *const bad[][2] = {
        {"high-availability.postgres.leese", "1 s"},
        {"high-availability.postgres.lease", "soon"},
        {"high-availability.postgres.lease", "-1 s"},
        {"high-availability.postgres.profile", "slow"},
        {"leader-election.take-over", "sometimes"},
        {"high-availability.cluster-id", ""},
        {"retrieval.mode", "guess"},
    };
    pgk_config *config = NULL;
    pgk_ha *ha = NULL;
    pgk_error err;
    (void)state;
    assert_int_equal(pgk_config_new(&config, &err), PGK_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(pgk_config_set(config, bad[i][0], bad[i][1], &err), PGK_ERR_CONFIG);
        assert_non_null(strstr(err.message, bad[i][0]));
    }
    /* Each value is fine, together they are not. */
    assert_int_equal(pgk_config_set(config, "high-availability.postgres.lease", "3 s", &err),
                     PGK_OK);
    assert_int_equal(
        pgk_config_set(config, "high-availability.postgres.session-timeout", "3 s", &err), PGK_OK);
    assert_int_equal(pgk_ha_open(config, &ha, &err), PGK_ERR_CONFIG);
    assert_null(ha);
    assert_non_null(strstr(err.message, "session-timeout"));
    pgk_config_free(config);
}

/* ---- clusters, schemas, time */

static void test_handle__other_cluster_ids__do_not_meet(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", "--cluster", "one", NULL);
    struct process *b = contest_start(fixture, "b", "--cluster", "it's \"two\" %s\\", NULL);
    contest_granted(a);
    contest_granted(b);
    contest_quit(a);
    assert_int_equal(process_count(b, "revoke "), 0);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.leadership"), 2);
}

static void test_handle__schema_with_a_space__works(void **state)
{
    struct fixture *fixture = *state;
    db_exec(fixture, "CREATE SCHEMA \"my \"\"own\"\" schema\"");
    db_exec(fixture, "DROP SCHEMA pgkeeper CASCADE");
    fixture_migrate_schema(fixture, "my \"own\" schema");
    static const char set[] = "high-availability.postgres.schema=my \"own\" schema";
    struct process *a = contest_start(fixture, "a", "--set", set, "--follow", "dispatcher", NULL);
    contest_granted(a);
    process_expect(a, "leader dispatcher ", WAIT_LONG_MS);
    struct process *b = contest_start(fixture, "b", "--set", set, NULL);
    db_wait(fixture, "t", WAIT_LONG_MS,
            "SELECT count(*) = 2 FROM \"my \"\"own\"\" schema\".stat_contenders WHERE alive");
    process_kill(a);
    contest_granted(b);
}

static void test_handle__host_that_never_answers__open_keeps_to_its_time(void **state)
{
    struct fixture *fixture = *state;
    char conninfo[PGSERVER_CONNINFO_SIZE];
    struct proxy *proxy = fixture_proxy(fixture, conninfo, sizeof(conninfo));
    proxy_cut(proxy, PROXY_CUT_BOTH);
    int64_t t0_ns = wait_now_ns();
    struct process *a = contest_spawn(fixture, "a", "--conninfo", conninfo, "--set",
                                      "high-availability.postgres.connect-timeout=1 s", NULL);
    const char *line = process_expect(a, "open - ", WAIT_LONG_MS);
    assert_true(strstr(line, "PGK_ERR_TIMEOUT") != NULL ||
                strstr(line, "PGK_ERR_CONNECTION") != NULL);
    assert_in_range((wait_now_ns() - t0_ns) / WAIT_NS_PER_MS, 900, 6000);
    /* Next to one that answers it costs next to nothing. */
    char both[PGSERVER_CONNINFO_SIZE];
    snprintf(both, sizeof(both), "host=127.0.0.1,127.0.0.1 port=%d,%d dbname=%s user=%s",
             proxy_port(proxy), pgserver_port(fixture->server), fixture->database, PGSERVER_USER);
    t0_ns = wait_now_ns();
    struct process *b = contest_start(fixture, "b", "--conninfo", both, NULL);
    contest_granted(b);
    assert_in_range((wait_now_ns() - t0_ns) / WAIT_NS_PER_MS, 0, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_handle__manual_dispatch__callbacks_run_in_the_applications_loop),
        DB_TEST(test_handle__dispatch_where_it_does_not_belong__illegal_state),
        DB_TEST(test_handle__bad_names_and_addresses__refused_with_a_sentence),
        DB_TEST(test_handle__null_pointers__refused_not_crashed),
        DB_TEST(test_handle__second_contender_of_a_component__illegal_state),
        DB_TEST(test_handle__bad_configuration__names_key_value_and_limits),
        DB_TEST(test_handle__other_cluster_ids__do_not_meet),
        DB_TEST(test_handle__schema_with_a_space__works),
        DB_TEST(test_handle__host_that_never_answers__open_keeps_to_its_time),
    };
    return cmocka_run_group_tests_name("handle", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
