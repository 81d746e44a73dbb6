/*
 * Tests of core/uuid: new, parse, format, compare.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pgkeeper/uuid.h>

#define TEXT "00112233-4455-6677-8899-aabbccddeeff"
#define HEX "00112233445566778899aabbccddeeff"

static const pgk_uuid sample = {{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA,
                                 0xBB, 0xCC, 0xDD, 0xEE, 0xFF}};

static void test_uuid__new__is_random_of_version_4(void **state)
{
    (void)state;
    pgk_uuid ids[64];
    for (size_t i = 0; i < 64; i++) {
        pgk_uuid_new(&ids[i]);
        assert_int_equal(ids[i].bytes[6] >> 4, 4);
        assert_int_equal(ids[i].bytes[8] >> 6, 2);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(pgk_uuid_compare(&ids[i], &ids[j]), 0);
        }
    }
}

static void test_uuid__both_forms_in_either_case__are_read(void **state)
{
    (void)state;
    static const char *const forms[] = {TEXT, HEX, "00112233-4455-6677-8899-AABBCCDDEEFF",
                                        "00112233445566778899AabBCCDDEEfF"};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        pgk_uuid id;
        memset(&id, 0x5A, sizeof(id));
        pgk_error err;
        assert_int_equal(pgk_uuid_parse(forms[i], &id, &err), PGK_OK);
        assert_memory_equal(&id, &sample, sizeof(id));
        assert_int_equal(pgk_uuid_parse(forms[i], &id, NULL), PGK_OK);
    }
}

static void test_uuid__anything_else__is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "x",
        "00112233-4455-6677-8899-aabbccddeef",
        "00112233-4455-6677-8899-aabbccddeeff0",
        "00112233-4455-6677-8899-aabbccddeefg",
        "001122334455-6677-8899-aabbccddeeff",
        "0011223-34455-6677-8899-aabbccddeeff",
        "00112233 4455 6677 8899 aabbccddeeff",
        "0-112233-4455-6677-8899-aabbccddeeff",
        "{00112233445566778899aabbccddeeff}",
        " 0112233445566778899aabbccddeeff",
        "0x112233445566778899aabbccddeeff",
        "00112233445566778899aabbccddeef",
        "00112233445566778899aabbccddeefff",
        "00112233445566778899aabbccddee\xC3\xA9",
        "------------------------------------",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        pgk_uuid id = sample;
        pgk_error err;
        assert_int_equal(pgk_uuid_parse(bad[i], &id, &err), PGK_ERR_INVALID_ARGUMENT);
        assert_memory_equal(&id, &sample, sizeof(id));
        assert_non_null(strstr(err.message, "is not an id"));
    }
}

static void test_uuid__null__is_refused(void **state)
{
    (void)state;
    pgk_uuid id;
    pgk_error err;
    assert_int_equal(pgk_uuid_parse(NULL, &id, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_string_equal(err.message, "text is NULL");
    assert_int_equal(pgk_uuid_parse(TEXT, NULL, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_string_equal(err.message, "ret_uuid is NULL");
}

static void test_uuid__format__writes_lower_case(void **state)
{
    (void)state;
    char text[PGK_UUID_TEXT_SIZE];
    char hex[PGK_UUID_HEX_SIZE];
    pgk_uuid_format(&sample, text);
    pgk_uuid_format_hex(&sample, hex);
    assert_string_equal(text, TEXT);
    assert_string_equal(hex, HEX);
}

static void test_uuid__compare__orders_by_unsigned_bytes(void **state)
{
    (void)state;
    pgk_uuid larger = sample;
    larger.bytes[0] = 0x80;
    assert_true(pgk_uuid_compare(&sample, &larger) < 0);
    assert_true(pgk_uuid_compare(&larger, &sample) > 0);
    assert_int_equal(pgk_uuid_compare(&sample, &sample), 0);
}

static void test_uuid__nil__is_all_zero(void **state)
{
    (void)state;
    pgk_uuid id = {{0}};
    assert_true(pgk_uuid_is_nil(&id));
    id.bytes[15] = 1;
    assert_false(pgk_uuid_is_nil(&id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uuid__new__is_random_of_version_4),
        cmocka_unit_test(test_uuid__both_forms_in_either_case__are_read),
        cmocka_unit_test(test_uuid__anything_else__is_refused_and_changes_nothing),
        cmocka_unit_test(test_uuid__null__is_refused),
        cmocka_unit_test(test_uuid__format__writes_lower_case),
        cmocka_unit_test(test_uuid__compare__orders_by_unsigned_bytes),
        cmocka_unit_test(test_uuid__nil__is_all_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
