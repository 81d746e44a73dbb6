/* tests/lib/sql.c - the db_* functions of fixture.h. The test's main thread only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

PGconn *db_connect(const char *conninfo)
{
    PGconn *conn = PQconnectdb(conninfo);
    if (PQstatus(conn) != CONNECTION_OK) {
        char text[512];
        snprintf(text, sizeof(text), "%s", PQerrorMessage(conn));
        PQfinish(conn);
        fail_msg("cannot connect: %s", text);
    }
    PQclear(PQexec(conn, "SET client_min_messages = warning"));
    return conn;
}

/* The test's connection is to be there again after a restart, as soon as the server lets it. */
static void reconnect(struct fixture *fixture)
{
    int64_t end = wait_now_ns() + WAIT_LONG_MS * WAIT_NS_PER_MS;
    while (PQstatus(fixture->conn) != CONNECTION_OK) {
        if (wait_now_ns() > end) {
            fail_msg("the test's connection does not come back: %s", PQerrorMessage(fixture->conn));
        }
        wait_pause_ms(20);
        PQfinish(fixture->conn);
        fixture->conn = PQconnectdb(fixture->conninfo);
    }
}

/* No word of the server itself: the session is gone. libpq may still call the connection good, when it could not
 * send but did read what the server had said before. */
static bool was_cut_off(const PGconn *conn, const PGresult *result)
{
    return PQstatus(conn) != CONNECTION_OK ||
           (PQresultStatus(result) == PGRES_FATAL_ERROR &&
            PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL);
}

/* Runs a formatted statement; retried once when the session had died unnoticed. */
static PGresult *run(struct fixture *fixture, const char *format, va_list args)
{
    char statement[8192];
    int size = vsnprintf(statement, sizeof(statement), format, args);
    assert_true(size > 0 && (size_t)size < sizeof(statement));
    reconnect(fixture);
    PGresult *result = PQexec(fixture->conn, statement);
    if (was_cut_off(fixture->conn, result)) {
        PQclear(result);
        PQreset(fixture->conn);
        reconnect(fixture);
        result = PQexec(fixture->conn, statement);
    }
    return result;
}

static bool worked(const PGresult *result)
{
    ExecStatusType kind = PQresultStatus(result);
    return kind == PGRES_COMMAND_OK || kind == PGRES_TUPLES_OK;
}

static void must_work(const PGresult *result, const char *format)
{
    if (!worked(result)) {
        fail_msg("%s: %s", format, PQresultErrorMessage(result));
    }
}

static void keep_text(struct fixture *fixture, const PGresult *result)
{
    bool some = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0;
    snprintf(fixture->text, sizeof(fixture->text), "%s", some ? PQgetvalue(result, 0, 0) : "");
}

void db_exec(struct fixture *fixture, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PGresult *result = run(fixture, format, args);
    va_end(args);
    must_work(result, format);
    PQclear(result);
}

const char *db_try(struct fixture *fixture, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PGresult *result = run(fixture, format, args);
    va_end(args);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    snprintf(fixture->text, sizeof(fixture->text), "%s",
             worked(result)     ? "00000"
             : sqlstate != NULL ? sqlstate
                                : "08006");
    PQclear(result);
    return fixture->text;
}

const char *db_text(struct fixture *fixture, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PGresult *result = run(fixture, format, args);
    va_end(args);
    must_work(result, format);
    keep_text(fixture, result);
    PQclear(result);
    return fixture->text;
}

int64_t db_int(struct fixture *fixture, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PGresult *result = run(fixture, format, args);
    va_end(args);
    must_work(result, format);
    keep_text(fixture, result);
    PQclear(result);
    char *end = NULL;
    int64_t value = strtoll(fixture->text, &end, 10);
    if (end == fixture->text || *end != '\0') {
        fail_msg("%s: not a number: \"%s\"", format, fixture->text);
    }
    return value;
}

void db_wait(struct fixture *fixture, const char *expected, int timeout_ms, const char *format, ...)
{
    int64_t end = wait_now_ns() + timeout_ms * WAIT_NS_PER_MS;
    while (true) {
        va_list args;
        va_start(args, format);
        PGresult *result = run(fixture, format, args);
        va_end(args);
        bool fine = worked(result);
        keep_text(fixture, result);
        if (!fine) {
            snprintf(fixture->text, sizeof(fixture->text), "%s", PQresultErrorMessage(result));
        }
        PQclear(result);
        if (fine && strcmp(fixture->text, expected) == 0) {
            return;
        }
        if (wait_now_ns() > end) {
            fail_msg("%s: is \"%s\", not \"%s\", after %d ms", format, fixture->text, expected,
                     timeout_ms);
        }
        wait_pause_ms(10);
    }
}

int64_t db_lock_pid(struct fixture *fixture, const char *member_name)
{
    int64_t pid = 0;
    WAIT_UNTIL((pid = db_int(fixture,
                             "SELECT coalesce(max(backend_pid), 0) FROM pgkeeper.stat_contenders"
                             " WHERE member_name = '%s' AND alive",
                             member_name)) != 0,
               WAIT_LONG_MS);
    return pid;
}

int64_t db_sessions(struct fixture *fixture, const char *role)
{
    return db_int(fixture,
                  "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                  " AND application_name LIKE 'pgkeeper:%%:%s:%%'",
                  role);
}
