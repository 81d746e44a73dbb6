/*
 * pgkeeper/blob.h - the blob store: job jars, libraries and large state, from no byte to gigabytes,
 * kept as PostgreSQL large objects next to the jobs that use them.
 *
 * A blob is known by a job (or none) and a key. What is stored under them is whole or not there: a
 * reader never sees half of it, and a put that fails, or whose process dies, leaves nothing that
 * could be read; its bytes are removed by the next one that puts or cleans up. A blob never changes:
 * to put under a key that is there replaces it by another one, whole, and the former one's bytes go
 * in the same transaction. Whoever reads it meanwhile gets the one or the other, never a mixture.
 *
 * A store is opened under a token: its writes are fenced, so that nothing of a deposed leader
 * appears, replaces or goes. PGK_UNFENCED opens it without a fence, for tools and tests. Reading
 * needs no fence.
 *
 * Damage. Put notes length, SHA-1 and SHA-256 of what it sends; get and verify compare them, and the
 * SHA-1 with that in the key. PGK_ERR_CORRUPT: they differ, or the object is missing or too short;
 * the message names the key and the reason.
 *
 * Lost answers. As in job_graph.h: PGK_OK means once, and the library looks whether it was done. A
 * put from a file or from memory that breaks on the way begins anew. PGK_ERR_OUTCOME_UNKNOWN: what
 * became of it could not be learnt in time; the same call again is safe.
 *
 * Any thread may call any function; several at a time. Calls block for as long as the bytes need; a
 * pause of the network is bounded by high-availability.postgres.statement-timeout. Memory: under
 * 16 MiB per call, whatever the size, but for what get_buffer returns. No transaction lasts long,
 * so that VACUUM is not held up. All of them answer PGK_ERR_ILLEGAL_STATE when the handle is closed
 * or of another process, and may answer the passing and lasting faults of the database (CONNECTION,
 * TIMEOUT, RESOURCE, READ_ONLY, ACCESS, SCHEMA, DATABASE); nothing is stored or removed then.
 * A DBA sees the blobs in stat_blobs.
 *
 * Other modes. `embedded`: as here, but in memory: a put needs that of its blob, all that is stored
 * is held at once, and who reads a blob reads it to its end as it was when the reading began, also
 * when it is replaced meanwhile. `standalone`: none is kept. A put answers PGK_ERR_UNSUPPORTED, its
 * source unread; none is ever found; to remove one works.
 */
#ifndef PGKEEPER_BLOB_H
#define PGKEEPER_BLOB_H

#include <stddef.h>

#include <pgkeeper/job_graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pgk_blobs pgk_blobs;

#define PGK_SHA1_BYTES 20
#define PGK_SHA256_BYTES 32

/* 4 TiB: the most that a large object may be; a blob may be one byte less. */
#define PGK_BLOB_MAX_BYTES INT64_C(4398046511103)

/* Values are part of the ABI. */
typedef enum pgk_blob_type {
    PGK_BLOB_PERMANENT = 0, /* lives as long as its job: "p" */
    PGK_BLOB_TRANSIENT = 1  /* its user removes it: "t"; stored all the same */
} pgk_blob_type;

/*
 * Names a blob: what it is, and a random number, so that the same content twice gives two keys.
 * Zero it or make it by the functions below.
 */
typedef struct pgk_blob_key {
    pgk_blob_type type;
    uint8_t sha1[PGK_SHA1_BYTES]; /* of the content */
    uint8_t random[16];
} pgk_blob_key;

/* "p-<40 hex digits>-<32 hex digits>" and its NUL. */
#define PGK_BLOB_KEY_TEXT_SIZE 76

/*
 * Makes a new key for the content of a file, which is read to its end; symbolic links are followed.
 * No I/O but that. PGK_ERR_IO: it cannot be read, with the system's reason.
 * PGK_ERR_INVALID_ARGUMENT: no such type. Since 0.1.
 */
PGK_API pgk_status pgk_blob_key_new_file(pgk_blob_type type, const char *path,
                                         pgk_blob_key *ret_key, pgk_error *err);

/* The same for bytes in memory; `data` may be NULL when `bytes` is 0. Since 0.1. */
PGK_API pgk_status pgk_blob_key_new_buffer(pgk_blob_type type, const void *data, size_t bytes,
                                           pgk_blob_key *ret_key, pgk_error *err);

/*
 * Reads "p-<40 hex>-<32 hex>" or "t-...", hex digits in either case, nothing before or after.
 * PGK_ERR_INVALID_ARGUMENT: it is none, and what is wrong; *ret_key is unchanged. Since 0.1.
 */
PGK_API pgk_status pgk_blob_key_parse(const char *text, pgk_blob_key *ret_key, pgk_error *err);

