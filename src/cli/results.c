/*
 * results.c - `pgkeeper results` and `pgkeeper purge`: how jobs ended.
 *
 * Reads by the view stat_results; writes by statements on the table job_result that a DBA may run as well.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli_statements.h"
#include "output.h"
#include "stores.h"
#include "verbs.h"

#define KEY_RETENTION "job-result-store.retention"
#define KEY_DELETE "job-result-store.delete-on-commit" /* SQL reads its values as they are */
#define PURGE_BATCH 1000

const char help_results[] =
    "usage: pgkeeper results ls [--dirty|--clean] [--limit N] [--all-clusters]\n"
    "                           [--format F]\n"
    "       pgkeeper results show ID [--format F]\n"
    "       pgkeeper results mark-clean ID\n"
    "\n"
    "How jobs ended, one entry per job. ID is 32 hex digits, with or without dashes.\n"
    "An entry is dirty until all that its job left behind is removed.\n"
    "\n"
    "ls          lists entries, from the view stat_results. The table shows the most\n"
    "            important columns, the other formats all.\n"
    "show        prints one entry. Exit code 4: there is none.\n"
    "mark-clean  dirty becomes clean, clean stays so. The entry stays until it is\n"
    "            purged; with job-result-store.delete-on-commit: true it is deleted.\n"
    "            Exit code 4: there is none.\n"
    "\n"
    "options:\n"
    "  --dirty, --clean  only these\n"
    "  --limit N         at most so many\n"
    "  --all-clusters    not only those of --cluster\n";

const char help_purge[] =
    "usage: pgkeeper purge [results|history|events] [--older-than D] [--dry-run]\n"
    "                      [--yes] [--format F]\n"
    "\n"
    "Deletes what is older than D, in batches, by the function purge(). Prints how\n"
    "many.\n"
    "\n"
    "results  those that were marked clean longer ago than D (the default); dirty\n"
    "         ones always stay\n"
    "history  tenures that ended longer ago; the latest of each group stays\n"
    "events   the audit\n"
    "\n"
    "  --older-than D  an age such as \"30 d\" or 12h; default: for results the\n"
    "                  configuration's job-result-store.retention, 30 days; there is\n"
    "                  none for the others\n"
    "  --dry-run       only print how many it would be\n"
    "  --yes           do not ask\n";

static int results_ls(struct cli *cli, int argc, char **argv)
{
    bool all = false, dirty = false, clean = false;
    const char *limit = NULL;
    const struct cli_option options[] = {{"--all-clusters", OPTION_FLAG, &all},
                                         {"--dirty", OPTION_FLAG, &dirty},
                                         {"--clean", OPTION_FLAG, &clean},
                                         {"--limit", OPTION_TEXT, &limit}};
    const struct wanted wanted = {"no arguments", 0, 0};
    int code = parse_action(cli, argc, argv, options, 4, &wanted, NULL);
    if (code == CLI_OK) {
        code = check_limit(cli, limit);
    }
    if (code != CLI_OK) {
        return code;
    }
    const char *state = dirty == clean ? NULL : dirty ? "dirty" : "clean";
    const char *values[] = {all ? NULL : config_value(cli, CLI_KEY_CLUSTER), state, limit};
    return print_list(cli, sql_results_ls, 3, values, all ? 5 : 4);
}

static int parse_one_job(struct cli *cli, int argc, char **argv, struct job_id *ret_id)
{
    const char *job;
    const struct wanted wanted = {"one job id", 1, 1};
    int code = parse_action(cli, argc, argv, NULL, 0, &wanted, &job);
    return code == CLI_OK ? parse_job_id(cli, job, ret_id) : code;
}

static int results_show(struct cli *cli, int argc, char **argv)
{
    struct job_id id;
    int code = parse_one_job(cli, argc, argv, &id);
    if (code != CLI_OK) {
        return code;
    }
    const char *values[] = {config_value(cli, CLI_KEY_CLUSTER), id.text};
    return print_one(cli, sql_results_show, 2, values, "result of job", id.hex);
}

static int results_mark_clean(struct cli *cli, int argc, char **argv)
{
    struct job_id id;
    int code = parse_one_job(cli, argc, argv, &id);
    if (code != CLI_OK) {
        return code;
    }
    struct db db;
    DB_RESULT *answer = NULL;
    const char *values[] = {config_value(cli, CLI_KEY_CLUSTER), id.text,
                            config_value(cli, KEY_DELETE)};
    code = stores_open(&db, cli);
    if (code == CLI_OK) {
        code = db_act(&db, sql_results_mark_clean, 3, values, NULL, NULL, &answer);
    }
    if (code == CLI_OK && strcmp(db_text(answer, 0, 0), "missing") == 0) {
        code = say_missing(&db, "result of job", id.hex);
    } else if (code == CLI_OK && strcmp(db_text(answer, 0, 0), "clean") == 0) {
        say(cli, "the result of job %s was clean already", id.hex);
    }
    db_close(&db);
    return code;
}

