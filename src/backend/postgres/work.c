/*
 * backend/postgres/work.c - see work.h: parameters, cells, and running a statement once for all.
 * Streams are in stream.c.
 *
 * The caller's thread. Takes the handle's lock only to tell the keeper that a token was refused.
 */
#include "backend/postgres/work.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "backend/postgres/keeper.h"
#include "backend/postgres/retry.h"
#include "backend/postgres/work_link.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "work"
/* How long the server waits for a session that it is told to end; at least. */
#define END_FORMER_MS 100

/* ------------------------------------------------------------------ parameters */

void work_begin(struct work *work, enum statement_id id)
{
    memset(work, 0, sizeof(*work));
    work->id = id;
}

void work_bytes(struct work *work, const void *data, size_t length)
{
    int at = work->count++;
    work->values[at] = data;
    work->lengths[at] = (int)length;
    work->formats[at] = 1;
    work->bytes += data != NULL ? length : 0;
}

void work_null(struct work *work)
{
    work_bytes(work, NULL, 0);
}

void work_text(struct work *work, const char *text)
{
    work_bytes(work, text, text != NULL ? strlen(text) : 0);
}

void work_uuid(struct work *work, const pgk_uuid *uuid)
{
    work_bytes(work, uuid != NULL ? uuid->bytes : NULL, sizeof(uuid->bytes));
}

static void add_scratch(struct work *work, const void *value, size_t size)
{
    uint8_t *scratch = work->scratch[work->count];
    memcpy(scratch, value, size);
    work_bytes(work, scratch, size);
}

void work_int32(struct work *work, int32_t value)
{
    uint32_t wire = htonl((uint32_t)value);
    add_scratch(work, &wire, sizeof(wire));
}

void work_int64(struct work *work, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);
    add_scratch(work, &wire, sizeof(wire));
}

void work_bool(struct work *work, bool value)
{
    uint8_t wire = value ? 1 : 0;
    add_scratch(work, &wire, sizeof(wire));
}

void work_array(struct work *work, const char *text)
{
    int at = work->count;
    work_text(work, text);
    work->formats[at] = 0;
}

void work_token(struct work *work, const pgk_token *token)
{
    work->token = token;
    if (token == NULL) {
        work_null(work);
        work_null(work);
    } else {
        work_int32(work, token->leadership_id);
        work_int64(work, token->epoch);
    }
}

void work_noted(struct work *work, const pgk_uuid *op_id)
{
    work_uuid(work, op_id);
    work->settle = (struct settle){.rule = SETTLE_NOTED, .what = "applied_write", .op_id = *op_id};
}

/* ------------------------------------------------------------------ cells */

static uint64_t cell_number(const PGresult *result, int row, int column, size_t size)
{
    uint64_t number = 0;
    if (PQgetisnull(result, row, column) || (size_t)PQgetlength(result, row, column) != size) {
        return 0;
    }
    const char *bytes = PQgetvalue(result, row, column);
    for (size_t i = 0; i < size; i++) {
        number = number << 8 | (uint8_t)bytes[i];
    }
    return number;
}

int32_t cell_int32(const PGresult *result, int row, int column)
{
    return (int32_t)(uint32_t)cell_number(result, row, column, sizeof(int32_t));
}

int64_t cell_int64(const PGresult *result, int row, int column)
{
    return (int64_t)cell_number(result, row, column, sizeof(int64_t));
}

bool cell_bool(const PGresult *result, int row, int column)
{
    return cell_number(result, row, column, 1) != 0;
}

pgk_uuid cell_uuid(const PGresult *result, int row, int column)
{
    pgk_uuid uuid = {{0}};
    if (!PQgetisnull(result, row, column) &&
        PQgetlength(result, row, column) == (int)sizeof(uuid.bytes)) {
        memcpy(uuid.bytes, PQgetvalue(result, row, column), sizeof(uuid.bytes));
    }
    return uuid;
}

