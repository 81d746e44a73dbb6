/*
 * cleanup.c - `pgkeeper cleanup job|cluster`: all traces of a job, or all that is stored under a cluster id.
 *
 * By the public functions cleanup_job() and cleanup_cluster(); what is added here is looking first, asking, and
 * refusing while a leader is alive.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_statements.h"
#include "output.h"
#include "stores.h"
#include "verbs.h"

#define CLEANUP_BATCH 1000 /* as in sql/cleanup/cluster.sql */
#define SHORT_BATCHES 300  /* in a row: others remove, or write, what is there */

const char help_cleanup[] =
    "usage: pgkeeper cleanup job ID  [--force] [--dry-run] [--yes] [--format F]\n"
    "       pgkeeper cleanup cluster [--force] [--dry-run] [--yes] [--format F]\n"
    "\n"
    "job      removes every trace of a job but its result: graph, resource\n"
    "         requirements, checkpoints in any state, counter, status, blobs, and\n"
    "         the address of its job master; all or nothing. ID is 32 hex digits,\n"
    "         with or without dashes. A job of which nothing is stored: fine.\n"
    "         Checkpoints that were still to be discarded go too: their external\n"
    "         data is then yours to remove (pgkeeper checkpoints ls ID --state\n"
    "         discarding).\n"
    "cluster  removes everything stored under the cluster id of --cluster, results\n"
    "         and blobs too, in batches; if it is interrupted, run it again. Epochs,\n"
    "         history and audit stay. Other cluster ids are not touched.\n"
    "\n"
    "The bytes of blobs are unlinked last; what an interruption leaves of them goes\n"
    "with the next put, clean-up, or pgkeeper orphans --remove.\n"
    "\n"
    "  --force    also if a leader is alive: one that owns the job, or any of the\n"
    "             cluster\n"
    "  --dry-run  only print what would be removed\n"
    "  --yes      do not ask\n";

static int look(struct db *db, const char *sql, int n, const char *const *values,
                const struct destroying *how, PGresult **ret_found)
{
    /* An application may clean up, but not read the views: then --yes goes without. */
    return how->yes && !how->dry_run ? CLI_OK : db_query(db, sql, n, values, ret_found);
}

/* The bytes of the blobs that were removed, in transactions of some size. */
static int sweep(struct db *db)
{
    for (bool more = true; more;) {
        DB_RESULT *batch = NULL;
        int code = db_act(db, sql_cleanup_sweep, 0, NULL, NULL, NULL, &batch);
        if (code != CLI_OK) {
            say(db->cli, "all is removed but for bytes of blobs: pgkeeper orphans --remove");
            return code;
        }
        more = db_bool(batch, 0, 1);
    }
    return CLI_OK;
}

static int cleanup_job(struct db *db, const struct job_id *id, const struct destroying *how)
{
    const char *values[] = {db_cluster(db), id->text};
    DB_RESULT *found = NULL, *removed = NULL;
    int code = refuse_owned(db, id, how->force, "it would be told that its job is gone");
    if (code == CLI_OK) {
        code = look(db, sql_cleanup_job_before, 2, values, how, &found);
    }
    if (code == CLI_OK && how->dry_run) {
        output_record(stdout, db->cli->format, found);
        return CLI_OK;
    }
    if (code == CLI_OK && found != NULL) {
        code = ask(db->cli, how->yes,
                   "Remove job %s: %s graph, %s checkpoints, %s of them still to be discarded, %s "
                   "blobs?",
                   id->hex, strcmp(db_text(found, 0, 1), "1") == 0 ? "its" : "no",
                   db_text(found, 0, 2), db_text(found, 0, 3), db_text(found, 0, 6));
    }
    if (code == CLI_OK) {
        code = db_act(db, sql_cleanup_job, 2, values, NULL, NULL, &removed);
    }
    if (code != CLI_OK) {
        return code;
    }
    output_rows(stdout, db->cli->format, removed, 0);
    if (strcmp(db_text(removed, 0, 2), "0") != 0) {
        say(db->cli,
            "%s checkpoints were still to be discarded: their external data is yours to remove",
            db_text(removed, 0, 2));
    }
    return sweep(db);
}

static int print_removed(const struct cli *cli, const char *cluster, int64_t removed)
{
    static const char *const names[] = {"cluster_id", "removed"};
    static const Oid types[] = {OUTPUT_TEXT, OUTPUT_INT8};
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, removed);
    const char *values[] = {cluster, number};
    return print_row(cli, 2, names, types, values, 0);
}

