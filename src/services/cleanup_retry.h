/*
 * services/cleanup_retry.h - whether a clean-up that failed is tried again, and when: Flink's strategies.
 * Pure; any thread.
 */
#ifndef PGK_SERVICES_CLEANUP_RETRY_H
#define PGK_SERVICES_CLEANUP_RETRY_H

#include <stdint.h>

#include "core/settings.h"

/* A clean-up that may have been done is known again by its id for an hour at least, and could later take
 * what was written since: no try of it begins later than this. */
#define CLEANUP_UNCLEAR_MS (INT64_C(30) * 60 * 1000)

/* The tries of one clean-up. Zero it to begin. */
struct cleanup_tries {
    int failures;
    int64_t unclear_ns; /* when a try ended whose outcome is not known; 0: none did */
};

/* After a try that failed at now_ns: when the next one is due. False: there is none, because the fault does
 * not pass by itself, it was tried often enough, or it is too late. */
bool cleanup_retry_again(const struct cleanup_retry *rules, struct cleanup_tries *tries,
                         const pgk_error *error, int64_t now_ns, int64_t *ret_at_ns);

#endif