int cmd_results(struct cli *cli, int argc, char **argv)
{
    static const struct action actions[] = {
        {"ls", results_ls}, {"show", results_show}, {"mark-clean", results_mark_clean}};
    return run_action_of(cli, argc, argv, actions, sizeof actions / sizeof actions[0]);
}

static int print_purged(const struct cli *cli, int64_t purged)
{
    static const char *const names[] = {"purged"};
    static const Oid types[] = {OUTPUT_INT8};
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, purged);
    const char *values[] = {number};
    return print_row(cli, 1, names, types, values, 0);
}

struct purge {
    const char *what;   /* results, history or events */
    const char *age;    /* as given */
    const char *age_ms; /* the same as a number */
};

/* Batches of a transaction each, so that it never holds much at once; what is done stays done. */
static int purge_all(struct db *db, const struct purge *purge)
{
    char batch[16];
    snprintf(batch, sizeof batch, "%d", PURGE_BATCH);
    const char *values[] = {db_cluster(db), purge->age_ms, batch, purge->what};
    int64_t purged = 0;
    for (;;) {
        DB_RESULT *gone = NULL;
        int code = db_act(db, sql_results_purge, 4, values, NULL, NULL, &gone);
        if (code != CLI_OK) {
            say(db->cli, "%" PRId64 " were deleted before that", purged);
            return code;
        }
        purged += db_int(gone, 0, 0);
        if (db_int(gone, 0, 0) < PURGE_BATCH) {
            return print_purged(db->cli, purged);
        }
    }
}

static int run_purge(struct db *db, const struct purge *purge, const struct destroying *how)
{
    const char *values[] = {db_cluster(db), purge->age_ms, purge->what};
    DB_RESULT *found = NULL;
    if (how->yes && !how->dry_run) {
        return purge_all(db, purge); /* an application may purge, but not read the audit */
    }
    int code = db_query(db, sql_results_purge_count, 3, values, &found);
    if (code == CLI_OK && how->dry_run) {
        output_rows(stdout, db->cli->format, found, 0);
        return CLI_OK;
    }
    if (code == CLI_OK && strcmp(db_text(found, 0, 0), "0") == 0) {
        return print_purged(db->cli, 0);
    }
    if (code == CLI_OK) {
        code = ask(db->cli, how->yes, "Delete %s %s of cluster \"%s\", older than %s?",
                   db_text(found, 0, 0), purge->what, db_cluster(db), purge->age);
    }
    return code == CLI_OK ? purge_all(db, purge) : code;
}

static int check_purge(const struct cli *cli, struct purge *purge)
{
    static const char *const known[] = {"results", "history", "events"};
    bool found = purge->what == NULL;
    for (size_t i = 0; i < sizeof known / sizeof known[0] && !found; i++) {
        found = strcmp(known[i], purge->what) == 0;
    }
    if (!found) {
        return usage_error(cli, "purges results, history or events, not \"%s\"", purge->what);
    }
    if (purge->what == NULL) {
        purge->what = known[0];
    }
    if (purge->age == NULL && strcmp(purge->what, known[0]) != 0) {
        return usage_error(cli, "%s: older than what? --older-than has no default there",
                           purge->what);
    }
    if (purge->age == NULL) {
        purge->age = config_value(cli, KEY_RETENTION);
    }
    return CLI_OK;
}

int cmd_purge(struct cli *cli, int argc, char **argv)
{
    struct destroying how = {0};
    struct purge purge = {0};
    const struct cli_option options[] = {{"--older-than", OPTION_TEXT, &purge.age},
                                         {"--dry-run", OPTION_FLAG, &how.dry_run},
                                         {"--yes", OPTION_FLAG, &how.yes}};
    const struct wanted wanted = {"one of results, history, events", 0, 1};
    int code = parse_action(cli, argc, argv, options, 3, &wanted, &purge.what);
    if (code == CLI_OK) {
        code = check_purge(cli, &purge);
    }
    if (code != CLI_OK) {
        return code;
    }
    int64_t ms;
    if (!parse_long_duration_ms(purge.age, &ms)) {
        return usage_error(cli, "--older-than takes a duration such as 12h or \"30 d\", not \"%s\"",
                           purge.age);
    }
    char age_ms[24];
    snprintf(age_ms, sizeof age_ms, "%" PRId64, ms);
    purge.age_ms = age_ms;
    struct db db;
    code = db_open_for(&db, cli, SCHEMA_OF_OPERATIONS);
    if (code == CLI_OK) {
        code = run_purge(&db, &purge, &how);
    }
    db_close(&db);
    return code;
}