/* Batches of a transaction each; what is done stays done. */
static int remove_cluster(struct db *db)
{
    const char *values[] = {db_cluster(db)};
    int64_t removed = 0;
    int missed = 0;
    for (bool more = true; more;) {
        DB_RESULT *batch = NULL;
        int code = db_act(db, sql_cleanup_cluster, 1, values, NULL, NULL, &batch);
        if (code != CLI_OK) {
            say(db->cli, "%" PRId64 " rows were removed before that; run it again", removed);
            return code;
        }
        removed += db_int(batch, 0, 0);
        more = db_bool(batch, 0, 1);
        missed = db_int(batch, 0, 0) < CLEANUP_BATCH ? missed + 1 : 0;
        if (more && missed >= SHORT_BATCHES) {
            say(db->cli,
                "cluster \"%s\" is not empty after %" PRId64
                " rows were removed: others still write to it; stop them and run it again",
                db_cluster(db), removed);
            return CLI_FAILED;
        }
    }
    return print_removed(db->cli, db_cluster(db), removed);
}

static int refuse_led(struct db *db, bool force)
{
    const char *values[] = {db_cluster(db)};
    DB_RESULT *leaders = NULL;
    int code = db_query(db, sql_cleanup_cluster_leaders, 1, values, &leaders);
    if (code == CLI_OK && !force && !PQgetisnull(leaders, 0, 0)) {
        say(db->cli,
            "cluster \"%s\" has leaders that are alive, of %s: stop the masters first; --force "
            "does it all the same",
            db_cluster(db), db_text(leaders, 0, 0));
        return CLI_FAILED;
    }
    return code;
}

static int cleanup_cluster(struct db *db, const struct destroying *how)
{
    const char *values[] = {db_cluster(db)};
    DB_RESULT *found = NULL;
    int code = refuse_led(db, how->force);
    if (code == CLI_OK) {
        code = look(db, sql_cleanup_cluster_before, 1, values, how, &found);
    }
    if (code == CLI_OK && how->dry_run) {
        output_record(stdout, db->cli->format, found);
        return CLI_OK;
    }
    if (code == CLI_OK && found != NULL) {
        code = ask(db->cli, how->yes,
                   "Remove all of cluster \"%s\": %s graphs, %s checkpoints, %s results, %s blobs?",
                   db_cluster(db), db_text(found, 0, 1), db_text(found, 0, 2), db_text(found, 0, 5),
                   db_text(found, 0, 10));
    }
    if (code == CLI_OK) {
        code = remove_cluster(db);
    }
    return code == CLI_OK ? sweep(db) : code;
}

static int run_cleanup(struct cli *cli, const struct job_id *id, const struct destroying *how)
{
    struct db db;
    int code = stores_open(&db, cli);
    if (code == CLI_OK) {
        code = id != NULL ? cleanup_job(&db, id, how) : cleanup_cluster(&db, how);
    }
    db_close(&db);
    return code;
}

static int parse_cleanup(struct cli *cli, int argc, char **argv, const struct wanted *wanted,
                         struct destroying *how, const char **ret_job)
{
    const struct cli_option options[] = {{"--force", OPTION_FLAG, &how->force},
                                         {"--dry-run", OPTION_FLAG, &how->dry_run},
                                         {"--yes", OPTION_FLAG, &how->yes}};
    return parse_action(cli, argc, argv, options, 3, wanted, ret_job);
}

static int run_cleanup_job(struct cli *cli, int argc, char **argv)
{
    struct destroying how = {0};
    struct job_id id;
    const char *job;
    const struct wanted wanted = {"one job id", 1, 1};
    int code = parse_cleanup(cli, argc, argv, &wanted, &how, &job);
    if (code == CLI_OK) {
        code = parse_job_id(cli, job, &id);
    }
    return code == CLI_OK ? run_cleanup(cli, &id, &how) : code;
}

static int run_cleanup_cluster(struct cli *cli, int argc, char **argv)
{
    struct destroying how = {0};
    const struct wanted wanted = {"no arguments; --cluster names the cluster", 0, 0};
    int code = parse_cleanup(cli, argc, argv, &wanted, &how, NULL);
    return code == CLI_OK ? run_cleanup(cli, NULL, &how) : code;
}

int cmd_cleanup(struct cli *cli, int argc, char **argv)
{
    static const struct action actions[] = {{"job", run_cleanup_job},
                                            {"cluster", run_cleanup_cluster}};
    return run_action_of(cli, argc, argv, actions, sizeof actions / sizeof actions[0]);
}
