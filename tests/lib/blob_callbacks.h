/*
 * tests/lib/blob_callbacks.h - callbacks for the blob store under test: a source and a target that check the bytes and fail
 * where they are told to, and a row function that keeps what it is shown. Any thread, one at a time.
 */
#ifndef PGK_TESTS_BLOB_CALLBACKS_H
#define PGK_TESTS_BLOB_CALLBACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pgkeeper/blob.h>

/* One way of a blob: a pattern (blob_tools.h) of that seed, given or expected. */
struct stream {
    size_t bytes; /* given in all */
    size_t at;
    size_t step; /* at most so many at a time; 0: as many as there is room for */
    unsigned seed;
    bool right;        /* set it before; false once something was not as it should be */
    pgk_status answer; /* once `fails_at` is reached */
    size_t fails_at;
    int64_t told;
    int64_t told_total;
    int tellings;
    pgk_status tells;
};
/* Of pgk_blob_source and pgk_blob_target; user: struct stream. */
pgk_status stream_give(void *user, void *buffer, size_t capacity, size_t *ret_bytes);
pgk_status stream_take(void *user, const void *data, size_t bytes);
pgk_status stream_tell(void *user, int64_t done, int64_t total);
/* With all of these. */
pgk_blob_source stream_source(struct stream *stream);
pgk_blob_target stream_target(struct stream *stream);

/* What a list handed out; zero it before use. */
struct blobs_seen {
    int count;
    pgk_blob blobs[16];
    pgk_status answer;
};
/* A row function; user: struct blobs_seen. */
pgk_status blob_see(void *user, const pgk_blob *blob);

#endif
