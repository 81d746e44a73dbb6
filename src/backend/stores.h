/*
 * backend/stores.h - the seam for what is stored: graphs, results, registry, checkpoints, blobs, recovery.
 * One table of functions each, of a backend that has it.
 *
 * All functions but those marked [locked] (see backend.h) are [unlocked] and block, on the caller's
 * thread; any number at a time. They check
 * no arguments and compute no digests: the services have done so, and look at the digests of what
 * is handed out. A write that is sent again after a lost answer is known by its op_id, so OK means
 * once; OUTCOME_UNKNOWN when that could not be settled in time. Rows are handed out one at a time,
 * with nothing locked; what they point to lives for the call. An answer other than PGK_OK ends the
 * enumeration, which answers the same; the row function has then filled err.
 */
#ifndef PGK_BACKEND_STORES_H
#define PGK_BACKEND_STORES_H

#include <stddef.h>

#include <pgkeeper/blob.h>
#include <pgkeeper/checkpoint.h>
#include <pgkeeper/job_graph.h>
#include <pgkeeper/job_registry.h>
#include <pgkeeper/job_result.h>

struct backend;
struct backend_graph_watch; /* one store that listens */

#define STORE_DIGEST_BYTES 32

/* Opaque bytes and their SHA-256; data NULL: none. */
struct store_bytes {
    const void *data;
    size_t length;
    const uint8_t *digest; /* STORE_DIGEST_BYTES; as read it may be NULL or shorter: damaged */
    size_t digest_length;
};

/* Who writes: the token, NULL: without a fence; and the id of this write, a new one for each call
 * of the application's. */
struct store_write {
    const pgk_token *token;
    pgk_uuid op_id;
};

/* ------------------------------------------------------------------ graphs */

struct graph_row {
    pgk_uuid job_id;
    pgk_uuid op_id;  /* of the write that made it what it is */
    int64_t created; /* names its creation, see graph_id */
    int64_t version;
    int64_t epoch;
    struct store_bytes graph;
    struct store_bytes requirements;
};
typedef pgk_status (*graph_row_fn)(void *ctx, const struct graph_row *row, pgk_error *err);

/* A graph that is there, and the write that made it. */
struct graph_id {
    pgk_uuid job_id;
    pgk_uuid op_id;
    int64_t created; /* differs when it was removed and put anew; never 0 */
};

struct job_graph_ops {
    /* Enters a store, or renews its entry. A store without token that does not listen need not be
     * entered. FENCED. */
    pgk_status (*start)(struct backend *backend, const pgk_token *token, const pgk_uuid *store_id,
                        bool listening, pgk_error *err);
    /* It owns nothing any more. */
    pgk_status (*stop)(struct backend *backend, const pgk_uuid *store_id, pgk_error *err);
    /* `known`: op_id of the graph as this store knows it; NULL: it does not own it. ALREADY_EXISTS,
     * CONFLICT, FENCED. */
    pgk_status (*put)(struct backend *backend, const struct store_write *write,
                      const pgk_uuid *store_id, const pgk_uuid *job_id, const pgk_uuid *known,
                      const struct store_bytes *graph, pgk_error *err);
    /* NOT_FOUND, FENCED. */
    pgk_status (*put_requirements)(struct backend *backend, const struct store_write *write,
                                   const pgk_uuid *job_id, const struct store_bytes *requirements,
                                   pgk_error *err);
    /* Hands out one graph, which the store owns then. NOT_FOUND, FENCED. */
    pgk_status (*recover)(struct backend *backend, const pgk_token *token, const pgk_uuid *store_id,
                          const pgk_uuid *job_id, graph_row_fn fn, void *ctx, pgk_error *err);
    /* Hands out all, of one snapshot; the store owns them. */
    pgk_status (*recover_all)(struct backend *backend, const pgk_uuid *store_id, graph_row_fn fn,
                              void *ctx, pgk_error *err);
    /* All ids, ascending by job: *ret_ids (free it; NULL when there is none). */
    pgk_status (*list)(struct backend *backend, struct graph_id **ret_ids, size_t *ret_count,
                       pgk_error *err);
    /* OK also when it is not there. FENCED. */
    pgk_status (*release)(struct backend *backend, const pgk_token *token, const pgk_uuid *store_id,
                          const pgk_uuid *job_id, pgk_error *err);
    /* OK also when it is not there. CONFLICT: owned by another live store, or not `known` any more.
     * FENCED. */
    pgk_status (*remove)(struct backend *backend, const struct store_write *write,
                         const pgk_uuid *store_id, const pgk_uuid *job_id, const pgk_uuid *known,
                         pgk_error *err);

