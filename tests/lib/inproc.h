/*
 * tests/lib/inproc.h - handles of the modes that need no server, and contenders and followers on them whose
 * callbacks go to a tape. The test's own thread, but for what a hook calls.
 */
#ifndef PGK_TESTS_INPROC_H
#define PGK_TESTS_INPROC_H

#include <string.h>

#include "tape.h"
#include "wait.h"

/* A handle and what contends and follows on it: "a", "b", "c", with one tape. */
#define MEMBER_ACTORS 3
struct member {
    struct tape tape;
    pgk_ha *ha;
    struct actor a[MEMBER_ACTORS];
};

/* Opens a handle; then pairs of key and value, ending with NULL. Fails the test if it cannot. */
pgk_ha *inproc_open(const char *type, const char *cluster_id, ...) __attribute__((sentinel));
pgk_ha *inproc_open_client(const char *type, const char *cluster_id, ...) __attribute__((sentinel));
/* What opening such a handle answers. */
pgk_status inproc_try(const char *type, const char *cluster_id, const char *key, const char *value,
                      pgk_error *err);

/* ha goes to the member. */
struct member *member_new(pgk_ha *ha);
/* Closes and frees the handle, and checks the tape: callbacks one at a time, grants and revokes in pairs. */
void member_free(struct member *member);

/* Makes and starts an election (group NULL: by the scope) or a retriever. The actor has its tape. */
void actor_contend(struct actor *actor, pgk_ha *ha, const char *component, const char *group);
void actor_follow(struct actor *actor, pgk_ha *ha, const char *component);
/* It confirms this address in each of its grants. */
void actor_confirms(struct actor *actor, const char *address);
#define ACTOR_WAIT(actor, kind, count) WAIT_UNTIL(actor_count(actor, kind) >= (count), WAIT_LONG_MS)
bool actor_leads(const struct actor *actor);
/* Frees what it has. */
void actor_free(struct actor *actor);
/* The latest that was told of that kind; fails the test if there is none. */
struct tape_event actor_last(struct actor *actor, enum tape_kind kind);

#endif
