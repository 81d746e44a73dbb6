/* tests/conformance/cases_blobs.c - contract 8, the blob store: keys, what is put and comes back, files, lists, removing. */
#include "suite.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob_tools.h"

static pgk_blobs *open_blobs(struct scene *s)
{
    return scene_blobs(s, scene_open(s), PGK_UNFENCED);
}

/* ------------------------------------------------------------------ keys */

static void key__as_text_and_back(struct scene *s)
{
    char text[PGK_BLOB_KEY_TEXT_SIZE];
    pgk_blob_key key;
    pgk_blob_key again;
    static const pgk_blob_type types[] = {PGK_BLOB_PERMANENT, PGK_BLOB_TRANSIENT};
    for (int i = 0; i < 2; i++) {
        WORKS(s, pgk_blob_key_new_buffer(types[i], "plum", 4, &key, &s->err));
        pgk_blob_key_format(&key, text);
        assert_int_equal(text[0], i == 0 ? 'p' : 't');
        assert_int_equal(strlen(text), 2 + 40 + 1 + 32);
        /* echo -n plum | sha1sum */
        assert_memory_equal(text + 2, "d6a0ca33c03b6a6d20cfd0eb97910ade8cd2bec0", 40);
        WORKS(s, pgk_blob_key_parse(text, &again, &s->err));
        assert_int_equal(pgk_blob_key_compare(&key, &again), 0);
    }
}

static void key_text_that_is_none__invalid_argument(struct scene *s)
{
    pgk_blob_key key;
    static const char *const bad[] = {
        "",
        "p",
        "x-0000000000000000000000000000000000000000-00000000000000000000000000000000",
        "p-000000000000000000000000000000000000000-00000000000000000000000000000000",
        "p-0000000000000000000000000000000000000000-0000000000000000000000000000000",
        "p-0000000000000000000000000000000000000000-000000000000000000000000000000000",
        "p-000000000000000000000000000000000000000g-00000000000000000000000000000000",
        "p_0000000000000000000000000000000000000000-00000000000000000000000000000000",
        " p-0000000000000000000000000000000000000000-00000000000000000000000000000000",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_blob_key_parse(bad[i], &key, &s->err));
    }
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_blob_key_parse(NULL, &key, &s->err));
}

static void keys__are_ordered_by_hash_type_and_random(struct scene *s)
{
    pgk_blob_key a = {.type = PGK_BLOB_PERMANENT};
    pgk_blob_key b = a;
    (void)s;
    assert_int_equal(pgk_blob_key_compare(&a, &b), 0);
    b.random[15] = 1;
    assert_true(pgk_blob_key_compare(&a, &b) < 0);
    a.type = PGK_BLOB_TRANSIENT;
    assert_true(pgk_blob_key_compare(&a, &b) > 0);
    b.sha1[19] = 1;
    assert_true(pgk_blob_key_compare(&a, &b) < 0);
    assert_true(pgk_blob_key_compare(&b, &a) > 0);
}

static void same_content_twice__two_keys_of_one_hash(struct scene *s)
{
    pgk_blob_key a;
    pgk_blob_key b;
    WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "plum", 4, &a, &s->err));
    WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "plum", 4, &b, &s->err));
    assert_memory_equal(a.sha1, b.sha1, PGK_SHA1_BYTES);
    assert_int_not_equal(pgk_blob_key_compare(&a, &b), 0);
}

static void key_of_a_file__is_that_of_its_content(struct scene *s)
{
    pgk_blob_key of_file;
    pgk_blob_key of_bytes;
    const char *path = scene_path(s, "in");
    unsigned char *data = pattern_new(100000, 1);
    pattern_file(path, 100000, 1);
    WORKS(s, pgk_blob_key_new_file(PGK_BLOB_TRANSIENT, path, &of_file, &s->err));
    WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_TRANSIENT, data, 100000, &of_bytes, &s->err));
    free(data);
    assert_memory_equal(of_file.sha1, of_bytes.sha1, PGK_SHA1_BYTES);
    assert_int_equal(of_file.type, PGK_BLOB_TRANSIENT);
    FAILS(s, PGK_ERR_IO,
          pgk_blob_key_new_file(PGK_BLOB_PERMANENT, scene_path(s, "missing"), &of_file, &s->err));
}

