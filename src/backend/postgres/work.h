/*
 * backend/postgres/work.h - one statement of a store on a work session: parameters, running it once
 * for all however often the connection breaks, and reading rows.
 *
 * The caller's thread; blocks. Nothing is locked while a row function runs, so that it may use the
 * handle in any way; it holds one work session meanwhile. Parameters are borrowed until the call
 * returns; rows come in binary format.
 */
#ifndef PGK_POSTGRES_WORK_H
#define PGK_POSTGRES_WORK_H

#include <libpq-fe.h>

#include "backend/postgres/pieces.h"
#include "backend/postgres/statements.h"
#include "backend/stores.h"

/* How sql/recovery/settle.sql tells what became of a write, when it can. */
enum settle_rule {
    SETTLE_NEVER,
    SETTLE_FOUND_IS_DONE,     /* op_id is the write's own */
    SETTLE_NOTED,             /* the statement notes op_id, the write's own, in applied_write */
    SETTLE_FOUND_IS_NOT_DONE, /* op_id is of what the write takes away */
    SETTLE_ABSENT_IS_DONE,    /* it takes away whatever is there; never sent again */
    SETTLE_BY_CALLER /* several writes in one: "settled" means that the caller looks for each */
};

struct settle {
    enum settle_rule rule;
    const char *what; /* "job_graph", ... */
    pgk_uuid job_id;
    int64_t checkpoint_id; /* "checkpoint" only */
    pgk_uuid op_id;
};

/* Not to be copied: it points into itself. */
struct work {
    enum statement_id id;
    struct pieces *pieces;  /* of work_stream(): rows may be pieces; NULL: all are whole */
    const pgk_token *token; /* of work_token() */
    struct settle settle;   /* fill it before work_write(), if it can be settled */
    int64_t deadline_ns;    /* of work_write(); 0: the statement timeout from now */
    int count;
    size_t bytes; /* of all parameters */
    const char *values[STATEMENT_MAX_PARAMS];
    int lengths[STATEMENT_MAX_PARAMS];
    int formats[STATEMENT_MAX_PARAMS];
    uint8_t scratch[STATEMENT_MAX_PARAMS][8];
};

void work_begin(struct work *work, enum statement_id id);
/* The next parameter; all are binary. NULL is SQL NULL. */
void work_text(struct work *work, const char *text);
void work_bytes(struct work *work, const void *data, size_t length);
void work_uuid(struct work *work, const pgk_uuid *uuid);
void work_int32(struct work *work, int32_t value);
void work_int64(struct work *work, int64_t value);
void work_bool(struct work *work, bool value);
void work_null(struct work *work);
/* The next one: op_id of a write that the statement notes. */
void work_noted(struct work *work, const pgk_uuid *op_id);
/* The next two: leadership id and epoch. NULL: no fence. */
void work_token(struct work *work, const pgk_token *token);
/* bigint[], in the text form: "{1,2}". */
void work_array(struct work *work, const char *text);

/* Runs a statement that only looks, or that may be done twice, until the statement timeout. *ret_result (PQclear
 * it) with PGK_OK. */
pgk_status work_read(struct backend *backend, struct work *work, PGresult **ret_result,
                     pgk_error *err);

struct work_answer {
    PGresult *result; /* PQclear it; NULL when settled */
    bool settled;     /* done, as reading back has shown */
    bool resent;      /* an earlier attempt may have been done: what is missing may be its doing */
};

/* Is what a write of that job and op_id would have made there? One look, no second attempt. */
pgk_status work_find(struct backend *backend, const struct settle *settle, int64_t deadline_ns,
                     bool *ret_found, pgk_error *err);

/*
 * Runs a write whose op_id makes it safe to repeat. When an answer is lost the session is ended on
 * the server, so that the write cannot come late, and it is sent again, or looked for if it is
 * large. FENCED tells the keeper too. OUTCOME_UNKNOWN: not settled within the statement timeout, of
 * which a large write has another one to look.
 */
pgk_status work_write(struct backend *backend, struct work *work, struct work_answer *ret_answer,
                      pgk_error *err);

/* One row, PQntuples 1. */
typedef pgk_status (*work_row_fn)(void *ctx, const PGresult *row, pgk_error *err);

/*
 * Hands out rows as they come. The statement timeout bounds each wait for the network, not the
 * whole. Begins anew after a fault only while no row has been handed out.
 */
pgk_status work_stream(struct backend *backend, struct work *work, work_row_fn fn, void *ctx,
                       pgk_error *err);

/* Cells of a binary result. NULL cells: 0, false, nil, NULL. */
int32_t cell_int32(const PGresult *result, int row, int column);
int64_t cell_int64(const PGresult *result, int row, int column);
bool cell_bool(const PGresult *result, int row, int column);
pgk_uuid cell_uuid(const PGresult *result, int row, int column);
const char *cell_text(const PGresult *result, int row, int column);
/* Is the text this? For outcomes. */
bool cell_is(const PGresult *result, int row, int column, const char *text);
/* Payload and digest from two columns. */
struct store_bytes cell_bytes(const PGresult *result, int row, int column, int digest_column);

#endif
