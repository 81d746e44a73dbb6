/*
 * services/job_results.c - the job result store: argument checks, repeated writes, retention. Any
 * thread; round trips are made without the lock.
 */
#include <pgkeeper/job_result.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "services/checkpoint_rules.h"
#include "services/graph_end.h"
#include "services/result_entry.h"
#include "services/store_common.h"

/* So many entries are purged in one transaction. */
#define PURGE_BATCH 1000

struct pgk_job_results {
    struct store store; /* first */
};

const char *pgk_job_status_text(pgk_job_status status)
{
    switch (status) {
#define STATUS_CASE(name, value, text)                                                             \
    case name:                                                                                     \
        return text;
        PGK_JOB_STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
    }
    return "?";
}

pgk_status pgk_ha_job_results(pgk_ha *ha, const pgk_token *token, pgk_job_results **ret_store,
                              pgk_error *err)
{
    static const char origin[] = "ha.job_results";

    error_reset(err);
    pgk_status status = check_not_null(ret_store, "ret_store", origin, err);

    if (status != PGK_OK) {
        return status;
    }
    pgk_job_results *results = calloc(1, sizeof(*results));

    if (results == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, origin, "no memory for a store");
    }
    status = store_open(&results->store, ha, token, origin, err);
    if (status != PGK_OK) {
        free(results);
        return status;
    }
    *ret_store = results;
    return PGK_OK;
}

void pgk_job_results_free(pgk_job_results *store)
{
    if (store != NULL && store_close(&store->store)) {
        free(store);
    }
}

static struct store *base_of(pgk_job_results *results)
{
    return results != NULL ? &results->store : NULL;
}

/* ------------------------------------------------------------------ what an entry may be */

static pgk_status check_text(const char *text, const char *what, size_t most, const char *origin,
                             pgk_error *err)
{
    if (text == NULL) {
        return PGK_OK;
    }
    size_t length = strlen(text);

    if (length > most) {
        return error_set(err, PGK_ERR_TOO_LARGE, origin, "%s has %zu bytes; at most %zu are stored",
                         what, length, most);
    }
    if (!text_is_valid(text, 0, most)) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "%s is not UTF-8", what);
    }
    return PGK_OK;
}

static pgk_status check_accumulators(const pgk_job_result *result, const char *origin,
                                     pgk_error *err)
{
    if ((result->accumulators == NULL) != (result->accumulators_bytes == 0)) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "accumulators is %s and accumulators_bytes is %zu; without any set both "
                         "to zero",
                         result->accumulators == NULL ? "NULL" : "not NULL",
                         result->accumulators_bytes);
    }
    if (result->accumulators_bytes > PGK_ACCUMULATORS_MAX_BYTES) {
        return error_set(err, PGK_ERR_TOO_LARGE, origin,
                         "accumulators have %zu bytes; at most %zu are stored",
                         result->accumulators_bytes, PGK_ACCUMULATORS_MAX_BYTES);
    }
    return PGK_OK;
}

static pgk_status check_times(const pgk_job_result *result, const char *origin, pgk_error *err)
{
    if (result->net_runtime_ms < 0) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "net_runtime_ms is %" PRId64 "; it must not be negative",
                         result->net_runtime_ms);
    }
    if (result->started_ms > STORE_TIME_MAX_MS || result->ended_ms > STORE_TIME_MAX_MS) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "%s is after the year 9999; it counts milliseconds since 1970",
                         result->started_ms > STORE_TIME_MAX_MS ? "started_ms" : "ended_ms");
    }
    return PGK_OK;
}

static pgk_status check_result(const pgk_job_result *result, const char *origin, pgk_error *err)
{
    pgk_status status = check_not_null(result, "result", origin, err);

    if (status != PGK_OK) {
        return status;
    }
    status = check_size(result->size, sizeof(*result), "result", origin, err);
    if (status != PGK_OK) {
        return status;
    }
    if (result->status != PGK_JOB_UNKNOWN && !job_status_is_globally_terminal(result->status)) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "status %d (%s) is not the end of a job; a result is FINISHED, FAILED, "
                         "CANCELED or UNKNOWN",
                         (int)result->status, pgk_job_status_text(result->status));
    }
    status = check_text(result->job_name, "job_name", PGK_JOB_NAME_MAX_BYTES, origin, err);
    if (status == PGK_OK) {
        status = check_text(result->failure, "failure", PGK_FAILURE_MAX_BYTES, origin, err);
    }
    if (status == PGK_OK) {
        status = check_accumulators(result, origin, err);
    }
    if (status == PGK_OK) {
        status = check_times(result, origin, err);
    }
    return status;
}

/* ------------------------------------------------------------------ writes */

enum { CALL_CREATE, CALL_FINISH, CALL_MARK_CLEAN };

