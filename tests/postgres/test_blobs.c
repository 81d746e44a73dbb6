/*
 * tests/postgres/test_blobs.c - the contract of the blob store: what is put comes back, replacing, jobs and clusters,
 * streams, lists, removing, the fence, blobs with a graph, an ordinary role's rights.
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
        pgk_blob_source source = {.size = sizeof(source),
                                  .read = stream_give,
                                  .user = &in,
                                  .progress = stream_tell,
                                  .progress_user = &in};
        pgk_blob_target target = {.size = sizeof(target),
                                  .write = stream_take,
                                  .user = &out,
                                  .progress = stream_tell,
                                  .progress_user = &out};
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
        pgk_blob_source source = {.size = sizeof(source), .read = stream_give, .user = &in};
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
    pgk_blob_target target = {.size = sizeof(target), .write = stream_take, .user = &out};
    STORE_FAILS(PGK_ERR_CONNECTION, &err, pgk_blobs_get(yard.blobs, NULL, &key, &target, &err));
    assert_true(out.right);
    assert_in_range(out.at, MIB, 2 * MIB);
    blob_yard_close(&yard);
}

/* ------------------------------------------------------------------ lists and removing */

static void test_blobs__lists__are_in_order_and_of_what_was_asked_for(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    blob_yard_open(&yard, *state);
    for (unsigned i = 0; i < 4; i++) {
        put_pattern(yard.blobs, &one, 10, i, &key);
        if (i % 2 == 0) { /* the same hash, transient */
            unsigned char *data = pattern_new(10, i);
            key.type = PGK_BLOB_TRANSIENT;
            STORE_WORKS(&err, pgk_blobs_put_buffer(yard.blobs, &one, &key, data, 10, &err));
            free(data);
        }
    }
    put_pattern(yard.blobs, &two, 20, 8, &key);
    put_pattern(yard.blobs, NULL, 30, 9, &key);
    struct blobs_seen seen = {0};
    STORE_WORKS(&err, pgk_blobs_list(yard.blobs, &one, blob_see, &seen, &err));
    assert_int_equal(seen.count, 6);
    for (int i = 1; i < seen.count; i++) {
        assert_true(pgk_blob_key_compare(&seen.blobs[i - 1].key, &seen.blobs[i].key) < 0);
        assert_memory_equal(&seen.blobs[i].job_id, &one, sizeof(one));
    }
    seen = (struct blobs_seen){0};
    STORE_WORKS(&err, pgk_blobs_list(yard.blobs, NULL, blob_see, &seen, &err));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.blobs[0].bytes, 30);
    assert_false(seen.blobs[0].has_job);
    seen = (struct blobs_seen){0};
    STORE_WORKS(&err, pgk_blobs_list_all(yard.blobs, blob_see, &seen, &err));
    assert_int_equal(seen.count, 8);
    assert_false(seen.blobs[0].has_job);
    assert_memory_equal(&seen.blobs[7].job_id, &two, sizeof(two));
    seen = (struct blobs_seen){.answer = PGK_ERR_NOT_FOUND};
    STORE_FAILS(PGK_ERR_NOT_FOUND, &err, pgk_blobs_list_all(yard.blobs, blob_see, &seen, &err));
    assert_int_equal(seen.count, 1);
    blob_yard_close(&yard);
}

static void test_blobs__delete_all__takes_one_job_and_its_bytes(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    int64_t removed = -1;
    struct blobs_seen seen = {0};
    blob_yard_open(&yard, *state);
    put_pattern(yard.blobs, &two, 20, 1, &key);
    put_pattern(yard.blobs, NULL, 20, 1, &key);
    /* More than one batch of them. */
    db_exec(
        yard.fixture,
        "SET search_path = pgkeeper, public; SELECT blob_store(NULL, NULL, '" FIXTURE_CLUSTER
        "', " SQL_JOB(1) ", 'p-' || repeat('0', 40) || '-' || lpad(i::text, 32, '0'),"
                         " gen_random_uuid(), 'x', decode(repeat('00', 20), 'hex'), sha256('x'))"
                         " FROM generate_series(1, 1100) i");
    assert_int_equal(objects_count(yard.fixture), 1102);
    STORE_WORKS(&err, pgk_blobs_delete_all(yard.blobs, &one, &removed, &err));
    assert_int_equal(removed, 1100);
    assert_int_equal(objects_count(yard.fixture), 2);
    STORE_WORKS(&err, pgk_blobs_delete_all(yard.blobs, &one, &removed, &err));
    assert_int_equal(removed, 0);
    STORE_WORKS(&err, pgk_blobs_delete_all(yard.blobs, NULL, NULL, &err));
    STORE_WORKS(&err, pgk_blobs_list_all(yard.blobs, blob_see, &seen, &err));
    assert_int_equal(seen.count, 1);
    assert_memory_equal(&seen.blobs[0].job_id, &two, sizeof(two));
    assert_int_equal(orphans_count(yard.fixture), 0);
    blob_yard_close(&yard);
}

