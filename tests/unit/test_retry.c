/*
 * tests/unit/test_retry.c - how long to wait before the next try, and when there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/postgres/retry.h"
#include "core/clock.h"
#include "core/error.h"

static const struct settings settings = {.retry_wait_ms = 20, .max_retry_wait_ms = 1000};

static void expect_wait_after(int failures, const pgk_error *error, int64_t longest_ms)
{
    for (int i = 0; i < 200; i++) {
        int64_t wait_ns = retry_wait_ns(&settings, failures, error);
        assert_in_range(wait_ns, longest_ms * NS_PER_MS / 2, longest_ms * NS_PER_MS);
    }
}

static void expect_wait(int failures, pgk_status status, int64_t longest_ms)
{
    pgk_error error;
    error_set(&error, status, "test", "failed");
    expect_wait_after(failures, &error, longest_ms);
}

static void test_retry__failures_in_a_row__double_the_wait_up_to_the_longest(void **state)
{
    (void)state;
    expect_wait(1, PGK_ERR_CONNECTION, 20);
    expect_wait(2, PGK_ERR_CONNECTION, 40);
    expect_wait(6, PGK_ERR_CONNECTION, 640);
    expect_wait(7, PGK_ERR_CONNECTION, 1000);
    expect_wait(1000000, PGK_ERR_CONNECTION, 1000);
}

static void test_retry__lasting_fault__is_asked_for_less_often(void **state)
{
    (void)state;
    expect_wait(1, PGK_ERR_ACCESS, 5000);
}

/* A conflict stays, but not one that the server broke a deadlock with. */
static void test_retry__sqlstate_that_passes__is_waited_for_shortly(void **state)
{
    (void)state;
    pgk_error error;
    error_set_sqlstate(&error, "40P01", "test", "deadlock detected");
    expect_wait_after(1, &error, 20);
}

static void test_retry__attempts_and_time__are_limits(void **state)
{
    (void)state;
    struct settings few = settings;
    struct retry retry = {.settings = &few, .deadline_ns = clock_now_ns() + 60 * NS_PER_S};
    pgk_error error;
    int64_t at_ns;
    few.max_retry_attempts = 2;
    error_set(&error, PGK_ERR_CONNECTION, "test", "gone");
    assert_true(retry_again(&retry, &error, &at_ns));
    assert_true(retry_again(&retry, &error, &at_ns));
    assert_false(retry_again(&retry, &error, &at_ns));
    few.max_retry_attempts = 0;
    assert_true(retry_again(&retry, &error, &at_ns));
    retry.deadline_ns = clock_now_ns();
    assert_false(retry_again(&retry, &error, &at_ns));
}

static void test_retry__error_that_stays__is_not_retried(void **state)
{
    (void)state;
    struct retry retry = {.settings = &settings, .deadline_ns = CLOCK_NEVER};
    pgk_error error;
    int64_t at_ns;
    error_set(&error, PGK_ERR_SCHEMA, "test", "missing");
    assert_false(retry_again(&retry, &error, &at_ns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry__failures_in_a_row__double_the_wait_up_to_the_longest),
        cmocka_unit_test(test_retry__lasting_fault__is_asked_for_less_often),
        cmocka_unit_test(test_retry__sqlstate_that_passes__is_waited_for_shortly),
        cmocka_unit_test(test_retry__attempts_and_time__are_limits),
        cmocka_unit_test(test_retry__error_that_stays__is_not_retried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
