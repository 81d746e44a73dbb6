/*
 * checkpoints.c - `pgkeeper checkpoints` and `pgkeeper counter`.
 *
 * Reads by the view stat_checkpoints; writes by statements on the tables that a DBA may run as well. Never touches what a
 * checkpoint stands for outside of the database.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_statements.h"
#include "output.h"
#include "stores.h"
#include "verbs.h"

const char help_checkpoints[] =
    "usage: pgkeeper checkpoints ls [ID] [--state S] [--limit N] [--all-clusters]\n"
    "                               [--format F]\n"
    "       pgkeeper checkpoints show ID [N] [--format F]\n"
    "       pgkeeper checkpoints rm ID N [--discard] [--force] [--dry-run] [--yes]\n"
    "                               [--format F]\n"
    "\n"
    "Checkpoints and savepoints of jobs. ID is the job, 32 hex digits, with or\n"
    "without dashes; N the number of the checkpoint.\n"
    "\n"
    "ls    lists entries of one job or of all, from the view stat_checkpoints. state\n"
    "      is completed (in the list), discarding (external data still to be removed\n"
    "      by the application) or retained (left the list, external data stays). The\n"
    "      table shows the most important columns, the other formats all.\n"
    "show  prints one entry; without N the latest of the list. Exit code 4: there is\n"
    "      none.\n"
    "rm    deletes one entry. What it stands for outside of the database stays, and\n"
    "      nobody here will know of it any more; with --discard the entry leaves the\n"
    "      list instead, as if a newer one had taken its place. Exit code 4: there is\n"
    "      none.\n"
    "\n"
    "options:\n"
    "  --state S       only completed, discarding or retained\n"
    "  --limit N       at most so many\n"
    "  --all-clusters  not only those of --cluster\n"
    "  --discard       do not delete: let the application remove the external data\n"
    "  --force         also if a leader that is alive owns the job's graph\n"
    "  --dry-run       only print what would be removed\n"
    "  --yes           do not ask\n";

const char help_counter[] =
    "usage: pgkeeper counter get ID [--format F]\n"
    "       pgkeeper counter set ID N [--yes]\n"
    "\n"
    "The number of a job's next checkpoint. ID is the job, 32 hex digits, with or\n"
    "without dashes.\n"
    "\n"
    "get  prints the number that is issued next; 1 for a job that never asked\n"
    "set  sets it, from 0 up to 9223372036854775807 (which itself is never issued).\n"
    "     To a smaller one: asks, because numbers would be issued twice.\n"
    "\n"
    "  --format F  get: print a row instead: table, json, ndjson, csv\n"
    "  --yes       do not ask\n";

static int checkpoints_ls(struct cli *cli, int argc, char **argv)
{
    bool all = false;
    const char *job, *state = NULL, *limit = NULL;
    struct job_id id;
    const struct cli_option options[] = {{"--all-clusters", OPTION_FLAG, &all},
                                         {"--state", OPTION_TEXT, &state},
                                         {"--limit", OPTION_TEXT, &limit}};
    const struct wanted wanted = {"at most one job id", 0, 1};
    int code = parse_action(cli, argc, argv, options, 3, &wanted, &job);
    if (code == CLI_OK && job != NULL) {
        code = parse_job_id(cli, job, &id);
    }
    if (code == CLI_OK) {
        code = check_limit(cli, limit);
    }
    if (code != CLI_OK) {
        return code;
    }
    if (state != NULL && strcmp(state, "completed") != 0 && strcmp(state, "discarding") != 0 &&
        strcmp(state, "retained") != 0) {
        return usage_error(cli, "--state is completed, discarding or retained, not \"%s\"", state);
    }
    const char *values[] = {all ? NULL : config_value(cli, CLI_KEY_CLUSTER),
                            job != NULL ? id.text : NULL, state, limit};
    return print_list(cli, sql_checkpoints_ls, 4, values, all ? 5 : 4);
}

/* "checkpoint 7 of job ..." for messages; number NULL: the latest. */
static const char *name_of(char *out, size_t size, const struct job_id *id, const char *number)
{
    snprintf(out, size, "%s%sof job %s", number != NULL ? number : "", number != NULL ? " " : "",
             id->hex);
    return out;
}

