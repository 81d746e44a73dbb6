/*
 * services/retrieval.c - retrievers: argument checks, and when a leader is announced.
 *
 * Any thread, under the handle's lock; retriever_see runs on a thread of the backend and only notes.
 */
#include <pgkeeper/retrieval.h>

#include <stdlib.h>
#include <string.h>

#include "services/handle.h"

static bool same_leader(const pgk_leader *a, const pgk_leader *b)
{
    return pgk_uuid_compare(&a->session_id, &b->session_id) == 0 &&
           strcmp(a->address, b->address) == 0;
}

static bool is_news(const pgk_retriever *retriever)
{
    if (retriever->known != retriever->told) {
        return true;
    }
    return retriever->known && !same_leader(&retriever->seen, &retriever->announced);
}

void retriever_see(pgk_retriever *retriever, int32_t leadership, const pgk_leader *leader)
{
    if (leader != NULL) {
        if (leadership == retriever->leadership && leader->epoch < retriever->max_epoch) {
            return;
        }
        retriever->leadership = leadership;
        retriever->max_epoch = leader->epoch;
        retriever->seen = *leader;
    }
    retriever->known = leader != NULL;
    if (is_news(retriever)) {
        subject_mark_dirty(&retriever->subject);
    }
}

bool retriever_deliver(pgk_retriever *retriever)
{
    if (retriever->subject.state != SUBJECT_STARTED || !is_news(retriever)) {
        return false;
    }
    pgk_leader leader = retriever->seen;
    bool known = retriever->known;

    retriever->told = known;
    retriever->announced = leader;
    notifier_enter(&retriever->subject);
    retriever->fn(retriever->user, known ? &leader : NULL);
    notifier_leave(&retriever->subject);
    return true;
}

void retriever_begin_close(pgk_retriever *retriever)
{
    pgk_ha *ha = retriever->subject.ha;

    if (retriever->subject.state == SUBJECT_CLOSED) {
        return;
    }
    if (retriever->watch != NULL) {
        ha->ops->unwatch(ha->backend, retriever->watch);
    }
    retriever->watch = NULL;
    subject_retire(&retriever->subject);
}

void retriever_free(pgk_retriever *retriever)
{
    free(retriever->component);
    free(retriever);
}

pgk_status pgk_ha_retriever(pgk_ha *ha, const char *component, pgk_retriever **ret_retriever,
                            pgk_error *err)
{
    static const char origin[] = "ha.retriever";

    error_reset(err);
    if (ret_retriever == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "ret_retriever is NULL");
    }
    pgk_status status = subject_check_component(component, origin, err);

    if (status == PGK_OK) {
        status = ha_check_process(ha, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    pgk_retriever *retriever = calloc(1, sizeof(*retriever));
    char *copy = strdup(component);

    if (retriever == NULL || copy == NULL) {
        free(retriever);
        free(copy);
        return error_set(err, PGK_ERR_NO_MEMORY, origin, "no memory for a retriever");
    }
    retriever->component = copy;
    pthread_mutex_lock(&ha->lock);
    status = ha_check_open(ha, origin, err);
    if (status == PGK_OK) {
        subject_init(&retriever->subject, SUBJECT_RETRIEVER, ha);
        *ret_retriever = retriever;
    }
    pthread_mutex_unlock(&ha->lock);
    if (status != PGK_OK) {
        retriever_free(retriever);
    }
    return status;
}

static pgk_status lock_retriever(const pgk_retriever *retriever, const char *origin, pgk_error *err)
{
    return subject_lock(retriever != NULL ? &retriever->subject : NULL, "retriever", origin, err);
}

static pgk_status start(pgk_retriever *retriever, pgk_leader_fn fn, void *user, const char *origin,
                        pgk_error *err)
{
    struct subject *subject = &retriever->subject;
    pgk_ha *ha = subject->ha;
    pgk_status status = ha_check_open(ha, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    if (subject->state != SUBJECT_NEW) {
        return error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                         "the retriever of %s was %s before; make a new one", retriever->component,
                         subject->state == SUBJECT_STARTED ? "started" : "stopped");
    }
    retriever->fn = fn;
    retriever->user = user;
    /* Started before it watches: the backend may tell what it knows before watch() returns. */
    subject->state = SUBJECT_STARTED;
    TAILQ_INSERT_TAIL(&ha->subjects, subject, link);
    status = ha->ops->watch(ha->backend, retriever->component, retriever, &retriever->watch, err);
    if (status != PGK_OK) {
        retriever->watch = NULL;
        subject_retire(subject);
        subject->state = SUBJECT_NEW;
    }
    return status;
}

pgk_status pgk_retriever_start(pgk_retriever *retriever, pgk_leader_fn fn, void *user,
                               pgk_error *err)
{
    static const char origin[] = "retriever.start";

    error_reset(err);
    if (fn == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "fn is NULL");
    }
    pgk_status status = lock_retriever(retriever, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    status = start(retriever, fn, user, origin, err);
    pthread_mutex_unlock(&retriever->subject.ha->lock);
    return status;
}

pgk_status pgk_retriever_get(pgk_retriever *retriever, pgk_leader *ret_leader, pgk_error *err)
{
    static const char origin[] = "retriever.get";

    error_reset(err);
    if (ret_leader == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "ret_leader is NULL");
    }
    pgk_status status = lock_retriever(retriever, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    if (retriever->subject.state != SUBJECT_STARTED) {
        status = error_set(err, PGK_ERR_ILLEGAL_STATE, origin, "the retriever of %s is %s",
                           retriever->component,
                           retriever->subject.state == SUBJECT_NEW ? "not started" : "stopped");
    } else if (!retriever->known) {
        status = error_set(err, PGK_ERR_NOT_FOUND, origin, "no leader of %s is known now",
                           retriever->component);
    } else {
        *ret_leader = retriever->seen;
    }
    pthread_mutex_unlock(&retriever->subject.ha->lock);
    return status;
}

pgk_status pgk_retriever_stop(pgk_retriever *retriever, pgk_error *err)
{
    return subject_close(retriever != NULL ? &retriever->subject : NULL, "retriever",
                         "retriever.stop", err);
}

void pgk_retriever_free(pgk_retriever *retriever)
{
    subject_free(retriever != NULL ? &retriever->subject : NULL);
}
