/*
 * tests/postgres/test_counter.c - the checkpoint counter: contracts of its calls, its ends, and that
 * no number is ever issued twice by many threads of many processes.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_tools.h"

struct scene {
    struct fixture *fixture;
    pgk_ha *ha;
    pgk_checkpoint_counter *counter;
    pgk_error err;
};

static pgk_checkpoint_counter *open_counter(struct scene *s, int job)
{
    pgk_checkpoint_counter *counter = NULL;
    pgk_uuid id = job_of(job);
    STORE_WORKS(&s->err, pgk_ha_checkpoint_counter(s->ha, PGK_UNFENCED, &id, &counter, &s->err));
    return counter;
}

static void open_scene(struct scene *s, void **state)
{
    *s = (struct scene){.fixture = *state};
    s->ha = handle_open(s->fixture, "a", NULL);
    s->counter = open_counter(s, 1);
}

static void close_scene(struct scene *s)
{
    pgk_checkpoint_counter_free(s->counter);
    handle_close(s->ha);
}

static int64_t next(struct scene *s)
{
    int64_t value = -1;
    STORE_WORKS(&s->err, pgk_checkpoint_counter_get_and_increment(s->counter, &value, &s->err));
    return value;
}

static int64_t peek(struct scene *s)
{
    int64_t value = -1;
    STORE_WORKS(&s->err, pgk_checkpoint_counter_get(s->counter, &value, &s->err));
    return value;
}

static int64_t rows(struct scene *s)
{
    return db_int(s->fixture, "SELECT count(*) FROM pgkeeper.checkpoint_counter");
}

static void test_counter__new__starts_at_1_and_counts(void **state)
{
    struct scene s;
    open_scene(&s, state);
    assert_int_equal(peek(&s), 1);
    assert_int_equal(rows(&s), 0); /* looking makes nothing */
    assert_int_equal(next(&s), 1);
    assert_int_equal(peek(&s), 2);
    assert_int_equal(next(&s), 2);
    assert_int_equal(next(&s), 3);
    pgk_checkpoint_counter *other = open_counter(&s, 2);
    int64_t value;
    STORE_WORKS(&s.err, pgk_checkpoint_counter_get_and_increment(other, &value, &s.err));
    assert_int_equal(value, 1);
    pgk_checkpoint_counter_free(other);
    /* Kept when the object goes. */
    pgk_checkpoint_counter_free(s.counter);
    s.counter = open_counter(&s, 1);
    assert_int_equal(next(&s), 4);
    close_scene(&s);
}

static void test_counter__set__is_absolute(void **state)
{
    struct scene s;
    open_scene(&s, state);
    STORE_WORKS(&s.err, pgk_checkpoint_counter_set(s.counter, 100, &s.err));
    assert_int_equal(peek(&s), 100);
    assert_int_equal(next(&s), 100);
    STORE_WORKS(&s.err, pgk_checkpoint_counter_set(s.counter, 0, &s.err));
    assert_int_equal(next(&s), 0);
    STORE_WORKS(&s.err, pgk_checkpoint_counter_set(s.counter, 7, &s.err));
    STORE_WORKS(&s.err, pgk_checkpoint_counter_set(s.counter, 7, &s.err));
    assert_int_equal(next(&s), 7);
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &s.err,
                pgk_checkpoint_counter_set(s.counter, -1, &s.err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, &s.err,
                pgk_checkpoint_counter_set(s.counter, INT64_MIN, &s.err));
    assert_int_equal(peek(&s), 8);
    close_scene(&s);
}

static void test_counter__at_its_end__an_error_and_the_last_is_never_issued(void **state)
{
    struct scene s;
    int64_t value = -1;
    open_scene(&s, state);
    STORE_WORKS(&s.err, pgk_checkpoint_counter_set(s.counter, INT64_MAX - 1, &s.err));
    assert_int_equal(next(&s), INT64_MAX - 1);
    for (int i = 0; i < 2; i++) {
        STORE_FAILS(PGK_ERR_RESOURCE, &s.err,
                    pgk_checkpoint_counter_get_and_increment(s.counter, &value, &s.err));
        assert_false(s.err.flags & PGK_ERROR_RETRYABLE);
    }
    assert_int_equal(value, -1);
    assert_int_equal(peek(&s), INT64_MAX);
    STORE_WORKS(&s.err, pgk_checkpoint_counter_set(s.counter, 5, &s.err));
    assert_int_equal(next(&s), 5);
    close_scene(&s);
}

