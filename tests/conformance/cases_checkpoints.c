/* tests/conformance/cases_checkpoints.c - contract 7, the checkpoint store: what is listed, what leaves, what is refused. */
#include "suite.h"

#include "checkpoint_scene.h"

static pgk_checkpoints *open_store(struct scene *s, int max_retained)
{
    return scene_checkpoints(s, scene_open(s), PGK_UNFENCED, max_retained, NULL, NULL);
}

static int64_t latest(struct scene *s, pgk_checkpoints *store)
{
    struct checkpoint_seen seen = {.answer = PGK_OK};
    WORKS(s, pgk_checkpoints_latest(store, checkpoint_see, &seen, &s->err));
    assert_int_equal(seen.count, 1);
    return seen.last.checkpoint_id;
}

static void empty__nothing_listed_and_no_latest(struct scene *s)
{
    struct checkpoint_seen seen = {.answer = PGK_OK};
    pgk_checkpoints *store = open_store(s, 1);
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_checkpoints_latest(store, checkpoint_see, &seen, &s->err));
    assert_string_equal(checkpoints_text(s, store), "");
    assert_int_equal(pgk_checkpoints_count(store), 0);
    assert_int_equal(seen.count, 0);
}

static void numbers_of_more_digits__ascending(struct scene *s)
{
    pgk_checkpoints *store = open_store(s, 9);
    add_checkpoint(s, store, 9, PGK_CHECKPOINT);
    add_checkpoint(s, store, 10, PGK_CHECKPOINT);
    add_checkpoint(s, store, 11, PGK_CHECKPOINT);
    assert_string_equal(checkpoints_text(s, store), "9 10 11");
    assert_int_equal(latest(s, store), 11);
    assert_int_equal(pgk_checkpoints_count(store), 3);
}

static void added_out_of_order__ascending(struct scene *s)
{
    pgk_checkpoints *store = open_store(s, 9);
    add_checkpoint(s, store, 30, PGK_CHECKPOINT);
    add_checkpoint(s, store, 10, PGK_CHECKPOINT);
    add_checkpoint(s, store, 20, PGK_CHECKPOINT);
    assert_string_equal(checkpoints_text(s, store), "10 20 30");
    assert_int_equal(latest(s, store), 30);
}

static void opened_anew__recovered(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 3, NULL, NULL);
    add_checkpoints(s, store, "cs");
    pgk_checkpoints *again = scene_checkpoints(s, ha, PGK_UNFENCED, 3, NULL, NULL);
    assert_int_equal(pgk_checkpoints_count(again), 2);
    assert_string_equal(checkpoints_text(s, again), "1 2");
    assert_int_equal(latest(s, again), 2);
}

static void opened_in_another_handle__recovered(struct scene *s)
{
    pgk_checkpoints *store = open_store(s, 3);
    add_checkpoint(s, store, 1, PGK_CHECKPOINT);
    pgk_checkpoints *there = open_store(s, 3);
    assert_int_equal(pgk_checkpoints_count(there), 1);
    assert_int_equal(latest(s, there), 1);
}

static void opened_with_a_smaller_maximum__the_surplus_leaves_with_the_next(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 100, NULL, NULL);
    for (int64_t id = 1; id <= 20; id++) {
        add_checkpoint(s, store, id, PGK_CHECKPOINT);
    }
    assert_int_equal(pgk_checkpoints_count(store), 20);
    pgk_checkpoints *smaller = scene_checkpoints(s, ha, PGK_UNFENCED, 3, NULL, NULL);
    assert_int_equal(pgk_checkpoints_count(smaller), 20);
    add_checkpoint(s, smaller, 21, PGK_CHECKPOINT);
    assert_string_equal(checkpoints_text(s, smaller), "19 20 21");
    assert_int_equal(pgk_checkpoints_count(smaller), 3);
}

static void maximum_2__the_oldest_leave(struct scene *s)
{
    pgk_checkpoints *store = open_store(s, 2);
    add_checkpoints(s, store, "ccccc");
    assert_string_equal(checkpoints_text(s, store), "4 5");
}

