/*
 * tests/postgres/test_checkpoints.c - the checkpoint store: contracts of its calls, what leaves the
 * list, bad input, many threads. What becomes of entries that left it: test_discards.c.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkpoint_scene.h"

static void test_checkpoints__added_out_of_order__recovered_ascending(void **state)
{
    struct checkpoint_scene s;
    struct checkpoint_seen seen = {0};
    checkpoint_scene_open(&s, state, 5, NULL, NULL);
    STORE_FAILS(PGK_ERR_NOT_FOUND, &s.err,
                pgk_checkpoints_latest(s.store, checkpoint_see, &seen, &s.err));
    STORE_WORKS(&s.err, pgk_checkpoints_all(s.store, checkpoint_see, &seen, &s.err));
    assert_int_equal(seen.count, 0);
    checkpoint_add(&s, 10, PGK_CHECKPOINT);
    checkpoint_add(&s, 9, PGK_CHECKPOINT);
    checkpoint_add(&s, 11, PGK_CHECKPOINT);
    pgk_checkpoints_free(s.store);
    s.store = checkpoint_store(&s, 5, NULL, NULL);
    assert_int_equal(pgk_checkpoints_count(s.store), 3);
    STORE_WORKS(&s.err, pgk_checkpoints_all(s.store, checkpoint_see, &seen, &s.err));
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.ids[0], 9);
    assert_int_equal(seen.ids[1], 10);
    assert_int_equal(seen.ids[2], 11);
    seen = (struct checkpoint_seen){0};
    STORE_WORKS(&s.err, pgk_checkpoints_latest(s.store, checkpoint_see, &seen, &s.err));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.ids[0], 11);
    checkpoint_scene_close(&s);
}

static void test_checkpoints__same_id__already_exists_in_any_state(void **state)
{
    struct checkpoint_scene s;
    checkpoint_scene_open(&s, state, 1, NULL, NULL);
    checkpoint_add(&s, 1, PGK_CHECKPOINT);
    pgk_checkpoint again = checkpoint_of(1, PGK_CHECKPOINT);
    STORE_FAILS(PGK_ERR_ALREADY_EXISTS, &s.err, pgk_checkpoints_add(s.store, &again, &s.err));
    assert_int_equal(pgk_checkpoints_count(s.store), 1);
    checkpoint_add(&s, 2, PGK_CHECKPOINT); /* 1 is discarding now */
    STORE_FAILS(PGK_ERR_ALREADY_EXISTS, &s.err, pgk_checkpoints_add(s.store, &again, &s.err));
    assert_string_equal(checkpoint_states(&s), "1 discarding, 2 completed");
    assert_int_equal(pgk_checkpoints_count(s.store), 1);
    checkpoint_scene_close(&s);
}

static void begin_again(struct checkpoint_scene *s)
{
    db_exec(s->fixture, "DELETE FROM pgkeeper.checkpoint");
    pgk_checkpoints_free(s->store);
    s->store = checkpoint_store(s, 1, NULL, NULL);
}

static void test_checkpoints__maximum_1__the_examples_of_the_contract(void **state)
{
    struct checkpoint_scene s;
    checkpoint_scene_open(&s, state, 1, NULL, NULL);
    checkpoint_add_all(&s, "ccsss");
    assert_string_equal(checkpoint_states(&s),
                        "1 discarding, 2 completed, 3 retained, 4 retained, 5 completed");
    assert_int_equal(pgk_checkpoints_count(s.store), 2);
    begin_again(&s);
    checkpoint_add_all(&s, "csc");
    assert_string_equal(checkpoint_states(&s), "1 discarding, 2 retained, 3 completed");
    begin_again(&s);
    checkpoint_add_all(&s, "cst");
    assert_string_equal(checkpoint_states(&s), "1 discarding, 2 retained, 3 completed");
    checkpoint_scene_close(&s);
}

static void test_checkpoints__smaller_maximum_after_recovery__all_surplus_leaves(void **state)
{
    struct checkpoint_scene s;
    checkpoint_scene_open(&s, state, 100, NULL, NULL);
    for (int64_t id = 1; id <= 50; id++) {
        checkpoint_add(&s, id, PGK_CHECKPOINT);
    }
    assert_int_equal(pgk_checkpoints_count(s.store), 50);
    pgk_checkpoints_free(s.store);
    s.store = checkpoint_store(&s, 3, NULL, NULL);
    assert_int_equal(pgk_checkpoints_count(s.store), 50); /* nothing leaves by opening */
    checkpoint_add(&s, 51, PGK_CHECKPOINT);
    assert_int_equal(pgk_checkpoints_count(s.store), 3);
    assert_int_equal(db_int(s.fixture, "SELECT min(checkpoint_id) FROM pgkeeper.checkpoint"
                                       " WHERE state = 'completed'"),
                     49);
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.checkpoint"
                                       " WHERE state = 'discarding'"),
                     48);
    checkpoint_scene_close(&s);
}

