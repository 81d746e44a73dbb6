/*
 * services/graph_set.h - what one job graph store knows of graphs: which it owns and as which
 * write, which it is writing, and what its listener is due to be told. Pure data in the memory of
 * the process; the caller holds a lock.
 */
#ifndef PGK_SERVICES_GRAPH_SET_H
#define PGK_SERVICES_GRAPH_SET_H

#include <stdbool.h>
#include <sys/queue.h>

#include "backend/stores.h"

/* How many writes of unknown outcome in a row are known by; the oldest is forgotten. */
#define GRAPH_UNSURE_MAX 8

struct graph_entry {
    pgk_uuid job_id;
    bool owned;
    pgk_uuid op_id;  /* the write that is owned */
    int64_t created; /* names the creation that is known; 0: none yet */
    /* Writes whose outcome is unknown, any of which may stand instead: up to GRAPH_UNSURE_MAX, the
     * latest last; NULL: none. */
    pgk_uuid *unsure;
    size_t unsure_count;
    bool acting;       /* a call of the store's is under way */
    uint64_t touched;  /* when the last one ended */
    uint64_t seen;     /* read in which it was there */
    uint64_t claimed;  /* mark of the recovery of all by which it came to be owned; 0: otherwise */
    uint64_t released; /* when it was released last, if during a recovery of all; 0: not */
    bool told;         /* not owned, and the listener knows that it is there */
    bool due_removed;  /* to be told, before: */
    bool due_added;
    LIST_ENTRY(graph_entry) chain;
    TAILQ_ENTRY(graph_entry) due;
};

struct graph_set {
    LIST_HEAD(graph_chain, graph_entry) * buckets;
    size_t bucket_count; /* a power of two; 0: empty */
    size_t count;
    TAILQ_HEAD(, graph_entry) due;
    uint64_t clock;     /* counts what the store does, and reads */
    uint64_t mark;      /* when the read under way began */
    int recovering;     /* recoveries of all that are under way */
    uint64_t recovered; /* when the last one ended */
    uint64_t released;  /* when one was released during such a one; 0: never */
};

/* PGK_ERR_NO_MEMORY. */
pgk_status graph_set_init(struct graph_set *set, pgk_error *err);
void graph_set_clear(struct graph_set *set);
void graph_set_free(struct graph_set *set);

struct graph_entry *graph_set_find(const struct graph_set *set, const pgk_uuid *job_id);
/* NULL: out of memory. */
struct graph_entry *graph_set_get(struct graph_set *set, const pgk_uuid *job_id);
/* Frees an entry that says nothing any more; `listens`: only the next read may forget it. */
void graph_set_tidy(struct graph_set *set, struct graph_entry *entry, bool listens);

/* It is owned now, as this write; `created` 0: not known, the next read tells. */
void graph_set_own(struct graph_set *set, struct graph_entry *entry, const pgk_uuid *op_id,
                   int64_t created);
/* It is not owned now; `there`: and still there, of which nobody need be told. */
void graph_set_disown(struct graph_set *set, struct graph_entry *entry, bool there);
/* It was handed out by the recovery that began at `mark`; owned, as this write. */
void graph_set_claim(struct graph_set *set, struct graph_entry *entry, const pgk_uuid *op_id,
                     int64_t created, uint64_t mark);
/* That recovery came to nothing: what is owned by it alone is not. */
void graph_set_unclaim(struct graph_set *set, uint64_t mark);
/* It is about to be released. */
void graph_set_release(struct graph_set *set, struct graph_entry *entry);
/* Jobs that were released since `mark`: *ret_ids (free it), NULL: none, or no memory for them. */
size_t graph_set_released(const struct graph_set *set, uint64_t mark, pgk_uuid **ret_ids);
/* A recovery of all has ended. */
void graph_set_end_recovery(struct graph_set *set, bool listens);

/* The outcome of this write is unknown. */
void graph_set_doubt(struct graph_entry *entry, const pgk_uuid *op_id);

/* A read begins; it ends with what was there. False: what the store did meanwhile hides something,
 * or memory is short. */
void graph_set_begin_read(struct graph_set *set);
bool graph_set_end_read(struct graph_set *set, const struct graph_id *ids, size_t count);

/* The next thing to tell; false: nothing. *ret_added: else removed. */
bool graph_set_take_due(struct graph_set *set, pgk_uuid *ret_job_id, bool *ret_added);

#endif
