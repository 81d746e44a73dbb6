/*
 * backend/postgres/pieces.h - payloads that come in several rows, put together in one buffer each.
 *
 * libpq holds a row twice, in its buffer and in its result, and never gives the buffer back; so what is
 * large comes in rows of 1 MiB, with their place in a column of its own (sql/job_graph/recover_all.sql).
 * One thread.
 */
#ifndef PGK_POSTGRES_PIECES_H
#define PGK_POSTGRES_PIECES_H

#include <libpq-fe.h>

#include "backend/stores.h"

#define PIECES_MAX 3

/* Fill in where the columns are; the rest is zero. */
struct pieces {
    int place_column;
    int count;
    int columns[PIECES_MAX]; /* of the payloads, in the order of their lengths in the place */
    PGresult *first;         /* the row that is being put together; NULL: none */
    int32_t rows;            /* of it, so far */
    struct piece {
        uint8_t *data;
        size_t length;
        size_t filled;
    } payloads[PIECES_MAX];
};

/* Is this row one of several? */
bool pieces_is_part(const struct pieces *pieces, const PGresult *row);
/* Takes *row when it is the first. *ret_whole: pieces->first is the row, with all its payloads. INTERNAL: a row does
 * not follow the one before. NO_MEMORY. */
pgk_status pieces_add(struct pieces *pieces, PGresult **row, bool *ret_whole, pgk_error *err);
/* Forgets what has come. */
void pieces_reset(struct pieces *pieces);
/* cell_bytes(), of a payload that may have come in pieces. */
struct store_bytes pieces_bytes(const struct pieces *pieces, const PGresult *row, int column,
                                int digest_column);
/* Where the payload of that column is held, if it came in pieces: who takes it sets that to NULL, and frees it. Else
 * NULL. */
uint8_t **pieces_held(struct pieces *pieces, const PGresult *row, int column);

#endif
