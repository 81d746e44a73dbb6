/* services/graph_end.c - see graph_end.h. */
#include "services/graph_end.h"

static bool same_token(const pgk_job_graphs *graphs, const struct store *of)
{
    if (!graphs->fenced || !of->fenced) {
        return graphs->fenced == of->fenced;
    }
    return graphs->token.leadership_id == of->token.leadership_id &&
           graphs->token.epoch == of->token.epoch;
}

/* Locked. */
static pgk_job_graphs *find_store(const struct store *of)
{
    struct subject *subject;

    TAILQ_FOREACH (subject, &of->ha->subjects, link) {
        if (subject->kind == SUBJECT_JOB_GRAPHS && subject->state == SUBJECT_STARTED &&
            same_token((pgk_job_graphs *)subject, of)) {
            return (pgk_job_graphs *)subject;
        }
    }
    return NULL;
}

static void drop(struct graph_end *end)
{
    pthread_mutex_lock(&end->store->subject.ha->lock);
    subject_unref_unlock(&end->store->subject);
    end->store = NULL;
}

void graph_end_begin(struct graph_end *end, const struct store *of, const pgk_uuid *job_id,
                     const char *origin, const pgk_uuid **ret_store_id)
{
    pthread_mutex_lock(&of->ha->lock);
    end->store = find_store(of);
    if (end->store != NULL) {
        end->store->subject.refs++;
    }
    pthread_mutex_unlock(&of->ha->lock);
    *ret_store_id = NULL;
    if (end->store == NULL) {
        return;
    }
    if (graph_act_begin(&end->act, end->store, job_id, origin, NULL) == PGK_OK) {
        *ret_store_id = &end->act.store_id;
    } else {
        drop(end); /* it was stopped at this moment, and hears nothing anyway */
    }
}

void graph_end_finish(struct graph_end *end, bool gone)
{
    if (end->store == NULL) {
        return;
    }
    if (gone) {
        graph_act_gone(&end->act);
    }
    graph_act_end(&end->act);
    drop(end);
}
