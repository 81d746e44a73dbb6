/*
 * tests/lib/store_tools.h - what the tests of results, registry, checkpoints, counter and clean-up
 * share: all stores of a handle, a known state of the database, every write there is. The test's own
 * thread, but mutation_act.
 */
#ifndef PGK_TESTS_STORE_TOOLS_H
#define PGK_TESTS_STORE_TOOLS_H

#include <string.h>

#include <pgkeeper/recovery.h>

#include "recorder.h"

/* Asserts that a call failed with that status and filled the error it was given with a sentence. */
#define STORE_FAILS(expected, error, call)                                                         \
    do {                                                                                           \
        memset((error), 0xaa, sizeof(*(error)));                                                   \
        assert_int_equal((call), (expected));                                                      \
        assert_int_equal((error)->status, (expected));                                             \
        assert_true(strlen((error)->message) > 8);                                                 \
    } while (0)
/* Asserts that a call worked, and shows its error if not. */
#define STORE_WORKS(error, call)                                                                   \
    do {                                                                                           \
        if ((call) != PGK_OK) {                                                                    \
            fail_msg("%s: %s: %s", #call, pgk_status_name((error)->status), (error)->message);     \
        }                                                                                          \
    } while (0)

/* Job 7 is 00000000000000000000000000000007, in SQL '...-000000000007'. */
pgk_uuid job_of(int number);
#define SQL_JOB(number) "'00000000-0000-0000-0000-00000000000" #number "'"

/* A leader in the test's own process and its token. */
struct chief {
    struct recorder *recorder;
    struct part part;
    pgk_ha *ha;
    pgk_token token;
};
void chief_open(struct chief *chief, struct fixture *fixture);
/* Ends the tenure; `token` is of the past when it returns, and another tenure has begun. */
void chief_depose(struct chief *chief, struct fixture *fixture);
void chief_close(struct chief *chief);

/* One store of each kind, over one handle. */
struct stores {
    pgk_ha *ha;
    const pgk_token *token;
    pgk_job_results *results;
    pgk_job_registry *registry;
    pgk_checkpoints *checkpoints;    /* of job 1, at most one, no discard callback */
    pgk_checkpoint_counter *counter; /* of job 1 */
};
void stores_open(struct stores *stores, pgk_ha *ha, const pgk_token *token);
void stores_free(struct stores *stores);

/* An entry with all that is needed. */
pgk_job_result result_of(int job);
pgk_checkpoint checkpoint_of(int64_t id, pgk_checkpoint_kind kind);
/* Adds entries 1, 2, ...; a letter for each: c, a checkpoint; s, a savepoint; t, one that stops the job. */
pgk_status checkpoints_add_all(pgk_checkpoints *store, const char *kinds, pgk_error *err);
/* A store of a job's checkpoints. */
pgk_status checkpoints_open(pgk_ha *ha, const pgk_token *token, int job, int max_retained,
                            pgk_discard_fn discard, void *user, pgk_checkpoints **ret_store,
                            pgk_error *err);

/* What a list of results handed out; zero it before use. */
struct result_seen {
    int count;
    pgk_uuid jobs[8];
    pgk_job_result last; /* without what it points to */
    char name[64];
    char failure[64];
    char reason[128];
    char accumulators[64];
    int corrupt;
    pgk_status answer;
};
/* A row function; user: struct result_seen. */
pgk_status result_see(void *user, const pgk_job_result *result);

/*
 * Empties the tables and puts in: job 1 with graph, RUNNING, checkpoint 1 completed and 2 discarding,
 * next number 5; job 2 with a dirty result; job 3 with a clean one that is 40 days old.
 */
void known_state(struct fixture *fixture);
/* A digest of all rows of all stores: equal when nothing was written. */
const char *rows_digest(struct fixture *fixture);

/* Called by the callback of `discard`, which has read something then and writes next; or NULL. */
extern void (*in_discard)(void);

/* Every kind of write, done to the known state. */
struct mutation {
    const char *name;
    pgk_status (*act)(struct stores *stores, pgk_error *err);
    const char *query;    /* what it is about */
    const char *answer;   /* of the query, when it was done once */
    bool deletes_results; /* needs job-result-store.delete-on-commit */
};
extern const struct mutation mutations[];
extern const size_t mutation_count;

#endif
