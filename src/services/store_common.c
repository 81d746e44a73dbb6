/* services/store_common.c - see store_common.h. */
#include "services/store_common.h"

#include <string.h>

pgk_status store_open(struct store *store, pgk_ha *ha, const pgk_token *token, const char *origin,
                      pgk_error *err)
{
    pgk_status status = ha_check_process(ha, origin, err);

    if (status == PGK_OK && ha->client_only) {
        status = error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                           "the handle was opened for retrieval only; open it with pgk_ha_open");
    }
    return status == PGK_OK ? store_open_any(store, ha, token, origin, err) : status;
}

pgk_status store_open_any(struct store *store, pgk_ha *ha, const pgk_token *token,
                          const char *origin, pgk_error *err)
{
    const pgk_token *checked = NULL;
    pgk_status status = token_check(ha, token, origin, &checked, err);

    if (status == PGK_OK) {
        status = ha_check_process(ha, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    store->fenced = checked != NULL;
    store->token = *token;
    pthread_mutex_lock(&ha->lock);
    status = ha_check_open(ha, origin, err);
    if (status == PGK_OK) {
        store->ha = ha;
        ha->refs++;
    }
    pthread_mutex_unlock(&ha->lock);
    return status;
}

bool store_close(struct store *store)
{
    if (ha_is_foreign(store->ha)) {
        return false; /* the lock may be held by a thread that does not exist here */
    }
    pthread_mutex_lock(&store->ha->lock);
    ha_unref_unlock(store->ha);
    return true;
}

pgk_status store_enter(const struct store *store, struct call *call, const char *what,
                       const char *origin, pgk_error *err)
{
    pgk_status status = check_not_null(store, what, origin, err);

    return status == PGK_OK ? call_enter(call, store->ha, origin, err) : status;
}

struct store_write store_new_write(const struct store *store)
{
    struct store_write write = {.token = store->fenced ? &store->token : NULL};

    pgk_uuid_new(&write.op_id);
    return write;
}

/* Locked. The slot that holds the key, or NULL. */
static struct store_unknown *find_unknown(struct store *store, const struct store_key *key)
{
    for (size_t i = 0; store->unknown_used > 0 && i < STORE_UNKNOWN_MAX; i++) {
        struct store_unknown *slot = &store->unknown[i];

        if (slot->used && memcmp(&slot->key, key, sizeof(*key)) == 0) {
            return slot;
        }
    }
    return NULL;
}

/* Locked. A slot to write to: a free one, or one after the other. */
static struct store_unknown *take_slot(struct store *store)
{
    for (size_t i = 0; i < STORE_UNKNOWN_MAX; i++) {
        if (!store->unknown[i].used) {
            store->unknown_used++;
            return &store->unknown[i];
        }
    }
    return &store->unknown[store->unknown_next++ % STORE_UNKNOWN_MAX];
}

bool store_resume(struct store *store, struct store_write *write, const struct store_key *key)
{
    pthread_mutex_lock(&store->ha->lock);
    const struct store_unknown *found = find_unknown(store, key);

    if (found != NULL) {
        write->op_id = found->op_id;
    }
    pthread_mutex_unlock(&store->ha->lock);
    return found != NULL;
}

void store_note_done(struct store *store, const pgk_uuid *op_id)
{
    pthread_mutex_lock(&store->ha->lock);
    for (size_t i = 0; store->unknown_used > 0 && i < STORE_UNKNOWN_MAX; i++) {
        struct store_unknown *slot = &store->unknown[i];

        if (slot->used && memcmp(&slot->op_id, op_id, sizeof(*op_id)) == 0) {
            slot->done = true;
        }
    }
    pthread_mutex_unlock(&store->ha->lock);
}

bool store_take_done(struct store *store, const struct store_key *key)
{
    pthread_mutex_lock(&store->ha->lock);
    struct store_unknown *slot = find_unknown(store, key);
    bool done = slot != NULL && slot->done;

    if (done) {
        slot->used = false;
        store->unknown_used--;
    }
    pthread_mutex_unlock(&store->ha->lock);
    return done;
}

pgk_status store_settle(struct store *store, const struct store_write *write, pgk_status status,
                        const struct store_key *key)
{
    pthread_mutex_lock(&store->ha->lock);
    struct store_unknown *slot = find_unknown(store, key);

    if (status == PGK_ERR_OUTCOME_UNKNOWN) {
        slot = slot != NULL ? slot : take_slot(store);
        slot->used = true;
        slot->done = false;
        slot->op_id = write->op_id;
        slot->key = *key;
    } else if (slot != NULL && (status == PGK_OK || status == PGK_ERR_FENCED)) {
        slot->used = false;
        store->unknown_used--;
    }
    pthread_mutex_unlock(&store->ha->lock);
    return status;
}

pgk_status store_callback_answer(const struct call *call, pgk_status answer, const char *origin,
                                 pgk_error *err)
{
    if (answer == PGK_OK) {
        return call_go_on(call, err);
    }
    return error_set(err, answer, origin, "the callback ended it with: %s",
                     pgk_status_text(answer));
}
