/*
 * services/call.c - see call.h.
 *
 * Any thread. Takes the handle's lock for a moment only; nothing here blocks.
 */
#include "services/call.h"

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

pgk_status token_check(const pgk_ha *ha, const pgk_token *token, const char *origin,
                       const pgk_token **ret_token, pgk_error *err)
{
    bool fixed = ha != NULL && ha->ops->fixed_leaders;

    if (token == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "token is NULL; without a fence on purpose: PGK_UNFENCED");
    }
    if (token == &unfenced) {
        *ret_token = NULL;
        return PGK_OK;
    }
    if (!fixed && (token->leadership_id == 0 || token->epoch == 0)) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "token is empty: take it from pgk_election_token; without a fence on "
                         "purpose: PGK_UNFENCED itself, not a copy");
    }
    *ret_token = token;
    return PGK_OK;
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
    pgk_status status = ha_check_open(call->ha, "enumeration", err);
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

pgk_status bytes_make(const void *data, size_t length, uint8_t *digest,
                      struct store_bytes *ret_bytes, pgk_error *err)
{
    *ret_bytes = (struct store_bytes){
        .data = data, .length = length, .digest = digest, .digest_length = DIGEST_BYTES};
    return digest_sha256(data, length, digest, err);
}

bool bytes_match(const struct store_bytes *bytes)
{
    uint8_t digest[DIGEST_BYTES];

    return bytes->data != NULL && bytes->digest != NULL && bytes->digest_length == sizeof(digest) &&
           digest_sha256(bytes->data, bytes->length, digest, NULL) == PGK_OK &&
           memcmp(digest, bytes->digest, sizeof(digest)) == 0;
}
