/*
 * backend/postgres/checkpoints.c - the statements of the checkpoint store. The caller's thread;
 * blocks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/keeper.h"
#include "backend/postgres/store_ops.h"
#include "backend/postgres/work.h"
#include "core/error.h"

#define INT64_TEXT_SIZE 24

/* The same words as in the constraints of the table; indexed by the enums. */
static const char *const kinds[] = {"checkpoint", "savepoint", "stop_savepoint"};
static const char *const retentions[] = {"never_retained", "retain_on_failure",
                                         "retain_on_cancellation"};
#define WORDS 3

/* -1: none. */
static int word_index(const char *const *words, const char *text)
{
    for (int i = 0; text != NULL && i < WORDS; i++) {
        if (strcmp(words[i], text) == 0) {
            return i;
        }
    }
    return -1;
}

pgk_checkpoint_kind store_checkpoint_kind(const char *text)
{
    return (pgk_checkpoint_kind)word_index(kinds, text);
}

pgk_retention store_retention(const char *text)
{
    return (pgk_retention)word_index(retentions, text);
}

/* "{1,2}"; free it. NULL: out of memory. */
static char *array_text(const int64_t *ids, size_t count)
{
    size_t size = count * INT64_TEXT_SIZE + 3;
    char *text = malloc(size);
    size_t used = 1;

    if (text == NULL) {
        return NULL;
    }
    text[0] = '{';
    for (size_t i = 0; i < count; i++) {
        int length = snprintf(text + used, size - used, "%s%" PRId64, i > 0 ? "," : "", ids[i]);

        used += (size_t)length;
    }
    text[used] = '}';
    text[used + 1] = '\0';
    return text;
}

static void fill_add(struct work *work, struct backend *backend, const struct store_write *write,
                     const struct checkpoint_row *row)
{
    const pgk_checkpoint *c = &row->checkpoint;

    work_begin(work, STMT_CHECKPOINT_ADD);
    work_token(work, write->token);
    work_text(work, backend->settings->cluster_id);
    work_uuid(work, &c->job_id);
    work_uuid(work, &write->op_id);
    work_int64(work, c->checkpoint_id);
    work_text(work, kinds[c->kind]);
    work_text(work, retentions[c->retention]);
    if (row->content.data != NULL) {
        work_bytes(work, row->content.data, row->content.length);
        work_null(work);
    } else {
        work_null(work);
        work_text(work, c->pointer);
    }
    work_bytes(work, row->content.digest, row->content.digest_length);
    work_int64(work, c->completed_ms);
    work->settle = (struct settle){.rule = SETTLE_FOUND_IS_DONE,
                                   .what = "checkpoint",
                                   .job_id = c->job_id,
                                   .checkpoint_id = c->checkpoint_id,
                                   .op_id = write->op_id};
}

static pgk_status run_add(struct backend *backend, struct work *work, int64_t checkpoint_id,
                          bool *ret_as_planned, pgk_error *err)
{
    struct work_answer answer;
    pgk_status status = work_write(backend, work, &answer, err);

    if (status != PGK_OK) {
        return status;
    }
    if (!answer.settled && cell_is(answer.result, 0, 0, "exists")) {
        status = error_set(err, PGK_ERR_ALREADY_EXISTS, "checkpoints.add",
                           "the job has a checkpoint %" PRId64 " already; numbers come from its "
                           "counter",
                           checkpoint_id);
    }
    *ret_as_planned = !answer.settled && cell_bool(answer.result, 0, 2);
    PQclear(answer.result);
    return status;
}

static pgk_status add(struct backend *backend, const struct store_write *write,
                      const struct checkpoint_row *row, const int64_t *discard,
                      size_t discard_count, const int64_t *retain, size_t retain_count,
                      bool *ret_as_planned, pgk_error *err)
{
    char *discard_text = array_text(discard, discard_count);
    char *retain_text = array_text(retain, retain_count);
    struct work work;
    pgk_status status;

    if (discard_text == NULL || retain_text == NULL) {
        status = error_set(err, PGK_ERR_NO_MEMORY, "checkpoints.add", "out of memory");
    } else {
        fill_add(&work, backend, write, row);
        work_array(&work, discard_text);
        work_array(&work, retain_text);
        status = run_add(backend, &work, row->checkpoint.checkpoint_id, ret_as_planned, err);
    }
    free(discard_text);
    free(retain_text);
    return status;
}

static pgk_status heads(struct backend *backend, const pgk_uuid *job_id,
                        struct checkpoint_head **ret_heads, size_t *ret_count, pgk_error *err)
{
    AUTO_RESULT *result = NULL;
    struct work work;

    work_begin(&work, STMT_CHECKPOINT_HEADS);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    pgk_status status = work_read(backend, &work, &result, err);

    if (status != PGK_OK) {
        return status;
    }
    int count = PQntuples(result);
    struct checkpoint_head *list = count > 0 ? calloc((size_t)count, sizeof(*list)) : NULL;

