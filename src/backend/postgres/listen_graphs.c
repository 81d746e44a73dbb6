/*
 * backend/postgres/listen_graphs.c - what the listener session does for job graph stores that
 * listen: reads which graphs there are, and enters the stores again after a reconnection.
 *
 * Keeper thread, but graph_watch_begin and graph_watch_end. A notification is only a hint to read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/job_graphs.h"
#include "backend/postgres/keeper.h"
#include "backend/postgres/work.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/text.h"

#define ORIGIN "keeper.graphs"
#define ANSWER_NS (10 * NS_PER_S)
/* Many changes at once are read together: the next read waits for this, or for so many times what
 * the last one took. */
#define GAP_NS (20 * NS_PER_MS)
#define GAP_FACTOR 10
#define HIDDEN_DOUBLINGS 10
/* Entries of stores without a fence are dropped after a day (sql/job_graph/start.sql). */
#define RENEW_NS (3600 * NS_PER_S)

struct backend_graph_watch {
    struct backend_graph_watch *next;
    void *ctx;
    bool fenced;
    pgk_token token;
    pgk_uuid store_id;
    int64_t enter_at_ns; /* when to enter it (again) */
    bool asked;          /* part of the read under way */
};

/* ------------------------------------------------------------------ watches, [locked] */

pgk_status graph_watch_begin(struct backend *backend, const pgk_token *token,
                             const pgk_uuid *store_id, void *watch_ctx,
                             struct backend_graph_watch **ret_watch, pgk_error *err)
{
    struct backend_graph_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "out of memory");
    }
    watch->ctx = watch_ctx;
    watch->fenced = token != NULL;
    if (token != NULL) {
        watch->token = *token;
    }
    watch->store_id = *store_id;
    watch->enter_at_ns = clock_now_ns() + RENEW_NS; /* the store has just been entered */
    watch->next = backend->graph_watches;
    backend->graph_watches = watch;
    backend->graphs_reread = true;
    *ret_watch = watch;
    wake_set(&backend->wake);
    return PGK_OK;
}

void graph_watch_end(struct backend *backend, struct backend_graph_watch *watch)
{
    struct backend_graph_watch **at = &backend->graph_watches;
    while (*at != watch) {
        at = &(*at)->next;
    }
    *at = watch->next;
    free(watch);
}

static struct backend_graph_watch *find_watch(const struct backend *backend,
                                              const pgk_uuid *store_id)
{
    struct backend_graph_watch *watch = backend->graph_watches;
    while (watch != NULL && pgk_uuid_compare(&watch->store_id, store_id) != 0) {
        watch = watch->next;
    }
    return watch;
}

static struct backend_graph_watch *watch_to_enter(const struct backend *backend, int64_t now_ns)
{
    struct backend_graph_watch *watch = backend->graph_watches;
    while (watch != NULL && watch->enter_at_ns > now_ns) {
        watch = watch->next;
    }
    return watch;
}

/* ------------------------------------------------------------------ when */

void graphs_connected(struct backend *backend)
{
    keeper_lock(backend);
    for (struct backend_graph_watch *w = backend->graph_watches; w != NULL; w = w->next) {
        w->enter_at_ns = 0;
    }
    backend->graphs_reread = true;
    keeper_unlock(backend);
}

int64_t graphs_next_ns(const struct backend *backend)
{
    int64_t next = CLOCK_NEVER;
    if (backend->leave_store) {
        return 0;
    }
    if (backend->graph_watches == NULL) {
        return CLOCK_NEVER;
    }
    for (struct backend_graph_watch *w = backend->graph_watches; w != NULL; w = w->next) {
        next = w->enter_at_ns < next ? w->enter_at_ns : next;
    }
    bool hinted = backend->graphs_reread || backend->listener.graphs_notified;
    int64_t read_at_ns = hinted ? backend->graphs_gap_ns : backend->graphs_poll_ns;
    return read_at_ns < next ? read_at_ns : next;
}

/* ------------------------------------------------------------------ questions */

static void send_list(struct backend *backend, int64_t now_ns)
{
    const char *const params[1] = {backend->settings->cluster_id};
    keeper_lock(backend);
    for (struct backend_graph_watch *w = backend->graph_watches; w != NULL; w = w->next) {
        w->asked = true;
        backend->env.sink.graphs_reading(backend->env.sink.ctx, w->ctx);
    }
    backend->graphs_reread = false;
    keeper_unlock(backend);
    backend->listener.graphs_notified = false;
    session_send(&backend->listener, STMT_JOB_GRAPH_LIST, params, now_ns + ANSWER_NS);
}

static void send_enter(struct backend *backend, const struct backend_graph_watch *watch,
                       int64_t now_ns)
{
    char id[16];
    char epoch[24];
    char store_id[PGK_UUID_TEXT_SIZE];
    bool listening = backend->settings->retrieval == RETRIEVAL_LISTEN;
    snprintf(id, sizeof(id), "%" PRId32, watch->token.leadership_id);
    snprintf(epoch, sizeof(epoch), "%" PRId64, watch->token.epoch);
    pgk_uuid_format(&watch->store_id, store_id);
    const char *const params[5] = {watch->fenced ? id : NULL, watch->fenced ? epoch : NULL,
                                   backend->settings->cluster_id, store_id, listening ? "t" : "f"};
    backend->entering = watch->store_id;
    session_send(&backend->listener, STMT_JOB_GRAPH_START, params, now_ns + ANSWER_NS);
}

