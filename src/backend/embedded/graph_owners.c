/* backend/embedded/graph_owners.c - see graph_owners.h. */
#include "backend/embedded/graph_owners.h"

#include <stdlib.h>

#include "backend/embedded/space.h"
#include "core/error.h"

/* ------------------------------------------------------------------ lists */

bool number_list_reserve(struct number_list *list)
{
    int64_t *numbers = shelf_grow(list->numbers, list->count, &list->room, sizeof(*numbers));
    if (numbers == NULL) {
        return false;
    }
    list->numbers = numbers;
    return true;
}

static bool contains(const struct number_list *list, int64_t number)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->numbers[i] == number) {
            return true;
        }
    }
    return false;
}

static void take_out(struct number_list *list, int64_t number)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->numbers[i] == number) {
            list->numbers[i] = list->numbers[--list->count];
            return;
        }
    }
}

static bool is_owner(const struct shelf *shelf, int64_t number)
{
    const struct graph_store *store;
    LIST_FOREACH(store, &shelf->stores, link)
    {
        if (store->number == number) {
            return true;
        }
    }
    return false;
}

static bool is_claim(const struct shelf *shelf, int64_t claim)
{
    const struct graph_store *store;
    LIST_FOREACH(store, &shelf->stores, link)
    {
        if (store->claim == claim) {
            return true;
        }
    }
    return false;
}

/* Those of stores and recoveries that are past need not be named any more. */
static void keep_known(const struct shelf *shelf, struct number_list *list,
                       bool (*known)(const struct shelf *shelf, int64_t number))
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (known(shelf, list->numbers[i])) {
            list->numbers[kept++] = list->numbers[i];
        }
    }
    list->count = kept;
}

/* ------------------------------------------------------------------ stores */

static struct graph_store *find(const struct shelf *shelf, const pgk_uuid *store_id)
{
    struct graph_store *store;
    LIST_FOREACH(store, &shelf->stores, link)
    {
        if (pgk_uuid_compare(&store->store_id, store_id) == 0) {
            return store;
        }
    }
    return NULL;
}

static void end(struct graph_store *store)
{
    LIST_REMOVE(store, link);
    free(store);
}

int64_t graph_stores_end_dead(struct shelf *shelf, const struct space *space)
{
    struct graph_store *store = LIST_FIRST(&shelf->stores);
    int64_t ended = 0;
    while (store != NULL) {
        struct graph_store *next = LIST_NEXT(store, link);
        if (!space_token_leads(space, &store->token)) {
            end(store);
            ended++;
        }
        store = next;
    }
    return ended;
}

pgk_status graph_store_enter(struct shelf *shelf, const struct space *space, const pgk_token *token,
                             const pgk_uuid *store_id, pgk_error *err)
{
    (void)graph_stores_end_dead(shelf, space);
    if (token == NULL || find(shelf, store_id) != NULL) {
        return PGK_OK;
    }
    struct graph_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "job_graphs", "no memory for a store");
    }
    store->store_id = *store_id;
    store->token = *token;
    store->number = ++shelf->clock;
    LIST_INSERT_HEAD(&shelf->stores, store, link);
    return PGK_OK;
}

void graph_store_end(struct shelf *shelf, const pgk_uuid *store_id)
{
    struct graph_store *store = find(shelf, store_id);
    if (store != NULL) {
        end(store);
    }
}

void graph_stores_clear(struct shelf *shelf)
{
    while (!LIST_EMPTY(&shelf->stores)) {
        end(LIST_FIRST(&shelf->stores));
    }
}

/* ------------------------------------------------------------------ owning */

void graph_own_new(struct shelf *shelf, struct graph *graph, const pgk_uuid *store_id)
{
    const struct graph_store *store = find(shelf, store_id);
    if (store != NULL) {
        graph->owners.numbers[graph->owners.count++] = store->number;
    }
}

pgk_status graph_own(struct shelf *shelf, struct graph *graph, const pgk_uuid *store_id,
                     bool *ret_new, pgk_error *err)
{
    const struct graph_store *store = find(shelf, store_id);
    *ret_new = false;
    if (store == NULL || contains(&graph->owners, store->number)) {
        return PGK_OK;
    }
    keep_known(shelf, &graph->owners, is_owner);
    if (!number_list_reserve(&graph->owners)) {
        return error_set(err, PGK_ERR_NO_MEMORY, "job_graphs", "no memory for an owner");
    }
    graph->owners.numbers[graph->owners.count++] = store->number;
    *ret_new = true;
    return PGK_OK;
}

void graph_disown(struct shelf *shelf, struct graph *graph, const pgk_uuid *store_id)
{
    const struct graph_store *store = find(shelf, store_id);
    if (store != NULL) {
        take_out(&graph->owners, store->number);
    }
}

pgk_status graph_release(struct shelf *shelf, struct graph *graph, const pgk_uuid *store_id,
                         pgk_error *err)
{
    const struct graph_store *store = find(shelf, store_id);
    if (store == NULL) {
        return PGK_OK;
    }
    if (store->claim != 0 && !contains(&graph->disowned, store->claim)) {
        keep_known(shelf, &graph->disowned, is_claim);
        if (!number_list_reserve(&graph->disowned)) {
            return error_set(err, PGK_ERR_NO_MEMORY, "job_graphs", "no memory to release a graph");
        }
        graph->disowned.numbers[graph->disowned.count++] = store->claim;
    }
    take_out(&graph->owners, store->number);
    return PGK_OK;
}

void graph_claim_all(struct shelf *shelf, const pgk_uuid *store_id, int64_t seen)
{
    struct graph_store *store = find(shelf, store_id);
    if (store != NULL) {
        store->claim = ++shelf->clock;
        store->claimed_at = seen;
    }
}

/* A recovery does not hand out what has ended, so that nobody owns that by it. */
static bool owns(const struct graph_store *store, const struct job *job)
{
    const struct graph *graph = job->graph;
    return contains(&graph->owners, store->number) ||
           (store->claim != 0 && graph->created <= store->claimed_at && job->result == NULL &&
            !contains(&graph->disowned, store->claim));
}

bool graph_has_live_owner(const struct shelf *shelf, const struct space *space,
                          const struct job *job, const pgk_uuid *but_for)
{
    const struct graph_store *store;
    LIST_FOREACH(store, &shelf->stores, link)
    {
        if (pgk_uuid_compare(&store->store_id, but_for) != 0 && owns(store, job) &&
            space_token_leads(space, &store->token)) {
            return true;
        }
    }
    return false;
}