static void test_blobs__row_deleted_or_changed_by_hand__takes_its_object_along(void **state)
{
    struct blob_yard yard;
    pgk_blob_key key;
    pgk_uuid one = job_of(1);
    blob_yard_open(&yard, *state);
    put_pattern(yard.blobs, &one, 3 * MIB, 1, &key);
    put_pattern(yard.blobs, &one, 30, 2, &key);
    db_exec(yard.fixture, "DELETE FROM pgkeeper.blob WHERE size = 30");
    assert_int_equal(objects_count(yard.fixture), 1);
    /* To an object of the same owner: those of others stay, see tests/cli/roles.sh. */
    db_exec(yard.fixture, "DO $$ DECLARE other oid := lo_from_bytea(0, 'other'); BEGIN"
                          " EXECUTE format('ALTER LARGE OBJECT %%s OWNER TO %%I', other,"
                          " (SELECT tableowner FROM pg_tables WHERE tablename = 'blob'));"
                          " UPDATE pgkeeper.blob SET loid = other; END $$");
    assert_int_equal(objects_count(yard.fixture), 1);
    assert_int_equal(orphans_count(yard.fixture), 0);
    db_exec(yard.fixture, "DELETE FROM pgkeeper.blob");
    assert_int_equal(objects_count(yard.fixture), 0);
    assert_string_equal(db_try(yard.fixture, "TRUNCATE pgkeeper.blob"), "0A000");
    assert_int_equal(db_int(yard.fixture, "SELECT count(*) FROM pgkeeper.event WHERE by_hand"
                                          " AND act IN ('delete blob', 'update blob')"),
                     3);
    blob_yard_close(&yard);
}

static void test_blobs__clean_up__takes_blobs_of_the_job_and_of_the_cluster(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    int64_t removed;
    blob_yard_open(&yard, *state);
    put_pattern(yard.blobs, &one, 3 * MIB, 1, &key);
    put_pattern(yard.blobs, &one, 30, 2, &key);
    put_pattern(yard.blobs, &two, 30, 2, &key);
    put_pattern(yard.blobs, NULL, 30, 3, &key);
    STORE_WORKS(&err, pgk_ha_cleanup_job(yard.ha, PGK_UNFENCED, &one, NULL, &err));
    assert_int_equal(objects_count(yard.fixture), 2);
    assert_int_equal(orphans_count(yard.fixture), 0);
    pgk_ha *meadow = handle_open(yard.fixture, "b", "high-availability.cluster-id", "meadow", NULL);
    STORE_WORKS(&err, pgk_ha_cleanup_all(meadow, PGK_UNFENCED, &removed, &err));
    assert_int_equal(objects_count(yard.fixture), 2);
    handle_close(meadow);
    STORE_WORKS(&err, pgk_ha_cleanup_all(yard.ha, PGK_UNFENCED, &removed, &err));
    assert_int_equal(objects_count(yard.fixture), 0);
    assert_int_equal(loose_count(yard.fixture), 0);
    blob_yard_close(&yard);
}

/* ------------------------------------------------------------------ the fence */

