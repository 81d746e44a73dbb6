/*
 * migrate_verify.c - `pgkeeper migrate verify`: is the schema what the migrations make?
 *
 * The same migrations are applied to a scratch schema in a transaction that is always rolled back, and the
 * catalog's view of both is compared. Nothing of the database is changed.
 *
 * No unlogged table is made on the way. One whose making is undone leaves an empty file until the next checkpoint, and a
 * server that crashes before it has flushed the undoing takes that file for another's when it recovers ("could not create
 * file ...: File exists"), and does not start. So the scratch schema has logged ones, and the comparison knows which they
 * should be.
 */
#include "migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli_statements.h"
#include "output.h"

struct differences {
    PGresult *rows; /* kind, name, difference, expected, found */
    int count;
};

static bool differences_open(struct differences *d)
{
    static const char *const names[] = {"kind", "name", "difference", "expected", "found"};
    d->count = 0;
    d->rows = output_new_rows(5, names, NULL);
    return d->rows != NULL;
}

static void differences_add(struct differences *d, const char *kind, const char *name,
                            const char *difference, const char *expected, const char *found)
{
    const char *values[] = {kind, name, difference, expected, found};
    output_add_row(d->rows, values);
    d->count++;
}

static int compare_names(const PGresult *a, int i, const PGresult *b, int j)
{
    if (i >= PQntuples(a)) {
        return 1;
    }
    if (j >= PQntuples(b)) {
        return -1;
    }
    int order = strcmp(db_text(a, i, 0), db_text(b, j, 0));
    return order != 0 ? order : strcmp(db_text(a, i, 1), db_text(b, j, 1));
}

/* Merges two lists of objects, both in the same order. */
static void compare_objects(struct differences *d, const PGresult *expected, const PGresult *found)
{
    int i = 0, j = 0;
    while (i < PQntuples(expected) || j < PQntuples(found)) {
        int order = compare_names(expected, i, found, j);
        if (order < 0) {
            differences_add(d, db_text(expected, i, 0), db_text(expected, i, 1), "missing",
                            db_text(expected, i, 2), NULL);
            i++;
        } else if (order > 0) {
            differences_add(d, db_text(found, j, 0), db_text(found, j, 1), "unexpected", NULL,
                            db_text(found, j, 2));
            j++;
        } else {
            if (strcmp(db_text(expected, i, 2), db_text(found, j, 2)) != 0) {
                differences_add(d, db_text(expected, i, 0), db_text(expected, i, 1), "changed",
                                db_text(expected, i, 2), db_text(found, j, 2));
            }
            i++;
            j++;
        }
    }
}

static int compare_hashes(struct db *db, struct differences *d, int version)
{
    DB_RESULT *history = NULL;
    int code = db_query(db, sql_migrate_hashes, 0, NULL, &history);
    if (code != CLI_OK) {
        return code;
    }
    for (int row = 0; row < PQntuples(history); row++) {
        int n = db_int(history, row, 0);
        const char *expected = n >= 1 && n <= migrations_count ? migrations[n - 1].sha256 : NULL;
        if (expected == NULL || strcmp(expected, db_text(history, row, 2)) != 0) {
            differences_add(d, "migration", db_text(history, row, 1),
                            expected != NULL ? "changed" : "unexpected", expected,
                            db_text(history, row, 2));
        }
    }
    if (PQntuples(history) != version) {
        differences_add(d, "migration", "schema_history", "changed", "one row for each version",
                        "gaps");
    }
    DB_RESULT *meta = NULL;
    code = db_query(db, sql_session_schema_version, 0, NULL, &meta);
    if (code == CLI_OK && db_int(meta, 0, 0) != version) {
        char number[16];
        snprintf(number, sizeof number, "%d", version);
        differences_add(d, "migration", "schema_meta.schema_version", "changed", number,
                        db_text(meta, 0, 0));
    }
    return code;
}

/* unlogged: the tables that are to be shown so, as an array of SQL; NULL: as the catalog has it. */
static int list_objects(struct db *db, const char *schema, const char *unlogged,
                        PGresult **ret_objects)
{
    const char *values[] = {schema, unlogged};
    int code = migration_enter(db, schema);
    return code != CLI_OK ? code : db_query(db, sql_migrate_objects, 2, values, ret_objects);
}

/* A copy of a migration that makes no unlogged table; their names are appended to `names`, an array of SQL that has been
 * begun with '{'. NULL: no memory, or no room. The caller frees it. */
static char *logged_copy(const char *text, char *names, size_t size)
{
    static const char unlogged[] = "CREATE UNLOGGED TABLE ";
    static const char logged[] = "CREATE TABLE ";
    char *copy = malloc(strlen(text) + 1); /* it only becomes shorter */
    char *out = copy;
    const char *found;
    while (out != NULL && (found = strstr(text, unlogged)) != NULL) {
        memcpy(out, text, (size_t)(found - text));
        out += found - text;
        memcpy(out, logged, sizeof logged - 1);
        out += sizeof logged - 1;
        text = found + sizeof unlogged - 1;
        size_t used = strlen(names);
        int length = (int)strcspn(text, " (\n");
        int n = snprintf(names + used, size - used, "%s%.*s", used > 1 ? "," : "", length, text);
        if (n < 0 || (size_t)n + 1 >= size - used) {
            free(copy);
            return NULL;
        }
    }
    if (out != NULL) {
        memcpy(out, text, strlen(text) + 1);
    }
    return copy;
}

