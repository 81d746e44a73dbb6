/*
 * services/blob_source.h - where a blob comes from, as the backend sees it: a file, memory or a
 * stream, summed up while it is read. The caller's thread; blocks.
 */
#ifndef PGK_SERVICES_BLOB_SOURCE_H
#define PGK_SERVICES_BLOB_SOURCE_H

#include <sys/stat.h>

#include "backend/stores.h"
#include "core/digest.h"
#include "services/call.h"

struct source {
    const pgk_blob_source *given;
    const struct call *call; /* NULL: outside of a handle */
    const char *origin;
    pgk_blob_key key;
    bool make_key; /* of the content; key has its type */
    int fd;        /* -1: no file */
    bool regular;
    struct stat before;
    struct digest_sum *sum;
    int64_t done;
    bool told; /* its own error ended the call */
};

/* Checks what is given and opens it; *ret_reader refers to `source`, which stays where it is until it is
 * closed. INVALID_ARGUMENT, IO. */
pgk_status source_open(struct source *source, const pgk_blob_source *given, const pgk_blob_key *key,
                       const struct call *call, const char *origin, struct blob_source *ret_reader,
                       pgk_error *err);
/* Reads it to its end. */
pgk_status source_sum_up(struct source *source, struct blob_sum *ret_sum, pgk_error *err);
void source_close(struct source *source);

/* blob_key.c */
pgk_status blob_key_check(const pgk_blob_key *key, const char *origin, pgk_error *err);
pgk_status blob_type_check(pgk_blob_type type, const char *origin, pgk_error *err);
void blob_key_make(pgk_blob_type type, const uint8_t sha1[PGK_SHA1_BYTES], pgk_blob_key *ret_key);

#endif