static int checkpoints_show(struct cli *cli, int argc, char **argv)
{
    const char *arguments[2];
    struct job_id id;
    int64_t number;
    char name[80];
    const struct wanted wanted = {"a job id and a number, or the job id alone", 1, 2};
    int code = parse_action(cli, argc, argv, NULL, 0, &wanted, arguments);
    if (code == CLI_OK) {
        code = parse_job_id(cli, arguments[0], &id);
    }
    if (code == CLI_OK && arguments[1] != NULL) {
        code = parse_count(cli, "the number of a checkpoint", arguments[1], &number);
    }
    if (code != CLI_OK) {
        return code;
    }
    const char *values[] = {config_value(cli, CLI_KEY_CLUSTER), id.text, arguments[1]};
    return print_one(cli, sql_checkpoints_show, 3, values, "checkpoint",
                     name_of(name, sizeof name, &id, arguments[1]));
}

struct removal {
    struct job_id id;
    const char *number;
    bool discard;
    struct destroying how;
};

static int ask_removal(const struct cli *cli, const struct removal *r, const PGresult *stored)
{
    const char *kind = db_text(stored, 0, 2);
    if (r->discard) {
        return ask(cli, r->how.yes, "Take %s %s of job %s out of the list?", kind, r->number,
                   r->id.hex);
    }
    return ask(cli, r->how.yes, "Delete %s %s (%s) of job %s, and what it tells of external data?",
               kind, r->number, db_text(stored, 0, 3), r->id.hex);
}

static int remove_checkpoint(struct db *db, const struct removal *r)
{
    const char *values[] = {db_cluster(db), r->id.text, r->number};
    char name[80];
    DB_RESULT *stored = NULL, *gone = NULL;
    int code = db_query(db, sql_checkpoints_stored, 3, values, &stored);
    if (code == CLI_OK && PQntuples(stored) == 0) {
        return say_missing(db, "checkpoint", name_of(name, sizeof name, &r->id, r->number));
    }
    if (code == CLI_OK) {
        code = refuse_owned(db, &r->id, r->how.force, "it has its own list of them");
    }
    if (code == CLI_OK && !r->how.dry_run) {
        code = ask_removal(db->cli, r, stored);
    }
    if (code == CLI_OK && !r->how.dry_run) {
        code = db_act(db, r->discard ? sql_checkpoints_discard : sql_checkpoints_rm, 3, values,
                      NULL, NULL, &gone);
    }
    if (code == CLI_OK && gone != NULL && PQntuples(gone) == 0) {
        say(db->cli, r->discard ? "checkpoint %s is not in the list" : "checkpoint %s is gone",
            name_of(name, sizeof name, &r->id, r->number));
        return CLI_CONDITION_FALSE;
    }
    if (code == CLI_OK) {
        output_rows(stdout, db->cli->format, stored, 4);
    }
    return code;
}

static int checkpoints_rm(struct cli *cli, int argc, char **argv)
{
    struct removal r = {0};
    const char *arguments[2];
    int64_t number;
    const struct cli_option options[] = {{"--discard", OPTION_FLAG, &r.discard},
                                         {"--force", OPTION_FLAG, &r.how.force},
                                         {"--dry-run", OPTION_FLAG, &r.how.dry_run},
                                         {"--yes", OPTION_FLAG, &r.how.yes}};
    const struct wanted wanted = {"a job id and the number of a checkpoint", 2, 2};
    int code = parse_action(cli, argc, argv, options, 4, &wanted, arguments);
    if (code == CLI_OK) {
        code = parse_job_id(cli, arguments[0], &r.id);
    }
    if (code == CLI_OK) {
        code = parse_count(cli, "the number of a checkpoint", arguments[1], &number);
    }
    if (code != CLI_OK) {
        return code;
    }
    r.number = arguments[1];
    struct db db;
    code = stores_open(&db, cli);
    if (code == CLI_OK) {
        code = remove_checkpoint(&db, &r);
    }
    db_close(&db);
    return code;
}

