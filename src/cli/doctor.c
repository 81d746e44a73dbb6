/*
 * doctor.c - `pgkeeper doctor`: is everything set up as it should be? One line per check, with evidence and cure.
 *
 * Most checks are one statement each, sql/doctor/NAME.sql, that a DBA may run as well; here are those that look at the
 * connection or at this command. Changes nothing: the comparison of the schema is undone.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli_statements.h"
#include "migrate.h"
#include "output.h"
#include "stores.h"
#include "verbs.h"

#define CLOCK_OFFSET_WARN_MS 1000
#define COMPARE_TIMEOUT_MS 5000

const char help_doctor[] =
    "usage: pgkeeper doctor [--format F]\n"
    "\n"
    "Checks what pgkeeper depends on, one line each: ok, warn or fail, the evidence,\n"
    "and what to do. Server version and settings, pooler, recovery, schema and drift,\n"
    "rights of this role, owner of the functions, inherited timeouts, clocks,\n"
    "synchronous replication, connections, notification queue, locks held by\n"
    "strangers, large objects, oldest snapshot, pauses, leaders of --cluster. What\n"
    "this role may not look at is a warning, but for drift: only for a role that owns\n"
    "the schema and may make one are its objects compared with what the migrations\n"
    "make, in a transaction that is undone. What does not answer in time (8 s, 2 s\n"
    "for a lock) has failed.\n"
    "\n"
    "Exit code 0: nothing failed (there may be warnings); 1: something did; 3: no\n"
    "connection; 6: no schema, or one too old or too new.\n";

struct doctor {
    struct db db;
    struct cli *cli;
    PGresult *findings; /* check, state, evidence, cure */
    int failed;
    int warned;
};

static void find(struct doctor *doctor, const char *check, const char *state, const char *evidence,
                 const char *cure)
{
    const char *values[] = {check, state, evidence, cure != NULL && cure[0] != '\0' ? cure : NULL};
    output_add_row(doctor->findings, values);
    doctor->failed += strcmp(state, "fail") == 0;
    doctor->warned += strcmp(state, "warn") == 0;
}

/* Why there is no answer. One that is late is as bad for masters as for us. */
static void find_error(struct doctor *doctor, const char *check, const pgk_error *error)
{
    bool late = error->status == PGK_ERR_TIMEOUT;
    find(doctor, check, late ? "fail" : "warn", error->message,
         late ? "somebody holds a lock on a table of pgkeeper, or the server is overloaded: "
                "pg_locks, "
                "pg_stat_activity"
         : error->status == PGK_ERR_ACCESS ? "run it as a role with pgkeeper's monitor role"
                                           : NULL);
}

/* ------------------------------------------------------------------ checks that need more than SQL */

static void check_connection(struct doctor *doctor)
{
    char evidence[512];
    const PGconn *conn = doctor->db.conn;
    snprintf(evidence, sizeof evidence, "role \"%s\", database \"%s\", %s port %s, %s",
             PQuser(conn), PQdb(conn), PQhost(conn), PQport(conn),
             PQsslInUse((PGconn *)conn) ? "encrypted" : "not encrypted");
    find(doctor, "connection", "ok", evidence, NULL);
}

static void check_pooler(struct doctor *doctor)
{
    char evidence[160];
    int answers = doctor->db.server_pid;
    if (!doctor->db.pooled) {
        snprintf(evidence, sizeof evidence, "none: server process %d answers itself", answers);
        find(doctor, "pooler", "ok", evidence, NULL);
        return;
    }
    snprintf(evidence, sizeof evidence, "server process %d answers, the connection says %d",
             answers, PQbackendPID(doctor->db.conn));
    find(doctor, "pooler", "fail", evidence,
         "masters need a direct connection; behind session pooling "
         "high-availability.postgres.allow-session-pooler, for clients retrieval.mode: poll");
}

