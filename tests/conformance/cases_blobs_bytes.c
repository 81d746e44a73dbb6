/* tests/conformance/cases_blobs_bytes.c - contract 8, the blob store: what is put comes back, from memory, files, streams. */
#include "suite.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob_callbacks.h"
#include "blob_tools.h"

static pgk_blobs *open_blobs(struct scene *s)
{
    return scene_blobs(s, scene_open(s), PGK_UNFENCED);
}

/* ------------------------------------------------------------------ put and get */

static void every_size__comes_back_from_memory(struct scene *s)
{
    static const size_t sizes[] = {1, 2048, 65536, 262143, 262144, 262145, 3 * MIB + 17};
    pgk_blobs *blobs = open_blobs(s);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        pgk_blob_key key;
        pgk_uuid job = job_of(1);
        put_pattern(blobs, &job, sizes[i], (unsigned)i, &key);
        expect_pattern(s, blobs, &job, &key, sizes[i], (unsigned)i);
    }
}

static void empty_blob__works(struct scene *s)
{
    pgk_blob_key key;
    pgk_blob blob;
    pgk_blobs *blobs = open_blobs(s);
    WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, NULL, 0, &key, &s->err));
    WORKS(s, pgk_blobs_put_buffer(blobs, NULL, &key, NULL, 0, &s->err));
    expect_pattern(s, blobs, NULL, &key, 0, 1);
    WORKS(s, pgk_blobs_stat(blobs, NULL, &key, &blob, &s->err));
    assert_int_equal(blob.bytes, 0);
    WORKS(s, pgk_blobs_verify(blobs, NULL, &key, NULL, NULL, &s->err));
}

static void file__comes_back_as_a_file(struct scene *s)
{
    pgk_blob_key key;
    struct stat info;
    pgk_blobs *blobs = open_blobs(s);
    const char *in = scene_path(s, "in");
    const char *out = scene_path(s, "out");
    mode_t mask = umask(027);
    pattern_file(in, MIB + 7, 5);
    WORKS(s, pgk_blob_key_new_file(PGK_BLOB_PERMANENT, in, &key, &s->err));
    WORKS(s, pgk_blobs_put_file(blobs, NULL, &key, in, &s->err));
    WORKS(s, pgk_blobs_get_file(blobs, NULL, &key, out, &s->err));
    umask(mask);
    assert_true(pattern_is(out, MIB + 7, 5));
    assert_int_equal(stat(out, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    assert_int_equal(scene_files(s), 2);
}

static void link_to_a_file__is_followed(struct scene *s)
{
    pgk_blob_key key;
    pgk_blobs *blobs = open_blobs(s);
    const char *in = scene_path(s, "in");
    const char *link_path = scene_path(s, "link");
    pattern_file(in, 100, 5);
    assert_int_equal(symlink(in, link_path), 0);
    WORKS(s, pgk_blob_key_new_file(PGK_BLOB_PERMANENT, link_path, &key, &s->err));
    WORKS(s, pgk_blobs_put_file(blobs, NULL, &key, link_path, &s->err));
    expect_pattern(s, blobs, NULL, &key, 100, 5);
}

static void source_missing_or_no_file__io_and_nothing_stored(struct scene *s)
{
    pgk_blob_key key = {.type = PGK_BLOB_PERMANENT};
    pgk_blobs *blobs = open_blobs(s);
    FAILS(s, PGK_ERR_IO, pgk_blobs_put_file(blobs, NULL, &key, scene_path(s, "missing"), &s->err));
    assert_non_null(strstr(s->err.message, strerror(ENOENT)));
    FAILS(s, PGK_ERR_IO, pgk_blobs_put_file(blobs, NULL, &key, s->dir, &s->err));
    assert_non_null(strstr(s->err.message, strerror(EISDIR)));
    assert_false(blob_exists(s, blobs, 0, &key));
}

static void target__replaced_only_by_success(struct scene *s)
{
    pgk_blob_key key;
    pgk_blob_key other;
    pgk_blobs *blobs = open_blobs(s);
    const char *out = scene_path(s, "out");
    put_pattern(blobs, NULL, 5000, 1, &key);
    other = key;
    other.random[0] ^= 1;
    pattern_file(out, 77, 2);
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_blobs_get_file(blobs, NULL, &other, out, &s->err));
    assert_true(pattern_is(out, 77, 2));
    WORKS(s, pgk_blobs_get_file(blobs, NULL, &key, out, &s->err));
    assert_true(pattern_is(out, 5000, 1));
    assert_int_equal(scene_files(s), 1);
}

static void target_that_cannot_be_written__io(struct scene *s)
{
    pgk_blob_key key;
    pgk_blobs *blobs = open_blobs(s);
    put_pattern(blobs, NULL, 5000, 1, &key);
    FAILS(s, PGK_ERR_IO, pgk_blobs_get_file(blobs, NULL, &key, "/nowhere/at/all", &s->err));
    assert_int_equal(scene_files(s), 0);
    FAILS(s, PGK_ERR_IO, pgk_blobs_get_file(blobs, NULL, &key, s->dir, &s->err));
    assert_int_equal(scene_files(s), 0);
}

static void key_of_other_content__stored_and_not_given(struct scene *s)
{
    pgk_blob_key key;
    pgk_blobs *blobs = open_blobs(s);
    WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "plum", 4, &key, &s->err));
    WORKS(s, pgk_blobs_put_buffer(blobs, NULL, &key, "pear", 4, &s->err));
    FAILS(s, PGK_ERR_CORRUPT, pgk_blobs_get_file(blobs, NULL, &key, scene_path(s, "out"), &s->err));
    assert_int_equal(scene_files(s), 0);
    FAILS(s, PGK_ERR_CORRUPT, pgk_blobs_verify(blobs, NULL, &key, NULL, NULL, &s->err));
    assert_true(blob_exists(s, blobs, 0, &key));
}