    /* [locked] Reads which graphs there are, now, after each change and each reconnection, and at
     * least every poll interval: graphs_reading and graphs_seen of the sink come until unwatch().
     * The store has been entered as one that listens. */
    pgk_status (*watch)(struct backend *backend, const pgk_token *token, const pgk_uuid *store_id,
                        void *watch_ctx, struct backend_graph_watch **ret_watch, pgk_error *err);
    void (*unwatch)(struct backend *backend, struct backend_graph_watch *watch);
};

/* ------------------------------------------------------------------ results */

/* `result` with all but accumulators, which are apart with their digest, entry_status and reason.
 * A status text that this library does not know comes as -1. */
struct result_row {
    pgk_job_result result;
    struct store_bytes accumulators;
};
typedef pgk_status (*result_row_fn)(void *ctx, const struct result_row *row, pgk_error *err);

enum result_state { RESULT_NONE, RESULT_DIRTY, RESULT_CLEAN };

struct job_result_ops {
    /* `finish`: the graph goes and the registry says DONE in the same transaction; store_id (NULL:
     * none) is the graph store that is not to be told. ALREADY_EXISTS, FENCED. */
    pgk_status (*create_dirty)(struct backend *backend, const struct store_write *write,
                               const struct result_row *row, bool finish, const pgk_uuid *store_id,
                               pgk_error *err);
    /* NOT_FOUND, FENCED. */
    pgk_status (*mark_clean)(struct backend *backend, const struct store_write *write,
                             const pgk_uuid *job_id, bool delete_it, pgk_error *err);
    pgk_status (*state)(struct backend *backend, const pgk_uuid *job_id,
                        enum result_state *ret_state, pgk_error *err);
    /* Of one job (NULL: of all) in one state (RESULT_NONE: in any), ascending by job. */
    pgk_status (*list)(struct backend *backend, enum result_state state, const pgk_uuid *job_id,
                       result_row_fn fn, void *ctx, pgk_error *err);
    /* One batch of at most `limit`; fewer: none is left. FENCED. */
    pgk_status (*purge)(struct backend *backend, const struct store_write *write,
                        int64_t retention_ms, int limit, int64_t *ret_purged, pgk_error *err);
};

/* ------------------------------------------------------------------ registry */

typedef pgk_status (*registry_row_fn)(void *ctx, const pgk_uuid *job_id,
                                      pgk_scheduling_status status, pgk_error *err);

struct registry_ops {
    /* RUNNING or DONE; PENDING clears. FENCED. */
    pgk_status (*set)(struct backend *backend, const struct store_write *write,
                      const pgk_uuid *job_id, pgk_scheduling_status status, pgk_error *err);
    pgk_status (*get)(struct backend *backend, const pgk_uuid *job_id,
                      pgk_scheduling_status *ret_status, pgk_error *err);
    /* Ascending by job. */
    pgk_status (*list)(struct backend *backend, registry_row_fn fn, void *ctx, pgk_error *err);
};

/* ------------------------------------------------------------------ checkpoints */

/* `checkpoint` with all but metadata, which is apart with the digest of metadata or pointer, and
 * status and reason. */
struct checkpoint_row {
    pgk_checkpoint checkpoint;
    struct store_bytes
        content; /* data NULL: there is a pointer; the digest is there all the same */
    uint8_t **
        held; /* what content.data points to, to be kept by who sets it to NULL, and freed; NULL: borrowed */
    pgk_uuid op_id; /* of the write that added it; of `discarding` only */
};
typedef pgk_status (*checkpoint_row_fn)(void *ctx, const struct checkpoint_row *row,
                                        pgk_error *err);

