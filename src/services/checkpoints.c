/*
 * services/checkpoints.c - the checkpoints of one job: argument checks, the list as this store knows
 * it, when and with what the rules and the discards run. Any thread; round trips are made without
 * the lock, and those that change the list take turns.
 */
#include <pgkeeper/checkpoint.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "services/checkpoint_entry.h"
#include "services/checkpoint_rules.h"
#include "services/discard.h"

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

static struct store *base_of(pgk_checkpoints *checkpoints)
{
    return checkpoints != NULL ? &checkpoints->store : NULL;
}

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

/* Inside a call, with the turn or before anybody else knows the store. */
static pgk_status read_list(pgk_checkpoints *checkpoints, pgk_error *err)
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
        status = read_list(checkpoints, err);
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

/* After a write; its failure is nobody's: what is left is tried again. */
static void discard_quietly(pgk_checkpoints *checkpoints, const char *origin)
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
        status = store_enter(base_of(store), &call, "store", origin, err);
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

/* ------------------------------------------------------------------ changes of the list */

/* Inside a call: the turn to change the list. */
static void take_turn(pgk_checkpoints *checkpoints)
{
    pgk_ha *ha = checkpoints->store.ha;

    pthread_mutex_lock(&ha->lock);
    while (checkpoints->busy) {
        pthread_cond_wait(&ha->changed, &ha->lock);
    }
    checkpoints->busy = true;
    pthread_mutex_unlock(&ha->lock);
}

static void give_turn(pgk_checkpoints *checkpoints)
{
    pgk_ha *ha = checkpoints->store.ha;

    pthread_mutex_lock(&ha->lock);
    checkpoints->busy = false;
    pthread_cond_broadcast(&ha->changed);
    pthread_mutex_unlock(&ha->lock);
}

/* What an add would make of the list. */
struct plan {
    struct rule_entry *list;
    size_t count;
    int64_t *discard; /* in one array with retain */
    size_t discard_count;
    int64_t *retain;
    size_t retain_count;
};

static void free_plan(struct plan *plan)
{
    free(plan->list);
    free(plan->discard);
}

/* Puts the new one into its place, unless it is there: one whose first add got no answer. Returns
 * the count. */
static size_t insert(struct rule_entry *list, size_t count, const pgk_checkpoint *checkpoint)
{
    size_t at = count;

    for (size_t i = 0; i < count; i++) {
        if (list[i].checkpoint_id == checkpoint->checkpoint_id) {
            return count;
        }
    }
    while (at > 0 && list[at - 1].checkpoint_id > checkpoint->checkpoint_id) {
        list[at] = list[at - 1];
        at--;
    }
    list[at] =
        (struct rule_entry){.checkpoint_id = checkpoint->checkpoint_id, .kind = checkpoint->kind};
    return count + 1;
}

/* With the turn. The list is not changed by others meanwhile. */
static pgk_status make_plan(const pgk_checkpoints *checkpoints, const pgk_checkpoint *checkpoint,
                            struct plan *plan, pgk_error *err)
{
    size_t count = checkpoints->count + 1;

    *plan = (struct plan){.list = calloc(count, sizeof(*plan->list)),
                          .discard = calloc(count * 2, sizeof(*plan->discard)),
                          .count = 0};
    if (plan->list == NULL || plan->discard == NULL) {
        free_plan(plan);
        return error_set(err, PGK_ERR_NO_MEMORY, "checkpoints.add", "no memory for the list");
    }
    plan->retain = plan->discard + count;
    memcpy(plan->list, checkpoints->list, checkpoints->count * sizeof(*plan->list));
    count = insert(plan->list, checkpoints->count, checkpoint);
    checkpoint_rules_subsume(plan->list, count, checkpoint->checkpoint_id,
                             checkpoints->max_retained);
    for (size_t i = 0; i < count; i++) {
        int64_t id = plan->list[i].checkpoint_id;

        if (!plan->list[i].leaves) {
            plan->list[plan->count++] = plan->list[i];
        } else if (checkpoint_rules_discards(plan->list[i].kind)) {
            plan->discard[plan->discard_count++] = id;
        } else {
            plan->retain[plan->retain_count++] = id;
        }
    }
    return PGK_OK;
}

static pgk_status write_add(pgk_checkpoints *checkpoints, const struct store_key *key,
                            const struct checkpoint_row *row, const struct plan *plan,
                            bool *ret_as_planned, pgk_error *err)
{
    struct store *store = &checkpoints->store;
    const pgk_ha *ha = store->ha;
    struct store_write write = store_new_write(store);

    store_resume(store, &write, key);
    pgk_status status =
        ha->ops->checkpoints->add(ha->backend, &write, row, plan->discard, plan->discard_count,
                                  plan->retain, plan->retain_count, ret_as_planned, err);

    return store_settle(store, &write, status, key);
}

