/*
 * migrate_up.c - applies migrations: the lock, one transaction each, the history row in it.
 *
 * Must never wait in a lock queue: the migration lock is tried again and again, and DDL gives up after
 * lock_timeout, rolls back and is tried again, until the deadline.
 */
#include "migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_statements.h"

#define RETRY_MS 50

static void say_holder(struct db *db)
{
    const char *schema = db_schema(db);
    DB_RESULT *result = NULL;
    pgk_error error;
    if (db_try(db, sql_migrate_lock_holder, 1, &schema, &result, &error) != PGK_OK ||
        PQntuples(result) == 0) {
        say(db->cli, "timed out: the migration lock of schema \"%s\" was held by somebody else",
            schema);
        return;
    }
    say(db->cli,
        "timed out: the migration lock of schema \"%s\" is held by pid %s, role %s, application "
        "\"%s\", "
        "client %s",
        schema, db_text(result, 0, 0), db_text(result, 0, 1), db_text(result, 0, 2),
        db_text(result, 0, 3));
}

static int read_version(struct db *db, int *ret_version)
{
    enum db_schema_state state = SCHEMA_ABSENT;
    int code = db_find_schema(db, &state);
    *ret_version = 0;
    if (code != CLI_OK || state != SCHEMA_INSTALLED) {
        return code;
    }
    DB_RESULT *result = NULL;
    code = db_query(db, sql_migrate_version, 0, NULL, &result);
    if (code == CLI_OK) {
        *ret_version = db_int(result, 0, 0);
    }
    return code;
}

int migration_begin(struct db *db, int64_t deadline_ms, int *ret_version)
{
    const char *schema = db_schema(db);
    for (;;) {
        DB_RESULT *result = NULL;
        int code = db_execute(db, "BEGIN ISOLATION LEVEL READ COMMITTED", 0, NULL);
        if (code == CLI_OK) {
            code = db_query(db, sql_migrate_lock_schema, 1, &schema, &result);
        }
        if (code != CLI_OK) {
            return code;
        }
        if (db_bool(result, 0, 0)) {
            return read_version(db, ret_version);
        }
        code = db_execute(db, "ROLLBACK", 0, NULL);
        if (code != CLI_OK) {
            return code;
        }
        if (now_ms() >= deadline_ms) {
            say_holder(db);
            return CLI_TIMED_OUT;
        }
        wait_ms(RETRY_MS);
    }
}

bool migration_was_locked_out(const pgk_error *error)
{
    return strcmp(error->sqlstate, "55P03") == 0 || strcmp(error->sqlstate, "40P01") == 0;
}

int migration_enter(struct db *db, const char *schema)
{
    const char *values[] = {schema, "true", "false"};
    return db_execute(db, sql_session_enter, 3, values);
}

int migration_create_schema(struct db *db, const char *schema)
{
    char *quoted = PQescapeIdentifier(db->conn, schema, strlen(schema));
    char statement[256];
    if (quoted == NULL) {
        say(db->cli, "schema name is not valid UTF-8");
        return CLI_USAGE;
    }
    /* 63 bytes, at worst all of them quotes that are doubled, fit. */
    snprintf(statement, sizeof statement, "CREATE SCHEMA %s", quoted);
    PQfreemem(quoted);
    return db_execute(db, statement, 0, NULL);
}

static int create_schema_if_missing(struct db *db)
{
    enum db_schema_state state = SCHEMA_ABSENT;
    int code = db_find_schema(db, &state);
    if (code != CLI_OK || state != SCHEMA_ABSENT) {
        return code;
    }
    return migration_create_schema(db, db_schema(db));
}

static int commit(struct db *db)
{
    pgk_error error;
    pgk_status status = db_try(db, "COMMIT", 0, NULL, NULL, &error);
    if (status == PGK_OK) {
        return CLI_OK;
    }
    int code = fail(db->cli, &error);
    if (status == PGK_ERR_CONNECTION) {
        say(db->cli, "the connection was lost in COMMIT: look with pgkeeper migrate status");
        code = CLI_TIMED_OUT;
    }
    return code;
}

