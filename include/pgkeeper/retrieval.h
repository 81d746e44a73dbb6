/*
 * pgkeeper/retrieval.h - following the leader of a component.
 *
 * A retriever announces the leader of a component whenever (address, session id) differs from the
 * pair announced last, and never a leader older than one it has announced. All retrievers of a
 * handle share one database session.
 */
#ifndef PGKEEPER_RETRIEVAL_H
#define PGKEEPER_RETRIEVAL_H

#include <pgkeeper/election.h>
#include <pgkeeper/ha.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pgk_retriever pgk_retriever;

typedef struct pgk_leader {
    pgk_uuid session_id;
    int64_t epoch; /* of its group: a component that passes to another group may begin lower */
    char address[PGK_ADDRESS_MAX_BYTES + 1]; /* UTF-8, terminated */
} pgk_leader;

/*
 * The leader of a component has changed; leader is NULL when there is none any more. Runs on the
 * notifier thread (or inside pgk_ha_dispatch), one callback at a time, never under a lock of the
 * library. May block (it delays other callbacks only; changes meanwhile are merged, the last one
 * counts) and may call anything of the library. None comes after pgk_retriever_stop returned. The
 * leader lives for the call.
 */
typedef void (*pgk_leader_fn)(void *user, const pgk_leader *leader);

/*
 * Makes a retriever for a component (1..200 bytes of UTF-8, copied). Touches nothing remote. Any
 * number per component. Free it with pgk_retriever_free. PGK_ERR_INVALID_ARGUMENT,
 * PGK_ERR_ILLEGAL_STATE (handle closed or of another process). Since 0.1.
 */
PGK_API pgk_status pgk_ha_retriever(pgk_ha *ha, const char *component,
                                    pgk_retriever **ret_retriever, pgk_error *err);

/*
 * Starts to follow; returns at once. The present leader is announced as soon as it is read; with
 * none, and none known before, nothing is said. If the database is lost, the leader is kept for
 * retrieval.disconnect-tolerance and then announced as gone; after reconnection it is announced
 * again. PGK_ERR_INVALID_ARGUMENT: fn is NULL. PGK_ERR_ILLEGAL_STATE: started before, or closed.
 * Since 0.1.
 */
PGK_API pgk_status pgk_retriever_start(pgk_retriever *retriever, pgk_leader_fn fn, void *user,
                                       pgk_error *err);

/*
 * The leader last seen, without a callback: copies it into ret_leader. PGK_ERR_NOT_FOUND: none
 * known. PGK_ERR_ILLEGAL_STATE: not started. No I/O, any thread. Since 0.1.
 */
PGK_API pgk_status pgk_retriever_get(pgk_retriever *retriever, pgk_leader *ret_leader,
                                     pgk_error *err);

/*
 * Stops silently. Idempotent. Waits for a running callback of this retriever, unless called
 * from a callback. Since 0.1.
 */
PGK_API pgk_status pgk_retriever_stop(pgk_retriever *retriever, pgk_error *err);

/* Stops if need be and frees the retriever; NULL is fine. Since 0.1. */
PGK_API void pgk_retriever_free(pgk_retriever *retriever);

#ifdef __cplusplus
}
#endif

#endif
