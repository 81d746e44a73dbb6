/*
 * views.c - the verbs that read: leader, leaders, contenders, history.
 *
 * They print what the views stat_leaders, stat_contenders and the table leader_history say; a DBA reads the
 * same with psql.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_statements.h"
#include "db.h"
#include "output.h"
#include "verbs.h"

#define DEFAULT_HISTORY 20

const char help_leader[] =
    "usage: pgkeeper leader COMPONENT [--wait D] [--format F]\n"
    "\n"
    "Prints the address that the leader of a component has published. Exit code 4,\n"
    "and nothing on stdout, when it has no leader right now: never led, released,\n"
    "lost and not yet taken over, still in its grace, or its address not published\n"
    "yet.\n"
    "\n"
    "  --wait D    wait up to D (\"10s\") for a leader; exit code 5 when there is none\n"
    "              by then\n"
    "  --format F  print the row of stat_leaders instead: table, json, ndjson, csv\n";

const char help_leaders[] =
    "usage: pgkeeper leaders [COMPONENT] [--all-clusters] [--format F]\n"
    "\n"
    "Lists who leads what, one row per component, from the view stat_leaders. state\n"
    "is leading; unconfirmed (leads, no address yet); in grace (took over, may not\n"
    "act yet); released (given up cleanly); lost (its session ended and nobody has\n"
    "taken over); never led. The table shows the most important columns, the other\n"
    "formats all.\n"
    "\n"
    "  --all-clusters  not only those of --cluster\n";

const char help_contenders[] =
    "usage: pgkeeper contenders [COMPONENT|GROUP] [--all] [--all-clusters]\n"
    "                           [--format F]\n"
    "\n"
    "Lists the processes that contend for leadership, from the view stat_contenders:\n"
    "one row per member and group. state is leader, in grace, standby or gone.\n"
    "member_id is what `switchover --to` takes, besides the name.\n"
    "\n"
    "  --all           also members that are gone; their rows are removed after a day\n"
    "  --all-clusters  not only those of --cluster\n";

const char help_history[] =
    "usage: pgkeeper history [COMPONENT|GROUP] [--limit N] [--all-clusters]\n"
    "                        [--format F]\n"
    "\n"
    "Lists the latest tenures, oldest first: who led, when, for how long, and why it\n"
    "ended (columns of the table leader_history).\n"
    "\n"
    "  --limit N       how many (default 20)\n"
    "  --all-clusters  not only those of --cluster\n";

/* Parses options and at most one positional argument into *ret_what (NULL without). */
static int parse_one(struct cli *cli, int argc, char **argv, const struct cli_option *options,
                     size_t option_count, const char **ret_what)
{
    struct cli_arguments arguments;
    int code = parse_options(cli, argc, argv, options, option_count, &arguments);
    if (code != CLI_OK) {
        return code;
    }
    *ret_what = arguments.positional.count > 0 ? arguments.positional.items[0] : NULL;
    if (arguments.positional.count > 1 || arguments.rest != NULL) {
        code = usage_error(cli, "too many arguments");
    }
    arguments_free(&arguments);
    return code;
}

/* A person who finds nothing may have looked in the wrong place; a program reads [] or no line. */
static void say_nothing_found(const struct cli *cli, const char *cluster, const char *what)
{
    if (cluster == NULL) {
        say(cli, "nothing found%s%s", what != NULL ? " of " : "", what != NULL ? what : "");
    } else {
        say(cli, "nothing found%s%s in cluster \"%s\"; --all-clusters looks at all",
            what != NULL ? " of " : "", what != NULL ? what : "", cluster);
    }
}

/* Runs one statement and prints what it finds; values begin with cluster id and component or group. */
static int print_view(struct cli *cli, const char *sql, int n, const char *const *values,
                      int table_columns)
{
    struct db db;
    DB_RESULT *result = NULL;
    int code = db_open(&db, cli);
    if (code == CLI_OK) {
        code = db_query(&db, sql, n, values, &result);
    }
    if (code == CLI_OK) {
        output_rows(stdout, cli->format, result, table_columns);
        if (PQntuples(result) == 0 && cli->format == FORMAT_TABLE) {
            say_nothing_found(cli, values[0], values[1]);
        }
    }
    db_close(&db);
    return code;
}

