/*
 * backend/postgres/pool.h - work sessions: opened on demand, used by one caller's thread at a time,
 * kept for the next. Any thread; blocks, with a deadline.
 */
#ifndef PGK_POSTGRES_POOL_H
#define PGK_POSTGRES_POOL_H

#include "backend/postgres/link.h"

struct pooled_link {
    struct pooled_link *next;
    struct link link;
    int64_t used_at_ns;
    bool unreplicated; /* since it was taken: a commit did not wait for its synchronous standby */
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t freed;        /* wakes one that waits for a session or a place */
    pthread_cond_t ended;        /* wakes all that wait to try again */
    struct link_request request; /* role, settings, memory, id */
    struct pooled_link *idle;    /* last used first */
    int count;                   /* idle and in use */
    bool closed;
};

pgk_status pool_init(struct pool *pool, const struct link_request *request, pgk_error *err);

/*
 * Runs a statement that may be repeated, until deadline_ns: a session that breaks is replaced and
 * the statement sent again. *ret_result (PQclear it) with PGK_OK. OUTCOME_UNKNOWN: it was sent, and
 * no answer came.
 */
pgk_status pool_run(struct pool *pool, enum statement_id id, const char *const *params,
                    int64_t deadline_ns, PGresult **ret_result, pgk_error *err);

/* A session, to be given back; it is the caller's alone until then. */
pgk_status pool_take(struct pool *pool, int64_t deadline_ns, struct pooled_link **ret_pooled,
                     pgk_error *err);
/* Kept for the next only when `keep` and nothing is under way on it. */
void pool_give(struct pool *pool, struct pooled_link *pooled, bool keep);

/* Waits until then; a close wakes it early. */
void pool_pause(struct pool *pool, int64_t until_ns);

/* Closes what has been idle for some seconds; called now and then. */
void pool_trim(struct pool *pool);

/* Closes what is idle; what is in use is closed when it comes back. New calls fail. */
void pool_close(struct pool *pool);
/* In a forked child: closes the child's copies of the descriptors. */
void pool_forget(struct pool *pool);
void pool_destroy(struct pool *pool);

#endif
