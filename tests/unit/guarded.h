/*
 * tests/unit/guarded.h - what the tests of the guard of `pgkeeper run` stand on: a guard whose command writes lines that
 * the test reads. The test process is a child subreaper, so whatever a guard fails to end becomes a child of the
 * test. The test's main thread only.
 */
#ifndef PGK_TESTS_GUARDED_H
#define PGK_TESTS_GUARDED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run_guard.h"

#define MS INT64_C(1000000)
#define LONG_MS 30000
#define IGNORES_TERM "trap '' TERM; echo up >&9; while :; do sleep 1000; done"

struct guarded {
    struct run_guard_options options; /* on_lost term, 300 ms of grace */
    struct run_guard *guard;
    const char *command[4];
    int talk; /* what CMD writes to its descriptor 9 comes out here */
};

/* cmocka: of the group, and of each test. */
int guarded_group_setup(void **state);
int guarded_setup(void **state);
int guarded_teardown(void **state);
#define GUARDED_TEST(test) cmocka_unit_test_setup_teardown(test, guarded_setup, guarded_teardown)

/* Makes `/bin/sh -c script` the command. */
void use_script(struct guarded *f, const char *script);
/* Starts the command, which may run until deadline_ns; the guard is made before the first. */
void begin(struct guarded *f, int64_t deadline_ns);
/* Both, with a lease from now on. */
void begin_script(struct guarded *f, const char *script, int64_t lease_ms);

/* The next line that CMD writes; fails the test when none comes. */
void expect_line(struct guarded *f, const char *expected);
pid_t read_pid(struct guarded *f);

/* Waits for a report of the guard; those that a command gives while it runs are passed over. */
struct run_report expect_report(struct guarded *f, enum run_report_kind kind);
/* Waits until the test has no child left; the guard of a dead wrapper becomes one. */
void expect_nothing_left(int within_ms);

#endif