static void wrong_key__not_found(struct scene *s)
{
    pgk_blob_key key;
    pgk_blob blob;
    pgk_blobs *blobs = open_blobs(s);
    put_pattern(blobs, NULL, 10, 1, &key);
    key.random[0] ^= 1;
    FAILS(s, PGK_ERR_NOT_FOUND,
          pgk_blobs_get_file(blobs, NULL, &key, scene_path(s, "out"), &s->err));
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_blobs_stat(blobs, NULL, &key, &blob, &s->err));
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_blobs_verify(blobs, NULL, &key, NULL, NULL, &s->err));
    assert_int_equal(scene_files(s), 0);
}

static void wrong_job__not_found(struct scene *s)
{
    pgk_blob_key key;
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    pgk_uuid nil = {{0}};
    void *data;
    size_t bytes;
    pgk_blobs *blobs = open_blobs(s);
    put_pattern(blobs, &one, 10, 1, &key);
    FAILS(s, PGK_ERR_NOT_FOUND,
          pgk_blobs_get_buffer(blobs, &two, &key, 99, &data, &bytes, &s->err));
    FAILS(s, PGK_ERR_NOT_FOUND,
          pgk_blobs_get_buffer(blobs, NULL, &key, 99, &data, &bytes, &s->err));
    FAILS(s, PGK_ERR_NOT_FOUND,
          pgk_blobs_get_buffer(blobs, &nil, &key, 99, &data, &bytes, &s->err));
    assert_true(blob_exists(s, blobs, 1, &key));
    assert_false(blob_exists(s, blobs, 2, &key));
}

static void put_again__replaces(struct scene *s)
{
    pgk_blob_key key;
    pgk_blob blob;
    void *data = NULL;
    size_t bytes = 0;
    pgk_blobs *blobs = open_blobs(s);
    WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "plum", 4, &key, &s->err));
    WORKS(s, pgk_blobs_put_buffer(blobs, NULL, &key, "a longer pear", 13, &s->err));
    WORKS(s, pgk_blobs_put_buffer(blobs, NULL, &key, "plum", 4, &s->err));
    WORKS(s, pgk_blobs_get_buffer(blobs, NULL, &key, 99, &data, &bytes, &s->err));
    assert_int_equal(bytes, 4);
    assert_memory_equal(data, "plum", 4);
    pgk_blob_data_free(data);
    WORKS(s, pgk_blobs_stat(blobs, NULL, &key, &blob, &s->err));
    assert_int_equal(blob.bytes, 4);
}

static void put_that_fails__leaves_what_was_there(struct scene *s)
{
    pgk_blob_key key;
    pgk_blobs *blobs = open_blobs(s);
    put_pattern(blobs, NULL, 5000, 1, &key);
    FAILS(s, PGK_ERR_IO, pgk_blobs_put_file(blobs, NULL, &key, scene_path(s, "missing"), &s->err));
    expect_pattern(s, blobs, NULL, &key, 5000, 1);
}

static void stat__says_what_is_known(struct scene *s)
{
    pgk_blob_key key;
    pgk_blob blob;
    pgk_uuid job = job_of(1);
    pgk_blobs *blobs = open_blobs(s);
    put_pattern(blobs, &job, 5000, 1, &key);
    WORKS(s, pgk_blobs_stat(blobs, &job, &key, &blob, &s->err));
    assert_true(blob.has_job);
    assert_int_equal(pgk_uuid_compare(&blob.job_id, &job), 0);
    assert_int_equal(pgk_blob_key_compare(&blob.key, &key), 0);
    assert_int_equal(blob.bytes, 5000);
    assert_memory_equal(blob.sha1, key.sha1, PGK_SHA1_BYTES);
    assert_true(blob.created_ms > INT64_C(1600000000000));
    assert_int_equal(blob.epoch, 0);
    assert_int_equal(blob.status, PGK_OK);
}

static void buffer_that_is_too_small__too_large(struct scene *s)
{
    pgk_blob_key key;
    void *data = NULL;
    size_t bytes = 0;
    pgk_blobs *blobs = open_blobs(s);
    put_pattern(blobs, NULL, 100, 1, &key);
    FAILS(s, PGK_ERR_TOO_LARGE,
          pgk_blobs_get_buffer(blobs, NULL, &key, 99, &data, &bytes, &s->err));
    assert_null(data);
    expect_pattern(s, blobs, NULL, &key, 100, 1);
}

