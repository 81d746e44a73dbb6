/*
 * backend/embedded/shelf.h - all that is stored under one cluster id in the memory of this process:
 * one table of jobs, ascending by id, and what each has.
 *
 * Guarded by the space's lock. A write takes it by shelf_write(), which looks at the fence, changes
 * memory and lets go: that is its transaction. So a write takes all the memory that it may need
 * before it changes anything, and copies of bytes before it takes the lock. A read takes copies
 * that hold the bytes, lets go of the lock, and then hands them out.
 */
#ifndef PGK_EMBEDDED_SHELF_H
#define PGK_EMBEDDED_SHELF_H

#include <sys/queue.h>

#include "backend/embedded/parcel.h"

struct space;
struct shelf;
struct graph;  /* graphs.h */
struct result; /* results.h */
struct blob;   /* blobs.h */

enum checkpoint_state { CHECKPOINT_COMPLETED, CHECKPOINT_DISCARDING, CHECKPOINT_RETAINED };

struct checkpoint {
    int64_t checkpoint_id;
    pgk_checkpoint_kind kind;
    pgk_retention retention;
    enum checkpoint_state state;
    int64_t completed_ms;
    int64_t epoch;
    pgk_uuid op_id;
    bool pointed;           /* the content is the pointer */
    struct parcel *content; /* of metadata or pointer, with its digest */
};

/* Ascending. */
struct checkpoint_list {
    struct checkpoint *entries;
    size_t count;
    size_t room;
};
struct blob_list {
    struct blob **entries;
    size_t count;
    size_t room;
};

struct job {
    pgk_uuid job_id;
    struct graph *graph;              /* NULL: none */
    struct result *result;            /* NULL: none */
    pgk_scheduling_status scheduling; /* PENDING: not in the registry */
    int64_t next_checkpoint_id;       /* of the counter; -1: it has none, and is at 1 */
    struct checkpoint_list checkpoints;
    struct blob_list blobs;
};

/* The job graph stores that were started under a token. */
struct graph_store {
    pgk_uuid store_id;
    pgk_token token;
    int64_t number;     /* names it in the owners of graphs */
    int64_t claim;      /* names its latest recovery of all; 0: there was none */
    int64_t claimed_at; /* it owns what was created until then, unless it has disowned it */
    LIST_ENTRY(graph_store) link;
};

struct shelf {
    struct job **jobs; /* ascending by id */
    size_t count;
    size_t room;
    struct blob_list blobs; /* of no job */
    int64_t clock;          /* numbers creations of graphs, stores and claims */
    LIST_HEAD(, graph_store) stores;
    LIST_HEAD(, backend_graph_watch) watches;
};

/* NULL: out of memory. */
struct shelf *shelf_new(void);
/* Nobody watches any more. NULL is fine. */
void shelf_free(struct shelf *shelf);

/* Takes the lock for a write under a token (NULL: without a fence). FENCED: not taken. */
pgk_status shelf_write(struct backend *backend, const pgk_token *token, const char *origin,
                       struct shelf **ret_shelf, pgk_error *err);
/* Takes the lock. */
struct shelf *shelf_read(struct backend *backend);
void shelf_unlock(struct backend *backend);

/* Constant. */
const struct space *shelf_space(struct backend *backend);

/* Of what it writes; 0: without a fence. */
int64_t shelf_epoch(const struct store_write *write);

/* All with the lock: */

/* The place of a job, or where it would be. */
size_t shelf_place(const struct shelf *shelf, const pgk_uuid *job_id);
/* NULL: nothing is stored of it. */
struct job *shelf_find(const struct shelf *shelf, const pgk_uuid *job_id);
/* Finds or makes it; one that stays empty is to be tidied. NO_MEMORY. */
pgk_status shelf_get(struct shelf *shelf, const pgk_uuid *job_id, struct job **ret_job,
                     pgk_error *err);
/* Frees a job of which nothing is stored any more; NULL is fine. */
void shelf_tidy(struct shelf *shelf, struct job *job);
/* The same of all jobs, for who has emptied many. */
void shelf_tidy_all(struct shelf *shelf);

/* An array of `size` bytes each with room for one more than `count`: `entries` itself, or where it is
 * from now on. NULL: out of memory, nothing has changed. */
void *shelf_grow(void *entries, size_t count, size_t *room, size_t size);

#endif
