/* tests/lib/fixture.c - see fixture.h. Owns the server, the database, the connection, the belief book and
 * the proxy of the test that runs. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wait.h"

#ifndef PGK_TEST_COMMAND
#define PGK_TEST_COMMAND "pgkeeper" /* by PATH */
#endif
#define TEMPLATE "pgk_template"

static const char *command_path(void)
{
    const char *path = getenv("PGK_TEST_COMMAND");
    return path != NULL && path[0] != '\0' ? path : PGK_TEST_COMMAND;
}

static void must(pgk_status status, const pgk_error *err, const char *what)
{
    if (status != PGK_OK) {
        fail_msg("%s: %s: %s", what, pgk_status_name(status), err->message);
    }
}

static void migrate(const char *conninfo, const char *schema)
{
    const char *const argv[] = {command_path(), "-d",      conninfo, "--schema",
                                schema,         "migrate", "up",     NULL};
    char *output = NULL;
    int code = process_run(argv, NULL, &output);
    if (code != 0) {
        fail_msg("%s migrate up: exit code %d: %s", argv[0], code, output);
    }
    free(output);
}

void fixture_migrate(struct pgserver *server, const char *database)
{
    pgk_error err;
    char conninfo[PGSERVER_CONNINFO_SIZE];
    char statement[128];
    snprintf(statement, sizeof(statement), "CREATE DATABASE %s", database);
    must(pgserver_sql(server, "postgres", statement, &err), &err, statement);
    pgserver_conninfo(server, database, conninfo, sizeof(conninfo));
    migrate(conninfo, "pgkeeper");
}

/* With PGK_TEST_AS_APPLICATION in the environment the library logs in as a member of the application role of
 * sql/roles.sql, and the test itself as before: so every call of the library is tried with those rights alone. */
#define APPLICATION "test_application"

static bool as_application(void)
{
    const char *wanted = getenv("PGK_TEST_AS_APPLICATION");
    return wanted != NULL && wanted[0] != '\0';
}

static void run_roles(struct pgserver *server, const char *database, const char *schema)
{
    char conninfo[PGSERVER_CONNINFO_SIZE];
    char psql[PGSERVER_CONNINFO_SIZE];
    char variable[128];
    char *output = NULL;
    pgserver_conninfo(server, database, conninfo, sizeof(conninfo));
    snprintf(psql, sizeof(psql), "%s/psql", pgserver_bin_dir(server));
    snprintf(variable, sizeof(variable), "schema=%s", schema);
    const char *const argv[] = {
        psql, "-qX", "-d", conninfo, "-v", variable, "-f", PGK_SOURCE_DIR "/sql/roles.sql", NULL};
    if (process_run(argv, NULL, &output) != 0) {
        fail_msg("sql/roles.sql: %s", output);
    }
    free(output);
}

void fixture_run_roles(struct fixture *fixture)
{
    run_roles(fixture->server, fixture->database, "pgkeeper");
}

static void make_application(struct pgserver *server)
{
    pgk_error err;
    run_roles(server, TEMPLATE, "pgkeeper");
    must(pgserver_sql(server, TEMPLATE,
                      "CREATE ROLE " APPLICATION " LOGIN IN ROLE pgkeeper_application;"
                      " GRANT ALL ON public.written, public.written_id_seq TO " APPLICATION,
                      &err),
         &err, "role " APPLICATION);
}

static void log_in_as_application(char *conninfo, size_t size)
{
    size_t length = strlen(conninfo);
    int n =
        snprintf(conninfo + length, size - length, " user=" APPLICATION); /* the last one counts */
    assert_true(n > 0 && length + (size_t)n < size);
}

void fixture_migrate_schema(struct fixture *fixture, const char *schema)
{
    char conninfo[PGSERVER_CONNINFO_SIZE];
    pgserver_conninfo(fixture->server, fixture->database, conninfo, sizeof(conninfo));
    migrate(conninfo, schema);
    if (as_application()) {
        run_roles(fixture->server, fixture->database, schema);
    }
}

void fixture_start(struct fixture *fixture, const char *const settings[])
{
    /* fsync off: the tests kill servers, never the machine. */
    static const char *const defaults[] = {"fsync=off", "log_lock_waits=on", "log_connections=off",
                                           NULL};
    pgk_error err;
    struct pgserver_options options = {.tcp = true,
                                       .settings = settings != NULL ? settings : defaults};
    memset(fixture, 0, sizeof(*fixture));
    must(pgserver_start(&options, &fixture->server, &err), &err, "starting a server");
    fixture_migrate(fixture->server, TEMPLATE);
    must(pgserver_sql(fixture->server, TEMPLATE,
                      "CREATE TABLE public.written (id bigserial PRIMARY KEY, writer text NOT NULL,"
                      " epoch bigint NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())",
                      &err),
         &err, "table of the writers");
    if (as_application()) {
        make_application(fixture->server);
    }
}

void fixture_stop(struct fixture *fixture)
{
    pgserver_free(fixture->server);
    fixture->server = NULL;
}

static struct fixture the_fixture;

int fixture_group_setup(void **state)
{
    fixture_start(&the_fixture, NULL);
    *state = &the_fixture;
    return 0;
}

int fixture_group_teardown(void **state)
{
    fixture_stop(*state);
    return 0;
}

int fixture_setup(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    char statement[128];
    snprintf(fixture->database, sizeof(fixture->database), "t_%d", ++fixture->databases);
    snprintf(statement, sizeof(statement), "CREATE DATABASE %s TEMPLATE %s", fixture->database,
             TEMPLATE);
    must(pgserver_sql(fixture->server, "postgres", statement, &err), &err, statement);
    pgserver_conninfo(fixture->server, fixture->database, fixture->conninfo,
                      sizeof(fixture->conninfo));
    pgserver_conninfo_tcp(fixture->server, fixture->database, fixture->conninfo_tcp,
                          sizeof(fixture->conninfo_tcp));
    snprintf(fixture->belief_path, sizeof(fixture->belief_path), "%s/belief.%d",
             pgserver_socket_dir(fixture->server), fixture->databases);
    fixture->book = belief_book_open(fixture->belief_path);
    assert_non_null(fixture->book);
    fixture->conn = db_connect(fixture->conninfo);
    if (as_application()) {
        log_in_as_application(fixture->conninfo, sizeof(fixture->conninfo));
        log_in_as_application(fixture->conninfo_tcp, sizeof(fixture->conninfo_tcp));
    }
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    process_free_all();
    proxy_stop(fixture->proxy);
    fixture->proxy = NULL;
    belief_book_close(fixture->book);
    fixture->book = NULL;
    PQfinish(fixture->conn);
    fixture->conn = NULL;
    unlink(fixture->belief_path);
    return 0;
}

struct proxy *fixture_proxy(struct fixture *fixture, char *out, size_t size)
{
    fixture->proxy = proxy_start(NULL, pgserver_port(fixture->server));
    snprintf(out, size, "host=127.0.0.1 port=%d dbname=%s user=%s", proxy_port(fixture->proxy),
             fixture->database, as_application() ? APPLICATION : PGSERVER_USER);
    return fixture->proxy;
}

void fixture_server_user(const struct fixture *fixture, uid_t *ret_uid, gid_t *ret_gid)
{
    struct stat data;
    assert_int_equal(stat(pgserver_data_dir(fixture->server), &data), 0);
    *ret_uid = data.st_uid;
    *ret_gid = data.st_gid;
}