/* An entry of the list without its payload. */
struct checkpoint_head {
    int64_t checkpoint_id;
    pgk_checkpoint_kind kind;
    pgk_retention retention;
    pgk_uuid op_id; /* of the write that added it */
};

struct checkpoint_ops {
    /* All completed entries, ascending: *ret_heads (free it; NULL when there is none). */
    pgk_status (*heads)(struct backend *backend, const pgk_uuid *job_id,
                        struct checkpoint_head **ret_heads, size_t *ret_count, pgk_error *err);
    /* Adds one, and in the same transaction moves `discard` to discarding, `retain` to retained.
     * *ret_as_planned: it is in the list, and all of those left it now. ALREADY_EXISTS, FENCED. */
    pgk_status (*add)(struct backend *backend, const struct store_write *write,
                      const struct checkpoint_row *row, const int64_t *discard,
                      size_t discard_count, const int64_t *retain, size_t retain_count,
                      bool *ret_as_planned, pgk_error *err);
    /* The completed entries of a job, ascending; or the latest alone. */
    pgk_status (*list)(struct backend *backend, const pgk_uuid *job_id, bool only_latest,
                       checkpoint_row_fn fn, void *ctx, pgk_error *err);
    /* FENCED. */
    pgk_status (*shutdown)(struct backend *backend, const struct store_write *write,
                           const pgk_uuid *job_id, pgk_job_status job_status, pgk_error *err);
    /* At most `limit` entries that are discarding, of one job (NULL: of all), after the last one
     * seen (NULL: from the start), ascending by job and id. FENCED: what a deposed leader reads is
     * no longer its own to remove. */
    pgk_status (*discarding)(struct backend *backend, const pgk_token *token,
                             const pgk_uuid *job_id, const pgk_uuid *last_job_id,
                             int64_t last_checkpoint_id, int limit, checkpoint_row_fn fn, void *ctx,
                             pgk_error *err);
    /* Deletes an entry that is discarding and was added by `added_by`; OK also when it is gone.
     * FENCED. */
    pgk_status (*discarded)(struct backend *backend, const struct store_write *write,
                            const pgk_uuid *job_id, int64_t checkpoint_id, const pgk_uuid *added_by,
                            pgk_error *err);

    /* The counter. RESOURCE: exhausted. FENCED. */
    pgk_status (*next_id)(struct backend *backend, const struct store_write *write,
                          const pgk_uuid *job_id, int64_t *ret_value, pgk_error *err);
    pgk_status (*get_id)(struct backend *backend, const pgk_uuid *job_id, int64_t *ret_value,
                         pgk_error *err);
    pgk_status (*set_id)(struct backend *backend, const struct store_write *write,
                         const pgk_uuid *job_id, int64_t value, pgk_error *err);
    pgk_status (*drop_id)(struct backend *backend, const struct store_write *write,
                          const pgk_uuid *job_id, pgk_error *err);
};

/* ------------------------------------------------------------------ blobs */

/* `blob` with all but status and reason; and the write that made it. */
struct blob_row {
    pgk_blob blob;
    pgk_uuid op_id;
};
typedef pgk_status (*blob_row_fn)(void *ctx, const struct blob_row *row, pgk_error *err);

/* What a source was, once it has ended. */
struct blob_sum {
    int64_t bytes;
    uint8_t sha1[PGK_SHA1_BYTES];
    uint8_t sha256[PGK_SHA256_BYTES];
    pgk_blob_key key; /* under which it is put */
};

/* Bytes to be stored. What it answers but PGK_OK ends the put, and nothing is stored. */
struct blob_source {
    void *ctx;
    /* Begins anew at its first byte, after others have been read. NULL: it can be read once only. */
    pgk_status (*rewind)(void *ctx, pgk_error *err);
    /* Fills the buffer, but at its end; *ret_bytes less than capacity: the end. Sums them up. */
    pgk_status (*read)(void *ctx, void *buffer, size_t capacity, size_t *ret_bytes, pgk_error *err);
    /* So many have been taken by the database. */
    pgk_status (*taken)(void *ctx, int64_t bytes, pgk_error *err);
    /* After the end. */
    pgk_status (*sum)(void *ctx, struct blob_sum *ret_sum, pgk_error *err);
    bool prompt; /* read() never waits long: it may be called with a transaction open */
};

