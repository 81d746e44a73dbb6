/*
 * tests/lib/shelf.h - job graph stores under test: ids, opening one, looking at what it holds, leading to get a token.
 * The test's main thread, unless said otherwise.
 */
#ifndef PGK_TESTS_SHELF_H
#define PGK_TESTS_SHELF_H

#include <pgkeeper/pgkeeper.h>

#include "recorder.h"

#define CHECK_OK(call, err)                                                                        \
    do {                                                                                           \
        pgk_status status_ = (call);                                                               \
        if (status_ != PGK_OK) {                                                                   \
            fail_msg("%s: %s: %s", #call, pgk_status_name(status_), (err).message);                \
        }                                                                                          \
    } while (0)

/* The id of a job by its number. Any thread. */
pgk_uuid job_number(int number);
/* An id as text, until the next call. */
const char *shelf_text(const pgk_uuid *id);

/* Makes and starts a store. */
pgk_job_graphs *shelf_open(pgk_ha *ha, const pgk_token *token,
                           const pgk_job_graph_listener *listener);
/* Recovers a graph and compares all of it; requirements NULL: none. */
void shelf_expect(pgk_job_graphs *store, const pgk_uuid *job_id, int64_t version, const char *graph,
                  const char *requirements);

/* Row functions: any thread. */
pgk_status shelf_count(void *user, const pgk_job_graph *graph); /* user: size_t */
struct shelf_tally {
    pgk_status state; /* to answer */
    size_t good;
    size_t damaged;
    char reasons[512];
};
pgk_status shelf_tally(void *user, const pgk_job_graph *graph);

/* A leadership of "master" in this process. */
struct leadership {
    struct recorder *recorder;
    struct part part;
    pgk_token token;
};
void lead_begin(struct leadership *lead, pgk_ha *ha);
/* Begins it, and opens two stores of that leader. */
void shelf_open_two(pgk_ha *ha, struct leadership *lead, pgk_job_graphs **ret_a,
                    pgk_job_graphs **ret_b);
void lead_end(struct leadership *lead);

#endif