static void test_counter__shutdown__deletes_for_good_or_keeps(void **state)
{
    static const struct {
        pgk_job_status status;
        bool deletes;
    } cases[] = {{PGK_JOB_FINISHED, true}, {PGK_JOB_FAILED, true},     {PGK_JOB_CANCELED, true},
                 {PGK_JOB_UNKNOWN, false}, {PGK_JOB_SUSPENDED, false}, {PGK_JOB_RUNNING, false}};
    struct scene s;
    open_scene(&s, state);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = -1;
        STORE_WORKS(&s.err, pgk_checkpoint_counter_set(s.counter, 50, &s.err));
        STORE_WORKS(&s.err, pgk_checkpoint_counter_shutdown(s.counter, cases[i].status, &s.err));
        STORE_WORKS(&s.err, pgk_checkpoint_counter_shutdown(s.counter, cases[i].status, &s.err));
        assert_int_equal(rows(&s), cases[i].deletes ? 0 : 1);
        STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &s.err,
                    pgk_checkpoint_counter_get_and_increment(s.counter, &value, &s.err));
        STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &s.err,
                    pgk_checkpoint_counter_get(s.counter, &value, &s.err));
        STORE_FAILS(PGK_ERR_ILLEGAL_STATE, &s.err,
                    pgk_checkpoint_counter_set(s.counter, 3, &s.err));
        assert_int_equal(rows(&s), cases[i].deletes ? 0 : 1);
        pgk_checkpoint_counter_free(s.counter);
        s.counter = open_counter(&s, 1);
        assert_int_equal(peek(&s), cases[i].deletes ? 1 : 50);
    }
    /* First suspended, then over: an end that keeps does not hinder the one that deletes. */
    STORE_WORKS(&s.err, pgk_checkpoint_counter_shutdown(s.counter, PGK_JOB_SUSPENDED, &s.err));
    STORE_WORKS(&s.err, pgk_checkpoint_counter_shutdown(s.counter, PGK_JOB_FINISHED, &s.err));
    assert_int_equal(rows(&s), 0);
    close_scene(&s);
}