/* ------------------------------------------------------------------ put and get */

static void expect_pattern(struct scene *s, pgk_blobs *blobs, const pgk_uuid *job_id,
                           const pgk_blob_key *key, size_t bytes, unsigned seed)
{
    void *data = NULL;
    size_t found = 0;
    unsigned char *expected = pattern_new(bytes, seed);
    WORKS(s, pgk_blobs_get_buffer(blobs, job_id, key, bytes, &data, &found, &s->err));
    assert_non_null(data);
    assert_int_equal(found, bytes);
    assert_memory_equal(data, expected, bytes);
    pgk_blob_data_free(data);
    free(expected);
}

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

struct stream {
    size_t bytes;
    size_t at;
    size_t step;
    size_t fails_at; /* 0: never */
    bool right;
    int64_t told;
    pgk_status tells;
};

static pgk_status give(void *user, void *buffer, size_t capacity, size_t *ret_bytes)
{
    struct stream *stream = user;
    size_t bytes = stream->bytes - stream->at;
    bytes = bytes > capacity ? capacity : bytes;
    bytes = bytes > stream->step ? stream->step : bytes;
    if (stream->fails_at > 0 && stream->at >= stream->fails_at) {
        return PGK_ERR_TIMEOUT;
    }
    pattern_fill(buffer, bytes, stream->at, 9);
    stream->at += bytes;
    *ret_bytes = bytes;
    return PGK_OK;
}

static pgk_status take(void *user, const void *data, size_t bytes)
{
    struct stream *stream = user;
    unsigned char *expected = malloc(bytes);
    if (stream->fails_at > 0 && stream->at >= stream->fails_at) {
        free(expected);
        return PGK_ERR_TIMEOUT;
    }
    pattern_fill(expected, bytes, stream->at, 9);
    stream->right = stream->right && memcmp(expected, data, bytes) == 0;
    stream->at += bytes;
    free(expected);
    return PGK_OK;
}

static pgk_status tell(void *user, int64_t done, int64_t total)
{
    struct stream *stream = user;
    (void)total;
    stream->told = done;
    return stream->tells;
}

static void stream__is_taken_and_given_in_order(struct scene *s)
{
    pgk_blob_key key;
    pgk_blobs *blobs = open_blobs(s);
    struct stream in = {.bytes = 2 * MIB + 3, .step = 70001, .right = true};
    struct stream out = {.right = true};
    pgk_blob_source source = {
        .size = sizeof(source), .read = give, .user = &in, .progress = tell, .progress_user = &in};
    pgk_blob_target target = {.size = sizeof(target),
                              .write = take,
                              .user = &out,
                              .progress = tell,
                              .progress_user = &out};
    WORKS(s, pgk_blobs_add(blobs, NULL, PGK_BLOB_TRANSIENT, &source, &key, &s->err));
    assert_int_equal(key.type, PGK_BLOB_TRANSIENT);
    assert_int_equal(in.told, 2 * MIB + 3);
    WORKS(s, pgk_blobs_get(blobs, NULL, &key, &target, &s->err));
    assert_true(out.right);
    assert_int_equal(out.at, 2 * MIB + 3);
    assert_int_equal(out.told, 2 * MIB + 3);
}

static pgk_status count_blob(void *user, const pgk_blob *blob)
{
    (void)blob;
    (*(int *)user)++;
    return PGK_OK;
}

static void source_that_fails__its_status_and_nothing_stored(struct scene *s)
{
    pgk_blob_key key;
    int count = 0;
    pgk_blobs *blobs = open_blobs(s);
    static const size_t points[] = {1, 100000, 2 * MIB};
    for (size_t i = 0; i < 3; i++) {
        struct stream in = {.bytes = 3 * MIB, .step = 65536, .fails_at = points[i]};
        pgk_blob_source source = {.size = sizeof(source), .read = give, .user = &in};
        FAILS(s, PGK_ERR_TIMEOUT,
              pgk_blobs_add(blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &s->err));
    }
    WORKS(s, pgk_blobs_list_all(blobs, count_blob, &count, &s->err));
    assert_int_equal(count, 0);
}

