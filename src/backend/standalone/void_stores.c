/*
 * backend/standalone/void_stores.c - see void_stores.h. Nothing is ever put, so that all but putting
 * and listening is what it is in memory when nothing is there. The callers' threads.
 */
#include "backend/standalone/void_stores.h"

#include "backend/embedded/shelf.h"
#include "backend/embedded/store_ops.h"
#include "core/error.h"

/* ------------------------------------------------------------------ graphs */

/* Taken, but for a fence. */
static pgk_status take(struct backend *backend, const struct store_write *write, pgk_error *err)
{
    struct shelf *shelf;
    pgk_status status = shelf_write(backend, write->token, "job_graphs", &shelf, err);
    if (status == PGK_OK) {
        shelf_unlock(backend);
    }
    return status;
}

static pgk_status put_graph(struct backend *backend, const struct store_write *write,
                            const pgk_uuid *store_id, const pgk_uuid *job_id, const pgk_uuid *known,
                            const struct store_bytes *graph, pgk_error *err)
{
    (void)store_id;
    (void)job_id;
    (void)known;
    (void)graph;
    return take(backend, write, err);
}

/* Of a graph that was put, for all that is known. */
static pgk_status put_requirements(struct backend *backend, const struct store_write *write,
                                   const pgk_uuid *job_id, const struct store_bytes *requirements,
                                   pgk_error *err)
{
    (void)job_id;
    (void)requirements;
    return take(backend, write, err);
}

/* Nothing ever comes or goes. It must not be read either: the store would think that what it has put
 * was removed. */
static pgk_status watch(struct backend *backend, const pgk_token *token, const pgk_uuid *store_id,
                        void *watch_ctx, struct backend_graph_watch **ret_watch, pgk_error *err)
{
    (void)backend;
    (void)token;
    (void)store_id;
    (void)watch_ctx;
    (void)err;
    *ret_watch = NULL;
    return PGK_OK;
}

static void unwatch(struct backend *backend, struct backend_graph_watch *none)
{
    (void)backend;
    (void)none;
}

const struct job_graph_ops standalone_job_graphs = {
    .start = embedded_graph_start,
    .stop = embedded_graph_stop,
    .put = put_graph,
    .put_requirements = put_requirements,
    .recover = embedded_graph_recover,
    .recover_all = embedded_graph_recover_all,
    .list = embedded_graph_list,
    .release = embedded_graph_release,
    .remove = embedded_graph_remove,
    .watch = watch,
    .unwatch = unwatch,
};

/* ------------------------------------------------------------------ blobs */

/* Refused, not dropped: who puts a blob wants others to find it. */
static pgk_status put_blobs(struct backend *backend, const struct store_write *write,
                            const pgk_uuid *job_id, const struct blob_source *sources, size_t count,
                            const struct blob_graph *graph, pgk_error *err)
{
    (void)job_id;
    (void)sources;
    (void)graph;
    if (count > 0) {
        return error_set(err, PGK_ERR_UNSUPPORTED, "blobs",
                         "it is not stored: the standalone mode keeps no blobs");
    }
    return take(backend, write, err);
}

const struct blob_ops standalone_blobs = {
    .put = put_blobs,
    .get = embedded_blob_get,
    .list = embedded_blob_list,
    .remove = embedded_blob_remove,
    .remove_job = embedded_blob_remove_job,
    .orphans = embedded_blob_orphans,
    .sweep = embedded_blob_sweep,
};