static void maximum_1__c1_c2_s1_s2_s3_leaves_c2_and_s3(struct scene *s)
{
    pgk_checkpoints *store = open_store(s, 1);
    add_checkpoints(s, store, "ccsss");
    assert_string_equal(checkpoints_text(s, store), "2 5");
    assert_int_equal(pgk_checkpoints_count(store), 2);
}

static void maximum_1__c1_s1_c2_leaves_c2(struct scene *s)
{
    pgk_checkpoints *store = open_store(s, 1);
    add_checkpoints(s, store, "csc");
    assert_string_equal(checkpoints_text(s, store), "3");
}

static void maximum_1__c1_s1_stop_leaves_the_stop(struct scene *s)
{
    pgk_checkpoints *store = open_store(s, 1);
    add_checkpoints(s, store, "cst");
    assert_string_equal(checkpoints_text(s, store), "3");
}

static void below_the_latest__is_not_subsumed_by_its_own_add(struct scene *s)
{
    pgk_checkpoints *store = open_store(s, 1);
    add_checkpoint(s, store, 5, PGK_CHECKPOINT);
    add_checkpoint(s, store, 3, PGK_CHECKPOINT);
    assert_int_equal(latest(s, store), 5);
    assert_string_equal(checkpoints_text(s, store), "3 5");
    add_checkpoint(s, store, 6, PGK_CHECKPOINT);
    assert_string_equal(checkpoints_text(s, store), "6");
}

static void same_id__already_exists(struct scene *s)
{
    pgk_checkpoints *store = open_store(s, 3);
    pgk_checkpoint again = checkpoint_of(1, PGK_SAVEPOINT);
    add_checkpoint(s, store, 1, PGK_CHECKPOINT);
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_checkpoints_add(store, &again, &s->err));
    assert_int_equal(pgk_checkpoints_count(store), 1);
}

static void id_of_one_that_left__already_exists(struct scene *s)
{
    pgk_checkpoints *store = open_store(s, 1);
    pgk_checkpoint again = checkpoint_of(1, PGK_CHECKPOINT);
    add_checkpoint(s, store, 1, PGK_CHECKPOINT);
    add_checkpoint(s, store, 2, PGK_CHECKPOINT); /* 1 is discarding */
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_checkpoints_add(store, &again, &s->err));
    add_checkpoint(s, store, 3, PGK_SAVEPOINT);
    add_checkpoint(s, store, 4, PGK_SAVEPOINT); /* 3 is retained */
    again = checkpoint_of(3, PGK_CHECKPOINT);
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_checkpoints_add(store, &again, &s->err));
    assert_string_equal(checkpoints_text(s, store), "2 4");
}

static void all_fields__come_back(struct scene *s)
{
    struct checkpoint_seen seen = {.answer = PGK_OK};
    pgk_checkpoints *store = open_store(s, 9);
    pgk_checkpoint full = checkpoint_of(0, PGK_SAVEPOINT);
    pgk_uuid job = job_of(1);
    full.retention = PGK_RETAIN_ON_CANCELLATION;
    full.completed_ms = INT64_C(1700000000123);
    WORKS(s, pgk_checkpoints_add(store, &full, &s->err));
    WORKS(s, pgk_checkpoints_latest(store, checkpoint_see, &seen, &s->err));
    assert_int_equal(seen.last.size, sizeof(pgk_checkpoint));
    assert_int_equal(seen.last.checkpoint_id, 0);
    assert_int_equal(seen.last.kind, PGK_SAVEPOINT);
    assert_int_equal(seen.last.retention, PGK_RETAIN_ON_CANCELLATION);
    assert_int_equal(seen.last.completed_ms, INT64_C(1700000000123));
    assert_int_equal(pgk_uuid_compare(&seen.last.job_id, &job), 0);
    assert_int_equal(seen.last.status, PGK_OK);
    assert_null(seen.last.reason);
    assert_int_equal(seen.last.epoch, 0);
    assert_null(seen.last.pointer);
    assert_int_equal(seen.last.metadata_bytes, full.metadata_bytes);
    assert_string_equal(seen.content, "metadata");
}