/* Digests of what is long; *ret_row points to that of the accumulators in the key. */
static pgk_status make_key(const pgk_job_result *result, bool finish, struct store_key *key,
                           struct result_row *ret_row, pgk_error *err)
{
    const char *name = result->job_name != NULL ? result->job_name : "";
    const char *failure = result->failure != NULL ? result->failure : "";
    pgk_status status = PGK_OK;

    *key = (struct store_key){
        .job_id = result->job_id,
        .numbers = {finish ? CALL_FINISH : CALL_CREATE, (int64_t)result->status, result->started_ms,
                    result->ended_ms, result->net_runtime_ms, result->failure != NULL}};
    *ret_row = (struct result_row){.result = *result};
    ret_row->result.format_version = PGK_RESULT_FORMAT_VERSION;
    status = digest_sha256(name, strlen(name), key->digests[0], err);
    if (status == PGK_OK) {
        status = digest_sha256(failure, strlen(failure), key->digests[1], err);
    }
    if (status == PGK_OK && result->accumulators != NULL) {
        status = bytes_make(result->accumulators, result->accumulators_bytes, key->digests[2],
                            &ret_row->accumulators, err);
    }
    return status;
}

static pgk_status write_result(const struct store *store, const struct store_write *write,
                               const struct result_row *row, bool finish, const pgk_uuid *store_id,
                               pgk_error *err)
{
    const pgk_ha *ha = store->ha;

    return ha->ops->job_results->create_dirty(ha->backend, write, row, finish, store_id, err);
}

static pgk_status write_finish(const struct store *store, const struct store_write *write,
                               const struct result_row *row, const char *origin, pgk_error *err)
{
    struct graph_end end;
    const pgk_uuid *store_id;

    graph_end_begin(&end, store, &row->result.job_id, origin, &store_id);
    pgk_status status = write_result(store, write, row, true, store_id, err);

    graph_end_finish(&end, status == PGK_OK);
    return status;
}

