/*
 * tests/postgres/test_discards.c - what becomes of checkpoints that left the list: crash-safe discards,
 * shutdown by policy, damaged entries.
 */
#include <stdio.h>

#include "checkpoint_scene.h"
#include "proxy.h"

/* ------------------------------------------------------------------ discards */

struct bin {
    struct checkpoint_seen seen;
    int calls;
    pgk_status answer;
    pgk_job_registry *registry; /* used inside the callback */
    pgk_status used;
};

static pgk_status throw_away(void *user, const pgk_checkpoint *checkpoint)
{
    struct bin *bin = user;
    bin->calls++;
    checkpoint_see(&bin->seen, checkpoint);
    if (bin->registry != NULL) {
        pgk_uuid job = job_of(1);
        bin->used = pgk_job_registry_set_running(bin->registry, &job, NULL);
    }
    return bin->answer;
}

static void test_discards__discard_callback__its_success_deletes_the_entry(void **state)
{
    struct checkpoint_scene s;
    struct bin bin = {.answer = PGK_OK};
    checkpoint_scene_open(&s, state, 1, throw_away, &bin);
    checkpoint_add(&s, 1, PGK_CHECKPOINT);
    assert_int_equal(bin.calls, 0);
    checkpoint_add(&s, 2, PGK_CHECKPOINT);
    assert_int_equal(bin.calls, 1);
    assert_int_equal(bin.seen.last.checkpoint_id, 1);
    assert_string_equal(bin.seen.content, "metadata");
    assert_string_equal(checkpoint_states(&s), "2 completed");
    checkpoint_add(&s, 3, PGK_SAVEPOINT);
    checkpoint_add(&s, 4, PGK_SAVEPOINT); /* a savepoint leaves without being discarded */
    assert_int_equal(bin.calls, 1);
    assert_string_equal(checkpoint_states(&s), "2 completed, 3 retained, 4 completed");
    checkpoint_scene_close(&s);
}

static void test_discards__discard_that_fails__is_tried_again_by_the_next(void **state)
{
    struct checkpoint_scene s;
    struct bin bin = {.answer = PGK_ERR_IO};
    int64_t left = -1;
    checkpoint_scene_open(&s, state, 1, throw_away, &bin);
    checkpoint_add(&s, 1, PGK_CHECKPOINT);
    checkpoint_add(&s, 2, PGK_CHECKPOINT); /* its failure is not that of add */
    assert_int_equal(bin.calls, 1);
    assert_string_equal(checkpoint_states(&s), "1 discarding, 2 completed");
    checkpoint_add(&s, 3, PGK_CHECKPOINT);
    assert_int_equal(bin.calls, 3);
    STORE_WORKS(&s.err, pgk_checkpoints_discard_pending(s.store, &left, &s.err));
    assert_int_equal(left, 2);
    pgk_checkpoints_free(s.store);
    /* The next leader finds them, oldest first, and finishes. */
    bin = (struct bin){.answer = PGK_OK};
    s.store = checkpoint_store(&s, 1, throw_away, &bin);
    STORE_WORKS(&s.err, pgk_checkpoints_discard_pending(s.store, &left, &s.err));
    assert_int_equal(left, 0);
    assert_int_equal(bin.calls, 2);
    assert_int_equal(bin.seen.ids[0], 1);
    assert_int_equal(bin.seen.ids[1], 2);
    assert_string_equal(checkpoint_states(&s), "3 completed");
    checkpoint_scene_close(&s);
}

