/*
 * tests/lib/party.h - handles of the embedded mode that share a cluster id, and threads that use them. The test's own
 * thread, but MUST.
 */
#ifndef PGK_TESTS_PARTY_H
#define PGK_TESTS_PARTY_H

#include <stdio.h>

#include "inproc.h"

#define PARTY_HANDLES 2

struct party {
    pgk_ha *ha[PARTY_HANDLES];
    atomic_bool over; /* the test's own, as is: */
    atomic_int count;
    void *user;
};

/* The cluster id is to be the test's own. */
void party_open(struct party *party, const char *cluster_id);
void party_close(struct party *party);

/* A thread that does some work on a party; its number counts from 0. */
typedef void (*party_work)(struct party *party, int number);
struct hand {
    struct party *party;
    party_work work;
    int number;
    pthread_t thread;
};
void hands_start(struct hand *hands, int count, struct party *party, party_work work);
void hands_join(struct hand *hands, int count);

/* Of what may run in a thread of its own, where cmocka cannot end a test: ends the program. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
#define MUST_OK(call, err)                                                                         \
    do {                                                                                           \
        if ((call) != PGK_OK) {                                                                    \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, (err).message);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
