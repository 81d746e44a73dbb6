/*
 * migrate_down.c - `pgkeeper migrate down`: undoes migrations, newest first, and never loses rows unasked.
 *
 * What would be lost is found by doing it in a transaction that is rolled back.
 */
#include "migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_statements.h"
#include "output.h"

/* Undoes one migration in the transaction that is open; leaves it open. CLI_TIMED_OUT: a lock of somebody
 * else was in the way; said only when it is too late to try again. */
static int undo(struct db *db, const struct migration *migration, bool last_try)
{
    pgk_error error;
    int code = migration_enter(db, db_schema(db));
    if (code != CLI_OK) {
        return code;
    }
    if (db_try_script(db, migration->down, &error) != PGK_OK) {
        bool locked = migration_was_locked_out(&error);
        if (locked && !last_try) {
            return CLI_TIMED_OUT;
        }
        say(db->cli, "undoing %04d_%s failed, nothing was changed by it", migration->version,
            migration->name);
        code = fail(db->cli, &error);
        return locked ? CLI_TIMED_OUT : code;
    }
    if (migration->version == 1) {
        return CLI_OK; /* schema_history went with it */
    }
    char version[16];
    snprintf(version, sizeof version, "%d", migration->version);
    const char *values[] = {version};
    return db_execute(db, sql_migrate_forget, 1, values);
}

/* Counts the rows of a table; the only statement with an identifier in it, quoted by libpq. */
static int count_rows(struct db *db, const char *table, PGresult **ret_result)
{
    char statement[256];
    char *quoted = PQescapeIdentifier(db->conn, table, strlen(table));
    if (quoted == NULL) {
        say(db->cli, "%s", PQerrorMessage(db->conn));
        return CLI_FAILED;
    }
    snprintf(statement, sizeof statement, "SELECT count(*) FROM %s", quoted);
    PQfreemem(quoted);
    return db_query(db, statement, 0, NULL, ret_result);
}

static bool contains(const PGresult *tables, const char *name)
{
    for (int row = 0; row < PQntuples(tables); row++) {
        if (strcmp(db_text(tables, row, 0), name) == 0) {
            return true;
        }
    }
    return false;
}

/* Says which tables of `before` are not in `after`, with their rows; counts[] belongs to before. */
static bool say_losses(const struct db *db, const PGresult *before, char counts[][24],
                       const PGresult *after)
{
    bool lossy = false;
    for (int row = 0; row < PQntuples(before); row++) {
        const char *table = db_text(before, row, 0);
        if (!contains(after, table) && strcmp(counts[row], "0") != 0) {
            say(db->cli, "would lose table %s with %s row%s", table, counts[row],
                strcmp(counts[row], "1") == 0 ? "" : "s");
            lossy = true;
        }
    }
    return lossy;
}

#define TABLES_MAX 64

/* Plays the way down to target and rolls back; *ret_lossy: rows would be lost, and have been named. */
static int rehearse(struct db *db, int version, int target, bool *ret_lossy)
{
    const char *schema = db_schema(db);
    char counts[TABLES_MAX][24] = {{0}};
    DB_RESULT *before = NULL;
    DB_RESULT *after = NULL;
    int code = db_query(db, sql_migrate_tables, 1, &schema, &before);
    for (int row = 0; code == CLI_OK && row < PQntuples(before) && row < TABLES_MAX; row++) {
        DB_RESULT *rows = NULL;
        code = count_rows(db, db_text(before, row, 0), &rows);
        snprintf(counts[row], sizeof counts[row], "%s", db_text(rows, 0, 0));
    }
    for (int i = version; code == CLI_OK && i > target; i--) {
        code = undo(db, &migrations[i - 1], true);
    }
    if (code == CLI_OK) {
        code = db_query(db, sql_migrate_tables, 1, &schema, &after);
    }
    if (code == CLI_OK) {
        *ret_lossy = say_losses(db, before, counts, after);
        code = db_execute(db, "ROLLBACK", 0, NULL);
    }
    return code;
}