static void test_checkpoints__subsumption__is_one_transaction_with_the_add(void **state)
{
    struct checkpoint_scene s;
    checkpoint_scene_open(&s, state, 1, NULL, NULL);
    checkpoint_add(&s, 1, PGK_CHECKPOINT);
    /* The move fails: so does the add, and nothing has changed. */
    db_exec(s.fixture, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                       " $$ BEGIN RAISE 'no' USING ERRCODE = 'P0001'; END $$;"
                       " CREATE TRIGGER refuse BEFORE UPDATE ON pgkeeper.checkpoint"
                       " FOR EACH ROW WHEN (NEW.state <> 'completed') EXECUTE FUNCTION refuse()");
    pgk_checkpoint two = checkpoint_of(2, PGK_CHECKPOINT);
    STORE_FAILS(PGK_ERR_DATABASE, &s.err, pgk_checkpoints_add(s.store, &two, &s.err));
    assert_string_equal(checkpoint_states(&s), "1 completed");
    assert_int_equal(pgk_checkpoints_count(s.store), 1);
    db_exec(s.fixture, "DROP TRIGGER refuse ON pgkeeper.checkpoint");
    STORE_WORKS(&s.err, pgk_checkpoints_add(s.store, &two, &s.err));
    assert_string_equal(checkpoint_states(&s), "1 discarding, 2 completed");
    assert_int_equal(db_int(s.fixture, "SELECT count(DISTINCT xmin::text)"
                                       " FROM pgkeeper.checkpoint"),
                     1);
    checkpoint_scene_close(&s);
}

/* ------------------------------------------------------------------ bad input */

static pgk_status throw_away(void *user, const pgk_checkpoint *checkpoint)
{
    (void)user;
    (void)checkpoint;
    return PGK_OK;
}

static void refuse(struct checkpoint_scene *s, const pgk_checkpoint *checkpoint, pgk_status status,
                   const char *part)
{
    STORE_FAILS(status, &s->err, pgk_checkpoints_add(s->store, checkpoint, &s->err));
    assert_non_null(strstr(s->err.message, part));
}

static void test_checkpoints__bad_entries__are_refused_and_nothing_is_written(void **state)
{
    struct checkpoint_scene s;
    checkpoint_scene_open(&s, state, 1, NULL, NULL);
    pgk_checkpoint bad = checkpoint_of(1, PGK_CHECKPOINT);
    char *pointer = calloc(1, PGK_POINTER_MAX_BYTES + 2);
    assert_non_null(pointer);
    memset(pointer, 'p', PGK_POINTER_MAX_BYTES + 1);
    refuse(&s, NULL, PGK_ERR_INVALID_ARGUMENT, "checkpoint is NULL");
    bad.size = 1;
    refuse(&s, &bad, PGK_ERR_INVALID_ARGUMENT, "size");
    bad = checkpoint_of(-1, PGK_CHECKPOINT);
    refuse(&s, &bad, PGK_ERR_INVALID_ARGUMENT, "-1");
    bad = checkpoint_of(1, (pgk_checkpoint_kind)3);
    refuse(&s, &bad, PGK_ERR_INVALID_ARGUMENT, "kind");
    bad = checkpoint_of(1, PGK_CHECKPOINT);
    bad.retention = (pgk_retention)-1;
    refuse(&s, &bad, PGK_ERR_INVALID_ARGUMENT, "retention");
    bad = checkpoint_of(1, PGK_CHECKPOINT);
    bad.completed_ms = -1;
    refuse(&s, &bad, PGK_ERR_INVALID_ARGUMENT, "completed_ms");
    bad.completed_ms = INT64_MAX;
    refuse(&s, &bad, PGK_ERR_INVALID_ARGUMENT, "completed_ms");
    bad = checkpoint_of(1, PGK_CHECKPOINT);
    bad.metadata_bytes = 0;
    refuse(&s, &bad, PGK_ERR_INVALID_ARGUMENT, "metadata");
    bad.metadata_bytes = PGK_METADATA_MAX_BYTES + 1; /* not looked at */
    refuse(&s, &bad, PGK_ERR_TOO_LARGE, "metadata");
    bad = checkpoint_of(1, PGK_CHECKPOINT);
    bad.pointer = "both";
    refuse(&s, &bad, PGK_ERR_INVALID_ARGUMENT, "both");
    bad.metadata = NULL;
    bad.pointer = "";
    refuse(&s, &bad, PGK_ERR_INVALID_ARGUMENT, "pointer");
    bad.pointer = "\xff";
    refuse(&s, &bad, PGK_ERR_INVALID_ARGUMENT, "pointer");
    bad.pointer = pointer;
    refuse(&s, &bad, PGK_ERR_TOO_LARGE, "pointer");
    bad.pointer = NULL;
    refuse(&s, &bad, PGK_ERR_INVALID_ARGUMENT, "neither");
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.checkpoint"), 0);
    pointer[PGK_POINTER_MAX_BYTES] = '\0';
    bad.pointer = pointer;
    STORE_WORKS(&s.err, pgk_checkpoints_add(s.store, &bad, &s.err));
    free(pointer);
    checkpoint_scene_close(&s);
}

