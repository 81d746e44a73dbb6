/*
 * backend/postgres/blob_put.c - putting blobs: a small one by one statement, others by blob_send.c,
 * anew when the session breaks on the way; and what became of it when the last answer was lost. See
 * docs/blobs.md.
 *
 * The caller's thread.
 */
#include <stdlib.h>

#include "backend/postgres/blob_send.h"
#include "backend/postgres/blobs.h"
#include "backend/postgres/keeper.h"
#include "backend/postgres/retry.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "blobs"
/* So much is read at a time; less, all of it, goes in one statement. Of what may have to be waited for more, because
 * no transaction is open meanwhile. */
#define BUFFER_BYTES (4 * BLOB_PIECE_BYTES)
#define BUFFER_SLOW_BYTES (16 * BLOB_PIECE_BYTES)
/* A put that breaks on the way is begun anew so often. */
#define RESTARTS 3

static pgk_status rewind_all(struct sending *s, pgk_error *err)
{
    if (s->rewound || s->filled > 0) {
        return PGK_OK; /* what has been read is in the buffer still */
    }
    for (size_t i = 0; i < s->count; i++) {
        if (s->sources[i].rewind == NULL) {
            return error_set(err, PGK_ERR_CONNECTION, ORIGIN,
                             "the connection broke on the way, and the source cannot be read "
                             "again; nothing is stored");
        }
    }
    for (size_t i = 0; i < s->count; i++) {
        pgk_status status = s->sources[i].rewind(s->sources[i].ctx, err);
        if (status != PGK_OK) {
            return status;
        }
    }
    s->rewound = true;
    return PGK_OK;
}

static pgk_status settle(struct sending *s, int pid, bool pooled, bool *ret_done, pgk_error *err)
{
    struct settle what = {.rule = SETTLE_FOUND_IS_DONE,
                          .what = s->graph != NULL ? "job_graph" : "blob",
                          .op_id = s->write->op_id};
    if (s->graph != NULL) {
        what.job_id = *s->job_id;
    }
    return blob_settle(s->backend, pid, pooled, &what, ret_done, err);
}

static pgk_status send_all(struct sending *s, pgk_error *err)
{
    struct retry retry = {.settings = s->backend->settings};
    int64_t timeout_ns = s->backend->settings->statement_timeout_ms * NS_PER_MS;
    int restarts = 0;
    retry.deadline_ns = clock_now_ns() + timeout_ns;
    for (;;) {
        pgk_error local;
        pgk_error other;
        int pid = 0;
        bool pooled = false;
        bool done = false;
        int64_t retry_at_ns;
        error_reset(&local);
        pgk_status status = rewind_all(s, &local);
        bool sendable = status == PGK_OK;
        if (sendable) {
            status = blob_send(s, retry.deadline_ns, &pid, &pooled, &local);
        }
        struct work told = {.token = s->write->token};
        work_tell_keeper(s->backend, &told, status);
        if (pid != 0) {
            pgk_status settled = settle(s, pid, pooled, &done, &other);
            status = settled != PGK_OK ? settled : done ? PGK_OK : status;
            local = settled != PGK_OK ? other : local;
        }
        if (status == PGK_OK) {
            return PGK_OK;
        }
        if (!s->rewound && s->filled == 0) { /* some of it had been sent */
            restarts++;
            retry.deadline_ns = clock_now_ns() + timeout_ns;
        }
        if (!sendable || s->source_failed || status == PGK_ERR_OUTCOME_UNKNOWN || s->refused ||
            restarts > RESTARTS || !retry_again(&retry, &local, &retry_at_ns)) {
            if (err != NULL) {
                *err = local;
            }
            return status;
        }
        pool_pause(&s->backend->pool, retry_at_ns);
    }
}

/* Reads what may be all of a single blob; then it is *ret_small. */
static pgk_status read_first(struct sending *s, bool *ret_small, pgk_error *err)
{
    const struct blob_source *source = &s->sources[0];
    if (s->count != 1 || s->graph != NULL) {
        s->rewound = true;
        return PGK_OK;
    }
    pgk_status status = source->read(source->ctx, s->buffer, s->capacity, &s->filled, err);
    if (status == PGK_OK && s->filled < s->capacity) {
        *ret_small = true;
        status = source->sum(source->ctx, &s->sums[0], err);
    }
    return status;
}

/* All has been stored: what the progress answers is too late. */
static void tell_end(const struct sending *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->sums[i].bytes > 0) {
            (void)s->sources[i].taken(s->sources[i].ctx, s->sums[i].bytes, NULL);
        }
    }
}

static int64_t bytes_of(const struct sending *s)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < s->count; i++) {
        bytes += s->sums[i].bytes;
    }
    return bytes;
}

static pgk_status put_any(struct sending *s, pgk_error *err)
{
    bool small = false;
    pgk_status status = read_first(s, &small, err);
    if (status != PGK_OK) {
        return status;
    }
    if (small) {
        status =
            blob_store(s->backend, s->write, s->job_id, &s->sums[0], s->buffer, &s->loose, err);
    } else {
        status = send_all(s, err);
    }
    if (status == PGK_OK) {
        tell_end(s);
    }
    if (status == PGK_OK && s->loose) {
        blob_sweep_loose(s->backend, bytes_of(s));
    }
    return status;
}

pgk_status blob_put(struct backend *backend, const struct store_write *write,
                    const pgk_uuid *job_id, const struct blob_source *sources, size_t count,
                    const struct blob_graph *graph, pgk_error *err)
{
    struct sending s = {.backend = backend,
                        .write = write,
                        .job_id = job_id,
                        .sources = sources,
                        .graph = graph,
                        .count = count,
                        .capacity = BUFFER_BYTES,
                        .ids = calloc(count + 1, sizeof(*s.ids)),
                        .sums = calloc(count + 1, sizeof(*s.sums))};
    for (size_t i = 0; i < count; i++) {
        s.capacity = sources[i].prompt ? s.capacity : BUFFER_SLOW_BYTES;
    }
    s.buffer = malloc(s.capacity);
    pgk_status status = s.buffer != NULL && s.ids != NULL && s.sums != NULL
                            ? put_any(&s, err)
                            : error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for a buffer");
    free(s.buffer);
    free(s.ids);
    free(s.sums);
    return status;
}
