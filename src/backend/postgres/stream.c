/*
 * backend/postgres/stream.c - work_stream(): rows handed out as they come, in memory for one.
 *
 * The caller's thread, which holds one work session for as long as it takes. The row function runs
 * with nothing locked.
 */
#include <stdio.h>

#include "backend/postgres/keeper.h"
#include "backend/postgres/retry.h"
#include "backend/postgres/work_link.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "work"

struct stream {
    struct backend *backend;
    const struct work *work;
    const char *what;
    const struct link *link;
    work_row_fn fn;
    void *ctx;
    bool begun; /* a row has been handed out */
    bool large; /* libpq's buffers have grown */
    bool told;  /* the row function ended it */
};

static pgk_status next(struct stream *stream, PGresult **ret_result, pgk_error *err)
{
    int64_t pause_ns = stream->backend->settings->statement_timeout_ms * NS_PER_MS;
    return work_link_next(stream->link, stream->what, 0, pause_ns, ret_result, err);
}

/* The settings' result and the NULL after it; then what comes is row by row. */
static pgk_status pass_settings(struct stream *stream, pgk_error *err)
{
    PGresult *result = NULL;
    pgk_status status = next(stream, &result, err);
    if (status == PGK_OK && PQresultStatus(result) != PGRES_TUPLES_OK) {
        status = result_error(result, ORIGIN, stream->what, err);
    }
    PQclear(result);
    result = NULL;
    if (status == PGK_OK) {
        status = next(stream, &result, err);
        PQclear(result);
    }
    if (status == PGK_OK && PQsetSingleRowMode(stream->link->conn) != 1) {
        status =
            error_set(err, PGK_ERR_CONNECTION, ORIGIN, "%s: the session has ended", stream->what);
    }
    return status;
}

static pgk_status hand_out(struct stream *stream, const PGresult *row, pgk_error *err)
{
    stream->begun = true;
    pgk_status status = stream->fn(stream->ctx, row, err);
    stream->told = status != PGK_OK;
    return status;
}

/* A row, or a piece of one; *result is NULL afterwards if it was kept. */
static pgk_status take_row(struct stream *stream, PGresult **result, pgk_error *err)
{
    struct pieces *pieces = stream->work->pieces;
    bool whole = false;
    stream->large = stream->large || PQresultMemorySize(*result) > LARGE_BYTES;
    if (!pieces_is_part(pieces, *result)) {
        return hand_out(stream, *result, err);
    }
    pgk_status status = pieces_add(pieces, result, &whole, err);
    if (status == PGK_OK && whole) {
        status = hand_out(stream, pieces->first, err);
        pieces_reset(pieces);
    }
    return status;
}

static pgk_status take(struct stream *stream, PGresult **ref, bool *ret_ended, pgk_error *err)
{
    const PGresult *result = *ref;
    ExecStatusType kind = PQresultStatus(result);
    if (kind == PGRES_SINGLE_TUPLE) {
        return take_row(stream, ref, err);
    }
    if (kind == PGRES_PIPELINE_SYNC) {
        *ret_ended = true;
        return PGK_OK;
    }
    return kind == PGRES_TUPLES_OK ? PGK_OK : result_error(result, ORIGIN, stream->what, err);
}

static pgk_status receive(struct stream *stream, pgk_error *err)
{
    bool ended = false;
    pgk_status status = pass_settings(stream, err);
    while (status == PGK_OK && !ended) {
        PGresult *result = NULL;
        status = next(stream, &result, err);
        if (status == PGK_OK && result != NULL) {
            status = take(stream, &result, &ended, err);
        } else if (status == PGK_OK && PQstatus(stream->link->conn) != CONNECTION_OK) {
            status = error_set(err, PGK_ERR_CONNECTION, ORIGIN, "%s: %.300s", stream->what,
                               PQerrorMessage(stream->link->conn));
        }
        PQclear(result);
    }
    return status;
}

static pgk_status stream_once(struct stream *stream, int64_t deadline_ns, pgk_error *err)
{
    struct backend *backend = stream->backend;
    struct pooled_link *pooled = NULL;
    pgk_status status = pool_take(&backend->pool, deadline_ns, &pooled, err);
    if (status != PGK_OK) {
        return status;
    }
    stream->link = &pooled->link;
    status = work_link_prepare(&pooled->link, STMT_STREAM, deadline_ns, err);
    if (status == PGK_OK) {
        status = work_link_prepare(&pooled->link, stream->work->id, deadline_ns, err);
    }
    if (status == PGK_OK && !work_link_send(&pooled->link, stream->work, backend->settings, true)) {
        status = error_set(err, PGK_ERR_CONNECTION, ORIGIN, "%s: %.300s", stream->what,
                           PQerrorMessage(pooled->link.conn));
    } else if (status == PGK_OK) {
        status = receive(stream, err);
    }
    if (stream->work->pieces != NULL) {
        pieces_reset(stream->work->pieces); /* of a row that broke off */
    }
    bool whole = status == PGK_OK && PQexitPipelineMode(pooled->link.conn) == 1;
    /* Rows that nobody wants are not waited for: the session goes. */
    pool_give(&backend->pool, pooled, whole && !stream->large);
    return status;
}

pgk_status work_stream(struct backend *backend, struct work *work, work_row_fn fn, void *ctx,
                       pgk_error *err)
{
    struct stream stream = {
        .backend = backend,
        .work = work,
        .what = statements[work->id].name,
        .fn = fn,
        .ctx = ctx,
    };
    struct retry retry = {.settings = backend->settings,
                          .deadline_ns =
                              clock_now_ns() + backend->settings->statement_timeout_ms * NS_PER_MS};
    for (;;) {
        pgk_error local;
        int64_t retry_at_ns;
        error_reset(&local);
        pgk_status status = stream_once(&stream, retry.deadline_ns, &local);
        if (status == PGK_OK) {
            return PGK_OK;
        }
        if (stream.begun || stream.told || !retry_again(&retry, &local, &retry_at_ns)) {
            work_tell_keeper(backend, work, status);
            if (err != NULL) {
                *err = local;
            }
            return status;
        }
        pool_pause(&backend->pool, retry_at_ns);
    }
}
