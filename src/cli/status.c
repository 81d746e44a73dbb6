/*
 * status.c - `pgkeeper status`: the state of one cluster on one screen, and as a probe for monitoring.
 *
 * Reads only. The verdict is made in sql/status/state.sql, from the views, so that status, top and metrics say the same.
 */
#include <stdio.h>
#include <string.h>

#include "cli_statements.h"
#include "output.h"
#include "stores.h"
#include "verbs.h"

#define DEFAULT_STANDBYS 1

const char help_status[] =
    "usage: pgkeeper status [--check] [--standbys N] [--format F]\n"
    "\n"
    "Shows the state of the cluster of --cluster on one screen: the verdict, who\n"
    "leads what, who waits, what is stored. Exit code 0 whatever the verdict is.\n"
    "\n"
    "  --check       one line of words, for monitoring, with exit codes as Nagios and\n"
    "                its kin know them; usage and connection included:\n"
    "                0  OK: every group is led, and has its standbys\n"
    "                1  WARNING: too few standbys, elections paused, or a leader in\n"
    "                   its grace\n"
    "                2  CRITICAL: a group has no leader, nobody contends, the\n"
    "                   database is down, read-only, in recovery or does not\n"
    "                   answer in time (8 s, 2 s for a lock), or the schema is\n"
    "                   missing, too old or too new\n"
    "                3  UNKNOWN: this role lacks rights, or the probe itself failed\n"
    "  --standbys N  how many each group should have (default 1)\n";

/* What Nagios and its kin make of an exit code. */
enum check_exit { CHECK_OK, CHECK_WARNING, CHECK_CRITICAL, CHECK_UNKNOWN = STATUS_EXIT_UNKNOWN };

enum {
    STATE_CLUSTER = 0,
    STATE_LEVEL = 1,
    STATE_WORDS = 2,
    STATE_GROUPS = 3,
    STATE_LED = 4,
    STATE_MEMBERS = 7,
    STATE_PAUSED_AT = 9,
    STATE_PAUSED_BY = 10,
    STATE_PAUSE_REASON = 11,
    STATE_VERSION = 24,
    STATE_STARTED_AT = 27,
    STATE_SCHEMA = 28
};

