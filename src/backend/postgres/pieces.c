/* backend/postgres/pieces.c - see pieces.h. */
#include "backend/postgres/pieces.h"

#include <stdlib.h>
#include <string.h>

#include "backend/postgres/work.h"
#include "core/error.h"

#define ORIGIN "work"

bool pieces_is_part(const struct pieces *pieces, const PGresult *row)
{
    return pieces != NULL && !PQgetisnull(row, 0, pieces->place_column);
}

/* The number at `at` of the place: 0 that of the row, then lengths. */
static int32_t place_number(const struct pieces *pieces, const PGresult *row, int at)
{
    const char *place = PQgetvalue(row, 0, pieces->place_column);
    uint32_t number = 0;
    for (size_t i = 0; i < sizeof(number); i++) {
        number = number << 8 | (uint8_t)place[(size_t)at * sizeof(number) + i];
    }
    return (int32_t)number;
}

static pgk_status broken_off(pgk_error *err)
{
    return error_set(err, PGK_ERR_INTERNAL, ORIGIN, "the pieces of a row do not fit together");
}

static pgk_status begin(struct pieces *pieces, PGresult **row, pgk_error *err)
{
    pieces->first = *row;
    *row = NULL;
    for (int i = 0; i < pieces->count; i++) {
        int32_t length = place_number(pieces, pieces->first, i + 1);
        if (length < 0) {
            return broken_off(err);
        }
        pieces->payloads[i].length = (size_t)length;
        pieces->payloads[i].data = length > 0 ? malloc((size_t)length) : NULL;
        if (length > 0 && pieces->payloads[i].data == NULL) {
            return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for %d bytes", (int)length);
        }
    }
    return PGK_OK;
}

pgk_status pieces_add(struct pieces *pieces, PGresult **row, bool *ret_whole, pgk_error *err)
{
    const PGresult *part = *row;
    int length = PQgetlength(part, 0, pieces->place_column);
    *ret_whole = true;
    if (length != (pieces->count + 1) * (int)sizeof(int32_t) ||
        place_number(pieces, part, 0) != pieces->rows) {
        return broken_off(err);
    }
    if (pieces->first == NULL) {
        pgk_status status = begin(pieces, row, err);
        if (status != PGK_OK) {
            return status;
        }
    }
    pieces->rows++;
    for (int i = 0; i < pieces->count; i++) {
        struct piece *payload = &pieces->payloads[i];
        size_t bytes = (size_t)PQgetlength(part, 0, pieces->columns[i]);
        if (bytes > payload->length - payload->filled) {
            return broken_off(err);
        }
        if (bytes > 0) {
            memcpy(payload->data + payload->filled, PQgetvalue(part, 0, pieces->columns[i]), bytes);
        }
        payload->filled += bytes;
        *ret_whole = *ret_whole && payload->filled == payload->length;
    }
    return PGK_OK;
}

void pieces_reset(struct pieces *pieces)
{
    for (int i = 0; i < pieces->count; i++) {
        free(pieces->payloads[i].data);
        pieces->payloads[i] = (struct piece){.data = NULL};
    }
    PQclear(pieces->first);
    pieces->first = NULL;
    pieces->rows = 0;
}

struct store_bytes pieces_bytes(const struct pieces *pieces, const PGresult *row, int column,
                                int digest_column)
{
    struct store_bytes bytes = cell_bytes(row, 0, column, digest_column);
    for (int i = 0; row == pieces->first && i < pieces->count; i++) {
        if (pieces->columns[i] == column && pieces->payloads[i].data != NULL) {
            bytes.data = pieces->payloads[i].data;
            bytes.length = pieces->payloads[i].length;
        }
    }
    return bytes;
}

uint8_t **pieces_held(struct pieces *pieces, const PGresult *row, int column)
{
    for (int i = 0; row == pieces->first && i < pieces->count; i++) {
        if (pieces->columns[i] == column && pieces->payloads[i].data != NULL) {
            return &pieces->payloads[i].data;
        }
    }
    return NULL;
}