    if (count > 0 && list == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "ha.checkpoints", "out of memory");
    }
    for (int i = 0; i < count; i++) {
        list[i] = (struct checkpoint_head){
            .checkpoint_id = cell_int64(result, i, 0),
            .kind = store_checkpoint_kind(cell_text(result, i, 1)),
            .retention = store_retention(cell_text(result, i, 2)),
            .op_id = cell_uuid(result, i, 3),
        };
    }
    *ret_heads = list;
    *ret_count = (size_t)count;
    return PGK_OK;
}

struct rows {
    const pgk_uuid *job_id; /* NULL: the first column is the job's */
    checkpoint_row_fn fn;
    void *ctx;
    struct pieces pieces;
};

/* Columns of sql/checkpoint/list.sql; those of discarding.sql have the job before and the write at the end. */
enum { ID, KIND, RETENTION, COMPLETED, EPOCH, SHA256, METADATA, POINTER, LIST_PLACE };
enum { DISCARDING_OP = LIST_PLACE + 1, DISCARDING_PLACE };
#define METADATA_PIECES(place, metadata)                                                           \
    {                                                                                              \
        .place_column = (place), .count = 1, .columns = {(metadata) }                              \
    }

static pgk_status hand_out(void *ctx, const PGresult *result, pgk_error *err)
{
    struct rows *rows = ctx;
    int at = rows->job_id == NULL ? 1 : 0;
    struct checkpoint_row row = {
        .checkpoint = {.size = sizeof(row.checkpoint),
                       .job_id = rows->job_id == NULL ? cell_uuid(result, 0, 0) : *rows->job_id,
                       .checkpoint_id = cell_int64(result, 0, at + ID),
                       .kind = store_checkpoint_kind(cell_text(result, 0, at + KIND)),
                       .retention = store_retention(cell_text(result, 0, at + RETENTION)),
                       .completed_ms = cell_int64(result, 0, at + COMPLETED),
                       .epoch = cell_int64(result, 0, at + EPOCH),
                       .pointer = cell_text(result, 0, at + POINTER)},
        .content = pieces_bytes(&rows->pieces, result, at + METADATA, at + SHA256),
        .held = pieces_held(&rows->pieces, result, at + METADATA),
    };

    if (rows->job_id == NULL) {
        row.op_id = cell_uuid(result, 0, DISCARDING_OP);
    }

    return rows->fn(rows->ctx, &row, err);
}

static pgk_status list(struct backend *backend, const pgk_uuid *job_id, bool only_latest,
                       checkpoint_row_fn fn, void *ctx, pgk_error *err)
{
    struct rows rows = {
        .job_id = job_id, .fn = fn, .ctx = ctx, .pieces = METADATA_PIECES(LIST_PLACE, METADATA)};
    struct work work;

    work_begin(&work, STMT_CHECKPOINT_LIST);
    work.pieces = &rows.pieces;
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_bool(&work, only_latest);
    return work_stream(backend, &work, hand_out, &rows, err);
}

static pgk_status shut_down(struct backend *backend, const struct store_write *write,
                            const pgk_uuid *job_id, pgk_job_status job_status, pgk_error *err)
{
    struct work work;
    struct work_answer answer;

    work_begin(&work, STMT_CHECKPOINT_SHUTDOWN);
    work_token(&work, write->token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_text(&work, pgk_job_status_text(job_status));
    pgk_status status = work_write(backend, &work, &answer, err);

    if (status == PGK_OK) {
        PQclear(answer.result);
    }
    return status;
}

static pgk_status discarding(struct backend *backend, const pgk_token *token,
                             const pgk_uuid *job_id, const pgk_uuid *last_job_id,
                             int64_t last_checkpoint_id, int limit, checkpoint_row_fn fn, void *ctx,
                             pgk_error *err)
{
    struct rows rows = {
        .fn = fn, .ctx = ctx, .pieces = METADATA_PIECES(DISCARDING_PLACE, METADATA + 1)};
    struct work work;

    work_begin(&work, STMT_CHECKPOINT_DISCARDING);
    work.pieces = &rows.pieces;
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_uuid(&work, last_job_id);
    work_int64(&work, last_checkpoint_id);
    work_int64(&work, limit);
    work_token(&work, token);
    return work_stream(backend, &work, hand_out, &rows, err);
}

static pgk_status discarded(struct backend *backend, const struct store_write *write,
                            const pgk_uuid *job_id, int64_t checkpoint_id, const pgk_uuid *added_by,
                            pgk_error *err)
{
    struct work work;
    struct work_answer answer;

    work_begin(&work, STMT_CHECKPOINT_DISCARDED);
    work_token(&work, write->token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_int64(&work, checkpoint_id);
    work_uuid(&work, added_by);
    pgk_status status = work_write(backend, &work, &answer, err);

    if (status == PGK_OK) {
        PQclear(answer.result);
    }
    return status;
}

const struct checkpoint_ops postgres_checkpoints = {
    .heads = heads,
    .add = add,
    .list = list,
    .shutdown = shut_down,
    .discarding = discarding,
    .discarded = discarded,
    .next_id = postgres_counter_next,
    .get_id = postgres_counter_get,
    .set_id = postgres_counter_set,
    .drop_id = postgres_counter_drop,
};
