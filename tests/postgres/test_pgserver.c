/*
 * tests/postgres/test_pgserver.c - the private server against PostgreSQL itself: what it promises to
 * those who use it in their own tests. Single-threaded; processes are waited for by event, never by sleeping.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <libpq-fe.h>

#include "core/clock.h"
#include "pgserver/pgserver.h"

#define DEADLINE_NS (60 * NS_PER_S)

static void ok(pgk_status status, const pgk_error *err)
{
    if (status != PGK_OK)
        fail_msg("%s: %s", err->origin, err->message);
}

static struct pgserver *started(const struct pgserver_options *options)
{
    struct pgserver *server = NULL;
    pgk_error err;

    ok(pgserver_start(options, &server, &err), &err);
    assert_non_null(server);
    return server;
}

/* The one value of a query, or the error message; static buffer. */
static const char *ask(const char *conninfo, const char *sql)
{
    static char answer[256];
    PGconn *conn = PQconnectdb(conninfo);
    PGresult *result = PQstatus(conn) == CONNECTION_OK ? PQexec(conn, sql) : NULL;

    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
        snprintf(answer, sizeof(answer), "%s", PQgetvalue(result, 0, 0));
    else
        snprintf(answer, sizeof(answer), "%s", PQerrorMessage(conn));
    PQclear(result);
    PQfinish(conn);
    return answer;
}

static const char *ask_server(const struct pgserver *server, const char *sql)
{
    char conninfo[PGSERVER_CONNINFO_SIZE];

    pgserver_conninfo(server, NULL, conninfo, sizeof(conninfo));
    return ask(conninfo, sql);
}

static bool exists(const char *path)
{
    struct stat info;

    return lstat(path, &info) == 0;
}

