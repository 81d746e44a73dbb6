/*
 * services/blobs.c - the blob store: putting and getting. Any thread; transfers are made without
 * the handle's lock. Enumerations and removals are in blob_acts.c.
 */
#include "services/blobs.h"

#include <stdlib.h>
#include <string.h>

#include "services/blob_source.h"
#include "services/blob_target.h"

pgk_status pgk_ha_blobs(pgk_ha *ha, const pgk_token *token, pgk_blobs **ret_blobs, pgk_error *err)
{
    static const char origin[] = "ha.blobs";

    error_reset(err);
    pgk_status status = check_not_null(ret_blobs, "ret_blobs", origin, err);
    if (status != PGK_OK) {
        return status;
    }
    pgk_blobs *blobs = calloc(1, sizeof(*blobs));
    if (blobs == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, origin, "no memory for a blob store");
    }
    status = store_open_any(&blobs->store, ha, token, origin, err);
    if (status != PGK_OK) {
        free(blobs);
        return status;
    }
    *ret_blobs = blobs;
    return PGK_OK;
}

void pgk_blobs_free(pgk_blobs *blobs)
{
    if (blobs != NULL && store_close(&blobs->store)) {
        free(blobs);
    }
}

pgk_status blobs_enter(pgk_blobs *blobs, struct call *call, const char *origin, pgk_error *err)
{
    return store_enter(blobs != NULL ? &blobs->store : NULL, call, "blobs", origin, err);
}

pgk_status blobs_name(const pgk_blob_key *key, pgk_status status, pgk_error *err)
{
    char text[PGK_BLOB_KEY_TEXT_SIZE];

    if (status == PGK_OK) {
        return PGK_OK;
    }
    pgk_blob_key_format(key, text);
    return error_wrap(err, status, "blob %s", text);
}

static pgk_status put_source(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                             bool make_key, const pgk_blob_source *given, const char *origin,
                             pgk_blob_key *ret_key, pgk_error *err)
{
    struct call call;
    struct source source;
    struct blob_source reader;

    pgk_status status = blobs_enter(blobs, &call, origin, err);
    if (status != PGK_OK) {
        return status;
    }
    status = source_open(&source, given, key, &call, origin, &reader, err);
    if (status == PGK_OK) {
        struct store *store = &blobs->store;
        struct store_write write = store_new_write(store);
        source.make_key = make_key;
        status =
            store->ha->ops->blobs->put(store->ha->backend, &write, job_id, &reader, 1, NULL, err);
        if (ret_key != NULL && status == PGK_OK) {
            *ret_key = source.key;
        }
        if (!make_key) {
            status = blobs_name(key, status, err);
        }
        source_close(&source);
    }
    call_leave(&call);
    return status;
}

pgk_status pgk_blobs_put(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                         const pgk_blob_source *source, pgk_error *err)
{
    static const char origin[] = "blobs.put";

    error_reset(err);
    pgk_status status = blob_key_check(key, origin, err);
    return status == PGK_OK ? put_source(blobs, job_id, key, false, source, origin, NULL, err)
                            : status;
}

pgk_status pgk_blobs_add(pgk_blobs *blobs, const pgk_uuid *job_id, pgk_blob_type type,
                         const pgk_blob_source *source, pgk_blob_key *ret_key, pgk_error *err)
{
    static const char origin[] = "blobs.add";
    pgk_blob_key key;

    error_reset(err);
    memset(&key, 0, sizeof(key));
    key.type = type;
    pgk_status status = check_not_null(ret_key, "ret_key", origin, err);
    if (status == PGK_OK) {
        status = blob_type_check(type, origin, err);
    }
    return status == PGK_OK ? put_source(blobs, job_id, &key, true, source, origin, ret_key, err)
                            : status;
}

pgk_status pgk_blobs_put_file(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                              const char *path, pgk_error *err)
{
    pgk_blob_source source = {.size = sizeof(source), .path = path};

    return pgk_blobs_put(blobs, job_id, key, &source, err);
}

