/*
 * services/async.h - calls that go on when they have returned, and end by a completion: a few threads that
 * make them one after the other, the wait before another try, and handing out how they ended.
 *
 * A call is queued, running, waiting for its next try, or ended; the completion of an ended one is run by
 * whoever has the turn to run callbacks (notifier.c). All functions are locked.
 */
#ifndef PGK_SERVICES_ASYNC_H
#define PGK_SERVICES_ASYNC_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include <pgkeeper/election.h>

#include "core/thread.h"

/* Threads of a handle, made when they are needed first; one is never used for clean-ups, so that these
 * cannot keep back the address of a new leader. */
#define ASYNC_THREADS 4
#define ASYNC_CLEANUPS (ASYNC_THREADS - 1)

enum async_kind { ASYNC_CONFIRM, ASYNC_CLEANUP, ASYNC_KINDS };

struct async_call;
struct async_ops {
    enum async_kind kind;
    const char *origin;
    /* [unlocked] One try, on a thread of the pool. */
    pgk_status (*run)(struct async_call *call, pgk_error *err);
    /* [unlocked] After a try that failed: when the next one is due; false: there is none. NULL: never. */
    bool (*again)(struct async_call *call, const pgk_error *error, int64_t *ret_at_ns);
};

/* The head of what a kind of call keeps, in one piece of memory. */
struct async_call {
    const struct async_ops *ops;
    pgk_ha *ha;
    pgk_done_fn done;
    void *user;
    pgk_election *election; /* the call ends with it; NULL: with the handle only */
    bool of_tenure;         /* it ends with a tenure of this handle */
    pgk_uuid session_id;    /* of that tenure */
    int refs;               /* one until it was delivered, one while it runs */
    int attempts;
    bool ended;
    bool unclear;    /* a try may have been done */
    pgk_error error; /* of the last try, or how it ended */
    int64_t dropped; /* for the completion */
    int64_t due_ns;  /* waiting: of the next try */
    uint64_t due_in; /* ended: pgk_ha.dispatches at that time */
    TAILQ_ENTRY(async_call) link;
};
TAILQ_HEAD(async_list, async_call);

struct async_pool {
    pthread_cond_t due; /* for its threads */
    struct async_list queued[ASYNC_KINDS];
    struct async_list waiting; /* by due_ns */
    struct async_call *running[ASYNC_THREADS];
    struct async_list ended;
    struct async_list delivering; /* their completions are on the stack of who has the turn */
    struct thread threads[ASYNC_THREADS];
    int started; /* threads */
    int slots;   /* of `running`, that threads have taken */
    int idle;
    bool stop;
};

pgk_status async_init(struct async_pool *pool, pgk_error *err);
void async_destroy(struct async_pool *pool);

/* Queues a call whose head has ops, ha, done and user. On an error it was not taken, and is the caller's. */
pgk_status async_begin(struct async_call *call, pgk_error *err);

/* Ends what is neither running nor ended; of an election (NULL: of all) also what runs, whose outcome is not
 * known then. */
void async_cancel(pgk_ha *ha, const pgk_election *election);
/* A tenure of this handle is over: no clean-up of it is begun any more. */
void async_tenure_over(pgk_ha *ha, const pgk_uuid *session_id);
/* Waits until all of the election's (NULL: all) have ended and their completions have returned; runs them
 * when nobody else does. After async_cancel. */
void async_settle(pgk_ha *ha, const pgk_election *election);
/* Is there a completion to be run? */
bool async_is_due(const pgk_ha *ha);
/* Runs the first one, if it was due before that dispatch (NOTIFIER_ALL: in any case), with the turn; drops the lock
 * meanwhile. False: there is none. */
bool async_deliver(pgk_ha *ha, uint64_t before);
/* Ends the threads, when everything has been settled; drops the lock meanwhile. */
void async_stop(pgk_ha *ha);

#endif
