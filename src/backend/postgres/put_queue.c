/*
 * backend/postgres/put_queue.c - see put_queue.h.
 *
 * The callers' threads. A put that waits lies on its caller's stack, and is its leader's alone from
 * PUT_TAKEN to PUT_SENT, PUT_DONE or PUT_ALONE.
 */
#include "backend/postgres/put_queue.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/keeper.h"
#include "backend/postgres/retry.h"
#include "backend/postgres/work.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "job_graphs"
#define TOGETHER_MAX 32
/* Larger graphs go alone: their bytes cost more than their commit. */
#define TOGETHER_BYTES ((size_t)16 * 1024)
/* A put that waits longer than usual writes take does not wait for a place: the others may hang on
 * the locks of their rows. */
#define PATIENCE_NS (20 * NS_PER_MS)
#define OID_BYTEA 17
#define OID_UUID 2950

pgk_status put_queue_init(struct put_queue *queue, int connections, pgk_error *err)
{
    *queue = (struct put_queue){.limit = connections > 7 ? connections / 4 : 1};
    queue->last = &queue->first;
    return mutex_init(&queue->lock, err);
}

void put_queue_destroy(struct put_queue *queue)
{
    pthread_mutex_destroy(&queue->lock);
}

/* ------------------------------------------------------------------ arrays of parameters */

struct field {
    const void *data;
    size_t length;
};

static struct field field_of(const struct put_request *put, int parameter)
{
    switch (parameter) {
    case 0:
        return (struct field){put->job_id->bytes, sizeof(put->job_id->bytes)};
    case 1:
        return (struct field){put->write->op_id.bytes, sizeof(put->write->op_id.bytes)};
    case 2:
        return (struct field){put->known != NULL ? put->known->bytes : NULL,
                              sizeof(put->known->bytes)};
    case 3:
        return (struct field){put->graph->data, put->graph->length};
    default:
        return (struct field){put->graph->digest, put->graph->digest_length};
    }
}

static char *add_int32(char *at, size_t value)
{
    uint32_t wire = htonl((uint32_t)value);
    memcpy(at, &wire, sizeof(wire));
    return at + sizeof(wire);
}

/* A one-dimensional array in binary form, of those that have the field. NULL: no memory. */
static char *encode_array(struct put_request *const *puts, size_t count, int parameter, size_t oid,
                          size_t *ret_length)
{
    size_t elements = 0;
    size_t length = 5 * sizeof(uint32_t);
    for (size_t i = 0; i < count; i++) {
        struct field field = field_of(puts[i], parameter);
        elements += field.data != NULL;
        length += field.data != NULL ? sizeof(uint32_t) + field.length : 0;
    }
    char *array = malloc(length);
    if (array == NULL) {
        return NULL;
    }
    char *at = add_int32(array, elements > 0); /* dimensions */
    at = add_int32(at, 0);                     /* no NULL in it */
    at = add_int32(at, oid);
    if (elements > 0) {
        at = add_int32(at, elements);
        at = add_int32(at, 1); /* the first index */
    }
    for (size_t i = 0; i < count; i++) {
        struct field field = field_of(puts[i], parameter);
        if (field.data != NULL) {
            at = add_int32(at, field.length);
            memcpy(at, field.data, field.length);
            at += field.length;
        }
    }
    *ret_length = (size_t)(at - array);
    return array;
}

/* ------------------------------------------------------------------ together */

static pgk_status run_together(struct backend *backend, struct put_request *const *puts,
                               size_t count, struct work_answer *ret_answer, pgk_error *err)
{
    static const size_t oids[] = {OID_UUID, OID_UUID, OID_UUID, OID_BYTEA, OID_BYTEA};
    char *arrays[5] = {NULL};
    size_t lengths[5];
    pgk_status status = PGK_OK;
    struct work work;
    for (int i = 0; i < 5 && status == PGK_OK; i++) {
        arrays[i] = encode_array(puts, count, i, oids[i], &lengths[i]);
        status = arrays[i] != NULL
                     ? PGK_OK
                     : error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for %zu graphs", count);
    }
    if (status == PGK_OK) {
        work_begin(&work, STMT_JOB_GRAPH_PUT_MANY);
        work.deadline_ns = puts[0]->deadline_ns;
        work_token(&work, puts[0]->write->token);
        work_text(&work, backend->settings->cluster_id);
        work_bytes(&work, arrays[0], lengths[0]);
        work_uuid(&work, puts[0]->store_id);
        for (int i = 1; i < 5; i++) {
            work_bytes(&work, arrays[i], lengths[i]);
        }
        /* One transaction, but some of it may have met a graph that is not theirs: each is looked for. */
        work.settle.rule = SETTLE_BY_CALLER;
        status = work_write(backend, &work, ret_answer, err);
    }
    for (int i = 0; i < 5; i++) {
        free(arrays[i]);
    }
    return status;
}

