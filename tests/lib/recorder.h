/*
 * tests/lib/recorder.h - handles of the library in the test's own process: opened in one call, their callbacks
 * written down as lines ("grant <component> <session> <epoch>", "revoke ...", "error <component> <status>
 * <sqlstate> <message>", "leader <component> <session> <epoch> <address>", "leader <component> none") for the
 * test to wait for. Callbacks come on the notifier's thread; the rest is the test's.
 */
#ifndef PGK_TESTS_RECORDER_H
#define PGK_TESTS_RECORDER_H

#include <pgkeeper/pgkeeper.h>

#include "fixture.h"

struct recorder;

/* One contender or follower whose events go to a recorder. Zero it before use. */
struct part {
    struct recorder *recorder;
    char component[PGK_COMPONENT_MAX_BYTES + 1];
    pgk_election *election;
    pgk_retriever *retriever;
    pgk_uuid session_id; /* of the latest grant */
    int64_t epoch;
    /* Runs inside each callback, after it was written down; or NULL. kind: "grant", "revoke", "leader". */
    void (*hook)(struct part *part, const char *kind);
    void *user;
};

struct recorder *recorder_new(void);
void recorder_free(struct recorder *recorder);
/* The next line with that prefix, in a buffer that lives until the next call; fails the test after timeout_ms. */
const char *recorder_expect(struct recorder *recorder, const char *prefix, int timeout_ms);
/* As recorder_expect, but NULL when none came. */
const char *recorder_seek(struct recorder *recorder, const char *prefix, int timeout_ms);
/* Lines with that prefix since the beginning. */
size_t recorder_count(struct recorder *recorder, const char *prefix);

/* A configuration for the fixture's database: pairs of key and value, ending with NULL, on top. */
pgk_config *handle_config(struct fixture *fixture, const char *name, ...) __attribute__((sentinel));
/* Opens a handle with such a configuration; fails the test if it cannot. */
pgk_ha *handle_open(struct fixture *fixture, const char *name, ...) __attribute__((sentinel));
pgk_ha *handle_open_client(struct fixture *fixture, const char *name, ...)
    __attribute__((sentinel));
void handle_close(pgk_ha *ha);
/* The application's loop, for manual dispatch, until a line with the prefix has come `times` times. */
void handle_dispatch_until(pgk_ha *ha, struct recorder *recorder, const char *prefix, size_t times);
/* A grant or revoke callback that does nothing. */
void ignore_tenure(void *user, const pgk_uuid *session_id, int64_t epoch);

/* Makes and starts an election (group NULL: by the scope) or a retriever. */
void part_contend(struct part *part, struct recorder *recorder, pgk_ha *ha, const char *component,
                  const char *group);
void part_follow(struct part *part, struct recorder *recorder, pgk_ha *ha, const char *component);
/* Waits for this part's next grant; returns its epoch. */
int64_t part_granted(struct part *part);
int64_t part_revoked(struct part *part);
/* Confirms an address in the present tenure; fails the test on an error. */
void part_confirm(struct part *part, const char *address);
void part_free(struct part *part);

#endif