int cmd_leaders(struct cli *cli, int argc, char **argv)
{
    bool all = false;
    const char *what;
    const struct cli_option options[] = {{"--all-clusters", OPTION_FLAG, &all}};
    int code = parse_one(cli, argc, argv, options, 1, &what);
    if (code != CLI_OK) {
        return code;
    }
    const char *values[] = {all ? NULL : config_value(cli, CLI_KEY_CLUSTER), what};
    return print_view(cli, sql_view_leaders, 2, values, all ? 7 : 6);
}

int cmd_contenders(struct cli *cli, int argc, char **argv)
{
    bool all = false, gone = false;
    const char *what;
    const struct cli_option options[] = {{"--all-clusters", OPTION_FLAG, &all},
                                         {"--all", OPTION_FLAG, &gone}};
    int code = parse_one(cli, argc, argv, options, 2, &what);
    if (code != CLI_OK) {
        return code;
    }
    const char *values[] = {all ? NULL : config_value(cli, CLI_KEY_CLUSTER), what,
                            gone ? "true" : "false"};
    return print_view(cli, sql_view_contenders, 3, values, all ? 6 : 5);
}

int cmd_history(struct cli *cli, int argc, char **argv)
{
    bool all = false;
    int limit = DEFAULT_HISTORY;
    const char *what;
    const struct cli_option options[] = {{"--all-clusters", OPTION_FLAG, &all},
                                         {"--limit", OPTION_NUMBER, &limit}};
    int code = parse_one(cli, argc, argv, options, 2, &what);
    if (code != CLI_OK) {
        return code;
    }
    char number[16];
    snprintf(number, sizeof number, "%d", limit);
    const char *values[] = {all ? NULL : config_value(cli, CLI_KEY_CLUSTER), what, number};
    return print_view(cli, sql_view_history, 3, values, 6);
}

/* The row of the component that leads now, or -1; column 2 is the state. */
static int leading_row(const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++) {
        if (strcmp(db_text(result, row, 2), "leading") == 0) {
            return row;
        }
    }
    return -1;
}

static int say_no_leader(const struct cli *cli, const char *component, const PGresult *result,
                         int waited_ms)
{
    if (PQntuples(result) == 0) {
        say(cli, "cluster \"%s\" has no component \"%s\"", config_value(cli, CLI_KEY_CLUSTER),
            component);
    } else {
        say(cli, "component \"%s\" has no leader: %s", component, db_text(result, 0, 2));
    }
    return waited_ms > 0 ? CLI_TIMED_OUT : CLI_CONDITION_FALSE;
}

static int print_leader(struct db *db, const char *component, int wait_up_to_ms)
{
    const struct cli *cli = db->cli;
    const char *values[] = {db_cluster(db), component};
    int64_t deadline = now_ms() + wait_up_to_ms;
    for (;;) {
        DB_RESULT *result = NULL;
        int code = db_query(db, sql_view_leaders, 2, values, &result);
        if (code != CLI_OK) {
            return code;
        }
        int row = leading_row(result);
        if (row >= 0 && cli->format_given) {
            output_rows(stdout, cli->format, result, 6);
            return CLI_OK;
        }
        if (row >= 0) {
            puts(db_text(result, row, 1));
            return CLI_OK;
        }
        if (now_ms() >= deadline) {
            return say_no_leader(cli, component, result, wait_up_to_ms);
        }
        wait_ms(50);
    }
}

int cmd_leader(struct cli *cli, int argc, char **argv)
{
    int wait_up_to_ms = 0;
    const char *component;
    const struct cli_option options[] = {{"--wait", OPTION_DURATION_MS, &wait_up_to_ms}};
    int code = parse_one(cli, argc, argv, options, 1, &component);
    if (code != CLI_OK) {
        return code;
    }
    if (component == NULL) {
        return usage_error(cli, "of which component?");
    }
    struct db db;
    code = db_open(&db, cli);
    if (code == CLI_OK) {
        code = print_leader(&db, component, wait_up_to_ms);
    }
    db_close(&db);
    return code;
}
