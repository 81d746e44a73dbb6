/*
 * backend/postgres/job_graphs.c - the statements of the job graph store. What listens for changes
 * is in listen_graphs.c.
 *
 * The callers' threads; nothing is shared but the pool.
 */
#include "backend/postgres/job_graphs.h"

#include <stdlib.h>

#include "backend/postgres/keeper.h"
#include "backend/postgres/put_queue.h"
#include "backend/postgres/work.h"
#include "core/error.h"

#define ORIGIN "job_graphs"

/* Columns of sql/job_graph/recover_all.sql; recover.sql has the outcome in place of the job. */
enum { JOB, OP, VERSION, EPOCH, SHA256, GRAPH, REQUIREMENTS_SHA256, REQUIREMENTS, CREATED };

struct handing_out {
    graph_row_fn fn;
    void *ctx;
    const pgk_uuid *job_id; /* of the one that was asked for; NULL: of all */
    bool missing;
};

static pgk_status start(struct backend *backend, const pgk_token *token, const pgk_uuid *store_id,
                        bool listening, pgk_error *err)
{
    struct work work;
    struct work_answer answer = {0};
    work_begin(&work, STMT_JOB_GRAPH_START);
    work_token(&work, token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, store_id);
    /* Who polls is not to be notified: that costs the writers. */
    work_bool(&work, listening && backend->settings->retrieval == RETRIEVAL_LISTEN);
    pgk_status status = work_write(backend, &work, &answer, err);
    PQclear(answer.result);
    return status;
}

static pgk_status stop(struct backend *backend, const pgk_uuid *store_id, pgk_error *err)
{
    struct work work;
    AUTO_RESULT *result = NULL;
    work_begin(&work, STMT_JOB_GRAPH_STOP);
    work_uuid(&work, store_id);
    return work_read(backend, &work, &result, err);
}

static pgk_status named(pgk_error *err, pgk_status status, const pgk_uuid *job_id, const char *what)
{
    char hex[PGK_UUID_HEX_SIZE];
    pgk_uuid_format_hex(job_id, hex);
    return error_set(err, status, ORIGIN, "graph %s %s", hex, what);
}

pgk_status put_refused(const struct put_request *put, bool resent, pgk_error *err)
{
    if (resent) {
        pgk_status status = named(err, PGK_ERR_OUTCOME_UNKNOWN, put->job_id,
                                  "is now another one, and whether this one was stored before is "
                                  "not known; recover it to see");
        if (err != NULL) {
            err->flags |= PGK_ERROR_OUTCOME_UNKNOWN;
        }
        return status;
    }
    if (put->known == NULL) {
        return named(err, PGK_ERR_ALREADY_EXISTS, put->job_id,
                     "is there and this store does not own it; recover it first");
    }
    return named(err, PGK_ERR_CONFLICT, put->job_id,
                 "was changed by somebody else since this store knew it; recover it to see");
}

pgk_status put_alone(struct backend *backend, const struct put_request *put, pgk_error *err)
{
    struct work work;
    struct work_answer answer = {0};
    work_begin(&work, STMT_JOB_GRAPH_PUT);
    work.deadline_ns = put->deadline_ns;
    work_token(&work, put->write->token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, put->job_id);
    work_uuid(&work, put->store_id);
    work_uuid(&work, &put->write->op_id);
    work_uuid(&work, put->known);
    work_bytes(&work, put->graph->data, put->graph->length);
    work_bytes(&work, put->graph->digest, put->graph->digest_length);
    work.settle = (struct settle){.rule = SETTLE_FOUND_IS_DONE,
                                  .what = "job_graph",
                                  .job_id = *put->job_id,
                                  .op_id = put->write->op_id};
    pgk_status status = work_write(backend, &work, &answer, err);
    if (status == PGK_OK && !answer.settled && !cell_is(answer.result, 0, 0, "done")) {
        status = put_refused(put, answer.resent, err);
    }
    PQclear(answer.result);
    return status;
}

static pgk_status put(struct backend *backend, const struct store_write *write,
                      const pgk_uuid *store_id, const pgk_uuid *job_id, const pgk_uuid *known,
                      const struct store_bytes *graph, pgk_error *err)
{
    struct put_request request = {
        .write = write, .store_id = store_id, .job_id = job_id, .known = known, .graph = graph};
    return put_queue_put(backend, &request, err);
}

