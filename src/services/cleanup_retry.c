/* services/cleanup_retry.c - see cleanup_retry.h. */
#include "services/cleanup_retry.h"

#include "core/clock.h"

/* False: it was tried often enough. `failures` in a row, from 1. */
static bool wait_after(const struct cleanup_retry *rules, int failures, int64_t *ret_wait_ms)
{
    int64_t wait_ms = rules->initial_backoff_ms;

    switch (rules->strategy) {
    case CLEANUP_NONE:
        return false;
    case CLEANUP_FIXED_DELAY:
        *ret_wait_ms = rules->fixed_delay_ms;
        return failures <= rules->fixed_attempts;
    case CLEANUP_EXPONENTIAL_DELAY:
        break;
    }
    for (int i = 1; i < failures && wait_ms < rules->max_backoff_ms; i++) {
        wait_ms *= 2;
    }
    *ret_wait_ms = wait_ms < rules->max_backoff_ms ? wait_ms : rules->max_backoff_ms;
    return failures <= rules->attempts;
}

bool cleanup_retry_again(const struct cleanup_retry *rules, struct cleanup_tries *tries,
                         const pgk_error *error, int64_t now_ns, int64_t *ret_at_ns)
{
    int64_t wait_ms = 0;
    bool unclear = error->status == PGK_ERR_OUTCOME_UNKNOWN;

    if (tries->failures < INT32_MAX) {
        tries->failures++;
    }
    if (unclear && tries->unclear_ns == 0) {
        tries->unclear_ns = now_ns;
    }
    if (!unclear && (error->flags & PGK_ERROR_RETRYABLE) == 0) {
        return false;
    }
    if (!wait_after(rules, tries->failures, &wait_ms)) {
        return false;
    }
    *ret_at_ns = now_ns + wait_ms * NS_PER_MS;
    return tries->unclear_ns == 0 ||
           *ret_at_ns <= tries->unclear_ns + CLEANUP_UNCLEAR_MS * NS_PER_MS;
}