/* Of this machine: nothing is decided by it, but people compare logs. */
static int64_t wall_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void check_clock(struct doctor *doctor)
{
    DB_RESULT *answer = NULL;
    pgk_error error;
    char evidence[160];
    int64_t before = wall_clock_ms();
    if (db_try(&doctor->db, sql_doctor_clock, 0, NULL, &answer, &error) != PGK_OK) {
        find(doctor, "clock", "warn", error.message, NULL);
        return;
    }
    int64_t after = wall_clock_ms();
    int64_t offset = strtoll(db_text(answer, 0, 0), NULL, 10) - (before + after) / 2;
    bool near = llabs(offset) < CLOCK_OFFSET_WARN_MS;
    snprintf(evidence, sizeof evidence,
             "the server's clock is %" PRId64 " ms ahead of this machine's, +-%" PRId64 " ms",
             offset, (after - before) / 2 + 1);
    find(doctor, "clock", near ? "ok" : "warn", evidence,
         near ? NULL
              : "no lease depends on it, but times in logs and views do not compare: look at NTP");
}

/* The migrations as they were applied, against those in this command. */
static bool hashes_differ(struct doctor *doctor, char *evidence, size_t size)
{
    DB_RESULT *applied = NULL;
    pgk_error error;
    if (db_try(&doctor->db, sql_doctor_hashes, 0, NULL, &applied, &error) != PGK_OK) {
        snprintf(evidence, size, "%s", error.message);
        return true;
    }
    for (int row = 0; row < PQntuples(applied); row++) {
        int version = db_int(applied, row, 0);
        if (version >= 1 && version <= migrations_count &&
            strcmp(migrations[version - 1].sha256, db_text(applied, row, 2)) != 0) {
            snprintf(evidence, size, "migration %04d_%s is not the one that was applied", version,
                     db_text(applied, row, 1));
            return true;
        }
    }
    return false;
}

static void check_drift(struct doctor *doctor)
{
    static const char cure[] = "pgkeeper migrate verify shows what differs";
    DB_RESULT *may = NULL, *rows = NULL;
    pgk_error error;
    char evidence[PGK_ERROR_MESSAGE_SIZE];
    if (hashes_differ(doctor, evidence, sizeof evidence)) {
        find(doctor, "drift", "fail", evidence, cure);
        return;
    }
    if (doctor->db.pooled ||
        db_try(&doctor->db, sql_doctor_may_compare, 0, NULL, &may, &error) != PGK_OK ||
        !db_bool(may, 0, 0)) {
        find(doctor, "drift", "ok",
             "all migrations are those of this command; objects not compared",
             "to compare them, run it on a primary, directly, as a role that owns the schema and "
             "may "
             "make one");
        return;
    }
    if (migrate_differences(doctor->cli, COMPARE_TIMEOUT_MS, &rows) != CLI_OK) {
        find(doctor, "drift", "warn", "the schema could not be compared", cure);
        return;
    }
    if (PQntuples(rows) == 0) {
        find(doctor, "drift", "ok", "the schema is what the migrations make", NULL);
        return;
    }
    snprintf(evidence, sizeof evidence, "%d objects differ, the first is %s %s (%s)",
             PQntuples(rows), db_text(rows, 0, 0), db_text(rows, 0, 1), db_text(rows, 0, 2));
    find(doctor, "drift", "fail", evidence, cure);
}

static void check_leaders(struct doctor *doctor)
{
    static const char *const states[] = {"ok", "warn", "fail"};
    const char *values[] = {db_cluster(&doctor->db), "1"};
    DB_RESULT *state = NULL;
    pgk_error error;
    if (db_try(&doctor->db, sql_status_state, 2, values, &state, &error) != PGK_OK) {
        find_error(doctor, "leaders", &error);
        return;
    }
    int level = db_int(state, 0, 1);
    find(doctor, "leaders", states[level], db_text(state, 0, 2),
         level == 0 ? NULL : "pgkeeper leaders, contenders and history tell more");
}

/* ------------------------------------------------------------------ checks that are one statement */

struct check {
    const char *name;
    const char *sql;
    bool schema; /* needs the schema */
};

static void run_check(struct doctor *doctor, const struct check *check)
{
    char version[16];
    snprintf(version, sizeof version, "%d", migrations_count);
    const char *values[] = {version};
    int n = check->sql == sql_doctor_schema ? 1 : 0;
    DB_RESULT *found = NULL;
    pgk_error error;
    pgk_status status = db_try(&doctor->db, check->sql, n, values, &found, &error);
    if (status != PGK_OK) {
        find_error(doctor, check->name, &error);
        return;
    }
    if (PQntuples(found) == 0) {
        find(doctor, check->name, "warn", "nothing to look at", NULL);
        return;
    }
    find(doctor, check->name, db_text(found, 0, 0), db_text(found, 0, 1), db_text(found, 0, 2));
}