static void test_checkpoints__bad_arguments__are_named(void **state)
{
    struct checkpoint_scene s;
    checkpoint_scene_open(&s, state, 1, throw_away, NULL);
    pgk_error *err = &s.err;
    pgk_token zero = {.epoch = 0};
    pgk_checkpoints *none = NULL;
    pgk_checkpoint checkpoint = checkpoint_of(1, PGK_CHECKPOINT);
    pgk_checkpoints_options options = {.size = sizeof(options), .max_retained = 1};
    int64_t left;
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_checkpoints(s.ha, NULL, &options, &none, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_checkpoints(s.ha, &zero, &options, &none, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_checkpoints(s.ha, PGK_UNFENCED, NULL, &none, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_checkpoints(s.ha, PGK_UNFENCED, &options, NULL, err));
    options.max_retained = 0;
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_checkpoints(s.ha, PGK_UNFENCED, &options, &none, err));
    assert_non_null(strstr(err->message, "max_retained is 0"));
    options.max_retained = -5;
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_checkpoints(s.ha, PGK_UNFENCED, &options, &none, err));
    options = (pgk_checkpoints_options){.size = 3, .max_retained = 1};
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_checkpoints(s.ha, PGK_UNFENCED, &options, &none, err));
    assert_null(none);
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_checkpoints_add(NULL, &checkpoint, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_checkpoints_latest(s.store, NULL, NULL, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_checkpoints_all(NULL, checkpoint_see, NULL, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_checkpoints_discard_pending(s.store, NULL, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_checkpoints_discard_pending(NULL, &left, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_checkpoints_shutdown(s.store, (pgk_job_status)17, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_checkpoints_shutdown(NULL, PGK_JOB_FINISHED, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_discard_pending(s.ha, PGK_UNFENCED, NULL, NULL, NULL, &left, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_discard_pending(s.ha, PGK_UNFENCED, NULL, throw_away, NULL, NULL, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_discard_pending(s.ha, NULL, NULL, throw_away, NULL, &left, err));
    assert_int_equal(pgk_checkpoints_count(NULL), 0);
    assert_int_equal(pgk_ha_num_retained(NULL), 0);
    assert_int_equal(pgk_ha_num_retained(s.ha), 1);
    pgk_checkpoints_free(NULL);
    /* A shutdown that was refused has shut nothing down. */
    STORE_WORKS(err, pgk_checkpoints_add(s.store, &checkpoint, err));
    STORE_WORKS(err, pgk_ha_close(s.ha, err));
    checkpoint.checkpoint_id = 2;
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, err, pgk_checkpoints_add(s.store, &checkpoint, err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, err,
                pgk_checkpoints_shutdown(s.store, PGK_JOB_FINISHED, err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, err, pgk_checkpoints_discard_pending(s.store, &left, err));
    assert_string_equal(checkpoint_states(&s), "1 completed");
    pgk_checkpoints_free(s.store);
    pgk_ha_free(s.ha);
}

static void test_checkpoints__num_retained__is_that_of_the_configuration(void **state)
{
    pgk_ha *ha = handle_open(*state, "a", "execution.checkpointing.num-retained", "7", NULL);
    assert_int_equal(pgk_ha_num_retained(ha), 7);
    handle_close(ha);
}

/* ------------------------------------------------------------------ threads */

#ifdef PGK_TEST_SANITIZED
#define ADDS 15
#else
#define ADDS 60
#endif
#define THREADS 8

struct adder {
    pthread_t thread;
    pgk_checkpoints *store;
    pgk_checkpoint_counter *counter;
    atomic_int *wrong;
};

static void *add_many(void *arg)
{
    struct adder *adder = arg;
    for (int i = 0; i < ADDS; i++) {
        int64_t id = 0;
        if (pgk_checkpoint_counter_get_and_increment(adder->counter, &id, NULL) != PGK_OK) {
            atomic_fetch_add(adder->wrong, 1);
        }
        pgk_checkpoint checkpoint = checkpoint_of(id, i % 5 == 0 ? PGK_SAVEPOINT : PGK_CHECKPOINT);
        if (pgk_checkpoints_add(adder->store, &checkpoint, NULL) != PGK_OK) {
            atomic_fetch_add(adder->wrong, 1);
        }
        pgk_checkpoints_count(adder->store);
    }
    return NULL;
}

static atomic_int thrown;

static pgk_status count_thrown(void *user, const pgk_checkpoint *checkpoint)
{
    (void)user;
    (void)checkpoint;
    atomic_fetch_add(&thrown, 1);
    return PGK_OK;
}

static void test_checkpoints__many_threads__the_list_keeps_its_rules(void **state)
{
    struct checkpoint_scene s;
    struct adder adders[THREADS];
    atomic_int wrong = 0;
    pgk_checkpoint_counter *counter = NULL;
    pgk_uuid job = job_of(1);
    int64_t left;
    checkpoint_scene_open(&s, state, 3, count_thrown, NULL);
    atomic_store(&thrown, 0);
    STORE_WORKS(&s.err, pgk_ha_checkpoint_counter(s.ha, PGK_UNFENCED, &job, &counter, &s.err));
    for (int i = 0; i < THREADS; i++) {
        adders[i] = (struct adder){.store = s.store, .counter = counter, .wrong = &wrong};
        assert_int_equal(pthread_create(&adders[i].thread, NULL, add_many, &adders[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(adders[i].thread, NULL);
    }
    assert_int_equal(atomic_load(&wrong), 0);
    pgk_checkpoint last = checkpoint_of(INT64_C(1) << 40, PGK_CHECKPOINT);
    STORE_WORKS(&s.err, pgk_checkpoints_add(s.store, &last, &s.err));
    STORE_WORKS(&s.err, pgk_checkpoints_discard_pending(s.store, &left, &s.err));
    assert_int_equal(left, 0);
    assert_int_equal(pgk_checkpoints_count(s.store), 3);
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.checkpoint"
                                       " WHERE state = 'completed'"),
                     3);
    /* None is lost: in the list, retained, or thrown away. */
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.checkpoint") +
                         atomic_load(&thrown),
                     THREADS * ADDS + 1);
    pgk_checkpoint_counter_free(counter);
    checkpoint_scene_close(&s);
}

/* Not a way to work, but the list of one store must not stay wrong for what another did. */
static void test_checkpoints__another_store_of_the_job__is_seen_at_the_next_chance(void **state)
{
    struct checkpoint_scene s;
    checkpoint_scene_open(&s, state, 1, NULL, NULL);
    pgk_checkpoints *mine = s.store;
    pgk_checkpoints *other = checkpoint_store(&s, 1, NULL, NULL);
    pgk_checkpoint first = checkpoint_of(1, PGK_CHECKPOINT);
    checkpoint_add(&s, 1, PGK_CHECKPOINT);
    s.store = other;
    STORE_FAILS(PGK_ERR_ALREADY_EXISTS, &s.err, pgk_checkpoints_add(other, &first, &s.err));
    checkpoint_add(&s, 2, PGK_CHECKPOINT); /* reads that 1 is there */
    assert_string_equal(checkpoint_states(&s), "1 discarding, 2 completed");
    s.store = mine;
    checkpoint_add(&s, 3,
                   PGK_CHECKPOINT); /* would move 1, but that was done by another: there is more */
    assert_int_equal(pgk_checkpoints_count(mine), 2);
    checkpoint_add(&s, 4, PGK_CHECKPOINT);
    assert_string_equal(checkpoint_states(&s),
                        "1 discarding, 2 discarding, 3 discarding, 4 completed");
    pgk_checkpoints_free(other);
    checkpoint_scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_checkpoints__added_out_of_order__recovered_ascending),
        DB_TEST(test_checkpoints__same_id__already_exists_in_any_state),
        DB_TEST(test_checkpoints__maximum_1__the_examples_of_the_contract),
        DB_TEST(test_checkpoints__smaller_maximum_after_recovery__all_surplus_leaves),
        DB_TEST(test_checkpoints__subsumption__is_one_transaction_with_the_add),
        DB_TEST(test_checkpoints__bad_entries__are_refused_and_nothing_is_written),
        DB_TEST(test_checkpoints__bad_arguments__are_named),
        DB_TEST(test_checkpoints__num_retained__is_that_of_the_configuration),
        DB_TEST(test_checkpoints__another_store_of_the_job__is_seen_at_the_next_chance),
        DB_TEST(test_checkpoints__many_threads__the_list_keeps_its_rules),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
