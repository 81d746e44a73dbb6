/*
 * core/error.c - fills and wraps pgk_error; names and texts of the statuses.
 *
 * Owns no state. Never allocates, never logs. Any thread. A message may be made from the message of
 * the same error: everything is formatted aside first.
 */
#include "core/error.h"

#include <stdio.h>
#include <string.h>

#include "core/text.h"

struct status_words {
    pgk_status status;
    const char *name;
    const char *text;
};

static const struct status_words status_words[] = {
#define STATUS_WORDS(name, value, text) {name, #name, text},
    PGK_STATUS_LIST(STATUS_WORDS)
#undef STATUS_WORDS
};

static const struct status_words *find_words(pgk_status status)
{
    for (size_t i = 0; i < sizeof(status_words) / sizeof(status_words[0]); i++) {
        if (status_words[i].status == status) {
            return &status_words[i];
        }
    }
    return NULL;
}

const char *pgk_status_text(pgk_status status)
{
    const struct status_words *words = find_words(status);
    return words != NULL ? words->text : "unknown status";
}

const char *pgk_status_name(pgk_status status)
{
    const struct status_words *words = find_words(status);
    return words != NULL ? words->name : "PGK_ERR_?";
}

bool status_is_retryable(pgk_status status)
{
    switch (status) {
    case PGK_ERR_TIMEOUT:
    case PGK_ERR_CONNECTION:
    case PGK_ERR_READ_ONLY:
    case PGK_ERR_STALE_PRIMARY:
    case PGK_ERR_RESOURCE:
        return true;
    default:
        return false;
    }
}

void error_reset(pgk_error *err)
{
    if (err == NULL) {
        return;
    }
    err->status = PGK_OK;
    err->flags = 0;
    err->sqlstate[0] = '\0';
    err->origin[0] = '\0';
    err->message[0] = '\0';
}

static void fill(pgk_error *err, pgk_status status, bool retryable, const char *sqlstate,
                 const char *origin, const char *format, va_list args) PGK_PRINTF(6, 0);

static void fill(pgk_error *err, pgk_status status, bool retryable, const char *sqlstate,
                 const char *origin, const char *format, va_list args)
{
    pgk_error made;
    error_reset(&made);
    made.status = status;
    if (retryable) {
        made.flags |= PGK_ERROR_RETRYABLE;
    }
    if (status == PGK_ERR_OUTCOME_UNKNOWN) {
        made.flags |= PGK_ERROR_OUTCOME_UNKNOWN;
    }
    text_copy(made.sqlstate, sizeof(made.sqlstate), sqlstate);
    text_copy(made.origin, sizeof(made.origin), origin);
    text_vformat(made.message, sizeof(made.message), format, args);
    *err = made;
}

pgk_status error_set(pgk_error *err, pgk_status status, const char *origin, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        fill(err, status, status_is_retryable(status), NULL, origin, format, args);
        va_end(args);
    }
    return status;
}

pgk_status error_set_sqlstate(pgk_error *err, const char *sqlstate, const char *origin,
                              const char *format, ...)
{
    bool retryable = false;
    pgk_status status = pgk_status_from_sqlstate(sqlstate, &retryable);
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        fill(err, status, retryable, sqlstate, origin, format, args);
        va_end(args);
    }
    return status;
}

pgk_status error_wrap(pgk_error *err, pgk_status status, const char *format, ...)
{
    if (err != NULL) {
        char context[PGK_ERROR_MESSAGE_SIZE];
        char whole[PGK_ERROR_MESSAGE_SIZE];
        va_list args;
        va_start(args, format);
        text_vformat(context, sizeof(context), format, args);
        va_end(args);
        text_format(whole, sizeof(whole), "%s: %s", context, err->message);
        text_copy(err->message, sizeof(err->message), whole);
    }
    return status;
}
