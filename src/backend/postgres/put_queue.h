/*
 * backend/postgres/put_queue.h - puts of small graphs by many threads at a time: a quarter of the
 * work sessions is given to them, and those that would have to wait are written together, in one
 * transaction, by whoever gets the next place; after a while they do not wait. A commit costs more
 * than a row.
 *
 * The callers' threads; blocks. The queue's lock is never held across libpq.
 */
#ifndef PGK_POSTGRES_PUT_QUEUE_H
#define PGK_POSTGRES_PUT_QUEUE_H

#include <pthread.h>

#include "backend/stores.h"

enum put_state {
    PUT_WAITING,
    PUT_TAKEN, /* another thread writes it */
    PUT_LEADS, /* has a session to itself and takes along who waits */
    PUT_ALONE, /* is to be written by its own thread: together it went wrong */
    PUT_SENT,  /* together, without an answer: its own thread looks whether it was done */
    PUT_DONE   /* status and error say how */
};

/* One put; what it points to is borrowed for the call. */
struct put_request {
    const struct store_write *write;
    const pgk_uuid *store_id;
    const pgk_uuid *job_id;
    const pgk_uuid *known; /* NULL: not owned */
    const struct store_bytes *graph;

    /* The queue's. */
    struct put_request *next;
    int64_t deadline_ns;
    pthread_cond_t turn;
    enum put_state state;
    pgk_status status;
    pgk_error error;
};

struct put_queue {
    pthread_mutex_t lock;
    struct put_request *first;
    struct put_request **last;
    int running;
    int limit;
};

pgk_status put_queue_init(struct put_queue *queue, int connections, pgk_error *err);
void put_queue_destroy(struct put_queue *queue);

/* Puts one graph, alone or together with others. */
pgk_status put_queue_put(struct backend *backend, struct put_request *put, pgk_error *err);

/* job_graphs.c: in a statement of its own; and what it means that one was not done. */
pgk_status put_alone(struct backend *backend, const struct put_request *put, pgk_error *err);
pgk_status put_refused(const struct put_request *put, bool resent, pgk_error *err);

#endif
