/*
 * backend/postgres/blob_send.h - one put of large blobs while it is sent: what blob_put.c (all
 * attempts), blob_send.c (one attempt) and blob_publish.c (its last transaction) share. The caller's
 * thread.
 */
#ifndef PGK_POSTGRES_BLOB_SEND_H
#define PGK_POSTGRES_BLOB_SEND_H

#include "backend/postgres/blob_wire.h"
#include "backend/postgres/pool.h"
#include "backend/stores.h"

/* Measured: of 64 kB to 1 MiB the fastest. A multiple of the server's page of 2 kB. */
#define BLOB_PIECE_BYTES ((size_t)65536)

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
    bool refused; /* the graph is not to be replaced */
};

/* blob_send.c: sends all of it. *ret_pid: of the server process whose answer to the last transaction did not come; 0:
 * none. */
pgk_status blob_send(struct sending *s, int64_t deadline_ns, int *ret_pid, bool *ret_pooled,
                     pgk_error *err);

/* A transaction is open after it. */
pgk_status blob_open_part(struct sending *s, pgk_error *err);
/* Ends it, without waiting. */
pgk_status blob_end_part(struct sending *s, pgk_error *err);

/* blob_publish.c: makes what has been sent blobs, and waits for it. */
pgk_status blob_publish(struct sending *s, pgk_error *err);

#endif