/* With the turn: what the write made of the list, or may have. */
static void note_added(pgk_checkpoints *checkpoints, struct plan *plan, pgk_status status,
                       bool as_planned)
{
    pgk_ha *ha = checkpoints->store.ha;
    bool moves = plan->discard_count > 0 || (status == PGK_OK && !as_planned);

    pthread_mutex_lock(&ha->lock);
    if (status == PGK_OK && as_planned) {
        struct rule_entry *former = checkpoints->list;

        checkpoints->list = plan->list;
        checkpoints->count = plan->count;
        plan->list = former;
    }
    if (moves && (status == PGK_OK || status == PGK_ERR_OUTCOME_UNKNOWN)) {
        checkpoints->may_discard = true;
    }
    pthread_mutex_unlock(&ha->lock);
    checkpoints->stale = status != PGK_OK || !as_planned; /* read and written with the turn only */
}

/* With the turn. */
static pgk_status add_in_turn(pgk_checkpoints *checkpoints, const pgk_checkpoint *checkpoint,
                              const uint8_t *digest, const struct checkpoint_row *row,
                              pgk_error *err)
{
    struct plan plan;
    bool as_planned = false;
    struct store_key key = {.job_id = checkpoints->job_id,
                            .numbers = {checkpoint->checkpoint_id, (int64_t)checkpoint->kind,
                                        (int64_t)checkpoint->retention, checkpoint->completed_ms,
                                        checkpoint->pointer != NULL}};
    pgk_status status = checkpoints->stale ? read_list(checkpoints, err) : PGK_OK;

    memcpy(key.digests[0], digest, DIGEST_BYTES);
    if (status == PGK_OK && store_take_done(&checkpoints->store, &key)) {
        return PGK_OK;
    }
    if (status == PGK_OK) {
        status = make_plan(checkpoints, checkpoint, &plan, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = write_add(checkpoints, &key, row, &plan, &as_planned, err);
    note_added(checkpoints, &plan, status, as_planned);
    free_plan(&plan);
    if (status == PGK_OK && !as_planned) {
        (void)read_list(checkpoints, NULL); /* or before the next add */
    }
    return status;
}

/* On PGK_OK inside a call, with the turn. */
static pgk_status enter_add(pgk_checkpoints *checkpoints, struct call *call, const char *origin,
                            pgk_error *err)
{
    pgk_status status = store_enter(base_of(checkpoints), call, "store", origin, err);

    if (status != PGK_OK) {
        return status;
    }
    take_turn(checkpoints);
    if (checkpoints->shut_down) { /* written with the turn only */
        give_turn(checkpoints);
        call_leave(call);
        return error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                         "the store was shut down; open a new one for another run of the job");
    }
    return PGK_OK;
}

pgk_status pgk_checkpoints_add(pgk_checkpoints *store, const pgk_checkpoint *checkpoint,
                               pgk_error *err)
{
    static const char origin[] = "checkpoints.add";
    uint8_t digest[DIGEST_BYTES];
    struct checkpoint_row row;
    struct call call;

    error_reset(err);
    pgk_status status = checkpoint_check(checkpoint, origin, err);

    if (status == PGK_OK) {
        status = check_not_null(store, "store", origin, err);
    }
    if (status == PGK_OK) {
        status = checkpoint_make_row(checkpoint, &store->job_id, digest, &row, err);
    }
    if (status == PGK_OK) {
        status = enter_add(store, &call, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = add_in_turn(store, checkpoint, digest, &row, err);
    give_turn(store);
    call_leave(&call);
    if (status == PGK_OK) {
        discard_quietly(store, origin);
    }
    return status;
}

/* With the turn. */
static pgk_status shut_down_in_turn(pgk_checkpoints *checkpoints, pgk_job_status job_status,
                                    pgk_error *err)
{
    pgk_ha *ha = checkpoints->store.ha;
    struct store_write write = store_new_write(&checkpoints->store);
    pgk_status status =
        ha->ops->checkpoints->shutdown(ha->backend, &write, &checkpoints->job_id, job_status, err);

    if (status == PGK_OK) {
        pthread_mutex_lock(&ha->lock);
        checkpoints->count = 0; /* nothing is added after it */
        checkpoints->may_discard = true;
        pthread_mutex_unlock(&ha->lock);
    }
    return status;
}

pgk_status pgk_checkpoints_shutdown(pgk_checkpoints *store, pgk_job_status job_status,
                                    pgk_error *err)
{
    static const char origin[] = "checkpoints.shutdown";
    bool terminal = job_status_is_globally_terminal(job_status);
    struct call call;

    error_reset(err);
    pgk_status status = job_status_check(job_status, origin, err);

    if (status == PGK_OK) {
        status = store_enter(base_of(store), &call, "store", origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    take_turn(store);
    store->shut_down = true;
    if (terminal) {
        status = shut_down_in_turn(store, job_status, err);
    }
    give_turn(store);
    call_leave(&call);
    if (terminal && status == PGK_OK) {
        discard_quietly(store, origin);
    }
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
        store_enter(base_of(checkpoints), &listing->call, "store", listing->origin, err);

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