static void test_discards__without_callback__entries_wait_for_the_whole_cluster(void **state)
{
    struct checkpoint_scene s;
    struct bin bin = {.answer = PGK_OK};
    int64_t left = -1;
    pgk_uuid one = job_of(1);
    checkpoint_scene_open(&s, state, 1, NULL, NULL);
    checkpoint_add_all(&s, "cc");
    db_exec(s.fixture,
            "INSERT INTO pgkeeper.checkpoint"
            " (cluster_id, job_id, checkpoint_id, state, pointer, sha256, completed_at)"
            " VALUES ('" FIXTURE_CLUSTER "', " SQL_JOB(
                2) ", 7, 'discarding', 'here',"
                   " sha256('here'), now()), ('meadow', " SQL_JOB(3) ", 8, 'discarding', 'there',"
                                                                     " sha256('there'), now())");
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &s.err,
                pgk_checkpoints_discard_pending(s.store, &left, &s.err));
    bin.answer = PGK_ERR_IO;
    STORE_WORKS(&s.err,
                pgk_ha_discard_pending(s.ha, PGK_UNFENCED, NULL, throw_away, &bin, &left, &s.err));
    assert_int_equal(left, 2);
    bin = (struct bin){.answer = PGK_OK};
    STORE_WORKS(&s.err,
                pgk_ha_discard_pending(s.ha, PGK_UNFENCED, &one, throw_away, &bin, &left, &s.err));
    assert_int_equal(bin.calls, 1);
    assert_int_equal(left, 0);
    STORE_WORKS(&s.err,
                pgk_ha_discard_pending(s.ha, PGK_UNFENCED, NULL, throw_away, &bin, &left, &s.err));
    assert_int_equal(bin.calls, 2);
    assert_int_equal(bin.seen.last.checkpoint_id, 7);
    assert_string_equal(bin.seen.content, "here");
    /* Another cluster's is not ours to discard. */
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.checkpoint"
                                       " WHERE state = 'discarding'"),
                     1);
    checkpoint_scene_close(&s);
}

static void test_discards__deposed_leader__removes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct bin bin = {.answer = PGK_OK};
    struct chief chief;
    pgk_error err;
    int64_t left = -1;
    chief_open(&chief, fixture);
    chief_depose(&chief, fixture);
    known_state(fixture);
    pgk_ha *ha = handle_open(fixture, "late", NULL);
    STORE_FAILS(PGK_ERR_FENCED, &err,
                pgk_ha_discard_pending(ha, &chief.token, NULL, throw_away, &bin, &left, &err));
    assert_int_equal(bin.calls, 0);
    handle_close(ha);
    chief_close(&chief);
}

/* Adds an entry whose answer never comes; then the way is free again. */
static void add_unanswered(struct checkpoint_scene *s, struct proxy *proxy, int64_t id)
{
    pgk_checkpoint checkpoint = checkpoint_of(id, PGK_CHECKPOINT);
    proxy_cut(proxy, PROXY_CUT_TO_CLIENT);
    STORE_FAILS(PGK_ERR_OUTCOME_UNKNOWN, &s->err,
                pgk_checkpoints_add(s->store, &checkpoint, &s->err));
    proxy_reset_all(proxy);
    proxy_cut(proxy, PROXY_PASS);
}

static void test_discards__add_of_unknown_outcome__discards_and_does_not_come_back(void **state)
{
    struct checkpoint_scene s = {.fixture = *state};
    struct bin bin = {.answer = PGK_OK};
    char conninfo[PGSERVER_CONNINFO_SIZE];
    struct proxy *proxy = fixture_proxy(s.fixture, conninfo, sizeof(conninfo));
    s.ha = handle_open(s.fixture, "cut", "high-availability.postgres.uri", conninfo,
                       "high-availability.postgres.statement-timeout", "1500 ms", NULL);
    s.store = checkpoint_store(&s, 2, throw_away, &bin);
    for (int64_t id = 1; id <= 4; id++) {
        checkpoint_add(&s, id, PGK_CHECKPOINT);
    }
    assert_string_equal(checkpoint_states(&s), "3 completed, 4 completed");
    add_unanswered(&s, proxy, 5);
    assert_string_equal(checkpoint_states(&s), "3 discarding, 4 completed, 5 completed");
    checkpoint_add(&s, 5, PGK_CHECKPOINT); /* what the first one moved is discarded now */
    assert_string_equal(checkpoint_states(&s), "4 completed, 5 completed");
    checkpoint_add(&s, 6, PGK_CHECKPOINT); /* prepares it on the new session */
    add_unanswered(&s, proxy, 7);
    checkpoint_add(&s, 8, PGK_CHECKPOINT);
    checkpoint_add(&s, 9, PGK_CHECKPOINT);
    assert_string_equal(checkpoint_states(&s), "8 completed, 9 completed");
    checkpoint_add(
        &s, 7, PGK_CHECKPOINT); /* it was added, and has left the list since: its data is gone */
    assert_string_equal(checkpoint_states(&s), "8 completed, 9 completed");
    assert_int_equal(pgk_checkpoints_count(s.store), 2);
    checkpoint_scene_close(&s);
}