static const char *const levels[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

static int read_state(struct db *db, int standbys, PGresult **ret_state)
{
    char number[16];
    snprintf(number, sizeof number, "%d", standbys);
    const char *values[] = {db_cluster(db), number};
    return db_query(db, sql_status_state, 2, values, ret_state);
}

/* ------------------------------------------------------------------ the probe */

/* The exit codes of the command, seen by a monitor. Why was said on stderr. */
static int check_failed(int code)
{
    static const char *const words[] = {
        [CLI_NO_CONNECTION] = "the database cannot be reached, or refuses this role",
        [CLI_SCHEMA] = "the schema is missing, too old or too new",
        [CLI_TIMED_OUT] = "the database did not answer in time",
    };
    bool known = code < (int)(sizeof words / sizeof words[0]) && words[code] != NULL;
    enum check_exit level = known ? CHECK_CRITICAL : CHECK_UNKNOWN;
    printf("%s: %s\n", levels[level],
           known ? words[code] : "the probe failed; it says why on standard error");
    return (int)level;
}

static int check(struct cli *cli, int standbys)
{
    struct db db;
    DB_RESULT *state = NULL;
    int code = db_open_for(&db, cli, SCHEMA_OF_OPERATIONS);
    bool opened = code == CLI_OK;
    if (opened) {
        code = read_state(&db, standbys, &state);
    }
    /* A role that is let in but may not look: nothing is known of the cluster. */
    bool connected = PQstatus(db.conn) == CONNECTION_OK;
    db_close(&db);
    if (code == CLI_NO_CONNECTION && connected) {
        printf("%s: this role may not read the state; see sql/roles.sql\n", levels[CHECK_UNKNOWN]);
        return CHECK_UNKNOWN;
    }
    if (code != CLI_OK) {
        return check_failed(code);
    }
    int level = db_int(state, 0, STATE_LEVEL);
    printf("%s: %s\n", levels[level], db_text(state, 0, STATE_WORDS));
    return level;
}

/* ------------------------------------------------------------------ the screen */

static void print_line(const char *name, const char *text)
{
    printf("%-12s%s\n", name, text);
}

static void print_heading(const PGresult *state)
{
    char line[512];
    printf("%-12s%s: %s\n", "verdict", levels[db_int(state, 0, STATE_LEVEL)],
           db_text(state, 0, STATE_WORDS));
    print_line("cluster", db_text(state, 0, STATE_CLUSTER));
    snprintf(line, sizeof line, "PostgreSQL %s, up since %s; schema version %s",
             db_text(state, 0, STATE_VERSION), db_text(state, 0, STATE_STARTED_AT),
             db_text(state, 0, STATE_SCHEMA));
    print_line("server", line);
    if (PQgetisnull(state, 0, STATE_PAUSED_AT)) {
        print_line("elections", "running");
    } else {
        bool reason = !PQgetisnull(state, 0, STATE_PAUSE_REASON);
        snprintf(line, sizeof line, "PAUSED since %s by %s%s%s", db_text(state, 0, STATE_PAUSED_AT),
                 db_text(state, 0, STATE_PAUSED_BY), reason ? ": " : "",
                 db_text(state, 0, STATE_PAUSE_REASON));
        print_line("elections", line);
    }
    snprintf(line, sizeof line, "%s of %s led, by %s live members", db_text(state, 0, STATE_LED),
             db_text(state, 0, STATE_GROUPS), db_text(state, 0, STATE_MEMBERS));
    print_line("groups", line);
}

static int print_sections(struct db *db)
{
    static const struct {
        const char *title;
        const char *sql;
        int values;
        int columns;
    } sections[] = {{"leaders", sql_view_leaders, 2, 6},
                    {"contenders", sql_view_contenders, 3, 5},
                    {"stored", sql_status_stored, 1, 0},
                    {"last tenures", sql_view_history, 3, 6}};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        bool history = sections[i].sql == sql_view_history;
        const char *values[] = {db_cluster(db), NULL, history ? "3" : "false"};
        DB_RESULT *rows = NULL;
        pgk_error error;
        pgk_status status = db_try(db, sections[i].sql, sections[i].values, values, &rows, &error);
        if (status == PGK_ERR_ACCESS) {
            printf("\n%s: not for this role\n", sections[i].title);
        } else if (status != PGK_OK) {
            return fail(db->cli, &error);
        } else if (PQntuples(rows) > 0) {
            printf("\n%s\n", sections[i].title);
            output_rows(stdout, FORMAT_TABLE, rows, sections[i].columns);
        }
    }
    return CLI_OK;
}

static int show(struct cli *cli, int standbys)
{
    struct db db;
    DB_RESULT *state = NULL;
    int code = db_open_for(&db, cli, SCHEMA_OF_OPERATIONS);
    if (code == CLI_OK) {
        code = read_state(&db, standbys, &state);
    }
    if (code == CLI_OK && cli->format != FORMAT_TABLE) {
        output_rows(stdout, cli->format, state, 0);
    } else if (code == CLI_OK) {
        print_heading(state);
        code = print_sections(&db);
    }
    db_close(&db);
    return code;
}

int cmd_status(struct cli *cli, int argc, char **argv)
{
    bool checked = false;
    int standbys = DEFAULT_STANDBYS;
    const struct cli_option options[] = {{"--check", OPTION_FLAG, &checked},
                                         {"--standbys", OPTION_NUMBER, &standbys}};
    const struct wanted wanted = {"no arguments; --cluster names the cluster", 0, 0};
    int code = parse_action(cli, argc, argv, options, 2, &wanted, NULL);
    if (code != CLI_OK) {
        return code == CLI_USAGE && checked ? CHECK_UNKNOWN : code;
    }
    cli->probes = true;
    return checked ? check(cli, standbys) : show(cli, standbys);
}
