/*
 * Tests of core/error: filling, wrapping and cutting of pgk_error; names and texts of the statuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/text.h"

static const pgk_status all[] = {
#define STATUS(name, value, text) name,
    PGK_STATUS_LIST(STATUS)
#undef STATUS
};
#define ALL_COUNT (sizeof(all) / sizeof(all[0]))

static void test_error__size__is_part_of_the_abi(void **state)
{
    (void)state;
    assert_int_equal(sizeof(pgk_error), 512);
}

static void test_error__each_status__has_its_own_value_name_and_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL_COUNT; i++) {
        assert_int_equal(all[i], (int)i);
        assert_int_equal(strncmp(pgk_status_name(all[i]), "PGK_", 4), 0);
        assert_true(strlen(pgk_status_text(all[i])) > 1);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(pgk_status_name(all[i]), pgk_status_name(all[j]));
            assert_string_not_equal(pgk_status_text(all[i]), pgk_status_text(all[j]));
        }
    }
    assert_string_equal(pgk_status_name(PGK_ERR_TIMEOUT), "PGK_ERR_TIMEOUT");
    assert_string_equal(pgk_status_text(PGK_ERR_TIMEOUT), "timed out");
}

static void test_error__number_that_is_no_status__has_a_text_too(void **state)
{
    (void)state;
    assert_string_equal(pgk_status_name((pgk_status)9999), "PGK_ERR_?");
    assert_string_equal(pgk_status_text((pgk_status)-1), "unknown status");
}

static void test_error__set__fills_all_and_returns_the_status(void **state)
{
    (void)state;
    pgk_error err;
    memset(&err, 0x5A, sizeof(err)); /* callers need not initialise it */
    assert_int_equal(error_set(&err, PGK_ERR_CONFIG, "a.b", "%s is %d", "x", 3), PGK_ERR_CONFIG);
    assert_int_equal(err.status, PGK_ERR_CONFIG);
    assert_int_equal(err.flags, 0);
    assert_string_equal(err.sqlstate, "");
    assert_string_equal(err.origin, "a.b");
    assert_string_equal(err.message, "x is 3");
    error_reset(&err);
    assert_int_equal(err.status, PGK_OK);
    assert_int_equal(err.flags, 0);
    assert_string_equal(err.origin, "");
    assert_string_equal(err.message, "");
}

static void test_error__no_error_wanted__still_returns_the_status(void **state)
{
    (void)state;
    error_reset(NULL);
    assert_int_equal(error_set(NULL, PGK_ERR_IO, "x", "y"), PGK_ERR_IO);
    assert_int_equal(error_set_sqlstate(NULL, "57014", "x", "y"), PGK_ERR_TIMEOUT);
    assert_int_equal(error_wrap(NULL, PGK_ERR_IO, "x"), PGK_ERR_IO);
}

static void test_error__flags__follow_the_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL_COUNT; i++) {
        bool passing = all[i] == PGK_ERR_TIMEOUT || all[i] == PGK_ERR_CONNECTION ||
                       all[i] == PGK_ERR_READ_ONLY || all[i] == PGK_ERR_STALE_PRIMARY ||
                       all[i] == PGK_ERR_RESOURCE;
        uint32_t flags = passing ? PGK_ERROR_RETRYABLE : 0;
        if (all[i] == PGK_ERR_OUTCOME_UNKNOWN) {
            flags = PGK_ERROR_OUTCOME_UNKNOWN;
        }
        pgk_error err;
        error_set(&err, all[i], "x", "y");
        assert_int_equal(err.flags, flags);
        assert_int_equal(status_is_retryable(all[i]), passing);
    }
}

