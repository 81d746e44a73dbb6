/*
 * services/cleanup.c - cleaning up for good: one job, or all that is stored under a cluster id. Any
 * thread; round trips are made without the lock.
 */
#include <pgkeeper/recovery.h>

#include <inttypes.h>
#include <string.h>

#include "core/text.h"
#include "services/blobs.h"
#include "services/cleanup.h"
#include "services/graph_end.h"

/* So many rows go in one transaction; fewer when that takes too long. */
#define CLEANUP_BATCH 1000
#define QUERY_CANCELED "57014" /* the statement timeout */

/* So many batches in a row may fall short while there is more: others remove it, or write it. */
#define CLEANUP_SHORT_BATCHES 300

pgk_status cleanup_job(const struct store *store, const pgk_uuid *job_id, const pgk_uuid *op_id,
                       int64_t *ret_dropped, pgk_error *err)
{
    static const char origin[] = "ha.cleanup_job";
    const pgk_ha *ha = store->ha;
    struct call call;
    int64_t dropped = 0;
    pgk_status status = store_enter(store, &call, "ha", origin, err);

    if (status != PGK_OK) {
        return status;
    }
    struct store_write write = {.token = store->fenced ? &store->token : NULL, .op_id = *op_id};
    struct graph_end end;
    const pgk_uuid *store_id; /* the statement tells all; ours knows already */

    graph_end_begin(&end, store, job_id, origin, &store_id);
    status = ha->ops->recovery->cleanup_job(ha->backend, &write, job_id, &dropped, err);
    graph_end_finish(&end, status == PGK_OK);
    if (status == PGK_OK) {
        *ret_dropped = dropped;
    }
    call_leave(&call);
    return status;
}

pgk_status pgk_ha_cleanup_job(pgk_ha *ha, const pgk_token *token, const pgk_uuid *job_id,
                              int64_t *ret_dropped, pgk_error *err)
{
    static const char origin[] = "ha.cleanup_job";
    struct store store = {.ha = NULL};
    int64_t dropped = 0;

    error_reset(err);
    pgk_status status = check_not_null(job_id, "job_id", origin, err);

    if (status == PGK_OK) {
        status = store_open(&store, ha, token, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    pgk_uuid op_id = store_new_write(&store).op_id;

    status = cleanup_job(&store, job_id, &op_id, &dropped, err);
    store_close(&store);
    if (status == PGK_OK && ret_dropped != NULL) {
        *ret_dropped = dropped;
    }
    return status;
}

/* The batches; the caller is inside a call. */
static pgk_status cleanup_all(struct store *store, int64_t *removed, pgk_error *err)
{
    const pgk_ha *ha = store->ha;
    bool more = true;
    int missed = 0;
    int limit = CLEANUP_BATCH;

    while (more) {
        int64_t batch = 0;
        pgk_error local;
        struct store_write write = store_new_write(store);

        error_reset(&local);
        pgk_status status =
            ha->ops->recovery->cleanup_cluster(ha->backend, &write, limit, &batch, &more, &local);

        if (strcmp(local.sqlstate, QUERY_CANCELED) == 0 && limit > 1) {
            limit /= 2; /* large rows take longer than a statement may */
            more = true;
            continue;
        }
        if (status != PGK_OK) {
            if (err != NULL) {
                *err = local;
            }
            return status;
        }
        *removed += batch;
        int64_t swept = 0;
        (void)blobs_sweep(store, false, &swept, NULL); /* the bytes of its blobs */
        missed = batch < limit ? missed + 1 : 0;
        if (more && missed >= CLEANUP_SHORT_BATCHES) {
            return error_set(err, PGK_ERR_CONFLICT, "ha.cleanup_all",
                             "cluster \"%s\" is not empty after %" PRId64 " rows were removed: "
                             "others still write to it; stop them and clean up again",
                             ha->settings->cluster_id, *removed);
        }
    }
    return PGK_OK;
}

pgk_status pgk_ha_cleanup_all(pgk_ha *ha, const pgk_token *token, int64_t *ret_removed,
                              pgk_error *err)
{
    static const char origin[] = "ha.cleanup_all";
    struct store store = {.ha = NULL};
    struct call call;
    int64_t removed = 0;

    error_reset(err);
    pgk_status status = store_open(&store, ha, token, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    status = store_enter(&store, &call, "ha", origin, err);
    if (status == PGK_OK) {
        status = cleanup_all(&store, &removed, err);
        call_leave(&call);
    }
    store_close(&store);
    if (ret_removed != NULL) {
        *ret_removed = removed;
    }
    return status;
}

pgk_status pgk_ha_close_with_optional_cleanup(pgk_ha *ha, bool cleanup, const pgk_token *token,
                                              pgk_error *err)
{
    pgk_error of_cleanup;
    pgk_error of_close;

    error_reset(err);
    error_reset(&of_cleanup);
    pgk_status status = cleanup ? pgk_ha_cleanup_all(ha, token, NULL, &of_cleanup) : PGK_OK;
    pgk_status closed = pgk_ha_close(ha, &of_close);

    if (status == PGK_OK) {
        if (err != NULL && closed != PGK_OK) {
            *err = of_close;
        }
        return closed;
    }
    if (err != NULL) {
        *err = of_cleanup;
    }
    if (err != NULL && closed != PGK_OK) {
        char first[PGK_ERROR_MESSAGE_SIZE / 2]; /* room for the other one */

        text_copy(first, sizeof(first), of_cleanup.message);
        text_format(err->message, sizeof(err->message), "%s; and closing failed: %s", first,
                    of_close.message);
    }
    return status;
}
