/*
 * jobs.c - `pgkeeper jobs`: list, show, store, fetch and remove job graphs.
 *
 * Reads by the view stat_jobs; writes by statements on the table job_graph that a DBA may run as well, so they are in the
 * audit as done by hand. Never keeps a graph: nothing here owns one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_statements.h"
#include "output.h"
#include "payload.h"
#include "stores.h"
#include "verbs.h"

const char help_jobs[] =
    "usage: pgkeeper jobs ls   [--status S] [--limit N] [--all-clusters] [--format F]\n"
    "       pgkeeper jobs show ID [--format F]\n"
    "       pgkeeper jobs put  ID FILE|- [--replace] [--force] [--format F]\n"
    "       pgkeeper jobs get  ID FILE|-\n"
    "       pgkeeper jobs rm   ID [--force] [--dry-run] [--yes] [--format F]\n"
    "\n"
    "The jobs that are stored, and their graphs. ID is 32 hex digits, with or without\n"
    "dashes.\n"
    "\n"
    "ls    lists jobs of which anything is stored, from the view stat_jobs. owned: a\n"
    "      leader that is alive has put or recovered the graph. The table shows the\n"
    "      most important columns, the other formats all.\n"
    "show  prints all that is known of one job. Exit code 4: nothing is.\n"
    "put   stores FILE, or standard input (-), as the graph of a job: 1 byte to 256\n"
    "      MiB, any bytes. Nobody owns it; leaders that listen are told of it. Exit\n"
    "      code 1 when the job has a graph; 5 when the connection broke before the\n"
    "      answer came.\n"
    "get   writes the graph into FILE, or to standard output (-), once it is complete\n"
    "      and agrees with its SHA-256; else nothing is written. Exit code 4: no\n"
    "      graph; 1: damaged.\n"
    "rm    removes the graph with its resource requirements, and nothing else of the\n"
    "      job. Exit code 4: no graph. For all of a job see pgkeeper cleanup.\n"
    "\n"
    "options:\n"
    "  --status S      only PENDING, RUNNING or DONE\n"
    "  --limit N       at most so many\n"
    "  --all-clusters  not only those of --cluster\n"
    "  --replace       put: also if the job has a graph\n"
    "  --force         also if a leader that is alive owns the graph\n"
    "  --dry-run       rm: only print what would be removed\n"
    "  --yes           rm: do not ask\n";

static int jobs_ls(struct cli *cli, int argc, char **argv)
{
    bool all = false;
    const char *status = NULL, *limit = NULL;
    const struct cli_option options[] = {{"--all-clusters", OPTION_FLAG, &all},
                                         {"--status", OPTION_TEXT, &status},
                                         {"--limit", OPTION_TEXT, &limit}};
    const struct wanted wanted = {"no arguments", 0, 0};
    int code = parse_action(cli, argc, argv, options, 3, &wanted, NULL);
    if (code == CLI_OK) {
        code = check_limit(cli, limit);
    }
    if (code != CLI_OK) {
        return code;
    }
    if (status != NULL && strcmp(status, "PENDING") != 0 && strcmp(status, "RUNNING") != 0 &&
        strcmp(status, "DONE") != 0) {
        return usage_error(cli, "--status is PENDING, RUNNING or DONE, not \"%s\"", status);
    }
    const char *values[] = {all ? NULL : config_value(cli, CLI_KEY_CLUSTER), status, limit};
    return print_list(cli, sql_jobs_ls, 3, values, all ? 6 : 5);
}

static int jobs_show(struct cli *cli, int argc, char **argv)
{
    struct job_id id;
    const char *job;
    const struct wanted wanted = {"one job id", 1, 1};
    int code = parse_action(cli, argc, argv, NULL, 0, &wanted, &job);
    if (code == CLI_OK) {
        code = parse_job_id(cli, job, &id);
    }
    if (code != CLI_OK) {
        return code;
    }
    const char *values[] = {config_value(cli, CLI_KEY_CLUSTER), id.text};
    return print_one(cli, sql_jobs_show, 2, values, "job", id.hex);
}

static int print_stored(struct db *db, const struct job_id *id)
{
    const char *values[] = {db_cluster(db), id->text};
    DB_RESULT *stored = NULL;
    int code = db_query(db, sql_jobs_stored, 2, values, &stored);
    if (code == CLI_OK) {
        output_rows(stdout, db->cli->format, stored, 4);
    }
    return code;
}

static int judge_put(struct db *db, const struct job_id *id, const PGresult *answer)
{
    const char *outcome = db_text(answer, 0, 0);
    if (strcmp(outcome, "exists") == 0) {
        say(db->cli, "job %s has a graph already; --replace replaces it", id->hex);
        return CLI_FAILED;
    }
    if (strcmp(outcome, "owned") == 0) {
        int code =
            refuse_owned(db, id, false, "its next write of this graph would fail with a conflict");
        if (code == CLI_OK) {
            say(db->cli, "job %s was changed meanwhile; try again", id->hex);
        }
        return code != CLI_OK ? code : CLI_FAILED;
    }
    if (db_bool(answer, 0, 1)) {
        say(db->cli, "job %s has a result: no leader will run it before that is gone", id->hex);
    }
    return print_stored(db, id);
}

static int put(struct db *db, const struct job_id *id, const struct payload *graph, bool replace,
               bool force)
{
    const char *values[] = {
        db_cluster(db),          id->text, graph->bytes, graph->digest, replace ? "true" : "false",
        force ? "true" : "false"};
    const int lengths[] = {0, 0, (int)graph->count, PAYLOAD_DIGEST_BYTES, 0, 0};
    const int formats[] = {0, 0, 1, 1, 0, 0};
    DB_RESULT *answer = NULL;
    int code = db_act(db, sql_jobs_put, 6, values, lengths, formats, &answer);
    return code == CLI_OK ? judge_put(db, id, answer) : code;
}

static int jobs_put(struct cli *cli, int argc, char **argv)
{
    bool replace = false, force = false;
    struct job_id id;
    const char *arguments[2];
    const struct cli_option options[] = {{"--replace", OPTION_FLAG, &replace},
                                         {"--force", OPTION_FLAG, &force}};
    const struct wanted wanted = {"a job id and a file, or - for standard input", 2, 2};
    struct payload graph;
    int code = parse_action(cli, argc, argv, options, 2, &wanted, arguments);
    if (code == CLI_OK) {
        code = parse_job_id(cli, arguments[0], &id);
    }
    if (code == CLI_OK) {
        code = payload_read(cli, arguments[1], &graph);
    }
    if (code != CLI_OK) {
        return code;
    }
    struct db db;
    code = stores_open(&db, cli);
    if (code == CLI_OK) {
        code = put(&db, &id, &graph, replace, force);
    }
    db_close(&db);
    payload_free(&graph);
    return code;
}

struct getting {
    const struct cli *cli;
    struct payload_out *out;
    size_t expected; /* 0 before the first piece */
    size_t count;
    char digest[PAYLOAD_DIGEST_BYTES];
};

