/*
 * blobs.c - `pgkeeper blobs`: list, show and remove blobs; what its actions share. Their bytes: blobs_transfer.c,
 * blobs_verify.c.
 *
 * Reads by the view stat_blobs; removes through the library, without a fence.
 */
#include "blobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli_statements.h"
#include "output.h"
#include "verbs.h"

const char help_blobs[] =
    "usage: pgkeeper blobs ls [--job ID] [--limit N] [--all-clusters] [--format F]\n"
    "       pgkeeper blobs stat KEY [--job ID] [--format F]\n"
    "       pgkeeper blobs put FILE|- [--job ID] [--key K | --transient] [--format F]\n"
    "       pgkeeper blobs get KEY FILE|- [--job ID]\n"
    "       pgkeeper blobs rm [KEY] [--job ID] [--force] [--dry-run] [--yes]\n"
    "                         [--format F]\n"
    "       pgkeeper blobs verify KEY [--job ID] | --job ID | --all [--format F]\n"
    "\n"
    "Blobs: files stored next to the jobs that use them, from no byte to 4 TiB. KEY\n"
    "is what put prints: p- or t-, the SHA-1 of the content, a random part. A blob\n"
    "belongs to the job of --job, or to none: give the same --job to find it again.\n"
    "ID is 32 hex digits, with or without dashes.\n"
    "\n"
    "ls      lists blobs, from the view stat_blobs. The table shows the most\n"
    "        important columns, the other formats all.\n"
    "stat    prints all that is known of one. Exit code 4: there is none.\n"
    "put     stores FILE, or standard input (-), and prints its new key. With --key\n"
    "        stores it under that one, in place of what is there; exit code 1, and\n"
    "        nothing is changed, if the content is not what the key says. 5: the\n"
    "        connection broke before the answer came.\n"
    "get     writes a blob into FILE, or to standard output (-), once all of it has\n"
    "        come and agrees with its digests; else nothing is written. For standard\n"
    "        output that means to read it twice. Exit code 4: there is none; 1: it is\n"
    "        damaged, or FILE cannot be written.\n"
    "rm      removes a blob, or, without KEY, all blobs of the job of --job, and\n"
    "        their bytes. Exit code 4: there is none.\n"
    "verify  reads blobs to their end and compares length and digests: one, those of\n"
    "        a job, or all of the cluster; prints of each whether it is ok or\n"
    "        damaged, and goes on. Exit code 1: one is damaged; 4: there is none.\n"
    "\n"
    "options:\n"
    "  --job ID        of this job; without it put, get, stat, rm KEY and verify KEY\n"
    "                  mean a blob of no job\n"
    "  --key K         put: under this key\n"
    "  --transient     put: a new key that begins with t: its user removes it\n"
    "  --limit N       at most so many\n"
    "  --all-clusters  not only those of --cluster\n"
    "  --all           verify: all blobs of the cluster\n"
    "  --force         rm: also if a leader that is alive owns the job's graph\n"
    "  --dry-run       rm: only print what would be removed\n"
    "  --yes           rm: do not ask\n";

int parse_blob_name(const struct cli *cli, const char *job, const char *key,
                    struct blob_name *ret_name)
{
    pgk_error error;
    *ret_name = (struct blob_name){.has_job = job != NULL, .has_key = key != NULL};
    if (job != NULL) {
        int code = parse_job_id(cli, job, &ret_name->job_text);
        if (code != CLI_OK) {
            return code;
        }
        pgk_uuid_parse(job, &ret_name->job, NULL);
    }
    if (key != NULL) {
        if (pgk_blob_key_parse(key, &ret_name->key, &error) != PGK_OK) {
            return usage_error(cli,
                               "\"%s\" is no key of a blob: p- or t-, 40 hex digits, -, 32 hex "
                               "digits",
                               key);
        }
        pgk_blob_key_format(&ret_name->key, ret_name->key_text);
    }
    return CLI_OK;
}

const pgk_uuid *job_of(const struct blob_name *name)
{
    return name->has_job ? &name->job : NULL;
}

const char *owner_text(const struct blob_name *name)
{
    static char text[16 + PGK_UUID_HEX_SIZE];
    if (!name->has_job) {
        return "of no job";
    }
    snprintf(text, sizeof text, "of job %s", name->job_text.hex);
    return text;
}

