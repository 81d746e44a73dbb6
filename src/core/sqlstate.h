/*
 * core/sqlstate.h - the table behind pgk_status_from_sqlstate(), for its test. Any thread.
 */
#ifndef PGK_CORE_SQLSTATE_H
#define PGK_CORE_SQLSTATE_H

#include <stddef.h>

#include <pgkeeper/status.h>

struct sqlstate_row {
    const char *code; /* five characters: that code; two: its class */
    pgk_status status;
    bool retryable; /* the same statement may succeed later, unchanged */
};

extern const struct sqlstate_row sqlstate_rows[];
extern const size_t sqlstate_row_count;

#endif
