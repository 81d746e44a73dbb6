/*
 * services/notifier.c - whose turn it is to run callbacks, and running them.
 *
 * At most one thread has the turn: the notifier thread, or with `dispatch: manual` a caller of
 * pgk_ha_dispatch or of a close. A callback runs with the lock dropped; a callback that closes something
 * runs the revoke that is due nested on its own thread. Never two at the same time on two threads.
 */
#include "services/job_graphs.h"

bool notifier_inside_callback(const pgk_ha *ha)
{
    return ha->dispatching && ha->callbacks > 0 && pthread_equal(ha->dispatcher, pthread_self());
}

void notifier_take_turn(pgk_ha *ha)
{
    while (ha->dispatching) {
        pthread_cond_wait(&ha->changed, &ha->lock);
    }
    ha->dispatching = true;
    ha->dispatcher = pthread_self();
}

void notifier_give_turn(pgk_ha *ha)
{
    ha->dispatching = false;
    pthread_cond_broadcast(&ha->changed);
}

void notifier_enter(struct subject *subject)
{
    subject->running++;
    subject->ha->callbacks++;
    pthread_mutex_unlock(&subject->ha->lock);
}

void notifier_leave(struct subject *subject)
{
    pthread_mutex_lock(&subject->ha->lock);
    subject->ha->callbacks--;
    subject->running--;
    pthread_cond_broadcast(&subject->ha->changed);
}

bool notifier_deliver(struct subject *subject)
{
    if (subject->kind == SUBJECT_ELECTION) {
        return election_deliver((pgk_election *)subject);
    }
    if (subject->kind == SUBJECT_JOB_GRAPHS) {
        return job_graphs_deliver((pgk_job_graphs *)subject);
    }
    return retriever_deliver((pgk_retriever *)subject);
}

static struct subject *first_due(const pgk_ha *ha, uint64_t before)
{
    struct subject *subject;

    TAILQ_FOREACH (subject, &ha->dirty, dirty_link) {
        if (subject->due_in < before) {
            return subject;
        }
    }
    return NULL;
}

bool notifier_run_one(pgk_ha *ha, uint64_t before)
{
    struct subject *subject = first_due(ha, before);

    if (subject == NULL) {
        return async_deliver(ha, before);
    }
    uint64_t due_in = subject->due_in;

    TAILQ_REMOVE(&ha->dirty, subject, dirty_link);
    subject->dirty = false;
    subject->refs++;
    /* One callback each, then to the end of the line: revokes of all go before grants of any. What it is due besides
     * was due as long, unless there is news of it: then that is looked at with the news. */
    if (notifier_deliver(subject) && !subject->dirty) {
        subject_mark_dirty(subject);
        subject->due_in = due_in;
    }
    ha->refs++;
    subject_unref_unlock(subject);
    pthread_mutex_lock(&ha->lock);
    ha->refs--; /* never the last: whoever dispatches has one */
    return true;
}

void notifier_run(void *arg)
{
    pgk_ha *ha = arg;

    pthread_mutex_lock(&ha->lock);
    while (!ha->stop) {
        if (TAILQ_EMPTY(&ha->dirty) && !async_is_due(ha)) {
            pthread_cond_wait(&ha->work, &ha->lock);
            continue;
        }
        notifier_take_turn(ha);
        notifier_run_one(ha, NOTIFIER_ALL);
        notifier_give_turn(ha);
    }
    ha_unref_unlock(ha);
}