int blob_store_open(const struct cli *cli, struct blob_store *store)
{
    pgk_error error;
    *store = (struct blob_store){0};
    if (pgk_config_set(cli->config, "dispatch", "manual", &error) != PGK_OK ||
        pgk_ha_open(cli->config, &store->ha, &error) != PGK_OK ||
        pgk_ha_blobs(store->ha, PGK_UNFENCED, &store->blobs, &error) != PGK_OK) {
        return fail(cli, &error);
    }
    return CLI_OK;
}

void blob_store_close(struct blob_store *store)
{
    pgk_blobs_free(store->blobs);
    pgk_ha_free(store->ha);
    *store = (struct blob_store){0};
}

int blobs_open(struct db *db, const struct cli *cli)
{
    return db_open_for(db, cli, SCHEMA_OF_BLOBS);
}

static int say_no_blob(struct db *db, const struct blob_name *name)
{
    const char *values[] = {db_cluster(db), name->key_text};
    DB_RESULT *elsewhere = NULL;
    int code = db_query(db, sql_blobs_elsewhere, 2, values, &elsewhere);
    if (code != CLI_OK) {
        return code;
    }
    bool none = PQgetisnull(elsewhere, 0, 0);
    say(db->cli, "no blob %s %s in cluster \"%s\"%s%s%s", name->key_text, owner_text(name),
        db_cluster(db), none ? "" : "; there is one of ", none ? "" : db_text(elsewhere, 0, 0),
        none            ? ""
        : name->has_job ? ""
                        : ": name it by --job");
    return CLI_CONDITION_FALSE;
}

int fail_blob(const struct cli *cli, const struct blob_name *name, const pgk_error *error)
{
    struct db db;
    if (error->status != PGK_ERR_NOT_FOUND || !name->has_key) {
        return fail(cli, error);
    }
    int code = blobs_open(&db, cli);
    if (code == CLI_OK) {
        code = say_no_blob(&db, name);
    }
    db_close(&db);
    return code;
}

static int blobs_ls(struct cli *cli, int argc, char **argv)
{
    bool all = false;
    const char *job = NULL, *limit = NULL;
    struct blob_name name;
    const struct cli_option options[] = {{"--all-clusters", OPTION_FLAG, &all},
                                         {"--job", OPTION_TEXT, &job},
                                         {"--limit", OPTION_TEXT, &limit}};
    const struct wanted wanted = {"no arguments; --job ID for those of a job", 0, 0};
    int code = parse_action(cli, argc, argv, options, 3, &wanted, NULL);
    if (code == CLI_OK) {
        code = parse_blob_name(cli, job, NULL, &name);
    }
    if (code == CLI_OK) {
        code = check_limit(cli, limit);
    }
    if (code != CLI_OK) {
        return code;
    }
    const char *values[] = {all ? NULL : config_value(cli, CLI_KEY_CLUSTER), "false",
                            job != NULL ? name.job_text.text : NULL, limit};
    return print_list(cli, sql_blobs_ls, 4, values, all ? 5 : job != NULL ? 3 : 4);
}

static int blobs_stat(struct cli *cli, int argc, char **argv)
{
    const char *job = NULL, *key;
    struct blob_name name;
    struct db db;
    DB_RESULT *found = NULL;
    const struct cli_option options[] = {{"--job", OPTION_TEXT, &job}};
    const struct wanted wanted = {"one key of a blob", 1, 1};
    int code = parse_action(cli, argc, argv, options, 1, &wanted, &key);
    if (code == CLI_OK) {
        code = parse_blob_name(cli, job, key, &name);
    }
    if (code != CLI_OK) {
        return code;
    }
    const char *values[] = {config_value(cli, CLI_KEY_CLUSTER),
                            name.has_job ? name.job_text.text : NULL, name.key_text};
    code = blobs_open(&db, cli);
    if (code == CLI_OK) {
        code = db_query(&db, sql_blobs_stat, 3, values, &found);
    }
    if (code == CLI_OK && PQntuples(found) == 0) {
        code = say_no_blob(&db, &name);
    }
    if (code == CLI_OK) {
        output_record(stdout, cli->format, found);
    }
    db_close(&db);
    return code;
}

struct removal {
    struct blob_name name;
    struct destroying how;
};

