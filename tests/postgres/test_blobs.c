/*
 * tests/postgres/test_blobs.c - the contract of the blob store: what is put comes back, replacing, jobs and clusters,
 * streams, bad arguments, an ordinary role's rights. What becomes of their rows is in test_blob_rows.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "blob_callbacks.h"
#include "blob_tools.h"

static const size_t sizes[] = {0,      1,      2048,   65535, 65536,        65537,
                               262143, 262144, 262145, MIB,   3 * MIB + 17, 20 * MIB};

static void test_blobs__any_size__comes_back_from_file_and_memory(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    blob_yard_open(&yard, *state);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        pgk_blob_key key;
        pgk_blob blob;
        void *data;
        size_t bytes;
        const char *in = yard_path(&yard, "in");
        const char *out = yard_path(&yard, "out");
        pattern_file(in, sizes[i], (unsigned)i);
        STORE_WORKS(&err, pgk_blob_key_new_file(PGK_BLOB_PERMANENT, in, &key, &err));
        STORE_WORKS(&err, pgk_blobs_put_file(yard.blobs, NULL, &key, in, &err));
        STORE_WORKS(&err, pgk_blobs_get_file(yard.blobs, NULL, &key, out, &err));
        assert_true(pattern_is(out, sizes[i], (unsigned)i));
        STORE_WORKS(&err,
                    pgk_blobs_get_buffer(yard.blobs, NULL, &key, sizes[i], &data, &bytes, &err));
        assert_int_equal(bytes, sizes[i]);
        unsigned char *expected = pattern_new(sizes[i], (unsigned)i);
        assert_memory_equal(data, expected, bytes);
        free(expected);
        pgk_blob_data_free(data);
        STORE_WORKS(&err, pgk_blobs_stat(yard.blobs, NULL, &key, &blob, &err));
        assert_int_equal(blob.bytes, sizes[i]);
        assert_memory_equal(blob.sha1, key.sha1, sizeof(key.sha1));
        assert_false(blob.has_job);
        STORE_WORKS(&err, pgk_blobs_verify(yard.blobs, NULL, &key, NULL, NULL, &err));
    }
    assert_int_equal(orphans_count(yard.fixture), 0);
    assert_int_equal(objects_count(yard.fixture), sizeof(sizes) / sizeof(sizes[0]));
    assert_int_equal(yard_files(&yard), 2);
    blob_yard_close(&yard);
}

static void test_blobs__put_again__replaces_and_unlinks(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    pgk_blob before;
    pgk_blob after;
    pgk_uuid job = job_of(1);
    blob_yard_open(&yard, *state);
    put_pattern(yard.blobs, &job, 3 * MIB, 1, &key);
    STORE_WORKS(&err, pgk_blobs_stat(yard.blobs, &job, &key, &before, &err));
    for (int i = 0; i < 2; i++) { /* in pieces, in one statement */
        unsigned char *data = pattern_new(3 * MIB, 1);
        size_t bytes = i == 0 ? 3 * MIB : 100;
        STORE_WORKS(&err, pgk_blobs_put_buffer(yard.blobs, &job, &key, data, bytes, &err));
        free(data);
        STORE_WORKS(&err, pgk_blobs_stat(yard.blobs, &job, &key, &after, &err));
        assert_int_equal(after.bytes, bytes);
        assert_int_not_equal(after.loid, before.loid);
        assert_int_equal(objects_count(yard.fixture), 1);
        assert_int_equal(orphans_count(yard.fixture), 0);
    }
    blob_yard_close(&yard);
}

static void test_blobs__key_of_other_content__is_stored_and_not_given(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    char text[PGK_BLOB_KEY_TEXT_SIZE];
    blob_yard_open(&yard, *state);
    STORE_WORKS(&err, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "plum", 4, &key, &err));
    STORE_WORKS(&err, pgk_blobs_put_buffer(yard.blobs, NULL, &key, "pear", 4, &err));
    pgk_blob_key_format(&key, text);
    STORE_FAILS(PGK_ERR_CORRUPT, &err,
                pgk_blobs_get_file(yard.blobs, NULL, &key, yard_path(&yard, "out"), &err));
    assert_non_null(strstr(err.message, text));
    assert_non_null(strstr(err.message, "put so"));
    assert_int_equal(yard_files(&yard), 0);
    blob_yard_close(&yard);
}