static bool is_gone(pid_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

/* Asks `question` again until it says yes or the deadline passes. */
static bool comes_true(bool (*question)(const void *), const void *argument)
{
    int64_t deadline = clock_now_ns() + DEADLINE_NS;

    while (!question(argument)) {
        if (clock_now_ns() > deadline)
            return false;
        poll(NULL, 0, 10);
    }
    return true;
}

static void test_pgserver__started__answers_and_is_tuned(void **state)
{
    static const char *const settings[] = {"work_mem=5MB", "search_path='it''s', public", NULL};
    const struct pgserver_options options = {.settings = settings};
    struct pgserver *server = started(&options);
    struct stat info;

    (void)state;
    assert_string_equal(ask_server(server, "SHOW fsync"), "on");
    assert_string_equal(ask_server(server, "SHOW shared_buffers"), "32MB");
    assert_string_equal(ask_server(server, "SHOW max_connections"), "200");
    assert_string_equal(ask_server(server, "SHOW work_mem"), "5MB");
    assert_string_equal(ask_server(server, "SHOW search_path"), "'it''s', public");
    assert_string_equal(ask_server(server, "SHOW server_encoding"), "UTF8");
    assert_string_equal(ask_server(server, "SELECT 1 FROM pg_stat_activity WHERE client_port = -1"
                                           " AND pid = pg_backend_pid()"),
                        "1");
    assert_int_equal(stat(pgserver_socket_dir(server), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_true(pgserver_pid(server) > 0);
    assert_true(exists(pgserver_log_path(server)));
    pgserver_free(server);
}

static void test_pgserver__freed__is_removed(void **state)
{
    struct pgserver *server = started(NULL);
    char *dir = strdup(pgserver_socket_dir(server));
    pid_t pid = pgserver_pid(server);

    (void)state;
    assert_true(exists(dir));
    pgserver_free(server);
    assert_false(exists(dir));
    assert_true(is_gone(pid));
    free(dir);
    pgserver_free(NULL);
}

static void test_pgserver__four_side_by_side__do_not_disturb(void **state)
{
    const struct pgserver_options tcp = {.tcp = true};
    struct pgserver *servers[4];
    char conninfo[PGSERVER_CONNINFO_SIZE];
    char text[32];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        servers[i] = started(i % 2 == 0 ? &tcp : NULL);
    for (size_t i = 0; i < 4; i++) {
        snprintf(text, sizeof(text), "CREATE DATABASE db%zu", i);
        pgk_error err;
        ok(pgserver_sql(servers[i], NULL, text, &err), &err);
    }
    for (size_t i = 0; i < 4; i++) {
        snprintf(text, sizeof(text), "db%zu", i);
        assert_string_equal(
            ask_server(servers[i], "SELECT datname FROM pg_database WHERE oid >= 16384"), text);
        if (i % 2 == 0) {
            pgserver_conninfo_tcp(servers[i], text, conninfo, sizeof(conninfo));
            assert_string_equal(ask(conninfo, "SELECT host(inet_server_addr())"), "127.0.0.1");
        }
    }
    assert_int_not_equal(pgserver_port(servers[0]), pgserver_port(servers[2]));
    for (size_t i = 0; i < 4; i++)
        pgserver_free(servers[i]);
}

struct orphan {
    pid_t postmaster;
    char dir[200];
};

static bool orphan_is_gone(const void *argument)
{
    const struct orphan *orphan = argument;

    return is_gone(orphan->postmaster) && !exists(orphan->dir);
}

static void own_a_server(const int fds[2])
{
    const int report = fds[1];
    struct pgserver *server = NULL;
    struct orphan orphan = {0};
    pgk_error err;

    close(fds[0]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pgserver_start(NULL, &server, &err) != PGK_OK)
        _exit(1);
    orphan.postmaster = pgserver_pid(server);
    snprintf(orphan.dir, sizeof(orphan.dir), "%s", pgserver_socket_dir(server));
    /* A forked child keeps copies of every descriptor; the server must go nevertheless. It ends when the
     * test closes its end of the pipe. */
    pid_t copy = fork();
    if (copy == 0) {
        struct pollfd reader = {.fd = report};
        poll(&reader, 1, -1);
        _exit(0);
    }
    if (copy < 0 || write(report, &orphan, sizeof(orphan)) != (ssize_t)sizeof(orphan))
        _exit(1);
    for (;;)
        pause();
}

static void test_pgserver__owner_killed__process_and_directory_go(void **state)
{
    struct orphan orphan;
    int fds[2];
    int status = 0;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    pid_t owner = fork();
    if (owner == 0)
        own_a_server(fds);
    close(fds[1]);
    assert_int_equal(read(fds[0], &orphan, sizeof(orphan)), sizeof(orphan));
    assert_false(is_gone(orphan.postmaster));
    assert_true(exists(orphan.dir));
    kill(owner, SIGKILL);
    assert_int_equal(waitpid(owner, &status, 0), owner);
    assert_true(comes_true(orphan_is_gone, &orphan));
    close(fds[0]);
}

static void *start_in_thread(void *result)
{
    *(struct pgserver **)result = started(NULL);
    return NULL;
}

static void test_pgserver__starting_thread_ended__server_stays(void **state)
{
    struct pgserver *server = NULL;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, start_in_thread, &server), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_not_equal(pgserver_pid(server), 0);
    assert_string_equal(ask_server(server, "SELECT 1"), "1");
    pgserver_free(server);
}

static pid_t parent_of(pid_t pid)
{
    char path[64];
    char line[256];
    long parent = 0;

    snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "PPid:", 5) == 0)
            parent = strtol(line + 5, NULL, 10);
    }
    fclose(file);
    return (pid_t)parent;
}

static bool process_is_gone(const void *argument)
{
    return is_gone(*(const pid_t *)argument);
}

