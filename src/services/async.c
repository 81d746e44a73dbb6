/*
 * services/async.c - see async.h.
 *
 * Any thread, under the handle's lock, which is dropped for a try and for a completion. Threads of the pool
 * never run anything of the application's but its log function.
 */
#include "services/async.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/error.h"
#include "services/handle.h"

pgk_status async_init(struct async_pool *pool, pgk_error *err)
{
    for (int kind = 0; kind < ASYNC_KINDS; kind++) {
        TAILQ_INIT(&pool->queued[kind]);
    }
    TAILQ_INIT(&pool->waiting);
    TAILQ_INIT(&pool->ended);
    TAILQ_INIT(&pool->delivering);
    return cond_init(&pool->due, err);
}

void async_destroy(struct async_pool *pool)
{
    pthread_cond_destroy(&pool->due);
}

static void put_call(struct async_call *call)
{
    if (--call->refs == 0) {
        free(call);
    }
}

static bool matches(const struct async_call *call, const pgk_election *election)
{
    return election == NULL || call->election == election;
}

static struct async_call *find(const struct async_list *list, const pgk_election *election)
{
    struct async_call *call;

    TAILQ_FOREACH (call, list, link) {
        if (matches(call, election)) {
            return call;
        }
    }
    return NULL;
}

/* Its error says how; it is on no list. */
static void end_call(struct async_call *call)
{
    pgk_ha *ha = call->ha;

    if (call->error.status != PGK_OK && call->attempts > 1) {
        error_wrap(&call->error, call->error.status, "after %d attempts", call->attempts);
    }
    if (call->error.status != PGK_OK && call->unclear) {
        call->error.status = PGK_ERR_OUTCOME_UNKNOWN;
        call->error.flags |= PGK_ERROR_OUTCOME_UNKNOWN;
    }
    call->ended = true;
    call->due_in = ha->dispatches;
    TAILQ_INSERT_TAIL(&ha->async.ended, call, link);
    if (ha_is_manual(ha)) {
        wake_set(&ha->wake);
    } else {
        pthread_cond_signal(&ha->work);
    }
    pthread_cond_broadcast(&ha->changed);
}

/* Before its first try, or before the next one. */
static void end_early(struct async_call *call, pgk_status status, const char *why)
{
    if (call->attempts == 0) {
        error_set(&call->error, status, call->ops->origin, "%s before this was begun", why);
    } else if (status == PGK_ERR_FENCED) {
        call->error.status = status;
        call->error.flags &= ~PGK_ERROR_RETRYABLE;
        error_wrap(&call->error, status, "%s before this was tried again", why);
    } else {
        error_wrap(&call->error, call->error.status, "%s before this was tried again", why);
    }
    end_call(call);
}

/* ------------------------------------------------------------------ the threads */

static int running_of_kind(const struct async_pool *pool, enum async_kind kind)
{
    int count = 0;

    for (int i = 0; i < ASYNC_THREADS; i++) {
        count += pool->running[i] != NULL && pool->running[i]->ops->kind == kind;
    }
    return count;
}

/* Calls of one election are made in turn. */
static bool election_runs(const struct async_pool *pool, const pgk_election *election)
{
    for (int i = 0; i < ASYNC_THREADS; i++) {
        if (pool->running[i] != NULL && pool->running[i]->election == election) {
            return true;
        }
    }
    return false;
}

static struct async_call *take(struct async_pool *pool)
{
    struct async_call *call;
    int64_t now_ns = clock_now_ns();

    while ((call = TAILQ_FIRST(&pool->waiting)) != NULL && call->due_ns <= now_ns) {
        TAILQ_REMOVE(&pool->waiting, call, link);
        TAILQ_INSERT_TAIL(&pool->queued[call->ops->kind], call, link);
    }
    TAILQ_FOREACH (call, &pool->queued[ASYNC_CONFIRM], link) {
        if (!election_runs(pool, call->election)) {
            break;
        }
    }
    if (call == NULL && running_of_kind(pool, ASYNC_CLEANUP) < ASYNC_CLEANUPS) {
        call = TAILQ_FIRST(&pool->queued[ASYNC_CLEANUP]);
    }
    if (call != NULL) {
        TAILQ_REMOVE(&pool->queued[call->ops->kind], call, link);
    }
    return call;
}

static void wait_for_next(struct async_pool *pool, struct async_call *call, int64_t at_ns)
{
    struct async_call *later;

    call->due_ns = at_ns;
    TAILQ_FOREACH (later, &pool->waiting, link) {
        if (later->due_ns > at_ns) {
            TAILQ_INSERT_BEFORE(later, call, link);
            return;
        }
    }
    TAILQ_INSERT_TAIL(&pool->waiting, call, link);
}