static void test_blobs__wrong_job_or_key_or_cluster__is_not_found(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    pgk_blob_key other;
    pgk_blob blob;
    bool exists;
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    pgk_uuid nil = {{0}};
    blob_yard_open(&yard, *state);
    put_pattern(yard.blobs, &one, 10, 1, &key);
    other = key;
    other.random[0] ^= 1;
    const char *out = yard_path(&yard, "out");
    STORE_FAILS(PGK_ERR_NOT_FOUND, &err, pgk_blobs_get_file(yard.blobs, &two, &key, out, &err));
    STORE_FAILS(PGK_ERR_NOT_FOUND, &err, pgk_blobs_get_file(yard.blobs, NULL, &key, out, &err));
    STORE_FAILS(PGK_ERR_NOT_FOUND, &err, pgk_blobs_get_file(yard.blobs, &nil, &key, out, &err));
    STORE_FAILS(PGK_ERR_NOT_FOUND, &err, pgk_blobs_get_file(yard.blobs, &one, &other, out, &err));
    STORE_FAILS(PGK_ERR_NOT_FOUND, &err, pgk_blobs_stat(yard.blobs, &two, &key, &blob, &err));
    STORE_FAILS(PGK_ERR_NOT_FOUND, &err,
                pgk_blobs_verify(yard.blobs, &two, &key, NULL, NULL, &err));
    assert_int_equal(yard_files(&yard), 0);
    STORE_WORKS(&err, pgk_blobs_exists(yard.blobs, &two, &key, &exists, &err));
    assert_false(exists);
    STORE_WORKS(&err, pgk_blobs_exists(yard.blobs, &one, &key, &exists, &err));
    assert_true(exists);
    STORE_WORKS(&err, pgk_blobs_delete(yard.blobs, &two, &key, &err)); /* absent: fine */
    STORE_WORKS(&err, pgk_blobs_delete(yard.blobs, NULL, &key, &err));
    pgk_ha *meadow = handle_open(yard.fixture, "b", "high-availability.cluster-id", "meadow", NULL);
    pgk_blobs *others;
    STORE_WORKS(&err, pgk_ha_blobs(meadow, PGK_UNFENCED, &others, &err));
    STORE_FAILS(PGK_ERR_NOT_FOUND, &err, pgk_blobs_get_file(others, &one, &key, out, &err));
    STORE_WORKS(&err, pgk_blobs_delete(others, &one, &key, &err));
    pgk_blobs_free(others);
    handle_close(meadow);
    pgk_ha *same = handle_open(yard.fixture, "c", NULL); /* another process of the cluster */
    STORE_WORKS(&err, pgk_ha_blobs(same, PGK_UNFENCED, &others, &err));
    STORE_WORKS(&err, pgk_blobs_get_file(others, &one, &key, out, &err));
    assert_true(pattern_is(out, 10, 1));
    pgk_blobs_free(others);
    handle_close(same);
    blob_yard_close(&yard);
}

/* ------------------------------------------------------------------ streams */

static void test_blobs__streams__are_taken_and_given_in_order(void **state)
{
    static const size_t steps[] = {0, 1000, 70001};
    struct blob_yard yard;
    pgk_error err;
    blob_yard_open(&yard, *state);
    for (size_t i = 0; i < 3; i++) {
        struct stream in = {.bytes = 5 * MIB + 3, .step = steps[i], .seed = 9, .right = true};
        struct stream out = {.seed = 9, .right = true};
        pgk_blob_source source = stream_source(&in);
        pgk_blob_target target = stream_target(&out);
        pgk_blob_key key;
        STORE_WORKS(&err, pgk_blobs_add(yard.blobs, NULL, PGK_BLOB_TRANSIENT, &source, &key, &err));
        assert_int_equal(key.type, PGK_BLOB_TRANSIENT);
        assert_true(in.right);
        assert_int_equal(in.told, 5 * MIB + 3);
        assert_int_equal(in.told_total, -1);
        assert_in_range(in.tellings, 2, 8);
        STORE_WORKS(&err, pgk_blobs_get(yard.blobs, NULL, &key, &target, &err));
        assert_true(out.right);
        assert_int_equal(out.at, 5 * MIB + 3);
        assert_int_equal(out.told, 5 * MIB + 3);
        assert_int_equal(out.told_total, 5 * MIB + 3);
        assert_in_range(out.tellings, 2, 8);
    }
    blob_yard_close(&yard);
}

