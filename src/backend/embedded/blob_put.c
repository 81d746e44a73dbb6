/*
 * backend/embedded/blob_put.c - putting blobs, alone or with a graph: all sources are read to their
 * end first, then all is placed with the space's lock. The caller's thread.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/embedded/blobs.h"
#include "backend/embedded/graphs.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "blobs"
/* A buffer begins with so much, and is read into by so much at most. */
#define FIRST_BYTES ((size_t)16 * 1024)
#define PIECE_BYTES ((size_t)1024 * 1024)

static pgk_status no_memory(size_t bytes, pgk_error *err)
{
    return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for a blob of %zu bytes and more",
                     bytes);
}

/* ------------------------------------------------------------------ reading a source */

/* What has been read of a source. */
struct intake {
    char *data;
    size_t bytes;
    size_t room;
    size_t told; /* to the progress of the source */
    bool ended;
};

static pgk_status grow(struct intake *intake, pgk_error *err)
{
    size_t room = intake->room > 0 ? 2 * intake->room : FIRST_BYTES;
    char *data = room > intake->room ? realloc(intake->data, room) : NULL;

    if (data == NULL) {
        return no_memory(intake->bytes, err);
    }
    intake->data = data;
    intake->room = room;
    return PGK_OK;
}

/* What came before has been followed by more: the last of it is told when all is stored. */
static pgk_status tell(const struct blob_source *source, struct intake *intake, size_t before,
                       pgk_error *err)
{
    if (intake->bytes == before || before - intake->told < PIECE_BYTES) {
        return PGK_OK;
    }
    intake->told = before;
    return source->taken(source->ctx, (int64_t)before, err);
}

static pgk_status read_piece(const struct blob_source *source, struct intake *intake,
                             pgk_error *err)
{
    size_t before = intake->bytes;
    size_t capacity = intake->room - before < PIECE_BYTES ? intake->room - before : PIECE_BYTES;
    size_t got = 0;
    pgk_status status = source->read(source->ctx, intake->data + before, capacity, &got, err);

    if (status != PGK_OK) {
        return status;
    }
    intake->bytes += got;
    intake->ended = got < capacity;
    return tell(source, intake, before, err);
}

static pgk_status read_all(const struct blob_source *source, struct intake *intake, pgk_error *err)
{
    pgk_status status = PGK_OK;

    while (status == PGK_OK && !intake->ended) {
        if (intake->bytes == intake->room) {
            status = grow(intake, err);
        }
        if (status == PGK_OK) {
            status = read_piece(source, intake, err);
        }
    }
    return status;
}

/* The buffer as long as what is in it; if that fails it stays longer. */
static void fit(struct intake *intake)
{
    char *data = intake->bytes > 0 ? realloc(intake->data, intake->bytes) : NULL;

    if (data != NULL) {
        intake->data = data;
    }
}

/* A blob of what the source gives, to its end. */
static pgk_status make(const struct blob_source *source, const struct store_write *write,
                       const pgk_uuid *job_id, struct blob **ret_blob, pgk_error *err)
{
    struct intake intake = {.data = NULL};
    struct blob_sum sum;
    struct blob *blob = calloc(1, sizeof(*blob));
    pgk_status status = blob != NULL ? read_all(source, &intake, err) : no_memory(0, err);

    if (status == PGK_OK) {
        status = source->sum(source->ctx, &sum, err);
    }
    if (status != PGK_OK) {
        free(intake.data);
        free(blob);
        return status;
    }
    fit(&intake);
    atomic_init(&blob->refs, 1);
    blob->data = intake.data;
    blob->row.op_id = write->op_id;
    blob->row.blob = (pgk_blob){.has_job = job_id != NULL,
                                .key = sum.key,
                                .bytes = (int64_t)intake.bytes,
                                .created_ms = clock_wall_ms(),
                                .epoch = shelf_epoch(write)};
    if (job_id != NULL) {
        blob->row.blob.job_id = *job_id;
    }
    memcpy(blob->row.blob.sha1, sum.sha1, sizeof(sum.sha1));
    memcpy(blob->row.blob.sha256, sum.sha256, sizeof(sum.sha256));
    *ret_blob = blob;
    return PGK_OK;
}

