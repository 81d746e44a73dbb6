/*
 * migrate.c - `pgkeeper migrate`: options, status, down. up, sql and verify have files of their own.
 */
#include "migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_statements.h"
#include "output.h"

#define DEFAULT_TIMEOUT_MS 30000

const char help_migrate[] =
    "usage: pgkeeper migrate up     [--to N] [--timeout D]\n"
    "       pgkeeper migrate status [--format F]\n"
    "       pgkeeper migrate sql    [--from N] [--to N]\n"
    "       pgkeeper migrate verify [--timeout D]\n"
    "       pgkeeper migrate down   --to N [--dry-run] [--yes] [--timeout D]\n"
    "\n"
    "Makes, changes and checks the schema that the library needs. The library never\n"
    "migrates by itself.\n"
    "\n"
    "up      applies what is pending, up to version N (default: all). Makes the\n"
    "        schema if it is missing. Each migration is one transaction together with\n"
    "        its row in schema_history. Any number may run at once: they take turns,\n"
    "        and all succeed.\n"
    "status  lists migrations as applied, pending, changed (its file differs from the\n"
    "        one that was applied) or unknown (this command is older). Exit code 4\n"
    "        when some are pending.\n"
    "sql     prints a script for psql with the same result, for shops where a DBA\n"
    "        runs all DDL. It refuses to run on a schema that is not at version\n"
    "        --from (default 0).\n"
    "verify  compares the schema with what the migrations make: hashes of the files,\n"
    "        tables, columns, constraints, indexes, functions, triggers, views,\n"
    "        comments, grants to PUBLIC. Makes a scratch schema for it in a\n"
    "        transaction that is rolled back. Exit code 1 on any difference.\n"
    "down    undoes migrations above version N, newest first. Says which rows would\n"
    "        be lost and asks, unless --yes. The empty schema itself stays.\n"
    "\n"
    "options:\n"
    "  --to N        version to arrive at; 0 is nothing at all\n"
    "  --from N      version that the script expects to find\n"
    "  --timeout D   how long to try for the locks (default 30s); on time-out who\n"
    "                holds the migration lock is printed. No lock request waits\n"
    "                longer than 2 s in front of others.\n"
    "  --dry-run     only say what would be done\n"
    "  --yes         do not ask\n"
    "\n"
    "The role needs CREATE on the database to make the schema, and to own the schema\n"
    "otherwise. sql/roles.sql hands everything to roles of your naming afterwards.\n";

/* The embedded migrations as array literals; their names are letters, digits and underscores. */
struct known {
    char *versions;
    char *names;
    char *hashes;
};

static void known_free(struct known *known)
{
    free(known->versions);
    free(known->names);
    free(known->hashes);
}

static bool known_make(struct known *known)
{
    size_t size = 16;
    for (int i = 0; i < migrations_count; i++) {
        size += strlen(migrations[i].name) + 80;
    }
    *known = (struct known){malloc(size), malloc(size), malloc(size)};
    if (known->versions == NULL || known->names == NULL || known->hashes == NULL) {
        return false;
    }
    size_t v = 0, n = 0, h = 0;
    for (int i = 0; i < migrations_count; i++) {
        char open = i == 0 ? '{' : ',';
        const struct migration *m = &migrations[i];
        v += (size_t)snprintf(known->versions + v, size - v, "%c%d", open, m->version);
        n += (size_t)snprintf(known->names + n, size - n, "%c%s", open, m->name);
        h += (size_t)snprintf(known->hashes + h, size - h, "%c%s", open, m->sha256);
    }
    snprintf(known->versions + v, size - v, "}");
    snprintf(known->names + n, size - n, "}");
    snprintf(known->hashes + h, size - h, "}");
    return true;
}

static int query_status(struct db *db, PGresult **ret_result)
{
    enum db_schema_state state = SCHEMA_ABSENT;
    int code = db_find_schema(db, &state);
    if (code != CLI_OK) {
        return code;
    }
    struct known known;
    if (!known_make(&known)) {
        known_free(&known);
        say(db->cli, "out of memory");
        return CLI_FAILED;
    }
    const char *values[] = {known.versions, known.names, known.hashes};
    bool installed = state == SCHEMA_INSTALLED;
    code = db_query(db, installed ? sql_migrate_status : sql_migrate_status_empty, 3, values,
                    ret_result);
    known_free(&known);
    return code;
}

static int judge_status(const struct db *db, const PGresult *result)
{
    int code = CLI_OK;
    for (int row = 0; row < PQntuples(result); row++) {
        const char *state = db_text(result, row, 2);
        if (strcmp(state, "unknown") == 0) {
            say(db->cli, "the schema is newer than this command, which knows %d migrations",
                migrations_count);
            return CLI_SCHEMA;
        }
        if (strcmp(state, "pending") == 0) {
            code = CLI_CONDITION_FALSE;
        }
    }
    return code;
}

static int migrate_status(struct cli *cli)
{
    struct db db;
    DB_RESULT *result = NULL;
    int code = db_connect(&db, cli);
    if (code == CLI_OK) {
        code = query_status(&db, &result);
    }
    if (code == CLI_OK) {
        output_rows(stdout, cli->format, result, 5);
        code = judge_status(&db, result);
    }
    db_close(&db);
    return code;
}

struct migrate_options {
    int from;
    int to;
    int timeout_ms;
    bool dry_run;
    bool yes;
};

static int run_action(struct cli *cli, const char *action, const struct migrate_options *o)
{
    static char verb[32];
    snprintf(verb, sizeof verb, "migrate %s", action);
    cli->verb = verb;
    if (o->to > migrations_count || o->from > migrations_count) {
        return usage_error(cli, "this command knows migrations up to %d", migrations_count);
    }
    int target = o->to < 0 ? migrations_count : o->to;
    if (strcmp(action, "up") == 0) {
        return migrate_up(cli, target, o->timeout_ms);
    }
    if (strcmp(action, "status") == 0) {
        return migrate_status(cli);
    }
    if (strcmp(action, "sql") == 0) {
        return migrate_script(cli, o->from, target);
    }
    if (strcmp(action, "verify") == 0) {
        return migrate_verify(cli, o->timeout_ms);
    }
    if (strcmp(action, "down") == 0) {
        if (o->to < 0) {
            return usage_error(cli, "down needs --to N");
        }
        return migrate_down(cli, target, o->timeout_ms, o->dry_run, o->yes);
    }
    cli->verb = "migrate";
    return usage_error(cli, "unknown action \"%s\": up, down, status, sql or verify", action);
}

int cmd_migrate(struct cli *cli, int argc, char **argv)
{
    struct migrate_options o = {.to = -1, .timeout_ms = DEFAULT_TIMEOUT_MS};
    const struct cli_option options[] = {
        {"--to", OPTION_NUMBER, &o.to},
        {"--from", OPTION_NUMBER, &o.from},
        {"--timeout", OPTION_DURATION_MS, &o.timeout_ms},
        {"--dry-run", OPTION_FLAG, &o.dry_run},
        {"--yes", OPTION_FLAG, &o.yes},
    };
    struct cli_arguments arguments;
    int code =
        parse_options(cli, argc, argv, options, sizeof options / sizeof options[0], &arguments);
    if (code != CLI_OK) {
        return code;
    }
    if (arguments.positional.count != 1) {
        code = usage_error(cli, "which action: up, down, status, sql or verify?");
    } else {
        code = run_action(cli, arguments.positional.items[0], &o);
    }
    arguments_free(&arguments);
    return code;
}