/* Writes a key as text, hex digits in lower case. Since 0.1. */
PGK_API void pgk_blob_key_format(const pgk_blob_key *key, char text[PGK_BLOB_KEY_TEXT_SIZE]);

/*
 * Total order: SHA-1, then type (permanent first), then random part. Negative, 0 or positive, as
 * memcmp. Since 0.1.
 */
PGK_API int pgk_blob_key_compare(const pgk_blob_key *a, const pgk_blob_key *b);

/*
 * How far a put, a get or a verification is. Runs in the calling thread, at least once when there is
 * a byte, at most about once per MiB; `done` is what the database has taken or given so far, and
 * falls back when a put or a get begins anew. `total`: in all; -1: not known. Should not block: a
 * put's transaction, and with it VACUUM, may wait for it. Must not call the store. PGK_OK: go on.
 * Anything else ends the call, which answers the same status, and nothing is stored, or written to
 * the target; but the last call of a put, with all of it done, comes when it is stored.
 */
typedef pgk_status (*pgk_blob_progress_fn)(void *user, int64_t done, int64_t total);

/*
 * Gives the next bytes of a stream: 1..capacity of them to `buffer`, *ret_bytes how many; 0: the
 * end. Thread, answer: as pgk_blob_progress_fn. May block: no transaction is open meanwhile.
 */
typedef pgk_status (*pgk_blob_read_fn)(void *user, void *buffer, size_t capacity,
                                       size_t *ret_bytes);

/*
 * Takes the next bytes of a blob, in order; `data` lives for the call. Only PGK_OK of the call that
 * gets says that they were right. Thread, blocking, answer: as pgk_blob_progress_fn.
 */
typedef pgk_status (*pgk_blob_write_fn)(void *user, const void *data, size_t bytes);

/* Where a blob comes from. Set size and exactly one of path, data and read; zero the rest. */
typedef struct pgk_blob_source {
    size_t size;      /* sizeof(pgk_blob_source) */
    const char *path; /* a file, also behind a symbolic link; a pipe or a device too */
    const void *data; /* bytes in memory, `data_bytes` of them; for none point to anything */
    size_t data_bytes;
    pgk_blob_read_fn read; /* a stream; `user` is handed to it */
    void *user;
    int64_t total_bytes; /* of a stream, for the progress callback; 0: not known */
    pgk_blob_progress_fn progress;
    void *progress_user; /* handed to progress; the caller's */
} pgk_blob_source;

/* Where a blob goes to. Set size and exactly one of path and write; zero the rest. */
typedef struct pgk_blob_target {
    size_t size;             /* sizeof(pgk_blob_target) */
    const char *path;        /* a file, see pgk_blobs_get */
    pgk_blob_write_fn write; /* a stream; `user` is handed to it */
    void *user;
    pgk_blob_progress_fn progress;
    void *progress_user; /* handed to progress; the caller's */
} pgk_blob_target;

/* What is known of a blob. Made by the library; later versions may add fields at the end. */
typedef struct pgk_blob {
    pgk_uuid job_id; /* all zero when has_job is false */
    bool has_job;
    pgk_blob_key key;
    int64_t bytes;
    uint8_t sha1[PGK_SHA1_BYTES]; /* of the content; differs from the key's if put under another */
    uint8_t sha256[PGK_SHA256_BYTES];
    int64_t created_ms; /* since 1970 UTC, by the clock of the server, in memory of this machine */
    int64_t epoch;      /* of the leader that put it; 0: without a fence, or by hand */
    uint32_t loid;      /* of the large object; 0: it is in memory */
    pgk_status status;  /* PGK_OK; of pgk_blobs_verify_all also PGK_ERR_CORRUPT and others */
    const char *reason; /* what is wrong, UTF-8; NULL with PGK_OK */
} pgk_blob;

/*
 * One blob of an enumeration; it lives for the call. Runs in the calling thread. May block, but a
 * database session waits with it (pgk_blobs_verify_all: none does); must not call the store that
 * enumerates. PGK_OK: go on. Anything else ends the enumeration, which answers the same status.
 */
typedef pgk_status (*pgk_blob_fn)(void *user, const pgk_blob *blob);

/*
 * Opens a blob store, also over a handle of pgk_ha_open_client, for those who only fetch. Touches
 * nothing remote. `token` is copied; PGK_UNFENCED: no fence. Free it
 * with pgk_blobs_free. PGK_ERR_INVALID_ARGUMENT: token NULL or all zero. Since 0.1.
 */
PGK_API pgk_status pgk_ha_blobs(pgk_ha *ha, const pgk_token *token, pgk_blobs **ret_blobs,
                                pgk_error *err);