const char *cell_text(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

bool cell_is(const PGresult *result, int row, int column, const char *text)
{
    const char *cell = cell_text(result, row, column);
    return cell != NULL && strcmp(cell, text) == 0;
}

struct store_bytes cell_bytes(const PGresult *result, int row, int column, int digest_column)
{
    struct store_bytes bytes = {0};
    if (!PQgetisnull(result, row, column)) {
        bytes.data = PQgetvalue(result, row, column);
        bytes.length = (size_t)PQgetlength(result, row, column);
    }
    if (!PQgetisnull(result, row, digest_column)) {
        bytes.digest = (const uint8_t *)PQgetvalue(result, row, digest_column);
        bytes.digest_length = (size_t)PQgetlength(result, row, digest_column);
    }
    return bytes;
}

/* ------------------------------------------------------------------ one attempt */

/* A session whose last statement may still be running on the server. */
struct former {
    int pid; /* 0: none */
    bool pooled;
    bool unreplicated; /* it has committed, and the standby may not have it */
};

/* One call, however many attempts. */
struct attempts {
    struct backend *backend;
    struct work *work;
    int64_t deadline_ns;
    struct former former;
    bool unclear; /* an attempt got no answer */
    bool refused; /* a later one met the fence */
    bool settled; /* reading back has shown that nobody can know */
    struct work_answer answer;
};

static int64_t timeout_ns(const struct backend *backend)
{
    return backend->settings->statement_timeout_ms * NS_PER_MS;
}

/* Did the server say that nothing was done? */
static bool is_unclear(pgk_status status, const pgk_error *error)
{
    return status == PGK_ERR_CONNECTION || status == PGK_ERR_OUTCOME_UNKNOWN ||
           status == PGK_ERR_IO || (status == PGK_ERR_TIMEOUT && error->sqlstate[0] == '\0');
}

static pgk_status unreplicated(pgk_error *err)
{
    return error_set(err, PGK_ERR_OUTCOME_UNKNOWN, ORIGIN,
                     "the commit did not wait for its synchronous standby: it was cut short");
}

/* Runs a statement on a session of the pool. *ret_sent: it may have reached the server. */
static pgk_status run_once(struct backend *backend, const struct work *work, int64_t deadline_ns,
                           PGresult **ret_result, struct former *ret_former, bool *ret_sent,
                           pgk_error *err)
{
    struct pooled_link *pooled = NULL;
    PGresult *result = NULL;
    pgk_status status = pool_take(&backend->pool, deadline_ns, &pooled, err);
    *ret_sent = false;
    if (status != PGK_OK) {
        return status;
    }
    struct link *link = &pooled->link;
    status = work_link_prepare(link, work->id, deadline_ns, err);
    if (status == PGK_OK) {
        *ret_former = (struct former){.pid = link->backend_pid, .pooled = link->pooled};
        status = work_link_run(backend, link, work, deadline_ns, &result, ret_sent, err);
    }
    bool large =
        work_is_large(work) || (result != NULL && PQresultMemorySize(result) > LARGE_BYTES);
    if (status == PGK_OK && pooled->unreplicated) {
        PQclear(result);
        ret_former->unreplicated = true;
        status = unreplicated(err);
    } else if (status == PGK_OK) {
        *ret_result = result;
    }
    /* libpq never gives back the buffers that it has grown. After a time-out the answer may still come. */
    pool_give(&backend->pool, pooled, !large);
    return status;
}

/* ------------------------------------------------------------------ reads */

pgk_status work_read(struct backend *backend, struct work *work, PGresult **ret_result,
                     pgk_error *err)
{
    struct retry retry = {.settings = backend->settings,
                          .deadline_ns = clock_now_ns() + timeout_ns(backend)};
    for (;;) {
        struct former former;
        bool sent;
        pgk_error local;
        int64_t retry_at_ns;
        pgk_status status =
            run_once(backend, work, retry.deadline_ns, ret_result, &former, &sent, &local);
        if (status == PGK_OK) {
            return PGK_OK;
        }
        if (!retry_again(&retry, &local, &retry_at_ns)) {
            work_tell_keeper(backend, work, status);
            if (err != NULL) {
                *err = local;
            }
            return status;
        }
        pool_pause(&backend->pool, retry_at_ns);
    }
}

/* ------------------------------------------------------------------ writes */

/* Makes sure that the attempt before cannot come late. TIMEOUT: it is still there. */
static pgk_status end_former(struct attempts *a, pgk_error *err)
{
    char name[LINK_NAME_SIZE];
    struct work work;
    struct former unused;
    bool sent;
    AUTO_RESULT *result = NULL;
    int64_t left_ms = (a->deadline_ns - clock_now_ns()) / NS_PER_MS;
    link_application_name(&a->backend->pool.request, name);
    work_begin(&work, STMT_END_FORMER);
    work_int32(&work, a->former.pid);
    work_text(&work, name);
    work_int64(&work, left_ms / 2 > END_FORMER_MS ? left_ms / 2 : END_FORMER_MS);
    pgk_status status = run_once(a->backend, &work, a->deadline_ns, &result, &unused, &sent, err);
    if (status != PGK_OK) {
        return status;
    }
    if (!cell_bool(result, 0, 0)) {
        return error_set(err, PGK_ERR_TIMEOUT, ORIGIN,
                         "server process %d, which broke while it ran %s, does not end",
                         a->former.pid, statements[a->work->id].name);
    }
    a->former.pid = 0;
    return PGK_OK;
}

pgk_status work_find(struct backend *backend, const struct settle *settle, int64_t deadline_ns,
                     bool *ret_found, pgk_error *err)
{
    struct work work;
    struct former unused;
    bool sent;
    AUTO_RESULT *result = NULL;
    work_begin(&work, STMT_SETTLE);
    work_text(&work, settle->what);
    work_text(&work, backend->settings->cluster_id);
    work_uuid(&work, &settle->job_id);
    work_int64(&work, settle->checkpoint_id);
    work_uuid(&work, settle->rule == SETTLE_ABSENT_IS_DONE ? NULL : &settle->op_id);
    pgk_status status = run_once(backend, &work, deadline_ns, &result, &unused, &sent, err);
    if (status == PGK_OK) {
        *ret_found = cell_bool(result, 0, 0);
    }
    return status;
}

static pgk_status look(struct attempts *a, bool *ret_found, pgk_error *err)
{
    return work_find(a->backend, &a->work->settle, a->deadline_ns, ret_found, err);
}

static pgk_status fenced_meanwhile(const struct attempts *a, pgk_error *err)
{
    error_set(err, PGK_ERR_OUTCOME_UNKNOWN, ORIGIN,
              "%s was sent and no answer came; leadership has passed on since, so it was not sent "
              "again, and the stored data does not tell whether it had been done",
              statements[a->work->id].name);
    return PGK_ERR_OUTCOME_UNKNOWN;
}

/* After an unclear attempt a later one was refused: only reading back can tell. */
static pgk_status settle_refused(struct attempts *a, pgk_error *err)
{
    bool found = false;
    if (a->work->settle.rule == SETTLE_NEVER) {
        return fenced_meanwhile(a, err);
    }
    if (a->work->settle.rule == SETTLE_BY_CALLER) {
        a->answer.settled = true;
        return PGK_OK;
    }
    pgk_status status = look(a, &found, err);
    if (status != PGK_OK) {
        return status;
    }
    if (a->work->settle.rule == (found ? SETTLE_FOUND_IS_NOT_DONE : SETTLE_NOTED)) {
        return error_set_sqlstate(err, "PK001", ORIGIN, "%s: leadership has passed on",
                                  statements[a->work->id].name);
    }
    if (!found) {
        return fenced_meanwhile(a, err);
    }
    a->answer.settled = true;
    return PGK_OK;
}

/* Not sent again: what is there now may be another one, put since. */
static pgk_status settle_absent(struct attempts *a, pgk_error *err)
{
    bool found = false;
    pgk_status status = look(a, &found, err);
    if (status == PGK_OK && found) {
        a->settled = true;
        return error_set(err, PGK_ERR_OUTCOME_UNKNOWN, ORIGIN,
                         "%s was sent and no answer came; what it takes away is there, which may "
                         "have been put since; calling again takes away what is there then",
                         statements[a->work->id].name);
    }
    a->answer.settled = status == PGK_OK;
    return status;
}

static pgk_status send_it(struct attempts *a, pgk_error *err)
{
    struct former former = {0};
    bool sent;
    pgk_status status =
        run_once(a->backend, a->work, a->deadline_ns, &a->answer.result, &former, &sent, err);
    if (sent && status != PGK_OK && is_unclear(status, err)) {
        if (!a->unclear && work_is_large(a->work)) {
            /* The bytes have used the time up: once more as much, to look. */
            int64_t until_ns = clock_now_ns() + timeout_ns(a->backend);
            a->deadline_ns = until_ns > a->deadline_ns ? until_ns : a->deadline_ns;
        }
        a->unclear = true;
        a->answer.resent = true;
        a->former = former;
    }
    if (status == PGK_ERR_FENCED && a->unclear) {
        a->refused = true;
        return settle_refused(a, err);
    }
    return status;
}

static pgk_status attempt(struct attempts *a, pgk_error *err)
{
    bool found = false;
    pgk_status status = PGK_OK;
    if (a->former.pid != 0) {
        status = end_former(a, err);
    }
    if (status == PGK_OK && a->refused) {
        return settle_refused(a, err);
    }
    if (status == PGK_OK && a->unclear && work_is_large(a->work) &&
        a->work->settle.rule == SETTLE_FOUND_IS_DONE) {
        status = look(a, &found, err);
    }
    if (status == PGK_OK && found) {
        a->answer.settled = true;
        return PGK_OK;
    }
    if (status == PGK_OK && a->unclear && a->work->settle.rule == SETTLE_ABSENT_IS_DONE) {
        return settle_absent(a, err);
    }
    return status == PGK_OK ? send_it(a, err) : status;
}

static pgk_status give_up(const struct attempts *a, pgk_status status, const pgk_error *cause,
                          pgk_error *err)
{
    bool known = !a->unclear || status == PGK_ERR_FENCED || a->former.unreplicated ||
                 ((a->refused || a->settled) && status == PGK_ERR_OUTCOME_UNKNOWN);
    if (known) {
        if (err != NULL) {
            *err = *cause;
        }
    } else {
        error_set(err, PGK_ERR_OUTCOME_UNKNOWN, ORIGIN,
                  "%s was sent and no answer came (%.250s); calling again is safe",
                  statements[a->work->id].name, cause->message);
        status = PGK_ERR_OUTCOME_UNKNOWN;
    }
    if (status == PGK_ERR_OUTCOME_UNKNOWN && err != NULL) {
        err->flags |= PGK_ERROR_OUTCOME_UNKNOWN | PGK_ERROR_RETRYABLE;
    }
    return status;
}

/* The server has given up as late as it does: what time is left is not enough for another attempt, which
 * would make a known outcome an unknown one. */
static bool out_of_time(const struct attempts *a, pgk_status status, const pgk_error *error)
{
    return status == PGK_ERR_TIMEOUT && error->sqlstate[0] != '\0' &&
           a->deadline_ns - clock_now_ns() < timeout_ns(a->backend) / 2;
}

pgk_status work_write(struct backend *backend, struct work *work, struct work_answer *ret_answer,
                      pgk_error *err)
{
    struct attempts a = {.backend = backend,
                         .work = work,
                         .deadline_ns = work->deadline_ns != 0
                                            ? work->deadline_ns
                                            : clock_now_ns() + timeout_ns(backend)};
    struct retry retry = {.settings = backend->settings};
    a.deadline_ns += work_bytes_ns(work);
    for (;;) {
        pgk_error local;
        int64_t retry_at_ns;
        error_reset(&local);
        pgk_status status = attempt(&a, &local);
        work_tell_keeper(backend, work, a.refused ? PGK_ERR_FENCED : status);
        if (status == PGK_OK) { /* refused or not: it was done before leadership passed on */
            *ret_answer = a.answer;
            return PGK_OK;
        }
        /* Behind a pooler nobody knows which server process had it; and to ask the primary again does not
         * bring a standby up to it. */
        bool hopeless =
            a.settled || (a.former.pid != 0 && (a.former.pooled || a.former.unreplicated));
        if (a.unclear && !a.refused && is_unclear(status, &local)) {
            local.flags |= PGK_ERROR_RETRYABLE;
        }
        retry.deadline_ns = a.deadline_ns;
        if (hopeless || out_of_time(&a, status, &local) ||
            !retry_again(&retry, &local, &retry_at_ns)) {
            return give_up(&a, status, &local, err);
        }
        pool_pause(&backend->pool, retry_at_ns);
    }
}
