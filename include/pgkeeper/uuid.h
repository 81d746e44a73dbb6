/*
 * pgkeeper/uuid.h - 16-byte identifiers: session ids, job ids.
 *
 * All functions are pure (pgk_uuid_new reads the system's random source) and may be called from any
 * thread. They never fail but where a status is returned.
 */
#ifndef PGKEEPER_UUID_H
#define PGKEEPER_UUID_H

#include <stdbool.h>
#include <stdint.h>

#include <pgkeeper/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes in network order, as PostgreSQL's uuid type sends them. */
typedef struct pgk_uuid {
    uint8_t bytes[16];
} pgk_uuid;

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" and its terminator. */
#define PGK_UUID_TEXT_SIZE 37
/* 32 hex digits and a terminator: how job ids are written. */
#define PGK_UUID_HEX_SIZE 33

/* Fills ret_uuid with a new random (version 4) id. Since 0.1. */
PGK_API void pgk_uuid_new(pgk_uuid *ret_uuid);

/*
 * Reads an id from text: 36 characters with dashes or 32 hex digits, either case.
 * PGK_ERR_INVALID_ARGUMENT for anything else; ret_uuid is then unchanged. Since 0.1.
 */
PGK_API pgk_status pgk_uuid_parse(const char *text, pgk_uuid *ret_uuid, pgk_error *err);

/* Writes the 36-character form, lower case, terminated, into out. Since 0.1. */
PGK_API void pgk_uuid_format(const pgk_uuid *uuid, char out[PGK_UUID_TEXT_SIZE]);

/* Writes the 32-digit form, lower case, terminated, into out. Since 0.1. */
PGK_API void pgk_uuid_format_hex(const pgk_uuid *uuid, char out[PGK_UUID_HEX_SIZE]);

/* Total order by bytes: negative, 0 or positive. Since 0.1. */
PGK_API int pgk_uuid_compare(const pgk_uuid *a, const pgk_uuid *b);

/* True for the all-zero id, which stands for "none" (DEFAULT_LEADER_ID). Since 0.1. */
PGK_API bool pgk_uuid_is_nil(const pgk_uuid *uuid);

#ifdef __cplusplus
}
#endif

#endif
