/* services/blob_target.c - see blob_target.h. */
#include "services/blob_target.h"

#include <stdlib.h>
#include <string.h>

#include "services/store_common.h"

/* From here on threads for the digests pay: reading is bounded by this side, sending by the server. */
#define HELPED_BYTES ((int64_t)512 * 1024)
#define PROGRESS_BYTES ((int64_t)1024 * 1024)

static pgk_status make_memory(struct target *target, int64_t bytes, pgk_error *err)
{
    free(target->memory);
    target->memory = NULL;
    if (bytes < 0 || (uint64_t)bytes > target->max_bytes) {
        return error_set(err, PGK_ERR_TOO_LARGE, target->origin,
                         "it has %lld bytes, at most %zu are wanted", (long long)bytes,
                         target->max_bytes);
    }
    target->memory = malloc((size_t)bytes + 1);
    return target->memory != NULL ? PGK_OK
                                  : error_set(err, PGK_ERR_NO_MEMORY, target->origin,
                                              "no memory for its %lld bytes", (long long)bytes);
}

static pgk_status sink_begin(void *ctx, const struct blob_row *row, pgk_error *err)
{
    struct target *target = ctx;

    if (target->handed) {
        return error_set(err, PGK_ERR_CONFLICT, target->origin,
                         "it was replaced while it was read; %lld bytes of what it was have been "
                         "handed out",
                         (long long)target->done);
    }
    if (row->blob.bytes >= HELPED_BYTES) {
        digest_sum_help(target->sum);
    }
    pgk_status status = digest_sum_reset(target->sum, err);
    if (status == PGK_OK && target->opened && target->done > 0) {
        status = outfile_rewind(&target->file, err);
    }
    if (status == PGK_OK && target->to_memory) {
        status = make_memory(target, row->blob.bytes, err);
    }
    target->row = *row;
    target->done = 0;
    target->told = 0;
    return status;
}

static pgk_status tell_progress(struct target *target, pgk_error *err)
{
    int64_t total = target->row.blob.bytes;

    if (target->progress == NULL ||
        (target->done < total && target->done - target->told < PROGRESS_BYTES)) {
        return PGK_OK;
    }
    target->told = target->done;
    return store_callback_answer(target->call,
                                 target->progress(target->progress_user, target->done, total),
                                 target->origin, err);
}

static pgk_status sink_write(void *ctx, const void *data, size_t bytes, pgk_error *err)
{
    struct target *target = ctx;
    pgk_status status = PGK_OK;

    if (target->opened) {
        status = outfile_write(&target->file, data, bytes, err);
    } else if (target->to_memory) {
        memcpy(target->memory + target->done, data, bytes); /* no more than the row says come */
    } else if (target->write != NULL) {
        target->handed = true;
        status = store_callback_answer(target->call, target->write(target->user, data, bytes),
                                       target->origin, err);
    }
    if (status == PGK_OK) {
        status = digest_sum_add(target->sum, data, bytes, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    target->done += (int64_t)bytes;
    return tell_progress(target, err);
}

pgk_status target_open(struct target *target, struct blob_sink *ret_sink, pgk_error *err)
{
    pgk_status status = digest_sum_new(&target->sum, err);

    if (status == PGK_OK && target->path != NULL) {
        status = outfile_open(&target->file, target->path, err);
        target->opened = status == PGK_OK;
    }
    if (status != PGK_OK) {
        target_close(target);
        return status;
    }
    *ret_sink = (struct blob_sink){
        .ctx = target,
        .begin = sink_begin,
        .write = sink_write,
        .prompt = target->write == NULL && target->progress == NULL,
    };
    return PGK_OK;
}

pgk_status target_finish(struct target *target, pgk_error *err)
{
    uint8_t sha1[DIGEST_SHA1_BYTES];
    uint8_t sha256[DIGEST_BYTES];
    const pgk_blob *blob = &target->row.blob;
    digest_sum_rest(target->sum); /* is computed while the file is flushed */
    pgk_status status = target->opened ? outfile_flush(&target->file, err) : PGK_OK;

    if (status == PGK_OK) {
        status = digest_sum_end(target->sum, sha1, sha256, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    if (memcmp(sha256, blob->sha256, sizeof(sha256)) != 0) {
        return error_set(err, PGK_ERR_CORRUPT, target->origin,
                         "its bytes differ from the SHA-256 that was stored with them");
    }
    if (memcmp(sha1, blob->key.sha1, sizeof(sha1)) != 0) {
        bool as_put = memcmp(sha1, blob->sha1, sizeof(sha1)) == 0;
        return error_set(err, PGK_ERR_CORRUPT, target->origin, "%s",
                         as_put ? "its content has another SHA-1 than its key: it was put so"
                                : "its bytes differ from the SHA-1 in its key");
    }
    return target->opened ? outfile_keep(&target->file, err) : PGK_OK;
}

void target_close(struct target *target)
{
    if (target->opened) {
        outfile_close(&target->file);
        target->opened = false;
    }
    free(target->memory);
    target->memory = NULL;
    digest_sum_free(target->sum);
    target->sum = NULL;
}
