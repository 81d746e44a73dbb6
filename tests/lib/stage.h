/*
 * tests/lib/stage.h - a handle over the scripted backend, a tape and a few actors: what the tests of the services
 * start from. The test's own thread.
 */
#ifndef PGK_TESTS_STAGE_H
#define PGK_TESTS_STAGE_H

#include "scripted.h"
#include "tape.h"
#include "wait.h"

#define STAGE_ACTORS 4

struct stage {
    struct tape tape;
    pgk_ha *ha;
    struct backend *backend;
    struct actor a[STAGE_ACTORS]; /* "a", "b", "c", "d" */
};

/* pairs: configuration, or NULL. */
void stage_open(struct stage *stage, const char *const *pairs);
/* Checks the tape, frees what is left, and that the backend was closed and freed once. */
void stage_close(struct stage *stage);
/* The handle's backend is dispatched by hand. */
extern const char *const stage_manual[];

/* Makes and starts an election for component "a", "b", ... in the group "master". */
void stage_contend(struct stage *stage, int actor);
void stage_follow(struct stage *stage, int actor, const char *component);
/* A tenure of "master" begins, which nothing but the test ends. */
#define STAGE_LEASE_MS 60000
void stage_lead(struct stage *stage);
/* A hook that holds the thread that runs callbacks, from stage_hold until stage_release. */
void stage_wait_for_release(struct actor *actor);
void stage_hold(void);
void stage_release(void);
void stage_expect(struct stage *stage, const char *order);
/* Waits until the callback has come that often. */
#define STAGE_WAIT(stage, actor, kind, count)                                                      \
    WAIT_UNTIL(actor_count(&(stage)->a[actor], kind) >= (count), WAIT_LONG_MS)

/* Asserts that a call failed with that status and filled the error it was given with a sentence. */
#define ASSERT_FAILS(expected, error, call)                                                        \
    do {                                                                                           \
        memset((error), 0xaa, sizeof(*(error)));                                                   \
        assert_int_equal((expected), (call));                                                      \
        assert_int_equal((expected), (error)->status);                                             \
        assert_true(strlen((error)->message) > 8);                                                 \
    } while (0)

#endif
