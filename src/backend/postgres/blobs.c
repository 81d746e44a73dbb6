/*
 * backend/postgres/blobs.c - the statements of the blob store, but for the bytes of large blobs:
 * blob_put.c, blob_get.c. The caller's thread; blocks.
 */
#include "backend/postgres/blobs.h"

#include <stdlib.h>
#include <string.h>

#include "backend/postgres/keeper.h"
#include "backend/postgres/retry.h"
#include "backend/postgres/store_ops.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "blobs"

enum column { JOB, KEY, BYTES, SHA1, SHA256, CREATED, EPOCH, LOID, OP };

/* A damaged row reads as zeros, which match nothing. */
static void copy_cell(const PGresult *row, int column, uint8_t *out, size_t size)
{
    memset(out, 0, size);
    if (!PQgetisnull(row, 0, column) && (size_t)PQgetlength(row, 0, column) == size) {
        memcpy(out, PQgetvalue(row, 0, column), size);
    }
}

struct blob_row blob_row_of(const PGresult *row)
{
    struct blob_row blob;
    memset(&blob, 0, sizeof(blob));
    blob.op_id = cell_uuid(row, 0, OP);
    blob.blob.has_job = !PQgetisnull(row, 0, JOB);
    blob.blob.job_id = cell_uuid(row, 0, JOB);
    pgk_blob_key_parse(cell_text(row, 0, KEY), &blob.blob.key, NULL);
    blob.blob.bytes = cell_int64(row, 0, BYTES);
    copy_cell(row, SHA1, blob.blob.sha1, sizeof(blob.blob.sha1));
    copy_cell(row, SHA256, blob.blob.sha256, sizeof(blob.blob.sha256));
    blob.blob.created_ms = cell_int64(row, 0, CREATED);
    blob.blob.epoch = cell_int64(row, 0, EPOCH);
    blob.blob.loid = (uint32_t)cell_int64(row, 0, LOID);
    return blob;
}

pgk_status blob_find(struct backend *backend, const pgk_uuid *job_id, const pgk_blob_key *key,
                     struct blob_row *ret_row, pgk_error *err)
{
    struct work work;
    char text[PGK_BLOB_KEY_TEXT_SIZE];
    AUTO_RESULT *result = NULL;
    pgk_blob_key_format(key, text);
    work_begin(&work, STMT_BLOB_FIND);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_text(&work, text);
    pgk_status status = work_read(backend, &work, &result, err);
    if (status == PGK_OK && PQntuples(result) == 0) {
        status = error_set(err, PGK_ERR_NOT_FOUND, ORIGIN, "it is not there");
    }
    if (status == PGK_OK) {
        *ret_row = blob_row_of(result);
    }
    return status;
}

struct handing_out {
    blob_row_fn fn;
    void *ctx;
};

static pgk_status hand_out(void *ctx, const PGresult *row, pgk_error *err)
{
    const struct handing_out *out = ctx;
    struct blob_row blob = blob_row_of(row);
    return out->fn(out->ctx, &blob, err);
}

static pgk_status list(struct backend *backend, bool all, const pgk_uuid *job_id,
                       const pgk_blob_key *key, blob_row_fn fn, void *ctx, pgk_error *err)
{
    struct work work;
    char text[PGK_BLOB_KEY_TEXT_SIZE];
    struct handing_out out = {.fn = fn, .ctx = ctx};
    if (key != NULL) {
        pgk_blob_key_format(key, text);
    }
    work_begin(&work, STMT_BLOB_LIST);
    work_text(&work, backend->settings->cluster_id);
    work_bool(&work, all);
    work_uuid(&work, job_id);
    work_text(&work, key != NULL ? text : NULL);
    return work_stream(backend, &work, hand_out, &out, err);
}

