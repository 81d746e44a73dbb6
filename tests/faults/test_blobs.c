/*
 * tests/faults/test_blobs.c - the blob store while others put, get and remove at the same time, on sessions that break, with
 * answers that are lost; and what it costs others: VACUUM, memory.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "blob_tools.h"
#include "proxy.h"
#include "resident.h"

#ifdef PGK_TEST_SANITIZED
#define RACE_ROUNDS 4
#else
#define RACE_ROUNDS 8
#endif

/* ------------------------------------------------------------------ at the same time */

/* Several at one key; each thing they do in a thread of its own. */
struct racer {
    pthread_t thread;
    struct blob_yard *yard;
    const pgk_blob_key *key;
    const pgk_uuid *job;
    const unsigned char *data;
    size_t bytes;
    unsigned seed;
    char path[128];
    pgk_status status;
    pgk_error err;
};

static void *put_one(void *arg)
{
    struct racer *r = arg;
    r->status = pgk_blobs_put_buffer(r->yard->blobs, r->job, r->key, r->data, r->bytes, &r->err);
    return NULL;
}

static void *get_one(void *arg)
{
    struct racer *r = arg;
    r->status = pgk_blobs_get_file(r->yard->blobs, r->job, r->key, r->path, &r->err);
    return NULL;
}

static void *delete_one(void *arg)
{
    struct racer *r = arg;
    r->status = pgk_blobs_delete(r->yard->blobs, r->job, r->key, &r->err);
    return NULL;
}

static void *delete_job(void *arg)
{
    struct racer *r = arg;
    r->status = pgk_blobs_delete_all(r->yard->blobs, r->job, NULL, &r->err);
    return NULL;
}

#define RACERS 4

struct race {
    struct blob_yard yard;
    pgk_uuid job;
    pgk_blob_key key;
    unsigned char *data;
    struct racer racers[RACERS];
};

static void race_open(struct race *race, void **state, size_t bytes)
{
    memset(race, 0, sizeof(*race));
    blob_yard_open(&race->yard, *state);
    race->job = job_of(1);
    race->data = pattern_new(bytes, 1);
    assert_int_equal(
        pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, race->data, bytes, &race->key, NULL), PGK_OK);
    for (int i = 0; i < RACERS; i++) {
        struct racer *r = &race->racers[i];
        r->yard = &race->yard;
        r->key = &race->key;
        r->job = &race->job;
        r->data = race->data;
        r->bytes = bytes;
        snprintf(r->path, sizeof(r->path), "%s/got-%d", race->yard.dir, i);
    }
}

static void race_run(struct race *race, void *(*const fns[RACERS])(void *))
{
    for (int i = 0; i < RACERS; i++) {
        unlink(race->racers[i].path);
        assert_int_equal(pthread_create(&race->racers[i].thread, NULL, fns[i], &race->racers[i]),
                         0);
    }
    for (int i = 0; i < RACERS; i++) {
        pthread_join(race->racers[i].thread, NULL);
    }
}

/* Every act worked, or found nothing; what was got is whole; what is there is whole; nothing is left. */
static void race_check(struct race *race)
{
    pgk_error err;
    for (int i = 0; i < RACERS; i++) {
        const struct racer *r = &race->racers[i];
        if (r->status != PGK_OK && r->status != PGK_ERR_NOT_FOUND) {
            fail_msg("%d: %s: %s", i, pgk_status_name(r->status), r->err.message);
        }
        if (access(r->path, F_OK) == 0) {
            assert_int_equal(r->status, PGK_OK);
            assert_true(pattern_is(r->path, r->bytes, 1));
        }
    }
    pgk_status status =
        pgk_blobs_verify(race->yard.blobs, &race->job, &race->key, NULL, NULL, &err);
    assert_true(status == PGK_OK || status == PGK_ERR_NOT_FOUND);
    assert_int_equal(objects_count(race->yard.fixture), status == PGK_OK);
    assert_int_equal(orphans_count(race->yard.fixture), 0);
    assert_int_equal(loose_count(race->yard.fixture), 0);
}