static void test_discards__discard_callback__runs_with_no_session_held(void **state)
{
    struct checkpoint_scene s = {.fixture = *state};
    struct bin bin = {.answer = PGK_OK};
    int64_t left = -1;
    s.ha = handle_open(s.fixture, "a", "high-availability.postgres.max-connections", "1",
                       "high-availability.postgres.statement-timeout", "2 s", NULL);
    STORE_WORKS(&s.err, pgk_ha_job_registry(s.ha, PGK_UNFENCED, &bin.registry, &s.err));
    s.store = checkpoint_store(&s, 1, throw_away, &bin);
    checkpoint_add_all(&s, "cc");
    assert_int_equal(bin.calls, 1);
    assert_int_equal(bin.used, PGK_OK);
    STORE_WORKS(&s.err, pgk_checkpoints_discard_pending(s.store, &left, &s.err));
    pgk_job_registry_free(bin.registry);
    checkpoint_scene_close(&s);
}

static pgk_status close_handle(void *user, const pgk_checkpoint *checkpoint)
{
    (void)checkpoint;
    return pgk_ha_close(user, NULL);
}

static void test_discards__discard_callback_that_closes__ends_without_harm(void **state)
{
    struct checkpoint_scene s = {.fixture = *state};
    s.ha = handle_open(s.fixture, "a", NULL);
    s.store = checkpoint_store(&s, 1, close_handle, s.ha);
    checkpoint_add_all(&s, "cc");
    assert_string_equal(checkpoint_states(&s),
                        "1 discarding, 2 completed"); /* nobody could delete it */
    pgk_checkpoints_free(s.store);
    pgk_ha_free(s.ha);
}

static void test_discards__damaged_entry__fails_alone_and_can_be_discarded(void **state)
{
    struct checkpoint_scene s;
    struct checkpoint_seen seen = {0};
    struct bin bin = {.answer = PGK_OK};
    int64_t left;
    checkpoint_scene_open(&s, state, 3, NULL, NULL);
    checkpoint_add_all(&s, "ccc");
    db_exec(s.fixture, "UPDATE pgkeeper.checkpoint SET metadata = 'other'"
                       " WHERE checkpoint_id = 3");
    STORE_FAILS(PGK_ERR_CORRUPT, &s.err,
                pgk_checkpoints_latest(s.store, checkpoint_see, &seen, &s.err));
    assert_int_equal(seen.corrupt, 1);
    assert_null(seen.last.metadata);
    assert_non_null(strstr(s.err.message, "checkpoint 3"));
    seen = (struct checkpoint_seen){0};
    STORE_WORKS(&s.err, pgk_checkpoints_all(s.store, checkpoint_see, &seen, &s.err));
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.corrupt, 1);
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.stat_checkpoints"), 3);
    db_exec(s.fixture, "UPDATE pgkeeper.checkpoint SET state = 'discarding'"
                       " WHERE checkpoint_id = 3");
    STORE_WORKS(&s.err,
                pgk_ha_discard_pending(s.ha, PGK_UNFENCED, NULL, throw_away, &bin, &left, &s.err));
    assert_int_equal(bin.seen.last.checkpoint_id, 3);
    assert_int_equal(bin.seen.corrupt, 1);
    assert_null(bin.seen.last.metadata);
    assert_string_equal(checkpoint_states(&s), "1 completed, 2 completed");
    checkpoint_scene_close(&s);
}

/* ------------------------------------------------------------------ shutdown */

