/* backend/postgres/work_link.c - see work_link.h. */
#include "backend/postgres/work_link.h"

#include <poll.h>
#include <stdlib.h>

#include "backend/postgres/keeper.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "work"

pgk_status work_link_prepare(struct link *link, enum statement_id id, int64_t deadline_ns,
                             pgk_error *err)
{
    if (link->pooled || link->prepared[id] || id == STMT_RECOVER || id == STMT_SETTLE ||
        id == STMT_END_FORMER) {
        return PGK_OK;
    }
    return link_prepare(link, id, -1, deadline_ns, err);
}

bool work_link_send_one(const struct link *link, const struct work *work)
{
    const struct statement *statement = &statements[work->id];
    if (link->prepared[work->id]) {
        return PQsendQueryPrepared(link->conn, statement->name, work->count, work->values,
                                   work->lengths, work->formats, 1) == 1;
    }
    return PQsendQueryParams(link->conn, statement->text, work->count, NULL, work->values,
                             work->lengths, work->formats, 1) == 1;
}

/* Begins a pipeline with the settings of one transaction. */
static bool send_settings(const struct link *link, const struct settings *settings, bool streaming)
{
    struct work first;
    char limit[LINK_LIMIT_SIZE];
    char *path = search_path_of(settings->schema);
    work_begin(&first, streaming ? STMT_STREAM : STMT_USE_SCHEMA);
    work_text(&first, path);
    link_limit(settings, limit);
    work_text(&first, limit);
    bool sent =
        path != NULL && PQenterPipelineMode(link->conn) == 1 && work_link_send_one(link, &first);
    free(path);
    return sent;
}

bool work_link_send(const struct link *link, const struct work *work,
                    const struct settings *settings, bool streaming)
{
    if (!link->pooled && !streaming) {
        return work_link_send_one(link, work);
    }
    return send_settings(link, settings, streaming) && work_link_send_one(link, work) &&
           PQpipelineSync(link->conn) == 1;
}

static pgk_status broken(const struct link *link, const char *what, pgk_error *err)
{
    return error_set(err, PGK_ERR_CONNECTION, ORIGIN, "%s: %.300s", what,
                     PQerrorMessage(link->conn));
}

pgk_status work_link_next(const struct link *link, const char *what, int64_t deadline_ns,
                          int64_t pause_ns, PGresult **ret_result, pgk_error *err)
{
    for (;;) {
        int flushed = PQflush(link->conn);
        if (flushed < 0) {
            return broken(link, what, err);
        }
        if (flushed == 0 && !PQisBusy(link->conn)) {
            *ret_result = PQgetResult(link->conn);
            return PGK_OK;
        }
        if (deadline_ns == 0) {
            deadline_ns = clock_now_ns() + pause_ns;
        }
        pgk_status status = link_wait_socket(link, flushed > 0, -1, deadline_ns, err);
        if (status != PGK_OK) {
            return error_wrap(err, status, "%s", what);
        }
        if (PQconsumeInput(link->conn) == 0) {
            return broken(link, what, err);
        }
        int64_t next_ns = clock_now_ns() + pause_ns;
        deadline_ns = next_ns > deadline_ns ? next_ns : deadline_ns;
    }
}

/* The last result with rows, or the first error; up to the end of a pipeline. */
static bool keep_result(PGresult *result, PGresult **kept)
{
    ExecStatusType kind = PQresultStatus(result);
    bool failed = *kept != NULL && PQresultStatus(*kept) == PGRES_FATAL_ERROR;
    if (kind == PGRES_PIPELINE_SYNC || kind == PGRES_PIPELINE_ABORTED || failed) {
        PQclear(result);
        return kind == PGRES_PIPELINE_SYNC;
    }
    PQclear(*kept);
    *kept = result;
    return false;
}

/* Can anything still be sent? libpq keeps to itself that a write has failed until it reads. */
static bool is_open(const struct link *link)
{
    struct pollfd fd = {.fd = PQsocket(link->conn)};
    return PQstatus(link->conn) == CONNECTION_OK && fd.fd >= 0 &&
           (poll(&fd, 1, 0) < 0 || (fd.revents & (POLLERR | POLLHUP)) == 0);
}

