/*
 * tests/lib/tape.h - writes down the callbacks of contenders and retrievers in the order they come, and checks at
 * each what always holds: one callback at a time, grant and revoke in turn. A breach is kept and fails the test
 * at tape_check. Callbacks may run on any thread.
 */
#ifndef PGK_TESTS_TAPE_H
#define PGK_TESTS_TAPE_H

#include <pgkeeper/pgkeeper.h>

#include <pthread.h>
#include <stdatomic.h>

enum tape_kind { TAPE_GRANT, TAPE_REVOKE, TAPE_ERROR, TAPE_LEADER, TAPE_NO_LEADER, TAPE_KINDS };

#define TAPE_LENGTH 256

struct tape_event {
    enum tape_kind kind;
    const char *name; /* of the actor */
    pgk_uuid session_id;
    int64_t epoch;
    char text[PGK_ADDRESS_MAX_BYTES + 1]; /* address or message */
};

struct tape {
    pthread_mutex_t lock;
    struct tape_event events[TAPE_LENGTH]; /* the first so many */
    int length;
    pthread_t inside; /* the thread that runs callbacks now */
    int depth;
    char breach[128];
};

/* One contender or follower, on a tape. */
struct actor {
    struct tape *tape;
    const char *name;
    bool granted;
    pgk_uuid session_id; /* of the latest grant */
    atomic_int counts[TAPE_KINDS];
    /* Runs inside the callbacks of hook_kind, after they were written down; or NULL. */
    void (*hook)(struct actor *actor);
    enum tape_kind hook_kind;
    atomic_int hooks_done;
    atomic_bool silent; /* from now on a callback is a breach */
    pgk_ha *ha;
    pgk_election *election;
    pgk_retriever *retriever;
    void *user;
};

void tape_init(struct tape *tape);
void tape_destroy(struct tape *tape);
/* "" when all held. */
const char *tape_breach(struct tape *tape);
/* The order on the tape: "a+ b+ a- b- a! a>address a>none", into a buffer of the caller's. */
void tape_text(struct tape *tape, char *out, size_t size);

pgk_contender actor_contender(struct actor *actor);
void actor_leader(void *user, const pgk_leader *leader);
int actor_count(struct actor *actor, enum tape_kind kind);

#endif