/* Applies the first `version` migrations to a scratch schema. *names: the tables that would be unlogged. */
static int make_scratch(struct db *db, const char *scratch, int version, char *names, size_t size)
{
    int code = migration_create_schema(db, scratch);
    if (code == CLI_OK) {
        code = migration_enter(db, scratch);
    }
    snprintf(names, size, "{");
    for (int i = 0; i < version && code == CLI_OK; i++) {
        pgk_error error;
        char *script = logged_copy(migrations[i].up, names, size);
        if (script == NULL) {
            say(db->cli, "out of memory");
            return CLI_FAILED;
        }
        if (db_try_script(db, script, &error) != PGK_OK) {
            say(db->cli, "migration %04d_%s failed in the scratch schema", migrations[i].version,
                migrations[i].name);
            code = fail(db->cli, &error);
        }
        free(script);
    }
    size_t used = strlen(names);
    snprintf(names + used, size - used, "}"); /* logged_copy() has left room */
    return code;
}

static int compare_with_scratch(struct db *db, struct differences *d, int version)
{
    char scratch[64];
    char unlogged[512];
    snprintf(scratch, sizeof scratch, "pgkeeper verify %d", PQbackendPID(db->conn));
    DB_RESULT *found = NULL;
    DB_RESULT *expected = NULL;
    int code = list_objects(db, db_schema(db), NULL, &found);
    if (code == CLI_OK) {
        code = make_scratch(db, scratch, version, unlogged, sizeof unlogged);
    }
    if (code == CLI_OK) {
        code = list_objects(db, scratch, unlogged, &expected);
    }
    if (code == CLI_OK) {
        compare_objects(d, expected, found);
    }
    return code;
}

/* People get one line each; the definitions, which may be long, are in the other formats. */
static void print_differences(const struct cli *cli, const struct differences *d)
{
    if (cli->format != FORMAT_TABLE) {
        output_rows(stdout, cli->format, d->rows, 0);
        return;
    }
    for (int row = 0; row < d->count; row++) {
        const char *expected = db_text(d->rows, row, 3);
        const char *found = db_text(d->rows, row, 4);
        printf("%-10s  %s %s", db_text(d->rows, row, 2), db_text(d->rows, row, 0),
               db_text(d->rows, row, 1));
        if (strcmp(db_text(d->rows, row, 2), "changed") == 0) {
            bool brief = strlen(expected) + strlen(found) < 160 && !strchr(expected, '\n') &&
                         !strchr(found, '\n');
            printf(brief ? ": \"%s\" has become \"%s\"" : ": see --format json", expected, found);
        }
        putchar('\n');
    }
}

static int verify(struct db *db, struct differences *d, int64_t deadline)
{
    int version = 0;
    int code = migration_begin(db, deadline, &version);
    if (code != CLI_OK) {
        return code;
    }
    if (version == 0) {
        say(db->cli, "database \"%s\" has no pgkeeper schema \"%s\"; run: pgkeeper migrate up",
            PQdb(db->conn), db_schema(db));
        return CLI_SCHEMA;
    }
    if (version > migrations_count) {
        say(db->cli, "schema \"%s\" is at version %d, this command knows %d; use a newer pgkeeper",
            db_schema(db), version, migrations_count);
        return CLI_SCHEMA;
    }
    code = compare_hashes(db, d, version);
    if (code == CLI_OK) {
        code = compare_with_scratch(db, d, version);
    }
    return code;
}

int migrate_differences(struct cli *cli, int timeout_ms, PGresult **ret_rows)
{
    struct db db;
    struct differences d;
    if (!differences_open(&d)) {
        say(cli, "out of memory");
        return CLI_FAILED;
    }
    int code = db_connect_directly(&db, cli);
    if (code == CLI_OK) {
        code = verify(&db, &d, now_ms() + timeout_ms);
    }
    db_close(&db); /* rolls back */
    if (code == CLI_OK) {
        *ret_rows = d.rows;
    } else {
        PQclear(d.rows);
    }
    return code;
}

int migrate_verify(struct cli *cli, int timeout_ms)
{
    DB_RESULT *rows = NULL;
    int code = migrate_differences(cli, timeout_ms, &rows);
    if (code != CLI_OK) {
        return code;
    }
    const struct differences d = {.rows = rows, .count = PQntuples(rows)};
    print_differences(cli, &d);
    if (d.count > 0) {
        say(cli, "%d difference%s", d.count, d.count == 1 ? "" : "s");
        return CLI_FAILED;
    }
    say(cli, "schema \"%s\" is what the migrations make", config_value(cli, CLI_KEY_SCHEMA));
    return CLI_OK;
}