static void test_blobs__a_callback_that_refuses__ends_it_and_nothing_is_stored(void **state)
{
    static const size_t points[] = {0, 100, 2 * MIB, 19 * MIB};
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    blob_yard_open(&yard, *state);
    for (size_t i = 0; i < 4; i++) {
        struct stream in = {
            .bytes = 20 * MIB, .answer = PGK_ERR_TIMEOUT, .fails_at = points[i], .right = true};
        pgk_blob_source source = stream_source(&in);
        STORE_FAILS(PGK_ERR_TIMEOUT, &err,
                    pgk_blobs_add(yard.blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &err));
    }
    unsigned char *data = pattern_new(20 * MIB, 1);
    struct stream in = {.right = true, .tells = PGK_ERR_RESOURCE};
    pgk_blob_source source = {.size = sizeof(source),
                              .data = data,
                              .data_bytes = 20 * MIB,
                              .progress = stream_tell,
                              .progress_user = &in};
    STORE_FAILS(PGK_ERR_RESOURCE, &err,
                pgk_blobs_add(yard.blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &err));
    assert_int_equal(in.tellings, 1);
    free(data);
    /* The sessions that were dropped end by themselves. */
    db_wait(yard.fixture, "0", WAIT_LONG_MS,
            "SELECT count(*) FROM pgkeeper.blob_sweep(), pgkeeper.blob_loose");
    assert_int_equal(objects_count(yard.fixture), 0);
    put_pattern(yard.blobs, NULL, 3 * MIB, 1, &key);
    struct stream out = {.seed = 1, .right = true, .answer = PGK_ERR_CONNECTION, .fails_at = MIB};
    pgk_blob_target target = stream_target(&out);
    STORE_FAILS(PGK_ERR_CONNECTION, &err, pgk_blobs_get(yard.blobs, NULL, &key, &target, &err));
    assert_true(out.right);
    assert_in_range(out.at, MIB, 2 * MIB);
    blob_yard_close(&yard);
}

/* ------------------------------------------------------------------ arguments */

