/* version.c - `pgkeeper version`: versions of the command, the library, the server and the schema. */
#include <stdio.h>

#include "cli_statements.h"
#include "migrate.h"
#include "output.h"
#include "verbs.h"

const char help_version[] =
    "usage: pgkeeper version [--format F]\n"
    "\n"
    "Prints the version of the command, of the library that it runs with, and of the\n"
    "schema that it brings; with a database given (-d, or\n"
    "high-availability.postgres.uri) also those of the server and of the schema\n"
    "there.\n";

static void add(PGresult *rows, const char *part, const char *version)
{
    const char *values[] = {part, version};
    output_add_row(rows, values);
}

static int add_database(const struct cli *cli, PGresult *rows)
{
    struct db db;
    DB_RESULT *version = NULL;
    int code = db_open(&db, cli);
    if (db.conn != NULL && PQstatus(db.conn) == CONNECTION_OK) {
        add(rows, "server", PQparameterStatus(db.conn, "server_version"));
    }
    if (code == CLI_OK) {
        code = db_query(&db, sql_session_schema_version, 0, NULL, &version);
    }
    if (code == CLI_OK) {
        add(rows, "schema", db_text(version, 0, 0));
    }
    db_close(&db);
    return code;
}

int cmd_version(struct cli *cli, int argc, char **argv)
{
    static const char *const names[] = {"part", "version"};
    struct cli_arguments arguments;
    int code = parse_options(cli, argc, argv, NULL, 0, &arguments);
    if (code != CLI_OK) {
        return code;
    }
    bool extra = arguments.positional.count > 0 || arguments.rest != NULL;
    arguments_free(&arguments);
    if (extra) {
        return usage_error(cli, "takes no arguments");
    }
    char newest[16];
    snprintf(newest, sizeof newest, "%d", migrations_count);
    PGresult *rows = output_new_rows(2, names, NULL);
    if (rows == NULL) {
        say(cli, "out of memory");
        return CLI_FAILED;
    }
    add(rows, "command", CLI_VERSION);
    add(rows, "library", pgk_version());
    add(rows, "schema of the command", newest);
    if (config_value(cli, CLI_KEY_URI)[0] != '\0') {
        code = add_database(cli, rows);
    }
    output_rows(stdout, cli->format, rows, 0);
    PQclear(rows);
    return code;
}