/* What is to go: rows as of `blobs ls`. */
static int find_doomed(struct db *db, const struct removal *r, PGresult **ret_found)
{
    const char *job = r->name.has_job ? r->name.job_text.text : NULL;
    const char *one[] = {db_cluster(db), job, r->name.key_text};
    const char *all[] = {db_cluster(db), "false", job, NULL};
    int code = r->name.has_key ? db_query(db, sql_blobs_stat, 3, one, ret_found)
                               : db_query(db, sql_blobs_ls, 4, all, ret_found);
    if (code == CLI_OK && PQntuples(*ret_found) == 0) {
        if (r->name.has_key) {
            return say_no_blob(db, &r->name);
        }
        say(db->cli, "no blob %s in cluster \"%s\"", owner_text(&r->name), db_cluster(db));
        return CLI_CONDITION_FALSE;
    }
    return code;
}

static int ask_removal(struct db *db, const struct removal *r, const PGresult *doomed)
{
    if (r->name.has_key) {
        return ask(db->cli, r->how.yes, "Remove blob %s %s, %s?", r->name.key_text,
                   owner_text(&r->name), db_text(doomed, 0, 2));
    }
    const char *values[] = {db_cluster(db), r->name.job_text.text};
    DB_RESULT *sum = NULL;
    int code = db_query(db, sql_blobs_of_job, 2, values, &sum);
    return code != CLI_OK ? code
                          : ask(db->cli, r->how.yes, "Remove all blobs %s: %s, of %s in all?",
                                owner_text(&r->name), db_text(sum, 0, 0), db_text(sum, 0, 2));
}

static int remove_blobs(const struct cli *cli, const struct removal *r)
{
    struct blob_store store;
    pgk_error error;
    pgk_status status = PGK_OK;
    int64_t removed = 0;
    int code = blob_store_open(cli, &store);
    if (code == CLI_OK) {
        status = r->name.has_key
                     ? pgk_blobs_delete(store.blobs, job_of(&r->name), &r->name.key, &error)
                     : pgk_blobs_delete_all(store.blobs, job_of(&r->name), &removed, &error);
        code = status == PGK_OK ? CLI_OK : fail(cli, &error);
    }
    if (status != PGK_OK && !r->name.has_key) {
        say(cli, "%" PRId64 " blobs were removed before that; run it again", removed);
    }
    blob_store_close(&store);
    return code;
}

static int rm(struct db *db, const struct removal *r)
{
    DB_RESULT *doomed = NULL;
    int code = find_doomed(db, r, &doomed);
    if (code == CLI_OK && r->name.has_job) {
        code = refuse_owned(db, &r->name.job_text, r->how.force, "it may need them");
    }
    if (code == CLI_OK && !r->how.dry_run) {
        code = ask_removal(db, r, doomed);
    }
    if (code == CLI_OK && !r->how.dry_run) {
        code = remove_blobs(db->cli, r);
    }
    if (code == CLI_OK) {
        output_rows(stdout, db->cli->format, doomed, 4);
    }
    return code;
}

static int blobs_rm(struct cli *cli, int argc, char **argv)
{
    struct removal r = {0};
    const char *job = NULL, *key;
    const struct cli_option options[] = {{"--job", OPTION_TEXT, &job},
                                         {"--force", OPTION_FLAG, &r.how.force},
                                         {"--dry-run", OPTION_FLAG, &r.how.dry_run},
                                         {"--yes", OPTION_FLAG, &r.how.yes}};
    const struct wanted wanted = {"one key of a blob, or --job ID for all blobs of a job", 0, 1};
    int code = parse_action(cli, argc, argv, options, 4, &wanted, &key);
    if (code == CLI_OK && key == NULL && job == NULL) {
        code = usage_error(cli, "takes %s", wanted.what);
    }
    if (code == CLI_OK) {
        code = parse_blob_name(cli, job, key, &r.name);
    }
    if (code != CLI_OK) {
        return code;
    }
    struct db db;
    code = blobs_open(&db, cli);
    if (code == CLI_OK) {
        code = rm(&db, &r);
    }
    db_close(&db);
    return code;
}

int cmd_blobs(struct cli *cli, int argc, char **argv)
{
    static const struct action actions[] = {{"ls", blobs_ls},   {"stat", blobs_stat},
                                            {"put", blobs_put}, {"get", blobs_get},
                                            {"rm", blobs_rm},   {"verify", blobs_verify}};
    return run_action_of(cli, argc, argv, actions, sizeof actions / sizeof actions[0]);
}
