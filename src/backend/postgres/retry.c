/* backend/postgres/retry.c - see retry.h. */
#include "backend/postgres/retry.h"

#include "core/clock.h"
#include "core/random.h"

/* A fault that lasts (login, schema) is tried again after so many of the longest waits. */
#define LASTING_FAULT_FACTOR 5

int64_t retry_wait_ns(const struct settings *settings, int failures, const pgk_error *error)
{
    int64_t longest_ms = settings->max_retry_wait_ms;
    int64_t wait_ms = settings->retry_wait_ms;
    for (int i = 1; i < failures && wait_ms < longest_ms; i++) {
        wait_ms *= 2;
    }
    wait_ms = wait_ms < longest_ms ? wait_ms : longest_ms;
    if ((error->flags & PGK_ERROR_RETRYABLE) == 0) {
        wait_ms = LASTING_FAULT_FACTOR * longest_ms;
    }
    return random_jitter_ns(wait_ms * NS_PER_MS);
}

bool retry_again(struct retry *retry, const pgk_error *error, int64_t *ret_at_ns)
{
    int limit = retry->settings->max_retry_attempts;
    retry->failures++;
    *ret_at_ns = clock_now_ns() + retry_wait_ns(retry->settings, retry->failures, error);
    return (error->flags & PGK_ERROR_RETRYABLE) != 0 && *ret_at_ns < retry->deadline_ns &&
           (limit == 0 || retry->failures <= limit);
}
