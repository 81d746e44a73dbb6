/* tests/lib/blob_callbacks.c - see blob_callbacks.h. */
#include "blob_callbacks.h"

#include <stdlib.h>
#include <string.h>

#include "blob_tools.h"

pgk_status stream_give(void *user, void *buffer, size_t capacity, size_t *ret_bytes)
{
    struct stream *s = user;
    size_t bytes = s->bytes - s->at < capacity ? s->bytes - s->at : capacity;
    bytes = s->step > 0 && bytes > s->step ? s->step : bytes;
    if (s->answer != PGK_OK && s->at >= s->fails_at) {
        return s->answer;
    }
    pattern_fill(buffer, bytes, s->at, s->seed);
    s->at += bytes;
    *ret_bytes = bytes;
    return PGK_OK;
}

pgk_status stream_take(void *user, const void *data, size_t bytes)
{
    struct stream *s = user;
    unsigned char *expected = malloc(bytes);
    if (s->answer != PGK_OK && s->at >= s->fails_at) {
        free(expected);
        return s->answer;
    }
    pattern_fill(expected, bytes, s->at, s->seed);
    s->right = s->right && memcmp(expected, data, bytes) == 0;
    s->at += bytes;
    free(expected);
    return PGK_OK;
}

pgk_status stream_tell(void *user, int64_t done, int64_t total)
{
    struct stream *s = user;
    s->tellings++;
    s->right = s->right && done >= s->told;
    s->told = done;
    s->told_total = total;
    return s->tells;
}

pgk_blob_source stream_source(struct stream *stream)
{
    return (pgk_blob_source){.size = sizeof(pgk_blob_source),
                             .read = stream_give,
                             .user = stream,
                             .progress = stream_tell,
                             .progress_user = stream};
}

pgk_blob_target stream_target(struct stream *stream)
{
    return (pgk_blob_target){.size = sizeof(pgk_blob_target),
                             .write = stream_take,
                             .user = stream,
                             .progress = stream_tell,
                             .progress_user = stream};
}

pgk_status blob_see(void *user, const pgk_blob *blob)
{
    struct blobs_seen *seen = user;
    if (seen->count < 16) {
        seen->blobs[seen->count] = *blob;
    }
    seen->count++;
    return seen->answer;
}
