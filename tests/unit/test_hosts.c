/*
 * tests/unit/test_hosts.c - a conninfo taken apart per host, arrays of names, and the SQLSTATE in a connect message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/postgres/hosts.h"
#include "backend/postgres/race.h"
#include "backend/postgres/text_array.h"

/* The last value of a keyword, as libpq takes it. */
static const char *value_of(const struct host_params *host, const char *keyword)
{
    const char *value = NULL;
    for (size_t i = 0; host->keywords[i] != NULL; i++) {
        if (strcmp(host->keywords[i], keyword) == 0) {
            value = host->values[i];
        }
    }
    return value;
}

static struct host_list *list_of(const char *uri)
{
    struct host_list *list = NULL;
    pgk_error err;
    assert_int_equal(host_list_new(uri, "pgkeeper", 2000, &list, &err), PGK_OK);
    return list;
}

static void test_hosts__two_hosts__get_their_own_ports_and_all_else(void **state)
{
    (void)state;
    struct host_list *list =
        list_of("postgresql://ann@a.example:5433,b.example:5434/shop?sslmode=require");
    assert_int_equal(list->count, 2);
    assert_string_equal(value_of(&list->hosts[0], "host"), "a.example");
    assert_string_equal(value_of(&list->hosts[0], "port"), "5433");
    assert_string_equal(value_of(&list->hosts[1], "host"), "b.example");
    assert_string_equal(value_of(&list->hosts[1], "port"), "5434");
    assert_string_equal(value_of(&list->hosts[1], "dbname"), "shop");
    assert_string_equal(value_of(&list->hosts[1], "sslmode"), "require");
    assert_string_equal(value_of(&list->hosts[1], "tcp_user_timeout"), "2000");
    assert_string_equal(list->hosts[1].label, "b.example:5434");
    host_list_free(list);
}

static void test_hosts__one_port_for_three_addresses__serves_all(void **state)
{
    (void)state;
    struct host_list *list = list_of("hostaddr=10.0.0.1,10.0.0.2,10.0.0.3 port=6000");
    assert_int_equal(list->count, 3);
    assert_string_equal(value_of(&list->hosts[2], "hostaddr"), "10.0.0.3");
    assert_string_equal(value_of(&list->hosts[2], "port"), "6000");
    host_list_free(list);
}

static void test_hosts__environment__is_split_too(void **state)
{
    (void)state;
    setenv("PGHOST", "left,right", 1);
    struct host_list *list = list_of("");
    assert_int_equal(list->count, 2);
    assert_string_equal(value_of(&list->hosts[1], "host"), "right");
    host_list_free(list);
    unsetenv("PGHOST");
    list = list_of("");
    assert_int_equal(list->count, 1);
    host_list_free(list);
}

static void test_hosts__counts_that_do_not_fit__are_refused_with_the_counts(void **state)
{
    (void)state;
    struct host_list *list = NULL;
    pgk_error err;
    assert_int_equal(host_list_new("host=a,b,c port=1,2", "x", 1, &list, &err), PGK_ERR_CONFIG);
    assert_non_null(strstr(err.message, "2 ports for 3 hosts"));
    assert_int_equal(host_list_new("host=a,b hostaddr=10.0.0.1", "x", 1, &list, &err),
                     PGK_ERR_CONFIG);
    assert_non_null(strstr(err.message, "2 hosts and 1 addresses"));
}

static void test_hosts__not_a_conninfo__is_refused_without_repeating_it(void **state)
{
    (void)state;
    struct host_list *list = NULL;
    pgk_error err;
    assert_int_equal(host_list_new("password=hunter2 nonsense", "x", 1, &list, &err),
                     PGK_ERR_CONFIG);
    assert_null(strstr(err.message, "hunter2"));
    assert_non_null(strstr(err.message, "high-availability.postgres.uri"));
}

static void test_race__verbose_message__yields_its_sqlstate(void **state)
{
    (void)state;
    char sqlstate[6];
    assert_true(sqlstate_in_message(
        "connection to server at \"localhost\" (127.0.0.1), port 5432 failed: FATAL:  28P01: "
        "password authentication failed for user \"x\"\nLOCATION:  auth_failed, auth.c:326\n",
        sqlstate));
    assert_string_equal(sqlstate, "28P01");
    assert_true(
        sqlstate_in_message("failed: FATAL:  53300: sorry, too many clients already", sqlstate));
    assert_string_equal(sqlstate, "53300");
    assert_false(sqlstate_in_message(
        "could not connect: Connection refused\n\tIs the server running?", sqlstate));
    assert_false(sqlstate_in_message("host [::1]:54321: ABCDE", sqlstate));
    assert_false(sqlstate_in_message("", sqlstate));
}

static void test_text_array__names_with_quotes__are_escaped(void **state)
{
    (void)state;
    struct text_array array;
    assert_true(text_array_begin(&array));
    assert_true(text_array_add(&array, "plain"));
    assert_true(text_array_add(&array, "a\"b\\c,{}"));
    assert_true(text_array_end(&array));
    assert_string_equal(array.text, "{\"plain\",\"a\\\"b\\\\c,{}\"}");
    text_array_free(&array);
    assert_true(text_array_begin(&array) && text_array_end(&array));
    assert_string_equal(array.text, "{}");
    text_array_free(&array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts__two_hosts__get_their_own_ports_and_all_else),
        cmocka_unit_test(test_hosts__one_port_for_three_addresses__serves_all),
        cmocka_unit_test(test_hosts__environment__is_split_too),
        cmocka_unit_test(test_hosts__counts_that_do_not_fit__are_refused_with_the_counts),
        cmocka_unit_test(test_hosts__not_a_conninfo__is_refused_without_repeating_it),
        cmocka_unit_test(test_race__verbose_message__yields_its_sqlstate),
        cmocka_unit_test(test_text_array__names_with_quotes__are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
