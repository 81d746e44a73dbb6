/* services/discard.c - see discard.h. */
#include "services/discard.h"

#include <stdlib.h>
#include <string.h>

#include "services/checkpoint_entry.h"

/* One entry, taken out of its row, so that no session waits with the callback. */
struct entry {
    bool found;
    pgk_uuid op_id;
    pgk_checkpoint checkpoint;
    void *metadata; /* owned */
    char *pointer;  /* owned */
};

/* A large one is kept, a small one copied. NULL: no memory. */
static void *take_metadata(const struct checkpoint_row *row)
{
    const struct store_bytes *content = &row->content;

    if (row->held != NULL) {
        void *kept = *row->held;

        *row->held = NULL;
        return kept;
    }
    void *copy = malloc(content->length);

    if (copy != NULL) {
        memcpy(copy, content->data, content->length);
    }
    return copy;
}

static pgk_status take_entry(void *ctx, const struct checkpoint_row *row, pgk_error *err)
{
    struct entry *entry = ctx;
    pgk_checkpoint *c = &entry->checkpoint;

    checkpoint_from_row(row, c);
    if (c->metadata != NULL) {
        entry->metadata = take_metadata(row);
    }
    if (c->pointer != NULL) {
        entry->pointer = strdup(c->pointer);
    }
    if ((c->metadata != NULL && entry->metadata == NULL) ||
        (c->pointer != NULL && entry->pointer == NULL)) {
        return error_set(err, PGK_ERR_NO_MEMORY, "discard", "no memory for a checkpoint");
    }
    c->metadata = entry->metadata;
    c->pointer = entry->pointer;
    entry->op_id = row->op_id;
    entry->found = true;
    return PGK_OK;
}

static void free_entry(struct entry *entry)
{
    free(entry->metadata);
    free(entry->pointer);
}

/* The one after *last; last NULL: the first. */
static pgk_status read_next(struct store *store, const pgk_uuid *job_id, const struct entry *last,
                            const char *origin, struct entry *ret_entry, pgk_error *err)
{
    struct call call;
    pgk_status status = store_enter(store, &call, "store", origin, err);

    if (status != PGK_OK) {
        return status;
    }
    const pgk_ha *ha = store->ha;

    status = ha->ops->checkpoints->discarding(ha->backend, store->fenced ? &store->token : NULL,
                                              job_id, last->found ? &last->checkpoint.job_id : NULL,
                                              last->checkpoint.checkpoint_id, 1, take_entry,
                                              ret_entry, err);
    call_leave(&call);
    return status;
}

static pgk_status delete_entry(struct store *store, const struct entry *entry, const char *origin,
                               pgk_error *err)
{
    struct call call;
    pgk_status status = store_enter(store, &call, "store", origin, err);

    if (status != PGK_OK) {
        return status;
    }
    const pgk_ha *ha = store->ha;
    struct store_write write = store_new_write(store);

    status = ha->ops->checkpoints->discarded(ha->backend, &write, &entry->checkpoint.job_id,
                                             entry->checkpoint.checkpoint_id, &entry->op_id, err);
    call_leave(&call);
    return status;
}

pgk_status discard_all(struct store *store, const pgk_uuid *job_id, pgk_discard_fn fn, void *user,
                       const char *origin, int64_t *ret_left, pgk_error *err)
{
    struct entry last = {.found = false};
    int64_t left = 0;

    for (;;) {
        struct entry entry = {.found = false};
        pgk_status status = read_next(store, job_id, &last, origin, &entry, err);

        if (status == PGK_OK && entry.found) {
            if (fn(user, &entry.checkpoint) == PGK_OK) {
                status = delete_entry(store, &entry, origin, err);
            } else {
                left++;
            }
        }
        free_entry(&entry);
        if (status != PGK_OK) {
            return status;
        }
        if (!entry.found) {
            *ret_left = left;
            return PGK_OK;
        }
        last.found = true;
        last.checkpoint.job_id = entry.checkpoint.job_id;
        last.checkpoint.checkpoint_id = entry.checkpoint.checkpoint_id;
    }
}
