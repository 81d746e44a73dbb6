/*
 * services/call.h - passing into the backend's unlocked operations through a handle that may be
 * closed or of another process; checks of arguments that stores share. Any thread.
 */
#ifndef PGK_SERVICES_CALL_H
#define PGK_SERVICES_CALL_H

#include "services/handle.h"

/* PGK_OK when it is a token that a store of this handle (NULL is fine) can be opened under.
 * *ret_token NULL: no fence. */
pgk_status token_check(const pgk_ha *ha, const pgk_token *token, const char *origin,
                       const pgk_token **ret_token, pgk_error *err);

/* One call into the backend's unlocked operations. The handle stays open until call_leave(); a close
 * waits for it, unless it is made inside this very call, by a row function. */
struct call {
    pgk_ha *ha;
    struct call *outer; /* of this thread */
};
pgk_status call_enter(struct call *call, pgk_ha *ha, const char *origin, pgk_error *err);
void call_leave(struct call *call);
/* Between rows: ILLEGAL_STATE once the handle is being closed. */
pgk_status call_go_on(const struct call *call, pgk_error *err);
/* Locked. Calls of this thread on the handle. */
int calls_of_this_thread(const pgk_ha *ha);

/* Argument checks: INVALID_ARGUMENT, naming `what`; TOO_LARGE over the limit. */
pgk_status check_not_null(const void *argument, const char *what, const char *origin,
                          pgk_error *err);
pgk_status check_size(size_t size, size_t expected, const char *what, const char *origin,
                      pgk_error *err);
/* 1..limit bytes. */
pgk_status check_bytes(const void *data, size_t length, size_t limit, const char *what,
                       const char *origin, pgk_error *err);

/* Bytes with their digest, which goes to `digest` (DIGEST_BYTES). */
pgk_status bytes_make(const void *data, size_t length, uint8_t *digest,
                      struct store_bytes *ret_bytes, pgk_error *err);
/* Do the bytes match the digest that was read with them? */
bool bytes_match(const struct store_bytes *bytes);

#endif