/* False: the connection is broken, or took too long. Without the sync at its end the server does nothing
 * of it: *ret_sent. */
static bool send_large(struct backend *backend, const struct link *link, const struct work *work,
                       bool *ret_sent)
{
    struct send_guard guard;
    int64_t limit_ns = backend->settings->statement_timeout_ms * NS_PER_MS + work_bytes_ns(work);
    if (PQsetnonblocking(link->conn, 0) != 0) {
        return false;
    }
    send_guard_begin(backend, &guard, PQsocket(link->conn), clock_now_ns() + limit_ns);
    bool sent = send_settings(link, backend->settings, true) && work_link_send_one(link, work);
    *ret_sent = sent && !send_guard_ended(backend, &guard) && is_open(link);
    sent = *ret_sent && PQpipelineSync(link->conn) == 1 && PQflush(link->conn) == 0;
    return send_guard_end(backend, &guard) && sent && PQsetnonblocking(link->conn, 1) == 0;
}

static pgk_status send_any(struct backend *backend, const struct link *link,
                           const struct work *work, bool *ret_sent, pgk_error *err)
{
    const char *what = statements[work->id].name;
    *ret_sent = !work_is_large(work);
    if (*ret_sent) {
        return work_link_send(link, work, backend->settings, false) ? PGK_OK
                                                                    : broken(link, what, err);
    }
    if (send_large(backend, link, work, ret_sent)) {
        return PGK_OK;
    }
    if (*ret_sent || PQstatus(link->conn) != CONNECTION_OK) {
        return broken(link, what, err);
    }
    return error_set(err, PGK_ERR_TIMEOUT, ORIGIN,
                     "%s: the network did not take its %zu bytes in time; nothing was written",
                     what, work->bytes);
}

pgk_status work_link_run(struct backend *backend, const struct link *link, const struct work *work,
                         int64_t deadline_ns, PGresult **ret_result, bool *ret_sent, pgk_error *err)
{
    const char *what = statements[work->id].name;
    int64_t pause_ns = backend->settings->statement_timeout_ms * NS_PER_MS + work_bytes_ns(work);
    bool large = work_is_large(work);
    PGresult *kept = NULL;
    bool ended = false;
    pgk_status status = send_any(backend, link, work, ret_sent, err);
    if (status != PGK_OK) {
        return status;
    }
    if (large) {
        /* The server begins only now. */
        int64_t until_ns = clock_now_ns() + pause_ns;
        deadline_ns = until_ns > deadline_ns ? until_ns : deadline_ns;
    }
    while (!ended) {
        PGresult *result = NULL;
        status = work_link_next(link, what, deadline_ns, pause_ns, &result, err);
        if (status != PGK_OK) {
            PQclear(kept);
            return status;
        }
        bool lost = PQstatus(link->conn) != CONNECTION_OK;
        ended = result != NULL ? keep_result(result, &kept) : !(link->pooled || large) || lost;
    }
    if (link->pooled || large) {
        PQexitPipelineMode(link->conn);
    }
    if (kept == NULL) {
        return broken(link, what, err);
    }
    if (PQresultStatus(kept) != PGRES_TUPLES_OK) {
        status = result_error(kept, ORIGIN, what, err);
        PQclear(kept);
        return status;
    }
    *ret_result = kept;
    return PGK_OK;
}

void work_tell_keeper(struct backend *backend, const struct work *work, pgk_status status)
{
    if (status != PGK_ERR_FENCED || work->token == NULL) {
        return;
    }
    keeper_lock(backend);
    for (struct backend_group *g = backend->groups; g != NULL; g = g->next) {
        if (g->leadership_id == work->token->leadership_id && g->rules.state == GROUP_LEADING &&
            g->rules.epoch == work->token->epoch) {
            groups_act(backend, g, rules_fenced(&g->rules));
            wake_set(&backend->wake);
        }
    }
    keeper_unlock(backend);
}