static void race_close(struct race *race)
{
    free(race->data);
    blob_yard_close(&race->yard);
}

static void race_all(void **state, void *(*const fns[RACERS])(void *))
{
    static const size_t sizes[] = {100, MIB / 2, 3 * MIB};
    for (int i = 0; i < 3; i++) {
        struct race race;
        race_open(&race, state, sizes[i]);
        for (int round = 0; round < RACE_ROUNDS; round++) {
            race_run(&race, fns);
            race_check(&race);
        }
        race_close(&race);
        db_exec(*state, "DELETE FROM pgkeeper.blob");
    }
}

static void test_blobs__puts_of_one_key__one_of_them_stays(void **state)
{
    static void *(*const fns[RACERS])(void *) = {put_one, put_one, put_one, put_one};
    race_all(state, fns);
}

static void test_blobs__get_while_it_is_replaced_and_deleted__is_whole_or_not_there(void **state)
{
    static void *(*const fns[RACERS])(void *) = {put_one, get_one, get_one, delete_one};
    race_all(state, fns);
}

static void test_blobs__delete_all_while_it_is_put__one_of_the_two_orders(void **state)
{
    static void *(*const fns[RACERS])(void *) = {put_one, delete_job, delete_job, put_one};
    race_all(state, fns);
}

/* A get that meets a replacement half way begins anew, and one that meets the end says so. */
struct halfway {
    struct blob_yard *yard;
    const pgk_blob_key *key;
    bool deletes;
    int tellings;
};

static pgk_status halfway(void *user, int64_t done, int64_t total)
{
    struct halfway *h = user;
    pgk_error err;
    if (h->tellings++ == 0) {
        assert_true(done < total);
        if (h->deletes) {
            STORE_WORKS(&err, pgk_blobs_delete(h->yard->blobs, NULL, h->key, &err));
        } else {
            unsigned char *data = pattern_new(20 * MIB, 4);
            STORE_WORKS(&err,
                        pgk_blobs_put_buffer(h->yard->blobs, NULL, h->key, data, 20 * MIB, &err));
            free(data);
        }
    }
    return PGK_OK;
}

static pgk_status drop(void *user, const void *data, size_t bytes)
{
    (void)user;
    (void)data;
    (void)bytes;
    return PGK_OK;
}

static void test_blobs__replaced_half_way__a_file_begins_anew_and_a_stream_says_so(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    blob_yard_open(&yard, *state);
    put_pattern(yard.blobs, NULL, 20 * MIB, 4, &key);
    struct halfway h = {.yard = &yard, .key = &key};
    pgk_blob_target target = {.size = sizeof(target),
                              .path = yard_path(&yard, "out"),
                              .progress = halfway,
                              .progress_user = &h};
    STORE_WORKS(&err, pgk_blobs_get(yard.blobs, NULL, &key, &target, &err));
    assert_true(h.tellings > 20);
    assert_true(pattern_is(target.path, 20 * MIB, 4));
    h.tellings = 0;
    target.path = NULL;
    target.write = drop;
    STORE_FAILS(PGK_ERR_CONFLICT, &err, pgk_blobs_get(yard.blobs, NULL, &key, &target, &err));
    h.tellings = 0;
    h.deletes = true;
    target.write = NULL;
    target.path = yard_path(&yard, "other");
    STORE_FAILS(PGK_ERR_NOT_FOUND, &err, pgk_blobs_get(yard.blobs, NULL, &key, &target, &err));
    assert_int_equal(yard_files(&yard), 1);
    assert_int_equal(objects_count(yard.fixture), 0);
    blob_yard_close(&yard);
}

/* ------------------------------------------------------------------ sessions that break */

/* Ends the session that sends, once, when half of the bytes are there. */
struct breaking {
    struct fixture *fixture;
    int times;
};

static pgk_status break_session(void *user, int64_t done, int64_t total)
{
    struct breaking *b = user;
    (void)total;
    if (b->times > 0 && done >= (int64_t)(2 * MIB)) {
        b->times--;
        db_exec(b->fixture, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                            " WHERE application_name LIKE 'pgkeeper:%%:work:%%'");
    }
    return PGK_OK;
}