static void test_pgserver__guard_killed__server_ends_and_is_removed(void **state)
{
    struct pgserver *server = started(NULL);
    char *dir = strdup(pgserver_socket_dir(server));
    pid_t postmaster = pgserver_pid(server);
    pid_t guard = parent_of(postmaster);
    pgk_error err;

    (void)state;
    assert_int_not_equal(guard, getpid());
    assert_int_equal(kill(guard, SIGINT), 0); /* as ^C in a terminal: not its business */
    assert_string_equal(ask_server(server, "SELECT 1"), "1");
    assert_int_equal(kill(guard, SIGKILL), 0);
    assert_true(comes_true(process_is_gone, &postmaster));
    assert_int_equal(pgserver_pid(server), 0);
    assert_int_equal(pgserver_start_again(server, &err), PGK_ERR_IO);
    pgserver_free(server);
    assert_false(exists(dir));
    free(dir);
}

static void test_pgserver__killed__starts_again_with_its_data(void **state)
{
    const struct pgserver_options tcp = {.tcp = true};
    struct pgserver *server = started(&tcp);
    int port = pgserver_port(server);
    pgk_error err;

    (void)state;
    ok(pgserver_sql(server, NULL, "CREATE TABLE kept AS SELECT 42 AS n", &err), &err);
    for (int i = 0; i < 3; i++) {
        pid_t before = pgserver_pid(server);
        assert_int_equal(pgserver_start_again(server, &err), PGK_ERR_ILLEGAL_STATE);
        ok(pgserver_kill(server, &err), &err);
        assert_int_equal(pgserver_pid(server), 0);
        assert_true(is_gone(before));
        ok(pgserver_start_again(server, &err), &err);
        assert_int_not_equal(pgserver_pid(server), before);
        assert_string_equal(ask_server(server, "SELECT n FROM kept"), "42");
    }
    assert_int_equal(pgserver_port(server), port);
    pgserver_free(server);
}

/* The id of the System V segment of a server: the second number of line 7. */
static int segment_of(const struct pgserver *server)
{
    char path[PATH_MAX];
    char line[256] = "";
    snprintf(path, sizeof(path), "%s/postmaster.pid", pgserver_data_dir(server));
    FILE *file = fopen(path, "re");
    for (int i = 0; i < 7; i++)
        assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    return (int)strtoul(strrchr(line, ' '), NULL, 10);
}

static bool segment_is_gone(const void *argument)
{
    struct shmid_ds info;
    return shmctl(*(const int *)argument, IPC_STAT, &info) != 0;
}

static void test_pgserver__killed_and_freed__leaves_no_shared_memory(void **state)
{
    struct pgserver *server = started(NULL);
    int id = segment_of(server);
    (void)state;
    assert_string_equal(ask_server(server, "SHOW dynamic_shared_memory_type"), "mmap");
    assert_int_equal(pgserver_kill(server, NULL), PGK_OK);
    assert_false(segment_is_gone(&id));
    pgserver_free(server);
    assert_true(comes_true(segment_is_gone, &id));
}

static void test_pgserver__each_stop_mode__ends_and_restarts(void **state)
{
    struct pgserver *server = started(NULL);
    char conninfo[PGSERVER_CONNINFO_SIZE];
    pgk_error err;

    (void)state;
    ok(pgserver_sql(server, NULL, "ALTER SYSTEM SET work_mem = '7MB'", &err), &err);
    ok(pgserver_restart(server, PGSERVER_FAST, &err), &err);
    assert_string_equal(ask_server(server, "SHOW work_mem"), "7MB");
    ok(pgserver_restart(server, PGSERVER_IMMEDIATE, &err), &err);
    pgserver_conninfo(server, NULL, conninfo, sizeof(conninfo));
    PGconn *conn = PQconnectdb(conninfo);
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    assert_int_equal(pgserver_stop(server, PGSERVER_SMART, 200, &err), PGK_ERR_TIMEOUT);
    PQfinish(conn);
    ok(pgserver_stop(server, PGSERVER_SMART, 0, &err), &err);
    ok(pgserver_stop(server, PGSERVER_SMART, 0, &err), &err);
    assert_int_equal(pgserver_reload(server, &err), PGK_ERR_ILLEGAL_STATE);
    pgserver_free(server);
}

