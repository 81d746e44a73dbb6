/* tests/conformance/cases_counter.c - contract 7, the counter that numbers checkpoints. */
#include "suite.h"

static pgk_checkpoint_counter *open_counter(struct scene *s)
{
    return scene_counter(s, scene_open(s), PGK_UNFENCED);
}

static int64_t issue(struct scene *s, pgk_checkpoint_counter *counter)
{
    int64_t value = -1;
    WORKS(s, pgk_checkpoint_counter_get_and_increment(counter, &value, &s->err));
    return value;
}

static void new__starts_at_1(struct scene *s)
{
    pgk_checkpoint_counter *counter = open_counter(s);
    assert_int_equal(counter_next(s, counter), 1);
    assert_int_equal(issue(s, counter), 1);
    assert_int_equal(issue(s, counter), 2);
}

static void get__the_next_to_be_issued_and_issues_none(struct scene *s)
{
    pgk_checkpoint_counter *counter = open_counter(s);
    issue(s, counter);
    assert_int_equal(counter_next(s, counter), 2);
    assert_int_equal(counter_next(s, counter), 2);
    assert_int_equal(issue(s, counter), 2);
}

static void set__absolute_also_to_a_smaller_one(struct scene *s)
{
    pgk_checkpoint_counter *counter = open_counter(s);
    WORKS(s, pgk_checkpoint_counter_set(counter, 100, &s->err));
    assert_int_equal(issue(s, counter), 100);
    WORKS(s, pgk_checkpoint_counter_set(counter, 5, &s->err));
    assert_int_equal(issue(s, counter), 5);
    WORKS(s, pgk_checkpoint_counter_set(counter, 0, &s->err));
    assert_int_equal(issue(s, counter), 0);
}

static void set_beyond_32_bits__works(struct scene *s)
{
    pgk_checkpoint_counter *counter = open_counter(s);
    WORKS(s, pgk_checkpoint_counter_set(counter, INT64_C(5000000000), &s->err));
    assert_int_equal(issue(s, counter), INT64_C(5000000000));
    assert_int_equal(counter_next(s, counter), INT64_C(5000000001));
}

static void set_negative__invalid_argument(struct scene *s)
{
    pgk_checkpoint_counter *counter = open_counter(s);
    issue(s, counter);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_checkpoint_counter_set(counter, -1, &s->err));
    assert_int_equal(counter_next(s, counter), 2);
}

static void at_its_end__an_error_and_the_last_is_never_issued(struct scene *s)
{
    int64_t value = -1;
    pgk_checkpoint_counter *counter = open_counter(s);
    WORKS(s, pgk_checkpoint_counter_set(counter, INT64_MAX - 1, &s->err));
    assert_int_equal(issue(s, counter), INT64_MAX - 1);
    FAILS(s, PGK_ERR_RESOURCE, pgk_checkpoint_counter_get_and_increment(counter, &value, &s->err));
    FAILS(s, PGK_ERR_RESOURCE, pgk_checkpoint_counter_get_and_increment(counter, &value, &s->err));
    assert_int_equal(value, -1);
    assert_int_equal(counter_next(s, counter), INT64_MAX);
}

static void another_counter_of_the_job__goes_on(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_checkpoint_counter *counter = scene_counter(s, ha, PGK_UNFENCED);
    assert_int_equal(issue(s, counter), 1);
    pgk_checkpoint_counter *again = scene_counter(s, ha, PGK_UNFENCED);
    assert_int_equal(issue(s, again), 2);
    assert_int_equal(issue(s, counter), 3);
}

static void another_handle__goes_on(struct scene *s)
{
    pgk_checkpoint_counter *here = open_counter(s);
    pgk_checkpoint_counter *there = open_counter(s);
    assert_int_equal(issue(s, here), 1);
    assert_int_equal(issue(s, there), 2);
    assert_int_equal(issue(s, here), 3);
}

static void jobs__are_apart(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(2);
    pgk_checkpoint_counter *other = NULL;
    pgk_checkpoint_counter *counter = scene_counter(s, ha, PGK_UNFENCED);
    WORKS(s, pgk_ha_checkpoint_counter(ha, PGK_UNFENCED, &job, &other, &s->err));
    issue(s, counter);
    issue(s, counter);
    assert_int_equal(issue(s, other), 1);
    pgk_checkpoint_counter_free(other);
}

static void shutdown_terminal__deleted_and_a_new_one_starts_at_1(struct scene *s)
{
    static const pgk_job_status terminal[] = {PGK_JOB_FINISHED, PGK_JOB_FAILED, PGK_JOB_CANCELED};
    pgk_ha *ha = scene_open(s);
    for (int i = 0; i < 3; i++) {
        pgk_checkpoint_counter *counter = scene_counter(s, ha, PGK_UNFENCED);
        assert_int_equal(issue(s, counter), 1);
        WORKS(s, pgk_checkpoint_counter_shutdown(counter, terminal[i], &s->err));
    }
    assert_int_equal(counter_next(s, scene_counter(s, ha, PGK_UNFENCED)), 1);
}