static void send_leave(struct backend *backend, int64_t now_ns)
{
    char store_id[PGK_UUID_TEXT_SIZE];
    const char *const params[1] = {store_id};
    pgk_uuid_format(&backend->entering, store_id);
    backend->leave_store = false;
    session_send(&backend->listener, STMT_JOB_GRAPH_STOP, params, now_ns + ANSWER_NS);
}

bool graphs_send(struct backend *backend, int64_t now_ns)
{
    struct backend_graph_watch copy = {.next = NULL};
    bool enters = false;
    keeper_lock(backend);
    bool due = graphs_next_ns(backend) <= now_ns;
    const struct backend_graph_watch *watch = watch_to_enter(backend, now_ns);
    if (watch != NULL) {
        copy = *watch;
        enters = true;
    }
    keeper_unlock(backend);
    if (!due) {
        return false;
    }
    if (backend->leave_store) {
        send_leave(backend, now_ns);
    } else if (enters) {
        send_enter(backend, &copy, now_ns);
    } else {
        send_list(backend, now_ns);
    }
    return true;
}

/* ------------------------------------------------------------------ answers */

static struct graph_id *read_ids(const PGresult *rows, size_t *ret_count)
{
    size_t count = (size_t)PQntuples(rows);
    struct graph_id *ids = calloc(count + 1, sizeof(*ids));
    for (size_t i = 0; ids != NULL && i < count; i++) {
        (void)pgk_uuid_parse(PQgetvalue(rows, (int)i, 0), &ids[i].job_id, NULL);
        (void)pgk_uuid_parse(PQgetvalue(rows, (int)i, 1), &ids[i].op_id, NULL);
        const char *created = PQgetvalue(rows, (int)i, 2);
        (void)text_read_number(&created, &ids[i].created);
    }
    *ret_count = count;
    return ids;
}

static void apply_list(struct backend *backend)
{
    const struct session *session = &backend->listener;
    size_t count;
    struct graph_id *ids = read_ids(session->result, &count);
    int64_t now = clock_now_ns();
    int64_t gap = GAP_FACTOR * (now - session->sent_ns);
    bool hidden = ids == NULL;
    keeper_lock(backend);
    for (struct backend_graph_watch *w = backend->graph_watches; w != NULL; w = w->next) {
        if (ids != NULL && w->asked) {
            bool whole = backend->env.sink.graphs_seen(backend->env.sink.ctx, w->ctx, ids, count);
            hidden = hidden || !whole;
        }
        w->asked = false;
    }
    /* An act may take long, above all a recovery: each further read for its sake waits longer. */
    backend->graphs_hidden = hidden ? backend->graphs_hidden + 1 : 0;
    for (int i = 1; i < backend->graphs_hidden && i < HIDDEN_DOUBLINGS; i++) {
        gap = 2 * (gap > GAP_NS ? gap : GAP_NS);
    }
    backend->graphs_reread = backend->graphs_reread || hidden;
    backend->graphs_poll_ns = now + backend->settings->poll_interval_ms * NS_PER_MS;
    backend->graphs_gap_ns = now + (gap > GAP_NS ? gap : GAP_NS);
    if (backend->graphs_gap_ns > backend->graphs_poll_ns) {
        backend->graphs_gap_ns = backend->graphs_poll_ns;
    }
    keeper_unlock(backend);
    free(ids);
}

/* A store whose tenure is over, or whose entry somebody's open transaction holds, perhaps to delete
 * it, is read for all the same; it is entered again at the next poll, or later. */
static void entered(struct backend *backend)
{
    int64_t now = clock_now_ns();
    bool good =
        backend->listener.status == PGK_OK && cell_is(backend->listener.result, 0, 0, "done");
    bool fenced = backend->listener.status == PGK_ERR_FENCED;
    keeper_lock(backend);
    struct backend_graph_watch *watch = find_watch(backend, &backend->entering);
    if (watch != NULL) {
        watch->enter_at_ns =
            now + (good || fenced ? RENEW_NS : backend->settings->poll_interval_ms * NS_PER_MS);
    }
    backend->leave_store = watch == NULL && good; /* it has been stopped meanwhile */
    keeper_unlock(backend);
}

bool graphs_answered(struct backend *backend)
{
    const struct session *session = &backend->listener;
    bool good = session->status == PGK_OK;
    switch (session->statement) {
    case STMT_JOB_GRAPH_START:
        entered(backend);
        return true;
    case STMT_JOB_GRAPH_STOP:
        return true;
    case STMT_JOB_GRAPH_LIST:
        if (good) {
            apply_list(backend);
        }
        return good;
    default:
        return false;
    }
}