static void pointer_and_largest_id__come_back(struct scene *s)
{
    struct checkpoint_seen seen = {.answer = PGK_OK};
    pgk_checkpoints *store = open_store(s, 9);
    pgk_checkpoint full = checkpoint_of(INT64_MAX, PGK_STOP_SAVEPOINT);
    full.metadata = NULL;
    full.metadata_bytes = 0;
    full.pointer = "s3://bucket/\xc3\xa9";
    full.retention = PGK_RETAIN_ON_FAILURE;
    WORKS(s, pgk_checkpoints_add(store, &full, &s->err));
    WORKS(s, pgk_checkpoints_latest(store, checkpoint_see, &seen, &s->err));
    assert_int_equal(seen.last.checkpoint_id, INT64_MAX);
    assert_int_equal(seen.last.kind, PGK_STOP_SAVEPOINT);
    assert_int_equal(seen.last.retention, PGK_RETAIN_ON_FAILURE);
    assert_null(seen.last.metadata);
    assert_string_equal(seen.content, "s3://bucket/\xc3\xa9");
}

static pgk_status compare_metadata(void *user, const pgk_checkpoint *checkpoint)
{
    const pgk_checkpoint *expected = user;
    return checkpoint->status == PGK_OK && checkpoint->metadata_bytes == expected->metadata_bytes &&
                   memcmp(checkpoint->metadata, expected->metadata, expected->metadata_bytes) == 0
               ? PGK_OK
               : PGK_ERR_CORRUPT;
}

static void large_metadata__comes_back(struct scene *s)
{
    size_t bytes = 2 * 1024 * 1024 + 3;
    unsigned char *metadata = scene_memory(s, bytes);
    pgk_checkpoint large = checkpoint_of(1, PGK_CHECKPOINT);
    pgk_checkpoints *store = open_store(s, 1);
    for (size_t i = 0; i < bytes; i++) {
        metadata[i] = (unsigned char)(i * 7 + i / 255);
    }
    large.metadata = metadata;
    large.metadata_bytes = bytes;
    WORKS(s, pgk_checkpoints_add(store, &large, &s->err));
    WORKS(s, pgk_checkpoints_latest(store, compare_metadata, &large, &s->err));
    WORKS(s, pgk_checkpoints_all(store, compare_metadata, &large, &s->err));
}

static void jobs__are_apart(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 1, NULL, NULL);
    pgk_checkpoints *other = scene_checkpoints_of(s, ha, 2);
    add_checkpoint(s, store, 1, PGK_CHECKPOINT);
    add_checkpoints(s, other, "cc");
    assert_string_equal(checkpoints_text(s, store), "1");
    assert_string_equal(checkpoints_text(s, other), "2");
}

static void clusters__are_apart(struct scene *s)
{
    pgk_ha *far = scene_open_with(s, "high-availability.cluster-id", s->elsewhere, NULL);
    pgk_checkpoints *store = open_store(s, 1);
    add_checkpoint(s, store, 1, PGK_CHECKPOINT);
    pgk_checkpoints *there = scene_checkpoints(s, far, PGK_UNFENCED, 1, NULL, NULL);
    assert_int_equal(pgk_checkpoints_count(there), 0);
    add_checkpoints(s, there, "cc");
    assert_string_equal(checkpoints_text(s, store), "1");
}

static void maximum_below_1__invalid_argument(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_checkpoints *store = NULL;
    pgk_checkpoints_options options = {.size = sizeof(options), .max_retained = 0};
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_ha_checkpoints(ha, PGK_UNFENCED, &options, &store, &s->err));
    options.max_retained = -5;
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_ha_checkpoints(ha, PGK_UNFENCED, &options, &store, &s->err));
    assert_null(store);
}

static void refuse(struct scene *s, pgk_checkpoints *store, pgk_status status,
                   const pgk_checkpoint *bad)
{
    FAILS(s, status, pgk_checkpoints_add(store, bad, &s->err));
}

