/*
 * tests/postgres/test_session.c - what a session is set up with, whatever the role, the database or the cluster's name say.
 */
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/postgres/session.h"
#include "contest.h"
#include "core/clock.h"
#include "recorder.h"

/* A link of the library's own, and what it was made with. */
struct made {
    struct settings *settings;
    struct link_memory memory;
    struct link_request request;
    struct link link;
};

static void make(struct fixture *fixture, enum session_role role, struct made *made)
{
    pgk_config *config = handle_config(fixture, "a", NULL);
    assert_int_equal(settings_new(config, &made->settings, NULL), PGK_OK);
    pgk_config_free(config);
    made->memory = (struct link_memory){.lock = PTHREAD_MUTEX_INITIALIZER};
    made->request = (struct link_request){.role = role,
                                          .settings = made->settings,
                                          .memory = &made->memory,
                                          .id = "12345678",
                                          .cancel_fd = -1,
                                          .deadline_ns = clock_now_ns() + WAIT_LONG_MS * NS_PER_MS};
    pgk_error err;
    if (link_make(&made->request, &made->link, &err) != PGK_OK) {
        fail_msg("link_make: %s", err.message);
    }
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
    struct made made;
    db_exec(fixture, "ALTER DATABASE %s SET client_min_messages = error", fixture->database);
    db_exec(fixture, "ALTER DATABASE %s SET statement_timeout = 9000", fixture->database);
    db_exec(fixture, "ALTER DATABASE %s SET synchronous_commit = off", fixture->database);
    if (PQserverVersion(fixture->conn) >= 170000) {
        db_exec(fixture, "ALTER DATABASE %s SET transaction_timeout = 9000", fixture->database);
    }
    make(fixture, ROLE_LOCK, &made);
    PGconn *conn = made.link.conn;
    expect_setting(conn, "client_min_messages", "warning");
    expect_setting(conn, "statement_timeout", "1500");
    expect_setting(conn, "synchronous_commit", "on");
    expect_setting(conn, "transaction_timeout", "0");
    PQfinish(conn);
    settings_free(made.settings);
}

/* Behind a pooler statements go as pipelines. What is written to a connection that is gone fails before anything
 * is read, and the end of such a pipeline never comes. */
static void test_session__pooled_link_that_cannot_be_written__fails_and_does_not_spin(void **state)
{
    struct fixture *fixture = *state;
    struct made made;
    PGresult *result;
    pgk_error err;
    make(fixture, ROLE_WORK, &made);
    made.link.pooled = true;
    shutdown(PQsocket(made.link.conn), SHUT_WR);
    alarm(20);
    assert_true(link_send(&made.link, STMT_SCHEMA_VERSION, NULL, made.settings));
    assert_int_equal(
        link_wait(&made.link, STMT_SCHEMA_VERSION, -1, made.request.deadline_ns, &result, &err),
        PGK_ERR_CONNECTION);
    alarm(0);
    PQfinish(made.link.conn);
    settings_free(made.settings);
}

static void test_session__pooled_session_that_cannot_be_written__is_lost(void **state)
{
    struct fixture *fixture = *state;
    struct made made;
    struct session session;
    struct wake wake;
    enum session_event event = SESSION_NOTHING;
    make(fixture, ROLE_LISTENER, &made);
    assert_int_equal(wake_init(&wake, NULL), PGK_OK);
    session_init(&session, &made.request, &wake);
    session.link = made.link;
    session.link.pooled = true;
    session.state = SESSION_IDLE;
    shutdown(PQsocket(made.link.conn), SHUT_WR);
    session_send(&session, STMT_SCHEMA_VERSION, NULL, made.request.deadline_ns);
    alarm(20);
    WAIT_UNTIL((event = session_step(&session, clock_now_ns())) != SESSION_NOTHING, WAIT_LONG_MS);
    alarm(0);
    assert_int_equal(event, SESSION_LOST);
    session_close(&session);
    wake_close(&wake);
    settings_free(made.settings);
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
        DB_TEST(test_session__pooled_link_that_cannot_be_written__fails_and_does_not_spin),
        DB_TEST(test_session__pooled_session_that_cannot_be_written__is_lost),
        DB_TEST(test_session__long_cluster_id_not_ascii__is_cut_at_a_character),
    };
    return cmocka_run_group_tests_name("session", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
