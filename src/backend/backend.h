/*
 * backend/backend.h - the seam between the services (argument checks, callbacks, rules of the
 * contract) and what keeps leadership: PostgreSQL, memory, or nothing at all.
 *
 * One lock: the services own one mutex per handle and lend it to the backend (struct backend_env).
 * It guards groups, watches and all that both sides share; it is never held across libpq, poll or a
 * callback of the application. Operations marked [locked] are called with it held, do not block,
 * and may be called from a sink function; those marked [unlocked] may block. Sink functions are
 * called with it held, from any thread of the backend, and only note what happened.
 */
#ifndef PGK_BACKEND_BACKEND_H
#define PGK_BACKEND_BACKEND_H

#include <pthread.h>
#include <sys/queue.h>

#include <pgkeeper/election.h>
#include <pgkeeper/retrieval.h>

#include "backend/stores.h"
#include "core/settings.h"
#include "core/tenure.h"

struct backend;
struct backend_group; /* one group that this handle contends for */
struct backend_watch; /* one component that this handle follows */

/* One contender of a group that was joined; the services' memory. The links are the backend's. */
struct backend_component {
    const char *name;
    LIST_ENTRY(backend_component) link;
};

struct backend_sink {
    void *ctx;
    /* The group leads: its struct tenure has been begun. */
    void (*tenure_began)(void *ctx, void *group_ctx);
    /* It no longer does: its struct tenure has been ended. When `orderly`, the backend keeps the
     * lock until the services call revoked(); otherwise it goes on contending at once. */
    void (*tenure_ended)(void *ctx, void *group_ctx, bool orderly);
    /* A fault of the backend that concerns a group; NULL: it is over. Once per change. */
    void (*group_fault)(void *ctx, void *group_ctx, const pgk_error *error);
    /* What the backend now knows of a component; leader NULL: none. Called when read, also if it is
     * the same. Epochs of one `leadership` can be compared: a component may pass to another group,
     * which counts its own. */
    void (*leader_seen)(void *ctx, void *watch_ctx, int32_t leadership, const pgk_leader *leader);
    /* For a store that listens: it is about to be read which graphs there are ... */
    void (*graphs_reading)(void *ctx, void *watch_ctx);
    /* ... and there were these, ascending by job. False: what the store itself was doing meanwhile
     * hides something; to be read again soon. */
    bool (*graphs_seen)(void *ctx, void *watch_ctx, const struct graph_id *ids, size_t count);
};

struct backend_env {
    const struct settings *settings; /* outlives the backend */
    pthread_mutex_t *lock;           /* outlives the backend */
    bool client_only;                /* retrieval only: no contending */
    struct backend_sink sink;
};

struct backend_ops {
    const char *name;   /* value of high-availability.type */
    bool fixed_leaders; /* nobody is elected: the session id is nil and the epoch 0 */

    /* [unlocked] Reaches the store once, checks it, starts the keeper. */
    pgk_status (*open)(const struct backend_env *env, struct backend **ret_backend, pgk_error *err);
    /* [unlocked] Releases what is led (bounded by the session timeout), ends sessions and threads;
     * no sink call comes after it. The services have left all groups and watches before. Once. */
    pgk_status (*close)(struct backend *backend, pgk_error *err);
    /* [unlocked] Frees a closed backend. */
    void (*free)(struct backend *backend);
    /* [unlocked] In a forked child: closes the child's copies of descriptors, tells nobody, and
     * leaks the rest. */
    void (*forget)(struct backend *backend);

    /* [locked] Contends for a group; `tenure` and group_ctx live until leave(). */
    pgk_status (*join)(struct backend *backend, const char *group, struct tenure *tenure,
                       void *group_ctx, struct backend_group **ret_group, pgk_error *err);
    /* [locked] Stops contending; the revokes have been delivered. Ends the tenure if there is one;
     * its release is sent soon. tenure and group_ctx are not touched after it returns; group is
     * invalid. */
    void (*leave)(struct backend *backend, struct backend_group *group);
    /* [locked] Gives a tenure up: tenure_ended(orderly) follows, perhaps before it returns.
     * ILLEGAL_STATE if none. */
    pgk_status (*resign)(struct backend *backend, struct backend_group *group, pgk_error *err);
    /* [locked] All revokes of the tenure that ended orderly have been delivered. */
    void (*revoked)(struct backend *backend, struct backend_group *group);

    /* [locked] A contender for a component has come to a group that was joined, and has gone again:
     * before leave(). Both NULL: the backend does not need to know. */
    void (*attend)(struct backend *backend, struct backend_group *group,
                   struct backend_component *component);
    void (*depart)(struct backend *backend, struct backend_group *group,
                   struct backend_component *component);

    /* [unlocked] Publishes an address; group_name is of a group joined. FENCED, CONFLICT,
     * OUTCOME_UNKNOWN, ... */
    pgk_status (*confirm)(struct backend *backend, const char *group_name, const pgk_token *token,
                          const char *component, const char *address, pgk_error *err);
    /* [locked] Empties the record of one component of a group that goes on leading; sent soon. */
    void (*withdraw)(struct backend *backend, struct backend_group *group, const char *component);

    /* [locked] Follows a component; leader_seen(watch_ctx) comes until unwatch(). */
    pgk_status (*watch)(struct backend *backend, const char *component, void *watch_ctx,
                        struct backend_watch **ret_watch, pgk_error *err);
    void (*unwatch)(struct backend *backend, struct backend_watch *watch);

    /* What it stores; see backend/stores.h. */
    const struct job_graph_ops *job_graphs;
    const struct job_result_ops *job_results;
    const struct registry_ops *registry;
    const struct checkpoint_ops *checkpoints;
    const struct blob_ops *blobs;
    const struct recovery_ops *recovery;
};

extern const struct backend_ops postgres_backend;
extern const struct backend_ops embedded_backend;
extern const struct backend_ops standalone_backend;

#endif