static void progress_that_refuses__its_status_and_nothing_stored(struct scene *s)
{
    pgk_blob_key key;
    int count = 0;
    pgk_blobs *blobs = open_blobs(s);
    unsigned char *data = pattern_new(3 * MIB, 1);
    struct stream in = {.tells = PGK_ERR_RESOURCE};
    pgk_blob_source source = {.size = sizeof(source),
                              .data = data,
                              .data_bytes = 3 * MIB,
                              .progress = tell,
                              .progress_user = &in};
    FAILS(s, PGK_ERR_RESOURCE,
          pgk_blobs_add(blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &s->err));
    free(data);
    WORKS(s, pgk_blobs_list_all(blobs, count_blob, &count, &s->err));
    assert_int_equal(count, 0);
}

static void target_that_refuses__its_status(struct scene *s)
{
    pgk_blob_key key;
    pgk_blobs *blobs = open_blobs(s);
    struct stream in = {.bytes = 2 * MIB, .step = 65536};
    struct stream out = {.right = true, .fails_at = 1};
    pgk_blob_source source = {.size = sizeof(source), .read = give, .user = &in};
    pgk_blob_target target = {.size = sizeof(target), .write = take, .user = &out};
    WORKS(s, pgk_blobs_add(blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &s->err));
    FAILS(s, PGK_ERR_TIMEOUT, pgk_blobs_get(blobs, NULL, &key, &target, &s->err));
    assert_true(out.right);
    assert_true(out.at < 2 * MIB);
}

/* ------------------------------------------------------------------ lists, removing, verifying */

struct seen {
    int count;
    pgk_blob blobs[16];
    pgk_status answer;
};

static pgk_status see(void *user, const pgk_blob *blob)
{
    struct seen *seen = user;
    if (seen->count < 16) {
        seen->blobs[seen->count] = *blob;
    }
    seen->count++;
    return seen->answer;
}

static void list__of_a_job_ascending(struct scene *s)
{
    pgk_blob_key key;
    pgk_uuid one = job_of(1);
    struct seen seen = {.answer = PGK_OK};
    pgk_blobs *blobs = open_blobs(s);
    for (unsigned i = 0; i < 6; i++) {
        put_pattern(blobs, &one, 10, i, &key);
    }
    put_pattern(blobs, NULL, 30, 9, &key);
    WORKS(s, pgk_blobs_list(blobs, &one, see, &seen, &s->err));
    assert_int_equal(seen.count, 6);
    for (int i = 1; i < 6; i++) {
        assert_true(pgk_blob_key_compare(&seen.blobs[i - 1].key, &seen.blobs[i].key) < 0);
    }
    seen = (struct seen){.answer = PGK_OK};
    WORKS(s, pgk_blobs_list(blobs, NULL, see, &seen, &s->err));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.blobs[0].bytes, 30);
    assert_false(seen.blobs[0].has_job);
}

static void list_all__those_of_no_job_first(struct scene *s)
{
    pgk_blob_key key;
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    struct seen seen = {.answer = PGK_OK};
    pgk_blobs *blobs = open_blobs(s);
    put_pattern(blobs, &two, 10, 1, &key);
    put_pattern(blobs, &one, 10, 2, &key);
    put_pattern(blobs, NULL, 10, 3, &key);
    WORKS(s, pgk_blobs_list_all(blobs, see, &seen, &s->err));
    assert_int_equal(seen.count, 3);
    assert_false(seen.blobs[0].has_job);
    assert_int_equal(pgk_uuid_compare(&seen.blobs[1].job_id, &one), 0);
    assert_int_equal(pgk_uuid_compare(&seen.blobs[2].job_id, &two), 0);
    seen = (struct seen){.answer = PGK_ERR_NOT_FOUND};
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_blobs_list_all(blobs, see, &seen, &s->err));
    assert_int_equal(seen.count, 1);
}