static bool is_among(const PGresult *result, const pgk_uuid *op_id)
{
    for (int row = 0; row < PQntuples(result); row++) {
        pgk_uuid done = cell_uuid(result, row, 0);
        if (memcmp(&done, op_id, sizeof(done)) == 0) {
            return true;
        }
    }
    return false;
}

/* Did it fail in a way that may be the fault of one of them, and surely wrote nothing? */
static bool may_be_one(pgk_status status, const pgk_error *error)
{
    return status == PGK_ERR_NO_MEMORY || (error->sqlstate[0] != '\0' && status != PGK_ERR_FENCED &&
                                           status != PGK_ERR_OUTCOME_UNKNOWN);
}

/* Sent, no answer, and leadership has passed on since: was this one of those that were done? Until its own deadline. */
static pgk_status settle_one(struct backend *backend, const struct put_request *put, pgk_error *err)
{
    const struct settle settle = {
        .what = "job_graph", .job_id = *put->job_id, .op_id = put->write->op_id};
    struct retry retry = {.settings = backend->settings, .deadline_ns = put->deadline_ns};
    bool found = false;
    int64_t retry_at_ns;
    pgk_error why;
    pgk_status status = work_find(backend, &settle, put->deadline_ns, &found, &why);
    while (status != PGK_OK && retry_again(&retry, &why, &retry_at_ns)) {
        pool_pause(&backend->pool, retry_at_ns);
        status = work_find(backend, &settle, put->deadline_ns, &found, &why);
    }
    if (status == PGK_OK && found) {
        return PGK_OK;
    }
    error_set(err, PGK_ERR_OUTCOME_UNKNOWN, ORIGIN,
              "it was sent and no answer came; leadership has passed on since, so it was not sent "
              "again, and %s%s",
              status == PGK_OK ? "it was not found as it was sent" : "it could not be looked for: ",
              status == PGK_OK ? "" : why.message);
    err->flags |= PGK_ERROR_OUTCOME_UNKNOWN | PGK_ERROR_RETRYABLE;
    return PGK_ERR_OUTCOME_UNKNOWN;
}

/* Sets status and error of all; answers how that leaves them. */
static enum put_state write_together(struct backend *backend, struct put_request *const *puts,
                                     size_t count)
{
    struct work_answer answer = {0};
    pgk_error error;
    error_reset(&error);
    pgk_status status = run_together(backend, puts, count, &answer, &error);
    for (size_t i = 0; i < count; i++) {
        struct put_request *put = puts[i];
        put->status = status;
        put->error = error;
        if (status == PGK_OK && !answer.settled && !is_among(answer.result, &put->write->op_id)) {
            put->status = put_refused(put, answer.resent, &put->error);
        }
    }
    PQclear(answer.result);
    if (status == PGK_OK && answer.settled) {
        return PUT_SENT;
    }
    return may_be_one(status, &error) ? PUT_ALONE : PUT_DONE;
}

/* ------------------------------------------------------------------ the queue */

/* One store has one token; its jobs differ, as calls on one job take turns. */
static bool fits(const struct put_request *leader, const struct put_request *put)
{
    return memcmp(leader->store_id, put->store_id, sizeof(*put->store_id)) == 0 &&
           (leader->write->token == NULL) == (put->write->token == NULL);
}