pgk_status pgk_blobs_put_buffer(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                                const void *data, size_t bytes, pgk_error *err)
{
    pgk_blob_source source = {
        .size = sizeof(source), .data = bytes > 0 ? data : "", .data_bytes = bytes};

    return pgk_blobs_put(blobs, job_id, key, &source, err);
}

/* Reads a blob to a target of which what is to be given is given. *ret_memory: free it. */
static pgk_status get_target(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                             struct target *target, void **ret_memory, size_t *ret_bytes,
                             pgk_error *err)
{
    struct call call;
    struct blob_sink sink;

    pgk_status status = blobs_enter(blobs, &call, target->origin, err);
    if (status != PGK_OK) {
        return status;
    }
    target->call = &call;
    status = target_open(target, &sink, err);
    if (status == PGK_OK) {
        const struct store *store = &blobs->store;
        status = store->ha->ops->blobs->get(store->ha->backend, job_id, key, &sink, err);
        if (status == PGK_OK) {
            status = target_finish(target, err);
        }
        if (status == PGK_OK && ret_memory != NULL) {
            *ret_memory = target->memory;
            *ret_bytes = (size_t)target->done;
            target->memory = NULL;
        }
        target_close(target);
    }
    call_leave(&call);
    return blobs_name(key, status, err);
}

pgk_status pgk_blobs_get(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                         const pgk_blob_target *target, pgk_error *err)
{
    static const char origin[] = "blobs.get";

    error_reset(err);
    pgk_status status = blob_key_check(key, origin, err);
    if (status == PGK_OK) {
        status = check_not_null(target, "target", origin, err);
    }
    if (status == PGK_OK) {
        status = check_size(target->size, sizeof(*target), "target", origin, err);
    }
    if (status == PGK_OK && (target->path != NULL) == (target->write != NULL)) {
        status = error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                           "a target has exactly one of path and write");
    }
    if (status != PGK_OK) {
        return status;
    }
    struct target to = {.origin = origin,
                        .path = target->path,
                        .write = target->write,
                        .user = target->user,
                        .progress = target->progress,
                        .progress_user = target->progress_user};
    return get_target(blobs, job_id, key, &to, NULL, NULL, err);
}

pgk_status pgk_blobs_get_file(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                              const char *path, pgk_error *err)
{
    pgk_blob_target target = {.size = sizeof(target), .path = path};

    return pgk_blobs_get(blobs, job_id, key, &target, err);
}

pgk_status pgk_blobs_get_buffer(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                                size_t max_bytes, void **ret_data, size_t *ret_bytes,
                                pgk_error *err)
{
    static const char origin[] = "blobs.get_buffer";
    struct target to = {.origin = origin, .to_memory = true, .max_bytes = max_bytes};

    error_reset(err);
    pgk_status status = blob_key_check(key, origin, err);
    if (status == PGK_OK) {
        status = check_not_null(ret_data, "ret_data", origin, err);
    }
    if (status == PGK_OK) {
        status = check_not_null(ret_bytes, "ret_bytes", origin, err);
    }
    return status == PGK_OK ? get_target(blobs, job_id, key, &to, ret_data, ret_bytes, err)
                            : status;
}

void pgk_blob_data_free(void *data)
{
    free(data);
}

pgk_status blobs_verify_one(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                            pgk_blob_progress_fn progress, void *user, const char *origin,
                            pgk_error *err)
{
    struct target to = {.origin = origin, .progress = progress, .progress_user = user};

    return get_target(blobs, job_id, key, &to, NULL, NULL, err);
}

pgk_status pgk_blobs_verify(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                            pgk_blob_progress_fn progress, void *user, pgk_error *err)
{
    static const char origin[] = "blobs.verify";

    error_reset(err);
    pgk_status status = blob_key_check(key, origin, err);
    return status == PGK_OK ? blobs_verify_one(blobs, job_id, key, progress, user, origin, err)
                            : status;
}
