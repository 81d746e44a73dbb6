/*
 * tests/lib/blob_tools.h - what the tests of the blob store share: files of known content, a store, what is left in the
 * database. The test's own thread.
 */
#ifndef PGK_TESTS_BLOB_TOOLS_H
#define PGK_TESTS_BLOB_TOOLS_H

#include <pgkeeper/blob.h>

#include "store_tools.h"

#define MIB ((size_t)1024 * 1024)

/* A directory of the test's own; blob_yard_close removes it and what is in it. */
struct blob_yard {
    struct fixture *fixture;
    pgk_ha *ha;
    pgk_blobs *blobs; /* without a fence */
    char dir[64];
    char path[4][128]; /* of yard_path */
    int next_path;
};
void blob_yard_open(struct blob_yard *yard, struct fixture *fixture);
void blob_yard_close(struct blob_yard *yard);
/* In between: closes the handle, and opens one again. */
void yard_leave(struct blob_yard *yard);
void yard_enter(struct blob_yard *yard);

/* The path of a name in the directory; lives until the fourth call after it. */
const char *yard_path(struct blob_yard *yard, const char *name);
/* How many names there are in the directory. */
int yard_files(const struct blob_yard *yard);

/* Bytes that depend on their place and the seed, and that no compression makes smaller. */
void pattern_fill(unsigned char *buffer, size_t bytes, size_t offset, unsigned seed);
unsigned char *pattern_new(size_t bytes, unsigned seed);
/* A file of such bytes. */
void pattern_file(const char *path, size_t bytes, unsigned seed);
/* Is the file exactly that? */
bool pattern_is(const char *path, size_t bytes, unsigned seed);

/* Large objects in the database; those that no row of blob points to; rows of blob_loose. */
int64_t objects_count(struct fixture *fixture);
int64_t orphans_count(struct fixture *fixture);
int64_t loose_count(struct fixture *fixture);

/* The server's own clean-up leaves nothing, once the sessions of the dead have ended. */
void yard_swept(struct blob_yard *yard);

/* Puts `bytes` of a pattern from memory; *ret_key. */
void put_pattern(pgk_blobs *blobs, const pgk_uuid *job_id, size_t bytes, unsigned seed,
                 pgk_blob_key *ret_key);

#endif
