/*
 * backend/postgres/blob_send.c - one attempt to send blobs: pieces in a pipeline, in transactions
 * that do not last, to objects that nobody can read; then one transaction makes them blobs.
 *
 * The caller's thread; holds one work session, whose lock on the objects tells others that it is
 * alive.
 */
#include "backend/postgres/blob_send.h"

#include <stdlib.h>

#include "backend/postgres/keeper.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "blobs"
/* A transaction ends after so much, or so long. VACUUM may wait for it. */
#define PART_BYTES ((int64_t)16 * 1024 * 1024)
#define PART_NS (2 * NS_PER_S)
#define PROGRESS_BYTES ((int64_t)1024 * 1024)

/* ------------------------------------------------------------------ transactions */

static pgk_status send_settings(struct sending *s, enum statement_id id, const char *path,
                                pgk_error *err)
{
    struct work work;
    char limit[LINK_LIMIT_SIZE];
    link_limit(s->backend->settings, limit);
    work_begin(&work, id);
    work_text(&work, path);
    work_text(&work, limit);
    return wire_send(&s->wire, &work, WIRE_SETTINGS, 0, err);
}

pgk_status blob_open_part(struct sending *s, pgk_error *err)
{
    if (s->open) {
        return PGK_OK;
    }
    char *path = search_path_of(s->backend->settings->schema);
    if (path == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "out of memory");
    }
    s->open = true;
    s->open_since_ns = clock_now_ns();
    s->open_bytes = 0;
    /* Behind a pooler the next statement finds its functions only by this one. */
    pgk_status status =
        s->pooled->link.pooled ? send_settings(s, STMT_USE_SCHEMA, path, err) : PGK_OK;
    if (status == PGK_OK) {
        status = send_settings(s, STMT_BLOB_SEND, path, err);
    }
    free(path);
    return status;
}

pgk_status blob_end_part(struct sending *s, pgk_error *err)
{
    pgk_status status = wire_sync(&s->wire, err);
    s->open = false;
    s->begun += s->begun_now;
    s->begun_last = s->begun_now;
    s->begun_now = 0;
    return status;
}

/* Before something is read that may have to be waited for, and when it has lasted. */
static pgk_status end_old_part(struct sending *s, const struct blob_source *source, pgk_error *err)
{
    bool old = s->open && (!source->prompt || s->open_bytes >= PART_BYTES ||
                           clock_now_ns() - s->open_since_ns > PART_NS);
    return old ? blob_end_part(s, err) : PGK_OK;
}

/* ------------------------------------------------------------------ one source */

static pgk_status begin_object(struct sending *s, size_t at, pgk_error *err)
{
    struct work work;
    pgk_status status = blob_open_part(s, err);
    if (status != PGK_OK) {
        return status;
    }
    pgk_uuid_new(&s->ids[at]);
    work_begin(&work, STMT_BLOB_BEGIN);
    work_token(&work, s->write->token);
    work_text(&work, s->backend->settings->cluster_id);
    work_uuid(&work, &s->ids[at]);
    work_bool(&work, !s->pooled->link.pooled);
    s->begun_now++;
    return wire_send(&s->wire, &work, WIRE_OTHER, 0, err);
}

static pgk_status send_pieces(struct sending *s, size_t at, int64_t offset, size_t bytes,
                              pgk_error *err)
{
    pgk_status status = blob_open_part(s, err);
    for (size_t done = 0; status == PGK_OK && done < bytes;) {
        struct work work;
        size_t piece = bytes - done < BLOB_PIECE_BYTES ? bytes - done : BLOB_PIECE_BYTES;
        work_begin(&work, STMT_BLOB_WRITE);
        work_uuid(&work, &s->ids[at]);
        work_int64(&work, offset + (int64_t)done);
        work_bytes(&work, s->buffer + done, piece);
        status = wire_send(&s->wire, &work, WIRE_BYTES, (int64_t)piece, err);
        done += piece;
        s->open_bytes += (int64_t)piece;
    }
    return status;
}

static pgk_status tell_progress(struct sending *s, const struct blob_source *source, int64_t before,
                                pgk_error *err)
{
    int64_t done = s->wire.bytes_done - before;
    if (done - s->told_bytes < PROGRESS_BYTES) {
        return PGK_OK;
    }
    s->told_bytes = done;
    pgk_status status = source->taken(source->ctx, done, err);
    s->source_failed = status != PGK_OK;
    return status;
}

static pgk_status fill(struct sending *s, size_t at, size_t *ret_bytes, pgk_error *err)
{
    const struct blob_source *source = &s->sources[at];
    if (at == 0 && s->filled > 0) { /* read before */
        *ret_bytes = s->filled;
        s->filled = 0;
        return PGK_OK;
    }
    pgk_status status = end_old_part(s, source, err);
    if (status == PGK_OK) {
        s->rewound = false;
        status = source->read(source->ctx, s->buffer, s->capacity, ret_bytes, err);
        s->source_failed = status != PGK_OK;
    }
    return status;
}

