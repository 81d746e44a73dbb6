/*
 * services/store.c - see store.h.
 *
 * Any thread. Takes the handle's lock for a moment only; nothing here blocks.
 */
#include "services/store.h"

#include <string.h>

#include "core/digest.h"
#include "core/error.h"

/* Recognised by its address. */
static const pgk_token unfenced;

/* Calls into the backend that this thread is in, innermost first. */
static _Thread_local struct call *innermost;

const pgk_token *pgk_token_unfenced(void)
{
    return &unfenced;
}

pgk_status store_check_token(const pgk_token *token, const char *origin,
                             const pgk_token **ret_token, pgk_error *err)
{
    if (token == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "token is NULL; without a fence on purpose: PGK_UNFENCED");
    }
    if (token == &unfenced) {
        *ret_token = NULL;
        return PGK_OK;
    }
    if (token->leadership_id == 0 || token->epoch == 0) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "token is empty: take it from pgk_election_token; without a fence on "
                         "purpose: PGK_UNFENCED itself, not a copy");
    }
    *ret_token = token;
    return PGK_OK;
}

pgk_status store_init(struct store *store, pgk_ha *ha, const pgk_token *token, const char *origin,
                      pgk_error *err)
{
    const pgk_token *checked;
    pgk_status status = store_check_token(token, origin, &checked, err);

    if (status == PGK_OK) {
        status = ha_check_process(ha, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    pthread_mutex_lock(&ha->lock);
    status = ha_check_open(ha, origin, err);
    if (status == PGK_OK) {
        ha->refs++;
    }
    pthread_mutex_unlock(&ha->lock);
    if (status == PGK_OK) {
        store->ha = ha;
        store->fenced = checked != NULL;
        if (checked != NULL) {
            store->token = *checked;
        }
    }
    return status;
}

void store_done(struct store *store)
{
    /* In a forked child the lock may be held by a thread that does not exist there. */
    if (ha_is_foreign(store->ha)) {
        return;
    }
    pthread_mutex_lock(&store->ha->lock);
    ha_unref_unlock(store->ha);
}

struct store_write store_new_write(const pgk_token *token)
{
    struct store_write write = {.token = token};

    pgk_uuid_new(&write.op_id);
    return write;
}

pgk_status call_enter(struct call *call, pgk_ha *ha, const char *origin, pgk_error *err)
{
    pgk_status status = ha_check_process(ha, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    pthread_mutex_lock(&ha->lock);
    status = ha_check_open(ha, origin, err);
    if (status == PGK_OK) {
        ha->refs++;
        ha->calls++;
        *call = (struct call){.ha = ha, .outer = innermost};
        innermost = call;
    }
    pthread_mutex_unlock(&ha->lock);
    return status;
}

void call_leave(struct call *call)
{
    pgk_ha *ha = call->ha;

    pthread_mutex_lock(&ha->lock);
    innermost = call->outer;
    ha->calls--;
    pthread_cond_broadcast(&ha->changed);
    ha_unref_unlock(ha);
}

pgk_status call_go_on(const struct call *call, pgk_error *err)
{
    pthread_mutex_lock(&call->ha->lock);
    pgk_status status = ha_check_open(call->ha, "store", err);
    pthread_mutex_unlock(&call->ha->lock);
    return status;
}

int calls_of_this_thread(const pgk_ha *ha)
{
    int count = 0;

    for (const struct call *call = innermost; call != NULL; call = call->outer) {
        count += call->ha == ha;
    }
    return count;
}

pgk_status check_not_null(const void *argument, const char *what, const char *origin,
                          pgk_error *err)
{
    return argument != NULL ? PGK_OK
                            : error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "%s is NULL", what);
}

pgk_status check_size(size_t size, size_t expected, const char *what, const char *origin,
                      pgk_error *err)
{
    return size == expected ? PGK_OK
                            : error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                                        "%s.size is %zu, expected %zu: set it to sizeof the "
                                        "structure",
                                        what, size, expected);
}

pgk_status check_bytes(const void *data, size_t length, size_t limit, const char *what,
                       const char *origin, pgk_error *err)
{
    if (data == NULL || length == 0) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "%s has no bytes", what);
    }
    if (length > limit) {
        return error_set(err, PGK_ERR_TOO_LARGE, origin,
                         "%s has %zu bytes, at most %zu are allowed", what, length, limit);
    }
    return PGK_OK;
}

pgk_status store_bytes_make(const void *data, size_t length, uint8_t *digest,
                            struct store_bytes *ret_bytes, pgk_error *err)
{
    *ret_bytes = (struct store_bytes){
        .data = data, .length = length, .digest = digest, .digest_length = DIGEST_BYTES};
    return digest_sha256(data, length, digest, err);
}

bool store_bytes_match(const struct store_bytes *bytes, const char *text)
{
    uint8_t digest[DIGEST_BYTES];
    const void *data = bytes->data != NULL ? bytes->data : text;
    size_t length = bytes->data != NULL ? bytes->length : text != NULL ? strlen(text) : 0;

    return data != NULL && bytes->digest != NULL && bytes->digest_length == sizeof(digest) &&
           digest_sha256(data, length, digest, NULL) == PGK_OK &&
           memcmp(digest, bytes->digest, sizeof(digest)) == 0;
}
