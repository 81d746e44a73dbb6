/*
 * backend/postgres/work_link.h - what work.c and stream.c do with one work session: sending a
 * statement with binary parameters, and waiting for its answer. The thread that holds the session.
 */
#ifndef PGK_POSTGRES_WORK_LINK_H
#define PGK_POSTGRES_WORK_LINK_H

#include "backend/postgres/link.h"
#include "backend/postgres/work.h"

/* From here on it is cheaper to ask whether a write is there than to send it again, libpq's buffers
 * are not worth keeping, and the server's statement timeout does not know how long it takes. */
#define LARGE_BYTES ((size_t)1024 * 1024)
/* The least speed that is counted on. */
#define BYTES_PER_S INT64_C(8388608)

static inline bool work_is_large(const struct work *work)
{
    return work->bytes > LARGE_BYTES;
}

/* What the bytes need beyond the statement timeout. */
static inline int64_t work_bytes_ns(const struct work *work)
{
    return (int64_t)work->bytes * INT64_C(1000000000) / BYTES_PER_S;
}

/* Prepares a statement on its first use; behind a pooler, or what runs once in a tenure, never. */
pgk_status work_link_prepare(struct link *link, enum statement_id id, int64_t deadline_ns,
                             pgk_error *err);

/* Sends it, whatever comes before and after it. False: the connection is broken. */
bool work_link_send_one(const struct link *link, const struct work *work);

/* Sends it. `streaming`: in a pipeline, after sql/session/stream.sql. False: the connection is
 * broken. */
bool work_link_send(const struct link *link, const struct work *work,
                    const struct settings *settings, bool streaming);

/* Waits for the next result (NULL: none any more) until deadline_ns (0: pause_ns from now), or for as
 * long as bytes come or go without a pause of pause_ns. */
pgk_status work_link_next(const struct link *link, const char *what, int64_t deadline_ns,
                          int64_t pause_ns, PGresult **ret_result, pgk_error *err);

/* Sends it and waits for its one result. *ret_sent: the server may have it, whole. */
pgk_status work_link_run(struct backend *backend, const struct link *link, const struct work *work,
                         int64_t deadline_ns, PGresult **ret_result, bool *ret_sent,
                         pgk_error *err);

/* The database refused the token of this statement: the keeper ends that tenure at once. */
void work_tell_keeper(struct backend *backend, const struct work *work, pgk_status status);

#endif