/* ------------------------------------------------------------------ streams */

static void stream__is_taken_and_given_in_order(struct scene *s)
{
    pgk_blob_key key;
    pgk_blobs *blobs = open_blobs(s);
    struct stream in = {.bytes = 2 * MIB + 3, .step = 70001, .seed = 9, .right = true};
    struct stream out = {.seed = 9, .right = true};
    pgk_blob_source source = stream_source(&in);
    pgk_blob_target target = stream_target(&out);
    WORKS(s, pgk_blobs_add(blobs, NULL, PGK_BLOB_TRANSIENT, &source, &key, &s->err));
    assert_int_equal(key.type, PGK_BLOB_TRANSIENT);
    assert_int_equal(in.told, 2 * MIB + 3);
    WORKS(s, pgk_blobs_get(blobs, NULL, &key, &target, &s->err));
    assert_true(out.right);
    assert_int_equal(out.at, 2 * MIB + 3);
    assert_int_equal(out.told, 2 * MIB + 3);
}

static void source_that_fails__its_status_and_nothing_stored(struct scene *s)
{
    pgk_blob_key key;
    struct blobs_seen seen = {.answer = PGK_OK};
    pgk_blobs *blobs = open_blobs(s);
    static const size_t points[] = {1, 100000, 2 * MIB};
    for (size_t i = 0; i < 3; i++) {
        struct stream in = {
            .bytes = 3 * MIB, .step = 65536, .answer = PGK_ERR_TIMEOUT, .fails_at = points[i]};
        pgk_blob_source source = stream_source(&in);
        FAILS(s, PGK_ERR_TIMEOUT,
              pgk_blobs_add(blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &s->err));
    }
    WORKS(s, pgk_blobs_list_all(blobs, blob_see, &seen, &s->err));
    assert_int_equal(seen.count, 0);
}

static void progress_that_refuses__its_status_and_nothing_stored(struct scene *s)
{
    pgk_blob_key key;
    struct blobs_seen seen = {.answer = PGK_OK};
    pgk_blobs *blobs = open_blobs(s);
    unsigned char *data = pattern_new(3 * MIB, 1);
    struct stream in = {.tells = PGK_ERR_RESOURCE};
    pgk_blob_source source = {.size = sizeof(source),
                              .data = data,
                              .data_bytes = 3 * MIB,
                              .progress = stream_tell,
                              .progress_user = &in};
    FAILS(s, PGK_ERR_RESOURCE,
          pgk_blobs_add(blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &s->err));
    free(data);
    WORKS(s, pgk_blobs_list_all(blobs, blob_see, &seen, &s->err));
    assert_int_equal(seen.count, 0);
}

static void target_that_refuses__its_status(struct scene *s)
{
    pgk_blob_key key;
    pgk_blobs *blobs = open_blobs(s);
    struct stream in = {.bytes = 2 * MIB, .step = 65536, .seed = 9};
    struct stream out = {.seed = 9, .right = true, .answer = PGK_ERR_TIMEOUT, .fails_at = 1};
    pgk_blob_source source = stream_source(&in);
    pgk_blob_target target = stream_target(&out);
    WORKS(s, pgk_blobs_add(blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &s->err));
    FAILS(s, PGK_ERR_TIMEOUT, pgk_blobs_get(blobs, NULL, &key, &target, &s->err));
    assert_true(out.right);
    assert_true(out.at < 2 * MIB);
}

#define STORED BIT(BLOBS)

static const struct conformance_case cases[] = {
    CASE_NEEDS(every_size__comes_back_from_memory, STORED),
    CASE_NEEDS(empty_blob__works, STORED),
    CASE_NEEDS(file__comes_back_as_a_file, STORED),
    CASE_NEEDS(link_to_a_file__is_followed, STORED),
    CASE_NEEDS(source_missing_or_no_file__io_and_nothing_stored, STORED),
    CASE_NEEDS(target__replaced_only_by_success, STORED),
    CASE_NEEDS(target_that_cannot_be_written__io, STORED),
    CASE_NEEDS(key_of_other_content__stored_and_not_given, STORED),
    CASE_NEEDS(wrong_key__not_found, STORED),
    CASE_NEEDS(wrong_job__not_found, STORED),
    CASE_NEEDS(put_again__replaces, STORED),
    CASE_NEEDS(put_that_fails__leaves_what_was_there, STORED),
    CASE_NEEDS(stat__says_what_is_known, STORED),
    CASE_NEEDS(buffer_that_is_too_small__too_large, STORED),
    CASE_NEEDS(stream__is_taken_and_given_in_order, STORED),
    CASE_NEEDS(source_that_fails__its_status_and_nothing_stored, STORED),
    CASE_NEEDS(progress_that_refuses__its_status_and_nothing_stored, STORED),
    CASE_NEEDS(target_that_refuses__its_status, STORED),
};
AREA_PART(blobs, bytes, cases);
