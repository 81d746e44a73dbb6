/*
 * transition.h - lines about changes of leadership on stdout, and the signals that end a verb which follows
 * them. Main thread only: such verbs use `dispatch: manual`.
 */
#ifndef PGK_CLI_TRANSITION_H
#define PGK_CLI_TRANSITION_H

#include "cli.h"

struct transition {
    const char *event; /* "granted", "revoked", "confirmed", "error"; NULL: left out */
    const char *component;
    const pgk_uuid *session_id; /* NULL, here and below: none */
    int64_t epoch;
    const char *address;
    const pgk_error *error;
};

/* Prints one line and flushes: of JSON, or of words. */
void transition_print(const struct cli *cli, const struct transition *transition);

/* Opens a handle whose callbacks run in pgk_ha_dispatch(); client: retrieval only. */
int transition_open(struct cli *cli, bool client, pgk_ha **ret_ha);

/* Blocks SIGINT, SIGTERM and SIGHUP and returns a descriptor that is readable when one has come. */
int signals_open(void);

/* Waits at most timeout_ms (-1: for ever) for callbacks, and runs them; true when a signal has come or nobody
 * reads stdout any more. */
bool transition_wait(pgk_ha *ha, int signals, int timeout_ms);

#endif