static void test_counter__bad_arguments__are_named_and_nothing_is_written(void **state)
{
    struct scene s;
    pgk_error *err = &s.err;
    pgk_token zero = {.epoch = 0};
    pgk_uuid job = job_of(1);
    pgk_checkpoint_counter *none = NULL;
    int64_t value;
    open_scene(&s, state);
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_checkpoint_counter(s.ha, NULL, &job, &none, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_checkpoint_counter(s.ha, &zero, &job, &none, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_checkpoint_counter(s.ha, PGK_UNFENCED, NULL, &none, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_checkpoint_counter(s.ha, PGK_UNFENCED, &job, NULL, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_ha_checkpoint_counter(NULL, PGK_UNFENCED, &job, &none, err));
    assert_null(none);
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_checkpoint_counter_get_and_increment(NULL, &value, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_checkpoint_counter_get_and_increment(s.counter, NULL, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_checkpoint_counter_get(s.counter, NULL, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_checkpoint_counter_get(NULL, &value, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err, pgk_checkpoint_counter_set(NULL, 1, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_checkpoint_counter_shutdown(NULL, PGK_JOB_FINISHED, err));
    STORE_FAILS(PGK_ERR_INVALID_ARGUMENT, err,
                pgk_checkpoint_counter_shutdown(s.counter, (pgk_job_status)6, err));
    assert_int_equal(rows(&s), 0);
    assert_int_equal(next(&s), 1); /* the shutdown that was refused was none */
    pgk_checkpoint_counter_free(NULL);
    STORE_WORKS(err, pgk_ha_close(s.ha, err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, err,
                pgk_checkpoint_counter_get_and_increment(s.counter, &value, err));
    STORE_FAILS(PGK_ERR_ILLEGAL_STATE, err,
                pgk_checkpoint_counter_shutdown(s.counter, PGK_JOB_FINISHED, err));
    assert_int_equal(db_int(s.fixture, "SELECT next_id FROM pgkeeper.checkpoint_counter"), 2);
    pgk_checkpoint_counter_free(s.counter);
    pgk_ha_free(s.ha);
}

/* ------------------------------------------------------------------ many at once */

#ifdef PGK_TEST_SANITIZED
#define TIMES 40
#else
#define TIMES 500
#endif
#define PROCESSES 4
#define THREADS 16

struct taker {
    pthread_t thread;
    pgk_checkpoint_counter *counter;
    int64_t *taken; /* TIMES of them */
    bool failed;
};

static void *take_many(void *arg)
{
    struct taker *taker = arg;
    for (int i = 0; i < TIMES; i++) {
        if (pgk_checkpoint_counter_get_and_increment(taker->counter, &taker->taken[i], NULL) !=
            PGK_OK) {
            taker->failed = true;
        }
    }
    return NULL;
}

/* In a child: exits with 0 when all its calls worked. */
static int take_in_process(const pgk_config *config, int64_t *taken)
{
    struct taker takers[THREADS];
    pgk_ha *ha = NULL;
    pgk_checkpoint_counter *counter = NULL;
    pgk_uuid job = job_of(1);
    int failed = 0;
    if (pgk_ha_open(config, &ha, NULL) != PGK_OK ||
        pgk_ha_checkpoint_counter(ha, PGK_UNFENCED, &job, &counter, NULL) != PGK_OK) {
        return 1;
    }
    for (int i = 0; i < THREADS; i++) {
        takers[i] = (struct taker){.counter = counter, .taken = taken + i * TIMES};
        if (pthread_create(&takers[i].thread, NULL, take_many, &takers[i]) != 0) {
            return 2;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(takers[i].thread, NULL);
        failed += takers[i].failed;
    }
    pgk_checkpoint_counter_free(counter);
    pgk_ha_free(ha);
    return failed == 0 ? 0 : 3;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void test_counter__threads_of_processes__no_repeat_and_in_order(void **state)
{
    struct fixture *fixture = *state;
    size_t count = (size_t)PROCESSES * THREADS * TIMES;
    int64_t *taken = mmap(NULL, count * sizeof(*taken), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pgk_config *config = handle_config(fixture, "taker", NULL);
    pid_t children[PROCESSES];
    assert_ptr_not_equal(taken, MAP_FAILED);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork(); /* before this process has a handle */
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            _exit(take_in_process(config, taken + (size_t)i * THREADS * TIMES));
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    for (size_t i = 0; i < count; i++) { /* within a thread each is larger than the one before */
        assert_true(i % TIMES == 0 || taken[i] > taken[i - 1]);
    }
    qsort(taken, count, sizeof(*taken), compare);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(taken[i], i + 1); /* none twice; and none was lost, as nothing broke */
    }
    assert_int_equal(db_int(fixture, "SELECT next_id FROM pgkeeper.checkpoint_counter"), count + 1);
    pgk_config_free(config);
    munmap(taken, count * sizeof(*taken));
}

/* A shutdown waits for the calls before it, so that none of them makes the counter anew. */
static void test_counter__shutdown_under_load__leaves_nothing(void **state)
{
    struct scene s;
    struct taker takers[4];
    static int64_t taken[4][TIMES];
    open_scene(&s, state);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 4; i++) {
            takers[i] = (struct taker){.counter = s.counter, .taken = taken[i]};
            assert_int_equal(pthread_create(&takers[i].thread, NULL, take_many, &takers[i]), 0);
        }
        WAIT_UNTIL(rows(&s) > 0, WAIT_LONG_MS);
        STORE_WORKS(&s.err, pgk_checkpoint_counter_shutdown(s.counter, PGK_JOB_FINISHED, &s.err));
        for (int i = 0; i < 4; i++) {
            pthread_join(takers[i].thread, NULL);
        }
        assert_int_equal(rows(&s), 0);
        pgk_checkpoint_counter_free(s.counter);
        s.counter = open_counter(&s, 1);
    }
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_counter__new__starts_at_1_and_counts),
        DB_TEST(test_counter__set__is_absolute),
        DB_TEST(test_counter__at_its_end__an_error_and_the_last_is_never_issued),
        DB_TEST(test_counter__shutdown__deletes_for_good_or_keeps),
        DB_TEST(test_counter__bad_arguments__are_named_and_nothing_is_written),
        DB_TEST(test_counter__threads_of_processes__no_repeat_and_in_order),
        DB_TEST(test_counter__shutdown_under_load__leaves_nothing),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