static void fill_policies(struct checkpoint_scene *s)
{
    static const pgk_retention policies[] = {PGK_NEVER_RETAINED, PGK_RETAIN_ON_FAILURE,
                                             PGK_RETAIN_ON_CANCELLATION};
    for (int i = 0; i < 3; i++) {
        pgk_checkpoint checkpoint = checkpoint_of(i + 1, PGK_CHECKPOINT);
        checkpoint.retention = policies[i];
        STORE_WORKS(&s->err, pgk_checkpoints_add(s->store, &checkpoint, &s->err));
    }
    checkpoint_add(s, 4, PGK_SAVEPOINT);
    checkpoint_add(s, 5, PGK_STOP_SAVEPOINT);
}

static void check_shutdown(void **state, pgk_job_status status, const char *expected)
{
    struct checkpoint_scene s;
    checkpoint_scene_open(&s, state, 9, NULL, NULL);
    db_exec(s.fixture, "DELETE FROM pgkeeper.checkpoint");
    fill_policies(&s);
    STORE_WORKS(&s.err, pgk_checkpoints_shutdown(s.store, status, &s.err));
    assert_string_equal(checkpoint_states(&s), expected);
    STORE_WORKS(&s.err, pgk_checkpoints_shutdown(s.store, status, &s.err)); /* idempotent */
    assert_string_equal(checkpoint_states(&s), expected);
    pgk_checkpoint late = checkpoint_of(6, PGK_CHECKPOINT);
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &s.err, pgk_checkpoints_add(s.store, &late, &s.err));
    assert_string_equal(checkpoint_states(&s), expected);
    checkpoint_scene_close(&s);
}

static void test_discards__shutdown__each_entry_by_its_policy(void **state)
{
    check_shutdown(state, PGK_JOB_FINISHED,
                   "1 discarding, 2 discarding, 3 discarding, 4 retained, 5 retained");
    check_shutdown(state, PGK_JOB_FAILED,
                   "1 discarding, 2 retained, 3 retained, 4 retained, 5 retained");
    check_shutdown(state, PGK_JOB_CANCELED,
                   "1 discarding, 2 discarding, 3 retained, 4 retained, 5 retained");
}

static void test_discards__shutdown_of_a_job_that_goes_on__keeps_everything(void **state)
{
    static const char all[] = "1 completed, 2 completed, 3 completed, 4 completed, 5 completed";
    check_shutdown(state, PGK_JOB_SUSPENDED, all);
    check_shutdown(state, PGK_JOB_RUNNING, all);
    check_shutdown(state, PGK_JOB_UNKNOWN, all);
}

static void test_discards__shutdown_with_callback__discards_and_counts_none(void **state)
{
    struct checkpoint_scene s;
    struct bin bin = {.answer = PGK_ERR_IO};
    int64_t left;
    checkpoint_scene_open(&s, state, 9, throw_away, &bin);
    checkpoint_add_all(&s, "cc");
    STORE_WORKS(&s.err, pgk_checkpoints_shutdown(s.store, PGK_JOB_FINISHED, &s.err));
    assert_int_equal(pgk_checkpoints_count(s.store), 0);
    assert_int_equal(bin.calls, 2);
    bin.answer = PGK_OK;
    STORE_WORKS(&s.err,
                pgk_checkpoints_discard_pending(s.store, &left, &s.err)); /* after it, too */
    assert_int_equal(left, 0);
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.checkpoint"), 0);
    checkpoint_scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_discards__discard_callback__its_success_deletes_the_entry),
        DB_TEST(test_discards__discard_that_fails__is_tried_again_by_the_next),
        DB_TEST(test_discards__without_callback__entries_wait_for_the_whole_cluster),
        DB_TEST(test_discards__deposed_leader__removes_nothing),
        DB_TEST(test_discards__add_of_unknown_outcome__discards_and_does_not_come_back),
        DB_TEST(test_discards__discard_callback__runs_with_no_session_held),
        DB_TEST(test_discards__discard_callback_that_closes__ends_without_harm),
        DB_TEST(test_discards__damaged_entry__fails_alone_and_can_be_discarded),
        DB_TEST(test_discards__shutdown__each_entry_by_its_policy),
        DB_TEST(test_discards__shutdown_of_a_job_that_goes_on__keeps_everything),
        DB_TEST(test_discards__shutdown_with_callback__discards_and_counts_none),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
