/*
 * Tests of core/duration: units, limits, and what is no duration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/duration.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void test_duration__number_and_unit__is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"15 s", 15000},
        {"500 ms", 500},
        {"2 min", 120000},
        {"1 h", 3600000},
        {"1 d", 86400000},
        {"0", 0},
        {"250", 250}, /* as in Flink: milliseconds */
        {"15s", 15000},
        {"  15 \t s  ", 15000},
        {"15 SEC", 15000},
        {"1 second", 1000},
        {"2 Seconds", 2000},
        {"3 m", 180000},
        {"3 minute", 180000},
        {"3 minutes", 180000},
        {"3 hour", 10800000},
        {"3 hours", 10800000},
        {"3 day", 259200000},
        {"3 days", 259200000},
        {"4 milli", 4},
        {"4 millis", 4},
        {"4 millisecond", 4},
        {"4 milliseconds", 4},
        {"0007 ms", 7},
        {"15sec", 15000},
        {"15 secs", 15000},
        {"2m", 120000},
        {"3000000 ns", 3},
        {"3000000nano", 3},
        {"0 nanos", 0},
        {"3000000 nanosecond", 3},
        {"3000000 nanoseconds", 3},
        {"5000 us", 5},
        {"5000 \xC2\xB5s", 5},
        {"5000 \xCE\xBCs", 5},
        {"5000 micro", 5},
        {"5000 micros", 5},
        {"5000 microsecond", 5},
        {"5000 Microseconds", 5},
        {"9223372036854000000 ns", INT64_C(9223372036854)},
        {"9223372036854775807 ms", INT64_MAX},
        {"9223372036854775 s", INT64_C(9223372036854775000)},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = -1;
        const char *reason = NULL;
        if (!duration_parse(cases[i].text, &ms, &reason)) {
            fail_msg("\"%s\": %s", cases[i].text, reason);
        }
        assert_true(ms == cases[i].ms);
    }
}

static void test_duration__anything_else__is_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *reason;
    } cases[] = {
        {"", "not a duration"},
        {"   ", "not a duration"},
        {"s", "not a duration"},
        {"abc", "not a duration"},
        {"+5 s", "not a duration"},
        {"PT15S", "not a duration"},
        {"\xC2\xB5", "not a duration"},
        {"-1", "negative"},
        {"-5 s", "negative"},
        {"15 lightyears", "unknown unit"},
        {"15 us", "whole number of milliseconds"},
        {"1500000 ns", "whole number of milliseconds"},
        {"15 nss", "unknown unit"},
        {"15 \xB5s", "unknown unit"},
        {"9223372036854775808 ns", "too long"},
        {"1 h 30 min", "unknown unit"},
        {"15 s s", "unknown unit"},
        {"15 15", "unknown unit"},
        {"0x10", "unknown unit"},
        {"1e3", "unknown unit"},
        {"15 s\n", "unknown unit"},
        {"15 millisecondssssssssss", "unknown unit"},
        {"1.5 s", "smaller unit"},
        {"1,5 s", "smaller unit"},
        {"9223372036854775808", "too long"},
        {"9223372036854776 s", "too long"},
        {"99999999999999999999999 ms", "too long"},
        {"9223372036854775807 d", "too long"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = 42;
        const char *reason = "";
        assert_false(duration_parse(cases[i].text, &ms, &reason));
        assert_int_equal(ms, 42);
        if (strstr(reason, cases[i].reason) == NULL) {
            fail_msg("\"%s\": %s", cases[i].text, reason);
        }
    }
}

static void test_duration__format__uses_the_largest_whole_unit(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "0 ms"},
                 {1, "1 ms"},
                 {999, "999 ms"},
                 {1000, "1 s"},
                 {1500, "1500 ms"},
                 {90000, "90 s"},
                 {120000, "2 min"},
                 {3600000, "1 h"},
                 {86400000, "1 d"},
                 {90000000, "25 h"},
                 {INT64_MAX, "9223372036854775807 ms"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[DURATION_TEXT_SIZE];
        duration_format(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
        int64_t ms = -1;
        const char *reason;
        assert_true(duration_parse(text, &ms, &reason));
        assert_true(ms == cases[i].ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_duration__number_and_unit__is_read),
        cmocka_unit_test(test_duration__anything_else__is_refused_with_a_reason),
        cmocka_unit_test(test_duration__format__uses_the_largest_whole_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