/* After a try, unless it was ended while that ran. */
static void settle_try(struct async_call *call, const pgk_error *error, bool again, int64_t at_ns)
{
    call->error = *error;
    call->unclear |= error->status == PGK_ERR_OUTCOME_UNKNOWN;
    if (!again) {
        end_call(call);
    } else if (call->ha->state != HA_OPEN) {
        end_early(call, PGK_ERR_ILLEGAL_STATE, "the handle was closed");
    } else if (call->of_tenure && !group_leads(call->ha, &call->session_id)) {
        end_early(call, PGK_ERR_FENCED, "leadership has passed on");
    } else {
        wait_for_next(&call->ha->async, call, at_ns);
    }
}

/* Drops the lock for the try. */
static void run_call(pgk_ha *ha, struct async_call *call, int slot)
{
    pgk_election *election = call->election;
    pgk_error error;
    int64_t at_ns = 0;

    ha->async.running[slot] = call;
    call->attempts++;
    call->refs++;
    if (election != NULL) {
        election->subject.refs++; /* it may be closed and freed meanwhile */
    }
    pthread_mutex_unlock(&ha->lock);
    error_reset(&error);
    pgk_status status = call->ops->run(call, &error);
    bool again =
        status != PGK_OK && call->ops->again != NULL && call->ops->again(call, &error, &at_ns);
    pthread_mutex_lock(&ha->lock);
    ha->async.running[slot] = NULL;
    if (!call->ended) {
        settle_try(call, &error, again, at_ns);
    }
    put_call(call);
    if (election != NULL) { /* the handle stays in any case: this thread is joined first */
        subject_unref_unlock(&election->subject);
        pthread_mutex_lock(&ha->lock);
    }
}

static int queued_calls(const struct async_pool *pool)
{
    const struct async_call *call;
    int count = 0;

    for (int kind = 0; kind < ASYNC_KINDS; kind++) {
        TAILQ_FOREACH (call, &pool->queued[kind], link) {
            if (++count > ASYNC_THREADS) {
                return count; /* more than there can be threads for */
            }
        }
    }
    return count;
}

static void run_thread(void *arg);

/* Sees to it that what is queued is taken, and that a thread is there for the next one that waits. */
static pgk_status wake_thread(pgk_ha *ha, pgk_error *err)
{
    struct async_pool *pool = &ha->async;
    int wanted = queued_calls(pool) + !TAILQ_EMPTY(&pool->waiting);
    pgk_status status = PGK_OK;

    if (wanted > pool->idle && pool->started < ASYNC_THREADS) {
        status = thread_start(&pool->threads[pool->started], "pgk-async", run_thread, ha, err);
        pool->started += status == PGK_OK;
    }
    if (wanted > 0) {
        pthread_cond_signal(&pool->due);
    }
    return status;
}

/* A thread of the pool; its number is how many there were before. */
static void run_thread(void *arg)
{
    pgk_ha *ha = arg;
    struct async_pool *pool = &ha->async;

    pthread_mutex_lock(&ha->lock);
    int slot = pool->slots++;

    while (!pool->stop) {
        struct async_call *call = take(pool);

        if (call != NULL) {
            (void)wake_thread(ha, NULL); /* for those after it; or else this thread will do */
            run_call(ha, call, slot);
            continue;
        }
        call = TAILQ_FIRST(&pool->waiting);
        pool->idle++;
        cond_wait_until(&pool->due, &ha->lock, call != NULL ? call->due_ns : CLOCK_NEVER);
        pool->idle--;
    }
    pthread_mutex_unlock(&ha->lock);
}

pgk_status async_begin(struct async_call *call, pgk_error *err)
{
    pgk_ha *ha = call->ha;
    struct async_pool *pool = &ha->async;
    struct async_list *queue = &pool->queued[call->ops->kind];
    pgk_status status = ha_check_open(ha, call->ops->origin, err);

    if (status != PGK_OK) {
        return status;
    }
    call->refs = 1;
    TAILQ_INSERT_TAIL(queue, call, link);
    status = wake_thread(ha, err);
    if (status != PGK_OK && pool->started == 0) {
        TAILQ_REMOVE(queue, call, link);
        return status;
    }
    error_reset(err); /* fewer threads will do */
    return PGK_OK;
}

