/*
 * tests/faults/test_access.c - what a person has to mend (logins, databases, schemas, rights) is reported at once with the
 * SQLSTATE and without a storm of retries; what passes (too many connections) is retried within the time.
 */
#include <pgkeeper/pgkeeper.h>
#include <stdlib.h>
#include <string.h>

#include "contest.h"

#define PASSWORD "a pass'word"
/* Lasting faults must not be retried until connect-timeout, 15 s by default. */
#define AT_ONCE_MS 8000

static struct pgserver *guarded; /* with SCRAM and few connections */

static int group_setup(void **state)
{
    static const char *const settings[] = {"fsync=off", "max_connections=12",
                                           "superuser_reserved_connections=3", "log_connections=on",
                                           NULL};
    const struct pgserver_options options = {
        .tcp = true, .settings = settings, .password = PASSWORD};
    pgk_error err;
    if (pgserver_start(&options, &guarded, &err) != PGK_OK) {
        fail_msg("server: %s", err.message);
    }
    return fixture_group_setup(state);
}

static int group_teardown(void **state)
{
    pgserver_free(guarded);
    return fixture_group_teardown(state);
}

/* Opens with a conninfo; expects that it fails with `status` soon, and fills err. */
static void refused(const char *conninfo, const char *schema, pgk_status status, pgk_error *err)
{
    pgk_config *config = NULL;
    pgk_ha *ha = NULL;
    assert_int_equal(pgk_config_new(&config, err), PGK_OK);
    assert_int_equal(pgk_config_set(config, "high-availability.postgres.uri", conninfo, err),
                     PGK_OK);
    if (schema != NULL) {
        assert_int_equal(pgk_config_set(config, "high-availability.postgres.schema", schema, err),
                         PGK_OK);
    }
    int64_t t0_ns = wait_now_ns();
    for (int client = 0; client < 2; client++) {
        pgk_status found =
            client ? pgk_ha_open_client(config, &ha, err) : pgk_ha_open(config, &ha, err);
        if (found != status) {
            fail_msg("%s instead of %s: %s", pgk_status_name(found), pgk_status_name(status),
                     err->message);
        }
        assert_null(ha);
        assert_null(strstr(err->message, PASSWORD));
    }
    assert_true((wait_now_ns() - t0_ns) / WAIT_NS_PER_MS < AT_ONCE_MS);
    pgk_config_free(config);
}

static void test_access__wrong_or_missing_password__refused_at_once(void **state)
{
    (void)state;
    pgk_error err;
    char conninfo[256];
    snprintf(conninfo, sizeof(conninfo),
             "host=127.0.0.1 port=%d dbname=postgres user=postgres password=wrong",
             pgserver_port(guarded));
    refused(conninfo, NULL, PGK_ERR_ACCESS, &err);
    assert_string_equal(err.sqlstate, "28P01");
    assert_int_equal(err.flags & PGK_ERROR_RETRYABLE, 0);
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d dbname=postgres user=postgres",
             pgserver_port(guarded));
    refused(conninfo, NULL, PGK_ERR_ACCESS, &err);
    assert_non_null(strstr(err.message, "password"));
    snprintf(conninfo, sizeof(conninfo),
             "host=127.0.0.1 port=%d dbname=postgres user=nobody_of_that_name password=x",
             pgserver_port(guarded));
    refused(conninfo, NULL, PGK_ERR_ACCESS, &err);
}

static void test_access__encryption_asked_and_not_offered__refused_at_once(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    char conninfo[PGSERVER_CONNINFO_SIZE + 32];
    snprintf(conninfo, sizeof(conninfo), "%s sslmode=require", fixture->conninfo_tcp);
    refused(conninfo, NULL, PGK_ERR_ACCESS, &err);
    assert_non_null(strstr(err.message, "SSL"));
}