static pgk_status give_much(void *user, void *buffer, size_t capacity, size_t *ret_bytes)
{
    size_t *at = user;
    size_t bytes = 30 * MIB - *at < capacity ? 30 * MIB - *at : capacity;
    pattern_fill(buffer, bytes, *at, 6);
    *at += bytes;
    *ret_bytes = bytes;
    return PGK_OK;
}

static void
test_blobs__session_ended_half_way__memory_is_sent_anew_and_a_stream_is_not(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    size_t at = 0;
    unsigned char *data = pattern_new(30 * MIB, 6);
    blob_yard_open(&yard, *state);
    struct breaking breaking = {.fixture = yard.fixture, .times = 1};
    pgk_blob_source source = {.size = sizeof(source),
                              .data = data,
                              .data_bytes = 30 * MIB,
                              .progress = break_session,
                              .progress_user = &breaking};
    STORE_WORKS(&err, pgk_blobs_add(yard.blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &err));
    assert_int_equal(breaking.times, 0);
    const char *out = yard_path(&yard, "out");
    breaking.times = 1;
    pgk_blob_target target = {
        .size = sizeof(target), .path = out, .progress = break_session, .progress_user = &breaking};
    STORE_WORKS(&err, pgk_blobs_get(yard.blobs, NULL, &key, &target, &err));
    assert_int_equal(breaking.times, 0);
    assert_true(pattern_is(out, 30 * MIB, 6));
    breaking.times = 1;
    source.data = NULL;
    source.data_bytes = 0;
    source.read = give_much;
    source.user = &at;
    STORE_FAILS(PGK_ERR_CONNECTION, &err,
                pgk_blobs_add(yard.blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &err));
    yard_swept(&yard);
    assert_int_equal(objects_count(yard.fixture), 1);
    free(data);
    blob_yard_close(&yard);
}

static void test_blobs__a_part_that_fails__is_not_covered_up_by_the_rest(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    /* The end of the first part fails; what comes after it has been sent before that is known. */
    unsigned char *data = pattern_new(17 * MIB, 6);
    blob_yard_open(&yard, *state);
    db_exec(yard.fixture,
            "CREATE OR REPLACE FUNCTION pgkeeper.blob_write(op_id uuid, at bigint, piece bytea)"
            " RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pgkeeper, pg_temp"
            " AS $$ DECLARE loose blob_loose := blob_writing(op_id); BEGIN"
            " IF at = 16 * 1048576 - 65536 THEN PERFORM pg_sleep(0.1); RAISE EXCEPTION 'no such "
            "luck' USING ERRCODE = 'XX000'; END IF;"
            " PERFORM lo_put(loose.loid, at, piece); RETURN true; END $$");
    pgk_blob_source source = {.size = sizeof(source), .data = data, .data_bytes = 16 * MIB + 70000};
    STORE_FAILS(PGK_ERR_DATABASE, &err,
                pgk_blobs_add(yard.blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &err));
    assert_non_null(strstr(err.message, "no such luck"));
    yard_swept(&yard);
    assert_int_equal(objects_count(yard.fixture), 0);
    free(data);
    blob_yard_close(&yard);
}

/* ------------------------------------------------------------------ lost answers */

