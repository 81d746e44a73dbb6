/*
 * Tests of core/text: UTF-8 check, copies cut between characters, excerpts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/text.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void test_text__well_formed__is_valid(void **state)
{
    (void)state;
    static const char *const good[] = {"a",
                                       "caf\xC3\xA9",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "a\nb\x01"};
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(text_is_valid(good[i], 1, 200));
    }
}

static void test_text__malformed__is_not_valid(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80",             /* continuation alone */
        "a\xBF",            /* the same at the end */
        "\xC3",             /* cut */
        "\xE2\x82",         /* cut */
        "\xF0\x9F\x98",     /* cut */
        "\xC3(",            /* no continuation */
        "\xE2\x82(",        /* no continuation */
        "\xC0\x80",         /* overlong */
        "\xC1\xBF",         /* overlong */
        "\xE0\x9F\xBF",     /* overlong */
        "\xF0\x8F\xBF\xBF", /* overlong */
        "\xED\xA0\x80",     /* surrogate */
        "\xED\xBF\xBF",     /* surrogate */
        "\xF4\x90\x80\x80", /* above U+10FFFF */
        "\xF8\x88\x80\x80\x80",
        "\xFE",
        "\xFF",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(text_is_valid(bad[i], 0, 200));
    }
    assert_false(text_is_valid(NULL, 0, 200));
}

static void test_text__length__is_counted_in_bytes(void **state)
{
    (void)state;
    assert_true(text_is_valid("", 0, 3));
    assert_false(text_is_valid("", 1, 3));
    assert_true(text_is_valid("abc", 1, 3));
    assert_false(text_is_valid("abcd", 1, 3));
    assert_false(text_is_valid("\xC3\xA9\xC3\xA9", 1, 3));
}

static void test_text__copy__cuts_between_characters(void **state)
{
    (void)state;
    char out[6];
    text_copy(out, sizeof(out), "abc");
    assert_string_equal(out, "abc");
    text_copy(out, sizeof(out), "abcdefgh");
    assert_string_equal(out, "abcde");
    text_copy(out, sizeof(out), "abcd\xC3\xA9");
    assert_string_equal(out, "abcd");
    text_copy(out, sizeof(out), "abc\xC3\xA9");
    assert_string_equal(out, "abc\xC3\xA9");
    text_copy(out, sizeof(out), "abc\xE2\x82\xAC");
    assert_string_equal(out, "abc");
    text_copy(out, sizeof(out), "ab\xF0\x9F\x98\x80");
    assert_string_equal(out, "ab");
    text_copy(out, sizeof(out), NULL);
    assert_string_equal(out, "");
    char one[1] = {'x'};
    text_copy(one, sizeof(one), "abc");
    assert_string_equal(one, "");
}

static void test_text__format__cuts_between_characters(void **state)
{
    (void)state;
    char out[6];
    text_format(out, sizeof(out), "%d%s", 1234, "\xC3\xA9");
    assert_string_equal(out, "1234");
    text_format(out, sizeof(out), "%d", 12);
    assert_string_equal(out, "12");
}

static void test_text__excerpt__is_one_plain_line(void **state)
{
    (void)state;
    char out[9];
    text_excerpt(out, sizeof(out), "a\nb\xFF\x1B\x7F");
    assert_string_equal(out, "a?b???");
    text_excerpt(out, sizeof(out), "12345678");
    assert_string_equal(out, "12345678");
    text_excerpt(out, sizeof(out), "123456789");
    assert_string_equal(out, "12345...");
    text_excerpt(out, sizeof(out), "1234\xE2\x82\xACxyz");
    assert_string_equal(out, "1234...");
    text_excerpt(out, sizeof(out), "\xE2\x82\xAC");
    assert_string_equal(out, "\xE2\x82\xAC");
    text_excerpt(out, sizeof(out), NULL);
    assert_string_equal(out, "");
}

static void test_text__excerpt_of_anything__is_valid_and_fits(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 5000; round++) {
        char in[40];
        for (size_t i = 0; i < sizeof(in) - 1; i++) {
            seed = seed * 1664525 + 1013904223;
            in[i] = (char)(seed >> 24 | 1);
        }
        in[sizeof(in) - 1] = '\0';
        for (size_t size = 5; size < 50; size++) {
            char out[64];
            memset(out, 'x', sizeof(out));
            text_excerpt(out, size, in);
            assert_true(text_is_valid(out, 0, size - 1));
        }
    }
}

static void test_text__equal_ignoring_case__knows_ascii_only(void **state)
{
    (void)state;
    assert_true(text_equal_ignoring_case("AbZ9", "aBz9"));
    assert_true(text_equal_ignoring_case("", ""));
    assert_false(text_equal_ignoring_case("a", "ab"));
    assert_false(text_equal_ignoring_case("ab", "a"));
    assert_false(text_equal_ignoring_case("@", "`"));
    assert_false(text_equal_ignoring_case("\xC3\xA9", "\xC3\x89"));
}

static void test_text__read_number__stops_behind_the_digits(void **state)
{
    (void)state;
    const char *at = "123x";
    int64_t number = -1;
    assert_true(text_read_number(&at, &number));
    assert_int_equal(number, 123);
    assert_string_equal(at, "x");
    at = "9223372036854775807";
    assert_true(text_read_number(&at, &number));
    assert_true(number == INT64_MAX);
    static const char *const bad[] = {
        "", "x", "-1", "+1", " 1", "9223372036854775808", "99999999999999999999999"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        at = bad[i];
        number = 7;
        assert_false(text_read_number(&at, &number));
        assert_int_equal(number, 7);
        assert_ptr_equal(at, bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__well_formed__is_valid),
        cmocka_unit_test(test_text__malformed__is_not_valid),
        cmocka_unit_test(test_text__length__is_counted_in_bytes),
        cmocka_unit_test(test_text__copy__cuts_between_characters),
        cmocka_unit_test(test_text__format__cuts_between_characters),
        cmocka_unit_test(test_text__excerpt__is_one_plain_line),
        cmocka_unit_test(test_text__excerpt_of_anything__is_valid_and_fits),
        cmocka_unit_test(test_text__equal_ignoring_case__knows_ascii_only),
        cmocka_unit_test(test_text__read_number__stops_behind_the_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