static void test_access__missing_database__refused_at_once(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    char conninfo[PGSERVER_CONNINFO_SIZE];
    pgserver_conninfo(fixture->server, "no_such_database", conninfo, sizeof(conninfo));
    refused(conninfo, NULL, PGK_ERR_ACCESS, &err);
    assert_string_equal(err.sqlstate, "3D000");
    assert_non_null(strstr(err.message, "no_such_database"));
}

static void test_access__missing_schema__names_the_command(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    refused(fixture->conninfo, "no such schema", PGK_ERR_SCHEMA, &err);
    assert_non_null(strstr(err.message, "no such schema"));
    assert_non_null(strstr(err.message, "migrate up"));
    db_exec(fixture, "DROP SCHEMA pgkeeper CASCADE");
    refused(fixture->conninfo, NULL, PGK_ERR_SCHEMA, &err);
    assert_non_null(strstr(err.message, "migrate up"));
}

static void test_access__schema_too_new_or_too_old__says_which_to_upgrade(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    db_exec(fixture, "UPDATE pgkeeper.schema_meta SET schema_version = 99, min_client_schema = 98");
    refused(fixture->conninfo, NULL, PGK_ERR_SCHEMA, &err);
    assert_non_null(strstr(err.message, "98"));
    assert_null(strstr(err.message, "migrate up"));
    /* A newer schema that still admits us is fine. */
    db_exec(fixture, "UPDATE pgkeeper.schema_meta SET schema_version = 99, min_client_schema = 1");
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
}

static void test_access__no_rights_on_the_schema__refused_with_that_sqlstate(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    char conninfo[PGSERVER_CONNINFO_SIZE + 32];
    db_exec(fixture, "DO $$ BEGIN CREATE ROLE stranger LOGIN; EXCEPTION WHEN duplicate_object"
                     " THEN NULL; END $$");
    snprintf(conninfo, sizeof(conninfo), "%s user=stranger", fixture->conninfo);
    refused(conninfo, NULL, PGK_ERR_ACCESS, &err);
    assert_string_equal(err.sqlstate, "42501");
}

static void test_access__login_taken_away_while_leading__reported_without_a_storm(void **state)
{
    struct fixture *fixture = *state;
    char conninfo[PGSERVER_CONNINFO_SIZE + 32];
    db_exec(fixture, "DO $$ BEGIN CREATE ROLE fired LOGIN SUPERUSER; EXCEPTION WHEN"
                     " duplicate_object THEN NULL; END $$");
    db_exec(fixture, "ALTER SYSTEM SET log_connections = on");
    db_exec(fixture, "SELECT pg_reload_conf()");
    snprintf(conninfo, sizeof(conninfo), "%s user=fired", fixture->conninfo);
    struct process *a = contest_start(fixture, "a", "--conninfo", conninfo, NULL);
    int64_t epoch = contest_granted(a);
    db_exec(fixture, "ALTER ROLE fired NOLOGIN");
    db_exec(fixture, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                     " WHERE usename = 'fired'");
    contest_revoked(a);
    process_expect(a, "error dispatcher PGK_ERR_ACCESS 28000", WAIT_LONG_MS);
    size_t before = log_count(fixture, "role \"fired\" is not permitted to log in");
    wait_pause_ms(6000);
    size_t storm = log_count(fixture, "role \"fired\" is not permitted to log in") - before;
    assert_in_range(storm, 0,
                    10); /* two sessions, each after 2.5 to 5 s (five times max-retry-wait) */
    assert_in_range(process_count(a, "error dispatcher PGK_ERR_ACCESS"), 1, 2);
    db_exec(fixture, "ALTER ROLE fired LOGIN");
    assert_true(contest_granted(a) > epoch);
    check_reasons(fixture, "master", "terminated");
    check_history(fixture);
    check_alternates(a);
    db_exec(fixture, "ALTER SYSTEM RESET log_connections");
    db_exec(fixture, "SELECT pg_reload_conf()");
}

/* ---- too many connections: an ordinary role on the server with few of them */

