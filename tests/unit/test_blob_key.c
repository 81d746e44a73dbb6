/*
 * tests/unit/test_blob_key.c - keys of blobs: made of content, as text and back, malformed, in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <pgkeeper/blob.h>

#include "scratch.h"

#define EMPTY_SHA1 "da39a3ee5e6b4b0d3255bfef95601890afd80709"
#define ABC_SHA1 "a9993e364706816aba3e25717850c26c9cd0d89d"

static void test_blob_key__same_content_twice__same_hash_and_other_key(void **state)
{
    (void)state;
    pgk_blob_key a;
    pgk_blob_key b;
    char text[PGK_BLOB_KEY_TEXT_SIZE];
    pgk_error err;
    assert_int_equal(pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "abc", 3, &a, &err), PGK_OK);
    assert_int_equal(pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "abc", 3, &b, &err), PGK_OK);
    assert_memory_equal(a.sha1, b.sha1, sizeof(a.sha1));
    assert_int_not_equal(pgk_blob_key_compare(&a, &b), 0);
    pgk_blob_key_format(&a, text);
    assert_int_equal(strlen(text), PGK_BLOB_KEY_TEXT_SIZE - 1);
    assert_memory_equal(text, "p-" ABC_SHA1 "-", 43);
}

static void test_blob_key__no_bytes__is_a_key_as_any(void **state)
{
    (void)state;
    pgk_blob_key key;
    char text[PGK_BLOB_KEY_TEXT_SIZE];
    assert_int_equal(pgk_blob_key_new_buffer(PGK_BLOB_TRANSIENT, NULL, 0, &key, NULL), PGK_OK);
    pgk_blob_key_format(&key, text);
    assert_memory_equal(text, "t-" EMPTY_SHA1 "-", 43);
}

static void test_blob_key__of_a_file__is_of_what_is_in_it(void **state)
{
    (void)state;
    char path[] = "/tmp/pgk-key-XXXXXX";
    char link_path[64];
    pgk_blob_key key;
    pgk_blob_key linked;
    char text[PGK_BLOB_KEY_TEXT_SIZE];
    scratch_file(path, "abc", 3);
    snprintf(link_path, sizeof(link_path), "%s-link", path);
    assert_int_equal(symlink(path, link_path), 0);
    assert_int_equal(pgk_blob_key_new_file(PGK_BLOB_PERMANENT, path, &key, NULL), PGK_OK);
    assert_int_equal(pgk_blob_key_new_file(PGK_BLOB_PERMANENT, link_path, &linked, NULL), PGK_OK);
    unlink(path);
    unlink(link_path);
    pgk_blob_key_format(&key, text);
    assert_memory_equal(text, "p-" ABC_SHA1 "-", 43);
    assert_memory_equal(key.sha1, linked.sha1, sizeof(key.sha1));
}

static void test_blob_key__a_file_that_cannot_be_read__says_why(void **state)
{
    (void)state;
    pgk_blob_key key;
    pgk_error err;
    assert_int_equal(pgk_blob_key_new_file(PGK_BLOB_PERMANENT, "/nowhere/at/all", &key, &err),
                     PGK_ERR_IO);
    assert_non_null(strstr(err.message, "No such file"));
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
    assert_int_equal(pgk_blob_key_new_file(PGK_BLOB_PERMANENT, "/tmp", &key, &err), PGK_ERR_IO);
    assert_int_equal(pgk_blob_key_new_file(PGK_BLOB_PERMANENT, NULL, &key, &err),
                     PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_blob_key_new_file((pgk_blob_type)7, "/dev/null", &key, &err),
                     PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, NULL, 3, &key, &err),
                     PGK_ERR_INVALID_ARGUMENT);
}

static void test_blob_key__text__is_read_back(void **state)
{
    (void)state;
    static const char text[] =
        "t-00112233445566778899aabbccddeeff01234567-ffeeddccbbaa99887766554433221100";
    static const char upper[] =
        "t-00112233445566778899AABBCCDDEEFF01234567-FFEEDDCCBBAA99887766554433221100";
    char back[PGK_BLOB_KEY_TEXT_SIZE];
    pgk_blob_key key;
    assert_int_equal(pgk_blob_key_parse(text, &key, NULL), PGK_OK);
    assert_int_equal(key.type, PGK_BLOB_TRANSIENT);
    assert_int_equal(key.sha1[2], 0x22);
    assert_int_equal(key.random[15], 0);
    pgk_blob_key_format(&key, back);
    assert_string_equal(back, text);
    assert_int_equal(pgk_blob_key_parse(upper, &key, NULL), PGK_OK);
    pgk_blob_key_format(&key, back);
    assert_string_equal(back, text);
}

static void test_blob_key__malformed_text__is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "p",
        "p-",
        "x-" ABC_SHA1 "-00112233445566778899aabbccddeeff",
        "P-" ABC_SHA1 "-00112233445566778899aabbccddeeff",
        "p_" ABC_SHA1 "-00112233445566778899aabbccddeeff",
        "p-" ABC_SHA1 "_00112233445566778899aabbccddeeff",
        "p-" ABC_SHA1 "-00112233445566778899aabbccddeef",
        "p-" ABC_SHA1 "-00112233445566778899aabbccddeeff0",
        "p-" ABC_SHA1 "-00112233445566778899aabbccddeefg",
        "p-a9993e364706816aba3e25717850c26c9cd0d89-00112233445566778899aabbccddeeff0",
        " p-" ABC_SHA1 "-00112233445566778899aabbccddeef",
        "p-" ABC_SHA1 "-00112233445566778899aabbccdd\xc3\xa9"
        "f",
        "p-" ABC_SHA1,
    };
    pgk_blob_key before;
    pgk_blob_key key;
    pgk_error err;
    memset(&before, 0x5a, sizeof(before));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        key = before;
        if (pgk_blob_key_parse(wrong[i], &key, &err) != PGK_ERR_INVALID_ARGUMENT) {
            fail_msg("\"%s\" was read", wrong[i]);
        }
        assert_memory_equal(&key, &before, sizeof(key));
        assert_non_null(strstr(err.message, "hex digits"));
    }
    assert_int_equal(pgk_blob_key_parse(NULL, &key, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_blob_key_parse(wrong[0], NULL, &err), PGK_ERR_INVALID_ARGUMENT);
}

static pgk_blob_key key_of(uint8_t first, pgk_blob_type type, uint8_t random)
{
    pgk_blob_key key = {.type = type};
    key.sha1[0] = first;
    key.random[15] = random;
    return key;
}

static void test_blob_key__order__is_hash_then_type_then_random(void **state)
{
    (void)state;
    const pgk_blob_key ascending[] = {
        key_of(1, PGK_BLOB_PERMANENT, 1),   key_of(1, PGK_BLOB_PERMANENT, 200),
        key_of(1, PGK_BLOB_TRANSIENT, 0),   key_of(2, PGK_BLOB_PERMANENT, 0),
        key_of(200, PGK_BLOB_PERMANENT, 0), key_of(200, PGK_BLOB_TRANSIENT, 0),
    };
    size_t count = sizeof(ascending) / sizeof(ascending[0]);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            int order = pgk_blob_key_compare(&ascending[i], &ascending[j]);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blob_key__same_content_twice__same_hash_and_other_key),
        cmocka_unit_test(test_blob_key__no_bytes__is_a_key_as_any),
        cmocka_unit_test(test_blob_key__of_a_file__is_of_what_is_in_it),
        cmocka_unit_test(test_blob_key__a_file_that_cannot_be_read__says_why),
        cmocka_unit_test(test_blob_key__text__is_read_back),
        cmocka_unit_test(test_blob_key__malformed_text__is_refused),
        cmocka_unit_test(test_blob_key__order__is_hash_then_type_then_random),
    };
    return cmocka_run_group_tests_name("blob_key", tests, NULL, NULL);
}