static pgk_status create(pgk_job_results *results, const pgk_job_result *result, bool finish,
                         const char *origin, pgk_error *err)
{
    struct store_key key;
    struct result_row row;
    struct call call;

    error_reset(err);
    pgk_status status = check_result(result, origin, err);

    if (status == PGK_OK) {
        status = make_key(result, finish, &key, &row, err);
    }
    if (status == PGK_OK) {
        status = store_enter(base_of(results), &call, "store", origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    struct store *store = &results->store;
    struct store_write write = store_new_write(store);

    store_resume(store, &write, &key);
    status = finish ? write_finish(store, &write, &row, origin, err)
                    : write_result(store, &write, &row, false, NULL, err);
    status = store_settle(store, &write, status, &key);
    call_leave(&call);
    return status;
}

pgk_status pgk_job_results_create_dirty(pgk_job_results *store, const pgk_job_result *result,
                                        pgk_error *err)
{
    return create(store, result, false, "job_results.create_dirty", err);
}

pgk_status pgk_job_results_finish_job(pgk_job_results *store, const pgk_job_result *result,
                                      pgk_error *err)
{
    return create(store, result, true, "job_results.finish_job", err);
}

pgk_status pgk_job_results_mark_clean(pgk_job_results *results, const pgk_uuid *job_id,
                                      pgk_error *err)
{
    static const char origin[] = "job_results.mark_clean";
    struct call call;

    error_reset(err);
    pgk_status status = check_not_null(job_id, "job_id", origin, err);

    if (status == PGK_OK) {
        status = store_enter(base_of(results), &call, "store", origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    struct store *store = &results->store;
    struct store_key key = {.job_id = *job_id, .numbers = {CALL_MARK_CLEAN}};
    struct store_write write = store_new_write(store);
    bool delete_it = store->ha->settings->delete_results;
    bool again = store_resume(store, &write, &key);

    status =
        store->ha->ops->job_results->mark_clean(store->ha->backend, &write, job_id, delete_it, err);
    if (again && delete_it && status == PGK_ERR_NOT_FOUND) {
        error_reset(err); /* the call whose answer was lost has deleted it */
        status = PGK_OK;
    }
    status = store_settle(store, &write, status, &key);
    call_leave(&call);
    return status;
}

/* The batches; the caller is inside a call. */
static pgk_status purge(struct store *store, int64_t *purged, pgk_error *err)
{
    int64_t retention_ms = store->ha->settings->result_retention_ms;
    int64_t batch;

    do {
        batch = 0;
        struct store_write write = store_new_write(store);
        pgk_status status = store->ha->ops->job_results->purge(
            store->ha->backend, &write, retention_ms, PURGE_BATCH, &batch, err);

        if (status != PGK_OK) {
            return status;
        }
        *purged += batch;
    } while (batch == PURGE_BATCH);
    return PGK_OK;
}

pgk_status pgk_job_results_purge(pgk_job_results *results, int64_t *ret_purged, pgk_error *err)
{
    static const char origin[] = "job_results.purge";
    struct call call;

    error_reset(err);
    pgk_status status = check_not_null(ret_purged, "ret_purged", origin, err);

    if (status == PGK_OK) {
        status = store_enter(base_of(results), &call, "store", origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    *ret_purged = 0;
    status = purge(&results->store, ret_purged, err);
    call_leave(&call);
    return status;
}

/* ------------------------------------------------------------------ reads */

static pgk_status read_state(pgk_job_results *results, const pgk_uuid *job_id, const bool *ret_has,
                             const char *origin, enum result_state *ret_state, pgk_error *err)
{
    struct call call;

    error_reset(err);
    pgk_status status = check_not_null(job_id, "job_id", origin, err);

    if (status == PGK_OK) {
        status = check_not_null(ret_has, "ret_has", origin, err);
    }
    if (status == PGK_OK) {
        status = store_enter(base_of(results), &call, "store", origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    struct store *store = &results->store;

    status = store->ha->ops->job_results->state(store->ha->backend, job_id, ret_state, err);
    call_leave(&call);
    return status;
}

pgk_status pgk_job_results_has_entry(pgk_job_results *store, const pgk_uuid *job_id, bool *ret_has,
                                     pgk_error *err)
{
    enum result_state state;
    pgk_status status = read_state(store, job_id, ret_has, "job_results.has_entry", &state, err);

    if (status == PGK_OK) {
        *ret_has = state != RESULT_NONE;
    }
    return status;
}

pgk_status pgk_job_results_has_dirty(pgk_job_results *store, const pgk_uuid *job_id, bool *ret_has,
                                     pgk_error *err)
{
    enum result_state state;
    pgk_status status = read_state(store, job_id, ret_has, "job_results.has_dirty", &state, err);

    if (status == PGK_OK) {
        *ret_has = state == RESULT_DIRTY;
    }
    return status;
}

pgk_status pgk_job_results_has_clean(pgk_job_results *store, const pgk_uuid *job_id, bool *ret_has,
                                     pgk_error *err)
{
    enum result_state state;
    pgk_status status = read_state(store, job_id, ret_has, "job_results.has_clean", &state, err);

    if (status == PGK_OK) {
        *ret_has = state == RESULT_CLEAN;
    }
    return status;
}

struct listing {
    struct call call;
    const char *origin;
    pgk_job_result_fn fn;
    void *user;
    bool seen;
    char reason[RESULT_REASON_SIZE]; /* why the last one is damaged; empty: it is not */
};

static pgk_status pass(void *ctx, const struct result_row *row, pgk_error *err)
{
    struct listing *listing = ctx;
    pgk_job_result result;

    result_from_row(row, listing->reason, &result);
    listing->seen = true;
    return store_callback_answer(&listing->call, listing->fn(listing->user, &result),
                                 listing->origin, err);
}

static pgk_status list(pgk_job_results *results, enum result_state state, const pgk_uuid *job_id,
                       struct listing *listing, pgk_error *err)
{
    if (listing->fn == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, listing->origin, "fn is NULL");
    }
    pgk_status status =
        store_enter(base_of(results), &listing->call, "store", listing->origin, err);

    if (status != PGK_OK) {
        return status;
    }
    struct store *store = &results->store;

    status =
        store->ha->ops->job_results->list(store->ha->backend, state, job_id, pass, listing, err);
    call_leave(&listing->call);
    return status;
}

pgk_status pgk_job_results_get(pgk_job_results *store, const pgk_uuid *job_id, pgk_job_result_fn fn,
                               void *user, pgk_error *err)
{
    static const char origin[] = "job_results.get";
    struct listing listing = {.origin = origin, .fn = fn, .user = user};

    error_reset(err);
    pgk_status status = check_not_null(job_id, "job_id", origin, err);

    if (status == PGK_OK) {
        status = list(store, RESULT_NONE, job_id, &listing, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    char text[PGK_UUID_HEX_SIZE];

    pgk_uuid_format_hex(job_id, text);
    if (!listing.seen) {
        return error_set(err, PGK_ERR_NOT_FOUND, origin, "job %s has no result", text);
    }
    if (listing.reason[0] != '\0') {
        return error_set(err, PGK_ERR_CORRUPT, origin, "the result of job %s is damaged: %s", text,
                         listing.reason);
    }
    return PGK_OK;
}

pgk_status pgk_job_results_list_dirty(pgk_job_results *store, pgk_job_result_fn fn, void *user,
                                      pgk_error *err)
{
    struct listing listing = {.origin = "job_results.list_dirty", .fn = fn, .user = user};

    error_reset(err);
    return list(store, RESULT_DIRTY, NULL, &listing, err);
}

pgk_status pgk_job_results_list_clean(pgk_job_results *store, pgk_job_result_fn fn, void *user,
                                      pgk_error *err)
{
    struct listing listing = {.origin = "job_results.list_clean", .fn = fn, .user = user};

    error_reset(err);
    return list(store, RESULT_CLEAN, NULL, &listing, err);
}
