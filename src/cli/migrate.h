/*
 * migrate.h - the migrations embedded in the command, and the parts of `pgkeeper migrate`.
 */
#ifndef PGK_CLI_MIGRATE_H
#define PGK_CLI_MIGRATE_H

#include "db.h"

struct migration {
    int version;
    const char *name;
    const char *sha256; /* of the up file */
    const char *up;
    const char *down;
};

/* Ascending, without gaps, from version 1. */
extern const struct migration migrations[];
extern const int migrations_count;

int cmd_migrate(struct cli *cli, int argc, char **argv);
extern const char help_migrate[];

int migrate_up(struct cli *cli, int target, int timeout_ms);
int migrate_script(const struct cli *cli, int from, int target);
int migrate_verify(struct cli *cli, int timeout_ms);
/* What migrate_verify() prints: kind, name, difference, expected, found. In a transaction of its own that is undone. */
int migrate_differences(struct cli *cli, int timeout_ms, PGresult **ret_rows);
int migrate_down(struct cli *cli, int target, int timeout_ms, bool dry_run, bool yes);

/* Begins a transaction that holds the migration lock of the schema and has the version read inside it.
 * Tries until deadline; then says who holds it and returns CLI_TIMED_OUT. */
int migration_begin(struct db *db, int64_t deadline_ms, int *ret_version);
/* Sets search_path to a schema and pg_temp for this transaction. */
int migration_enter(struct db *db, const char *schema);
/* Did a migration fail because somebody else held a lock for too long? */
bool migration_was_locked_out(const pgk_error *error);
/* CREATE SCHEMA; the name is quoted. */
int migration_create_schema(struct db *db, const char *schema);

#endif
