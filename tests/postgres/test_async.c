/*
 * tests/postgres/test_async.c - calls with a completion on a real server: done, tried again over a network that
 * fails and locks that are held, fenced, and racing with closes.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "completions.h"
#include "store_tools.h"

/* PGK_TEST_ROUNDS: another number. */
#ifdef PGK_TEST_SANITIZED
#define ROUNDS 20
#else
#define ROUNDS 40
#endif

#define DELAY_MS 150
#define STRATEGY(attempts)                                                                         \
    "cleanup-strategy", "fixed-delay", "cleanup-strategy.fixed-delay.attempts", attempts,          \
        "cleanup-strategy.fixed-delay.delay", "150 ms"
#define SHORT "high-availability.postgres.statement-timeout", "300 ms"

static int64_t rows_of_job_1(struct fixture *fixture)
{
    return db_int(fixture, "SELECT count(*) FROM pgkeeper.checkpoint WHERE job_id = " SQL_JOB(1));
}

static int64_t clean_ups_done(struct fixture *fixture)
{
    return db_int(fixture, "SELECT count(*) FROM pgkeeper.event WHERE act = 'cleanup_job'");
}

static void clean_up_job_1(pgk_ha *ha, const pgk_token *token, struct completed *completed)
{
    pgk_error err;
    pgk_uuid one = job_of(1);
    STORE_WORKS(&err, pgk_ha_cleanup_job_async(ha, token, &one, completed_done, completed, &err));
}

/* The tries that failed, as the log tells them. */
struct tries {
    pthread_mutex_t lock;
    int count;
    int64_t at_ns[64];
    char first[256];
};

static void note_try(void *user, pgk_log_level level, const char *context, const char *message)
{
    struct tries *tries = user;
    (void)level;
    if (strcmp(context, "ha.cleanup_job") != 0) {
        return;
    }
    pthread_mutex_lock(&tries->lock);
    if (tries->count == 0) {
        snprintf(tries->first, sizeof(tries->first), "%s", message);
    }
    if (tries->count < 64) {
        tries->at_ns[tries->count++] = wait_now_ns();
    }
    pthread_mutex_unlock(&tries->lock);
}

static int tries_of(struct tries *tries)
{
    pthread_mutex_lock(&tries->lock);
    int count = tries->count;
    pthread_mutex_unlock(&tries->lock);
    return count;
}

/* Opens a handle whose tries are noted; frees the configuration. */
static pgk_ha *open_noted(pgk_config *config, struct tries *tries)
{
    pgk_error err;
    pgk_ha *ha = NULL;
    memset(tries, 0, sizeof(*tries));
    pthread_mutex_init(&tries->lock, NULL);
    pgk_config_set_log(config, note_try, tries);
    STORE_WORKS(&err, pgk_ha_open(config, &ha, &err));
    pgk_config_free(config);
    return ha;
}

static void test_async__leader__confirms_and_cleans_up(void **state)
{
    struct fixture *fixture = *state;
    struct chief chief;
    struct completed confirmed = {0};
    struct completed again = {0};
    struct completed other = {0};
    struct completed cleaned = {0};
    pgk_error err;
    known_state(fixture);
    chief_open(&chief, fixture);
    STORE_WORKS(&err,
                pgk_election_confirm_async(chief.part.election, &chief.token.session_id,
                                           "10.0.0.1:6123", completed_done, &confirmed, &err));
    STORE_WORKS(&err, pgk_election_confirm_async(chief.part.election, &chief.token.session_id,
                                                 "10.0.0.1:6123", completed_done, &again, &err));
    STORE_WORKS(&err, pgk_election_confirm_async(chief.part.election, &chief.token.session_id,
                                                 "elsewhere", completed_done, &other, &err));
    completed_expect(&confirmed, PGK_OK);
    completed_expect(&again, PGK_OK);
    completed_expect(&other, PGK_ERR_ILLEGAL_STATE);
    assert_string_equal(db_text(fixture, "SELECT string_agg(address, ',') FROM pgkeeper.leader"
                                         " WHERE address <> ''"),
                        "10.0.0.1:6123");
    clean_up_job_1(chief.ha, &chief.token, &cleaned);
    completed_expect(&cleaned, PGK_OK);
    assert_int_equal(cleaned.attempts, 1);
    assert_int_equal(cleaned.dropped, 1); /* 2 was discarding */
    assert_int_equal(rows_of_job_1(fixture), 0);
    chief_close(&chief);
}

static void test_async__deposed__fenced_and_not_tried_again(void **state)
{
    struct fixture *fixture = *state;
    struct chief chief;
    struct completed cleaned = {0};
    struct completed confirmed = {0};
    pgk_error err;
    known_state(fixture);
    chief_open(&chief, fixture);
    pgk_uuid former = chief.token.session_id;
    chief_depose(&chief, fixture);
    clean_up_job_1(chief.ha, &chief.token, &cleaned);
    STORE_WORKS(&err, pgk_election_confirm_async(chief.part.election, &former, "late",
                                                 completed_done, &confirmed, &err));
    completed_expect(&cleaned, PGK_ERR_FENCED);
    completed_expect(&confirmed, PGK_ERR_FENCED);
    assert_int_equal(cleaned.attempts, 1);
    assert_true(rows_of_job_1(fixture) > 0);
    chief_close(&chief);
}

