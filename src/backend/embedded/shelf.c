/* backend/embedded/shelf.c - see shelf.h. */
#include "backend/embedded/shelf.h"

#include <stdlib.h>
#include <string.h>

#include "backend/embedded/blobs.h"
#include "backend/embedded/checkpoints.h"
#include "backend/embedded/graphs.h"
#include "backend/embedded/results.h"
#include "backend/embedded/space.h"
#include "core/error.h"

#define FIRST_ROOM 8

struct shelf *shelf_new(void)
{
    return calloc(1, sizeof(struct shelf));
}

static void free_job(struct job *job)
{
    graph_free(job->graph);
    result_free(job->result);
    checkpoints_clear(&job->checkpoints);
    blobs_clear(&job->blobs);
    free(job);
}

void shelf_free(struct shelf *shelf)
{
    if (shelf == NULL) {
        return;
    }
    for (size_t i = 0; i < shelf->count; i++) {
        free_job(shelf->jobs[i]);
    }
    free(shelf->jobs);
    blobs_clear(&shelf->blobs);
    graph_stores_clear(shelf);
    free(shelf);
}

/* ------------------------------------------------------------------ the lock */

/* The first member, whatever the mode: see keeper.h. */
static struct space *space_of(struct backend *backend)
{
    return *(struct space **)backend;
}

pgk_status shelf_write(struct backend *backend, const pgk_token *token, const char *origin,
                       struct shelf **ret_shelf, pgk_error *err)
{
    struct space *space = space_of(backend);

    pthread_mutex_lock(&space->lock);
    if (token != NULL && !space_token_leads(space, token)) {
        pthread_mutex_unlock(&space->lock);
        return error_set(err, PGK_ERR_FENCED, origin,
                         "epoch %lld does not lead any more; nothing was written",
                         (long long)token->epoch);
    }
    *ret_shelf = space->shelf;
    return PGK_OK;
}

struct shelf *shelf_read(struct backend *backend)
{
    struct space *space = space_of(backend);

    pthread_mutex_lock(&space->lock);
    return space->shelf;
}

void shelf_unlock(struct backend *backend)
{
    pthread_mutex_unlock(&space_of(backend)->lock);
}

const struct space *shelf_space(struct backend *backend)
{
    return space_of(backend);
}

int64_t shelf_epoch(const struct store_write *write)
{
    return write->token != NULL ? write->token->epoch : 0;
}

/* ------------------------------------------------------------------ the table */

size_t shelf_place(const struct shelf *shelf, const pgk_uuid *job_id)
{
    size_t low = 0;
    size_t high = shelf->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (pgk_uuid_compare(&shelf->jobs[middle]->job_id, job_id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct job *shelf_find(const struct shelf *shelf, const pgk_uuid *job_id)
{
    size_t at = shelf_place(shelf, job_id);

    return at < shelf->count && pgk_uuid_compare(&shelf->jobs[at]->job_id, job_id) == 0
               ? shelf->jobs[at]
               : NULL;
}

void *shelf_grow(void *entries, size_t count, size_t *room, size_t size)
{
    if (count < *room) {
        return entries;
    }
    size_t wanted = *room > 0 ? 2 * *room : FIRST_ROOM;
    void *more = wanted < SIZE_MAX / size ? realloc(entries, wanted * size) : NULL;

    if (more != NULL) {
        *room = wanted;
    }
    return more;
}

/* A new one, into its place. NULL: out of memory. */
static struct job *insert(struct shelf *shelf, const pgk_uuid *job_id, size_t at)
{
    struct job **jobs = shelf_grow(shelf->jobs, shelf->count, &shelf->room, sizeof(struct job *));

    if (jobs == NULL) {
        return NULL;
    }
    shelf->jobs = jobs;
    struct job *job = calloc(1, sizeof(*job));

    if (job == NULL) {
        return NULL;
    }
    job->job_id = *job_id;
    job->next_checkpoint_id = -1;
    memmove(jobs + at + 1, jobs + at, (shelf->count - at) * sizeof(struct job *));
    jobs[at] = job;
    shelf->count++;
    return job;
}

pgk_status shelf_get(struct shelf *shelf, const pgk_uuid *job_id, struct job **ret_job,
                     pgk_error *err)
{
    struct job *job = shelf_find(shelf, job_id);

    if (job == NULL) {
        job = insert(shelf, job_id, shelf_place(shelf, job_id));
    }
    if (job == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "stores", "no memory for a job");
    }
    *ret_job = job;
    return PGK_OK;
}

static bool is_empty(const struct job *job)
{
    return job->graph == NULL && job->result == NULL && job->scheduling == PGK_SCHEDULING_PENDING &&
           job->next_checkpoint_id < 0 && job->checkpoints.count == 0 && job->blobs.count == 0;
}

/* A table that has become much too large is made smaller; if that fails it stays. */
static void shrink(struct shelf *shelf)
{
    if (shelf->room > FIRST_ROOM && shelf->count < shelf->room / 4) {
        size_t room = shelf->room / 2;
        struct job **less = realloc(shelf->jobs, room * sizeof(struct job *));

        if (less != NULL) {
            shelf->jobs = less;
            shelf->room = room;
        }
    }
}

void shelf_tidy(struct shelf *shelf, struct job *job)
{
    if (job == NULL || !is_empty(job)) {
        return;
    }
    size_t at = shelf_place(shelf, &job->job_id);

    shelf->count--;
    memmove(shelf->jobs + at, shelf->jobs + at + 1, (shelf->count - at) * sizeof(struct job *));
    free_job(job);
    shrink(shelf);
}

void shelf_tidy_all(struct shelf *shelf)
{
    size_t kept = 0;

    for (size_t i = 0; i < shelf->count; i++) {
        if (is_empty(shelf->jobs[i])) {
            free_job(shelf->jobs[i]);
        } else {
            shelf->jobs[kept++] = shelf->jobs[i];
        }
    }
    shelf->count = kept;
    shrink(shelf);
}
