/*
 * services/checkpoints.h - a store of checkpoints, shared by the files that open, read and change it.
 */
#ifndef PGK_SERVICES_CHECKPOINTS_H
#define PGK_SERVICES_CHECKPOINTS_H

#include "services/checkpoint_rules.h"
#include "services/store_common.h"

struct pgk_checkpoints {
    struct store store; /* first */
    pgk_uuid job_id;
    int max_retained;
    pgk_discard_fn discard;
    void *user;
    /* Under the handle's lock. */
    struct rule_entry *list; /* completed, ascending */
    size_t count;
    bool busy;        /* an add or a shutdown is under way */
    bool discarding;  /* somebody hands out what is discarding */
    bool may_discard; /* something may be discarding */
    bool stale;       /* the list may not be what is stored */
    bool shut_down;   /* written with the turn */
};

static inline struct store *checkpoints_base(pgk_checkpoints *checkpoints)
{
    return checkpoints != NULL ? &checkpoints->store : NULL;
}

/* Inside a call, with the turn or before anybody else knows the store. */
pgk_status checkpoints_read_list(pgk_checkpoints *checkpoints, pgk_error *err);

/* After a write; its failure is nobody's: what is left is tried again. Not inside a call. */
void checkpoints_discard_quietly(pgk_checkpoints *checkpoints, const char *origin);

#endif
