/* services/graph_set.c - see graph_set.h. A hash of job ids, which are random already. */
#include "services/graph_set.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

#define FIRST_BUCKETS 64

static size_t bucket_of(const struct graph_set *set, const pgk_uuid *job_id)
{
    uint64_t words[2];

    _Static_assert(sizeof(words) == sizeof(job_id->bytes), "an id is two words");
    memcpy(words, job_id->bytes, sizeof(words));
    /* People choose ids too: all bytes count. */
    uint64_t hash = (words[0] ^ words[0] >> 32) * UINT64_C(0x9e3779b97f4a7c15);

    hash = (hash ^ hash >> 29 ^ words[1]) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ hash >> 32) * UINT64_C(0x94d049bb133111eb);
    return (size_t)(hash ^ hash >> 32) & (set->bucket_count - 1);
}

pgk_status graph_set_init(struct graph_set *set, pgk_error *err)
{
    memset(set, 0, sizeof(*set));
    TAILQ_INIT(&set->due);
    set->buckets = calloc(FIRST_BUCKETS, sizeof(*set->buckets));
    if (set->buckets == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "job_graphs", "no memory for a store");
    }
    set->bucket_count = FIRST_BUCKETS;
    return PGK_OK;
}

static void drop_due(struct graph_set *set, struct graph_entry *entry)
{
    if (entry->due_added || entry->due_removed) {
        TAILQ_REMOVE(&set->due, entry, due);
    }
    entry->due_added = false;
    entry->due_removed = false;
}

static void forget_unsure(struct graph_entry *entry)
{
    free(entry->unsure);
    entry->unsure = NULL;
    entry->unsure_count = 0;
}

static void drop(struct graph_set *set, struct graph_entry *entry)
{
    drop_due(set, entry);
    LIST_REMOVE(entry, chain);
    set->count--;
    forget_unsure(entry);
    free(entry);
}

void graph_set_clear(struct graph_set *set)
{
    for (size_t i = 0; i < set->bucket_count; i++) {
        struct graph_entry *entry = LIST_FIRST(&set->buckets[i]);

        while (entry != NULL) {
            struct graph_entry *next = LIST_NEXT(entry, chain);

            /* One that is being written is still in somebody's hands. */
            if (entry->acting) {
                drop_due(set, entry);
                entry->owned = false;
                forget_unsure(entry);
                entry->told = false;
                entry->released = 0;
            } else {
                drop(set, entry);
            }
            entry = next;
        }
    }
}

void graph_set_free(struct graph_set *set)
{
    graph_set_clear(set);
    free(set->buckets);
}

struct graph_entry *graph_set_find(const struct graph_set *set, const pgk_uuid *job_id)
{
    struct graph_entry *entry = LIST_FIRST(&set->buckets[bucket_of(set, job_id)]);

    /* Not by pgk_uuid_compare(): a recovery comes here for each job, and equality needs no call. */
    while (entry != NULL && memcmp(&entry->job_id, job_id, sizeof(*job_id)) != 0) {
        entry = LIST_NEXT(entry, chain);
    }
    return entry;
}

/* A failure only makes it slower. */
static void grow(struct graph_set *set)
{
    struct graph_set old = *set;
    struct graph_chain *buckets = calloc(2 * old.bucket_count, sizeof(*buckets));

    if (buckets == NULL) {
        return;
    }
    set->buckets = buckets;
    set->bucket_count = 2 * old.bucket_count;
    for (size_t i = 0; i < old.bucket_count; i++) {
        struct graph_entry *entry;

        while ((entry = LIST_FIRST(&old.buckets[i])) != NULL) {
            LIST_REMOVE(entry, chain);
            LIST_INSERT_HEAD(&buckets[bucket_of(set, &entry->job_id)], entry, chain);
        }
    }
    free(old.buckets);
}

struct graph_entry *graph_set_get(struct graph_set *set, const pgk_uuid *job_id)
{
    struct graph_entry *entry = graph_set_find(set, job_id);

    if (entry != NULL) {
        return entry;
    }
    entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return NULL;
    }
    entry->job_id = *job_id;
    if (set->count >= set->bucket_count) {
        grow(set);
    }
    LIST_INSERT_HEAD(&set->buckets[bucket_of(set, job_id)], entry, chain);
    set->count++;
    return entry;
}

void graph_set_tidy(struct graph_set *set, struct graph_entry *entry, bool listens)
{
    bool to_release = entry->released != 0 && set->recovering > 0;

    if (!listens && !entry->owned && !entry->acting && entry->unsure_count == 0 && !to_release) {
        drop(set, entry);
    }
}

void graph_set_own(struct graph_set *set, struct graph_entry *entry, const pgk_uuid *op_id,
                   int64_t created)
{
    drop_due(set, entry);
    entry->owned = true;
    entry->claimed = 0;
    entry->released = 0;
    entry->op_id = *op_id;
    entry->created = created != 0 ? created : entry->created;
    forget_unsure(entry);
    entry->told = false;
}

void graph_set_disown(struct graph_set *set, struct graph_entry *entry, bool there)
{
    drop_due(set, entry);
    entry->owned = false;
    forget_unsure(entry);
    entry->told = there;
    entry->created = there ? entry->created : 0;
}

void graph_set_claim(struct graph_set *set, struct graph_entry *entry, const pgk_uuid *op_id,
                     int64_t created, uint64_t mark)
{
    uint64_t claimed = entry->owned ? entry->claimed : mark;

    graph_set_own(set, entry, op_id, created);
    entry->claimed = claimed;
}