/* Takes bytes that are read. What it answers but PGK_OK ends the get. */
struct blob_sink {
    void *ctx;
    /* They are going to come from the first one on, of this blob. Called again when it was replaced meanwhile. */
    pgk_status (*begin)(void *ctx, const struct blob_row *row, pgk_error *err);
    pgk_status (*write)(void *ctx, const void *data, size_t bytes, pgk_error *err);
    bool prompt; /* write() never waits long: it may be called with a statement under way */
};

/* The graph that is put with blobs; as job_graph_ops.put. */
struct blob_graph {
    const pgk_uuid *store_id;
    const pgk_uuid *known;
    const struct store_bytes *graph;
};

struct blob_ops {
    /* Stores `count` sources under one job (NULL: none), and a graph (NULL: none) with them, in one
     * transaction, replacing what is there. IO and all else of the sources; of the graph
     * ALREADY_EXISTS, CONFLICT; TOO_LARGE, FENCED. */
    pgk_status (*put)(struct backend *backend, const struct store_write *write,
                      const pgk_uuid *job_id, const struct blob_source *sources, size_t count,
                      const struct blob_graph *graph, pgk_error *err);
    /* All bytes of one blob, in order. It has been handed out whole with PGK_OK; whether it is right is
     * for the caller to see. NOT_FOUND; CORRUPT: the object is missing or too short or too long. */
    pgk_status (*get)(struct backend *backend, const pgk_uuid *job_id, const pgk_blob_key *key,
                      const struct blob_sink *sink, pgk_error *err);
    /* Of one job (NULL: of none) or of all; key NULL: each key. Ascending by job and key. */
    pgk_status (*list)(struct backend *backend, bool all, const pgk_uuid *job_id,
                       const pgk_blob_key *key, blob_row_fn fn, void *ctx, pgk_error *err);
    /* OK also when it is not there. FENCED. */
    pgk_status (*remove)(struct backend *backend, const struct store_write *write,
                         const pgk_uuid *job_id, const pgk_blob_key *key, pgk_error *err);
    /* One batch. FENCED. */
    pgk_status (*remove_job)(struct backend *backend, const struct store_write *write,
                             const pgk_uuid *job_id, int limit, int64_t *ret_removed,
                             bool *ret_more, pgk_error *err);
    /* Ascending by loid. */
    pgk_status (*orphans)(struct backend *backend,
                          pgk_status (*fn)(void *ctx, const pgk_orphan *orphan, pgk_error *err),
                          void *ctx, pgk_error *err);
    /* One batch: of what blobs that were removed have left, and writers that have died; `all`: of all
     * orphans. */
    pgk_status (*sweep)(struct backend *backend, bool all, int limit, int64_t *ret_removed,
                        bool *ret_more, pgk_error *err);
};

/* ------------------------------------------------------------------ recovery and clean-up */

/* A part whose function is NULL is not read. */
struct recovery_sink {
    void *ctx;
    result_row_fn result;
    /* checkpoint: the latest completed one; NULL: none. */
    pgk_status (*job)(void *ctx, const struct graph_row *graph,
                      const struct checkpoint_row *checkpoint, int64_t next_checkpoint_id,
                      pgk_error *err);
    checkpoint_row_fn discard; /* without content and digest */
};

struct recovery_ops {
    /* All of one snapshot, in the order dirty results, jobs without a result, entries that are
     * discarding. The store (NULL: none) owns the graphs. */
    pgk_status (*recover)(struct backend *backend, const pgk_uuid *store_id,
                          const struct recovery_sink *sink, pgk_error *err);
    /* The bytes of its blobs go too; what cannot goes with the next sweep. FENCED. */
    pgk_status (*cleanup_job)(struct backend *backend, const struct store_write *write,
                              const pgk_uuid *job_id, int64_t *ret_dropped, pgk_error *err);
    /* One batch. FENCED. */
    pgk_status (*cleanup_cluster)(struct backend *backend, const struct store_write *write,
                                  int limit, int64_t *ret_removed, bool *ret_more, pgk_error *err);
};

#endif
