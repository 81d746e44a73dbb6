/*
 * services/checkpoint_entry.h - one checkpoint as it is given and as it is handed out: argument
 * checks and digests. Pure; any thread.
 */
#ifndef PGK_SERVICES_CHECKPOINT_ENTRY_H
#define PGK_SERVICES_CHECKPOINT_ENTRY_H

#include "backend/stores.h"
#include "core/digest.h"

/* INVALID_ARGUMENT, TOO_LARGE: what pgk_checkpoints_add says of an entry. */
pgk_status checkpoint_check(const pgk_checkpoint *checkpoint, const char *origin, pgk_error *err);

/* The row to store; `digest`, which it points to, is filled and must live as long. */
pgk_status checkpoint_make_row(const pgk_checkpoint *checkpoint, const pgk_uuid *job_id,
                               uint8_t digest[DIGEST_BYTES], struct checkpoint_row *ret_row,
                               pgk_error *err);

/* What the application is given for a row: with CORRUPT and a reason (static) when it is damaged. */
void checkpoint_from_row(const struct checkpoint_row *row, pgk_checkpoint *ret_checkpoint);

#endif