static void bad_entries__refused_and_nothing_added(struct scene *s)
{
    pgk_checkpoints *store = open_store(s, 1);
    char *pointer = scene_memory(s, PGK_POINTER_MAX_BYTES + 2);
    memset(pointer, 'p', PGK_POINTER_MAX_BYTES + 1);
    pgk_checkpoint bad = checkpoint_of(-1, PGK_CHECKPOINT);
    refuse(s, store, PGK_ERR_INVALID_ARGUMENT, NULL);
    refuse(s, store, PGK_ERR_INVALID_ARGUMENT, &bad);
    bad = checkpoint_of(1, (pgk_checkpoint_kind)3);
    refuse(s, store, PGK_ERR_INVALID_ARGUMENT, &bad);
    bad = checkpoint_of(1, PGK_CHECKPOINT);
    bad.size = 1;
    refuse(s, store, PGK_ERR_INVALID_ARGUMENT, &bad);
    bad = checkpoint_of(1, PGK_CHECKPOINT);
    bad.retention = (pgk_retention)-1;
    refuse(s, store, PGK_ERR_INVALID_ARGUMENT, &bad);
    bad = checkpoint_of(1, PGK_CHECKPOINT);
    bad.completed_ms = -1;
    refuse(s, store, PGK_ERR_INVALID_ARGUMENT, &bad);
    bad = checkpoint_of(1, PGK_CHECKPOINT);
    bad.metadata_bytes = 0;
    refuse(s, store, PGK_ERR_INVALID_ARGUMENT, &bad);
    bad.metadata_bytes = PGK_METADATA_MAX_BYTES + 1; /* not looked at */
    refuse(s, store, PGK_ERR_TOO_LARGE, &bad);
    bad = checkpoint_of(1, PGK_CHECKPOINT);
    bad.pointer = "both";
    refuse(s, store, PGK_ERR_INVALID_ARGUMENT, &bad);
    bad.metadata = NULL;
    bad.pointer = NULL; /* neither */
    refuse(s, store, PGK_ERR_INVALID_ARGUMENT, &bad);
    bad.pointer = "\xff";
    refuse(s, store, PGK_ERR_INVALID_ARGUMENT, &bad);
    bad.pointer = pointer;
    refuse(s, store, PGK_ERR_TOO_LARGE, &bad);
    assert_int_equal(pgk_checkpoints_count(store), 0);
    assert_string_equal(checkpoints_text(s, store), "");
}