static void test_error__set_sqlstate__takes_status_and_flags_from_the_table(void **state)
{
    (void)state;
    pgk_error err;
    assert_int_equal(error_set_sqlstate(&err, "40001", "a", "b %d", 1), PGK_ERR_CONFLICT);
    assert_int_equal(err.status, PGK_ERR_CONFLICT);
    assert_int_equal(err.flags, PGK_ERROR_RETRYABLE); /* CONFLICT by itself is not */
    assert_string_equal(err.sqlstate, "40001");
    assert_string_equal(err.message, "b 1");
    assert_int_equal(error_set_sqlstate(&err, "08007", "a", "b"), PGK_ERR_OUTCOME_UNKNOWN);
    assert_int_equal(err.flags, PGK_ERROR_OUTCOME_UNKNOWN);
    assert_int_equal(error_set_sqlstate(&err, NULL, "a", "b"), PGK_ERR_DATABASE);
    assert_string_equal(err.sqlstate, "");
}

static void test_error__wrap__puts_the_context_before(void **state)
{
    (void)state;
    pgk_error err;
    error_set_sqlstate(&err, "08006", "open", "reset");
    assert_int_equal(error_wrap(&err, PGK_ERR_CONNECTION, "host %s", "a"), PGK_ERR_CONNECTION);
    assert_int_equal(error_wrap(&err, PGK_ERR_CONNECTION, "open"), PGK_ERR_CONNECTION);
    assert_string_equal(err.message, "open: host a: reset");
    assert_string_equal(err.sqlstate, "08006");
    assert_string_equal(err.origin, "open");
    assert_int_equal(err.flags, PGK_ERROR_RETRYABLE);
}

static void test_error__made_from_its_own_message__keeps_it(void **state)
{
    (void)state;
    pgk_error err;
    error_set(&err, PGK_ERR_IO, "x", "inner");
    error_set(&err, PGK_ERR_CONFIG, err.origin, "outer (%s)", err.message);
    assert_string_equal(err.message, "outer (inner)");
    assert_string_equal(err.origin, "x");
    error_wrap(&err, PGK_ERR_CONFIG, "%s", err.message);
    assert_string_equal(err.message, "outer (inner): outer (inner)");
}

static void test_error__too_long__is_cut_between_characters(void **state)
{
    (void)state;
    char longer[PGK_ERROR_MESSAGE_SIZE * 2];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(longer, 'x', shift);
        longer[shift] = '\0';
        while (strlen(longer) + 4 < sizeof(longer)) {
            memcpy(longer + strlen(longer), "\xF0\x9F\x98\x80", 5);
        }
        pgk_error err;
        error_set(&err, PGK_ERR_IO, longer, "%s", longer);
        assert_true(text_is_valid(err.message, PGK_ERROR_MESSAGE_SIZE - 4, SIZE_MAX - 1));
        assert_true(text_is_valid(err.origin, PGK_ERROR_ORIGIN_SIZE - 4, SIZE_MAX - 1));
        error_wrap(&err, PGK_ERR_IO, "y%s", "z");
        assert_true(text_is_valid(err.message, PGK_ERROR_MESSAGE_SIZE - 4, SIZE_MAX - 1));
        error_wrap(&err, PGK_ERR_IO, "%s", longer);
        assert_true(text_is_valid(err.message, PGK_ERROR_MESSAGE_SIZE - 4, SIZE_MAX - 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error__size__is_part_of_the_abi),
        cmocka_unit_test(test_error__each_status__has_its_own_value_name_and_text),
        cmocka_unit_test(test_error__number_that_is_no_status__has_a_text_too),
        cmocka_unit_test(test_error__set__fills_all_and_returns_the_status),
        cmocka_unit_test(test_error__no_error_wanted__still_returns_the_status),
        cmocka_unit_test(test_error__flags__follow_the_status),
        cmocka_unit_test(test_error__set_sqlstate__takes_status_and_flags_from_the_table),
        cmocka_unit_test(test_error__wrap__puts_the_context_before),
        cmocka_unit_test(test_error__made_from_its_own_message__keeps_it),
        cmocka_unit_test(test_error__too_long__is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
