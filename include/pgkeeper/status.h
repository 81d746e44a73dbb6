/*
 * pgkeeper/status.h - what a call answers: a status, and on request an error that says why.
 *
 * Every fallible call returns a pgk_status (PGK_OK is 0; it is never a count) and takes an optional
 * `pgk_error *err` as its last argument. The caller owns the error, usually on the stack; it need
 * not be initialised; the callee resets it, and fills it when the status is not PGK_OK. All
 * functions of this header are pure and may be called from any thread.
 */
#ifndef PGKEEPER_STATUS_H
#define PGKEEPER_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include <pgkeeper/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * X(name, value, text): the one list of statuses. Values are part of the ABI and are never reused.
 * Who can cause what: INVALID_ARGUMENT, ILLEGAL_STATE, CONFIG: the caller. CONNECTION, RESOURCE,
 * READ_ONLY, TIMEOUT: the state of the database, passing. ACCESS, SCHEMA, UNSUPPORTED,
 * STALE_PRIMARY: the set-up of the database; a person has to mend it. UNSUPPORTED also: the standalone
 * mode, of a blob.
 */
#define PGK_STATUS_LIST(X)                                                                         \
    X(PGK_OK, 0, "ok")                                                                             \
    X(PGK_ERR_INVALID_ARGUMENT, 1, "invalid argument")                                             \
    X(PGK_ERR_ILLEGAL_STATE, 2, "illegal state")                                                   \
    X(PGK_ERR_NO_MEMORY, 3, "out of memory")                                                       \
    X(PGK_ERR_CONFIG, 4, "bad configuration")                                                      \
    X(PGK_ERR_IO, 5, "input or output failed")                                                     \
    X(PGK_ERR_TIMEOUT, 6, "timed out")                                                             \
    X(PGK_ERR_CONNECTION, 7, "no connection to the database")                                      \
    X(PGK_ERR_ACCESS, 8, "login, encryption or permission refused")                                \
    X(PGK_ERR_SCHEMA, 9, "database schema missing, too old or too new")                            \
    X(PGK_ERR_UNSUPPORTED, 10, "not supported by this server, pooler or mode")                     \
    X(PGK_ERR_READ_ONLY, 11, "database is read-only")                                              \
    X(PGK_ERR_STALE_PRIMARY, 12, "not the current primary")                                        \
    X(PGK_ERR_RESOURCE, 13, "database is out of resources")                                        \
    X(PGK_ERR_FENCED, 14, "fenced: leadership has passed on")                                      \
    X(PGK_ERR_NOT_FOUND, 15, "not found")                                                          \
    X(PGK_ERR_ALREADY_EXISTS, 16, "already exists")                                                \
    X(PGK_ERR_CONFLICT, 17, "conflicts with a change by somebody else")                            \
    X(PGK_ERR_TOO_LARGE, 18, "too large")                                                          \
    X(PGK_ERR_CORRUPT, 19, "stored data is damaged")                                               \
    X(PGK_ERR_OUTCOME_UNKNOWN, 20, "outcome unknown")                                              \
    X(PGK_ERR_DATABASE, 21, "database error")                                                      \
    X(PGK_ERR_INTERNAL, 22, "internal error")

typedef enum pgk_status {
#define PGK_STATUS_ENUM(name, value, text) name = value,
    PGK_STATUS_LIST(PGK_STATUS_ENUM)
#undef PGK_STATUS_ENUM
} pgk_status;

/* The same call may succeed later, unchanged. */
#define PGK_ERROR_RETRYABLE UINT32_C(1)
/* The change was sent and the answer lost: it may or may not have been done. */
#define PGK_ERROR_OUTCOME_UNKNOWN UINT32_C(2)

#define PGK_ERROR_ORIGIN_SIZE 48
#define PGK_ERROR_MESSAGE_SIZE 448

/* An error in words. 512 bytes, no pointers: may be copied and kept. */
typedef struct pgk_error {
    pgk_status status;
    uint32_t flags;                       /* PGK_ERROR_* */
    char sqlstate[8];                     /* five characters, or empty: not from the database */
    char origin[PGK_ERROR_ORIGIN_SIZE];   /* the call or session it arose in: "election.confirm" */
    char message[PGK_ERROR_MESSAGE_SIZE]; /* a sentence that names the thing, the value, the cure */
} pgk_error;

/*
 * The text of a status, in lower case ("timed out"); "unknown status" for a number that is none.
 * The string is static. Since 0.1.
 */
PGK_API const char *pgk_status_text(pgk_status status);

/*
 * The name of a status as written in this header ("PGK_ERR_TIMEOUT"); "PGK_ERR_?" for none.
 * The string is static. Since 0.1.
 */
PGK_API const char *pgk_status_name(pgk_status status);

/*
 * The status that stands for an SQLSTATE, for applications that run their own SQL next to the
 * library: "PK001" (raised by the SQL function fence) is PGK_ERR_FENCED, "08006" is
 * PGK_ERR_CONNECTION, and so on. NULL or an unknown code: PGK_ERR_DATABASE. If ret_retryable is not
 * NULL it is set to whether the same statement may succeed later. Since 0.1.
 */
PGK_API pgk_status pgk_status_from_sqlstate(const char *sqlstate, bool *ret_retryable);

#ifdef __cplusplus
}
#endif

#endif