static void delete__gone_and_absent_is_fine(struct scene *s)
{
    pgk_blob_key key;
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    pgk_blobs *blobs = open_blobs(s);
    put_pattern(blobs, &one, 10, 1, &key);
    WORKS(s, pgk_blobs_delete(blobs, &two, &key, &s->err));
    WORKS(s, pgk_blobs_delete(blobs, NULL, &key, &s->err));
    assert_true(blob_exists(s, blobs, 1, &key));
    WORKS(s, pgk_blobs_delete(blobs, &one, &key, &s->err));
    assert_false(blob_exists(s, blobs, 1, &key));
    WORKS(s, pgk_blobs_delete(blobs, &one, &key, &s->err));
}

static void delete_all__of_one_job(struct scene *s)
{
    pgk_blob_key key;
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    int64_t removed = -1;
    int count = 0;
    pgk_blobs *blobs = open_blobs(s);
    for (unsigned i = 0; i < 20; i++) {
        put_pattern(blobs, &one, 10, i, &key);
    }
    put_pattern(blobs, &two, 10, 1, &key);
    put_pattern(blobs, NULL, 10, 1, &key);
    WORKS(s, pgk_blobs_delete_all(blobs, &one, &removed, &s->err));
    assert_int_equal(removed, 20);
    WORKS(s, pgk_blobs_delete_all(blobs, &one, &removed, &s->err));
    assert_int_equal(removed, 0);
    WORKS(s, pgk_blobs_delete_all(blobs, NULL, NULL, &s->err));
    WORKS(s, pgk_blobs_list_all(blobs, count_blob, &count, &s->err));
    assert_int_equal(count, 1);
}

static void verify_all__each_with_its_state(struct scene *s)
{
    pgk_blob_key key;
    struct seen seen = {.answer = PGK_OK};
    int64_t damaged = -1;
    pgk_blobs *blobs = open_blobs(s);
    put_pattern(blobs, NULL, 10, 1, &key);
    put_pattern(blobs, NULL, 10, 2, &key);
    WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "plum", 4, &key, &s->err));
    WORKS(s, pgk_blobs_put_buffer(blobs, NULL, &key, "pear", 4, &s->err));
    WORKS(s, pgk_blobs_verify_all(blobs, false, NULL, see, &seen, &damaged, &s->err));
    assert_int_equal(seen.count, 3);
    assert_int_equal(damaged, 1);
    for (int i = 0; i < 3; i++) {
        bool is_key = pgk_blob_key_compare(&seen.blobs[i].key, &key) == 0;
        assert_int_equal(seen.blobs[i].status, is_key ? PGK_ERR_CORRUPT : PGK_OK);
    }
}

static pgk_status count_orphan(void *user, const pgk_orphan *orphan)
{
    (void)orphan;
    (*(int *)user)++;
    return PGK_OK;
}

static void orphans__calls_work(struct scene *s)
{
    int64_t removed = -1;
    int count = 0;
    pgk_blob_key key;
    pgk_blobs *blobs = open_blobs(s);
    put_pattern(blobs, NULL, 10, 1, &key);
    WORKS(s, pgk_blobs_delete(blobs, NULL, &key, &s->err));
    WORKS(s, pgk_blobs_remove_orphans(blobs, &removed, &s->err));
    WORKS(s, pgk_blobs_orphans(blobs, count_orphan, &count, &s->err));
    assert_int_equal(count, 0);
}

/* ------------------------------------------------------------------ others */

static void another_handle__reads_what_one_stored(struct scene *s)
{
    pgk_blob_key key;
    pgk_uuid job = job_of(1);
    put_pattern(open_blobs(s), &job, 3000, 1, &key);
    expect_pattern(s, open_blobs(s), &job, &key, 3000, 1);
    expect_pattern(s, scene_blobs(s, scene_client(s), PGK_UNFENCED), &job, &key, 3000, 1);
}

