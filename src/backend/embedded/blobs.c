/*
 * backend/embedded/blobs.c - the blob store in memory, but for putting: blob_put.c. The callers'
 * threads.
 */
#include "backend/embedded/blobs.h"

#include <stdlib.h>
#include <string.h>

#include "backend/embedded/store_ops.h"
#include "core/error.h"

#define ORIGIN "blobs"
/* So much is handed out at a time. */
#define PIECE_BYTES ((int64_t)1024 * 1024)

struct blob *blob_hold(struct blob *blob)
{
    if (blob != NULL) {
        atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    }
    return blob;
}

void blob_drop(struct blob *blob)
{
    if (blob != NULL && atomic_fetch_sub(&blob->refs, 1) == 1) {
        free(blob->data);
        free(blob);
    }
}

/* ------------------------------------------------------------------ lists */

struct blob_list *blobs_of(struct shelf *shelf, const pgk_uuid *job_id)
{
    if (job_id == NULL) {
        return &shelf->blobs;
    }
    struct job *job = shelf_find(shelf, job_id);

    return job != NULL ? &job->blobs : NULL;
}

/* The place of a key, or where it would be. */
static size_t place(const struct blob_list *list, const pgk_blob_key *key)
{
    size_t low = 0;
    size_t high = list->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (pgk_blob_key_compare(&list->entries[middle]->row.blob.key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct blob *find(const struct blob_list *list, const pgk_blob_key *key)
{
    size_t at = list != NULL ? place(list, key) : 0;

    return list != NULL && at < list->count &&
                   pgk_blob_key_compare(&list->entries[at]->row.blob.key, key) == 0
               ? list->entries[at]
               : NULL;
}

bool blobs_reserve(struct blob_list *list, size_t count)
{
    while (list->room - list->count < count) {
        struct blob **entries =
            shelf_grow(list->entries, list->room, &list->room, sizeof(struct blob *));

        if (entries == NULL) {
            return false;
        }
        list->entries = entries;
    }
    return true;
}

struct blob *blobs_place(struct blob_list *list, struct blob *blob)
{
    struct blob *former = find(list, &blob->row.blob.key);
    size_t at = place(list, &blob->row.blob.key);

    if (former == NULL) {
        memmove(list->entries + at + 1, list->entries + at,
                (list->count - at) * sizeof(struct blob *));
        list->count++;
    }
    list->entries[at] = blob;
    return former;
}

static void free_if_empty(struct blob_list *list)
{
    if (list->count == 0) {
        free(list->entries);
        *list = (struct blob_list){.entries = NULL};
    }
}

int64_t blobs_trim(struct blob_list *list, int64_t limit)
{
    int64_t removed = 0;

    while (list->count > 0 && removed < limit) {
        blob_drop(list->entries[--list->count]);
        removed++;
    }
    free_if_empty(list);
    return removed;
}

void blobs_clear(struct blob_list *list)
{
    (void)blobs_trim(list, INT64_MAX);
}

/* ------------------------------------------------------------------ reading */

static pgk_status hand_out(const struct blob *blob, const struct blob_sink *sink, pgk_error *err)
{
    int64_t bytes = blob->row.blob.bytes;
    pgk_status status = sink->begin(sink->ctx, &blob->row, err);

    for (int64_t done = 0; status == PGK_OK && done < bytes; done += PIECE_BYTES) {
        int64_t piece = bytes - done < PIECE_BYTES ? bytes - done : PIECE_BYTES;

        status = sink->write(sink->ctx, blob->data + done, (size_t)piece, err);
    }
    return status;
}

pgk_status embedded_blob_get(struct backend *backend, const pgk_uuid *job_id,
                             const pgk_blob_key *key, const struct blob_sink *sink, pgk_error *err)
{
    struct blob *blob = blob_hold(find(blobs_of(shelf_read(backend), job_id), key));

    shelf_unlock(backend);
    if (blob == NULL) {
        return error_set(err, PGK_ERR_NOT_FOUND, ORIGIN, "it is not there");
    }
    pgk_status status = hand_out(blob, sink, err);

    blob_drop(blob);
    return status;
}

struct row_list {
    struct blob_row *rows;
    size_t count;
    size_t room;
};

/* With the lock. Those of a list, or of one key. False: out of memory. */
static bool copy_rows(const struct blob_list *list, const pgk_blob_key *key, struct row_list *out)
{
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const struct blob_row *row = &list->entries[i]->row;

        if (key != NULL && pgk_blob_key_compare(&row->blob.key, key) != 0) {
            continue;
        }
        struct blob_row *rows = shelf_grow(out->rows, out->count, &out->room, sizeof(*rows));

        if (rows == NULL) {
            return false;
        }
        out->rows = rows;
        out->rows[out->count++] = *row;
    }
    return true;
}

static bool copy_all(const struct shelf *shelf, const pgk_blob_key *key, struct row_list *out)
{
    bool enough = copy_rows(&shelf->blobs, key, out);

    for (size_t i = 0; enough && i < shelf->count; i++) {
        enough = copy_rows(&shelf->jobs[i]->blobs, key, out);
    }
    return enough;
}

pgk_status embedded_blob_list(struct backend *backend, bool all, const pgk_uuid *job_id,
                              const pgk_blob_key *key, blob_row_fn fn, void *ctx, pgk_error *err)
{
    struct row_list out = {.rows = NULL};
    struct shelf *shelf = shelf_read(backend);
    bool enough = all ? copy_all(shelf, key, &out) : copy_rows(blobs_of(shelf, job_id), key, &out);
    pgk_status status = PGK_OK;

    shelf_unlock(backend);
    if (!enough) {
        status = error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for a list of blobs");
    }
    for (size_t i = 0; status == PGK_OK && i < out.count; i++) {
        status = fn(ctx, &out.rows[i], err);
    }
    free(out.rows);
    return status;
}

/* ------------------------------------------------------------------ removing */

static void tidy(struct shelf *shelf, const pgk_uuid *job_id)
{
    if (job_id != NULL) {
        shelf_tidy(shelf, shelf_find(shelf, job_id));
    }
}

pgk_status embedded_blob_remove(struct backend *backend, const struct store_write *write,
                                const pgk_uuid *job_id, const pgk_blob_key *key, pgk_error *err)
{
    struct shelf *shelf;
    pgk_status status = shelf_write(backend, write->token, ORIGIN, &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    struct blob_list *of = blobs_of(shelf, job_id);
    struct blob *gone = find(of, key);

    if (gone != NULL) {
        size_t at = place(of, key);

        of->count--;
        memmove(of->entries + at, of->entries + at + 1, (of->count - at) * sizeof(struct blob *));
        free_if_empty(of);
        tidy(shelf, job_id);
    }
    shelf_unlock(backend);
    blob_drop(gone);
    return PGK_OK;
}

pgk_status embedded_blob_remove_job(struct backend *backend, const struct store_write *write,
                                    const pgk_uuid *job_id, int limit, int64_t *ret_removed,
                                    bool *ret_more, pgk_error *err)
{
    struct shelf *shelf;
    pgk_status status = shelf_write(backend, write->token, ORIGIN, &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    struct blob_list *of = blobs_of(shelf, job_id);

    *ret_removed = of != NULL ? blobs_trim(of, limit) : 0;
    *ret_more = of != NULL && of->count > 0;
    tidy(shelf, job_id);
    shelf_unlock(backend);
    return PGK_OK;
}

/* Bytes go with the blob that has them, so that there are no orphans. */
pgk_status embedded_blob_orphans(struct backend *backend,
                                 pgk_status (*fn)(void *ctx, const pgk_orphan *orphan,
                                                  pgk_error *err),
                                 void *ctx, pgk_error *err)
{
    (void)backend;
    (void)fn;
    (void)ctx;
    (void)err;
    return PGK_OK;
}

pgk_status embedded_blob_sweep(struct backend *backend, bool all, int limit, int64_t *ret_removed,
                               bool *ret_more, pgk_error *err)
{
    (void)backend;
    (void)all;
    (void)limit;
    (void)err;
    *ret_removed = 0;
    *ret_more = false;
    return PGK_OK;
}

const struct blob_ops embedded_blobs = {
    .put = embedded_blob_put,
    .get = embedded_blob_get,
    .list = embedded_blob_list,
    .remove = embedded_blob_remove,
    .remove_job = embedded_blob_remove_job,
    .orphans = embedded_blob_orphans,
    .sweep = embedded_blob_sweep,
};
