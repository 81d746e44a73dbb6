/*
 * Tests of core/sqlstate: every row of the table against a list of its own, classes, and what is no
 * code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/sqlstate.h"

/* What PostgreSQL raises and what it shall mean: written apart from the table on purpose. A class
 * is shown by a code that has no row of its own. */
static const struct sqlstate_row expected[] = {
    {"PK001", PGK_ERR_FENCED, false},
    {"PK002", PGK_ERR_NOT_FOUND, false},
    {"PK003", PGK_ERR_CONFLICT, false},
    {"PK004", PGK_ERR_CONFLICT, true},
    {"57P01", PGK_ERR_CONNECTION, true},
    {"57P02", PGK_ERR_CONNECTION, true},
    {"57P03", PGK_ERR_CONNECTION, true},
    {"57P04", PGK_ERR_ACCESS, false},
    {"57P05", PGK_ERR_CONNECTION, true},
    {"25P03", PGK_ERR_CONNECTION, true},
    {"25P04", PGK_ERR_CONNECTION, true},
    {"57014", PGK_ERR_TIMEOUT, true},
    {"55P03", PGK_ERR_TIMEOUT, true},
    {"25006", PGK_ERR_READ_ONLY, true},
    {"08007", PGK_ERR_OUTCOME_UNKNOWN, false},
    {"40003", PGK_ERR_OUTCOME_UNKNOWN, false},
    {"40002", PGK_ERR_CONFLICT, false},
    {"42501", PGK_ERR_ACCESS, false},
    {"3D000", PGK_ERR_ACCESS, false},
    {"3F000", PGK_ERR_SCHEMA, false},
    {"42P01", PGK_ERR_SCHEMA, false},
    {"42703", PGK_ERR_SCHEMA, false},
    {"42704", PGK_ERR_SCHEMA, false},
    {"42883", PGK_ERR_SCHEMA, false},
    {"23505", PGK_ERR_ALREADY_EXISTS, false},
    {"23502", PGK_ERR_INVALID_ARGUMENT, false},
    {"23514", PGK_ERR_INVALID_ARGUMENT, false},
    {"42P04", PGK_ERR_ALREADY_EXISTS, false},
    {"42P06", PGK_ERR_ALREADY_EXISTS, false},
    {"42P07", PGK_ERR_ALREADY_EXISTS, false},
    {"42710", PGK_ERR_ALREADY_EXISTS, false},
    {"42723", PGK_ERR_ALREADY_EXISTS, false},
    {"55000", PGK_ERR_ILLEGAL_STATE, false},
    {"55006", PGK_ERR_CONFLICT, true},
    {"P0002", PGK_ERR_NOT_FOUND, false},
    {"XX001", PGK_ERR_CORRUPT, false},
    {"XX002", PGK_ERR_CORRUPT, false},
    {"08", PGK_ERR_CONNECTION, true},
    {"0A", PGK_ERR_UNSUPPORTED, false},
    {"0L", PGK_ERR_ACCESS, false},
    {"0P", PGK_ERR_ACCESS, false},
    {"22", PGK_ERR_INVALID_ARGUMENT, false},
    {"23", PGK_ERR_CONFLICT, false},
    {"25", PGK_ERR_ILLEGAL_STATE, false},
    {"26", PGK_ERR_UNSUPPORTED, false},
    {"28", PGK_ERR_ACCESS, false},
    {"40", PGK_ERR_CONFLICT, true},
    {"53", PGK_ERR_RESOURCE, true},
    {"54", PGK_ERR_TOO_LARGE, false},
    {"58", PGK_ERR_IO, false},
    /* codes that come by their class */
    {"08000", PGK_ERR_CONNECTION, true},
    {"08006", PGK_ERR_CONNECTION, true},
    {"08P01", PGK_ERR_CONNECTION, true},
    {"0A000", PGK_ERR_UNSUPPORTED, false},
    {"0P000", PGK_ERR_ACCESS, false},
    {"22021", PGK_ERR_INVALID_ARGUMENT, false},
    {"22P02", PGK_ERR_INVALID_ARGUMENT, false},
    {"23503", PGK_ERR_CONFLICT, false},
    {"23P01", PGK_ERR_CONFLICT, false},
    {"25001", PGK_ERR_ILLEGAL_STATE, false},
    {"25P02", PGK_ERR_ILLEGAL_STATE, false},
    {"26000", PGK_ERR_UNSUPPORTED, false},
    {"28000", PGK_ERR_ACCESS, false},
    {"28P01", PGK_ERR_ACCESS, false},
    {"40001", PGK_ERR_CONFLICT, true},
    {"40P01", PGK_ERR_CONFLICT, true},
    {"53100", PGK_ERR_RESOURCE, true},
    {"53200", PGK_ERR_RESOURCE, true},
    {"53300", PGK_ERR_RESOURCE, true},
    {"53400", PGK_ERR_RESOURCE, true},
    {"54000", PGK_ERR_TOO_LARGE, false},
    {"58030", PGK_ERR_IO, false},
    {"58P01", PGK_ERR_IO, false},
    /* codes of none */
    {"42601", PGK_ERR_DATABASE, false},
    {"P0001", PGK_ERR_DATABASE, false},
    {"PK999", PGK_ERR_DATABASE, false},
    {"XX000", PGK_ERR_DATABASE, false},
    {"00000", PGK_ERR_DATABASE, false},
    {"ZZZZZ", PGK_ERR_DATABASE, false},
};
#define EXPECTED_COUNT (sizeof(expected) / sizeof(expected[0]))

static void test_sqlstate__known_codes__have_their_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < EXPECTED_COUNT; i++) {
        char code[6];
        memcpy(code, "00ZZ9", sizeof(code)); /* no code of its own in any class */
        memcpy(code, expected[i].code, strlen(expected[i].code));
        bool retryable = !expected[i].retryable;
        pgk_status status = pgk_status_from_sqlstate(code, &retryable);
        if (status != expected[i].status || retryable != expected[i].retryable) {
            fail_msg("%s: %s, retryable %d", code, pgk_status_name(status), retryable);
        }
        assert_int_equal(pgk_status_from_sqlstate(code, NULL), expected[i].status);
    }
}

static void test_sqlstate__each_row_of_the_table__is_expected_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sqlstate_row_count; i++) {
        const char *code = sqlstate_rows[i].code;
        assert_true(strlen(code) == 5 || strlen(code) == 2);
        size_t found = 0;
        for (size_t j = 0; j < EXPECTED_COUNT; j++) {
            found += strcmp(code, expected[j].code) == 0 ? 1 : 0;
        }
        if (found != 1) {
            fail_msg("row %s is expected %zu times", code, found);
        }
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(code, sqlstate_rows[j].code);
        }
    }
}

static void test_sqlstate__what_is_no_code__is_a_database_error(void **state)
{
    (void)state;
    static const char *const none[] = {"",       "0",      "08",    "0800",  "080001",
                                       "08006 ", "PK0011", "pk001", "57p01", " 8006"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        bool retryable = true;
        assert_int_equal(pgk_status_from_sqlstate(none[i], &retryable), PGK_ERR_DATABASE);
        assert_false(retryable);
    }
    bool retryable = true;
    assert_int_equal(pgk_status_from_sqlstate(NULL, &retryable), PGK_ERR_DATABASE);
    assert_false(retryable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sqlstate__known_codes__have_their_status),
        cmocka_unit_test(test_sqlstate__each_row_of_the_table__is_expected_once),
        cmocka_unit_test(test_sqlstate__what_is_no_code__is_a_database_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