/* ------------------------------------------------------------------ a put */

struct putting {
    const struct store_write *write;
    const pgk_uuid *job_id;
    const struct blob_graph *graph; /* NULL: none */
    struct graph_making making;
    struct blob **blobs; /* that are put; then those that were replaced */
    size_t count;
};

/* With the lock: all that can fail. *ret_job NULL: of no job. */
static pgk_status prepare(const struct putting *p, struct shelf *shelf, struct job **ret_job,
                          pgk_error *err)
{
    pgk_status status = PGK_OK;

    *ret_job = NULL;
    if (p->graph != NULL) {
        status = graph_check_put(shelf_find(shelf, p->job_id), p->job_id, p->graph->known, err);
    }
    if (status == PGK_OK && p->job_id != NULL) {
        status = shelf_get(shelf, p->job_id, ret_job, err);
    }
    if (status == PGK_OK &&
        !blobs_reserve(*ret_job != NULL ? &(*ret_job)->blobs : &shelf->blobs, p->count)) {
        shelf_tidy(shelf, *ret_job);
        status = error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for %zu blobs", p->count);
    }
    return status;
}

static pgk_status place_all(struct backend *backend, struct putting *p, pgk_error *err)
{
    struct shelf *shelf;
    struct job *job;
    pgk_status status = shelf_write(backend, p->write->token, ORIGIN, &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    status = prepare(p, shelf, &job, err);
    if (status == PGK_OK) {
        struct blob_list *of = job != NULL ? &job->blobs : &shelf->blobs;

        for (size_t i = 0; i < p->count; i++) {
            p->blobs[i] = blobs_place(of, p->blobs[i]);
        }
        if (p->graph != NULL) {
            graph_put(shelf, job, &p->making, p->write, p->graph->store_id);
        }
    }
    shelf_unlock(backend);
    return status;
}

static pgk_status make_all(struct putting *p, const struct blob_source *sources, pgk_error *err)
{
    pgk_status status = p->graph != NULL ? graph_make(p->graph->graph, &p->making, err) : PGK_OK;

    p->blobs = calloc(p->count + 1, sizeof(struct blob *));
    if (status == PGK_OK && p->blobs == NULL) {
        status = error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for %zu blobs", p->count);
    }
    for (size_t i = 0; status == PGK_OK && i < p->count; i++) {
        status = make(&sources[i], p->write, p->job_id, &p->blobs[i], err);
    }
    return status;
}

/* All has been stored: what the progress answers is too late. */
static void tell_end(const struct blob_source *sources, size_t count, const int64_t *bytes)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] > 0) {
            (void)sources[i].taken(sources[i].ctx, bytes[i], NULL);
        }
    }
}

pgk_status embedded_blob_put(struct backend *backend, const struct store_write *write,
                             const pgk_uuid *job_id, const struct blob_source *sources,
                             size_t count, const struct blob_graph *graph, pgk_error *err)
{
    struct putting p = {.write = write, .job_id = job_id, .graph = graph, .count = count};
    int64_t *bytes = calloc(count + 1, sizeof(*bytes));
    pgk_status status = bytes != NULL ? make_all(&p, sources, err) : no_memory(sizeof(*bytes), err);

    for (size_t i = 0; status == PGK_OK && i < count; i++) {
        bytes[i] = p.blobs[i]->row.blob.bytes;
    }
    if (status == PGK_OK) {
        status = place_all(backend, &p, err);
    }
    if (status == PGK_OK) {
        tell_end(sources, count, bytes);
    }
    for (size_t i = 0; p.blobs != NULL && i < count; i++) {
        blob_drop(p.blobs[i]);
    }
    free(p.blobs);
    free(bytes);
    graph_unmake(&p.making);
    return status;
}
