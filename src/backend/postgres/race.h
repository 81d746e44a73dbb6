/*
 * backend/postgres/race.h - connects to all hosts at once and picks the writable one with the
 * highest timeline. Blocking, with the deadline of the request; any thread.
 */
#ifndef PGK_POSTGRES_RACE_H
#define PGK_POSTGRES_RACE_H

#include "backend/postgres/link.h"

struct race_winner {
    PGconn *conn; /* non-blocking, probed */
    int backend_pid;
    int64_t timeline;
    int deadlock_timeout_ms;
    bool linux_server;
};

pgk_status race_run(const struct link_request *request, struct race_winner *ret_winner,
                    pgk_error *err);

/* Finds the SQLSTATE in libpq's verbose message of a failed connect ("FATAL:  28P01: ..."); false:
 * none. Exposed for its test. */
bool sqlstate_in_message(const char *message, char ret_sqlstate[6]);

#endif
