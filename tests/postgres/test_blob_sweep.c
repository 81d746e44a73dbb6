/*
 * tests/postgres/test_blob_sweep.c - unlinking a loose object that takes longer than a statement may: in steps, after the
 * small ones, and no put waits for it.
 */
#include "blob_tools.h"
#include "core/clock.h"

#define LARGE_MIB 128
#define PUTS 4

/* An object without a blob that has the lowest OID. Answers how long the server takes to unlink it all, in ms. */
static int large_object(struct fixture *fixture)
{
    db_exec(fixture,
            "SELECT lo_create(1000);"
            " DO $$ DECLARE piece bytea := (SELECT string_agg(sha512(i::text::bytea), '')"
            " FROM generate_series(1, 16384) i); BEGIN FOR i IN 0..%d LOOP"
            " PERFORM lo_put(1000, i * 1048576, piece); END LOOP; END $$",
            LARGE_MIB - 1);
    int64_t begun = clock_now_ns();
    db_exec(fixture, "BEGIN; SELECT lo_unlink(1000); ROLLBACK");
    return (int)((clock_now_ns() - begun) / NS_PER_MS);
}

/* As those are that the blob store makes. */
static void own_objects(struct fixture *fixture)
{
    db_exec(fixture,
            "DO $$ DECLARE object oid; BEGIN FOR object IN SELECT oid FROM pg_largeobject_metadata"
            " LOOP EXECUTE format('ALTER LARGE OBJECT %%s OWNER TO %%s', object,"
            " (SELECT relowner::regrole FROM pg_class WHERE oid = 'pgkeeper.blob'::regclass));"
            " END LOOP; END $$");
}

static void loose_objects(struct fixture *fixture)
{
    db_exec(fixture, "INSERT INTO pgkeeper.blob_loose (loid, cluster_id, state)"
                     " VALUES (1000, 'c', 'removed'), (lo_from_bytea(0, 'x'), 'c', 'removed')");
    own_objects(fixture);
}

static pgk_ha *hasty_handle(struct fixture *fixture, int unlink_ms)
{
    char timeout[32];
    snprintf(timeout, sizeof(timeout), "%d ms", unlink_ms / 2);
    return handle_open(fixture, "hasty", "high-availability.postgres.statement-timeout", timeout,
                       NULL);
}

/* Milliseconds of the quickest of some puts, each of which sees a loose object. */
static int64_t quickest_put(struct fixture *fixture, pgk_blobs *blobs)
{
    pgk_blob_key key;
    int64_t least = INT64_MAX;
    for (unsigned i = 0; i < PUTS; i++) {
        assert_int_equal(loose_count(fixture) > 0, true);
        int64_t begun = clock_now_ns();
        put_pattern(blobs, NULL, 1, i, &key);
        int64_t took = clock_now_ns() - begun;
        least = took < least ? took : least;
    }
    return least / NS_PER_MS;
}

static void test_blob_sweep__larger_than_a_statement__goes_in_steps(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    pgk_blobs *blobs;
    int64_t removed = 0;
    int unlink_ms = large_object(fixture);
    loose_objects(fixture);
    pgk_ha *ha = hasty_handle(fixture, unlink_ms);
    STORE_WORKS(&err, pgk_ha_blobs(ha, PGK_UNFENCED, &blobs, &err));
    int64_t put_ms = quickest_put(fixture, blobs);
    print_message("unlinked in %d ms, put in %d ms\n", unlink_ms, (int)put_ms);
    assert_true(put_ms < unlink_ms / 4);
    assert_int_equal(loose_count(fixture), 1); /* the small one has gone */
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.blob_loose WHERE size < %d",
                            LARGE_MIB * (int)MIB),
                     1);
    STORE_WORKS(&err, pgk_blobs_remove_orphans(blobs, &removed, &err));
    assert_int_equal(removed, 1);
    assert_int_equal(loose_count(fixture), 0);
    assert_int_equal(orphans_count(fixture), 0);
    pgk_blobs_free(blobs);
    handle_close(ha);
}

/* Its row was lost: it gets one, and goes likewise. */
static void test_blob_sweep__large_and_without_a_row__goes_in_steps(void **state)
{
    struct fixture *fixture = *state;
    pgk_error err;
    pgk_blobs *blobs;
    int64_t removed = 0;
    int unlink_ms = large_object(fixture);
    db_exec(fixture, "COMMENT ON LARGE OBJECT 1000 IS 'pgkeeper blob, schema pgkeeper'");
    own_objects(fixture);
    pgk_ha *ha = hasty_handle(fixture, unlink_ms);
    STORE_WORKS(&err, pgk_ha_blobs(ha, PGK_UNFENCED, &blobs, &err));
    STORE_WORKS(&err, pgk_blobs_remove_orphans(blobs, &removed, &err));
    assert_int_equal(removed, 1);
    assert_int_equal(objects_count(fixture), 0);
    pgk_blobs_free(blobs);
    handle_close(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_blob_sweep__larger_than_a_statement__goes_in_steps),
        DB_TEST(test_blob_sweep__large_and_without_a_row__goes_in_steps),
    };
    return cmocka_run_group_tests_name("blob_sweep", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