/* Frees the store; nothing stored changes; NULL is fine. Since 0.1. */
PGK_API void pgk_blobs_free(pgk_blobs *blobs);

/*
 * Stores what `source` gives under a job (job_id NULL: none) and a key, replacing what was there.
 * Returns only when it is durable. Does not insist that the content is what the key says; pgk_blobs_get
 * does. PGK_ERR_IO: the source cannot be read, with the system's reason, or the file changed or
 * shrank while it was read. PGK_ERR_INVALID_ARGUMENT: source of a wrong size, or not exactly one of
 * path, data and read; no such type in the key. PGK_ERR_TOO_LARGE, PGK_ERR_FENCED,
 * PGK_ERR_UNSUPPORTED (standalone mode). But for PGK_OK
 * nothing is changed. PGK_ERR_OUTCOME_UNKNOWN: see above. Since 0.1.
 */
PGK_API pgk_status pgk_blobs_put(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                                 const pgk_blob_source *source, pgk_error *err);

/*
 * As pgk_blobs_put, under a new key of the content, made while it is sent: reads the source once,
 * also one that cannot be read twice. *ret_key with PGK_OK. Since 0.1.
 */
PGK_API pgk_status pgk_blobs_add(pgk_blobs *blobs, const pgk_uuid *job_id, pgk_blob_type type,
                                 const pgk_blob_source *source, pgk_blob_key *ret_key,
                                 pgk_error *err);

/* pgk_blobs_put of a file, without progress. Since 0.1. */
PGK_API pgk_status pgk_blobs_put_file(pgk_blobs *blobs, const pgk_uuid *job_id,
                                      const pgk_blob_key *key, const char *path, pgk_error *err);

/* pgk_blobs_put of bytes in memory; `data` may be NULL when `bytes` is 0. Since 0.1. */
PGK_API pgk_status pgk_blobs_put_buffer(pgk_blobs *blobs, const pgk_uuid *job_id,
                                        const pgk_blob_key *key, const void *data, size_t bytes,
                                        pgk_error *err);

/*
 * Reads a blob, checking it on the way. PGK_ERR_NOT_FOUND: no such key under this job (job_id NULL:
 * under none). PGK_ERR_CORRUPT: see above.
 *
 * To a file: it appears whole or not at all, as a file beside it that is flushed to disk and then
 * renamed; mode that of the file it replaces, or 0666 less the umask. The directory is not flushed: after a power failure soon afterwards
 * there may be what was there before, never a part of a file; who needs the name to last flushes the
 * directory. What was there under the name, also a symbolic link, is replaced only by
 * PGK_OK. PGK_ERR_IO: it cannot be written, with the system's reason.
 * To a stream: bytes are handed out before they are known to be right. PGK_ERR_CONFLICT: the blob
 * was replaced or removed by somebody else after some were handed out; a file is begun anew instead.
 * PGK_ERR_INVALID_ARGUMENT: target of a wrong size, or neither or both of path and write. Since 0.1.
 */
PGK_API pgk_status pgk_blobs_get(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                                 const pgk_blob_target *target, pgk_error *err);

/* pgk_blobs_get to a file, without progress. Since 0.1. */
PGK_API pgk_status pgk_blobs_get_file(pgk_blobs *blobs, const pgk_uuid *job_id,
                                      const pgk_blob_key *key, const char *path, pgk_error *err);

/*
 * pgk_blobs_get to memory: *ret_data of *ret_bytes, to be freed with pgk_blob_data_free; never NULL
 * with PGK_OK. PGK_ERR_TOO_LARGE: it has more than max_bytes, the message says how many.
 * PGK_ERR_NO_MEMORY. Since 0.1.
 */
PGK_API pgk_status pgk_blobs_get_buffer(pgk_blobs *blobs, const pgk_uuid *job_id,
                                        const pgk_blob_key *key, size_t max_bytes, void **ret_data,
                                        size_t *ret_bytes, pgk_error *err);

/* Frees what pgk_blobs_get_buffer gave; NULL is fine. Since 0.1. */
PGK_API void pgk_blob_data_free(void *data);

/* *ret_exists: is there such a blob? Its bytes are not looked at. Since 0.1. */
PGK_API pgk_status pgk_blobs_exists(pgk_blobs *blobs, const pgk_uuid *job_id,
                                    const pgk_blob_key *key, bool *ret_exists, pgk_error *err);

/* What is known of a blob, to *ret_blob. Its bytes are not looked at. PGK_ERR_NOT_FOUND.
 * Since 0.1. */
PGK_API pgk_status pgk_blobs_stat(pgk_blobs *blobs, const pgk_uuid *job_id, const pgk_blob_key *key,
                                  pgk_blob *ret_blob, pgk_error *err);

