/*
 * backend/embedded/keeper.h - one handle's part of a space, and its keeper: the thread that tells the
 * services what has changed.
 *
 * Whoever changes a space notes it for the handles concerned (keeper_wake) and knows no more of
 * them: their sinks are called by their own keepers, with their own lock.
 */
#ifndef PGK_EMBEDDED_KEEPER_H
#define PGK_EMBEDDED_KEEPER_H

#include "backend/embedded/graph_watch.h"
#include "backend/embedded/space.h"
#include "core/thread.h"

struct backend {
    struct space *space; /* first: it is all that the stores know of a handle */
    struct backend_env env;
    struct thread thread;
    pthread_cond_t wake;                     /* with the space's lock */
    bool noted;                              /* [space] there is something to look at */
    bool closing;                            /* [space] */
    TAILQ_HEAD(, backend_group) due_groups;  /* [space] to be looked at */
    TAILQ_HEAD(, backend_watch) due_watches; /* [space] to be looked at */
    struct graph_watches graph_watches;      /* [locked] */
};

/* [space] This handle's keeper is to look; graph_watches_look() is called soon. */
void keeper_wake(struct backend *backend);

#endif
