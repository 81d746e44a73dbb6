/* tests/lib/blob_tools.c - see blob_tools.h. */
#include "blob_tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "scratch.h"

void yard_enter(struct blob_yard *yard)
{
    pgk_error err;
    yard->ha = handle_open(yard->fixture, "yard", NULL);
    STORE_WORKS(&err, pgk_ha_blobs(yard->ha, PGK_UNFENCED, &yard->blobs, &err));
}

void yard_leave(struct blob_yard *yard)
{
    pgk_blobs_free(yard->blobs);
    handle_close(yard->ha);
}

void blob_yard_open(struct blob_yard *yard, struct fixture *fixture)
{
    memset(yard, 0, sizeof(*yard));
    yard->fixture = fixture;
    snprintf(yard->dir, sizeof(yard->dir), "/tmp/pgk-yard-XXXXXX");
    assert_non_null(mkdtemp(yard->dir));
    yard_enter(yard);
}

void blob_yard_close(struct blob_yard *yard)
{
    directory_remove(yard->dir);
    yard_leave(yard);
}

const char *yard_path(struct blob_yard *yard, const char *name)
{
    char *path = yard->path[yard->next_path++ % 4];
    snprintf(path, sizeof(yard->path[0]), "%s/%s", yard->dir, name);
    return path;
}

int yard_files(const struct blob_yard *yard)
{
    return directory_count(yard->dir);
}

static uint64_t pattern_word(uint64_t number, unsigned seed)
{
    uint64_t word = (number + 1) * UINT64_C(0x9e3779b97f4a7c15) + seed;
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return word ^ (word >> 31);
}

void pattern_fill(unsigned char *buffer, size_t bytes, size_t offset, unsigned seed)
{
    for (size_t i = 0; i < bytes;) {
        uint64_t word = pattern_word((offset + i) / 8, seed);
        size_t within = (offset + i) % 8;
        size_t count = 8 - within < bytes - i ? 8 - within : bytes - i;
        word >>= 8 * within;
        memcpy(buffer + i, &word, count);
        i += count;
    }
}

unsigned char *pattern_new(size_t bytes, unsigned seed)
{
    unsigned char *buffer = malloc(bytes + 1);
    assert_non_null(buffer);
    pattern_fill(buffer, bytes, 0, seed);
    return buffer;
}

void pattern_file(const char *path, size_t bytes, unsigned seed)
{
    unsigned char *buffer = pattern_new(bytes, seed);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(buffer, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    free(buffer);
}

bool pattern_is(const char *path, size_t bytes, unsigned seed)
{
    unsigned char *buffer = pattern_new(bytes, seed);
    unsigned char *there = malloc(bytes + 1);
    FILE *file = fopen(path, "rb");
    assert_non_null(there);
    bool same = file != NULL && fread(there, 1, bytes + 1, file) == bytes &&
                memcmp(buffer, there, bytes) == 0;
    if (file != NULL) {
        fclose(file);
    }
    free(buffer);
    free(there);
    return same;
}

int64_t objects_count(struct fixture *fixture)
{
    return db_int(fixture, "SELECT count(*) FROM pg_largeobject_metadata");
}

int64_t orphans_count(struct fixture *fixture)
{
    return db_int(fixture, "SELECT count(*) FROM (SELECT oid FROM pg_largeobject_metadata UNION "
                           "SELECT loid FROM pg_largeobject) o"
                           " WHERE NOT EXISTS (SELECT FROM pgkeeper.blob b WHERE b.loid = o.oid)");
}

int64_t loose_count(struct fixture *fixture)
{
    return db_int(fixture, "SELECT count(*) FROM pgkeeper.blob_loose");
}

void put_pattern(pgk_blobs *blobs, const pgk_uuid *job_id, size_t bytes, unsigned seed,
                 pgk_blob_key *ret_key)
{
    pgk_error err;
    unsigned char *data = pattern_new(bytes, seed);
    STORE_WORKS(&err, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, data, bytes, ret_key, &err));
    STORE_WORKS(&err, pgk_blobs_put_buffer(blobs, job_id, ret_key, data, bytes, &err));
    free(data);
}

void yard_swept(struct blob_yard *yard)
{
    db_wait(yard->fixture, "0", WAIT_LONG_MS,
            "SELECT count(*) FROM pgkeeper.blob_sweep(), pgkeeper.blob_loose");
    assert_int_equal(db_int(yard->fixture, "SELECT count(*) FROM pgkeeper.blob_orphans()"), 0);
    assert_int_equal(orphans_count(yard->fixture), 0);
}
