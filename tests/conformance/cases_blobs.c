/* tests/conformance/cases_blobs.c - contract 8, the blob store: keys, lists, removing, verifying, orphans. */
#include "suite.h"

#include "blob_callbacks.h"
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

/* ------------------------------------------------------------------ lists, removing, verifying */

static void list__of_a_job_ascending(struct scene *s)
{
    pgk_blob_key key;
    pgk_uuid one = job_of(1);
    struct blobs_seen seen = {.answer = PGK_OK};
    pgk_blobs *blobs = open_blobs(s);
    for (unsigned i = 0; i < 6; i++) {
        put_pattern(blobs, &one, 10, i, &key);
    }
    put_pattern(blobs, NULL, 30, 9, &key);
    WORKS(s, pgk_blobs_list(blobs, &one, blob_see, &seen, &s->err));
    assert_int_equal(seen.count, 6);
    for (int i = 1; i < 6; i++) {
        assert_true(pgk_blob_key_compare(&seen.blobs[i - 1].key, &seen.blobs[i].key) < 0);
    }
    seen = (struct blobs_seen){.answer = PGK_OK};
    WORKS(s, pgk_blobs_list(blobs, NULL, blob_see, &seen, &s->err));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.blobs[0].bytes, 30);
    assert_false(seen.blobs[0].has_job);
}

static void list_all__those_of_no_job_first(struct scene *s)
{
    pgk_blob_key key;
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    struct blobs_seen seen = {.answer = PGK_OK};
    pgk_blobs *blobs = open_blobs(s);
    put_pattern(blobs, &two, 10, 1, &key);
    put_pattern(blobs, &one, 10, 2, &key);
    put_pattern(blobs, NULL, 10, 3, &key);
    WORKS(s, pgk_blobs_list_all(blobs, blob_see, &seen, &s->err));
    assert_int_equal(seen.count, 3);
    assert_false(seen.blobs[0].has_job);
    assert_int_equal(pgk_uuid_compare(&seen.blobs[1].job_id, &one), 0);
    assert_int_equal(pgk_uuid_compare(&seen.blobs[2].job_id, &two), 0);
    seen = (struct blobs_seen){.answer = PGK_ERR_NOT_FOUND};
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_blobs_list_all(blobs, blob_see, &seen, &s->err));
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
    struct blobs_seen seen = {.answer = PGK_OK};
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
    WORKS(s, pgk_blobs_list_all(blobs, blob_see, &seen, &s->err));
    assert_int_equal(seen.count, 1);
}

static void verify_all__each_with_its_state(struct scene *s)
{
    pgk_blob_key key;
    struct blobs_seen seen = {.answer = PGK_OK};
    int64_t damaged = -1;
    pgk_blobs *blobs = open_blobs(s);
    put_pattern(blobs, NULL, 10, 1, &key);
    put_pattern(blobs, NULL, 10, 2, &key);
    WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "plum", 4, &key, &s->err));
    WORKS(s, pgk_blobs_put_buffer(blobs, NULL, &key, "pear", 4, &s->err));
    WORKS(s, pgk_blobs_verify_all(blobs, false, NULL, blob_see, &seen, &damaged, &s->err));
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
    struct blobs_seen seen = {.answer = PGK_OK};
    pgk_blobs *blobs = open_blobs(s);
    WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "plum", 4, &key, &s->err));
    FAILS(s, PGK_ERR_UNSUPPORTED, pgk_blobs_put_buffer(blobs, NULL, &key, "plum", 4, &s->err));
    FAILS(s, PGK_ERR_NOT_FOUND,
          pgk_blobs_get_buffer(blobs, NULL, &key, 99, &data, &bytes, &s->err));
    assert_false(blob_exists(s, blobs, 0, &key));
    WORKS(s, pgk_blobs_delete(blobs, NULL, &key, &s->err));
    WORKS(s, pgk_blobs_delete_all(blobs, NULL, &removed, &s->err));
    assert_int_equal(removed, 0);
    WORKS(s, pgk_blobs_list_all(blobs, blob_see, &seen, &s->err));
    assert_int_equal(seen.count, 0);
}

#define STORED BIT(BLOBS)

static const struct conformance_case cases[] = {
    CASE(key__as_text_and_back),
    CASE(key_text_that_is_none__invalid_argument),
    CASE(keys__are_ordered_by_hash_type_and_random),
    CASE(same_content_twice__two_keys_of_one_hash),
    CASE(key_of_a_file__is_that_of_its_content),
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
