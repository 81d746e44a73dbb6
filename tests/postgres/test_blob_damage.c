/*
 * tests/postgres/test_blob_damage.c - objects that were changed, cut, lengthened or removed past the library, rows whose
 * digests were changed; orphans, found and removed.
 */
#include <stdlib.h>

#include "blob_tools.h"

static const struct damage {
    const char *how;
    const char *statement; /* on blob b */
    const char *reason;
} damages[] = {
    {"a page", "SELECT lo_put(b.loid, b.size / 2, 'other') FROM pgkeeper.blob b", "SHA-256"},
    {"one byte at the end", "SELECT lo_put(b.loid, b.size - 1, '\\x00') FROM pgkeeper.blob b",
     "SHA-256"},
    {"a page that is missing",
     "DELETE FROM pg_largeobject o USING pgkeeper.blob b WHERE o.loid = b.loid AND o.pageno = 3",
     "SHA-256"},
    {"cut",
     "SELECT lo_truncate(lo_open(b.loid, 131072), (b.size / 2)::integer) FROM pgkeeper.blob b",
     "only"},
    {"cut by a byte",
     "SELECT lo_truncate(lo_open(b.loid, 131072), (b.size - 1)::integer) FROM pgkeeper.blob b",
     "only"},
    {"emptied", "SELECT lo_truncate(lo_open(b.loid, 131072), 0) FROM pgkeeper.blob b", "only"},
    {"lengthened", "SELECT lo_put(b.loid, b.size, 'x') FROM pgkeeper.blob b", "more than"},
    {"removed", "SELECT lo_unlink(b.loid) FROM pgkeeper.blob b", "is missing"},
    {"another SHA-256", "UPDATE pgkeeper.blob SET sha256 = sha256('x')", "SHA-256"},
    {"other bytes with their SHA-256",
     "WITH p AS MATERIALIZED (SELECT lo_put(b.loid, 0, 'other') FROM pgkeeper.blob b)"
     " UPDATE pgkeeper.blob b SET sha256 = (SELECT sha256('other'::bytea ||"
     " substr(lo_get(b.loid), 6)) FROM p)",
     "SHA-1"},
};

static void test_blob_damage__whatever_it_is__is_told_and_the_target_stays(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    char text[PGK_BLOB_KEY_TEXT_SIZE];
    static const size_t sizes[] = {9000, 5 * MIB};
    blob_yard_open(&yard, *state);
    const char *out = yard_path(&yard, "out");
    pattern_file(out, 77, 2);
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        for (size_t j = 0; j < 2; j++) {
            put_pattern(yard.blobs, NULL, sizes[j], 1, &key);
            pgk_blob_key_format(&key, text);
            db_exec(yard.fixture, "%s", damages[i].statement);
            pgk_status status = pgk_blobs_get_file(yard.blobs, NULL, &key, out, &err);
            if (status != PGK_ERR_CORRUPT || strstr(err.message, damages[i].reason) == NULL ||
                strstr(err.message, text) == NULL) {
                fail_msg("%s: %s: %s", damages[i].how, pgk_status_name(status), err.message);
            }
            assert_true(pattern_is(out, 77, 2));
            assert_int_equal(yard_files(&yard), 1);
            STORE_FAILS(PGK_ERR_CORRUPT, &err,
                        pgk_blobs_verify(yard.blobs, NULL, &key, NULL, NULL, &err));
            db_exec(yard.fixture, "DELETE FROM pgkeeper.blob"); /* also when its object is gone */
            assert_int_equal(objects_count(yard.fixture), 0);
        }
    }
    blob_yard_close(&yard);
}

struct verdicts {
    int count;
    int damaged;
    bool reasons;
};

static pgk_status judge(void *user, const pgk_blob *blob)
{
    struct verdicts *verdicts = user;
    verdicts->count++;
    verdicts->damaged += blob->status == PGK_ERR_CORRUPT;
    verdicts->reasons = verdicts->reasons && (blob->status == PGK_OK) == (blob->reason == NULL);
    return PGK_OK;
}

