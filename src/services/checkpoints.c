/*
 * services/checkpoints.c - the checkpoints of one job: opening, the list as this store knows it, discards and
 * reads; checkpoint_changes.c changes it. Any thread; round trips are made without the lock.
 */
#include <pgkeeper/checkpoint.h>

#include <inttypes.h>
#include <stdlib.h>

#include "services/checkpoint_entry.h"
#include "services/checkpoints.h"
#include "services/discard.h"

/* ------------------------------------------------------------------ opening */

static pgk_status check_options(const pgk_checkpoints_options *options, const char *origin,
                                pgk_error *err)
{
    pgk_status status = check_not_null(options, "options", origin, err);

    if (status == PGK_OK) {
        status = check_size(options->size, sizeof(*options), "options", origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    if (options->max_retained < 1) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "max_retained is %d; it must be at least 1 (pgk_ha_num_retained gives the "
                         "configured one)",
                         options->max_retained);
    }
    return PGK_OK;
}

pgk_status checkpoints_read_list(pgk_checkpoints *checkpoints, pgk_error *err)
{
    pgk_ha *ha = checkpoints->store.ha;
    struct checkpoint_head *heads = NULL;
    size_t count = 0;
    pgk_status status =
        ha->ops->checkpoints->heads(ha->backend, &checkpoints->job_id, &heads, &count, err);

    if (status != PGK_OK) {
        return status;
    }
    struct rule_entry *list = calloc(count + 1, sizeof(*list));

    if (list == NULL) {
        free(heads);
        return error_set(err, PGK_ERR_NO_MEMORY, "ha.checkpoints", "no memory for %zu checkpoints",
                         count);
    }
    for (size_t i = 0; i < count; i++) {
        list[i] =
            (struct rule_entry){.checkpoint_id = heads[i].checkpoint_id, .kind = heads[i].kind};
        /* What moves out from now on is not found by its id any more. */
        store_note_done(&checkpoints->store, &heads[i].op_id);
    }
    free(heads);
    pthread_mutex_lock(&ha->lock);
    free(checkpoints->list);
    checkpoints->list = list;
    checkpoints->count = count;
    checkpoints->stale = false;
    pthread_mutex_unlock(&ha->lock);
    return PGK_OK;
}

static void destroy(pgk_checkpoints *checkpoints)
{
    free(checkpoints->list);
    free(checkpoints);
}

