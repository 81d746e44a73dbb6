/*
 * tests/lib/standby_pair.h - the fixture's server and a streaming standby of it, and whom its commits wait for.
 * The test's own thread.
 */
#ifndef PGK_TESTS_STANDBY_PAIR_H
#define PGK_TESTS_STANDBY_PAIR_H

#include "fixture.h"

struct standby_pair {
    struct fixture *fixture;
    struct pgserver *standby;
    char both[PGSERVER_CONNINFO_SIZE]; /* to either; the first primary comes first */
};
void standby_pair_open(struct standby_pair *pair, struct fixture *fixture);
void standby_pair_free(struct standby_pair *pair);
/* For a teardown: frees the standby that a failed test has left. */
void standby_pair_left_over(void);
/* From now on the test's own connection is to the standby, which has been promoted. */
void standby_pair_move(struct standby_pair *pair);

/* Runs one statement as the superuser. */
void server_sql(struct pgserver *server, const char *statement);
/* From now on each commit waits for these standbys, a value of synchronous_standby_names. */
void commits_wait_for(struct fixture *fixture, const char *standbys);
/* They wait for the standby, which has caught up so far. */
void commits_wait_for_standby(struct fixture *fixture);
void commits_wait_for_none(struct fixture *fixture);

#endif
