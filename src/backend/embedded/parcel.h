/*
 * backend/embedded/parcel.h - bytes that are kept in memory with their digest, by whoever holds a
 * reference: what is stored, and each row that is being handed out. Never changed once made.
 *
 * Any thread, without a lock; but a reference is taken where the holder of another one cannot let
 * go of it meanwhile.
 */
#ifndef PGK_EMBEDDED_PARCEL_H
#define PGK_EMBEDDED_PARCEL_H

#include <stdatomic.h>

#include "backend/stores.h"

struct parcel {
    atomic_int refs;
    size_t length;
    uint8_t digest[STORE_DIGEST_BYTES];
    size_t digest_length; /* 0: it has none */
    char data[];          /* and a NUL */
};

/* A copy. bytes->data NULL, or text NULL: *ret_parcel is NULL. NO_MEMORY. */
pgk_status parcel_new(const struct store_bytes *bytes, struct parcel **ret_parcel, pgk_error *err);
pgk_status parcel_new_text(const char *text, struct parcel **ret_parcel, pgk_error *err);

/* NULL is fine. Returns the parcel. */
struct parcel *parcel_hold(struct parcel *parcel);
void parcel_drop(struct parcel *parcel);

/* They point into the parcel; of NULL: none. */
struct store_bytes parcel_bytes(const struct parcel *parcel);
const char *parcel_text(const struct parcel *parcel);

#endif