static void test_async__no_way_to_the_server__so_many_tries_with_their_delay(void **state)
{
    struct fixture *fixture = *state;
    struct tries tries;
    struct completed c = {0};
    char conninfo[PGSERVER_CONNINFO_SIZE];
    struct proxy *proxy = fixture_proxy(fixture, conninfo, sizeof(conninfo));
    known_state(fixture);
    pgk_ha *ha = open_noted(handle_config(fixture, "a", "high-availability.postgres.uri", conninfo,
                                          STRATEGY("3"), SHORT, NULL),
                            &tries);
    proxy_refuse(proxy, 1);
    proxy_reset_all(proxy);
    clean_up_job_1(ha, PGK_UNFENCED, &c);
    completed_expect(&c, PGK_ERR_CONNECTION);
    assert_int_equal(c.attempts, 4);
    assert_int_equal(tries_of(&tries), 4);
    for (int i = 1; i < 4; i++) {
        assert_true(tries.at_ns[i] - tries.at_ns[i - 1] >= DELAY_MS * WAIT_NS_PER_MS);
    }
    assert_non_null(strstr(c.error.message, "after 4 attempts: "));
    assert_true(strlen(c.error.message) > strlen("after 4 attempts: ") + 10);
    assert_non_null(strstr(tries.first, "try 1 failed, the next one is in 150 ms: "));
    assert_true(rows_of_job_1(fixture) > 0);
    /* The same call after that, with the network back. */
    struct completed again = {0};
    proxy_refuse(proxy, 0);
    clean_up_job_1(ha, PGK_UNFENCED, &again);
    completed_expect(&again, PGK_OK);
    assert_int_equal(rows_of_job_1(fixture), 0);
    handle_close(ha);
}

/* Packets are lost in one direction or both, also after the statement was sent: in the end it is done, once. */
static void test_async__network_cut_and_back__done_once(void **state)
{
    struct fixture *fixture = *state;
    char conninfo[PGSERVER_CONNINFO_SIZE];
    struct proxy *proxy = fixture_proxy(fixture, conninfo, sizeof(conninfo));
    static const enum proxy_cut cuts[] = {PROXY_CUT_TO_SERVER, PROXY_CUT_TO_CLIENT, PROXY_CUT_BOTH};
    for (int i = 0; i < 3; i++) {
        struct tries tries;
        struct completed warm = {0};
        struct completed c = {0};
        known_state(fixture);
        pgk_ha *ha = open_noted(handle_config(fixture, "a", "high-availability.postgres.uri",
                                              conninfo, STRATEGY("1000"), SHORT, NULL),
                                &tries);
        pgk_uuid nobody = job_of(77);
        pgk_error err;
        STORE_WORKS(
            &err, pgk_ha_cleanup_job_async(ha, PGK_UNFENCED, &nobody, completed_done, &warm, &err));
        completed_expect(&warm, PGK_OK);
        int64_t before = clean_ups_done(fixture);
        proxy_cut(proxy, cuts[i]);
        clean_up_job_1(ha, PGK_UNFENCED, &c);
        WAIT_UNTIL(tries_of(&tries) >= 2, WAIT_LONG_MS);
        assert_int_equal(completed_times(&c), 0);
        proxy_cut(proxy, PROXY_PASS);
        completed_expect(&c, PGK_OK);
        assert_true(c.attempts >= 3);
        assert_int_equal(rows_of_job_1(fixture), 0);
        assert_int_equal(clean_ups_done(fixture), before + 1);
        handle_close(ha);
    }
}

/* Somebody holds a row until the server gives up. */
static void hold_row(PGconn *other, const char *sql)
{
    PGresult *result = PQexec(other, sql);
    assert_true(PQresultStatus(result) == PGRES_COMMAND_OK ||
                PQresultStatus(result) == PGRES_TUPLES_OK);
    PQclear(result);
}

static void test_async__row_locked_by_another__tried_until_it_is_free(void **state)
{
    struct fixture *fixture = *state;
    struct tries tries;
    struct completed c = {0};
    known_state(fixture);
    pgk_ha *ha = open_noted(handle_config(fixture, "a", STRATEGY("1000"), SHORT, NULL), &tries);
    PGconn *other = db_connect(fixture->conninfo);
    hold_row(other, "BEGIN");
    hold_row(other, "SELECT FROM pgkeeper.checkpoint WHERE job_id = " SQL_JOB(1) " FOR UPDATE");
    clean_up_job_1(ha, PGK_UNFENCED, &c);
    WAIT_UNTIL(tries_of(&tries) >= 3, WAIT_LONG_MS);
    assert_int_equal(completed_times(&c), 0);
    hold_row(other, "COMMIT");
    completed_expect(&c, PGK_OK);
    assert_true(c.attempts >= 4);
    assert_int_equal(rows_of_job_1(fixture), 0);
    PQfinish(other);
    handle_close(ha);
}

