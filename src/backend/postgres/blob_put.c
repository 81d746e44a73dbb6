/*
 * backend/postgres/blob_put.c - sending blobs: pieces in a pipeline, in transactions that do not
 * last, to objects that nobody can read; then one transaction makes them blobs. A small one is
 * stored by one statement. See docs/blobs.md.
 *
 * The caller's thread; holds one work session, whose lock on the objects tells others that it is
 * alive.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/blob_wire.h"
#include "backend/postgres/blobs.h"
#include "backend/postgres/keeper.h"
#include "backend/postgres/retry.h"
#include "backend/postgres/text_array.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "blobs"
/* Measured: of 64 kB to 1 MiB the fastest. A multiple of the server's page of 2 kB. */
#define PIECE_BYTES ((size_t)65536)
/* So much is read at a time; less, all of it, goes in one statement. Of what may have to be waited for more, because
 * no transaction is open meanwhile. */
#define BUFFER_BYTES (4 * PIECE_BYTES)
#define BUFFER_SLOW_BYTES (16 * PIECE_BYTES)
/* A transaction ends after so much, or so long. VACUUM may wait for it. */
#define PART_BYTES ((int64_t)16 * 1024 * 1024)
#define PART_NS (2 * NS_PER_S)
#define PROGRESS_BYTES ((int64_t)1024 * 1024)
/* A put that breaks on the way is begun anew so often. */
#define RESTARTS 3

struct sending {
    struct backend *backend;
    const struct store_write *write;
    const pgk_uuid *job_id;
    const struct blob_source *sources;
    const struct blob_graph *graph;
    size_t count;
    char *buffer;
    size_t capacity;
    size_t filled; /* of the first source: has been read */
    bool rewound;  /* nothing has been read of any */

    /* One attempt. */
    struct pooled_link *pooled;
    struct wire wire;
    pgk_uuid *ids;         /* each object's */
    struct blob_sum *sums; /* and source's */
    size_t begun;          /* objects that a sync has or will have committed */
    size_t begun_now;      /* objects of the transaction that is open */
    size_t begun_last;     /* of the one before */
    bool open;
    int64_t open_since_ns;
    int64_t open_bytes;
    int64_t told_bytes;
    bool source_failed; /* the source, or its progress, ended it */
    bool last_sent;     /* the last transaction may be done */
    bool loose;
    bool refused; /* the graph is not to be replaced: *outcome */
};

/* ------------------------------------------------------------------ transactions */

static pgk_status open_part(struct sending *s, pgk_error *err)
{
    struct work work;
    char limit[LINK_LIMIT_SIZE];
    if (s->open) {
        return PGK_OK;
    }
    char *path = search_path_of(s->backend->settings->schema);
    if (path == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "out of memory");
    }
    link_limit(s->backend->settings, limit);
    work_begin(&work, STMT_BLOB_SEND);
    work_text(&work, path);
    work_text(&work, limit);
    pgk_status status = wire_send(&s->wire, &work, WIRE_SETTINGS, 0, err);
    free(path);
    s->open = true;
    s->open_since_ns = clock_now_ns();
    s->open_bytes = 0;
    return status;
}

static pgk_status end_part(struct sending *s, pgk_error *err)
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
    return old ? end_part(s, err) : PGK_OK;
}

/* ------------------------------------------------------------------ one source */

