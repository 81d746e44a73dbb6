/* backend/embedded/parcel.c - see parcel.h. */
#include "backend/embedded/parcel.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

static pgk_status make(const void *data, size_t length, struct parcel **ret_parcel, pgk_error *err)
{
    struct parcel *parcel =
        length < SIZE_MAX - sizeof(*parcel) ? malloc(sizeof(*parcel) + length + 1) : NULL;

    if (parcel == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "stores", "no memory for %zu bytes", length);
    }
    atomic_init(&parcel->refs, 1);
    parcel->length = length;
    parcel->digest_length = 0;
    memcpy(parcel->data, data, length);
    parcel->data[length] = '\0';
    *ret_parcel = parcel;
    return PGK_OK;
}

pgk_status parcel_new(const struct store_bytes *bytes, struct parcel **ret_parcel, pgk_error *err)
{
    *ret_parcel = NULL;
    if (bytes->data == NULL) {
        return PGK_OK;
    }
    pgk_status status = make(bytes->data, bytes->length, ret_parcel, err);

    if (status == PGK_OK && bytes->digest != NULL && bytes->digest_length == STORE_DIGEST_BYTES) {
        memcpy((*ret_parcel)->digest, bytes->digest, STORE_DIGEST_BYTES);
        (*ret_parcel)->digest_length = STORE_DIGEST_BYTES;
    }
    return status;
}

pgk_status parcel_new_text(const char *text, struct parcel **ret_parcel, pgk_error *err)
{
    *ret_parcel = NULL;
    return text != NULL ? make(text, strlen(text), ret_parcel, err) : PGK_OK;
}

struct parcel *parcel_hold(struct parcel *parcel)
{
    if (parcel != NULL) {
        atomic_fetch_add_explicit(&parcel->refs, 1, memory_order_relaxed);
    }
    return parcel;
}

void parcel_drop(struct parcel *parcel)
{
    if (parcel != NULL && atomic_fetch_sub(&parcel->refs, 1) == 1) {
        free(parcel);
    }
}

struct store_bytes parcel_bytes(const struct parcel *parcel)
{
    if (parcel == NULL) {
        return (struct store_bytes){.data = NULL};
    }
    return (struct store_bytes){.data = parcel->data,
                                .length = parcel->length,
                                .digest = parcel->digest_length > 0 ? parcel->digest : NULL,
                                .digest_length = parcel->digest_length};
}

const char *parcel_text(const struct parcel *parcel)
{
    return parcel != NULL ? parcel->data : NULL;
}