static bool has_kept(const void *argument)
{
    return strcmp(ask_server(argument, "SELECT n FROM kept"), "42") == 0;
}

static void test_pgserver__standby_promoted__takes_writes(void **state)
{
    const struct pgserver_options with_password = {.password = "it's \\ secret"};
    struct pgserver *primary = started(&with_password);
    struct pgserver *standby = NULL;
    pgk_error err;

    (void)state;
    ok(pgserver_standby(primary, NULL, &standby, &err), &err);
    assert_string_equal(ask_server(standby, "SELECT pg_is_in_recovery()"), "t");
    ok(pgserver_sql(primary, NULL, "CREATE TABLE kept AS SELECT 42 AS n", &err), &err);
    assert_true(comes_true(has_kept, standby));
    ok(pgserver_kill(primary, &err), &err);
    ok(pgserver_promote(standby, &err), &err);
    ok(pgserver_sql(standby, NULL, "INSERT INTO kept VALUES (43)", &err), &err);
    assert_string_equal(ask_server(standby, "SELECT count(*) FROM kept"), "2");
    pgserver_free(standby);
    pgserver_free(primary);
}

static void test_pgserver__with_password__refuses_another(void **state)
{
    const struct pgserver_options options = {.password = "right", .tcp = true};
    struct pgserver *server = started(&options);
    char conninfo[PGSERVER_CONNINFO_SIZE];

    (void)state;
    assert_string_equal(ask_server(server, "SELECT 1"), "1");
    snprintf(conninfo, sizeof(conninfo),
             "host=127.0.0.1 port=%d user=postgres dbname=postgres password=wrong",
             pgserver_port(server));
    assert_non_null(strstr(ask(conninfo, "SELECT 1"), "password authentication failed"));
    pgserver_free(server);
}

static bool takes_5mb(const void *argument)
{
    return strcmp(ask_server(argument, "SHOW work_mem"), "5MB") == 0;
}

static void test_pgserver__reloaded__reads_its_settings(void **state)
{
    struct pgserver *server = started(NULL);
    pgk_error err;

    (void)state;
    ok(pgserver_sql(server, NULL, "ALTER SYSTEM SET work_mem = '5MB'", &err), &err);
    assert_false(takes_5mb(server));
    ok(pgserver_reload(server, &err), &err);
    assert_true(comes_true(takes_5mb, server));
    pgserver_free(server);
}

/* A directory of a stopped server with a table kept(n): 42. */
static void make_kept(char dir[])
{
    pgk_error err;

    assert_non_null(mkdtemp(dir));
    assert_int_equal(rmdir(dir), 0); /* the server makes it, for whom it runs as */
    const struct pgserver_options options = {.directory = dir};
    struct pgserver *server = started(&options);
    ok(pgserver_sql(server, NULL, "CREATE TABLE kept AS SELECT 42 AS n", &err), &err);
    pgserver_free(server);
    assert_true(exists(dir));
}

