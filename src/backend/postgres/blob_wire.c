/* backend/postgres/blob_wire.c - see blob_wire.h. */
#include "backend/postgres/blob_wire.h"

#include "backend/postgres/keeper.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "blobs"
#define FLUSH_EVERY 16

pgk_status wire_begin(struct wire *wire, struct backend *backend, struct link *link,
                      const char *what, pgk_error *err)
{
    *wire = (struct wire){.backend = backend, .link = link, .what = what};
    error_reset(&wire->error);
    if (PQenterPipelineMode(link->conn) != 1) {
        return error_set(err, PGK_ERR_CONNECTION, ORIGIN, "%s: %.300s", what,
                         PQerrorMessage(link->conn));
    }
    return PGK_OK;
}

static pgk_status broken(const struct wire *wire, pgk_error *err)
{
    return error_set(err, PGK_ERR_CONNECTION, ORIGIN, "%s: %.300s", wire->what,
                     PQerrorMessage(wire->link->conn));
}

static int64_t pause_ns(const struct wire *wire)
{
    return wire->backend->settings->statement_timeout_ms * NS_PER_MS;
}

/* An answer; the one of the oldest on the way. */
static pgk_status take(struct wire *wire, PGresult *result, pgk_error *err)
{
    ExecStatusType status = PQresultStatus(result);
    enum wire_kind kind = wire->kinds[wire->first];
    int64_t bytes = wire->bytes[wire->first];
    if (status == PGRES_FATAL_ERROR) {
        pgk_status is = result_error(result, ORIGIN, wire->what, &wire->error);
        wire->failed = true;
        PQclear(result);
        if (PQstatus(wire->link->conn) != CONNECTION_OK) {
            return error_set(err, is, ORIGIN, "%.400s", wire->error.message);
        }
        wire->first = (wire->first + 1) % WIRE_ROOM;
        wire->count--;
        return PGK_OK;
    }
    wire->first = (wire->first + 1) % WIRE_ROOM;
    wire->count--;
    if (status == PGRES_TUPLES_OK && kind == WIRE_LAST) {
        PQclear(wire->last);
        wire->last = result;
        return PGK_OK;
    }
    wire->bytes_done += status == PGRES_TUPLES_OK && kind == WIRE_BYTES ? bytes : 0;
    PQclear(result);
    return PGK_OK;
}

/* Waits for one answer. */
static pgk_status await(struct wire *wire, pgk_error *err)
{
    int64_t deadline_ns = clock_now_ns() + pause_ns(wire);
    for (;;) {
        PGresult *result = NULL;
        pgk_status status =
            work_link_next(wire->link, wire->what, deadline_ns, pause_ns(wire), &result, err);
        if (status != PGK_OK) {
            return status;
        }
        if (result != NULL) {
            return take(wire, result, err);
        }
        if (PQstatus(wire->link->conn) != CONNECTION_OK) {
            return broken(wire, err);
        }
    }
}

/* Takes what is there, and waits for room on the way and for the network to have taken what was sent. */
static pgk_status make_room(struct wire *wire, int room, pgk_error *err)
{
    pgk_status status = PGK_OK;
    while (status == PGK_OK && wire->count > WIRE_ROOM - room) {
        status = await(wire, err);
    }
    while (status == PGK_OK) {
        int flushed = PQflush(wire->link->conn);
        if (flushed < 0) {
            return broken(wire, err);
        }
        if (flushed == 0) {
            break;
        }
        status = link_wait_socket(wire->link, true, -1, clock_now_ns() + pause_ns(wire), err);
        if (status == PGK_OK && PQconsumeInput(wire->link->conn) == 0) {
            return broken(wire, err);
        }
    }
    return status;
}

static pgk_status told(struct wire *wire, pgk_error *err)
{
    if (!wire->failed) {
        return PGK_OK;
    }
    if (err != NULL) {
        *err = wire->error;
    }
    return wire->error.status;
}

static void note(struct wire *wire, enum wire_kind kind, int64_t bytes)
{
    int at = (wire->first + wire->count) % WIRE_ROOM;
    wire->kinds[at] = kind;
    wire->bytes[at] = bytes;
    wire->count++;
}

/* What has been answered meanwhile, without waiting. */
static pgk_status look(struct wire *wire, pgk_error *err)
{
    pgk_status status = PGK_OK;
    if (wire->count > 0 && PQconsumeInput(wire->link->conn) == 0) {
        return broken(wire, err);
    }
    while (status == PGK_OK && wire->count > 0 && !PQisBusy(wire->link->conn)) {
        PGresult *result = PQgetResult(wire->link->conn);
        if (result != NULL) {
            status = take(wire, result, err);
        } else if (PQstatus(wire->link->conn) != CONNECTION_OK) {
            status = broken(wire, err);
        }
    }
    return status == PGK_OK ? told(wire, err) : status;
}

pgk_status wire_send(struct wire *wire, const struct work *work, enum wire_kind kind, int64_t bytes,
                     pgk_error *err)
{
    pgk_status status = make_room(wire, 2, err);
    if (status == PGK_OK) {
        status = told(wire, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    if (!work_link_send_one(wire->link, work)) {
        return broken(wire, err);
    }
    note(wire, kind, bytes);
    /* Or the server would keep its answers until the sync. */
    wire->unflushed++;
    if (wire->unflushed >= FLUSH_EVERY) {
        wire->unflushed = 0;
        if (PQsendFlushRequest(wire->link->conn) != 1) {
            return broken(wire, err);
        }
    }
    if (PQflush(wire->link->conn) < 0) {
        return broken(wire, err);
    }
    return look(wire, err);
}

pgk_status wire_sync(struct wire *wire, pgk_error *err)
{
    pgk_status status = make_room(wire, 1, err);
    if (status == PGK_OK && PQpipelineSync(wire->link->conn) != 1) {
        status = broken(wire, err);
    }
    if (status == PGK_OK) {
        note(wire, WIRE_SYNC, 0);
    }
    return status;
}

static bool has_sync(const struct wire *wire)
{
    for (int i = 0; i < wire->count; i++) {
        if (wire->kinds[(wire->first + i) % WIRE_ROOM] == WIRE_SYNC) {
            return true;
        }
    }
    return false;
}

pgk_status wire_await_syncs(struct wire *wire, pgk_error *err)
{
    pgk_status status = make_room(wire, 1, err);
    while (status == PGK_OK && has_sync(wire)) {
        status = await(wire, err);
    }
    return status == PGK_OK ? told(wire, err) : status;
}

pgk_status wire_drain(struct wire *wire, pgk_error *err)
{
    pgk_status status = make_room(wire, 1, err);
    while (status == PGK_OK && wire->count > 0) {
        status = await(wire, err);
    }
    return status == PGK_OK ? told(wire, err) : status;
}

bool wire_end(struct wire *wire)
{
    PQclear(wire->last);
    wire->last = NULL;
    if (wire->count > 0 || PQstatus(wire->link->conn) != CONNECTION_OK) {
        return false;
    }
    PGresult *end = PQgetResult(wire->link->conn);
    bool clean = end == NULL && PQexitPipelineMode(wire->link->conn) == 1;
    PQclear(end);
    return clean;
}
