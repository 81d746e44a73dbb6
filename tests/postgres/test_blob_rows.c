/*
 * tests/postgres/test_blob_rows.c - the rows of the blob store, which take their objects along: lists, removing, by hand
 * too, clean-up, the fence, blobs with a graph.
 */
#include <stdio.h>
#include <stdlib.h>

#include "blob_callbacks.h"
#include "blob_tools.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_blobs__lists__are_in_order_and_of_what_was_asked_for),
        DB_TEST(test_blobs__delete_all__takes_one_job_and_its_bytes),
        DB_TEST(test_blobs__row_deleted_or_changed_by_hand__takes_its_object_along),
        DB_TEST(test_blobs__clean_up__takes_blobs_of_the_job_and_of_the_cluster),
        DB_TEST(test_blobs__a_leader_of_the_past__changes_nothing),
        DB_TEST(test_blobs__deposed_while_it_sends__is_fenced_and_holds_nobody_up),
        DB_TEST(test_blobs__with_a_graph__are_stored_with_it_or_not_at_all),
    };
    return cmocka_run_group_tests_name("blob_rows", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