/* Leadership that is lost while the next try is far away ends the wait. */
static void test_async__deposed_between_tries__ends_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct tries tries;
    struct completed c = {0};
    struct recorder *recorder = recorder_new();
    struct part part = {0};
    pgk_token token;
    pgk_error err;
    known_state(fixture);
    pgk_ha *ha = open_noted(handle_config(fixture, "a", "cleanup-strategy", "fixed-delay",
                                          "cleanup-strategy.fixed-delay.delay", "1 h",
                                          "high-availability.postgres.statement-timeout", "1500 ms",
                                          "high-availability.postgres.profile", "wan", NULL),
                            &tries); /* a lease, and time for it, on a busy machine too */
    part_contend(&part, recorder, ha, "dispatcher", NULL);
    part_granted(&part);
    STORE_WORKS(&err, pgk_election_token(part.election, &token, &err));
    PGconn *other = db_connect(fixture->conninfo);
    hold_row(other, "BEGIN");
    hold_row(other, "SELECT FROM pgkeeper.checkpoint WHERE job_id = " SQL_JOB(1) " FOR UPDATE");
    clean_up_job_1(ha, &token, &c);
    WAIT_UNTIL(tries_of(&tries) == 1, WAIT_LONG_MS);
    hold_row(other, "ROLLBACK");
    if (completed_times(&c) != 0) {
        fail_msg("ended with %s: %s", pgk_status_name(c.status), c.error.message);
    }
    db_exec(fixture, "SELECT pgkeeper.kick('" FIXTURE_CLUSTER "', 'master')");
    completed_expect(&c, PGK_ERR_FENCED);
    assert_int_equal(c.attempts, 1);
    assert_true(rows_of_job_1(fixture) > 0);
    PQfinish(other);
    part_free(&part);
    handle_close(ha);
    recorder_free(recorder);
}

/* ------------------------------------------------------------------ racing with closes */

#define CALLS 6

struct round {
    struct fixture *fixture;
    pgk_ha *ha;
    struct part part;
    struct completed c[CALLS];
    bool begun[CALLS];
};

static void *begin_calls(void *user)
{
    struct round *round = user;
    for (int i = 0; i < CALLS; i++) {
        pgk_uuid one = job_of(i);
        pgk_token token;
        if (i % 3 != 0) {
            round->begun[i] =
                pgk_ha_cleanup_job_async(round->ha, PGK_UNFENCED, &one, completed_done,
                                         &round->c[i], NULL) == PGK_OK;
        } else if (pgk_election_token(round->part.election, &token, NULL) == PGK_OK) {
            round->begun[i] =
                pgk_election_confirm_async(round->part.election, &token.session_id, "here",
                                           completed_done, &round->c[i], NULL) == PGK_OK;
        }
    }
    return NULL;
}

static void run_round(struct fixture *fixture, int number, int *ret_done)
{
    struct round round = {.fixture = fixture};
    struct recorder *recorder = recorder_new();
    pthread_t beginner;
    int at_close = 0;
    int in_the_end = 0;
    round.ha = handle_open(fixture, "a", NULL);
    part_contend(&round.part, recorder, round.ha, "dispatcher", NULL);
    if (number % 4 != 0) {
        part_granted(&round.part);
    }
    assert_int_equal(pthread_create(&beginner, NULL, begin_calls, &round), 0);
    for (int i = 0; i < number % 50; i++) {
        sched_yield();
    }
    if (number % 3 == 0) {
        pgk_election_close(round.part.election, NULL);
    }
    pgk_error err;
    STORE_WORKS(&err, pgk_ha_close(round.ha, &err));
    for (int i = 0; i < CALLS; i++) {
        at_close += completed_times(&round.c[i]);
    }
    pthread_join(beginner, NULL);
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(completed_times(&round.c[i]), round.begun[i] ? 1 : 0);
        in_the_end += completed_times(&round.c[i]);
        *ret_done += round.begun[i] && round.c[i].status == PGK_OK;
    }
    assert_int_equal(at_close, in_the_end); /* none after the close has returned */
    part_free(&round.part);
    pgk_ha_free(round.ha);
    recorder_free(recorder);
}

static void test_async__racing_with_closes__each_completes_once(void **state)
{
    struct fixture *fixture = *state;
    int done = 0;
    const char *asked = getenv("PGK_TEST_ROUNDS");
    int rounds = asked != NULL ? (int)strtol(asked, NULL, 10) : ROUNDS;
    for (int i = 0; i < rounds; i++) {
        run_round(fixture, i, &done);
    }
    print_message("%d of %d calls were done\n", done, rounds * CALLS);
    assert_true(done > 0 && done < rounds * CALLS); /* or it was no race */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_async__leader__confirms_and_cleans_up),
        DB_TEST(test_async__deposed__fenced_and_not_tried_again),
        DB_TEST(test_async__no_way_to_the_server__so_many_tries_with_their_delay),
        DB_TEST(test_async__network_cut_and_back__done_once),
        DB_TEST(test_async__row_locked_by_another__tried_until_it_is_free),
        DB_TEST(test_async__deposed_between_tries__ends_at_once),
        DB_TEST(test_async__racing_with_closes__each_completes_once),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