/*
 * Hands out the blobs of one job, as of one moment, ascending by key. job_id NULL: those of no job.
 * Since 0.1.
 */
PGK_API pgk_status pgk_blobs_list(pgk_blobs *blobs, const pgk_uuid *job_id, pgk_blob_fn fn,
                                  void *user, pgk_error *err);

/*
 * Hands out all blobs of the cluster, as of one moment, those of no job first, ascending by job and
 * key. Since 0.1.
 */
PGK_API pgk_status pgk_blobs_list_all(pgk_blobs *blobs, pgk_blob_fn fn, void *user, pgk_error *err);

/*
 * Removes a blob and its bytes. Absent: PGK_OK. PGK_ERR_FENCED. PGK_ERR_OUTCOME_UNKNOWN: what is
 * there may have been put since; calling again removes what is there then. Since 0.1.
 */
PGK_API pgk_status pgk_blobs_delete(pgk_blobs *blobs, const pgk_uuid *job_id,
                                    const pgk_blob_key *key, pgk_error *err);

/*
 * Removes all blobs of a job (job_id NULL: of no job) and their bytes, in transactions of some
 * hundred each. *ret_removed (may be NULL): how many, also after an error. None: PGK_OK.
 * PGK_ERR_FENCED, PGK_ERR_OUTCOME_UNKNOWN: the rest is there. PGK_ERR_CONFLICT: others put new ones
 * all the time. Since 0.1.
 */
PGK_API pgk_status pgk_blobs_delete_all(pgk_blobs *blobs, const pgk_uuid *job_id,
                                        int64_t *ret_removed, pgk_error *err);

/*
 * Reads a blob to its end and compares length and digests, writing nothing. `progress` may be NULL.
 * PGK_ERR_NOT_FOUND, PGK_ERR_CORRUPT. Since 0.1.
 */
PGK_API pgk_status pgk_blobs_verify(pgk_blobs *blobs, const pgk_uuid *job_id,
                                    const pgk_blob_key *key, pgk_blob_progress_fn progress,
                                    void *user, pgk_error *err);

/*
 * Verifies all blobs of the cluster, or (`of_job`) those of one job (job_id NULL: of no job), and
 * hands each to `fn` with status PGK_OK or PGK_ERR_CORRUPT and a reason; a damaged one does not end
 * it. What is removed meanwhile is left out. *ret_damaged (may be NULL): how many are damaged. PGK_OK
 * also when some are. Since 0.1.
 */
PGK_API pgk_status pgk_blobs_verify_all(pgk_blobs *blobs, bool of_job, const pgk_uuid *job_id,
                                        pgk_blob_fn fn, void *user, int64_t *ret_damaged,
                                        pgk_error *err);

/* A large object of the blob store, of any cluster of the schema, that no blob points to. */
typedef struct pgk_orphan {
    uint32_t loid;
    int64_t bytes;      /* -1: it is gone by now */
    bool unfinished;    /* left by a put that has died; false: its row was lost in some other way */
    int64_t created_ms; /* of an unfinished one: since 1970 UTC; else -1 */
} pgk_orphan;

/* One orphan; thread, blocking, answer: as pgk_blob_fn. */
typedef pgk_status (*pgk_orphan_fn)(void *user, const pgk_orphan *orphan);

/*
 * Hands out the orphans, ascending by loid. What a put that is under way has sent so far is none.
 * Through a pooler a put that has died counts as under way for ten minutes. Since 0.1.
 */
PGK_API pgk_status pgk_blobs_orphans(pgk_blobs *blobs, pgk_orphan_fn fn, void *user,
                                     pgk_error *err);

/*
 * Removes the orphans, some hundred in a transaction. *ret_removed (may be NULL): how many, also
 * after an error. Not fenced: nobody can reach them. Since 0.1.
 */
PGK_API pgk_status pgk_blobs_remove_orphans(pgk_blobs *blobs, int64_t *ret_removed, pgk_error *err);

/* A blob that is stored with a graph. */
typedef struct pgk_blob_entry {
    pgk_blob_key key;
    pgk_blob_source source;
} pgk_blob_entry;

/*
 * Stores a graph, as pgk_job_graphs_put does, and `count` blobs of its job in one transaction: all
 * of it is there, or nothing. Blobs that are there under the same keys are replaced. Errors: as of
 * pgk_job_graphs_put and pgk_blobs_put. PGK_ERR_INVALID_ARGUMENT also: a key twice. Since 0.1.
 */
PGK_API pgk_status pgk_job_graphs_put_with_blobs(pgk_job_graphs *store, const pgk_uuid *job_id,
                                                 const void *graph, size_t graph_bytes,
                                                 const pgk_blob_entry *blobs, size_t count,
                                                 pgk_error *err);

#ifdef __cplusplus
}
#endif

#endif
