/* tests/lib/ear.c - see ear.h. */
#include "ear.h"

#include <pthread.h>
#include <string.h>

static void note(struct ear *ear, bool added, const pgk_uuid *job_id)
{
    pthread_mutex_lock(&ear->lock);
    if (ear->count < sizeof(ear->words) / sizeof(ear->words[0])) {
        ear->words[ear->count++] = (struct ear_word){.added = added, .job_id = *job_id};
    }
    pthread_mutex_unlock(&ear->lock);
    if (ear->hook != NULL) {
        ear->hook(ear, job_id);
    }
}

static void on_added(void *user, const pgk_uuid *job_id)
{
    note(user, true, job_id);
}

static void on_removed(void *user, const pgk_uuid *job_id)
{
    note(user, false, job_id);
}

pgk_job_graph_listener ear_open(struct ear *ear)
{
    memset(ear, 0, sizeof(*ear));
    pthread_mutex_init(&ear->lock, NULL);
    return (pgk_job_graph_listener){.size = sizeof(pgk_job_graph_listener),
                                    .user = ear,
                                    .added = on_added,
                                    .removed = on_removed};
}

size_t ear_count(struct ear *ear, bool added, const pgk_uuid *job_id)
{
    size_t found = 0;
    pthread_mutex_lock(&ear->lock);
    for (size_t i = 0; i < ear->count; i++) {
        found +=
            ear->words[i].added == added && pgk_uuid_compare(&ear->words[i].job_id, job_id) == 0;
    }
    pthread_mutex_unlock(&ear->lock);
    return found;
}

size_t ear_total(struct ear *ear)
{
    pthread_mutex_lock(&ear->lock);
    size_t count = ear->count;
    pthread_mutex_unlock(&ear->lock);
    return count;
}
