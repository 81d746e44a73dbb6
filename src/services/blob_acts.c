/*
 * services/blob_acts.c - the blob store but for the bytes: enumerating, removing, verifying all,
 * orphans. Any thread; round trips are made without the handle's lock.
 */
#include <stdlib.h>
#include <string.h>

#include "services/blob_source.h"
#include "services/blobs.h"

/* So many rows go in one transaction. */
#define REMOVE_BATCH 500
/* So many batches in a row may fall short while there is more: others put new ones. */
#define SHORT_BATCHES 100

struct listing {
    struct call call;
    pgk_blob_fn fn;
    void *user;
    const char *origin;
    bool found;
    pgk_blob *ret_blob; /* instead of fn */
};

static pgk_status pass(void *ctx, const struct blob_row *row, pgk_error *err)
{
    struct listing *listing = ctx;

    listing->found = true;
    if (listing->ret_blob != NULL) {
        *listing->ret_blob = row->blob;
        return PGK_OK;
    }
    return listing->fn == NULL
               ? PGK_OK
               : store_callback_answer(&listing->call, listing->fn(listing->user, &row->blob),
                                       listing->origin, err);
}

static pgk_status list(pgk_blobs *blobs, bool all, const pgk_uuid *job_id, const pgk_blob_key *key,
                       struct listing *listing, pgk_error *err)
{
    pgk_status status = blobs_enter(blobs, &listing->call, listing->origin, err);

    if (status != PGK_OK) {
        return status;
    }
    const struct store *store = &blobs->store;
    status = store->ha->ops->blobs->list(store->ha->backend, all, job_id, key, pass, listing, err);
    call_leave(&listing->call);
    return status;
}

pgk_status pgk_blobs_list(pgk_blobs *blobs, const pgk_uuid *job_id, pgk_blob_fn fn, void *user,
                          pgk_error *err)
{
    struct listing listing = {.fn = fn, .user = user, .origin = "blobs.list"};

    error_reset(err);
    pgk_status status =
        fn != NULL ? PGK_OK
                   : error_set(err, PGK_ERR_INVALID_ARGUMENT, listing.origin, "fn is NULL");
    return status == PGK_OK ? list(blobs, false, job_id, NULL, &listing, err) : status;
}

pgk_status pgk_blobs_list_all(pgk_blobs *blobs, pgk_blob_fn fn, void *user, pgk_error *err)
{
    struct listing listing = {.fn = fn, .user = user, .origin = "blobs.list_all"};

    error_reset(err);
    pgk_status status =
        fn != NULL ? PGK_OK
                   : error_set(err, PGK_ERR_INVALID_ARGUMENT, listing.origin, "fn is NULL");
    return status == PGK_OK ? list(blobs, true, NULL, NULL, &listing, err) : status;
}

pgk_status pgk_blobs_exists(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                            bool *ret_exists, pgk_error *err)
{
    struct listing listing = {.origin = "blobs.exists"};

    error_reset(err);
    pgk_status status = blob_key_check(key, listing.origin, err);
    if (status == PGK_OK) {
        status = check_not_null(ret_exists, "ret_exists", listing.origin, err);
    }
    if (status == PGK_OK) {
        status = list(blobs, false, job_id, key, &listing, err);
    }
    if (status == PGK_OK) {
        *ret_exists = listing.found;
    }
    return status;
}

pgk_status pgk_blobs_stat(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                          pgk_blob *ret_blob, pgk_error *err)
{
    pgk_blob blob;
    struct listing listing = {.origin = "blobs.stat", .ret_blob = &blob};

    error_reset(err);
    pgk_status status = blob_key_check(key, listing.origin, err);
    if (status == PGK_OK) {
        status = check_not_null(ret_blob, "ret_blob", listing.origin, err);
    }
    if (status == PGK_OK) {
        status = list(blobs, false, job_id, key, &listing, err);
    }
    if (status == PGK_OK && !listing.found) {
        status = blobs_name(
            key, error_set(err, PGK_ERR_NOT_FOUND, listing.origin, "it is not there"), err);
    }
    if (status == PGK_OK) {
        *ret_blob = blob;
    }
    return status;
}

