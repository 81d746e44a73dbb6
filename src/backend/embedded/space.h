/*
 * backend/embedded/space.h - what the handles of one process that share a cluster id have in common:
 * who contends, who leads, which addresses are published, and what is stored.
 *
 * One lock, taken after a handle's lock and never held over a sink function, a row function, a
 * callback, or anything that waits. Functions and members marked [space] are used with it held.
 *
 * A space is found by its cluster id and lives as long as a handle has it open, or it is to be kept.
 * A forked child has none of its parent's.
 */
#ifndef PGK_EMBEDDED_SPACE_H
#define PGK_EMBEDDED_SPACE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include <pgkeeper/retrieval.h>

#include "backend/backend.h"

struct shelf; /* what is stored; shelf.h */
struct shelf *shelf_new(void);
void shelf_free(struct shelf *shelf);

/* The unit of leadership; it is there while somebody contends for it. */
struct space_group {
    char *name;
    int32_t leadership_id;        /* of the space's life: never given again */
    struct backend_group *holder; /* leads, or did and has not let go yet; NULL: nobody */
    bool fence_open;              /* what is written under this tenure is taken */
    pgk_uuid session_id;          /* of the latest tenure */
    int64_t epoch;
    TAILQ_HEAD(, backend_group) queue; /* all who contend; the first that is not barred leads */
    LIST_ENTRY(space_group) link;
};

/* A published address; there is none but of a tenure that is on. */
struct space_record {
    char *component;
    const struct space_group *group;
    pgk_leader leader;
    LIST_ENTRY(space_record) link;
};

/* A component that nobody is to lead; see control.c. */
struct space_bar {
    char *component;
    LIST_ENTRY(space_bar) link;
};

struct space {
    char *cluster_id; /* constant; NULL: a space of one handle alone, which nobody finds */
    bool fixed;       /* constant; leaders are not elected: the token of no election leads */
    int users;        /* handles and calls; the registry's */
    bool kept;        /* also without users; the registry's */
    LIST_ENTRY(space) link;

    pthread_mutex_t lock; /* guards all that follows */
    int64_t epoch;        /* given last, to whatever group */
    int32_t leadership_id;
    LIST_HEAD(, space_group) groups;
    LIST_HEAD(, space_record) records;
    LIST_HEAD(, space_bar) bars;
    LIST_HEAD(, backend_watch) watches;
    struct shelf *shelf;
};

/* Finds or makes the space of a cluster id. NO_MEMORY. Give it back with space_leave. */
pgk_status space_enter(const char *cluster_id, struct space **ret_space, pgk_error *err);
/* NULL: there is none in this process. */
struct space *space_find(const char *cluster_id);
/* One that nobody else finds, with fixed leaders. */
pgk_status space_new_fixed(struct space **ret_space, pgk_error *err);
/* Whether it stays when its last user leaves it. */
void space_keep(struct space *space, bool keep);
void space_leave(struct space *space);

/* [space] The fence: is this the token of a tenure that leads now? */
bool space_token_leads(const struct space *space, const pgk_token *token);

#endif