static void prepare_app(char *conninfo, size_t size)
{
    pgk_error err;
    static const char *const statements[] = {
        "CREATE ROLE app LOGIN PASSWORD 'app'", "GRANT USAGE ON SCHEMA pgkeeper TO app",
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pgkeeper TO app",
        "GRANT SELECT ON ALL TABLES IN SCHEMA pgkeeper TO app", NULL};
    snprintf(conninfo, size, "host=127.0.0.1 port=%d dbname=crowded user=app password=app",
             pgserver_port(guarded));
    setenv("PGPASSWORD", PASSWORD, 1);
    fixture_migrate(guarded, "crowded");
    unsetenv("PGPASSWORD");
    for (size_t i = 0; statements[i] != NULL; i++) {
        if (pgserver_sql(guarded, "crowded", statements[i], &err) != PGK_OK) {
            fail_msg("%s: %s", statements[i], err.message);
        }
    }
}

static size_t fill(PGconn *crowd[16], const char *conninfo)
{
    size_t count = 0;
    while (count < 16) {
        crowd[count] = PQconnectdb(conninfo);
        if (PQstatus(crowd[count]) != CONNECTION_OK) {
            PQfinish(crowd[count]);
            break;
        }
        count++;
    }
    assert_in_range(count, 5, 15);
    return count;
}

static void empty(PGconn *crowd[16], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        PQfinish(crowd[i]);
    }
}

static void test_access__too_many_connections__retried_within_the_time(void **state)
{
    struct fixture *fixture = *state;
    char conninfo[256];
    PGconn *crowd[16];
    prepare_app(conninfo, sizeof(conninfo));
    size_t count = fill(crowd, conninfo);
    struct process *hasty =
        contest_spawn(fixture, "hasty", "--conninfo", conninfo, "--set",
                      "high-availability.postgres.connect-timeout=600 ms", NULL);
    const char *line = process_expect(hasty, "open - PGK_ERR_", WAIT_LONG_MS);
    if (strstr(line, "53300") == NULL) {
        fail_msg("not the true reason: %s", line);
    }
    struct process *patient =
        contest_spawn(fixture, "patient", "--conninfo", conninfo, "--set",
                      "high-availability.postgres.connect-timeout=60 s", NULL);
    assert_null(process_seek(patient, "open", 1500));
    empty(crowd, count);
    process_expect(patient, "open - PGK_OK", WAIT_LONG_MS);
    int64_t epoch = contest_granted(patient);
    /* The same while it leads, and its session ends. */
    count = fill(crowd, conninfo);
    PGconn *admin = NULL;
    char text[512];
    snprintf(text, sizeof(text),
             "host=127.0.0.1 port=%d dbname=crowded user=postgres password='a pass\\'word'",
             pgserver_port(guarded));
    admin = db_connect(text);
    PQclear(PQexec(admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                          " WHERE application_name LIKE 'pgkeeper:%:lock:%'"));
    contest_revoked(patient);
    empty(crowd, count);
    assert_true(contest_granted(patient) > epoch);
    PGresult *result =
        PQexec(admin, "SELECT string_agg(end_reason, ',') FROM pgkeeper.leader_history");
    assert_int_equal(PQntuples(result), 1);
    assert_string_equal(PQgetvalue(result, 0, 0), "terminated");
    PQclear(result);
    PQfinish(admin);
    check_alternates(patient);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_access__wrong_or_missing_password__refused_at_once),
        DB_TEST(test_access__encryption_asked_and_not_offered__refused_at_once),
        DB_TEST(test_access__missing_database__refused_at_once),
        DB_TEST(test_access__missing_schema__names_the_command),
        DB_TEST(test_access__schema_too_new_or_too_old__says_which_to_upgrade),
        DB_TEST(test_access__no_rights_on_the_schema__refused_with_that_sqlstate),
        DB_TEST(test_access__login_taken_away_while_leading__reported_without_a_storm),
        DB_TEST(test_access__too_many_connections__retried_within_the_time),
    };
    return cmocka_run_group_tests_name("access", tests, group_setup, group_teardown);
}
