/*
 * services/graph_blobs.c - a job graph and blobs of its job, stored in one transaction. Any thread;
 * the transfer is made without the handle's lock.
 */
#include <pgkeeper/blob.h>

#include <stdlib.h>

#include "services/blob_source.h"
#include "services/job_graphs.h"

struct putting {
    const pgk_blob_entry *entries;
    size_t count;
    size_t opened;
    struct source *sources;
    struct blob_source *readers;
    struct store_bytes graph;
    bool read; /* of the sources, by an earlier try */
};

static pgk_status check_entries(const pgk_blob_entry *entries, size_t count, const char *origin,
                                pgk_error *err)
{
    pgk_status status = count > 0 ? check_not_null(entries, "blobs", origin, err) : PGK_OK;

    for (size_t i = 0; status == PGK_OK && i < count; i++) {
        status = blob_type_check(entries[i].key.type, origin, err);
        for (size_t j = 0; status == PGK_OK && j < i; j++) {
            if (pgk_blob_key_compare(&entries[i].key, &entries[j].key) == 0) {
                status = error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                                   "blobs %zu and %zu have the same key", j, i);
            }
        }
    }
    return status;
}

static pgk_status open_sources(struct putting *p, const struct call *call, const char *origin,
                               pgk_error *err)
{
    p->sources = calloc(p->count + 1, sizeof(*p->sources));
    p->readers = calloc(p->count + 1, sizeof(*p->readers));
    if (p->sources == NULL || p->readers == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, origin, "no memory for %zu blobs", p->count);
    }
    for (size_t i = 0; i < p->count; i++) {
        pgk_status status = source_open(&p->sources[i], &p->entries[i].source, &p->entries[i].key,
                                        call, origin, &p->readers[i], err);
        if (status != PGK_OK) {
            return status;
        }
        p->opened++;
    }
    return PGK_OK;
}

static void close_sources(struct putting *p)
{
    for (size_t i = 0; i < p->opened; i++) {
        source_close(&p->sources[i]);
    }
    free(p->sources);
    free(p->readers);
}

static pgk_status put_all(const struct graph_act *act, const struct store_write *write,
                          const pgk_uuid *known, void *ctx, pgk_error *err)
{
    struct putting *p = ctx;
    struct blob_graph graph = {.store_id = &act->store_id, .known = known, .graph = &p->graph};

    for (size_t i = 0; p->read && i < p->count; i++) {
        pgk_status status =
            p->readers[i].rewind != NULL
                ? p->readers[i].rewind(p->readers[i].ctx, err)
                : error_set(err, PGK_ERR_CONFLICT, "job_graphs.put_with_blobs",
                            "an earlier write of this graph is of unknown outcome, and blob %zu "
                            "cannot be read twice: put the graph again first",
                            i);
        if (status != PGK_OK) {
            return status;
        }
    }
    p->read = true;
    return act->call.ha->ops->blobs->put(act->call.ha->backend, write, &act->entry->job_id,
                                         p->readers, p->count, &graph, err);
}

pgk_status pgk_job_graphs_put_with_blobs(pgk_job_graphs *store, const pgk_uuid *job_id,
                                         const void *graph, size_t graph_bytes,
                                         const pgk_blob_entry *blobs, size_t count, pgk_error *err)
{
    static const char origin[] = "job_graphs.put_with_blobs";
    struct putting p = {.entries = blobs, .count = count};
    uint8_t digest[DIGEST_BYTES];
    struct graph_act act;

    error_reset(err);
    pgk_status status = check_not_null(job_id, "job_id", origin, err);
    if (status == PGK_OK) {
        status = check_bytes(graph, graph_bytes, PGK_GRAPH_MAX_BYTES, "graph", origin, err);
    }
    if (status == PGK_OK) {
        status = check_entries(blobs, count, origin, err);
    }
    if (status == PGK_OK) {
        status = bytes_make(graph, graph_bytes, digest, &p.graph, err);
    }
    if (status == PGK_OK) {
        status = graph_act_begin(&act, store, job_id, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = open_sources(&p, &act.call, origin, err);
    if (status == PGK_OK) {
        status = graph_act_put(&act, put_all, &p, err);
    }
    close_sources(&p);
    graph_act_end(&act);
    return status;
}
