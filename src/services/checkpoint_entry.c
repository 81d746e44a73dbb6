/* services/checkpoint_entry.c - see checkpoint_entry.h. */
#include "services/checkpoint_entry.h"

#include <inttypes.h>
#include <string.h>

#include "core/text.h"
#include "services/store_common.h"

static pgk_status check_content(const pgk_checkpoint *checkpoint, const char *origin,
                                pgk_error *err)
{
    if ((checkpoint->metadata == NULL) == (checkpoint->pointer == NULL)) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "checkpoint %" PRId64 " has %s metadata and pointer; give one of the two",
                         checkpoint->checkpoint_id,
                         checkpoint->metadata == NULL ? "neither" : "both");
    }
    if (checkpoint->pointer != NULL) {
        if (strlen(checkpoint->pointer) > PGK_POINTER_MAX_BYTES) {
            return error_set(err, PGK_ERR_TOO_LARGE, origin,
                             "the pointer has %zu bytes; at most %zu are stored",
                             strlen(checkpoint->pointer), PGK_POINTER_MAX_BYTES);
        }
        if (!text_is_valid(checkpoint->pointer, 1, PGK_POINTER_MAX_BYTES)) {
            return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                             "the pointer must be 1 to %zu bytes of UTF-8", PGK_POINTER_MAX_BYTES);
        }
        return PGK_OK;
    }
    return check_bytes(checkpoint->metadata, checkpoint->metadata_bytes, PGK_METADATA_MAX_BYTES,
                       "metadata", origin, err);
}

pgk_status checkpoint_check(const pgk_checkpoint *checkpoint, const char *origin, pgk_error *err)
{
    pgk_status status = check_not_null(checkpoint, "checkpoint", origin, err);

    if (status == PGK_OK) {
        status = check_size(checkpoint->size, sizeof(*checkpoint), "checkpoint", origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    if (checkpoint->checkpoint_id < 0) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "checkpoint_id is %" PRId64 "; it must not be negative",
                         checkpoint->checkpoint_id);
    }
    if (checkpoint->kind != PGK_CHECKPOINT && checkpoint->kind != PGK_SAVEPOINT &&
        checkpoint->kind != PGK_STOP_SAVEPOINT) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "kind %d is none",
                         (int)checkpoint->kind);
    }
    if (checkpoint->retention != PGK_NEVER_RETAINED &&
        checkpoint->retention != PGK_RETAIN_ON_FAILURE &&
        checkpoint->retention != PGK_RETAIN_ON_CANCELLATION) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "retention %d is none",
                         (int)checkpoint->retention);
    }
    if (checkpoint->completed_ms < 0 || checkpoint->completed_ms > STORE_TIME_MAX_MS) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "completed_ms is %" PRId64 "; it counts milliseconds from 1970 to 9999",
                         checkpoint->completed_ms);
    }
    return check_content(checkpoint, origin, err);
}

pgk_status checkpoint_make_row(const pgk_checkpoint *checkpoint, const pgk_uuid *job_id,
                               uint8_t digest[DIGEST_BYTES], struct checkpoint_row *ret_row,
                               pgk_error *err)
{
    bool pointed = checkpoint->pointer != NULL;
    const void *content = pointed ? (const void *)checkpoint->pointer : checkpoint->metadata;
    size_t length = pointed ? strlen(checkpoint->pointer) : checkpoint->metadata_bytes;

    *ret_row = (struct checkpoint_row){
        .checkpoint = *checkpoint,
        .content = {.data = pointed ? NULL : content,
                    .length = pointed ? 0 : length,
                    .digest = digest,
                    .digest_length = DIGEST_BYTES},
    };
    ret_row->checkpoint.job_id = *job_id;
    return digest_sha256(content, length, digest, err);
}

/* NULL: nothing is wrong. */
static const char *judge(const struct checkpoint_row *row)
{
    const char *pointer = row->checkpoint.pointer;
    struct store_bytes bytes = row->content;

    if ((int)row->checkpoint.kind < 0 || (int)row->checkpoint.retention < 0) {
        return "its kind or retention is none";
    }
    if ((bytes.data == NULL) == (pointer == NULL)) {
        return "it has neither metadata nor pointer, or both";
    }
    if (pointer != NULL) {
        bytes.data = pointer;
        bytes.length = strlen(pointer);
    }
    return bytes_match(&bytes) ? NULL : "the content differs from its SHA-256";
}

void checkpoint_from_row(const struct checkpoint_row *row, pgk_checkpoint *ret_checkpoint)
{
    const char *reason = judge(row);

    *ret_checkpoint = row->checkpoint;
    ret_checkpoint->size = sizeof(*ret_checkpoint);
    ret_checkpoint->metadata = reason == NULL ? row->content.data : NULL;
    ret_checkpoint->metadata_bytes = reason == NULL ? row->content.length : 0;
    ret_checkpoint->pointer = reason == NULL ? row->checkpoint.pointer : NULL;
    ret_checkpoint->status = reason == NULL ? PGK_OK : PGK_ERR_CORRUPT;
    ret_checkpoint->reason = reason;
}
