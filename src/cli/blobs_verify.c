/*
 * blobs_verify.c - `pgkeeper blobs verify`, and `pgkeeper orphans`: is what is stored whole, and is there more?
 *
 * verify reads through the library and writes nothing. orphans uses the public functions blob_orphans() and
 * blob_remove_orphans().
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "blobs.h"
#include "cli_statements.h"
#include "output.h"
#include "progress.h"
#include "verbs.h"

const char help_orphans[] =
    "usage: pgkeeper orphans [--remove [--dry-run] [--yes]] [--format F]\n"
    "\n"
    "Lists large objects of the blob store that no blob points to, of all clusters in\n"
    "the schema. There are none in the ordinary course: what a put left that died on\n"
    "the way goes with the next put or clean-up. kind: unfinished, left by a put or a\n"
    "removal; or lost, when its row went in some other way (a restore of tables\n"
    "without large objects, a row written by hand). What is being written just now is\n"
    "no orphan. None: no rows, exit code 0.\n"
    "\n"
    "  --remove   unlink them, and print what was unlinked\n"
    "  --dry-run  only print what would be removed\n"
    "  --yes      do not ask\n";

struct verifying {
    const struct cli *cli;
    const struct blob_name *name;
    struct progress *progress;
    PGresult *rows;
    int64_t count;
    int64_t bytes;
    int64_t damaged;
};

static PGresult *new_rows(void)
{
    static const char *const names[] = {"blob_key", "state",  "bytes",     "size_text",
                                        "job",      "reason", "cluster_id"};
    static const Oid types[] = {OUTPUT_TEXT, OUTPUT_TEXT, OUTPUT_INT8, OUTPUT_TEXT,
                                OUTPUT_TEXT, OUTPUT_TEXT, OUTPUT_TEXT};
    return output_new_rows(7, names, types);
}

/* Says of a damaged one at once; the rows are printed when all are known. */
static void note(struct verifying *v, const pgk_blob *blob)
{
    char key[PGK_BLOB_KEY_TEXT_SIZE], job[PGK_UUID_HEX_SIZE], bytes[24], size[SIZE_TEXT_SIZE];
    bool fine = blob->status == PGK_OK;
    pgk_blob_key_format(&blob->key, key);
    pgk_uuid_format_hex(&blob->job_id, job);
    snprintf(bytes, sizeof bytes, "%" PRId64, blob->bytes);
    const char *values[] = {key,
                            fine                              ? "ok"
                            : blob->status == PGK_ERR_CORRUPT ? "damaged"
                                                              : "unknown",
                            bytes,
                            size_text(blob->bytes, size),
                            blob->has_job ? job : NULL,
                            blob->reason,
                            config_value(v->cli, CLI_KEY_CLUSTER)};
    output_add_row(v->rows, values);
    v->count++;
    v->bytes += blob->bytes;
    if (!fine) {
        v->damaged++;
        progress_end(v->progress, v->cli, NULL);
        say(v->cli, "%s (%s%s)", blob->reason != NULL ? blob->reason : key,
            blob->has_job ? "job " : "no job", blob->has_job ? job : "");
    }
}

static pgk_status on_verified(void *user, const pgk_blob *blob)
{
    struct verifying *v = user;
    note(v, blob);
    return progress_step(v->progress, v->bytes, -1);
}

static pgk_status verify_one(pgk_blobs *blobs, struct verifying *v, pgk_error *error)
{
    pgk_blob blob;
    pgk_status status = pgk_blobs_stat(blobs, job_of(v->name), &v->name->key, &blob, error);
    if (status == PGK_OK) {
        status = pgk_blobs_verify(blobs, job_of(v->name), &v->name->key, progress_step, v->progress,
                                  error);
        blob.status = status;
        blob.reason = status == PGK_OK ? NULL : error->message;
    }
    if (status == PGK_OK || status == PGK_ERR_CORRUPT) {
        note(v, &blob);
        status = PGK_OK;
    }
    return status;
}

static int judge(const struct verifying *v)
{
    char size[SIZE_TEXT_SIZE];
    if (v->count == 0) {
        say(v->cli, "no blob %s%sin cluster \"%s\"", v->name->has_job ? owner_text(v->name) : "",
            v->name->has_job ? " " : "", config_value(v->cli, CLI_KEY_CLUSTER));
        return v->name->has_job ? CLI_CONDITION_FALSE : CLI_OK;
    }
    if (v->damaged > 0) {
        say(v->cli, "%" PRId64 " of %" PRId64 " blobs are damaged", v->damaged, v->count);
    } else if (!v->name->has_key) {
        say(v->cli, "all %" PRId64 " blobs are whole: %s read", v->count,
            size_text(v->bytes, size));
    }
    return v->damaged > 0 ? CLI_FAILED : CLI_OK;
}