static void run_checks(struct doctor *doctor, bool schema)
{
    const struct check checks[] = {{"server", sql_doctor_server, false},
                                   {"recovery", sql_doctor_recovery, false},
                                   {"timeouts", sql_doctor_timeouts, false},
                                   {"replication", sql_doctor_replication, false},
                                   {"connections", sql_doctor_connections, false},
                                   {"notifications", sql_doctor_queue, false},
                                   {"horizon", sql_doctor_horizon, false},
                                   {"schema", sql_doctor_schema, true},
                                   {"rights", sql_doctor_rights, true},
                                   {"owner", sql_doctor_owner, true},
                                   {"locks", sql_doctor_locks, true},
                                   {"blobs", sql_doctor_blobs, true},
                                   {"elections", sql_doctor_elections, true}};
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        if (checks[i].schema == schema) {
            run_check(doctor, &checks[i]);
        }
    }
}

/* ------------------------------------------------------------------ all of it */

/* What can be said of a schema that cannot be used: db_open_for() has said it on stderr. */
static int examine_schema(struct doctor *doctor)
{
    struct db db;
    int code = db_open_for(&db, doctor->cli, SCHEMA_OF_OPERATIONS);
    db_close(&db);
    if (code == CLI_SCHEMA) {
        find(doctor, "schema", "fail", "missing, too old or too new for this command",
             "pgkeeper migrate up, or a newer pgkeeper: see standard error");
        return code;
    }
    if (code != CLI_OK) {
        find(doctor, "rights", "fail", "this role may not use the schema",
             "grant it one of the roles of sql/roles.sql: application, monitor or operator");
        return code;
    }
    run_checks(doctor, true);
    check_drift(doctor);
    check_leaders(doctor);
    return CLI_OK;
}

static int examine(struct doctor *doctor)
{
    int code = db_connect(&doctor->db, doctor->cli);
    if (code == CLI_OK) {
        check_connection(doctor);
        check_pooler(doctor);
        run_checks(doctor, false);
        check_clock(doctor);
        code = examine_schema(doctor);
    } else if (code == CLI_NO_CONNECTION) {
        find(doctor, "connection", "fail", PQerrorMessage(doctor->db.conn),
             "is the server up, and are host, port, role and password right?");
    }
    db_close(&doctor->db);
    return code;
}

static void print_findings(const struct doctor *doctor)
{
    if (doctor->cli->format != FORMAT_TABLE) {
        output_rows(stdout, doctor->cli->format, doctor->findings, 0);
        return;
    }
    for (int row = 0; row < PQntuples(doctor->findings); row++) {
        const char *evidence = db_text(doctor->findings, row, 2);
        printf("%-4s  %-13s  %.*s\n", db_text(doctor->findings, row, 1),
               db_text(doctor->findings, row, 0), (int)strcspn(evidence, "\n"), evidence);
        if (!PQgetisnull(doctor->findings, row, 3)) {
            printf("%21s-> %s\n", "", db_text(doctor->findings, row, 3));
        }
    }
    printf("%d checks, %d warned, %d failed\n", PQntuples(doctor->findings), doctor->warned,
           doctor->failed);
}

int cmd_doctor(struct cli *cli, int argc, char **argv)
{
    static const char *const names[] = {"check", "state", "evidence", "cure"};
    const struct wanted wanted = {"no arguments", 0, 0};
    struct doctor doctor = {.cli = cli};
    int code = parse_action(cli, argc, argv, NULL, 0, &wanted, NULL);
    if (code != CLI_OK) {
        return code;
    }
    cli->probes = true;
    doctor.findings = output_new_rows(4, names, NULL);
    if (doctor.findings == NULL) {
        say(cli, "out of memory");
        return CLI_FAILED;
    }
    code = examine(&doctor);
    if (PQntuples(doctor.findings) > 0) {
        print_findings(&doctor);
    }
    PQclear(doctor.findings);
    return code == CLI_OK && doctor.failed > 0 ? CLI_FAILED : code;
}