/* Locked. The leader comes first. */
static size_t take_along(struct put_queue *queue, struct put_request *leader,
                         struct put_request **puts)
{
    size_t count = 0;
    puts[count++] = leader;
    struct put_request **at = &queue->first;
    while (*at != NULL && count < TOGETHER_MAX) {
        struct put_request *put = *at;
        if (fits(leader, put)) {
            *at = put->next;
            put->state = PUT_TAKEN;
            puts[count++] = put;
        } else {
            at = &put->next;
        }
    }
    queue->last = &queue->first;
    while (*queue->last != NULL) {
        queue->last = &(*queue->last)->next;
    }
    return count;
}

/* Locked. Gives the leader's place to the first that waits, unless it was one too many. */
static void hand_on(struct put_queue *queue)
{
    struct put_request *put = queue->first;
    if (put == NULL || queue->running > queue->limit) {
        queue->running--;
        return;
    }
    queue->first = put->next;
    if (queue->first == NULL) {
        queue->last = &queue->first;
    }
    put->state = PUT_LEADS;
    pthread_cond_signal(&put->turn);
}

/* Has a place: writes, with those that wait, and gives the place on. The leader's state is then
 * PUT_SENT, PUT_DONE or PUT_ALONE. */
static void lead(struct backend *backend, struct put_request *leader)
{
    struct put_queue *queue = &backend->puts;
    struct put_request *puts[TOGETHER_MAX];
    enum put_state state = PUT_DONE;
    pthread_mutex_lock(&queue->lock);
    size_t count = take_along(queue, leader, puts);
    pthread_mutex_unlock(&queue->lock);
    if (count == 1) {
        leader->status = put_alone(backend, leader, &leader->error);
    } else {
        state = write_together(backend, puts, count);
    }
    pthread_mutex_lock(&queue->lock);
    leader->state = state;
    for (size_t i = 1; i < count; i++) {
        puts[i]->state = state;
        pthread_cond_signal(&puts[i]->turn); /* under the lock: it may be gone right after */
    }
    hand_on(queue);
    pthread_mutex_unlock(&queue->lock);
}

/* Locked. */
static void leave_queue(struct put_queue *queue, const struct put_request *put)
{
    struct put_request **at = &queue->first;
    while (*at != put) {
        at = &(*at)->next;
    }
    *at = put->next;
    if (*at == NULL) {
        queue->last = at;
    }
}

/* Locked. Until it leads, or another thread has written it. */
static pgk_status wait_in_queue(struct put_queue *queue, struct put_request *put, pgk_error *err)
{
    int64_t patience_ns = clock_now_ns() + PATIENCE_NS;
    pgk_status status = cond_init(&put->turn, err);
    if (status != PGK_OK) {
        return status;
    }
    put->state = PUT_WAITING;
    put->next = NULL;
    *queue->last = put;
    queue->last = &put->next;
    while (put->state == PUT_WAITING || put->state == PUT_TAKEN) {
        /* Once taken it lives by the deadline of who took it, who came first. */
        int64_t until_ns = put->state == PUT_TAKEN ? CLOCK_NEVER : patience_ns;
        if (!cond_wait_until(&put->turn, &queue->lock, until_ns) && put->state == PUT_WAITING) {
            leave_queue(queue, put);
            queue->running++;
            put->state = PUT_LEADS;
        }
    }
    pthread_cond_destroy(&put->turn);
    return status;
}

pgk_status put_queue_put(struct backend *backend, struct put_request *put, pgk_error *err)
{
    struct put_queue *queue = &backend->puts;
    pgk_status status = PGK_OK;
    put->deadline_ns = clock_now_ns() + backend->settings->statement_timeout_ms * NS_PER_MS;
    if (put->graph->length > TOGETHER_BYTES) {
        return put_alone(backend, put, err);
    }
    error_reset(&put->error);
    pthread_mutex_lock(&queue->lock);
    if (queue->running < queue->limit) {
        queue->running++;
        put->state = PUT_LEADS;
    } else {
        status = wait_in_queue(queue, put, err);
    }
    pthread_mutex_unlock(&queue->lock);
    if (status != PGK_OK) {
        return status;
    }
    if (put->state == PUT_LEADS) {
        lead(backend, put);
    }
    if (put->state == PUT_ALONE) {
        return put_alone(backend, put, err);
    }
    if (put->state == PUT_SENT) {
        put->status = settle_one(backend, put, &put->error);
    }
    if (put->status != PGK_OK && err != NULL) {
        *err = put->error;
    }
    return put->status;
}
