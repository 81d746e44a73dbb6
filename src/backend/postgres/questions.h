/*
 * backend/postgres/questions.h - what the lock session is to ask next. Keeper thread, under the lock.
 */
#ifndef PGK_POSTGRES_QUESTIONS_H
#define PGK_POSTGRES_QUESTIONS_H

#include "backend/postgres/keeper.h"

/* Put together under the lock, sent without it. */
struct question {
    enum statement_id id;
    int wait_ms; /* it may take this long before it is answered */
    const char *params[STATEMENT_MAX_PARAMS];
    char text[STATEMENT_MAX_PARAMS][PGK_UUID_TEXT_SIZE];
};

/* [lock] Puts together what is due; false: nothing. */
bool question_choose(struct backend *backend, struct question *question);

/* [lock] From when on the lock session has something better to do than to wait as it does;
 * CLOCK_NEVER: nothing. The listener session ends the wait then. */
int64_t question_wait_until_ns(const struct backend *backend);

#endif
