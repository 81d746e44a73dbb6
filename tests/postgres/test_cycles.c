/*
 * tests/postgres/test_cycles.c - a thousand times open, start, close leaves nothing behind: no descriptor, no thread, no
 * session at the server, no memory. Fewer times under sanitizers, which look for the same by other means.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contest.h"
#include "recorder.h"
#include "resident.h"
#include "scratch.h"

#ifdef PGK_TEST_SANITIZED
#define CYCLES 60
#else
#define CYCLES 1000
#endif
/* Before counting begins: libraries load, allocators find their size. */
#define WARM_UP 30
/* 1 kB per cycle would be seen. */
#define GROWTH_KIB 1000

static void stop_inside(struct part *part, const char *kind)
{
    if (strcmp(kind, "grant") == 0) {
        pgk_ha_close(part->user, NULL);
    }
}

/* Closed at once, after the grant and the record, inside the grant; by turns, with a follower beside it. */
static void cycle(struct fixture *fixture, int number)
{
    struct recorder *recorder = recorder_new();
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct part part = {.user = ha, .hook = number % 4 == 2 ? stop_inside : NULL};
    struct part watch = {0};
    part_follow(&watch, recorder, ha, "dispatcher");
    part_contend(&part, recorder, ha, "dispatcher", NULL);
    if (number % 4 == 1) {
        part_granted(&part);
        part_confirm(&part, "here");
        recorder_expect(recorder, "leader dispatcher ", WAIT_LONG_MS);
    } else if (number % 4 == 2) {
        part_revoked(&part);
    }
    handle_close(ha);
    assert_int_equal(recorder_count(recorder, "grant "), recorder_count(recorder, "revoke "));
    part_free(&part);
    part_free(&watch);
    recorder_free(recorder);
}

static void test_cycles__open_start_close__leaks_nothing(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < WARM_UP; i++) {
        cycle(fixture, i);
    }
    int descriptors = directory_count("/proc/self/fd");
    int threads = directory_count("/proc/self/task");
    long kib = resident_kib();
    for (int i = 0; i < CYCLES; i++) {
        cycle(fixture, i);
    }
    fprintf(stderr, "%d cycles: %ld kiB more\n", CYCLES, resident_kib() - kib);
    assert_int_equal(directory_count("/proc/self/fd"), descriptors);
    assert_int_equal(directory_count("/proc/self/task"), threads);
#ifndef PGK_TEST_SANITIZED
    assert_true(resident_kib() - kib < GROWTH_KIB);
#endif
    db_wait(fixture, "0", WAIT_LONG_MS,
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgkeeper:%%'");
    db_wait(fixture, "0", WAIT_LONG_MS,
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'");
    check_history(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_cycles__open_start_close__leaks_nothing),
    };
    return cmocka_run_group_tests_name("cycles", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
