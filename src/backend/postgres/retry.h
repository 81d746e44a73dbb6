/*
 * backend/postgres/retry.h - how long to wait before the next try, the same for all who try:
 * callers within their time, background sessions for ever. Pure but for jitter and the clock.
 */
#ifndef PGK_POSTGRES_RETRY_H
#define PGK_POSTGRES_RETRY_H

#include "core/settings.h"

/* The wait after so many failures in a row (1: the first): retry-wait, doubled up to
 * max-retry-wait, with jitter; more for a fault that does not pass by itself. */
int64_t retry_wait_ns(const struct settings *settings, int failures, const pgk_error *error);

/* One call that tries again. Zero `failures` to begin. */
struct retry {
    const struct settings *settings;
    int64_t deadline_ns;
    int failures;
};

/* After a failure: when to try again; false when it is no use, too late, or often enough. */
bool retry_again(struct retry *retry, const pgk_error *error, int64_t *ret_at_ns);

#endif
