/*
 * backend/postgres/blob_get.c - reading a blob: range after range, each a statement of its own, so
 * that no snapshot lasts; the pieces of a range come as rows. What is read is one and the same
 * object all along, or it begins anew.
 *
 * The caller's thread; holds a work session for one range at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/blobs.h"
#include "backend/postgres/keeper.h"
#include "backend/postgres/retry.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "blobs"
/* Measured: of 32 kB to 1 MiB the fastest. Less than what makes the allocator give memory back. */
#define PIECE_BYTES 65536
/* A range lasts about as long as this, and has so many bytes. */
#define RANGE_NS (500 * NS_PER_MS)
#define RANGE_FIRST ((int64_t)4 * 1024 * 1024)
#define RANGE_LEAST ((int64_t)256 * 1024)
#define RANGE_MOST ((int64_t)16 * 1024 * 1024)
/* For a sink that may wait: collected, then handed out. */
#define RANGE_HELD ((int64_t)1024 * 1024)
/* Read anew so often at most, when it is always replaced meanwhile. */
#define RESTARTS 20

struct reading {
    struct backend *backend;
    const struct blob_sink *sink;
    struct blob_row row;
    int64_t done;
    int64_t to;   /* of the range */
    char *held;   /* NULL: the sink is prompt */
    size_t holds; /* bytes */
    bool gone;    /* the blob is another one now */
    bool told;    /* the sink ended it */
};

static pgk_status wrong_length(const struct reading *r, int64_t bytes, bool more, pgk_error *err)
{
    return error_set(err, PGK_ERR_CORRUPT, ORIGIN,
                     "large object %u has %s%lld bytes, of %lld that were stored", r->row.blob.loid,
                     more ? "more than " : "only ", (long long)bytes, (long long)r->row.blob.bytes);
}

static pgk_status give(struct reading *r, const void *data, size_t bytes, pgk_error *err)
{
    pgk_status status = bytes > 0 ? r->sink->write(r->sink->ctx, data, bytes, err) : PGK_OK;
    r->told = status != PGK_OK;
    r->done += status == PGK_OK ? (int64_t)bytes : 0;
    return status;
}

static pgk_status take(void *ctx, const PGresult *row, pgk_error *err)
{
    struct reading *r = ctx;
    if (r->gone || PQgetisnull(row, 0, 0)) {
        r->gone = true;
        return PGK_OK;
    }
    int64_t at = r->done + (int64_t)r->holds;
    int64_t bytes = PQgetlength(row, 0, 0);
    int64_t expected = r->to - at < PIECE_BYTES ? r->to - at : PIECE_BYTES;
    if (bytes < expected) {
        return wrong_length(r, at + bytes, false, err);
    }
    if (at + bytes > r->row.blob.bytes) {
        return wrong_length(r, r->row.blob.bytes, true, err);
    }
    if (r->held != NULL) {
        memcpy(r->held + r->holds, PQgetvalue(row, 0, 0), (size_t)bytes);
        r->holds += (size_t)bytes;
        return PGK_OK;
    }
    return give(r, PQgetvalue(row, 0, 0), (size_t)bytes, err);
}

static pgk_status read_range(struct reading *r, int64_t length, pgk_error *err)
{
    struct work work;
    bool last = r->row.blob.bytes - r->done <= length;
    r->to = last ? r->row.blob.bytes : r->done + length;
    r->holds = 0;
    work_begin(&work, STMT_BLOB_READ);
    work_int64(&work, r->row.blob.loid);
    work_uuid(&work, &r->row.op_id);
    work_int64(&work, r->done);
    work_int64(&work, last ? r->to + 1 : r->to); /* is there more than there should be? */
    work_int32(&work, PIECE_BYTES);
    pgk_status status = work_stream(r->backend, &work, take, r, err);
    if (status != PGK_OK && err != NULL && strcmp(err->sqlstate, "42704") == 0) {
        status =
            error_set(err, PGK_ERR_CORRUPT, ORIGIN, "large object %u is missing", r->row.blob.loid);
    }
    size_t holds = r->holds;
    r->holds = 0;
    return status == PGK_OK && !r->gone && holds > 0 ? give(r, r->held, holds, err) : status;
}

static int64_t next_length(const struct reading *r, int64_t length, int64_t took_ns)
{
    if (r->held != NULL) {
        return RANGE_HELD;
    }
    if (took_ns > 2 * RANGE_NS) {
        length /= 2;
    } else if (took_ns < RANGE_NS / 2) {
        length *= 2;
    }
    length = length < RANGE_MOST ? length : RANGE_MOST;
    return length > RANGE_LEAST ? length : RANGE_LEAST;
}

/* From where it is to the end, or until it is gone. */
static pgk_status read_all(struct reading *r, pgk_error *err)
{
    int64_t length = r->held != NULL ? RANGE_HELD : RANGE_FIRST;
    struct retry retry = {.settings = r->backend->settings};
    bool ended = false;
    pgk_error local;
    while (!ended && !r->gone) {
        int64_t began_ns = clock_now_ns();
        int64_t before = r->done;
        int64_t retry_at_ns;
        error_reset(&local);
        pgk_status status = read_range(r, length, &local);
        int64_t now_ns = clock_now_ns();
        if (r->done > before || retry.failures == 0) {
            retry.failures = 0;
            retry.deadline_ns = now_ns + r->backend->settings->statement_timeout_ms * NS_PER_MS;
        }
        if (status != PGK_OK && (r->told || !retry_again(&retry, &local, &retry_at_ns))) {
            if (err != NULL) {
                *err = local;
            }
            return status;
        }
        if (status != PGK_OK) {
            pool_pause(&r->backend->pool, retry_at_ns);
        }
        ended = status == PGK_OK && r->done == r->row.blob.bytes;
        length = next_length(r, length, now_ns - began_ns);
    }
    return PGK_OK;
}

pgk_status blob_get(struct backend *backend, const pgk_uuid *job_id, const pgk_blob_key *key,
                    const struct blob_sink *sink, pgk_error *err)
{
    struct reading r = {.backend = backend, .sink = sink};
    pgk_status status = PGK_OK;
    if (!sink->prompt) {
        r.held = malloc((size_t)RANGE_HELD);
        if (r.held == NULL) {
            return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for a buffer");
        }
    }
    for (int i = 0; i == 0 || (status == PGK_OK && r.gone); i++) {
        r.gone = false;
        r.done = 0;
        status = i < RESTARTS ? blob_find(backend, job_id, key, &r.row, err)
                              : error_set(err, PGK_ERR_CONFLICT, ORIGIN,
                                          "it was replaced %d times while it was read", RESTARTS);
        if (status == PGK_OK) {
            status = sink->begin(sink->ctx, &r.row, err);
        }
        if (status == PGK_OK) {
            status = read_all(&r, err);
        }
    }
    free(r.held);
    return status;
}