int cmd_checkpoints(struct cli *cli, int argc, char **argv)
{
    static const struct action actions[] = {
        {"ls", checkpoints_ls}, {"show", checkpoints_show}, {"rm", checkpoints_rm}};
    return run_action_of(cli, argc, argv, actions, sizeof actions / sizeof actions[0]);
}

static int counter_get(struct cli *cli, int argc, char **argv)
{
    const char *job;
    struct job_id id;
    const struct wanted wanted = {"one job id", 1, 1};
    int code = parse_action(cli, argc, argv, NULL, 0, &wanted, &job);
    if (code == CLI_OK) {
        code = parse_job_id(cli, job, &id);
    }
    if (code != CLI_OK) {
        return code;
    }
    struct db db;
    DB_RESULT *found = NULL;
    const char *values[] = {config_value(cli, CLI_KEY_CLUSTER), id.text};
    code = stores_open(&db, cli);
    if (code == CLI_OK) {
        code = db_query(&db, sql_counter_get, 2, values, &found);
    }
    if (code == CLI_OK && cli->format_given) {
        output_rows(stdout, cli->format, found, 0);
    } else if (code == CLI_OK) {
        puts(db_text(found, 0, 1));
    }
    db_close(&db);
    return code;
}

static int set_counter(struct db *db, const struct job_id *id, const char *number, bool yes)
{
    const char *values[] = {db_cluster(db), id->text, number, "false"};
    DB_RESULT *answer = NULL, *forced = NULL;
    int code = db_act(db, sql_counter_set, 4, values, NULL, NULL, &answer);
    const char *outcome = db_text(answer, 0, 0);
    if (code == CLI_OK && strcmp(outcome, "smaller") == 0) {
        const char *next = db_text(answer, 0, 1);
        code = ask(db->cli, yes,
                   "Job %s would get number %s next. Set it back to %s, so that numbers are issued "
                   "twice?",
                   id->hex, next, number);
        values[3] = "true";
        code = code == CLI_OK ? db_act(db, sql_counter_set, 4, values, NULL, NULL, &forced) : code;
        outcome = db_text(forced, 0, 0);
    }
    if (code == CLI_OK && strcmp(outcome, "changed") == 0) {
        say(db->cli, "somebody else has just set it; nothing was done");
        code = CLI_FAILED;
    }
    return code;
}

static int counter_set(struct cli *cli, int argc, char **argv)
{
    bool yes = false;
    const char *arguments[2];
    struct job_id id;
    int64_t number;
    const struct cli_option options[] = {{"--yes", OPTION_FLAG, &yes}};
    const struct wanted wanted = {"a job id and a number", 2, 2};
    int code = parse_action(cli, argc, argv, options, 1, &wanted, arguments);
    if (code == CLI_OK) {
        code = parse_job_id(cli, arguments[0], &id);
    }
    if (code == CLI_OK) {
        code = parse_count(cli, "the number of a checkpoint", arguments[1], &number);
    }
    if (code != CLI_OK) {
        return code;
    }
    struct db db;
    code = stores_open(&db, cli);
    if (code == CLI_OK) {
        code = set_counter(&db, &id, arguments[1], yes);
    }
    db_close(&db);
    return code;
}

int cmd_counter(struct cli *cli, int argc, char **argv)
{
    static const struct action actions[] = {{"get", counter_get}, {"set", counter_set}};
    return run_action_of(cli, argc, argv, actions, sizeof actions / sizeof actions[0]);
}
