/*
 * tests/postgres/test_session.c - what a session is set up with, whatever the role, the database or the cluster's name say.
 */
#include <pthread.h>
#include <string.h>

#include "backend/postgres/link.h"
#include "contest.h"
#include "core/clock.h"
#include "recorder.h"

static PGconn *lock_session(struct fixture *fixture, struct settings **ret_settings)
{
    pgk_config *config = handle_config(fixture, "a", NULL);
    assert_int_equal(settings_new(config, ret_settings, NULL), PGK_OK);
    pgk_config_free(config);
    struct link_memory memory = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct link_request request = {.role = ROLE_LOCK,
                                   .settings = *ret_settings,
                                   .memory = &memory,
                                   .id = "12345678",
                                   .cancel_fd = -1,
                                   .deadline_ns = clock_now_ns() + WAIT_LONG_MS * NS_PER_MS};
    struct link link;
    pgk_error err;
    if (link_make(&request, &link, &err) != PGK_OK) {
        fail_msg("link_make: %s", err.message);
    }
    return link.conn;
}

static void expect_setting(PGconn *conn, const char *name, const char *expected)
{
    PGresult *result = PQexecParams(conn, "SELECT setting FROM pg_settings WHERE name = $1", 1,
                                    NULL, (const char *const[]){name}, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    if (PQntuples(result) > 0) { /* else the server is too old to have it */
        assert_string_equal(PQgetvalue(result, 0, 0), expected);
    }
    PQclear(result);
}

/* Warnings are how a server admits that a commit is not what it seems. */
static void test_session__settings_of_the_database__are_not_inherited(void **state)
{
    struct fixture *fixture = *state;
    struct settings *settings;
    db_exec(fixture, "ALTER DATABASE %s SET client_min_messages = error", fixture->database);
    db_exec(fixture, "ALTER DATABASE %s SET statement_timeout = 9000", fixture->database);
    db_exec(fixture, "ALTER DATABASE %s SET synchronous_commit = off", fixture->database);
    if (PQserverVersion(fixture->conn) >= 170000) {
        db_exec(fixture, "ALTER DATABASE %s SET transaction_timeout = 9000", fixture->database);
    }
    PGconn *conn = lock_session(fixture, &settings);
    expect_setting(conn, "client_min_messages", "warning");
    expect_setting(conn, "statement_timeout", "1500");
    expect_setting(conn, "synchronous_commit", "on");
    expect_setting(conn, "transaction_timeout", "0");
    PQfinish(conn);
    settings_free(settings);
}

/* application_name has room for 63 bytes; a character cut in half would be refused. */
static void test_session__long_cluster_id_not_ascii__is_cut_at_a_character(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part part = {0};
    pgk_ha *ha = handle_open(fixture, "a", "high-availability.cluster-id",
                             "1234567890123456789012345678901\u00e9t\u00e9", NULL);
    part_contend(&part, recorder, ha, "dispatcher", NULL);
    part_granted(&part);
    assert_string_equal(db_text(fixture,
                                "SELECT split_part(application_name, ':', 2) FROM pg_stat_activity"
                                " WHERE application_name LIKE 'pgkeeper:%%:lock:%%'"),
                        "1234567890123456789012345678901");
    handle_close(ha);
    part_free(&part);
    recorder_free(recorder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_session__settings_of_the_database__are_not_inherited),
        DB_TEST(test_session__long_cluster_id_not_ascii__is_cut_at_a_character),
    };
    return cmocka_run_group_tests_name("session", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