static void test_blob_damage__verify_all__reports_it_and_goes_on(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    pgk_uuid one = job_of(1);
    int64_t damaged = -1;
    struct verdicts verdicts = {.reasons = true};
    blob_yard_open(&yard, *state);
    for (unsigned i = 0; i < 6; i++) {
        put_pattern(yard.blobs, i < 4 ? &one : NULL, 1000 * (i + 1), i, &key);
    }
    db_exec(yard.fixture, "SELECT lo_unlink(loid) FROM pgkeeper.blob WHERE size = 1000");
    db_exec(yard.fixture, "SELECT lo_put(loid, 5, 'x') FROM pgkeeper.blob WHERE size = 3000");
    db_exec(yard.fixture, "SELECT lo_put(loid, 5, 'x') FROM pgkeeper.blob WHERE size = 6000");
    STORE_WORKS(&err,
                pgk_blobs_verify_all(yard.blobs, false, NULL, judge, &verdicts, &damaged, &err));
    assert_int_equal(damaged, 3);
    assert_int_equal(verdicts.damaged, 3);
    assert_int_equal(verdicts.count, 6);
    assert_true(verdicts.reasons);
    verdicts = (struct verdicts){.reasons = true};
    STORE_WORKS(&err,
                pgk_blobs_verify_all(yard.blobs, true, &one, judge, &verdicts, &damaged, &err));
    assert_int_equal(damaged, 2);
    assert_int_equal(verdicts.count, 4);
    blob_yard_close(&yard);
}

struct found {
    int count;
    int unfinished;
    int64_t bytes;
};

static pgk_status find(void *user, const pgk_orphan *orphan)
{
    struct found *found = user;
    found->count++;
    found->unfinished += orphan->unfinished;
    found->bytes += orphan->bytes;
    assert_true(orphan->unfinished == (orphan->created_ms > 0));
    return PGK_OK;
}

static void test_blob_damage__orphans__are_found_and_removed_and_no_other_object_is(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    struct found found = {0};
    int64_t removed = -1;
    blob_yard_open(&yard, *state);
    for (unsigned i = 0; i < 3; i++) {
        put_pattern(yard.blobs, NULL, 100, i, &key);
    }
    STORE_WORKS(&err, pgk_blobs_orphans(yard.blobs, find, &found, &err));
    assert_int_equal(found.count, 0);
    db_exec(yard.fixture, "SELECT lo_from_bytea(0, 'somebody else''s')");
    /* Rows that were lost past the triggers. */
    db_exec(yard.fixture,
            "SET session_replication_role = replica;"
            " DELETE FROM pgkeeper.blob WHERE loid <> (SELECT max(loid) FROM pgkeeper.blob);"
            " RESET session_replication_role");
    /* A put under way, and one whose session has gone. */
    PGconn *alive = db_connect(yard.fixture->conninfo);
    PGconn *dead = db_connect(yard.fixture->conninfo);
    static const char begin[] = "SET search_path = pgkeeper;"
                                " SELECT blob_begin(NULL, NULL, 'c', gen_random_uuid(), true)";
    PQclear(PQexec(alive, begin));
    PQclear(PQexec(dead, begin));
    PQfinish(dead);
    db_wait(yard.fixture, "3", WAIT_LONG_MS, "SELECT count(*) FROM pgkeeper.blob_orphans()");
    STORE_WORKS(&err, pgk_blobs_orphans(yard.blobs, find, &found, &err));
    assert_int_equal(found.count, 3);
    assert_int_equal(found.unfinished, 1);
    assert_int_equal(found.bytes, 200);
    STORE_WORKS(&err, pgk_blobs_remove_orphans(yard.blobs, &removed, &err));
    assert_int_equal(removed, 3);
    assert_int_equal(objects_count(yard.fixture),
                     3); /* a blob, one that is written, somebody else's */
    PQfinish(alive);
    db_wait(yard.fixture, "1", WAIT_LONG_MS, "SELECT count(*) FROM pgkeeper.blob_orphans()");
    /* The next that puts cleans up. */
    put_pattern(yard.blobs, NULL, 100, 8, &key);
    assert_int_equal(loose_count(yard.fixture), 0);
    assert_int_equal(objects_count(yard.fixture), 3);
    blob_yard_close(&yard);
}