static size_t binary_int4(const PGresult *row, int column)
{
    const unsigned char *bytes = (const unsigned char *)PQgetvalue(row, 0, column);
    return (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

static int on_piece(void *user, const PGresult *row)
{
    struct getting *g = user;
    size_t bytes = (size_t)PQgetlength(row, 0, 3);
    g->expected = binary_int4(row, 1);
    if (binary_int4(row, 0) != g->count + 1 || PQgetlength(row, 0, 2) != PAYLOAD_DIGEST_BYTES) {
        say(g->cli, "the server sent the pieces of the graph in another order; nothing is written");
        return CLI_FAILED;
    }
    memcpy(g->digest, PQgetvalue(row, 0, 2), PAYLOAD_DIGEST_BYTES);
    g->count += bytes;
    return payload_out_write(g->out, PQgetvalue(row, 0, 3), bytes);
}

static int get(struct db *db, const struct job_id *id, const char *path)
{
    const char *values[] = {db_cluster(db), id->text};
    struct getting g = {.cli = db->cli};
    int code = payload_out_open(db->cli, path, &g.out);
    if (code == CLI_OK) {
        code = db_stream(db, sql_jobs_get, 2, values, on_piece, &g);
    }
    if (code == CLI_OK && g.expected == 0) {
        code = say_missing(db, "graph of job", id->hex);
    }
    if (code == CLI_OK) {
        char what[80];
        snprintf(what, sizeof what, "the graph of job %s", id->hex);
        code = payload_out_commit(g.out, g.digest, what);
    }
    payload_out_free(g.out);
    return code;
}

static int jobs_get(struct cli *cli, int argc, char **argv)
{
    struct job_id id;
    const char *arguments[2];
    const struct wanted wanted = {"a job id and a file, or - for standard output", 2, 2};
    int code = parse_action(cli, argc, argv, NULL, 0, &wanted, arguments);
    if (code == CLI_OK) {
        code = parse_job_id(cli, arguments[0], &id);
    }
    if (code != CLI_OK) {
        return code;
    }
    struct db db;
    code = stores_open(&db, cli);
    if (code == CLI_OK) {
        code = get(&db, &id, arguments[1]);
    }
    db_close(&db);
    return code;
}

static const char effect_of_rm[] = "it would be told that its job is gone";

static int rm(struct db *db, const struct job_id *id, const struct destroying *how)
{
    const char *values[] = {db_cluster(db), id->text, how->force ? "true" : "false"};
    DB_RESULT *stored = NULL, *answer = NULL;
    int code = db_query(db, sql_jobs_stored, 2, values, &stored);
    if (code == CLI_OK && PQntuples(stored) == 0) {
        return say_missing(db, "graph of job", id->hex);
    }
    if (code == CLI_OK) {
        code = refuse_owned(db, id, how->force, effect_of_rm);
    }
    if (code == CLI_OK && !how->dry_run) {
        code = ask(db->cli, how->yes, "Remove the graph of job %s, version %s, %s bytes?", id->hex,
                   db_text(stored, 0, 1), db_text(stored, 0, 2));
    }
    if (code == CLI_OK && !how->dry_run) {
        code = db_act(db, sql_jobs_rm, 3, values, NULL, NULL, &answer);
    }
    if (code == CLI_OK && answer != NULL && strcmp(db_text(answer, 0, 0), "missing") == 0) {
        return say_missing(db, "graph of job", id->hex);
    }
    if (code == CLI_OK && answer != NULL && strcmp(db_text(answer, 0, 0), "owned") == 0) {
        code = refuse_owned(db, id, false, effect_of_rm);
        return code != CLI_OK ? code : CLI_FAILED;
    }
    if (code == CLI_OK) {
        output_rows(stdout, db->cli->format, stored, 4);
    }
    return code;
}

static int jobs_rm(struct cli *cli, int argc, char **argv)
{
    struct destroying how = {0};
    struct job_id id;
    const char *job;
    const struct cli_option options[] = {{"--force", OPTION_FLAG, &how.force},
                                         {"--dry-run", OPTION_FLAG, &how.dry_run},
                                         {"--yes", OPTION_FLAG, &how.yes}};
    const struct wanted wanted = {"one job id", 1, 1};
    int code = parse_action(cli, argc, argv, options, 3, &wanted, &job);
    if (code == CLI_OK) {
        code = parse_job_id(cli, job, &id);
    }
    if (code != CLI_OK) {
        return code;
    }
    struct db db;
    code = stores_open(&db, cli);
    if (code == CLI_OK) {
        code = rm(&db, &id, &how);
    }
    db_close(&db);
    return code;
}

int cmd_jobs(struct cli *cli, int argc, char **argv)
{
    static const struct action actions[] = {{"ls", jobs_ls},
                                            {"show", jobs_show},
                                            {"put", jobs_put},
                                            {"get", jobs_get},
                                            {"rm", jobs_rm}};
    return run_action_of(cli, argc, argv, actions, sizeof actions / sizeof actions[0]);
}
