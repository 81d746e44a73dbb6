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

/* [lock] Is a wait for a lock under way although there is something better to do? The listener session
 * ends it. */
bool question_wait_is_idle(const struct backend *backend);

#endif