/* Through a pooler the session holds no lock: age tells. */
static void test_blob_damage__a_put_through_a_pooler__is_abandoned_after_ten_minutes(void **state)
{
    struct fixture *fixture = *state;
    db_exec(fixture, "SET search_path = pgkeeper, public");
    db_exec(fixture, "SELECT blob_begin(NULL, NULL, 'c', " SQL_JOB(1) ", false)");
    assert_int_equal(db_int(fixture, "SELECT removed FROM blob_sweep()"), 0);
    db_exec(fixture, "UPDATE blob_loose SET touched_at = touched_at - interval '9 minutes'");
    assert_int_equal(db_int(fixture, "SELECT removed FROM blob_sweep()"), 0);
    db_exec(fixture, "SELECT blob_write(" SQL_JOB(1) ", 0, 'x')"); /* a sign of life */
    db_exec(fixture, "UPDATE blob_loose SET touched_at = touched_at - interval '9 minutes'");
    assert_int_equal(db_int(fixture, "SELECT removed FROM blob_sweep()"), 0);
    db_exec(fixture, "UPDATE blob_loose SET touched_at = touched_at - interval '2 minutes'");
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM blob_orphans()"), 1);
    assert_int_equal(db_int(fixture, "SELECT removed FROM blob_sweep()"), 1);
    assert_string_equal(db_try(fixture, "SELECT blob_write(" SQL_JOB(1) ", 0, 'x')"), "PK004");
    assert_int_equal(objects_count(fixture), 0);
}

/* Somebody who has locked the numbers to come keeps a put from nothing but going on: it does not wait for him. */
static void test_blob_damage__a_new_object_that_is_locked__is_refused_at_once(void **state)
{
    struct fixture *fixture = *state;
    PGconn *other = db_connect(fixture->conninfo);
    db_exec(fixture, "SET search_path = pgkeeper, public");
    db_exec(fixture, "SET lock_timeout = 0");
    db_exec(fixture, "SET statement_timeout = '10 s'");
    for (int bound = 0; bound < 2; bound++) {
        char lock[320];
        int64_t last = db_int(fixture, "SELECT lo_create(0)::bigint");
        /* OIDs are given out one after another. */
        snprintf(lock, sizeof(lock),
                 "SELECT pg_advisory_lock(pgkeeper.lock_class('pgkeeper.blob_loose'), "
                 "i::bit(32)::integer)"
                 " FROM generate_series(%lld::bigint, %lld::bigint) i",
                 (long long)last + 1, (long long)last + 50);
        PGresult *result = PQexec(other, lock);
        assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
        PQclear(result);
        assert_string_equal(db_try(fixture,
                                   "SELECT blob_begin(NULL, NULL, 'c', gen_random_uuid(), %s)",
                                   bound == 1 ? "true" : "false"),
                            "55P03");
        assert_int_equal(db_int(fixture, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                                         " AND pid = pg_backend_pid()"),
                         0);
        assert_int_equal(loose_count(fixture), 0);
        PQclear(PQexec(other, "SELECT pg_advisory_unlock_all()"));
    }
    PQfinish(other);
    db_exec(fixture, "SELECT blob_begin(NULL, NULL, 'c', gen_random_uuid(), true)");
    assert_int_equal(loose_count(fixture), 1);
    db_exec(fixture, "SELECT pg_advisory_unlock_all()");
    db_exec(fixture, "RESET ALL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_blob_damage__whatever_it_is__is_told_and_the_target_stays),
        DB_TEST(test_blob_damage__verify_all__reports_it_and_goes_on),
        DB_TEST(test_blob_damage__orphans__are_found_and_removed_and_no_other_object_is),
        DB_TEST(test_blob_damage__a_put_through_a_pooler__is_abandoned_after_ten_minutes),
        DB_TEST(test_blob_damage__a_new_object_that_is_locked__is_refused_at_once),
    };
    return cmocka_run_group_tests_name("blob_damage", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
