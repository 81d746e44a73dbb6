/*
 * backend/postgres/recovery.c - what a new leader finds, in one statement: sql/recovery/recover.sql.
 *
 * The caller's thread; rows are handed out as they come.
 */
#include "backend/postgres/job_graphs.h"
#include "backend/postgres/keeper.h"
#include "backend/postgres/store_ops.h"
#include "backend/postgres/work.h"

/* Columns; those of one name mean something else in another kind of row. */
enum {
    JOB,
    STATUS,
    NAME,
    FAILURE,
    FORMAT,
    RUNTIME,
    EPOCH,
    SHA256,
    BYTES,
    REQUIREMENTS_SHA256,
    REQUIREMENTS,
    OP,
    STARTED,
    ENDED,
    CHECKPOINT_EPOCH,
    CHECKPOINT_SHA256,
    METADATA,
    CREATED,
    PLACE
};
enum {
    CHECKPOINT_KIND = STATUS,
    RETENTION,
    POINTER,
    VERSION,
    NEXT_ID,
    CHECKPOINT_ID = STARTED,
    COMPLETED
};
/* What the counter of a job issues first. */
#define FIRST_ID 1

struct handing_out {
    const struct recovery_sink *sink;
    struct pieces pieces;
};

static int64_t time_or_none(const PGresult *row, int column)
{
    return PQgetisnull(row, 0, column) ? -1 : cell_int64(row, 0, column);
}

static pgk_status hand_out_result(const struct handing_out *out, const PGresult *row,
                                  pgk_error *err)
{
    const struct recovery_sink *sink = out->sink;
    struct result_row result = {
        .result = {.size = sizeof(result.result),
                   .job_id = cell_uuid(row, 0, JOB),
                   .status = store_job_status(cell_text(row, 0, STATUS)),
                   .job_name = cell_text(row, 0, NAME),
                   .failure = cell_text(row, 0, FAILURE),
                   .format_version = (int32_t)cell_int64(row, 0, FORMAT),
                   .net_runtime_ms = cell_int64(row, 0, RUNTIME),
                   .started_ms = time_or_none(row, STARTED),
                   .ended_ms = time_or_none(row, ENDED),
                   .epoch = cell_int64(row, 0, EPOCH),
                   .dirty = true},
        .accumulators = pieces_bytes(&out->pieces, row, BYTES, SHA256),
    };
    return sink->result(sink->ctx, &result, err);
}

static struct checkpoint_row checkpoint_of(const struct pieces *pieces, const PGresult *row)
{
    return (struct checkpoint_row){
        .checkpoint = {.size = sizeof(pgk_checkpoint),
                       .job_id = cell_uuid(row, 0, JOB),
                       .checkpoint_id = cell_int64(row, 0, CHECKPOINT_ID),
                       .kind = store_checkpoint_kind(cell_text(row, 0, CHECKPOINT_KIND)),
                       .retention = store_retention(cell_text(row, 0, RETENTION)),
                       .completed_ms = cell_int64(row, 0, COMPLETED),
                       .epoch = cell_int64(row, 0, CHECKPOINT_EPOCH),
                       .pointer = cell_text(row, 0, POINTER)},
        .content = pieces_bytes(pieces, row, METADATA, CHECKPOINT_SHA256),
    };
}

static pgk_status hand_out_job(const struct handing_out *out, const PGresult *row, pgk_error *err)
{
    const struct recovery_sink *sink = out->sink;
    static const struct job_graph_columns columns = {
        JOB, OP, VERSION, EPOCH, SHA256, BYTES, REQUIREMENTS_SHA256, REQUIREMENTS, CREATED};
    struct graph_row graph = job_graph_row(&out->pieces, row, &columns);
    bool checkpointed = !PQgetisnull(row, 0, CHECKPOINT_ID);
    struct checkpoint_row checkpoint = {.content = {.data = NULL}};
    if (checkpointed) {
        checkpoint = checkpoint_of(&out->pieces, row);
    }
    int64_t next_id = PQgetisnull(row, 0, NEXT_ID) ? FIRST_ID : cell_int64(row, 0, NEXT_ID);
    return sink->job(sink->ctx, &graph, checkpointed ? &checkpoint : NULL, next_id, err);
}

static pgk_status hand_out(void *ctx, const PGresult *row, pgk_error *err)
{
    const struct handing_out *out = ctx;
    const struct recovery_sink *sink = out->sink;
    if (!PQgetisnull(row, 0, OP)) {
        return hand_out_job(out, row, err);
    }
    if (!PQgetisnull(row, 0, FORMAT)) {
        return hand_out_result(out, row, err);
    }
    struct checkpoint_row checkpoint = checkpoint_of(&out->pieces, row);
    return sink->discard(sink->ctx, &checkpoint, err);
}

pgk_status postgres_recover(struct backend *backend, const pgk_uuid *store_id,
                            const struct recovery_sink *sink, pgk_error *err)
{
    struct work work;
    struct handing_out out = {
        .sink = sink,
        .pieces = {.place_column = PLACE, .count = 3, .columns = {BYTES, REQUIREMENTS, METADATA}}};
    work_begin(&work, STMT_RECOVER);
    work.pieces = &out.pieces;
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, sink->job != NULL ? store_id : NULL);
    work_bool(&work, sink->result != NULL);
    work_bool(&work, sink->job != NULL);
    work_bool(&work, sink->discard != NULL);
    return work_stream(backend, &work, hand_out, &out, err);
}