static void test_blobs__a_leader_of_the_past__changes_nothing(void **state)
{
    struct blob_yard yard;
    struct chief chief;
    pgk_error err;
    pgk_blob_key key;
    pgk_blobs *blobs;
    pgk_uuid one = job_of(1);
    unsigned char *data = pattern_new(20 * MIB, 5);
    blob_yard_open(&yard, *state);
    chief_open(&chief, yard.fixture);
    STORE_WORKS(&err, pgk_ha_blobs(chief.ha, &chief.token, &blobs, &err));
    put_pattern(blobs, &one, 3 * MIB, 1, &key);
    assert_true(db_int(yard.fixture, "SELECT epoch FROM pgkeeper.blob") > 0);
    put_pattern(blobs, &one, 30, 2, &key);
    chief_depose(&chief, yard.fixture);
    STORE_FAILS(PGK_ERR_FENCED, &err,
                pgk_blobs_put_buffer(blobs, &one, &key, data, 20 * MIB, &err));
    STORE_FAILS(PGK_ERR_FENCED, &err, pgk_blobs_put_buffer(blobs, &one, &key, data, 10, &err));
    STORE_FAILS(PGK_ERR_FENCED, &err, pgk_blobs_delete(blobs, &one, &key, &err));
    STORE_FAILS(PGK_ERR_FENCED, &err, pgk_blobs_delete_all(blobs, &one, NULL, &err));
    /* Reading needs no leadership. */
    STORE_WORKS(&err, pgk_blobs_verify(blobs, &one, &key, NULL, NULL, &err));
    assert_int_equal(objects_count(yard.fixture), 2);
    assert_int_equal(orphans_count(yard.fixture), 0);
    free(data);
    pgk_blobs_free(blobs);
    chief_close(&chief);
    blob_yard_close(&yard);
}

/* Deposes the chief when some of the bytes have been sent. */
struct deposing {
    struct chief *chief;
    struct fixture *fixture;
    bool done;
};

static pgk_status depose(void *user, int64_t done, int64_t total)
{
    struct deposing *deposing = user;
    (void)total;
    if (!deposing->done && done >= (int64_t)(2 * MIB)) {
        deposing->done = true;
        chief_depose(deposing->chief, deposing->fixture);
    }
    return PGK_OK;
}

static void test_blobs__deposed_while_it_sends__is_fenced_and_holds_nobody_up(void **state)
{
    struct blob_yard yard;
    struct chief chief;
    pgk_error err;
    pgk_blob_key key;
    pgk_blobs *blobs;
    unsigned char *data = pattern_new(40 * MIB, 5);
    blob_yard_open(&yard, *state);
    chief_open(&chief, yard.fixture);
    STORE_WORKS(&err, pgk_ha_blobs(chief.ha, &chief.token, &blobs, &err));
    struct deposing deposing = {.chief = &chief, .fixture = yard.fixture};
    pgk_blob_source source = {.size = sizeof(source),
                              .data = data,
                              .data_bytes = 40 * MIB,
                              .progress = depose,
                              .progress_user = &deposing};
    STORE_FAILS(PGK_ERR_FENCED, &err,
                pgk_blobs_add(blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &err));
    assert_true(deposing.done);
    db_wait(yard.fixture, "0", WAIT_LONG_MS,
            "SELECT count(*) FROM pgkeeper.blob_sweep(), pgkeeper.blob_loose");
    assert_int_equal(objects_count(yard.fixture), 0);
    free(data);
    pgk_blobs_free(blobs);
    chief_close(&chief);
    blob_yard_close(&yard);
}

/* ------------------------------------------------------------------ with a graph */

