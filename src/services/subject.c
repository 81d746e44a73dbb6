/*
 * services/subject.c - what elections, retrievers and job graph stores have in common: names, references,
 * the dirty list, waiting for the end.
 *
 * Any thread, under the handle's lock. It decides nothing about what is delivered.
 */
#include <stdlib.h>

#include "core/text.h"
#include "services/job_graphs.h"

pgk_status subject_check_component(const char *component, const char *origin, pgk_error *err)
{
    if (component == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "component is NULL");
    }
    if (!text_is_valid(component, 1, PGK_COMPONENT_MAX_BYTES)) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "component must be 1 to %d bytes of UTF-8", PGK_COMPONENT_MAX_BYTES);
    }
    return PGK_OK;
}

void subject_init(struct subject *subject, enum subject_kind kind, pgk_ha *ha)
{
    subject->kind = kind;
    subject->state = SUBJECT_NEW;
    subject->refs = 1;
    subject->ha = ha;
    ha->refs++;
}

void subject_mark_dirty(struct subject *subject)
{
    pgk_ha *ha = subject->ha;

    if (subject->dirty ||
        (subject->state != SUBJECT_STARTED && subject->state != SUBJECT_CLOSING)) {
        return;
    }
    subject->dirty = true;
    subject->due_in = ha->dispatches;
    TAILQ_INSERT_TAIL(&ha->dirty, subject, dirty_link);
    if (ha_is_manual(ha)) {
        wake_set(&ha->wake);
    } else {
        pthread_cond_signal(&ha->work);
    }
}

void subject_retire(struct subject *subject)
{
    pgk_ha *ha = subject->ha;

    if (subject->dirty) {
        subject->dirty = false;
        TAILQ_REMOVE(&ha->dirty, subject, dirty_link);
    }
    if (subject->state == SUBJECT_STARTED || subject->state == SUBJECT_CLOSING) {
        TAILQ_REMOVE(&ha->subjects, subject, link);
    }
    subject->state = SUBJECT_CLOSED;
    pthread_cond_broadcast(&ha->changed);
}

void subject_settle(struct subject *subject)
{
    pgk_ha *ha = subject->ha;

    subject->refs++;
    if (notifier_inside_callback(ha)) {
        while (subject->state == SUBJECT_CLOSING && notifier_deliver(subject)) {
            continue;
        }
    } else {
        while (subject->state != SUBJECT_CLOSED || subject->running > 0) {
            if (ha_is_manual(ha) && !ha->dispatching) {
                notifier_take_turn(ha);
                notifier_deliver(subject);
                notifier_give_turn(ha);
            } else {
                pthread_cond_wait(&ha->changed, &ha->lock);
            }
        }
    }
    subject->refs--; /* never the last: the caller has one */
}

void subject_unref_unlock(struct subject *subject)
{
    pgk_ha *ha = subject->ha;

    if (--subject->refs > 0) {
        pthread_mutex_unlock(&ha->lock);
        return;
    }
    if (subject->kind == SUBJECT_ELECTION) {
        election_free((pgk_election *)subject);
    } else if (subject->kind == SUBJECT_JOB_GRAPHS) {
        job_graphs_destroy((pgk_job_graphs *)subject);
    } else {
        retriever_free((pgk_retriever *)subject);
    }
    ha_unref_unlock(ha);
}

pgk_status subject_lock(const struct subject *subject, const char *what, const char *origin,
                        pgk_error *err)
{
    if (subject == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "%s is NULL", what);
    }
    pgk_status status = ha_check_process(subject->ha, origin, err);

    if (status == PGK_OK) {
        pthread_mutex_lock(&subject->ha->lock);
    }
    return status;
}

/* Locked. A close of the application's. */
static void close_and_settle(struct subject *subject)
{
    const pgk_election *election =
        subject->kind == SUBJECT_ELECTION ? (pgk_election *)subject : NULL;

    subject_begin_close(subject);
    if (election != NULL) {
        async_cancel(subject->ha, election);
    }
    subject_settle(subject);
    if (election != NULL) {
        async_settle(subject->ha, election);
    }
}

void subject_begin_close(struct subject *subject)
{
    if (subject->kind == SUBJECT_ELECTION) {
        election_begin_close((pgk_election *)subject);
    } else if (subject->kind == SUBJECT_JOB_GRAPHS) {
        job_graphs_begin_close((pgk_job_graphs *)subject);
    } else {
        retriever_begin_close((pgk_retriever *)subject);
    }
}

pgk_status subject_close(struct subject *subject, const char *what, const char *origin,
                         pgk_error *err)
{
    error_reset(err);
    pgk_status status = subject_lock(subject, what, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    subject->refs++; /* a callback that is waited for may free it */
    close_and_settle(subject);
    subject_unref_unlock(subject);
    return PGK_OK;
}

void subject_free(struct subject *subject)
{
    /* In a forked child the lock may be held by a thread that does not exist there: the memory is left. */
    if (subject == NULL || ha_is_foreign(subject->ha)) {
        return;
    }
    pthread_mutex_lock(&subject->ha->lock);
    close_and_settle(subject);
    subject_unref_unlock(subject);
}
