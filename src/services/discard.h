/*
 * services/discard.h - handing what is discarding to the application and deleting what it has
 * removed. The callback runs on the caller's thread, with nothing locked, no session held and the
 * handle free to be closed.
 */
#ifndef PGK_SERVICES_DISCARD_H
#define PGK_SERVICES_DISCARD_H

#include "services/store_common.h"

/*
 * All that is discarding, of one job or (NULL) of all. Not inside a call: it enters one for each
 * step. *ret_left: how many the callback did not remove.
 */
pgk_status discard_all(struct store *store, const pgk_uuid *job_id, pgk_discard_fn fn, void *user,
                       const char *origin, int64_t *ret_left, pgk_error *err);

#endif