/* Opens the transaction and checks that there is something to undo. *ret_version == target: there is not. */
static int begin_down(struct db *db, int64_t deadline, int target, int *ret_version)
{
    int code = migration_begin(db, deadline, ret_version);
    if (code == CLI_OK && *ret_version > migrations_count) {
        say(db->cli, "schema \"%s\" is at version %d, this command knows %d; use a newer pgkeeper",
            db_schema(db), *ret_version, migrations_count);
        return CLI_SCHEMA;
    }
    if (code == CLI_OK && *ret_version < target) {
        say(db->cli, "schema \"%s\" is at version %d, below %d; see migrate up", db_schema(db),
            *ret_version, target);
        return CLI_CONDITION_FALSE;
    }
    return code;
}

static int undo_down_to(struct db *db, int64_t deadline, int target)
{
    for (;;) {
        int version = 0;
        int code = begin_down(db, deadline, target, &version);
        if (code != CLI_OK) {
            return code;
        }
        if (version == target) {
            say(db->cli, "schema \"%s\" is at version %d%s", db_schema(db), version,
                version == 0 ? "; DROP SCHEMA it if nobody needs it" : "");
            return CLI_OK;
        }
        const struct migration *migration = &migrations[version - 1];
        bool last_try = now_ms() >= deadline;
        code = undo(db, migration, last_try);
        if (code == CLI_TIMED_OUT && !last_try) {
            code = db_execute(db, "ROLLBACK", 0, NULL);
            if (code == CLI_OK) {
                continue;
            }
        }
        if (code == CLI_OK) {
            code = db_execute(db, "COMMIT", 0, NULL);
        }
        if (code != CLI_OK) {
            return code;
        }
        say(db->cli, "%04d_%s undone", migration->version, migration->name);
    }
}

static int ask_first(struct db *db, int64_t deadline, int target, bool dry_run)
{
    int version = 0;
    bool lossy = false;
    int code = begin_down(db, deadline, target, &version);
    if (code == CLI_OK) {
        code = rehearse(db, version, target, &lossy);
    }
    if (code != CLI_OK || version == target) {
        return code;
    }
    if (dry_run) {
        for (int i = version; i > target; i--) {
            printf("%04d_%s\n", migrations[i - 1].version, migrations[i - 1].name);
        }
        return CLI_OK;
    }
    if (!confirm_on_terminal(lossy ? "Undo, and lose these rows?"
                                   : "Undo? No rows would be lost.")) {
        say(db->cli, "nothing was changed; --yes does it without asking");
        return CLI_FAILED;
    }
    return CLI_OK;
}

/* Without a schema there is nothing to undo; a target above 0 is left to begin_down(). */
static int find_what_to_undo(struct db *db, int target, bool *ret_nothing)
{
    enum db_schema_state state = SCHEMA_ABSENT;
    int code = db_find_schema(db, &state);
    *ret_nothing = code == CLI_OK && state == SCHEMA_ABSENT && target == 0;
    if (*ret_nothing) {
        say(db->cli, "database \"%s\" has no schema \"%s\"; nothing to do", PQdb(db->conn),
            db_schema(db));
    }
    return code;
}

int migrate_down(struct cli *cli, int target, int timeout_ms, bool dry_run, bool yes)
{
    struct db db;
    bool nothing = false;
    int64_t deadline = now_ms() + timeout_ms;
    int code = db_connect_directly(&db, cli);
    if (code == CLI_OK) {
        code = find_what_to_undo(&db, target, &nothing);
    }
    if (code != CLI_OK || nothing) {
        db_close(&db);
        return code;
    }
    if (dry_run || !yes) {
        code = ask_first(&db, deadline, target, dry_run);
    }
    if (code == CLI_OK && !dry_run) {
        code = undo_down_to(&db, now_ms() + timeout_ms, target);
    }
    db_close(&db);
    return code;
}
