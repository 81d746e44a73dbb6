/*
 * backend/embedded/contend.h - who contends in a space, and whose turn it is to lead.
 *
 * A tenure is begun by the keeper of its own handle alone. It is ended by whoever ends it, at once,
 * for all who ask has_leadership or write under its token; the keeper tells the services after that.
 * Its group is led by somebody else only when the services have let it go.
 */
#ifndef PGK_EMBEDDED_CONTEND_H
#define PGK_EMBEDDED_CONTEND_H

#include "backend/embedded/keeper.h"

enum contender_state {
    CONTENDER_WAITS,
    CONTENDER_LEADS,
    CONTENDER_ENDED,     /* it led; the services are to be told */
    CONTENDER_LETTING_GO /* they have been told, and deliver the revokes */
};

/* One handle in one group. Its memory goes by leave(), under both locks. */
struct backend_group {
    struct backend *backend;
    struct space_group *group;
    struct tenure *tenure; /* written under the space's lock */
    void *ctx;
    enum contender_state state;                /* [space] */
    bool due;                                  /* [space] it is in backend->due_groups */
    LIST_HEAD(, backend_component) components; /* [space] that this handle contends for */
    TAILQ_ENTRY(backend_group) queue_link;     /* [space] */
    TAILQ_ENTRY(backend_group) due_link;       /* [space] */
};

/* Functions of the backend's table. */
pgk_status contend_join(struct backend *backend, const char *name, struct tenure *tenure, void *ctx,
                        struct backend_group **ret_contender, pgk_error *err);
void contend_leave(struct backend *backend, struct backend_group *contender);
pgk_status contend_resign(struct backend *backend, struct backend_group *contender, pgk_error *err);
void contend_revoked(struct backend *backend, struct backend_group *contender);
void contend_attend(struct backend *backend, struct backend_group *contender,
                    struct backend_component *component);
void contend_depart(struct backend *backend, struct backend_group *contender,
                    struct backend_component *component);

/* Keeper thread, [locked] by the handle. Tells the services what has come of their groups, and takes the
 * lead where it is this handle's turn. */
void contend_look(struct backend *backend);

/* [space] The bars have changed: ends the tenures that must not be any more, and offers each group
 * that is free to the one whose turn it is. */
void contend_review(struct space *space);

#endif