static int record(struct db *db, const struct migration *migration, const char *began)
{
    char version[16];
    snprintf(version, sizeof version, "%d", migration->version);
    const char *values[] = {version, migration->name, migration->sha256, began, CLI_VERSION};
    DB_RESULT *result = NULL;
    int code = db_query(db, sql_migrate_record, 5, values, &result);
    if (code == CLI_OK) {
        code = commit(db);
    }
    if (code == CLI_OK) {
        say(db->cli, "%04d_%s applied in %s ms", migration->version, migration->name,
            db_text(result, 0, 0));
    }
    return code;
}

/* An unlogged table whose making was undone leaves an empty file until the next checkpoint. A server that crashes before it
 * has flushed the undoing takes that file for another's when it recovers, and does not start. So that is flushed. */
static int undo(struct db *db)
{
    int code = db_execute(db, "ROLLBACK", 0, NULL);
    return code != CLI_OK ? code : db_execute(db, sql_session_flush, 0, NULL);
}

/* Applies one migration in the transaction that is open, and commits. *ret_again: a lock of somebody else
 * was in the way, the transaction was rolled back, and trying again may help. */
static int apply(struct db *db, const struct migration *migration, bool *ret_again)
{
    *ret_again = false;
    int code = create_schema_if_missing(db);
    if (code == CLI_OK) {
        code = migration_enter(db, db_schema(db));
    }
    DB_RESULT *moment = NULL;
    if (code == CLI_OK) {
        const char *schema = db_schema(db);
        code = db_query(db, sql_migrate_moment, 1, &schema, &moment);
    }
    if (code != CLI_OK) {
        return code;
    }
    if (!db_bool(moment, 0, 1)) {
        say(db->cli, "permission denied: role \"%s\" needs CREATE on schema \"%s\"",
            PQuser(db->conn), db_schema(db));
        return CLI_NO_CONNECTION;
    }
    pgk_error error;
    if (db_try_script(db, migration->up, &error) == PGK_OK) {
        return record(db, migration, db_text(moment, 0, 0));
    }
    if (migration_was_locked_out(&error)) {
        *ret_again = true;
        return undo(db);
    }
    say(db->cli, "migration %04d_%s failed, nothing of it was kept", migration->version,
        migration->name);
    if (error.status != PGK_ERR_CONNECTION) {
        undo(db);
    }
    return fail(db->cli, &error);
}

static int newer_than_command(const struct db *db, int version)
{
    say(db->cli, "schema \"%s\" is at version %d, this command knows %d; use a newer pgkeeper",
        db_schema(db), version, migrations_count);
    return CLI_SCHEMA;
}

static int apply_up_to(struct db *db, int target, int64_t deadline)
{
    for (;;) {
        int version = 0;
        int code = migration_begin(db, deadline, &version);
        if (code != CLI_OK) {
            return code;
        }
        if (version > migrations_count) {
            return newer_than_command(db, version);
        }
        if (version >= target) {
            say(db->cli, "schema \"%s\" is at version %d", db_schema(db), version);
            return db_execute(db, "ROLLBACK", 0, NULL);
        }
        bool again;
        code = apply(db, &migrations[version], &again);
        if (code != CLI_OK) {
            return code;
        }
        if (again && now_ms() >= deadline) {
            say(db->cli, "timed out: migration %04d_%s could not get the locks that it needs",
                migrations[version].version, migrations[version].name);
            return CLI_TIMED_OUT;
        }
    }
}

int migrate_up(struct cli *cli, int target, int timeout_ms)
{
    struct db db;
    int64_t deadline = now_ms() + timeout_ms;
    int code = db_connect_directly(&db, cli);
    if (code == CLI_OK) {
        pgk_error ignored; /* not possible on every system */
        db_try(&db, sql_session_check_client, 0, NULL, NULL, &ignored);
        code = apply_up_to(&db, target, deadline);
    }
    db_close(&db);
    return code;
}