void async_stop(pgk_ha *ha)
{
    struct async_pool *pool = &ha->async;

    pool->stop = true;
    pthread_cond_broadcast(&pool->due);
    pthread_mutex_unlock(&ha->lock);
    for (int i = 0; i < pool->started; i++) {
        thread_join(&pool->threads[i]);
    }
    pthread_mutex_lock(&ha->lock);
}

/* ------------------------------------------------------------------ ending early */

void async_cancel(pgk_ha *ha, const pgk_election *election)
{
    struct async_pool *pool = &ha->async;
    const char *why = election != NULL ? "the election was closed" : "the handle was closed";
    struct async_list *lists[] = {&pool->queued[ASYNC_CONFIRM], &pool->queued[ASYNC_CLEANUP],
                                  &pool->waiting};
    struct async_call *call;

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        while ((call = find(lists[i], election)) != NULL) {
            TAILQ_REMOVE(lists[i], call, link);
            end_early(call, PGK_ERR_ILLEGAL_STATE, why);
        }
    }
    for (int i = 0; election != NULL && i < ASYNC_THREADS; i++) {
        call = pool->running[i];
        if (call != NULL && !call->ended && call->election == election) {
            error_set(&call->error, PGK_ERR_OUTCOME_UNKNOWN, call->ops->origin,
                      "the election was closed while this was under way");
            end_call(call);
        }
    }
}

void async_tenure_over(pgk_ha *ha, const pgk_uuid *session_id)
{
    struct async_list *lists[] = {&ha->async.queued[ASYNC_CLEANUP], &ha->async.waiting};

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct async_call *call = TAILQ_FIRST(lists[i]);

        while (call != NULL) {
            struct async_call *next = TAILQ_NEXT(call, link);

            if (call->of_tenure && pgk_uuid_compare(&call->session_id, session_id) == 0) {
                TAILQ_REMOVE(lists[i], call, link);
                end_early(call, PGK_ERR_FENCED, "leadership has passed on");
            }
            call = next;
        }
    }
}

/* ------------------------------------------------------------------ completions */

bool async_is_due(const pgk_ha *ha)
{
    return !TAILQ_EMPTY(&ha->async.ended);
}

static bool deliver_of(pgk_ha *ha, const pgk_election *election)
{
    struct async_pool *pool = &ha->async;
    struct async_call *call = find(&pool->ended, election);

    if (call == NULL) {
        return false;
    }
    const pgk_completion completion = {.status = call->error.status,
                                       .error = &call->error,
                                       .attempts = call->attempts,
                                       .dropped = call->dropped};
    pgk_election *of = call->election;

    /* It may be freed in the completion, which closes of it wait for: another one must not come by its address. */
    if (of != NULL) {
        of->subject.refs++;
    }
    TAILQ_REMOVE(&pool->ended, call, link);
    TAILQ_INSERT_TAIL(&pool->delivering, call, link);
    ha->callbacks++;
    pthread_mutex_unlock(&ha->lock);
    call->done(call->user, &completion);
    pthread_mutex_lock(&ha->lock);
    ha->callbacks--;
    TAILQ_REMOVE(&pool->delivering, call, link);
    put_call(call);
    pthread_cond_broadcast(&ha->changed);
    if (of != NULL) {
        ha->refs++;
        subject_unref_unlock(&of->subject);
        pthread_mutex_lock(&ha->lock);
        ha->refs--; /* never the last: whoever has the turn has one */
    }
    return true;
}

bool async_deliver(pgk_ha *ha, uint64_t before)
{
    const struct async_call *first = TAILQ_FIRST(&ha->async.ended);

    return first != NULL && first->due_in < before && deliver_of(ha, NULL);
}

/* Is one of them still to end? */
static bool any_under_way(const struct async_pool *pool, const pgk_election *election)
{
    for (int i = 0; i < ASYNC_THREADS; i++) {
        const struct async_call *call = pool->running[i];

        if (call != NULL && !call->ended && matches(call, election)) {
            return true;
        }
    }
    return false;
}

void async_settle(pgk_ha *ha, const pgk_election *election)
{
    struct async_pool *pool = &ha->async;
    bool inside = notifier_inside_callback(ha);

    for (;;) {
        bool due = find(&pool->ended, election) != NULL;

        if (due && inside) {
            deliver_of(ha, election);
        } else if (due && ha_is_manual(ha) && !ha->dispatching) {
            notifier_take_turn(ha);
            deliver_of(ha, election);
            notifier_give_turn(ha);
        } else if (due || any_under_way(pool, election) ||
                   (!inside && find(&pool->delivering, election) != NULL)) {
            pthread_cond_wait(&ha->changed, &ha->lock);
        } else {
            return;
        }
    }
}
