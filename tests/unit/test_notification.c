/*
 * Tests of backend/postgres/notification: what a payload says, and that nothing odd is believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/postgres/notification.h"

static void test_notification__payloads__are_read(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        bool graphs;
        int32_t released;
    } cases[] = {
        {"job_graph", true, 0},
        {"leadership", false, 0},
        {"released 1", false, 1},
        {"released 2147483647", false, INT32_MAX},
        {"released 2147483648", false, 0},
        {"released 4294967297", false, 0},
        {"released 99999999999999999999", false, 0},
        {"released -1", false, 0},
        {"released 1 ", false, 0},
        {"released 1x", false, 0},
        {"released ", false, 0},
        {"released", false, 0},
        {"job_graphs", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct notification read = notification_read(cases[i].payload);
        assert_int_equal(read.graphs, cases[i].graphs);
        assert_int_equal(read.released, cases[i].released);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notification__payloads__are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
