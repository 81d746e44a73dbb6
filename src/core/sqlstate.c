/*
 * core/sqlstate.c - which status an SQLSTATE stands for: one table, exact codes before classes.
 *
 * Owns the table, nothing else. Any thread. Retryable is what passes by itself; a change whose
 * outcome is unknown never is, because doing it again might do it twice.
 */
#include "core/sqlstate.h"

#include <string.h>

const struct sqlstate_row sqlstate_rows[] = {
    /* pgkeeper's own, raised by its SQL functions */
    {"PK001", PGK_ERR_FENCED, false},    /* fence(): the epoch has passed on */
    {"PK002", PGK_ERR_NOT_FOUND, false}, /* no such component, group or member */
    {"PK003", PGK_ERR_CONFLICT, false},  /* the group changed meanwhile */
    {"PK004", PGK_ERR_CONFLICT, true},   /* a blob being written was taken for abandoned */

    /* the session or the server goes away; others come */
    {"57P01", PGK_ERR_CONNECTION, true}, /* admin_shutdown: also pg_terminate_backend() */
    {"57P02", PGK_ERR_CONNECTION, true}, /* crash_shutdown */
    {"57P03", PGK_ERR_CONNECTION, true}, /* cannot_connect_now: starting up, shutting down */
    {"57P04", PGK_ERR_ACCESS, false},    /* database_dropped */
    {"57P05", PGK_ERR_CONNECTION, true}, /* idle_session_timeout: the lease ran out on the server */
    {"25P03", PGK_ERR_CONNECTION, true}, /* idle_in_transaction_session_timeout: ends the session */
    {"25P04", PGK_ERR_CONNECTION, true}, /* transaction_timeout: ends the session */

    /* time-outs; a lock that was not free within lock_timeout is one: its holder will go, and
     * nothing of the caller's was changed by anybody, as CONFLICT would say */
    {"57014", PGK_ERR_TIMEOUT, true}, /* query_canceled: statement_timeout, pg_cancel_backend() */
    {"55P03", PGK_ERR_TIMEOUT, true}, /* lock_not_available */

    {"25006", PGK_ERR_READ_ONLY, true},        /* read_only_sql_transaction: also in recovery */
    {"08007", PGK_ERR_OUTCOME_UNKNOWN, false}, /* transaction_resolution_unknown */
    {"40003", PGK_ERR_OUTCOME_UNKNOWN, false}, /* statement_completion_unknown */
    {"40002", PGK_ERR_CONFLICT,
     false}, /* transaction_integrity_constraint_violation: it will stay */

    {"42501", PGK_ERR_ACCESS, false}, /* insufficient_privilege */
    {"3D000", PGK_ERR_ACCESS, false}, /* invalid_catalog_name: no such database */

    {"3F000", PGK_ERR_SCHEMA, false}, /* invalid_schema_name */
    {"42P01", PGK_ERR_SCHEMA, false}, /* undefined_table */
    {"42703", PGK_ERR_SCHEMA, false}, /* undefined_column */
    {"42704", PGK_ERR_SCHEMA, false}, /* undefined_object */
    {"42883", PGK_ERR_SCHEMA, false}, /* undefined_function */

    {"23505", PGK_ERR_ALREADY_EXISTS, false},   /* unique_violation */
    {"23502", PGK_ERR_INVALID_ARGUMENT, false}, /* not_null_violation */
    {"23514", PGK_ERR_INVALID_ARGUMENT, false}, /* check_violation */
    {"42P04", PGK_ERR_ALREADY_EXISTS, false},   /* duplicate_database */
    {"42P06", PGK_ERR_ALREADY_EXISTS, false},   /* duplicate_schema */
    {"42P07", PGK_ERR_ALREADY_EXISTS, false},   /* duplicate_table */
    {"42710", PGK_ERR_ALREADY_EXISTS, false},   /* duplicate_object */
    {"42723", PGK_ERR_ALREADY_EXISTS, false},   /* duplicate_function */
    {"55000", PGK_ERR_ILLEGAL_STATE, false},    /* object_not_in_prerequisite_state */
    {"55006", PGK_ERR_CONFLICT, true},          /* object_in_use */
    {"P0002", PGK_ERR_NOT_FOUND, false},        /* no_data_found */
    {"XX001", PGK_ERR_CORRUPT, false},          /* data_corrupted */
    {"XX002", PGK_ERR_CORRUPT, false},          /* index_corrupted */

    /* classes */
    {"08", PGK_ERR_CONNECTION, true},        /* connection exception; PgBouncer uses it for all */
    {"0A", PGK_ERR_UNSUPPORTED, false},      /* feature not supported */
    {"0L", PGK_ERR_ACCESS, false},           /* invalid grantor */
    {"0P", PGK_ERR_ACCESS, false},           /* invalid role specification */
    {"22", PGK_ERR_INVALID_ARGUMENT, false}, /* data exception */
    {"23", PGK_ERR_CONFLICT, false},         /* integrity constraint violation */
    {"25", PGK_ERR_ILLEGAL_STATE, false},    /* invalid transaction state */
    {"26", PGK_ERR_UNSUPPORTED, false}, /* prepared statement gone: a pooler changed the session */
    {"28", PGK_ERR_ACCESS, false},      /* invalid authorization */
    {"40", PGK_ERR_CONFLICT, true},     /* rolled back: serialization failure, deadlock */
    {"53", PGK_ERR_RESOURCE, true},     /* connections, memory or disk exhausted */
    {"54", PGK_ERR_TOO_LARGE, false},   /* program limit exceeded */
    {"58", PGK_ERR_IO, false},          /* system error of the server */
};

const size_t sqlstate_row_count = sizeof(sqlstate_rows) / sizeof(sqlstate_rows[0]);

static const struct sqlstate_row *find_row(const char *sqlstate, size_t length)
{
    for (size_t i = 0; i < sqlstate_row_count; i++) {
        if (strlen(sqlstate_rows[i].code) == length &&
            memcmp(sqlstate_rows[i].code, sqlstate, length) == 0) {
            return &sqlstate_rows[i];
        }
    }
    return NULL;
}

pgk_status pgk_status_from_sqlstate(const char *sqlstate, bool *ret_retryable)
{
    const struct sqlstate_row *row = NULL;
    if (sqlstate != NULL && strnlen(sqlstate, 6) == 5) {
        row = find_row(sqlstate, 5);
        if (row == NULL) {
            row = find_row(sqlstate, 2);
        }
    }
    if (ret_retryable != NULL) {
        *ret_retryable = row != NULL && row->retryable;
    }
    return row != NULL ? row->status : PGK_ERR_DATABASE;
}