pgk_status pgk_blobs_delete(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                            pgk_error *err)
{
    static const char origin[] = "blobs.delete";
    struct call call;

    error_reset(err);
    pgk_status status = blob_key_check(key, origin, err);
    if (status == PGK_OK) {
        status = blobs_enter(blobs, &call, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    const struct store *store = &blobs->store;
    struct store_write write = store_new_write(store);
    status = store->ha->ops->blobs->remove(store->ha->backend, &write, job_id, key, err);
    call_leave(&call);
    return blobs_name(key, status, err);
}

static pgk_status remove_all(const struct store *store, const pgk_uuid *job_id, int64_t *removed,
                             pgk_error *err)
{
    bool more = true;
    int missed = 0;

    while (more) {
        int64_t batch = 0;
        struct store_write write = store_new_write(store);
        pgk_status status = store->ha->ops->blobs->remove_job(store->ha->backend, &write, job_id,
                                                              REMOVE_BATCH, &batch, &more, err);
        if (status != PGK_OK) {
            return status;
        }
        *removed += batch;
        missed = batch < REMOVE_BATCH ? missed + 1 : 0;
        if (more && missed >= SHORT_BATCHES) {
            return error_set(err, PGK_ERR_CONFLICT, "blobs.delete_all",
                             "there are still blobs after %lld were removed: others put new ones",
                             (long long)*removed);
        }
    }
    return PGK_OK;
}

pgk_status pgk_blobs_delete_all(pgk_blobs *blobs, const pgk_uuid *job_id, int64_t *ret_removed,
                                pgk_error *err)
{
    struct call call;
    int64_t removed = 0;

    error_reset(err);
    pgk_status status = blobs_enter(blobs, &call, "blobs.delete_all", err);
    if (status == PGK_OK) {
        status = remove_all(&blobs->store, job_id, &removed, err);
        call_leave(&call);
    }
    if (ret_removed != NULL) {
        *ret_removed = removed;
    }
    return status;
}

/* What is to be verified: noted first, because no session is to wait for it. */
struct verifying {
    struct call *call;
    pgk_blob *found;
    size_t count;
    size_t room;
};

static pgk_status note(void *ctx, const struct blob_row *row, pgk_error *err)
{
    struct verifying *v = ctx;

    if (v->count == v->room) {
        size_t room = 2 * v->room + 64;
        pgk_blob *found = realloc(v->found, room * sizeof(*found));
        if (found == NULL) {
            return error_set(err, PGK_ERR_NO_MEMORY, "blobs.verify_all", "no memory for %zu blobs",
                             room);
        }
        v->found = found;
        v->room = room;
    }
    v->found[v->count++] = row->blob;
    return PGK_OK;
}

static pgk_status verify_noted(pgk_blobs *blobs, const struct verifying *v, pgk_blob_fn fn,
                               void *user, int64_t *damaged, pgk_error *err)
{
    static const char origin[] = "blobs.verify_all";

    for (size_t i = 0; i < v->count; i++) {
        pgk_blob *blob = &v->found[i];
        pgk_error local;
        error_reset(&local);
        pgk_status status = blobs_verify_one(blobs, blob->has_job ? &blob->job_id : NULL,
                                             &blob->key, NULL, NULL, origin, &local);
        if (status == PGK_ERR_NOT_FOUND) {
            continue;
        }
        if (status != PGK_OK && status != PGK_ERR_CORRUPT) {
            if (err != NULL) {
                *err = local;
            }
            return status;
        }
        blob->status = status;
        blob->reason = status == PGK_OK ? NULL : local.message;
        *damaged += status != PGK_OK;
        pgk_status answer = store_callback_answer(v->call, fn(user, blob), origin, err);
        blob->reason = NULL;
        if (answer != PGK_OK) {
            return answer;
        }
    }
    return PGK_OK;
}

pgk_status pgk_blobs_verify_all(pgk_blobs *blobs, bool of_job, const pgk_uuid *job_id,
                                pgk_blob_fn fn, void *user, int64_t *ret_damaged, pgk_error *err)
{
    static const char origin[] = "blobs.verify_all";
    struct call call;
    struct verifying v = {.call = &call};
    int64_t damaged = 0;

    error_reset(err);
    pgk_status status =
        fn != NULL ? PGK_OK : error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "fn is NULL");
    if (status == PGK_OK) {
        status = blobs_enter(blobs, &call, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    const struct store *store = &blobs->store;
    status = store->ha->ops->blobs->list(store->ha->backend, !of_job, job_id, NULL, note, &v, err);
    if (status == PGK_OK) {
        status = verify_noted(blobs, &v, fn, user, &damaged, err);
    }
    call_leave(&call);
    free(v.found);
    if (ret_damaged != NULL) {
        *ret_damaged = damaged;
    }
    return status;
}

struct orphan_listing {
    struct call call;
    pgk_orphan_fn fn;
    void *user;
};

static pgk_status pass_orphan(void *ctx, const pgk_orphan *orphan, pgk_error *err)
{
    const struct orphan_listing *listing = ctx;

    return store_callback_answer(&listing->call, listing->fn(listing->user, orphan),
                                 "blobs.orphans", err);
}

pgk_status pgk_blobs_orphans(pgk_blobs *blobs, pgk_orphan_fn fn, void *user, pgk_error *err)
{
    static const char origin[] = "blobs.orphans";
    struct orphan_listing listing = {.fn = fn, .user = user};

    error_reset(err);
    pgk_status status =
        fn != NULL ? PGK_OK : error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "fn is NULL");
    if (status == PGK_OK) {
        status = blobs_enter(blobs, &listing.call, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    const struct store *store = &blobs->store;
    status = store->ha->ops->blobs->orphans(store->ha->backend, pass_orphan, &listing, err);
    call_leave(&listing.call);
    return status;
}

pgk_status blobs_sweep(const struct store *store, bool all, int64_t *removed, pgk_error *err)
{
    bool more = true;
    pgk_status status = PGK_OK;

    while (status == PGK_OK && more) {
        int64_t batch = 0;
        status =
            store->ha->ops->blobs->sweep(store->ha->backend, all, REMOVE_BATCH, &batch, &more, err);
        *removed += batch;
    }
    return status;
}

pgk_status pgk_blobs_remove_orphans(pgk_blobs *blobs, int64_t *ret_removed, pgk_error *err)
{
    struct call call;
    int64_t removed = 0;

    error_reset(err);
    pgk_status status = blobs_enter(blobs, &call, "blobs.remove_orphans", err);
    if (status == PGK_OK) {
        status = blobs_sweep(&blobs->store, true, &removed, err);
        call_leave(&call);
    }
    if (ret_removed != NULL) {
        *ret_removed = removed;
    }
    return status;
}