pgk_status blob_store(struct backend *backend, const struct store_write *write,
                      const pgk_uuid *job_id, const struct blob_sum *sum, const void *data,
                      bool *ret_loose, pgk_error *err)
{
    struct work work;
    struct work_answer answer = {0};
    char text[PGK_BLOB_KEY_TEXT_SIZE];
    pgk_blob_key_format(&sum->key, text);
    work_begin(&work, STMT_BLOB_STORE);
    work_token(&work, write->token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_text(&work, text);
    work_uuid(&work, &write->op_id);
    work_bytes(&work, data, (size_t)sum->bytes);
    work_bytes(&work, sum->sha1, sizeof(sum->sha1));
    work_bytes(&work, sum->sha256, sizeof(sum->sha256));
    work.settle =
        (struct settle){.rule = SETTLE_FOUND_IS_DONE, .what = "blob", .op_id = write->op_id};
    pgk_status status = work_write(backend, &work, &answer, err);
    if (status == PGK_OK && !answer.settled) {
        *ret_loose = cell_bool(answer.result, 0, 0);
    }
    PQclear(answer.result);
    return status;
}

static pgk_status remove_blob(struct backend *backend, const struct store_write *write,
                              const pgk_uuid *job_id, const pgk_blob_key *key, pgk_error *err)
{
    struct work work;
    struct work_answer answer = {0};
    char text[PGK_BLOB_KEY_TEXT_SIZE];
    pgk_blob_key_format(key, text);
    work_begin(&work, STMT_BLOB_REMOVE);
    work_token(&work, write->token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_text(&work, text);
    pgk_status status = work_write(backend, &work, &answer, err);
    if (status == PGK_OK && cell_bool(answer.result, 0, 1)) {
        blob_sweep_loose(backend, INT64_MAX);
    }
    PQclear(answer.result);
    return status;
}

static pgk_status remove_job(struct backend *backend, const struct store_write *write,
                             const pgk_uuid *job_id, int limit, int64_t *ret_removed,
                             bool *ret_more, pgk_error *err)
{
    struct work work;
    struct work_answer answer = {0};
    work_begin(&work, STMT_BLOB_REMOVE_JOB);
    work_token(&work, write->token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_int32(&work, limit);
    pgk_status status = work_write(backend, &work, &answer, err);
    if (status == PGK_OK) {
        *ret_removed = cell_int64(answer.result, 0, 0);
        *ret_more = cell_bool(answer.result, 0, 1);
        blob_sweep_loose(backend, INT64_MAX);
    }
    PQclear(answer.result);
    return status;
}

struct handing_orphans {
    pgk_status (*fn)(void *ctx, const pgk_orphan *orphan, pgk_error *err);
    void *ctx;
};

static pgk_status hand_orphan(void *ctx, const PGresult *row, pgk_error *err)
{
    const struct handing_orphans *out = ctx;
    pgk_orphan orphan = {
        .loid = (uint32_t)cell_int64(row, 0, 0),
        .bytes = cell_int64(row, 0, 1),
        .unfinished = cell_bool(row, 0, 2),
        .created_ms = PQgetisnull(row, 0, 3) ? -1 : cell_int64(row, 0, 3),
    };
    return out->fn(out->ctx, &orphan, err);
}

static pgk_status orphans(struct backend *backend,
                          pgk_status (*fn)(void *ctx, const pgk_orphan *orphan, pgk_error *err),
                          void *ctx, pgk_error *err)
{
    struct work work;
    struct handing_orphans out = {.fn = fn, .ctx = ctx};
    work_begin(&work, STMT_BLOB_ORPHANS);
    return work_stream(backend, &work, hand_orphan, &out, err);
}

/* Until it has ended, the session may still do what it was told. */
static pgk_status end_session(struct backend *backend, int pid, pgk_error *err)
{
    struct work work;
    char name[LINK_NAME_SIZE];
    AUTO_RESULT *result = NULL;
    link_application_name(&backend->pool.request, name);
    work_begin(&work, STMT_END_FORMER);
    work_int32(&work, pid);
    work_text(&work, name);
    work_int64(&work, backend->settings->statement_timeout_ms / 2);
    pgk_status status = work_read(backend, &work, &result, err);
    if (status == PGK_OK && !cell_bool(result, 0, 0)) {
        status = error_set(err, PGK_ERR_TIMEOUT, ORIGIN, "server process %d does not end", pid);
    }
    return status;
}

pgk_status blob_settle(struct backend *backend, int pid, bool pooled, const struct settle *settle,
                       bool *ret_done, pgk_error *err)
{
    struct work work;
    AUTO_RESULT *result = NULL;
    pgk_error cause;
    error_reset(&cause);
    pgk_status status = pooled ? PGK_OK : end_session(backend, pid, &cause);
    if (status == PGK_OK) {
        work_begin(&work, STMT_SETTLE);
        work_text(&work, settle->what);
        work_text(&work, backend->settings->cluster_id);
        work_uuid(&work, &settle->job_id);
        work_int64(&work, 0);
        work_uuid(&work, &settle->op_id);
        status = work_read(backend, &work, &result, &cause);
    }
    if (status == PGK_OK && (!pooled || cell_bool(result, 0, 0))) {
        *ret_done = cell_bool(result, 0, 0);
        return PGK_OK;
    }
    /* Behind a pooler nobody knows which server process had it: it may come still. */
    error_set(err, PGK_ERR_OUTCOME_UNKNOWN, ORIGIN,
              "it was sent and no answer came (%.250s); calling again is safe",
              status == PGK_OK ? "and it is not there yet" : cause.message);
    if (err != NULL) {
        err->flags |= PGK_ERROR_OUTCOME_UNKNOWN | PGK_ERROR_RETRYABLE;
    }
    return PGK_ERR_OUTCOME_UNKNOWN;
}

const struct blob_ops postgres_blobs = {
    .put = blob_put,
    .get = blob_get,
    .list = list,
    .remove = remove_blob,
    .remove_job = remove_job,
    .orphans = orphans,
    .sweep = blob_sweep,
};
