/*
 * backend/postgres/blob_wire.h - one work session in pipeline mode: statements go out while the
 * answers of earlier ones come in, no more than so many on the way. The thread that holds the
 * session.
 */
#ifndef PGK_POSTGRES_BLOB_WIRE_H
#define PGK_POSTGRES_BLOB_WIRE_H

#include "backend/postgres/work_link.h"

enum wire_kind { WIRE_SETTINGS, WIRE_BYTES, WIRE_OTHER, WIRE_LAST, WIRE_SYNC };

#define WIRE_ROOM 64

struct wire {
    struct backend *backend;
    struct link *link;
    const char *what;
    enum wire_kind kinds[WIRE_ROOM]; /* on the way, oldest first, from `first` */
    int first;
    int count;
    int unflushed;      /* since the server was told to answer */
    int64_t bytes_done; /* answered */
    int64_t bytes[WIRE_ROOM];
    PGresult *last; /* of WIRE_LAST; PQclear it */
    bool failed;    /* the server refused something: what follows up to the sync is not done */
    pgk_error error;
};

/* Enters pipeline mode. */
pgk_status wire_begin(struct wire *wire, struct backend *backend, struct link *link,
                      const char *what, pgk_error *err);
/* Sends a statement (prepared on its first use, where that can be) of so many bytes of the blob, and takes what answers
 * are there. The error is that of any statement on the way. */
pgk_status wire_send(struct wire *wire, const struct work *work, enum wire_kind kind, int64_t bytes,
                     pgk_error *err);
/* Ends a transaction. */
pgk_status wire_sync(struct wire *wire, pgk_error *err);
/* Waits until the transactions that were ended have been. */
pgk_status wire_await_syncs(struct wire *wire, pgk_error *err);
/* Waits for all answers. */
pgk_status wire_drain(struct wire *wire, pgk_error *err);
/* After it all is drained, also after an error of the server. False: the session is of no use. */
bool wire_end(struct wire *wire);

#endif