static pgk_status begin_object(struct sending *s, size_t at, pgk_error *err)
{
    struct work work;
    pgk_status status = open_part(s, err);
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
    pgk_status status = open_part(s, err);
    for (size_t done = 0; status == PGK_OK && done < bytes;) {
        struct work work;
        size_t piece = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES;
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

/* ------------------------------------------------------------------ the last transaction */

static void add_bytes(const uint8_t *bytes, size_t count, char *out)
{
    static const char hex[] = "0123456789abcdef";
    *out++ = '\\';
    *out++ = 'x';
    for (size_t i = 0; i < count; i++) {
        *out++ = hex[bytes[i] >> 4];
        *out++ = hex[bytes[i] & 15];
    }
    *out = '\0';
}

enum { KEYS, IDS, SIZES, SHA1S, SHA256S, ARRAYS };

static bool add_sum(struct text_array *arrays, const pgk_uuid *id, const struct blob_sum *sum)
{
    char key[PGK_BLOB_KEY_TEXT_SIZE];
    char uuid[PGK_UUID_TEXT_SIZE];
    char size[24];
    char sha1[2 * PGK_SHA1_BYTES + 3];
    char sha256[2 * PGK_SHA256_BYTES + 3];
    pgk_blob_key_format(&sum->key, key);
    pgk_uuid_format(id, uuid);
    snprintf(size, sizeof(size), "%" PRId64, sum->bytes);
    add_bytes(sum->sha1, sizeof(sum->sha1), sha1);
    add_bytes(sum->sha256, sizeof(sum->sha256), sha256);
    return text_array_add(&arrays[KEYS], key) && text_array_add(&arrays[IDS], uuid) &&
           text_array_add(&arrays[SIZES], size) && text_array_add(&arrays[SHA1S], sha1) &&
           text_array_add(&arrays[SHA256S], sha256);
}

static pgk_status send_graph(struct sending *s, pgk_error *err)
{
    struct work work;
    struct text_array arrays[ARRAYS] = {{0}};
    bool made = true;
    for (int i = 0; i < ARRAYS; i++) {
        made = text_array_begin(&arrays[i]) && made;
    }
    for (size_t i = 0; made && i < s->count; i++) {
        made = add_sum(arrays, &s->ids[i], &s->sums[i]);
    }
    work_begin(&work, STMT_JOB_GRAPH_PUT_WITH_BLOBS);
    work_token(&work, s->write->token);
    work_text(&work, s->backend->settings->cluster_id);
    work_uuid(&work, s->job_id);
    work_uuid(&work, s->graph->store_id);
    work_uuid(&work, &s->write->op_id);
    work_uuid(&work, s->graph->known);
    work_bytes(&work, s->graph->graph->data, s->graph->graph->length);
    work_bytes(&work, s->graph->graph->digest, s->graph->graph->digest_length);
    for (int i = 0; i < ARRAYS; i++) {
        made = made && text_array_end(&arrays[i]);
        work_array(&work, arrays[i].text);
    }
    pgk_status status = made ? wire_send(&s->wire, &work, WIRE_LAST, 0, err)
                             : error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "out of memory");
    for (int i = 0; i < ARRAYS; i++) {
        text_array_free(&arrays[i]);
    }
    return status;
}

static pgk_status send_publish(struct sending *s, pgk_error *err)
{
    struct work work;
    char key[PGK_BLOB_KEY_TEXT_SIZE];
    const struct blob_sum *sum = &s->sums[0];
    pgk_blob_key_format(&sum->key, key);
    work_begin(&work, STMT_BLOB_PUBLISH);
    work_token(&work, s->write->token);
    work_text(&work, s->backend->settings->cluster_id);
    work_uuid(&work, s->job_id);
    work_text(&work, key);
    work_uuid(&work, &s->ids[0]);
    work_uuid(&work, &s->write->op_id);
    work_int64(&work, sum->bytes);
    work_bytes(&work, sum->sha1, sizeof(sum->sha1));
    work_bytes(&work, sum->sha256, sizeof(sum->sha256));
    return wire_send(&s->wire, &work, WIRE_LAST, 0, err);
}

static pgk_status no_answer(pgk_error *err)
{
    return error_set(err, PGK_ERR_CONNECTION, ORIGIN, "the session has ended without an answer");
}

static pgk_status unreplicated(pgk_error *err)
{
    error_set(err, PGK_ERR_OUTCOME_UNKNOWN, ORIGIN,
              "the commit did not wait for its synchronous standby: it was cut short");
    if (err != NULL) {
        err->flags |= PGK_ERROR_OUTCOME_UNKNOWN | PGK_ERROR_RETRYABLE;
    }
    return PGK_ERR_OUTCOME_UNKNOWN;
}

static pgk_status refused(struct sending *s, pgk_error *err)
{
    s->refused = true;
    if (cell_is(s->wire.last, 0, 0, "exists")) {
        return error_set(err, PGK_ERR_ALREADY_EXISTS, ORIGIN,
                         "the graph is there and this store does not own it; recover it first");
    }
    return error_set(err, PGK_ERR_CONFLICT, ORIGIN,
                     "the graph was changed by somebody else since this store knew it; recover it "
                     "to see");
}

static pgk_status finish(struct sending *s, pgk_error *err)
{
    pgk_status status = open_part(s, err);
    if (status == PGK_OK) { /* a part that failed would leave a hole */
        status = wire_await_syncs(&s->wire, err);
    }
    if (status == PGK_OK) {
        status = s->graph != NULL ? send_graph(s, err) : send_publish(s, err);
    }
    if (status == PGK_OK) {
        s->last_sent = true;
        status = end_part(s, err);
    }
    if (status == PGK_OK) {
        status = wire_drain(&s->wire, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    if (s->wire.last == NULL) {
        return no_answer(err);
    }
    if (s->graph != NULL && !cell_is(s->wire.last, 0, 0, "done")) {
        return refused(s, err);
    }
    s->begun = 0;
    s->loose = cell_bool(s->wire.last, 0, s->graph != NULL ? 3 : 0);
    return s->pooled->unreplicated ? unreplicated(err) : PGK_OK;
}

/* ------------------------------------------------------------------ one attempt */

/* Gives up the objects that are committed, so that the next one need not find them. False: the session is to
 * be closed, which does as much, later. */
static bool abandon(struct sending *s)
{
    if (s->begun_now > 0 || (s->wire.failed && s->begun_last > 0)) {
        return false; /* with it goes the transaction, and the lock on an object that is no more */
    }
    if (s->open && end_part(s, NULL) != PGK_OK) {
        return false;
    }
    (void)wire_drain(&s->wire, NULL);
    s->wire.failed = false;
    pgk_status status = s->wire.count == 0 ? PGK_OK : PGK_ERR_CONNECTION;
    for (size_t i = 0; status == PGK_OK && i < s->begun; i++) {
        struct work work;
        work_begin(&work, STMT_BLOB_LEAVE);
        work_uuid(&work, &s->ids[i]);
        status = open_part(s, NULL);
        if (status == PGK_OK) {
            status = wire_send(&s->wire, &work, WIRE_OTHER, 0, NULL);
        }
    }
    if (status == PGK_OK && s->open) {
        status = end_part(s, NULL);
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

/* All has been stored: what the progress answers is too late. */
static void tell_end(const struct sending *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->sums[i].bytes > 0) {
            (void)s->sources[i].taken(s->sources[i].ctx, s->sums[i].bytes, NULL);
        }
    }
}

/* *ret_pid: of the server process whose answer to the last transaction did not come; 0: none. */
static pgk_status send_once(struct sending *s, int64_t deadline_ns, int *ret_pid, bool *ret_pooled,
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
        status = finish(s, err);
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

/* ------------------------------------------------------------------ all attempts */

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
            status = send_once(s, retry.deadline_ns, &pid, &pooled, &local);
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
        blob_sweep_loose(s->backend);
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