static void test_blobs__bad_arguments_and_a_closed_handle__are_refused(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key = {.type = PGK_BLOB_PERMANENT};
    pgk_blob_key none = {.type = (pgk_blob_type)3};
    pgk_blob_source source = {.size = sizeof(source), .data = "x", .data_bytes = 1};
    pgk_blob_target target = {.size = sizeof(target)};
    pgk_blobs *other;
    pgk_token zero = {0};
    void *data;
    size_t bytes;
    blob_yard_open(&yard, *state);
    pgk_blobs *blobs = yard.blobs;
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_blobs(yard.ha, NULL, &other, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_blobs(yard.ha, &zero, &other, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_blobs(yard.ha, PGK_UNFENCED, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_blobs_put(NULL, NULL, &key, &source, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_blobs_put(blobs, NULL, NULL, &source, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_blobs_put(blobs, NULL, &none, &source, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_blobs_put(blobs, NULL, &key, NULL, &err));
    source.path = "/dev/null";
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_blobs_put(blobs, NULL, &key, &source, &err));
    source.path = NULL;
    source.size--;
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_blobs_put(blobs, NULL, &key, &source, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_blobs_put_file(blobs, NULL, &key, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                pgk_blobs_put_buffer(blobs, NULL, &key, NULL, 1, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_blobs_get(blobs, NULL, &key, &target, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_blobs_get(blobs, NULL, &key, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                pgk_blobs_get_buffer(blobs, NULL, &key, 1, NULL, &bytes, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_blobs_list(blobs, NULL, NULL, NULL, &err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_blobs_orphans(blobs, NULL, NULL, &err));
    put_pattern(blobs, NULL, 100, 1, &key);
    STORE_FAILS(PGK_ERR_TOO_LARGE, &err,
                pgk_blobs_get_buffer(blobs, NULL, &key, 99, &data, &bytes, &err));
    pgk_blobs_free(NULL);
    pgk_blob_data_free(NULL);
    STORE_WORKS(&err, pgk_ha_close(yard.ha, &err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_blobs_delete(blobs, NULL, &key, &err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_blobs_put_buffer(blobs, NULL, &key, "x", 1, &err));
    blob_yard_close(&yard);
}

/* ------------------------------------------------------------------ rights */

static void test_blobs__the_application_role__needs_its_functions_only(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    pgk_blob_key large;
    pgk_blob_key owners;
    char conninfo[PGSERVER_CONNINFO_SIZE + 32];
    blob_yard_open(&yard, *state);
    /* One that is there before the roles are: it changes hands. */
    put_pattern(yard.blobs, NULL, 40, 3, &owners);
    fixture_run_roles(yard.fixture);
    db_try(yard.fixture, "CREATE ROLE grower LOGIN");
    db_try(yard.fixture, "CREATE ROLE picker LOGIN");
    db_exec(yard.fixture, "GRANT pgkeeper_application TO grower, picker");
    snprintf(conninfo, sizeof(conninfo), "%s user=grower", yard.fixture->conninfo);
    pgk_ha *grower =
        handle_open(yard.fixture, "g", "high-availability.postgres.uri", conninfo, NULL);
    snprintf(conninfo, sizeof(conninfo), "%s user=picker", yard.fixture->conninfo);
    pgk_ha *picker =
        handle_open(yard.fixture, "p", "high-availability.postgres.uri", conninfo, NULL);
    pgk_blobs *blobs;
    pgk_blobs *others;
    STORE_WORKS(&err, pgk_ha_blobs(grower, PGK_UNFENCED, &blobs, &err));
    STORE_WORKS(&err, pgk_ha_blobs(picker, PGK_UNFENCED, &others, &err));
    put_pattern(blobs, NULL, 40, 1, &key);
    put_pattern(blobs, NULL, 20 * MIB, 2, &large);
    assert_int_equal(db_int(yard.fixture, "SELECT count(*) FROM pg_largeobject_metadata"
                                          " WHERE lomowner = 'pgkeeper_owner'::regrole"),
                     3);
    STORE_WORKS(&err, pgk_blobs_verify(others, NULL, &key, NULL, NULL, &err));
    STORE_WORKS(&err, pgk_blobs_verify(others, NULL, &large, NULL, NULL, &err));
    STORE_WORKS(&err, pgk_blobs_verify(others, NULL, &owners, NULL, NULL, &err));
    unsigned char *data = pattern_new(20 * MIB, 2);
    STORE_WORKS(&err, pgk_blobs_put_buffer(others, NULL, &large, data, 20 * MIB, &err));
    free(data);
    STORE_WORKS(&err, pgk_blobs_delete(others, NULL, &key, &err));
    STORE_WORKS(&err, pgk_blobs_remove_orphans(others, NULL, &err));
    STORE_WORKS(&err, pgk_blobs_delete_all(others, NULL, NULL, &err));
    assert_int_equal(objects_count(yard.fixture), 0);
    /* And nothing else: neither rows by hand, nor objects, nor what is not a blob. */
    PGconn *conn = db_connect(conninfo);
    static const char *const refused[] = {
        "DELETE FROM pgkeeper.blob", "INSERT INTO pgkeeper.blob_loose (loid) VALUES (1)",
        "SELECT pgkeeper.blob_object_new(NULL)", "SELECT pgkeeper.blob_object_unlink(1)",
        "SELECT pgkeeper.blob_place('c', NULL, 'x', 1, 1, '', '', gen_random_uuid(), 0)"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        PGresult *result = PQexec(conn, refused[i]);
        assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "42501");
        PQclear(result);
    }
    PQfinish(conn);
    pgk_blobs_free(blobs);
    pgk_blobs_free(others);
    handle_close(grower);
    handle_close(picker);
    blob_yard_close(&yard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_blobs__any_size__comes_back_from_file_and_memory),
        DB_TEST(test_blobs__put_again__replaces_and_unlinks),
        DB_TEST(test_blobs__key_of_other_content__is_stored_and_not_given),
        DB_TEST(test_blobs__wrong_job_or_key_or_cluster__is_not_found),
        DB_TEST(test_blobs__streams__are_taken_and_given_in_order),
        DB_TEST(test_blobs__a_callback_that_refuses__ends_it_and_nothing_is_stored),
        DB_TEST(test_blobs__bad_arguments_and_a_closed_handle__are_refused),
        DB_TEST(test_blobs__the_application_role__needs_its_functions_only),
    };
    return cmocka_run_group_tests_name("blobs", tests, fixture_group_setup, fixture_group_teardown);
}