void graph_set_unclaim(struct graph_set *set, uint64_t mark)
{
    for (size_t i = 0; i < set->bucket_count; i++) {
        struct graph_entry *entry;

        LIST_FOREACH(entry, &set->buckets[i], chain)
        {
            if (entry->owned && entry->claimed == mark && !entry->acting) {
                graph_set_disown(set, entry, true);
            }
        }
    }
}

void graph_set_release(struct graph_set *set, struct graph_entry *entry)
{
    entry->released = set->recovering > 0 ? ++set->clock : 0;
    set->released = set->recovering > 0 ? set->clock : set->released;
}

size_t graph_set_released(const struct graph_set *set, uint64_t mark, pgk_uuid **ret_ids)
{
    *ret_ids = NULL;
    if (set->released <= mark) {
        return 0;
    }
    pgk_uuid *ids = calloc(set->count + 1, sizeof(*ids));
    size_t count = 0;

    for (size_t i = 0; ids != NULL && i < set->bucket_count; i++) {
        const struct graph_entry *entry;

        LIST_FOREACH(entry, &set->buckets[i], chain)
        {
            if (entry->released > mark) {
                ids[count++] = entry->job_id;
            }
        }
    }
    *ret_ids = ids;
    return count;
}

void graph_set_end_recovery(struct graph_set *set, bool listens)
{
    set->recovering--;
    set->recovered = ++set->clock;
    for (size_t i = 0; set->recovering == 0 && i < set->bucket_count; i++) {
        struct graph_entry *entry = LIST_FIRST(&set->buckets[i]);

        while (entry != NULL) {
            struct graph_entry *next = LIST_NEXT(entry, chain);

            graph_set_tidy(set, entry, listens);
            entry = next;
        }
    }
}

void graph_set_doubt(struct graph_entry *entry, const pgk_uuid *op_id)
{
    if (entry->unsure == NULL) {
        entry->unsure = calloc(GRAPH_UNSURE_MAX, sizeof(*entry->unsure));
    }
    if (entry->unsure == NULL) {
        return; /* the next put may be refused then, which is not wrong */
    }
    if (entry->unsure_count == GRAPH_UNSURE_MAX) {
        entry->unsure_count--;
        memmove(entry->unsure, entry->unsure + 1, entry->unsure_count * sizeof(*entry->unsure));
    }
    entry->unsure[entry->unsure_count++] = *op_id;
}

void graph_set_begin_read(struct graph_set *set)
{
    set->mark = ++set->clock;
}

/* Does the read tell nothing about it, because the store was at it? */
static bool hidden(const struct graph_set *set, const struct graph_entry *entry)
{
    return entry->acting || entry->touched > set->mark;
}

static void make_due(struct graph_set *set, struct graph_entry *entry, bool added)
{
    if (!entry->due_added && !entry->due_removed) {
        TAILQ_INSERT_TAIL(&set->due, entry, due);
    }
    entry->due_added = entry->due_added || added;
    entry->due_removed = entry->due_removed || !added;
}

/* It is there. False: hidden. */
static bool see(struct graph_set *set, const struct graph_id *id, uint64_t round)
{
    struct graph_entry *entry = graph_set_get(set, &id->job_id);

    if (entry == NULL) {
        return false;
    }
    entry->seen = round;
    if (hidden(set, entry)) {
        return false;
    }
    for (size_t i = 0; i < entry->unsure_count; i++) {
        if (pgk_uuid_compare(&entry->unsure[i], &id->op_id) == 0) {
            graph_set_own(set, entry, &id->op_id, id->created); /* it was done */
        }
    }
    /* A write of one's own may have made it anew. */
    bool anew = entry->created != 0 && entry->created != id->created &&
                !(entry->owned && pgk_uuid_compare(&entry->op_id, &id->op_id) == 0);

    entry->created = id->created;
    if (anew && entry->owned) {
        entry->owned = false; /* that one was removed between two reads */
        entry->told = false;
        make_due(set, entry, false);
    }
    if (!entry->owned && !entry->told) {
        entry->told = true;
        make_due(set, entry, true);
    }
    return true;
}

/* It is not there. False: hidden. */
static bool miss(struct graph_set *set, struct graph_entry *entry)
{
    if (hidden(set, entry)) {
        return false;
    }
    if (entry->owned) {
        entry->owned = false;
        make_due(set, entry, false);
    } else if (entry->due_added && !entry->due_removed) {
        drop_due(set, entry);
    } else {
        entry->due_added = false;
    }
    entry->told = false;
    entry->created = 0;
    if (!entry->due_removed && entry->unsure_count == 0) {
        drop(set, entry);
    }
    return true;
}

bool graph_set_end_read(struct graph_set *set, const struct graph_id *ids, size_t count)
{
    uint64_t round = ++set->clock;
    bool whole = true;

    if (set->recovering > 0 || set->recovered > set->mark) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        whole = see(set, &ids[i], round) && whole;
    }
    for (size_t i = 0; i < set->bucket_count; i++) {
        struct graph_entry *entry = LIST_FIRST(&set->buckets[i]);

        while (entry != NULL) {
            struct graph_entry *next = LIST_NEXT(entry, chain);

            if (entry->seen != round) {
                whole = miss(set, entry) && whole;
            }
            entry = next;
        }
    }
    return whole;
}

bool graph_set_take_due(struct graph_set *set, pgk_uuid *ret_job_id, bool *ret_added)
{
    struct graph_entry *entry = TAILQ_FIRST(&set->due);

    if (entry == NULL) {
        return false;
    }
    *ret_job_id = entry->job_id;
    *ret_added = !entry->due_removed;
    if (entry->due_removed) {
        entry->due_removed = false;
    } else {
        entry->due_added = false;
    }
    if (!entry->due_added) {
        TAILQ_REMOVE(&set->due, entry, due);
    }
    return true;
}
