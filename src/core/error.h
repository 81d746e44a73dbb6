/* core/error.h - filling and wrapping pgk_error. No libpq, no SQL; any thread. */
#ifndef PGK_CORE_ERROR_H
#define PGK_CORE_ERROR_H

#include <stdarg.h>

#include <pgkeeper/status.h>

#define PGK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Empties *err; NULL is fine. */
void error_reset(pgk_error *err);

/* Fills *err (NULL is fine) and returns status, so that callers write `return error_set(...)`. Long
 * messages are cut at a character boundary. Sets PGK_ERROR_RETRYABLE for statuses that pass. */
pgk_status error_set(pgk_error *err, pgk_status status, const char *origin, const char *format, ...)
    PGK_PRINTF(4, 5);

/* As error_set, with the SQLSTATE that the status was taken from. */
pgk_status error_set_sqlstate(pgk_error *err, const char *sqlstate, const char *origin,
                              const char *format, ...) PGK_PRINTF(4, 5);

/* Puts "context: " before the message on the way up; the status and the rest stay. Returns the
 * status. */
pgk_status error_wrap(pgk_error *err, pgk_status status, const char *format, ...) PGK_PRINTF(3, 4);

/* True when status by itself is worth a retry (connection, resource, read-only, timeout, stale
 * primary). */
bool status_is_retryable(pgk_status status);

#endif