static pgk_status send_source(struct sending *s, size_t at, pgk_error *err)
{
    const struct blob_source *source = &s->sources[at];
    int64_t before = 0;
    int64_t offset = 0;
    size_t bytes = s->capacity;
    for (size_t i = 0; i < at; i++) {
        before += s->sums[i].bytes;
    }
    pgk_status status = PGK_OK;
    s->told_bytes = 0;
    while (status == PGK_OK && bytes == s->capacity) {
        status = fill(s, at, &bytes, err);
        if (status == PGK_OK && offset == 0) {
            status = begin_object(s, at, err);
        }
        if (status == PGK_OK) {
            status = send_pieces(s, at, offset, bytes, err);
            offset += (int64_t)bytes;
        }
        if (status == PGK_OK) {
            status = tell_progress(s, source, before, err);
        }
    }
    if (status == PGK_OK) {
        status = source->sum(source->ctx, &s->sums[at], err);
        s->source_failed = status != PGK_OK;
    }
    return status;
}

/* ------------------------------------------------------------------ one attempt */

/* Gives up the objects that are committed, so that the next one need not find them. False: the session is to
 * be closed, which does as much, later. */
static bool abandon(struct sending *s)
{
    if (s->begun_now > 0 || (s->wire.failed && s->begun_last > 0)) {
        return false; /* with it goes the transaction, and the lock on an object that is no more */
    }
    if (s->open && blob_end_part(s, NULL) != PGK_OK) {
        return false;
    }
    (void)wire_drain(&s->wire, NULL);
    s->wire.failed = false;
    pgk_status status = s->wire.count == 0 ? PGK_OK : PGK_ERR_CONNECTION;
    for (size_t i = 0; status == PGK_OK && i < s->begun; i++) {
        struct work work;
        work_begin(&work, STMT_BLOB_LEAVE);
        work_uuid(&work, &s->ids[i]);
        status = blob_open_part(s, NULL);
        if (status == PGK_OK) {
            status = wire_send(&s->wire, &work, WIRE_OTHER, 0, NULL);
        }
    }
    if (status == PGK_OK && s->open) {
        status = blob_end_part(s, NULL);
    }
    return status == PGK_OK && wire_drain(&s->wire, NULL) == PGK_OK;
}

static pgk_status prepare(struct sending *s, int64_t deadline_ns, pgk_error *err)
{
    static const enum statement_id used[] = {STMT_BLOB_SEND, STMT_BLOB_BEGIN, STMT_BLOB_WRITE,
                                             STMT_BLOB_PUBLISH};
    pgk_status status = PGK_OK;
    for (size_t i = 0; status == PGK_OK && i < sizeof(used) / sizeof(used[0]); i++) {
        status = work_link_prepare(&s->pooled->link, used[i], deadline_ns, err);
    }
    return status;
}

/* Did the server say that nothing was done? */
static bool is_unclear(const pgk_error *error)
{
    return error->status == PGK_ERR_CONNECTION || error->status == PGK_ERR_OUTCOME_UNKNOWN ||
           error->status == PGK_ERR_IO;
}

pgk_status blob_send(struct sending *s, int64_t deadline_ns, int *ret_pid, bool *ret_pooled,
                     pgk_error *err)
{
    pgk_status status = pool_take(&s->backend->pool, deadline_ns, &s->pooled, err);
    if (status != PGK_OK) {
        return status;
    }
    s->begun = s->begun_now = s->begun_last = 0;
    s->open = s->last_sent = s->refused = s->source_failed = false;
    status = prepare(s, deadline_ns, err);
    if (status == PGK_OK) {
        status = wire_begin(&s->wire, s->backend, &s->pooled->link, "blob_put", err);
    }
    bool piping = status == PGK_OK;
    for (size_t i = 0; status == PGK_OK && i < s->count; i++) {
        status = send_source(s, i, err);
    }
    if (status == PGK_OK) {
        status = blob_publish(s, err);
    }
    bool sure = (s->wire.failed && !is_unclear(&s->wire.error)) || s->refused || status == PGK_OK ||
                s->pooled->unreplicated;
    if (s->last_sent && !(piping && sure)) {
        *ret_pid = s->pooled->link.backend_pid;
        *ret_pooled = s->pooled->link.pooled;
    }
    bool keep = piping && (status == PGK_OK || (!*ret_pid && abandon(s)));
    bool large = s->graph != NULL && s->graph->graph->length > LARGE_BYTES;
    keep = piping && wire_end(&s->wire) && keep && !large;
    pool_give(&s->backend->pool, s->pooled, keep);
    return status;
}
