/* backend/embedded/checkpoints.c - the checkpoint store in memory. The callers' threads. */
#include "backend/embedded/checkpoints.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backend/embedded/store_ops.h"
#include "core/error.h"

#define ORIGIN "checkpoints"

/* ------------------------------------------------------------------ the list of a job */

/* The place of an id, or where it would be. */
static size_t place(const struct checkpoint_list *list, int64_t checkpoint_id)
{
    size_t low = 0;
    size_t high = list->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (list->entries[middle].checkpoint_id < checkpoint_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct checkpoint *find(const struct checkpoint_list *list, int64_t checkpoint_id)
{
    size_t at = place(list, checkpoint_id);

    return at < list->count && list->entries[at].checkpoint_id == checkpoint_id ? &list->entries[at]
                                                                                : NULL;
}

static bool reserve(struct checkpoint_list *list)
{
    struct checkpoint *entries =
        shelf_grow(list->entries, list->count, &list->room, sizeof(*entries));

    if (entries == NULL) {
        return false;
    }
    list->entries = entries;
    return true;
}

/* With room for it. */
static void insert(struct checkpoint_list *list, const struct checkpoint *entry)
{
    size_t at = place(list, entry->checkpoint_id);

    memmove(list->entries + at + 1, list->entries + at,
            (list->count - at) * sizeof(*list->entries));
    list->entries[at] = *entry;
    list->count++;
}

/* Gives memory back with the last one, or a job that has run for long would keep that of its most. */
static void take_out(struct checkpoint_list *list, size_t at)
{
    list->count--;
    memmove(list->entries + at, list->entries + at + 1,
            (list->count - at) * sizeof(*list->entries));
    if (list->count == 0) {
        free(list->entries);
        *list = (struct checkpoint_list){.entries = NULL};
    }
}

int64_t checkpoints_trim(struct checkpoint_list *list, int64_t limit)
{
    int64_t removed = 0;

    while (list->count > 0 && removed < limit) {
        parcel_drop(list->entries[list->count - 1].content);
        take_out(list, list->count - 1);
        removed++;
    }
    return removed;
}

int64_t checkpoints_clear(struct checkpoint_list *list)
{
    int64_t discarding = 0;

    for (size_t i = 0; i < list->count; i++) {
        discarding += list->entries[i].state == CHECKPOINT_DISCARDING;
        parcel_drop(list->entries[i].content);
    }
    free(list->entries);
    *list = (struct checkpoint_list){.entries = NULL};
    return discarding;
}

const struct checkpoint *checkpoint_latest(const struct job *job)
{
    for (size_t i = job->checkpoints.count; i > 0; i--) {
        const struct checkpoint *entry = &job->checkpoints.entries[i - 1];

        if (entry->state == CHECKPOINT_COMPLETED) {
            return entry;
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------ adding */

/* A copy of all, before the lock is taken. */
static pgk_status make(const struct store_write *write, const struct checkpoint_row *row,
                       struct checkpoint *ret_entry, pgk_error *err)
{
    const pgk_checkpoint *c = &row->checkpoint;
    struct store_bytes content = row->content;

    *ret_entry = (struct checkpoint){.checkpoint_id = c->checkpoint_id,
                                     .kind = c->kind,
                                     .retention = c->retention,
                                     .state = CHECKPOINT_COMPLETED,
                                     .completed_ms = c->completed_ms,
                                     .epoch = shelf_epoch(write),
                                     .op_id = write->op_id,
                                     .pointed = row->content.data == NULL};
    if (ret_entry->pointed) {
        content.data = c->pointer;
        content.length = strlen(c->pointer);
    }
    return parcel_new(&content, &ret_entry->content, err);
}

/* A retained one is the user's: of it the id alone is kept, which is not to be added again. */
static void retire(struct checkpoint *entry, bool kept, int64_t epoch)
{
    entry->state = kept ? CHECKPOINT_RETAINED : CHECKPOINT_DISCARDING;
    entry->epoch = epoch;
    if (kept) {
        parcel_drop(entry->content);
        entry->content = NULL;
        entry->pointed = false;
    }
}

/* Moves those that are in the list out of it; returns how many. */
static size_t move_out(struct checkpoint_list *list, const int64_t *ids, size_t count,
                       bool discards, int64_t epoch)
{
    size_t moved = 0;

    for (size_t i = 0; i < count; i++) {
        struct checkpoint *entry = find(list, ids[i]);

        if (entry == NULL || entry->state != CHECKPOINT_COMPLETED) {
            continue;
        }
        /* A savepoint is never discarded, whatever is asked for. */
        retire(entry, !discards || entry->kind != PGK_CHECKPOINT, epoch);
        moved++;
    }
    return moved;
}

/* With the lock. */
static pgk_status check_add(const struct job *job, int64_t checkpoint_id, pgk_error *err)
{
    if (job == NULL || find(&job->checkpoints, checkpoint_id) == NULL) {
        return PGK_OK;
    }
    return error_set(err, PGK_ERR_ALREADY_EXISTS, "checkpoints.add",
                     "the job has a checkpoint %" PRId64 " already; numbers come from its counter",
                     checkpoint_id);
}

/* With the lock: a place for it. */
static pgk_status prepare_add(struct shelf *shelf, const pgk_uuid *job_id, int64_t checkpoint_id,
                              struct job **ret_job, pgk_error *err)
{
    pgk_status status = check_add(shelf_find(shelf, job_id), checkpoint_id, err);

    if (status == PGK_OK) {
        status = shelf_get(shelf, job_id, ret_job, err);
    }
    if (status == PGK_OK && !reserve(&(*ret_job)->checkpoints)) {
        shelf_tidy(shelf, *ret_job);
        status = error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for a checkpoint");
    }
    return status;
}

static pgk_status add(struct backend *backend, const struct store_write *write,
                      const struct checkpoint_row *row, const int64_t *discard,
                      size_t discard_count, const int64_t *retain, size_t retain_count,
                      bool *ret_as_planned, pgk_error *err)
{
    struct checkpoint entry;
    struct shelf *shelf;
    struct job *job;
    pgk_status status = make(write, row, &entry, err);

    if (status != PGK_OK) {
        return status;
    }
    status = shelf_write(backend, write->token, ORIGIN, &shelf, err);
    if (status == PGK_OK) {
        status = prepare_add(shelf, &row->checkpoint.job_id, entry.checkpoint_id, &job, err);
        if (status == PGK_OK) {
            size_t moved = move_out(&job->checkpoints, discard, discard_count, true, entry.epoch) +
                           move_out(&job->checkpoints, retain, retain_count, false, entry.epoch);

            insert(&job->checkpoints, &entry);
            *ret_as_planned = moved == discard_count + retain_count;
        }
        shelf_unlock(backend);
    }
    if (status != PGK_OK) {
        parcel_drop(entry.content);
    }
    return status;
}

/* ------------------------------------------------------------------ reading */

static pgk_status heads(struct backend *backend, const pgk_uuid *job_id,
                        struct checkpoint_head **ret_heads, size_t *ret_count, pgk_error *err)
{
    const struct job *job = shelf_find(shelf_read(backend), job_id);
    size_t room = job != NULL ? job->checkpoints.count : 0;
    struct checkpoint_head *list = room > 0 ? calloc(room, sizeof(*list)) : NULL;
    size_t count = 0;

    for (size_t i = 0; list != NULL && i < room; i++) {
        const struct checkpoint *entry = &job->checkpoints.entries[i];

        if (entry->state == CHECKPOINT_COMPLETED) {
            list[count++] = (struct checkpoint_head){.checkpoint_id = entry->checkpoint_id,
                                                     .kind = entry->kind,
                                                     .retention = entry->retention,
                                                     .op_id = entry->op_id};
        }
    }
    shelf_unlock(backend);
    if (room > 0 && list == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for %zu checkpoints", room);
    }
    if (count == 0) {
        free(list);
        list = NULL;
    }
    *ret_heads = list;
    *ret_count = count;
    return PGK_OK;
}

void checkpoint_hold(const struct job *job, const struct checkpoint *checkpoint, bool with_content,
                     struct held_checkpoint *ret_held)
{
    struct store_bytes content = parcel_bytes(checkpoint->content);

    if (checkpoint->pointed) {
        content.data = NULL; /* the digest is the pointer's */
        content.length = 0;
    }
    *ret_held = (struct held_checkpoint){
        .row = {.checkpoint = {.size = sizeof(pgk_checkpoint),
                               .job_id = job->job_id,
                               .checkpoint_id = checkpoint->checkpoint_id,
                               .kind = checkpoint->kind,
                               .retention = checkpoint->retention,
                               .completed_ms = checkpoint->completed_ms,
                               .epoch = checkpoint->epoch,
                               .pointer =
                                   checkpoint->pointed ? parcel_text(checkpoint->content) : NULL},
                .op_id = checkpoint->op_id},
        .content = with_content || checkpoint->pointed ? parcel_hold(checkpoint->content) : NULL,
    };
    if (with_content) {
        ret_held->row.content = content;
    }
}

void checkpoint_drop(struct held_checkpoint *held)
{
    parcel_drop(held->content);
}

static pgk_status hand_out(struct held_checkpoint *held, size_t count, checkpoint_row_fn fn,
                           void *ctx, pgk_error *err)
{
    pgk_status status = PGK_OK;

    for (size_t i = 0; i < count; i++) {
        if (status == PGK_OK) {
            status = fn(ctx, &held[i].row, err);
        }
        checkpoint_drop(&held[i]);
    }
    free(held);
    return status;
}

/* With the lock. NULL: out of memory. */
static struct held_checkpoint *hold_completed(const struct job *job, bool only_latest,
                                              size_t *ret_count)
{
    size_t room = job != NULL ? job->checkpoints.count : 0;
    const struct checkpoint *latest = job != NULL ? checkpoint_latest(job) : NULL;
    struct held_checkpoint *held = calloc((only_latest ? 1 : room) + 1, sizeof(*held));
    size_t count = 0;

    for (size_t i = 0; held != NULL && i < room; i++) {
        const struct checkpoint *entry = &job->checkpoints.entries[i];

        if (entry->state == CHECKPOINT_COMPLETED && (!only_latest || entry == latest)) {
            checkpoint_hold(job, entry, true, &held[count++]);
        }
    }
    *ret_count = count;
    return held;
}

static pgk_status no_memory(pgk_error *err)
{
    return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for a list of checkpoints");
}

static pgk_status list(struct backend *backend, const pgk_uuid *job_id, bool only_latest,
                       checkpoint_row_fn fn, void *ctx, pgk_error *err)
{
    size_t count;
    struct held_checkpoint *held =
        hold_completed(shelf_find(shelf_read(backend), job_id), only_latest, &count);

    shelf_unlock(backend);
    return held != NULL ? hand_out(held, count, fn, ctx, err) : no_memory(err);
}

/* ------------------------------------------------------------------ discards */

/* The external data of an entry of a job that ended so stays. */
static bool is_kept(const struct checkpoint *entry, pgk_job_status job_status)
{
    switch (entry->retention) {
    case PGK_RETAIN_ON_FAILURE:
        return job_status == PGK_JOB_FAILED;
    case PGK_RETAIN_ON_CANCELLATION:
        return job_status == PGK_JOB_CANCELED || job_status == PGK_JOB_FAILED ||
               job_status == PGK_JOB_SUSPENDED;
    case PGK_NEVER_RETAINED:
        break;
    }
    return false;
}

static pgk_status shut_down(struct backend *backend, const struct store_write *write,
                            const pgk_uuid *job_id, pgk_job_status job_status, pgk_error *err)
{
    struct shelf *shelf;
    pgk_status status = shelf_write(backend, write->token, ORIGIN, &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    struct job *job = shelf_find(shelf, job_id);

    for (size_t i = 0; job != NULL && i < job->checkpoints.count; i++) {
        struct checkpoint *entry = &job->checkpoints.entries[i];

        if (entry->state == CHECKPOINT_COMPLETED) {
            retire(entry, entry->kind != PGK_CHECKPOINT || is_kept(entry, job_status),
                   shelf_epoch(write));
        }
    }
    shelf_unlock(backend);
    return PGK_OK;
}

/* Where to look for what is discarding. */
struct range {
    const pgk_uuid *job_id;      /* NULL: all jobs */
    const pgk_uuid *last_job_id; /* the last one seen; NULL: from the start */
    int64_t last_checkpoint_id;
};

static bool is_after(const struct range *range, const struct job *job,
                     const struct checkpoint *entry)
{
    int order = range->last_job_id != NULL ? pgk_uuid_compare(&job->job_id, range->last_job_id) : 1;

    return order > 0 || (order == 0 && entry->checkpoint_id > range->last_checkpoint_id);
}

/* Up to `limit` of them; held NULL: only counts. */
static size_t hold_discarding(const struct shelf *shelf, const struct range *range, size_t limit,
                              bool with_content, struct held_checkpoint *held)
{
    const pgk_uuid *from = range->job_id != NULL ? range->job_id : range->last_job_id;
    size_t count = 0;

    for (size_t i = from != NULL ? shelf_place(shelf, from) : 0; i < shelf->count; i++) {
        const struct job *job = shelf->jobs[i];

        if (range->job_id != NULL && pgk_uuid_compare(&job->job_id, range->job_id) != 0) {
            break;
        }
        for (size_t j = 0; j < job->checkpoints.count; j++) {
            const struct checkpoint *entry = &job->checkpoints.entries[j];

            if (count == limit) {
                return count;
            }
            if (entry->state != CHECKPOINT_DISCARDING || !is_after(range, job, entry)) {
                continue;
            }
            if (held != NULL) {
                checkpoint_hold(job, entry, with_content, &held[count]);
            }
            count++;
        }
    }
    return count;
}

/* With the lock. */
static pgk_status hold_range(const struct shelf *shelf, const struct range *range, size_t limit,
                             bool with_content, struct held_checkpoint **ret_held,
                             size_t *ret_count, pgk_error *err)
{
    size_t count = hold_discarding(shelf, range, limit, with_content, NULL);
    struct held_checkpoint *held = calloc(count + 1, sizeof(*held));

    if (held == NULL) {
        return no_memory(err);
    }
    *ret_count = hold_discarding(shelf, range, count, with_content, held);
    *ret_held = held;
    return PGK_OK;
}

pgk_status checkpoint_hold_discards(const struct shelf *shelf, struct held_checkpoint **ret_held,
                                    size_t *ret_count, pgk_error *err)
{
    const struct range all = {.job_id = NULL};

    return hold_range(shelf, &all, SIZE_MAX, false, ret_held, ret_count, err);
}

static pgk_status discarding(struct backend *backend, const pgk_token *token,
                             const pgk_uuid *job_id, const pgk_uuid *last_job_id,
                             int64_t last_checkpoint_id, int limit, checkpoint_row_fn fn, void *ctx,
                             pgk_error *err)
{
    const struct range range = {
        .job_id = job_id, .last_job_id = last_job_id, .last_checkpoint_id = last_checkpoint_id};
    struct held_checkpoint *held = NULL;
    struct shelf *shelf;
    size_t count = 0;
    pgk_status status = shelf_write(backend, token, ORIGIN, &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    status = hold_range(shelf, &range, (size_t)limit, true, &held, &count, err);
    shelf_unlock(backend);
    return status == PGK_OK ? hand_out(held, count, fn, ctx, err) : status;
}

static pgk_status discarded(struct backend *backend, const struct store_write *write,
                            const pgk_uuid *job_id, int64_t checkpoint_id, const pgk_uuid *added_by,
                            pgk_error *err)
{
    struct parcel *gone = NULL;
    struct shelf *shelf;
    pgk_status status = shelf_write(backend, write->token, ORIGIN, &shelf, err);

    if (status != PGK_OK) {
        return status;
    }
    struct job *job = shelf_find(shelf, job_id);
    const struct checkpoint *entry = job != NULL ? find(&job->checkpoints, checkpoint_id) : NULL;

    if (entry != NULL && entry->state == CHECKPOINT_DISCARDING &&
        pgk_uuid_compare(&entry->op_id, added_by) == 0) {
        gone = entry->content;
        take_out(&job->checkpoints, place(&job->checkpoints, checkpoint_id));
        shelf_tidy(shelf, job);
    }
    shelf_unlock(backend);
    parcel_drop(gone);
    return PGK_OK;
}

const struct checkpoint_ops embedded_checkpoints = {
    .heads = heads,
    .add = add,
    .list = list,
    .shutdown = shut_down,
    .discarding = discarding,
    .discarded = discarded,
    .next_id = embedded_counter_next,
    .get_id = embedded_counter_get,
    .set_id = embedded_counter_set,
    .drop_id = embedded_counter_drop,
};
