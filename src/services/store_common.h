/*
 * services/store_common.h - what the stores beside the graphs have in common: the handle and the
 * token they were opened with, the way into a call and out of it, writes whose outcome is unknown.
 *
 * Any thread; takes the handle's lock itself and never holds it over the backend.
 */
#ifndef PGK_SERVICES_STORE_COMMON_H
#define PGK_SERVICES_STORE_COMMON_H

#include "core/digest.h"
#include "services/call.h"

/* The latest instant that is taken, in milliseconds since 1970: the end of the year 9999. */
#define STORE_TIME_MAX_MS INT64_C(253402300799999)

/* How many writes of unknown outcome a store remembers. */
#define STORE_UNKNOWN_MAX 16

/* What a call and its arguments are known by: digests of the long ones, and numbers. */
#define STORE_KEY_DIGESTS 3
#define STORE_KEY_NUMBERS 6
struct store_key {
    pgk_uuid job_id;
    int64_t numbers[STORE_KEY_NUMBERS]; /* what call it is, and what else it is given */
    uint8_t digests[STORE_KEY_DIGESTS][DIGEST_BYTES];
};

struct store {
    pgk_ha *ha; /* holds a reference; constant */
    bool fenced;
    pgk_token token; /* when fenced */
    /* Under the handle's lock: so that the same call again is known to be the same. */
    struct store_unknown {
        bool used;
        bool done; /* as reading back has shown */
        struct store_key key;
        pgk_uuid op_id;
    } unknown[STORE_UNKNOWN_MAX];
    size_t unknown_used;
    size_t unknown_next; /* overwritten when none is free */
};

/* Checks the handle and the token, and refers to the handle. INVALID_ARGUMENT, ILLEGAL_STATE. */
pgk_status store_open(struct store *store, pgk_ha *ha, const pgk_token *token, const char *origin,
                      pgk_error *err);
/* Also over a handle that was opened for retrieval only. */
pgk_status store_open_any(struct store *store, pgk_ha *ha, const pgk_token *token,
                          const char *origin, pgk_error *err);
/* Drops the reference. In a forked child it does nothing and answers false: the memory is left. */
bool store_close(struct store *store);

/* A call of the application's begins, see call.h; store NULL: INVALID_ARGUMENT, naming `what`. */
pgk_status store_enter(const struct store *store, struct call *call, const char *what,
                       const char *origin, pgk_error *err);

/* A new write under the store's token. */
struct store_write store_new_write(const struct store *store);

/* True when a write with these arguments is of unknown outcome: this is then that write again. */
bool store_resume(struct store *store, struct store_write *write, const struct store_key *key);
/* The write `op_id` was found to be done; if its outcome is unknown, this is remembered. */
void store_note_done(struct store *store, const pgk_uuid *op_id);
/* True, once, when a write with these arguments was of unknown outcome and is done. */
bool store_take_done(struct store *store, const struct store_key *key);
/* Remembers it while its outcome is unknown. Returns `status`. */
pgk_status store_settle(struct store *store, const struct store_write *write, pgk_status status,
                        const struct store_key *key);

/* The answer of an application's row function: what is not PGK_OK ends the enumeration, and so does
 * a handle that it has closed. */
pgk_status store_callback_answer(const struct call *call, pgk_status answer, const char *origin,
                                 pgk_error *err);

#endif