static void remove_kept(const char *dir)
{
    char command[64];

    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

static void test_pgserver__named_directory__keeps_the_data(void **state)
{
    char dir[] = "/tmp/pgk-kept-XXXXXX";
    const struct pgserver_options options = {.directory = dir};

    (void)state;
    make_kept(dir);
    struct pgserver *server = started(&options);
    assert_string_equal(ask_server(server, "SELECT n FROM kept"), "42");
    pgserver_free(server);
    remove_kept(dir);
}

static void test_pgserver__template__is_copied(void **state)
{
    char dir[] = "/tmp/pgk-kept-XXXXXX";
    char data[64];
    pgk_error err;

    (void)state;
    make_kept(dir);
    snprintf(data, sizeof(data), "%s/data", dir);
    setenv("PGKEEPER_INITDB_TEMPLATE", data, 1);
    struct pgserver *copy = started(NULL);
    struct pgserver *other = started(NULL);
    ok(pgserver_sql(copy, NULL, "UPDATE kept SET n = 43", &err), &err);
    assert_string_equal(ask_server(copy, "SELECT n FROM kept"), "43");
    assert_string_equal(ask_server(other, "SELECT n FROM kept"), "42");
    pgserver_free(copy);
    pgserver_free(other);
    remove_kept(dir);
    copy = NULL;
    assert_int_equal(pgserver_start(NULL, &copy, &err), PGK_ERR_IO);
    unsetenv("PGKEEPER_INITDB_TEMPLATE");
    assert_null(copy);
    assert_non_null(strstr(err.message, data));
}

static void test_pgserver__programs_missing__says_where_it_looked(void **state)
{
    struct pgserver *server = NULL;
    const char *before = getenv("PGKEEPER_PG_BINDIR");
    char *kept = before != NULL ? strdup(before) : NULL;
    pgk_error err;

    (void)state;
    setenv("PGKEEPER_PG_BINDIR", "/no/such/place", 1);
    assert_int_equal(pgserver_start(NULL, &server, &err), PGK_ERR_NOT_FOUND);
    assert_null(server);
    assert_non_null(strstr(err.message, "PGKEEPER_PG_BINDIR is \"/no/such/place\""));
    if (kept != NULL)
        setenv("PGKEEPER_PG_BINDIR", kept, 1);
    else
        unsetenv("PGKEEPER_PG_BINDIR");
    free(kept);
}

static void test_pgserver__bad_setting__quotes_the_server(void **state)
{
    static const char *const settings[] = {"work_mem=plenty", NULL};
    const struct pgserver_options options = {.settings = settings};
    struct pgserver *server = NULL;
    pgk_error err;

    (void)state;
    assert_int_equal(pgserver_start(&options, &server, &err), PGK_ERR_IO);
    assert_null(server);
    assert_non_null(strstr(err.message, "work_mem"));
}

static void test_pgserver__impossible_directory__names_it(void **state)
{
    const struct pgserver_options options = {.directory = "/no/such/parent/dir"};
    struct pgserver *server = NULL;
    pgk_error err;

    (void)state;
    assert_int_equal(pgserver_start(&options, &server, &err), PGK_ERR_IO);
    assert_non_null(strstr(err.message, "/no/such/parent/dir"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pgserver__started__answers_and_is_tuned),
        cmocka_unit_test(test_pgserver__freed__is_removed),
        cmocka_unit_test(test_pgserver__four_side_by_side__do_not_disturb),
        cmocka_unit_test(test_pgserver__owner_killed__process_and_directory_go),
        cmocka_unit_test(test_pgserver__starting_thread_ended__server_stays),
        cmocka_unit_test(test_pgserver__guard_killed__server_ends_and_is_removed),
        cmocka_unit_test(test_pgserver__killed__starts_again_with_its_data),
        cmocka_unit_test(test_pgserver__killed_and_freed__leaves_no_shared_memory),
        cmocka_unit_test(test_pgserver__each_stop_mode__ends_and_restarts),
        cmocka_unit_test(test_pgserver__standby_promoted__takes_writes),
        cmocka_unit_test(test_pgserver__with_password__refuses_another),
        cmocka_unit_test(test_pgserver__reloaded__reads_its_settings),
        cmocka_unit_test(test_pgserver__named_directory__keeps_the_data),
        cmocka_unit_test(test_pgserver__template__is_copied),
        cmocka_unit_test(test_pgserver__programs_missing__says_where_it_looked),
        cmocka_unit_test(test_pgserver__bad_setting__quotes_the_server),
        cmocka_unit_test(test_pgserver__impossible_directory__names_it),
    };

    unsetenv("PGKEEPER_INITDB_TEMPLATE"); /* here initdb itself is to run */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