static pgk_status put_requirements(struct backend *backend, const struct store_write *write,
                                   const pgk_uuid *job_id, const struct store_bytes *requirements,
                                   pgk_error *err)
{
    struct work work;
    struct work_answer answer = {0};
    work_begin(&work, STMT_JOB_GRAPH_PUT_REQUIREMENTS);
    work_token(&work, write->token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_noted(&work, &write->op_id);
    work_bytes(&work, requirements->data, requirements->length);
    work_bytes(&work, requirements->digest, requirements->digest_length);
    pgk_status status = work_write(backend, &work, &answer, err);
    if (status == PGK_OK && !answer.settled && !cell_is(answer.result, 0, 0, "done")) {
        status = named(err, PGK_ERR_NOT_FOUND, job_id, "is not there");
    }
    PQclear(answer.result);
    return status;
}

struct graph_row job_graph_row(const PGresult *row, const struct job_graph_columns *columns)
{
    return (struct graph_row){
        .job_id = cell_uuid(row, 0, columns->job),
        .op_id = cell_uuid(row, 0, columns->op),
        .created = cell_int64(row, 0, columns->created),
        .version = cell_int64(row, 0, columns->version),
        .epoch = cell_int64(row, 0, columns->epoch),
        .graph = cell_bytes(row, 0, columns->graph, columns->sha256),
        .requirements = cell_bytes(row, 0, columns->requirements, columns->requirements_sha256),
    };
}

static pgk_status hand_out(void *ctx, const PGresult *row, pgk_error *err)
{
    static const struct job_graph_columns columns = {
        JOB, OP, VERSION, EPOCH, SHA256, GRAPH, REQUIREMENTS_SHA256, REQUIREMENTS, CREATED};
    struct handing_out *out = ctx;
    if (out->job_id != NULL && !cell_is(row, 0, 0, "done")) {
        out->missing = true;
        return PGK_OK;
    }
    struct graph_row graph = job_graph_row(row, &columns);
    if (out->job_id != NULL) {
        graph.job_id = *out->job_id;
    }
    return out->fn(out->ctx, &graph, err);
}

static pgk_status recover(struct backend *backend, const pgk_token *token, const pgk_uuid *store_id,
                          const pgk_uuid *job_id, graph_row_fn fn, void *ctx, pgk_error *err)
{
    struct work work;
    struct handing_out out = {.fn = fn, .ctx = ctx, .job_id = job_id};
    work_begin(&work, STMT_JOB_GRAPH_RECOVER);
    work_token(&work, token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_uuid(&work, store_id);
    pgk_status status = work_stream(backend, &work, hand_out, &out, err);
    if (status == PGK_OK && out.missing) {
        status = named(err, PGK_ERR_NOT_FOUND, job_id, "is not there");
    }
    return status;
}

static pgk_status recover_all(struct backend *backend, const pgk_uuid *store_id, graph_row_fn fn,
                              void *ctx, pgk_error *err)
{
    struct work work;
    struct handing_out out = {.fn = fn, .ctx = ctx};
    work_begin(&work, STMT_JOB_GRAPH_RECOVER_ALL);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, store_id);
    return work_stream(backend, &work, hand_out, &out, err);
}

static pgk_status list(struct backend *backend, struct graph_id **ret_ids, size_t *ret_count,
                       pgk_error *err)
{
    struct work work;
    AUTO_RESULT *result = NULL;
    work_begin(&work, STMT_JOB_GRAPH_LIST);
    work_text(&work, backend->settings->cluster_id);
    pgk_status status = work_read(backend, &work, &result, err);
    if (status != PGK_OK) {
        return status;
    }
    size_t count = (size_t)PQntuples(result);
    struct graph_id *ids = count > 0 ? calloc(count, sizeof(*ids)) : NULL;
    if (count > 0 && ids == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for %zu job ids", count);
    }
    for (size_t i = 0; i < count; i++) {
        ids[i].job_id = cell_uuid(result, (int)i, 0);
        ids[i].op_id = cell_uuid(result, (int)i, 1);
        ids[i].created = cell_int64(result, (int)i, 2);
    }
    *ret_ids = ids;
    *ret_count = count;
    return PGK_OK;
}

static pgk_status release(struct backend *backend, const pgk_token *token, const pgk_uuid *store_id,
                          const pgk_uuid *job_id, pgk_error *err)
{
    struct work work;
    struct work_answer answer = {0};
    work_begin(&work, STMT_JOB_GRAPH_RELEASE);
    work_token(&work, token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_uuid(&work, store_id);
    pgk_status status = work_write(backend, &work, &answer, err);
    PQclear(answer.result);
    return status;
}

static pgk_status remove_graph(struct backend *backend, const struct store_write *write,
                               const pgk_uuid *store_id, const pgk_uuid *job_id,
                               const pgk_uuid *known, pgk_error *err)
{
    struct work work;
    struct work_answer answer = {0};
    work_begin(&work, STMT_JOB_GRAPH_REMOVE);
    work_token(&work, write->token);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, job_id);
    work_uuid(&work, store_id);
    work_uuid(&work, known);
    if (known != NULL) {
        work.settle = (struct settle){.rule = SETTLE_FOUND_IS_NOT_DONE,
                                      .what = "job_graph",
                                      .job_id = *job_id,
                                      .op_id = *known};
    } else {
        work.settle =
            (struct settle){.rule = SETTLE_ABSENT_IS_DONE, .what = "job_graph", .job_id = *job_id};
    }
    pgk_status status = work_write(backend, &work, &answer, err);
    if (status == PGK_OK && answer.settled) {
        return PGK_OK;
    }
    if (status == PGK_OK && cell_is(answer.result, 0, 0, "owned")) {
        status = named(err, PGK_ERR_CONFLICT, job_id, "is owned by another live store");
    } else if (status == PGK_OK && cell_is(answer.result, 0, 0, "conflict")) {
        status = named(err, PGK_ERR_CONFLICT, job_id,
                       "was changed by somebody else since this store knew it; recover it to see");
    }
    PQclear(answer.result);
    return status;
}

const struct job_graph_ops postgres_job_graphs = {
    .start = start,
    .stop = stop,
    .put = put,
    .put_requirements = put_requirements,
    .recover = recover,
    .recover_all = recover_all,
    .list = list,
    .release = release,
    .remove = remove_graph,
    .watch = graph_watch_begin,
    .unwatch = graph_watch_end,
};
