/*
 * tests/unit/test_cleanup_retry.c - Flink's strategies: what is tried again, when, and how often. Time is a
 * number of the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/error.h"
#include "services/cleanup_retry.h"

#define ENDLESS 2147483647
#define START_NS (INT64_C(1000) * NS_PER_S)

/* As by default. */
static const struct cleanup_retry standard = {.strategy = CLEANUP_EXPONENTIAL_DELAY,
                                              .fixed_attempts = ENDLESS,
                                              .fixed_delay_ms = 60000,
                                              .initial_backoff_ms = 1000,
                                              .max_backoff_ms = 3600000,
                                              .attempts = ENDLESS};

/* The wait after a try that failed so, in milliseconds; -1: there is no other. */
static int64_t wait_after(const struct cleanup_retry *rules, struct cleanup_tries *tries,
                          pgk_status status, int64_t now_ns)
{
    pgk_error error;
    int64_t at_ns = -1;
    error_set(&error, status, "test", "failed");
    if (!cleanup_retry_again(rules, tries, &error, now_ns, &at_ns)) {
        return -1;
    }
    return (at_ns - now_ns) / NS_PER_MS;
}

static void test_cleanup_retry__exponential__doubles_up_to_the_longest_without_end(void **state)
{
    (void)state;
    struct cleanup_tries tries = {0};
    int64_t now_ns = START_NS;
    int64_t expected_ms = 1000;
    for (int i = 0; i < 100; i++) {
        int64_t wait_ms = wait_after(&standard, &tries, PGK_ERR_CONNECTION, now_ns);
        assert_int_equal(wait_ms, expected_ms);
        now_ns += wait_ms * NS_PER_MS;
        expected_ms = expected_ms * 2 < 3600000 ? expected_ms * 2 : 3600000;
    }
    tries.failures = ENDLESS; /* and the number does not turn over */
    assert_int_equal(wait_after(&standard, &tries, PGK_ERR_CONNECTION, now_ns), 3600000);
    assert_int_equal(wait_after(&standard, &tries, PGK_ERR_CONNECTION, now_ns), 3600000);
}

static void test_cleanup_retry__exponential_attempts__are_retries(void **state)
{
    (void)state;
    struct cleanup_retry rules = standard;
    struct cleanup_tries tries = {0};
    rules.attempts = 2;
    assert_int_equal(wait_after(&rules, &tries, PGK_ERR_TIMEOUT, START_NS), 1000);
    assert_int_equal(wait_after(&rules, &tries, PGK_ERR_TIMEOUT, START_NS), 2000);
    assert_int_equal(wait_after(&rules, &tries, PGK_ERR_TIMEOUT, START_NS), -1);
    tries = (struct cleanup_tries){0};
    rules.attempts = 0;
    assert_int_equal(wait_after(&rules, &tries, PGK_ERR_TIMEOUT, START_NS), -1);
}

static void test_cleanup_retry__longest_below_twice_the_first__is_the_limit(void **state)
{
    (void)state;
    struct cleanup_retry rules = standard;
    struct cleanup_tries tries = {0};
    rules.initial_backoff_ms = 24 * 3600000;
    rules.max_backoff_ms = 24 * 3600000;
    assert_int_equal(wait_after(&rules, &tries, PGK_ERR_TIMEOUT, START_NS), 24 * 3600000);
    assert_int_equal(wait_after(&rules, &tries, PGK_ERR_TIMEOUT, START_NS), 24 * 3600000);
    tries = (struct cleanup_tries){0};
    rules.initial_backoff_ms = 1000;
    rules.max_backoff_ms = 1500;
    assert_int_equal(wait_after(&rules, &tries, PGK_ERR_TIMEOUT, START_NS), 1000);
    assert_int_equal(wait_after(&rules, &tries, PGK_ERR_TIMEOUT, START_NS), 1500);
}

static void test_cleanup_retry__fixed__same_wait_so_many_times(void **state)
{
    (void)state;
    struct cleanup_retry rules = standard;
    struct cleanup_tries tries = {0};
    rules.strategy = CLEANUP_FIXED_DELAY;
    rules.fixed_attempts = 3;
    rules.fixed_delay_ms = 250;
    rules.attempts = 0; /* of the other strategy */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(wait_after(&rules, &tries, PGK_ERR_RESOURCE, START_NS), 250);
    }
    assert_int_equal(wait_after(&rules, &tries, PGK_ERR_RESOURCE, START_NS), -1);
}

static void test_cleanup_retry__none__once(void **state)
{
    (void)state;
    struct cleanup_retry rules = standard;
    struct cleanup_tries tries = {0};
    rules.strategy = CLEANUP_NONE;
    assert_int_equal(wait_after(&rules, &tries, PGK_ERR_CONNECTION, START_NS), -1);
}

static void test_cleanup_retry__only_what_may_pass__is_tried_again(void **state)
{
    (void)state;
    for (int status = PGK_ERR_INVALID_ARGUMENT; status <= PGK_ERR_INTERNAL; status++) {
        struct cleanup_tries tries = {0};
        bool passes = status == PGK_ERR_TIMEOUT || status == PGK_ERR_CONNECTION ||
                      status == PGK_ERR_READ_ONLY || status == PGK_ERR_STALE_PRIMARY ||
                      status == PGK_ERR_RESOURCE || status == PGK_ERR_OUTCOME_UNKNOWN;
        assert_int_equal(wait_after(&standard, &tries, (pgk_status)status, START_NS),
                         passes ? 1000 : -1);
    }
    struct cleanup_tries tries = {0};
    pgk_error error;
    int64_t at_ns;
    error_set_sqlstate(&error, "40P01", "test",
                       "deadlock detected"); /* a DATABASE error that passes */
    assert_true(cleanup_retry_again(&standard, &tries, &error, START_NS, &at_ns));
}

/* The database knows a write again for an hour: a try after that could take what is new. */
static void test_cleanup_retry__unknown_outcome__for_half_an_hour(void **state)
{
    (void)state;
    struct cleanup_retry rules = standard;
    struct cleanup_tries tries = {0};
    rules.strategy = CLEANUP_FIXED_DELAY;
    rules.fixed_delay_ms = 10 * 60 * 1000;
    int64_t now_ns = START_NS;
    assert_true(wait_after(&rules, &tries, PGK_ERR_CONNECTION, now_ns) > 0);
    now_ns += 3600 * NS_PER_S; /* which counts from the unclear one */
    assert_true(wait_after(&rules, &tries, PGK_ERR_OUTCOME_UNKNOWN, now_ns) > 0);
    assert_true(wait_after(&rules, &tries, PGK_ERR_CONNECTION, now_ns + 600 * NS_PER_S) > 0);
    assert_true(wait_after(&rules, &tries, PGK_ERR_OUTCOME_UNKNOWN, now_ns + 1200 * NS_PER_S) > 0);
    assert_int_equal(wait_after(&rules, &tries, PGK_ERR_CONNECTION, now_ns + 1201 * NS_PER_S), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cleanup_retry__exponential__doubles_up_to_the_longest_without_end),
        cmocka_unit_test(test_cleanup_retry__exponential_attempts__are_retries),
        cmocka_unit_test(test_cleanup_retry__longest_below_twice_the_first__is_the_limit),
        cmocka_unit_test(test_cleanup_retry__fixed__same_wait_so_many_times),
        cmocka_unit_test(test_cleanup_retry__none__once),
        cmocka_unit_test(test_cleanup_retry__only_what_may_pass__is_tried_again),
        cmocka_unit_test(test_cleanup_retry__unknown_outcome__for_half_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
