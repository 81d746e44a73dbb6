/* backend/postgres/pool.c - see pool.h. */
#include "backend/postgres/pool.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/postgres/retry.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/thread.h"

#define ORIGIN "work"
/* A session that nobody has used for so long is closed: it costs the server memory, and time to end
 * when this process dies. */
#define IDLE_LIMIT_NS (3 * NS_PER_S)

pgk_status pool_init(struct pool *pool, const struct link_request *request, pgk_error *err)
{
    pool->request = *request;
    pgk_status status = mutex_init(&pool->lock, err);
    if (status == PGK_OK) {
        status = cond_init(&pool->freed, err);
        if (status != PGK_OK) {
            goto fail_freed;
        }
        status = cond_init(&pool->ended, err);
        if (status != PGK_OK) {
            goto fail_ended;
        }
    }
    return status;

fail_ended:
    pthread_cond_destroy(&pool->freed);
fail_freed:
    pthread_mutex_destroy(&pool->lock);
    return status;
}

static void destroy_link(struct pooled_link *pooled)
{
    PQfinish(pooled->link.conn);
    free(pooled);
}

/* Gives up a place; the connection has been or is being closed. */
static void forget_place(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->count--;
    pthread_cond_signal(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
}

static void give_back(struct pool *pool, struct pooled_link *pooled)
{
    pthread_mutex_lock(&pool->lock);
    bool keep = !pool->closed;
    if (keep) {
        pooled->used_at_ns = clock_now_ns();
        pooled->next = pool->idle;
        pool->idle = pooled;
        pthread_cond_signal(&pool->freed);
    }
    pthread_mutex_unlock(&pool->lock);
    if (!keep) {
        destroy_link(pooled);
        forget_place(pool);
    }
}

/* An idle session, or a place for a new one (*ret_pooled NULL). */
static pgk_status take_place(struct pool *pool, int64_t deadline_ns,
                             struct pooled_link **ret_pooled, pgk_error *err)
{
    pgk_status status = PGK_OK;
    int limit = pool->request.settings->max_connections;
    pthread_mutex_lock(&pool->lock);
    while (!pool->closed && pool->idle == NULL && pool->count >= limit && status == PGK_OK) {
        if (!cond_wait_until(&pool->freed, &pool->lock, deadline_ns)) {
            status = error_set(
                err, PGK_ERR_TIMEOUT, ORIGIN,
                "all %d work sessions are in use; see high-availability.postgres.max-connections",
                limit);
        }
    }
    if (pool->closed) {
        status = error_set(err, PGK_ERR_ILLEGAL_STATE, ORIGIN, "the handle is closed");
    } else if (status != PGK_OK) {
        pthread_cond_signal(&pool->freed); /* perhaps it was woken at the same time, in vain */
    } else {
        *ret_pooled = pool->idle;
        if (pool->idle != NULL) {
            pool->idle = pool->idle->next;
        } else {
            pool->count++;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

/* What cuts the wait for a synchronous standby short (a time-out, an administrator) lets the commit look good. */
static void on_notice(void *arg, const PGresult *result)
{
    struct pooled_link *pooled = arg;
    const char *routine = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    if (routine != NULL && strcmp(routine, "SyncRepWaitForLSN") == 0) {
        pooled->unreplicated = true;
    }
}

static pgk_status open_link(struct pool *pool, int64_t deadline_ns, struct pooled_link **ret_pooled,
                            pgk_error *err)
{
    struct link_request request = pool->request;
    struct pooled_link *pooled = calloc(1, sizeof(*pooled));
    request.deadline_ns = deadline_ns;
    pgk_status status = pooled == NULL ? error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "out of memory")
                                       : link_make(&request, &pooled->link, err);
    if (status != PGK_OK) {
        free(pooled);
        forget_place(pool);
        return status;
    }
    PQsetNoticeReceiver(pooled->link.conn, on_notice, pooled);
    *ret_pooled = pooled;
    return PGK_OK;
}

/* An idle session has nothing to say but that it has ended. */
static bool has_ended(const struct pooled_link *pooled)
{
    struct pollfd fd = {.fd = PQsocket(pooled->link.conn), .events = POLLIN};
    return poll(&fd, 1, 0) != 0;
}

pgk_status pool_take(struct pool *pool, int64_t deadline_ns, struct pooled_link **ret_pooled,
                     pgk_error *err)
{
    for (;;) {
        struct pooled_link *pooled = NULL;
        pgk_status status = take_place(pool, deadline_ns, &pooled, err);
        if (status != PGK_OK) {
            return status;
        }
        if (pooled == NULL) {
            return open_link(pool, deadline_ns, ret_pooled, err);
        }
        if (!has_ended(pooled) && !link_is_stale(&pooled->link, pool->request.memory)) {
            pooled->unreplicated = false;
            *ret_pooled = pooled;
            return PGK_OK;
        }
        destroy_link(pooled);
        forget_place(pool);
    }
}

void pool_give(struct pool *pool, struct pooled_link *pooled, bool keep)
{
    if (keep && PQstatus(pooled->link.conn) == CONNECTION_OK &&
        PQtransactionStatus(pooled->link.conn) == PQTRANS_IDLE &&
        PQpipelineStatus(pooled->link.conn) == PQ_PIPELINE_OFF) {
        give_back(pool, pooled);
    } else {
        destroy_link(pooled);
        forget_place(pool);
    }
}

/* One try. *ret_sent: the statement may have reached the server. */
static pgk_status run_once(struct pool *pool, enum statement_id id, const char *const *params,
                           int64_t deadline_ns, PGresult **ret_result, bool *ret_sent,
                           pgk_error *err)
{
    struct pooled_link *pooled = NULL;
    pgk_status status = pool_take(pool, deadline_ns, &pooled, err);
    if (status != PGK_OK) {
        return status;
    }
    *ret_sent = true;
    if (link_send(&pooled->link, id, params, pool->request.settings)) {
        status =
            link_wait(&pooled->link, id, pool->request.cancel_fd, deadline_ns, ret_result, err);
    } else {
        status = error_set(err, PGK_ERR_CONNECTION, ORIGIN, "%s: %.200s", statements[id].name,
                           PQerrorMessage(pooled->link.conn));
    }
    pool_give(pool, pooled, true);
    return status;
}

/* No word from the server; an SQLSTATE would be one. */
static bool unanswered(pgk_status status, const pgk_error *error)
{
    return (status == PGK_ERR_CONNECTION || status == PGK_ERR_TIMEOUT) &&
           error->sqlstate[0] == '\0';
}

static pgk_status outcome_unknown(enum statement_id id, const pgk_error *cause, pgk_error *err)
{
    error_set(err, PGK_ERR_OUTCOME_UNKNOWN, ORIGIN,
              "%s was sent and no answer came (%.250s); calling again is safe", statements[id].name,
              cause->message);
    if (err != NULL) {
        err->flags |= PGK_ERROR_OUTCOME_UNKNOWN | PGK_ERROR_RETRYABLE;
    }
    return PGK_ERR_OUTCOME_UNKNOWN;
}

void pool_pause(struct pool *pool, int64_t until_ns)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->closed && cond_wait_until(&pool->ended, &pool->lock, until_ns)) {
    }
    pthread_mutex_unlock(&pool->lock);
}

pgk_status pool_run(struct pool *pool, enum statement_id id, const char *const *params,
                    int64_t deadline_ns, PGresult **ret_result, pgk_error *err)
{
    struct retry retry = {.settings = pool->request.settings, .deadline_ns = deadline_ns};
    bool sent = false;
    for (;;) {
        pgk_error local;
        int64_t retry_at_ns;
        pgk_status status = run_once(pool, id, params, deadline_ns, ret_result, &sent, &local);
        if (status == PGK_OK) {
            return PGK_OK;
        }
        if (retry_again(&retry, &local, &retry_at_ns)) {
            pool_pause(pool, retry_at_ns);
            continue;
        }
        if (sent && unanswered(status, &local)) {
            return outcome_unknown(id, &local, err);
        }
        if (err != NULL) {
            *err = local;
        }
        return status;
    }
}

static void close_idle(struct pool *pool)
{
    while (pool->idle != NULL) {
        struct pooled_link *pooled = pool->idle;
        pool->idle = pooled->next;
        pool->count--;
        destroy_link(pooled);
    }
}

void pool_trim(struct pool *pool)
{
    int64_t oldest_ns = clock_now_ns() - IDLE_LIMIT_NS;
    struct pooled_link *old = NULL;
    pthread_mutex_lock(&pool->lock);
    /* Last used first: from the first old one on all are old. */
    struct pooled_link **at = &pool->idle;
    while (*at != NULL && (*at)->used_at_ns >= oldest_ns) {
        at = &(*at)->next;
    }
    old = *at;
    *at = NULL;
    for (const struct pooled_link *pooled = old; pooled != NULL; pooled = pooled->next) {
        pool->count--;
    }
    pthread_mutex_unlock(&pool->lock);
    while (old != NULL) {
        struct pooled_link *next = old->next;
        destroy_link(old);
        old = next;
    }
}

void pool_close(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->closed = true;
    close_idle(pool);
    pthread_cond_broadcast(&pool->freed);
    pthread_cond_broadcast(&pool->ended);
    pthread_mutex_unlock(&pool->lock);
}

void pool_forget(struct pool *pool)
{
    for (struct pooled_link *pooled = pool->idle; pooled != NULL; pooled = pooled->next) {
        close(PQsocket(pooled->link.conn));
    }
}

void pool_destroy(struct pool *pool)
{
    pool_close(pool);
    pthread_cond_destroy(&pool->ended);
    pthread_cond_destroy(&pool->freed);
    pthread_mutex_destroy(&pool->lock);
}