static pgk_status open_list(pgk_checkpoints *checkpoints, pgk_ha *ha, const pgk_token *token,
                            const char *origin, pgk_error *err)
{
    struct call call;
    pgk_status status = store_open(&checkpoints->store, ha, token, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    status = store_enter(&checkpoints->store, &call, "ha", origin, err);
    if (status == PGK_OK) {
        status = checkpoints_read_list(checkpoints, err);
        call_leave(&call);
    }
    if (status != PGK_OK) {
        store_close(&checkpoints->store);
    }
    return status;
}

pgk_status pgk_ha_checkpoints(pgk_ha *ha, const pgk_token *token,
                              const pgk_checkpoints_options *options, pgk_checkpoints **ret_store,
                              pgk_error *err)
{
    static const char origin[] = "ha.checkpoints";

    error_reset(err);
    pgk_status status = check_not_null(ret_store, "ret_store", origin, err);

    if (status == PGK_OK) {
        status = check_options(options, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    pgk_checkpoints *checkpoints = calloc(1, sizeof(*checkpoints));

    if (checkpoints == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, origin, "no memory for a store");
    }
    checkpoints->job_id = options->job_id;
    checkpoints->max_retained = options->max_retained;
    checkpoints->discard = options->discard;
    checkpoints->user = options->user;
    checkpoints->may_discard = true; /* a former leader may have left some */
    status = open_list(checkpoints, ha, token, origin, err);
    if (status != PGK_OK) {
        destroy(checkpoints);
        return status;
    }
    *ret_store = checkpoints;
    return PGK_OK;
}

void pgk_checkpoints_free(pgk_checkpoints *store)
{
    if (store != NULL && store_close(&store->store)) {
        destroy(store);
    }
}

int pgk_ha_num_retained(const pgk_ha *ha)
{
    return ha != NULL ? ha->settings->num_retained : 0;
}

size_t pgk_checkpoints_count(const pgk_checkpoints *store)
{
    if (store == NULL || ha_is_foreign(store->store.ha)) {
        return 0;
    }
    pthread_mutex_t *lock = &store->store.ha->lock;

    pthread_mutex_lock(lock);
    size_t count = store->count;

    pthread_mutex_unlock(lock);
    return count;
}

/* ------------------------------------------------------------------ discards */

/* Waits for its turn, or (`wait` false) leaves it to whoever has it. */
static bool take_discards(pgk_checkpoints *checkpoints, bool wait)
{
    pgk_ha *ha = checkpoints->store.ha;

    pthread_mutex_lock(&ha->lock);
    while (wait && checkpoints->discarding) {
        pthread_cond_wait(&ha->changed, &ha->lock);
    }
    bool mine = !checkpoints->discarding && (wait || checkpoints->may_discard);

    if (mine) {
        checkpoints->discarding = true;
        checkpoints->may_discard = false; /* what is added from now on says so anew */
    }
    pthread_mutex_unlock(&ha->lock);
    return mine;
}

static pgk_status discard_mine(pgk_checkpoints *checkpoints, const char *origin, int64_t *ret_left,
                               pgk_error *err)
{
    pgk_ha *ha = checkpoints->store.ha;
    int64_t left = 0;
    pgk_status status = discard_all(&checkpoints->store, &checkpoints->job_id, checkpoints->discard,
                                    checkpoints->user, origin, &left, err);

    pthread_mutex_lock(&ha->lock);
    checkpoints->discarding = false;
    if (status != PGK_OK || left > 0) {
        checkpoints->may_discard = true;
    }
    pthread_cond_broadcast(&ha->changed);
    pthread_mutex_unlock(&ha->lock);
    if (status == PGK_OK) {
        *ret_left = left;
    }
    return status;
}

void checkpoints_discard_quietly(pgk_checkpoints *checkpoints, const char *origin)
{
    int64_t left;

    if (checkpoints->discard != NULL && take_discards(checkpoints, false)) {
        (void)discard_mine(checkpoints, origin, &left, NULL);
    }
}

pgk_status pgk_checkpoints_discard_pending(pgk_checkpoints *store, int64_t *ret_left,
                                           pgk_error *err)
{
    static const char origin[] = "checkpoints.discard_pending";
    struct call call;

    error_reset(err);
    pgk_status status = check_not_null(ret_left, "ret_left", origin, err);

    if (status == PGK_OK) {
        status = store_enter(checkpoints_base(store), &call, "store", origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    call_leave(&call); /* it is open; each step enters anew */
    if (store->discard == NULL) {
        return error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                         "the store was opened without a discard callback");
    }
    take_discards(store, true);
    return discard_mine(store, origin, ret_left, err);
}

pgk_status pgk_ha_discard_pending(pgk_ha *ha, const pgk_token *token, const pgk_uuid *job_id,
                                  pgk_discard_fn fn, void *user, int64_t *ret_left, pgk_error *err)
{
    static const char origin[] = "ha.discard_pending";
    struct store store = {.ha = NULL};

    error_reset(err);
    if (fn == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "fn is NULL");
    }
    pgk_status status = check_not_null(ret_left, "ret_left", origin, err);

    if (status == PGK_OK) {
        status = store_open(&store, ha, token, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = discard_all(&store, job_id, fn, user, origin, ret_left, err);
    store_close(&store);
    return status;
}

/* ------------------------------------------------------------------ reads */

struct listing {
    struct call call;
    const char *origin;
    pgk_checkpoint_fn fn;
    void *user;
    bool seen;
    int64_t last_id;
    const char *reason; /* why the last one is damaged; static; NULL: it is not */
};

static pgk_status pass(void *ctx, const struct checkpoint_row *row, pgk_error *err)
{
    struct listing *listing = ctx;
    pgk_checkpoint checkpoint;

    checkpoint_from_row(row, &checkpoint);
    listing->seen = true;
    listing->last_id = checkpoint.checkpoint_id;
    listing->reason = checkpoint.reason;
    return store_callback_answer(&listing->call, listing->fn(listing->user, &checkpoint),
                                 listing->origin, err);
}

static pgk_status list(pgk_checkpoints *checkpoints, bool latest_only, struct listing *listing,
                       pgk_error *err)
{
    if (listing->fn == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, listing->origin, "fn is NULL");
    }
    pgk_status status =
        store_enter(checkpoints_base(checkpoints), &listing->call, "store", listing->origin, err);

    if (status != PGK_OK) {
        return status;
    }
    const pgk_ha *ha = checkpoints->store.ha;

    status = ha->ops->checkpoints->list(ha->backend, &checkpoints->job_id, latest_only, pass,
                                        listing, err);
    call_leave(&listing->call);
    return status;
}

pgk_status pgk_checkpoints_latest(pgk_checkpoints *store, pgk_checkpoint_fn fn, void *user,
                                  pgk_error *err)
{
    struct listing listing = {.origin = "checkpoints.latest", .fn = fn, .user = user};

    error_reset(err);
    pgk_status status = list(store, true, &listing, err);

    if (status != PGK_OK) {
        return status;
    }
    char text[PGK_UUID_HEX_SIZE];

    pgk_uuid_format_hex(&store->job_id, text);
    if (!listing.seen) {
        return error_set(err, PGK_ERR_NOT_FOUND, listing.origin, "job %s has no checkpoint", text);
    }
    if (listing.reason != NULL) {
        return error_set(err, PGK_ERR_CORRUPT, listing.origin,
                         "checkpoint %" PRId64 " of job %s is damaged: %s; pgk_checkpoints_all "
                         "gives those before it",
                         listing.last_id, text, listing.reason);
    }
    return PGK_OK;
}

pgk_status pgk_checkpoints_all(pgk_checkpoints *store, pgk_checkpoint_fn fn, void *user,
                               pgk_error *err)
{
    struct listing listing = {.origin = "checkpoints.all", .fn = fn, .user = user};

    error_reset(err);
    return list(store, false, &listing, err);
}
