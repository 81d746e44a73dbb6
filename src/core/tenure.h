/*
 * core/tenure.h - one tenure of a group, as published to any number of lock-free readers.
 *
 * Written by one thread at a time (the backend, under the handle's lock); read by any thread
 * without a lock or I/O. A reader that meets a writer takes the answer "not leader", which a
 * transition allows, rather than wait for a thread that may be stalled. The clock is compared at
 * each read.
 */
#ifndef PGK_CORE_TENURE_H
#define PGK_CORE_TENURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <pgkeeper/election.h>

struct tenure {
    _Atomic uint32_t version; /* odd while it is being written */
    _Atomic int32_t leadership_id;
    _Atomic uint64_t session_high;
    _Atomic uint64_t session_low;
    _Atomic int64_t epoch;
    _Atomic int64_t valid_until_ns; /* CLOCK_BOOTTIME; 0: no tenure */
};

/* Writers. renew only ever moves a live deadline forward: it does not revive one that has passed
 * (returns false then), nor a tenure that was ended. */
void tenure_begin(struct tenure *tenure, int32_t leadership_id, const pgk_uuid *session_id,
                  int64_t epoch, int64_t valid_until_ns);
bool tenure_renew(struct tenure *tenure, int64_t now_ns, int64_t valid_until_ns);
void tenure_end(struct tenure *tenure);

/* Readers. deadline: 0 when the tenure is over or session_id (NULL: any) is not its own. */
int64_t tenure_deadline_ns(const struct tenure *tenure, const pgk_uuid *session_id);
/* Copies the token out; false when not leading now. */
bool tenure_token(const struct tenure *tenure, pgk_token *ret_token);

#endif