static void test_blobs__with_a_graph__are_stored_with_it_or_not_at_all(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_job_graphs *graphs;
    pgk_job_graphs *others;
    pgk_uuid one = job_of(1);
    unsigned char *data = pattern_new(20 * MIB, 5);
    pgk_blob_entry entries[3];
    blob_yard_open(&yard, *state);
    memset(entries, 0, sizeof(entries));
    const char *in = yard_path(&yard, "in");
    pattern_file(in, 2 * MIB, 7);
    for (int i = 0; i < 3; i++) {
        entries[i].source.size = sizeof(entries[i].source);
        if (i == 2) {
            entries[i].source.path = in;
            STORE_WORKS(&err, pgk_blob_key_new_file(PGK_BLOB_PERMANENT, in, &entries[i].key, &err));
        } else {
            entries[i].source.data = data;
            entries[i].source.data_bytes = i == 0 ? 100 : 20 * MIB;
            STORE_WORKS(&err, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, data,
                                                      entries[i].source.data_bytes, &entries[i].key,
                                                      &err));
        }
    }
    STORE_WORKS(&err, pgk_ha_job_graphs(yard.ha, PGK_UNFENCED, &graphs, &err));
    STORE_WORKS(&err, pgk_ha_job_graphs(yard.ha, PGK_UNFENCED, &others, &err));
    STORE_WORKS(&err, pgk_job_graphs_start(graphs, NULL, &err));
    STORE_WORKS(&err, pgk_job_graphs_start(others, NULL, &err));
    STORE_WORKS(&err, pgk_job_graphs_put_with_blobs(graphs, &one, "graph", 5, entries, 3, &err));
    for (int i = 0; i < 3; i++) {
        STORE_WORKS(&err, pgk_blobs_verify(yard.blobs, &one, &entries[i].key, NULL, NULL, &err));
    }
    assert_int_equal(objects_count(yard.fixture), 3);
    /* Owned: replaced, all of it. */
    STORE_WORKS(&err, pgk_job_graphs_put_with_blobs(graphs, &one, "graph2", 6, entries, 3, &err));
    assert_int_equal(objects_count(yard.fixture), 3);
    assert_int_equal(db_int(yard.fixture, "SELECT version FROM pgkeeper.job_graph"), 2);
    const char *before = db_text(
        yard.fixture, "SELECT md5(string_agg(b::text, '#' ORDER BY loid)) FROM pgkeeper.blob b");
    char kept[64];
    snprintf(kept, sizeof(kept), "%s", before);
    /* Not owned: nothing of it. */
    STORE_FAILS(PGK_ERR_ALREADY_EXISTS, &err,
                pgk_job_graphs_put_with_blobs(others, &one, "other", 5, entries, 3, &err));
    entries[2].source.path = yard_path(&yard, "missing");
    STORE_FAILS(PGK_ERR_IO, &err,
                pgk_job_graphs_put_with_blobs(graphs, &one, "other", 5, entries, 3, &err));
    entries[2].key = entries[0].key;
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                pgk_job_graphs_put_with_blobs(graphs, &one, "other", 5, entries, 3, &err));
    assert_string_equal(
        db_text(yard.fixture, "SELECT convert_from(graph, 'UTF8') FROM pgkeeper.job_graph"),
        "graph2");
    assert_string_equal(
        db_text(yard.fixture,
                "SELECT md5(string_agg(b::text, '#' ORDER BY loid)) FROM pgkeeper.blob b"),
        kept);
    /* The store goes on from what it put. */
    STORE_WORKS(&err, pgk_job_graphs_put(graphs, &one, "graph3", 6, &err));
    STORE_WORKS(&err, pgk_job_graphs_put_with_blobs(graphs, &one, "graph4", 6, NULL, 0, &err));
    assert_int_equal(loose_count(yard.fixture), 0);
    assert_int_equal(orphans_count(yard.fixture), 0);
    free(data);
    pgk_job_graphs_free(graphs);
    pgk_job_graphs_free(others);
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
        DB_TEST(test_blobs__lists__are_in_order_and_of_what_was_asked_for),
        DB_TEST(test_blobs__delete_all__takes_one_job_and_its_bytes),
        DB_TEST(test_blobs__row_deleted_or_changed_by_hand__takes_its_object_along),
        DB_TEST(test_blobs__clean_up__takes_blobs_of_the_job_and_of_the_cluster),
        DB_TEST(test_blobs__a_leader_of_the_past__changes_nothing),
        DB_TEST(test_blobs__deposed_while_it_sends__is_fenced_and_holds_nobody_up),
        DB_TEST(test_blobs__with_a_graph__are_stored_with_it_or_not_at_all),
        DB_TEST(test_blobs__bad_arguments_and_a_closed_handle__are_refused),
        DB_TEST(test_blobs__the_application_role__needs_its_functions_only),
    };
    return cmocka_run_group_tests_name("blobs", tests, fixture_group_setup, fixture_group_teardown);
}