static void another_cluster__sees_nothing(struct scene *s)
{
    pgk_blob_key key;
    pgk_ha *far = scene_open_with(s, "high-availability.cluster-id", s->elsewhere, NULL);
    pgk_blobs *there = scene_blobs(s, far, PGK_UNFENCED);
    pgk_blobs *here = open_blobs(s);
    put_pattern(here, NULL, 10, 1, &key);
    assert_false(blob_exists(s, there, 0, &key));
    WORKS(s, pgk_blobs_delete(there, NULL, &key, &s->err));
    assert_true(blob_exists(s, here, 0, &key));
}

static void bad_arguments__invalid_argument(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_blob_key key = {.type = PGK_BLOB_PERMANENT};
    pgk_blob_key none = {.type = (pgk_blob_type)7};
    pgk_blob_source source = {.size = sizeof(source)};
    pgk_blob_target target = {.size = sizeof(target)};
    size_t bytes;
    pgk_blobs *blobs = scene_blobs(s, ha, PGK_UNFENCED);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_blobs(ha, PGK_UNFENCED, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_blobs_put(blobs, NULL, &key, &source, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_blobs_put(blobs, NULL, &key, NULL, &s->err));
    source.path = "/dev/null";
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_blobs_put(blobs, NULL, &none, &source, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_blobs_put(blobs, NULL, NULL, &source, &s->err));
    source.size--;
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_blobs_put(blobs, NULL, &key, &source, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_blobs_put_file(blobs, NULL, &key, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_blobs_put_buffer(blobs, NULL, &key, NULL, 1, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_blobs_get(blobs, NULL, &key, &target, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_blobs_get_buffer(blobs, NULL, &key, 1, NULL, &bytes, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_blobs_list(blobs, NULL, NULL, NULL, &s->err));
    pgk_blobs_free(NULL);
    pgk_blob_data_free(NULL);
    WORKS(s, pgk_ha_close(ha, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_blobs_delete(blobs, NULL, &key, &s->err));
}

static void without__put_is_refused_and_nothing_is_found(struct scene *s)
{
    pgk_blob_key key;
    void *data = NULL;
    size_t bytes = 0;
    int64_t removed = -1;
    int count = 0;
    pgk_blobs *blobs = open_blobs(s);
    WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "plum", 4, &key, &s->err));
    FAILS(s, PGK_ERR_UNSUPPORTED, pgk_blobs_put_buffer(blobs, NULL, &key, "plum", 4, &s->err));
    FAILS(s, PGK_ERR_NOT_FOUND,
          pgk_blobs_get_buffer(blobs, NULL, &key, 99, &data, &bytes, &s->err));
    assert_false(blob_exists(s, blobs, 0, &key));
    WORKS(s, pgk_blobs_delete(blobs, NULL, &key, &s->err));
    WORKS(s, pgk_blobs_delete_all(blobs, NULL, &removed, &s->err));
    assert_int_equal(removed, 0);
    WORKS(s, pgk_blobs_list_all(blobs, count_blob, &count, &s->err));
    assert_int_equal(count, 0);
}

#define STORED BIT(BLOBS)

static const struct conformance_case cases[] = {
    CASE(key__as_text_and_back),
    CASE(key_text_that_is_none__invalid_argument),
    CASE(keys__are_ordered_by_hash_type_and_random),
    CASE(same_content_twice__two_keys_of_one_hash),
    CASE(key_of_a_file__is_that_of_its_content),
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
    CASE_NEEDS(list__of_a_job_ascending, STORED),
    CASE_NEEDS(list_all__those_of_no_job_first, STORED),
    CASE_NEEDS(delete__gone_and_absent_is_fine, STORED),
    CASE_NEEDS(delete_all__of_one_job, STORED),
    CASE_NEEDS(verify_all__each_with_its_state, STORED),
    CASE_NEEDS(orphans__calls_work, STORED),
    CASE_NEEDS(another_handle__reads_what_one_stored, STORED | BIT(SHARES)),
    CASE_NEEDS(another_cluster__sees_nothing, STORED),
    CASE(bad_arguments__invalid_argument),
    CASE_WITHOUT(without__put_is_refused_and_nothing_is_found, BLOBS),
};
AREA(blobs, cases);