/* Commits of blobs wait for a lock of the test's. */
static void hold_commits(struct fixture *fixture)
{
    db_exec(fixture,
            "CREATE FUNCTION public.wait_for_test() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END $$;"
            "CREATE CONSTRAINT TRIGGER wait_for_test AFTER INSERT ON pgkeeper.blob"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.wait_for_test()");
    db_exec(fixture, "SELECT pg_advisory_lock(42)");
}

static void wait_for_commit(struct fixture *fixture)
{
    db_wait(
        fixture, "1", WAIT_LONG_MS,
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted");
}

struct lost {
    struct blob_yard yard;
    struct proxy *proxy;
    pgk_ha *ha;
    struct blob_yard far; /* the same through a proxy */
    pgk_blob_key key;
    unsigned char *data;
    struct racer racer;
};

static void lost_begin(struct lost *lost, void **state, size_t bytes)
{
    char conninfo[PGSERVER_CONNINFO_SIZE];
    pgk_error err;
    memset(lost, 0, sizeof(*lost));
    blob_yard_open(&lost->yard, *state);
    struct fixture *fixture = lost->yard.fixture;
    lost->proxy = fixture_proxy(fixture, conninfo, sizeof(conninfo));
    lost->ha = handle_open_client(fixture, "far", "high-availability.postgres.uri", conninfo,
                                  "high-availability.postgres.statement-timeout", "3 s", NULL);
    STORE_WORKS(&err, pgk_ha_blobs(lost->ha, PGK_UNFENCED, &lost->far.blobs, &err));
    lost->data = pattern_new(bytes, 1);
    assert_int_equal(
        pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, lost->data, bytes, &lost->key, NULL), PGK_OK);
    hold_commits(fixture);
    lost->racer =
        (struct racer){.yard = &lost->far, .key = &lost->key, .data = lost->data, .bytes = bytes};
    assert_int_equal(pthread_create(&lost->racer.thread, NULL, put_one, &lost->racer), 0);
    wait_for_commit(fixture);
}

static void lost_end(struct lost *lost)
{
    pgk_error err;
    pthread_join(lost->racer.thread, NULL);
    if (lost->racer.status != PGK_OK) {
        fail_msg("%s: %s", pgk_status_name(lost->racer.status), lost->racer.err.message);
    }
    STORE_WORKS(&err, pgk_blobs_verify(lost->yard.blobs, NULL, &lost->key, NULL, NULL, &err));
    yard_swept(&lost->yard);
    assert_int_equal(objects_count(lost->yard.fixture), 1);
    free(lost->data);
    pgk_blobs_free(lost->far.blobs);
    handle_close(lost->ha);
    blob_yard_close(&lost->yard);
}

static void test_blobs__answer_lost_after_the_commit__done_once(void **state)
{
    static const size_t sizes[] = {100, 20 * MIB};
    for (int i = 0; i < 2; i++) {
        struct lost lost;
        lost_begin(&lost, state, sizes[i]);
        proxy_cut(lost.proxy, PROXY_CUT_TO_CLIENT);
        db_exec(*state, "SELECT pg_advisory_unlock(42)");
        db_wait(*state, "1", WAIT_LONG_MS, "SELECT count(*) FROM pgkeeper.blob");
        int64_t loid = db_int(*state, "SELECT loid FROM pgkeeper.blob");
        proxy_reset_all(lost.proxy);
        proxy_cut(lost.proxy, PROXY_PASS);
        lost_end(&lost);
        if (sizes[i] > MIB) { /* and not sent again */
            assert_int_equal(db_int(*state, "SELECT loid FROM pgkeeper.blob"), loid);
        }
        db_exec(*state, "DROP FUNCTION public.wait_for_test() CASCADE; DELETE FROM pgkeeper.blob");
    }
}

static void test_blobs__session_lost_before_the_commit__sent_again_and_done_once(void **state)
{
    static const size_t sizes[] = {100, 20 * MIB};
    for (int i = 0; i < 2; i++) {
        struct lost lost;
        lost_begin(&lost, state, sizes[i]);
        int64_t pid = db_int(*state, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
                                     " AND objid = 42 AND NOT granted");
        proxy_reset_all(lost.proxy);
        /* Its former session is ended before it is sent again. */
        db_wait(*state, "t", WAIT_LONG_MS,
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 42"
                " AND NOT granted AND pid <> %lld) AND NOT EXISTS (SELECT FROM pg_stat_activity"
                " WHERE pid = %lld)",
                (long long)pid, (long long)pid);
        db_exec(*state, "SELECT pg_advisory_unlock(42)");
        lost_end(&lost);
        db_exec(*state, "DROP FUNCTION public.wait_for_test() CASCADE; DELETE FROM pgkeeper.blob");
    }
}

/* ------------------------------------------------------------------ what it costs others */

/* A source and a target that wait: asks the server meanwhile what holds VACUUM back. */
struct waiting {
    struct fixture *fixture;
    size_t at;
    bool asked;
};

static void ask(struct waiting *w)
{
    if (!w->asked && w->at >= 3 * MIB) {
        w->asked = true;
        db_wait(w->fixture, "0", WAIT_LONG_MS,
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND (backend_xid IS NOT NULL OR backend_xmin IS NOT "
                "NULL)");
    }
}

static pgk_status give_and_wait(void *user, void *buffer, size_t capacity, size_t *ret_bytes)
{
    struct waiting *w = user;
    ask(w);
    return give_much(&w->at, buffer, capacity, ret_bytes);
}

static pgk_status take_and_wait(void *user, const void *data, size_t bytes)
{
    struct waiting *w = user;
    (void)data;
    w->at += bytes;
    ask(w);
    return PGK_OK;
}

static void test_blobs__a_stream_that_waits__holds_back_no_vacuum(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    blob_yard_open(&yard, *state);
    struct waiting in = {.fixture = yard.fixture};
    struct waiting out = {.fixture = yard.fixture};
    pgk_blob_source source = {.size = sizeof(source), .read = give_and_wait, .user = &in};
    pgk_blob_target target = {.size = sizeof(target), .write = take_and_wait, .user = &out};
    STORE_WORKS(&err, pgk_blobs_add(yard.blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &err));
    STORE_WORKS(&err, pgk_blobs_get(yard.blobs, NULL, &key, &target, &err));
    assert_true(in.asked && out.asked);
    assert_int_equal(out.at, 30 * MIB);
    blob_yard_close(&yard);
}

#ifndef PGK_TEST_SANITIZED
static void test_blobs__whatever_the_size__memory_is_bounded(void **state)
{
    struct blob_yard yard;
    pgk_error err;
    pgk_blob_key key;
    pgk_blob_key small;
    blob_yard_open(&yard, *state);
    const char *in = yard_path(&yard, "in");
    const char *out = yard_path(&yard, "out");
    pattern_file(in, 100 * MIB, 3);
    put_pattern(yard.blobs, NULL, 100, 1, &small);
    resident_reset_peak();
    long before = resident_peak_kib();
    pgk_blob_source source = {.size = sizeof(source), .path = in};
    STORE_WORKS(&err, pgk_blobs_add(yard.blobs, NULL, PGK_BLOB_PERMANENT, &source, &key, &err));
    STORE_WORKS(&err, pgk_blobs_get_file(yard.blobs, NULL, &key, out, &err));
    long grown = resident_peak_kib() - before;
    print_message("%ld KiB more at the peak\n", grown);
    assert_in_range(grown, 0, 16 * 1024);
    blob_yard_close(&yard);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_blobs__puts_of_one_key__one_of_them_stays),
        DB_TEST(test_blobs__get_while_it_is_replaced_and_deleted__is_whole_or_not_there),
        DB_TEST(test_blobs__delete_all_while_it_is_put__one_of_the_two_orders),
        DB_TEST(test_blobs__replaced_half_way__a_file_begins_anew_and_a_stream_says_so),
        DB_TEST(test_blobs__session_ended_half_way__memory_is_sent_anew_and_a_stream_is_not),
        DB_TEST(test_blobs__a_part_that_fails__is_not_covered_up_by_the_rest),
        DB_TEST(test_blobs__answer_lost_after_the_commit__done_once),
        DB_TEST(test_blobs__session_lost_before_the_commit__sent_again_and_done_once),
        DB_TEST(test_blobs__a_stream_that_waits__holds_back_no_vacuum),
#ifndef PGK_TEST_SANITIZED
        DB_TEST(test_blobs__whatever_the_size__memory_is_bounded),
#endif
    };
    return cmocka_run_group_tests_name("blobs", tests, fixture_group_setup, fixture_group_teardown);
}
