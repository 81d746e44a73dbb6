/*
 * stores.c - what the verbs of the job stores share: actions of a verb, job ids, rows, questions.
 *
 * Never writes to the database.
 */
#include "stores.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_statements.h"
#include "output.h"

int run_action_of(struct cli *cli, int argc, char **argv, const struct action *actions,
                  size_t count)
{
    static char verb[32];
    char names[64] = "";
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(names);
        snprintf(names + length, sizeof names - length, "%s%s", i > 0 ? ", " : "", actions[i].name);
        if (argc > 1 && strcmp(argv[1], actions[i].name) == 0) {
            snprintf(verb, sizeof verb, "%s %s", cli->verb, actions[i].name);
            cli->verb = verb;
            return actions[i].run(cli, argc - 1, argv + 1);
        }
    }
    if (argc < 2) {
        return usage_error(cli, "which action: %s?", names);
    }
    return usage_error(cli, "unknown action \"%s\": it is one of %s", argv[1], names);
}

int parse_action(struct cli *cli, int argc, char **argv, const struct cli_option *options,
                 size_t option_count, const struct wanted *wanted, const char **ret_arguments)
{
    struct cli_arguments arguments;
    int code = parse_options(cli, argc, argv, options, option_count, &arguments);
    if (code != CLI_OK) {
        return code;
    }
    int count = arguments.positional.count;
    if (count < wanted->min || count > wanted->max || arguments.rest != NULL) {
        code = usage_error(cli, "takes %s", wanted->what);
    }
    for (int i = 0; code == CLI_OK && i < wanted->max; i++) {
        ret_arguments[i] = i < count ? arguments.positional.items[i] : NULL;
    }
    arguments_free(&arguments);
    return code;
}

int parse_job_id(const struct cli *cli, const char *text, struct job_id *ret_id)
{
    pgk_uuid id;
    if (pgk_uuid_parse(text, &id, NULL) != PGK_OK) {
        return usage_error(cli, "\"%s\" is no job id: 32 hex digits, or 36 characters with dashes",
                           text);
    }
    pgk_uuid_format(&id, ret_id->text);
    pgk_uuid_format_hex(&id, ret_id->hex);
    return CLI_OK;
}

int parse_count(const struct cli *cli, const char *what, const char *text, int64_t *ret_count)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) {
        return usage_error(cli, "%s is a whole number from 0 to 9223372036854775807, not \"%s\"",
                           what, text);
    }
    *ret_count = value;
    return CLI_OK;
}

int check_limit(const struct cli *cli, const char *limit)
{
    int64_t count;
    return limit != NULL ? parse_count(cli, "--limit", limit, &count) : CLI_OK;
}

int stores_open(struct db *db, const struct cli *cli)
{
    return db_open_for(db, cli, SCHEMA_OF_STORES);
}

int print_list(struct cli *cli, const char *sql, int n, const char *const *values,
               int table_columns)
{
    struct db db;
    DB_RESULT *result = NULL;
    int code = stores_open(&db, cli);
    if (code == CLI_OK) {
        code = db_query(&db, sql, n, values, &result);
    }
    if (code == CLI_OK) {
        output_rows(stdout, cli->format, result, table_columns);
        if (PQntuples(result) == 0 && cli->format == FORMAT_TABLE) {
            if (values[0] != NULL) {
                say(cli, "nothing found in cluster \"%s\"; --all-clusters looks at all", values[0]);
            } else {
                say(cli, "nothing found");
            }
        }
    }
    db_close(&db);
    return code;
}

int print_row(const struct cli *cli, int columns, const char *const *names, const Oid *types,
              const char *const *values, int table_columns)
{
    DB_RESULT *rows = output_new_rows(columns, names, types);
    if (rows == NULL) {
        say(cli, "out of memory");
        return CLI_FAILED;
    }
    output_add_row(rows, values);
    output_rows(stdout, cli->format, rows, table_columns);
    return CLI_OK;
}

int say_missing(const struct db *db, const char *what, const char *name)
{
    say(db->cli, "no %s %s in cluster \"%s\"", what, name, db_cluster(db));
    return CLI_CONDITION_FALSE;
}

int print_one(struct cli *cli, const char *sql, int n, const char *const *values, const char *what,
              const char *name)
{
    struct db db;
    DB_RESULT *result = NULL;
    int code = stores_open(&db, cli);
    if (code == CLI_OK) {
        code = db_query(&db, sql, n, values, &result);
    }
    if (code == CLI_OK && PQntuples(result) == 0) {
        code = say_missing(&db, what, name);
    }
    if (code == CLI_OK) {
        output_record(stdout, cli->format, result);
    }
    db_close(&db);
    return code;
}

int refuse_owned(struct db *db, const struct job_id *id, bool force, const char *effect)
{
    if (force) {
        return CLI_OK;
    }
    const char *values[] = {db_cluster(db), id->text};
    DB_RESULT *owners = NULL;
    int code = db_query(db, sql_jobs_owners, 2, values, &owners);
    if (code == CLI_OK && !PQgetisnull(owners, 0, 0)) {
        say(db->cli, "job %s belongs to %s, which is alive: %s; --force does it all the same",
            id->hex, db_text(owners, 0, 0), effect);
        return CLI_FAILED;
    }
    return code;
}

int ask(const struct cli *cli, bool yes, const char *question, ...)
{
    char text[512];
    va_list args;
    va_start(args, question);
    vsnprintf(text, sizeof text, question, args);
    va_end(args);
    if (yes || confirm_on_terminal(text)) {
        return CLI_OK;
    }
    say(cli, "nothing was done; --yes does it without asking");
    return CLI_FAILED;
}