static int verify(const struct cli *cli, const struct blob_name *name)
{
    struct blob_store store;
    struct progress progress;
    DB_RESULT *rows = new_rows();
    struct verifying v = {.cli = cli, .name = name, .progress = &progress, .rows = rows};
    pgk_error error;
    if (rows == NULL) {
        say(cli, "out of memory");
        return CLI_FAILED;
    }
    int code = blob_store_open(cli, &store);
    if (code == CLI_OK) {
        interrupts_catch();
        progress_begin(&progress, name->has_key ? name->key_text : "verifying");
        pgk_status status = name->has_key
                                ? verify_one(store.blobs, &v, &error)
                                : pgk_blobs_verify_all(store.blobs, name->has_job, job_of(name),
                                                       on_verified, &v, NULL, &error);
        progress_end(&progress, cli, NULL);
        if (v.count > 0 || status == PGK_OK) {
            output_rows(stdout, cli->format, rows, name->has_job ? 4 : 5);
        }
        if (status == PGK_OK) {
            code = judge(&v);
        } else if (interrupted()) {
            say(cli, "interrupted after %" PRId64 " blobs", v.count);
            code = CLI_FAILED;
        } else {
            code = fail_blob(cli, name, &error);
        }
    }
    blob_store_close(&store);
    interrupts_obey();
    return code;
}

int blobs_verify(struct cli *cli, int argc, char **argv)
{
    bool all = false;
    const char *job = NULL, *key;
    struct blob_name name;
    const struct cli_option options[] = {{"--all", OPTION_FLAG, &all},
                                         {"--job", OPTION_TEXT, &job}};
    const struct wanted wanted = {"one key of a blob, or --job ID, or --all", 0, 1};
    int code = parse_action(cli, argc, argv, options, 2, &wanted, &key);
    if (code == CLI_OK && (all ? key != NULL || job != NULL : key == NULL && job == NULL)) {
        code = usage_error(cli, "takes %s", wanted.what);
    }
    if (code == CLI_OK) {
        code = parse_blob_name(cli, job, key, &name);
    }
    return code == CLI_OK ? verify(cli, &name) : code;
}

static int remove_orphans(struct db *db)
{
    int64_t removed = 0;
    for (bool more = true; more;) {
        DB_RESULT *batch = NULL;
        int code = db_act(db, sql_orphans_remove, 0, NULL, NULL, NULL, &batch);
        if (code != CLI_OK) {
            say(db->cli, "%" PRId64 " orphans were removed before that; run it again", removed);
            return code;
        }
        removed += db_int(batch, 0, 0);
        more = db_bool(batch, 0, 1);
    }
    return CLI_OK;
}

static int orphans(struct db *db, bool destroy, const struct destroying *how)
{
    DB_RESULT *found = NULL, *sum = NULL;
    int code = db_query(db, sql_orphans_ls, 0, NULL, &found);
    if (code == CLI_OK && destroy && !how->dry_run && PQntuples(found) > 0) {
        code = db_query(db, sql_orphans_sum, 0, NULL, &sum);
        if (code == CLI_OK) {
            code = ask(db->cli, how->yes, "Unlink %s large objects, %s in all?", db_text(sum, 0, 0),
                       db_text(sum, 0, 1));
        }
        if (code == CLI_OK) {
            code = remove_orphans(db);
        }
    }
    if (code == CLI_OK) {
        output_rows(stdout, db->cli->format, found, 0);
        if (PQntuples(found) == 0 && db->cli->format == FORMAT_TABLE) {
            say(db->cli, "no orphans in schema \"%s\"", db_schema(db));
        }
    }
    return code;
}

int cmd_orphans(struct cli *cli, int argc, char **argv)
{
    bool destroy = false;
    struct destroying how = {0};
    const struct cli_option options[] = {{"--remove", OPTION_FLAG, &destroy},
                                         {"--dry-run", OPTION_FLAG, &how.dry_run},
                                         {"--yes", OPTION_FLAG, &how.yes}};
    const struct wanted wanted = {"no arguments", 0, 0};
    int code = parse_action(cli, argc, argv, options, 3, &wanted, NULL);
    if (code == CLI_OK && !destroy && (how.dry_run || how.yes)) {
        code = usage_error(cli, "--dry-run and --yes are for --remove");
    }
    if (code != CLI_OK) {
        return code;
    }
    struct db db;
    code = blobs_open(&db, cli);
    if (code == CLI_OK) {
        code = orphans(&db, destroy, &how);
    }
    db_close(&db);
    return code;
}
