/*
 * services/async_cleanup.c - pgk_ha_cleanup_job_async: cleanup.c on a thread of the pool, and again by
 * cleanup-strategy. Any thread.
 */
#include <pgkeeper/recovery.h>

#include <inttypes.h>
#include <stdlib.h>

#include "core/clock.h"
#include "services/cleanup.h"
#include "services/cleanup_retry.h"

#define ORIGIN "ha.cleanup_job"

struct cleanup_call {
    struct async_call head; /* first */
    bool fenced;
    pgk_token token;
    pgk_uuid job_id;
    pgk_uuid op_id; /* of all tries: what one of them did no other does */
    struct cleanup_tries tries;
};

static pgk_status run(struct async_call *call, pgk_error *err)
{
    struct cleanup_call *cleanup = (struct cleanup_call *)call;
    struct store store = {.ha = call->ha, .fenced = cleanup->fenced, .token = cleanup->token};

    return cleanup_job(&store, &cleanup->job_id, &cleanup->op_id, &call->dropped, err);
}

static bool again(struct async_call *call, const pgk_error *error, int64_t *ret_at_ns)
{
    struct cleanup_call *cleanup = (struct cleanup_call *)call;
    const struct settings *settings = call->ha->settings;
    int64_t now_ns = clock_now_ns();
    char job[PGK_UUID_HEX_SIZE];
    bool more = cleanup_retry_again(&settings->cleanup, &cleanup->tries, error, now_ns, ret_at_ns);

    pgk_uuid_format_hex(&cleanup->job_id, job);
    if (more) {
        log_line(&settings->logger, PGK_LOG_WARNING, ORIGIN,
                 "job %s: try %d failed, the next one is in %" PRId64 " ms: %s", job,
                 cleanup->tries.failures, (*ret_at_ns - now_ns) / NS_PER_MS, error->message);
    } else {
        log_line(&settings->logger, PGK_LOG_ERROR, ORIGIN,
                 "job %s: try %d failed, there is no other: %s", job, cleanup->tries.failures,
                 error->message);
    }
    return more;
}

static const struct async_ops cleanup_ops = {
    .kind = ASYNC_CLEANUP, .origin = ORIGIN, .run = run, .again = again};

/* Of a store that was opened for the call; the rest is checked already. */
static pgk_status begin(const struct store *store, const pgk_uuid *job_id, pgk_done_fn done,
                        void *user, pgk_error *err)
{
    pgk_ha *ha = store->ha;
    struct cleanup_call *cleanup = calloc(1, sizeof(*cleanup));

    if (cleanup == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for a call");
    }
    cleanup->head = (struct async_call){.ops = &cleanup_ops, .ha = ha, .done = done, .user = user};
    cleanup->fenced = store->fenced;
    cleanup->token = store->token;
    cleanup->job_id = *job_id;
    cleanup->op_id = store_new_write(store).op_id;
    pthread_mutex_lock(&ha->lock);
    cleanup->head.session_id = store->token.session_id;
    cleanup->head.of_tenure = store->fenced && group_leads(ha, &store->token.session_id);
    pgk_status status = async_begin(&cleanup->head, err);

    pthread_mutex_unlock(&ha->lock);
    if (status != PGK_OK) {
        free(cleanup);
    }
    return status;
}

pgk_status pgk_ha_cleanup_job_async(pgk_ha *ha, const pgk_token *token, const pgk_uuid *job_id,
                                    pgk_done_fn done, void *user, pgk_error *err)
{
    struct store store = {.ha = NULL};

    error_reset(err);
    pgk_status status = check_not_null(job_id, "job_id", ORIGIN, err);

    if (status == PGK_OK && done == NULL) {
        status = error_set(err, PGK_ERR_INVALID_ARGUMENT, ORIGIN, "done is NULL");
    }
    if (status == PGK_OK) {
        status = store_open(&store, ha, token, ORIGIN, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = begin(&store, job_id, done, user, err);
    store_close(&store);
    return status;
}