static void shutdown_otherwise__kept(struct scene *s)
{
    static const pgk_job_status others[] = {PGK_JOB_SUSPENDED, PGK_JOB_RUNNING, PGK_JOB_UNKNOWN};
    pgk_ha *ha = scene_open(s);
    for (int i = 0; i < 3; i++) {
        pgk_checkpoint_counter *counter = scene_counter(s, ha, PGK_UNFENCED);
        assert_int_equal(issue(s, counter), i + 1);
        WORKS(s, pgk_checkpoint_counter_shutdown(counter, others[i], &s->err));
    }
    assert_int_equal(counter_next(s, scene_counter(s, ha, PGK_UNFENCED)), 4);
}

static void after_shutdown__illegal_state_and_again_is_fine(struct scene *s)
{
    int64_t value = -1;
    pgk_checkpoint_counter *counter = open_counter(s);
    WORKS(s, pgk_checkpoint_counter_shutdown(counter, PGK_JOB_FINISHED, &s->err));
    WORKS(s, pgk_checkpoint_counter_shutdown(counter, PGK_JOB_FINISHED, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_checkpoint_counter_get_and_increment(counter, &value, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_checkpoint_counter_get(counter, &value, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_checkpoint_counter_set(counter, 3, &s->err));
    assert_int_equal(value, -1);
}

static void bad_arguments__invalid_argument(struct scene *s)
{
    int64_t value = -1;
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    pgk_checkpoint_counter *none = NULL;
    pgk_checkpoint_counter *counter = scene_counter(s, ha, PGK_UNFENCED);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_ha_checkpoint_counter(ha, PGK_UNFENCED, NULL, &none, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_ha_checkpoint_counter(ha, PGK_UNFENCED, &job, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_checkpoint_counter_get_and_increment(NULL, &value, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_checkpoint_counter_get_and_increment(counter, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_checkpoint_counter_get(counter, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_checkpoint_counter_shutdown(counter, (pgk_job_status)17, &s->err));
    pgk_checkpoint_counter_free(NULL);
    assert_int_equal(issue(s, counter), 1);
}

static void handle_closed__illegal_state(struct scene *s)
{
    int64_t value = -1;
    pgk_ha *ha = scene_open(s);
    pgk_checkpoint_counter *counter = scene_counter(s, ha, PGK_UNFENCED);
    WORKS(s, pgk_ha_close(ha, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_checkpoint_counter_get_and_increment(counter, &value, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_checkpoint_counter_get(counter, &value, &s->err));
}

#define THREADS 8
#define TURNS 60

struct taker {
    pthread_t thread;
    pgk_checkpoint_counter *counter;
    int64_t values[TURNS];
    int wrong;
};

static void *take_many(void *arg)
{
    struct taker *taker = arg;
    for (int i = 0; i < TURNS; i++) {
        taker->wrong += pgk_checkpoint_counter_get_and_increment(taker->counter, &taker->values[i],
                                                                 NULL) != PGK_OK;
        taker->wrong += i > 0 && taker->values[i] <= taker->values[i - 1];
    }
    return NULL;
}

static void take_at_once(struct scene *s, pgk_checkpoint_counter *const counters[2])
{
    struct taker *takers = scene_memory(s, THREADS * sizeof(*takers));
    bool *seen = scene_memory(s, THREADS * TURNS + 1);
    for (int i = 0; i < THREADS; i++) {
        takers[i].counter = counters[i % 2];
        assert_int_equal(pthread_create(&takers[i].thread, NULL, take_many, &takers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(takers[i].thread, NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(takers[i].wrong, 0);
        for (int turn = 0; turn < TURNS; turn++) {
            assert_in_range(takers[i].values[turn], 1, THREADS * TURNS);
            assert_false(seen[takers[i].values[turn]]);
            seen[takers[i].values[turn]] = true;
        }
    }
}

static void many_threads__no_value_twice(struct scene *s)
{
    pgk_checkpoint_counter *counter = open_counter(s);
    take_at_once(s, (pgk_checkpoint_counter *const[2]){counter, counter});
}

static void many_threads_of_two_handles__no_value_twice(struct scene *s)
{
    pgk_checkpoint_counter *counters[2] = {open_counter(s), open_counter(s)};
    take_at_once(s, counters);
}

static const struct conformance_case cases[] = {
    CASE(new__starts_at_1),
    CASE(get__the_next_to_be_issued_and_issues_none),
    CASE(set__absolute_also_to_a_smaller_one),
    CASE(set_beyond_32_bits__works),
    CASE(set_negative__invalid_argument),
    CASE(at_its_end__an_error_and_the_last_is_never_issued),
    CASE(another_counter_of_the_job__goes_on),
    CASE_NEEDS(another_handle__goes_on, BIT(SHARES)),
    CASE(jobs__are_apart),
    CASE(shutdown_terminal__deleted_and_a_new_one_starts_at_1),
    CASE(shutdown_otherwise__kept),
    CASE(after_shutdown__illegal_state_and_again_is_fine),
    CASE(bad_arguments__invalid_argument),
    CASE(handle_closed__illegal_state),
    CASE(many_threads__no_value_twice),
    CASE_NEEDS(many_threads_of_two_handles__no_value_twice, BIT(SHARES)),
};
AREA(counter, cases);