static void bad_arguments__invalid_argument(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct checkpoint_seen seen = {.answer = PGK_OK};
    pgk_checkpoint checkpoint = checkpoint_of(1, PGK_CHECKPOINT);
    pgk_checkpoints_options options = {.size = 3, .max_retained = 1};
    pgk_checkpoints *none = NULL;
    int64_t left;
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 1, NULL, NULL);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_ha_checkpoints(ha, PGK_UNFENCED, &options, &none, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_checkpoints(ha, PGK_UNFENCED, NULL, &none, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_checkpoints_add(NULL, &checkpoint, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_checkpoints_latest(store, NULL, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_checkpoints_all(NULL, checkpoint_see, &seen, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_checkpoints_shutdown(store, (pgk_job_status)17, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_checkpoints_shutdown(NULL, PGK_JOB_FINISHED, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_ha_discard_pending(ha, PGK_UNFENCED, NULL, NULL, NULL, &left, &s->err));
    assert_int_equal(pgk_checkpoints_count(NULL), 0);
    pgk_checkpoints_free(NULL);
    WORKS(s, pgk_checkpoints_add(store, &checkpoint, &s->err)); /* none has shut it down */
}

static void handle_closed__illegal_state(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct checkpoint_seen seen = {.answer = PGK_OK};
    pgk_checkpoint checkpoint = checkpoint_of(1, PGK_CHECKPOINT);
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 1, NULL, NULL);
    WORKS(s, pgk_ha_close(ha, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_checkpoints_add(store, &checkpoint, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_checkpoints_all(store, checkpoint_see, &seen, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_checkpoints_shutdown(store, PGK_JOB_FINISHED, &s->err));
}

static void callback_that_refuses__ends_the_list(struct scene *s)
{
    struct checkpoint_seen seen = {.answer = PGK_ERR_IO};
    pgk_checkpoints *store = open_store(s, 3);
    add_checkpoints(s, store, "cc");
    FAILS(s, PGK_ERR_IO, pgk_checkpoints_all(store, checkpoint_see, &seen, &s->err));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.checkpoint_id, 1);
}

static void num_retained__that_of_the_configuration(struct scene *s)
{
    assert_int_equal(pgk_ha_num_retained(scene_open(s)), 1);
    assert_int_equal(
        pgk_ha_num_retained(scene_open_with(s, "execution.checkpointing.num-retained", "7", NULL)),
        7);
    assert_int_equal(pgk_ha_num_retained(NULL), 0);
}

#define THREADS 4
#define ADDS 15

struct adder {
    pthread_t thread;
    pgk_checkpoints *store;
    pgk_checkpoint_counter *counter;
    int wrong;
};

static void *add_many(void *arg)
{
    struct adder *adder = arg;
    for (int i = 0; i < ADDS; i++) {
        int64_t id = 0;
        adder->wrong +=
            pgk_checkpoint_counter_get_and_increment(adder->counter, &id, NULL) != PGK_OK;
        pgk_checkpoint checkpoint = checkpoint_of(id, PGK_CHECKPOINT);
        adder->wrong += pgk_checkpoints_add(adder->store, &checkpoint, NULL) != PGK_OK;
    }
    return NULL;
}

static void added_by_many_threads__the_latest_stay(struct scene *s)
{
    struct adder adders[THREADS];
    pgk_ha *ha = scene_open(s);
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 2, NULL, NULL);
    pgk_checkpoint_counter *counter = scene_counter(s, ha, PGK_UNFENCED);
    for (int i = 0; i < THREADS; i++) {
        adders[i] = (struct adder){.store = store, .counter = counter};
        assert_int_equal(pthread_create(&adders[i].thread, NULL, add_many, &adders[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(adders[i].thread, NULL);
        assert_int_equal(adders[i].wrong, 0);
    }
    assert_int_equal(latest(s, store), THREADS * ADDS);
    assert_in_range(pgk_checkpoints_count(store), 2, 3);
    pgk_checkpoints *again = scene_checkpoints(s, ha, PGK_UNFENCED, 2, NULL, NULL);
    assert_int_equal(pgk_checkpoints_count(again), pgk_checkpoints_count(store));
}

static const struct conformance_case cases[] = {
    CASE(empty__nothing_listed_and_no_latest),
    CASE(numbers_of_more_digits__ascending),
    CASE(added_out_of_order__ascending),
    CASE(opened_anew__recovered),
    CASE_NEEDS(opened_in_another_handle__recovered, BIT(SHARES)),
    CASE(opened_with_a_smaller_maximum__the_surplus_leaves_with_the_next),
    CASE(maximum_2__the_oldest_leave),
    CASE(maximum_1__c1_c2_s1_s2_s3_leaves_c2_and_s3),
    CASE(maximum_1__c1_s1_c2_leaves_c2),
    CASE(maximum_1__c1_s1_stop_leaves_the_stop),
    CASE(below_the_latest__is_not_subsumed_by_its_own_add),
    CASE(same_id__already_exists),
    CASE(id_of_one_that_left__already_exists),
    CASE(all_fields__come_back),
    CASE(pointer_and_largest_id__come_back),
    CASE(large_metadata__comes_back),
    CASE(jobs__are_apart),
    CASE(clusters__are_apart),
    CASE(maximum_below_1__invalid_argument),
    CASE(bad_entries__refused_and_nothing_added),
    CASE(bad_arguments__invalid_argument),
    CASE(handle_closed__illegal_state),
    CASE(callback_that_refuses__ends_the_list),
    CASE(num_retained__that_of_the_configuration),
    CASE(added_by_many_threads__the_latest_stay),
};
AREA(checkpoints, cases);
