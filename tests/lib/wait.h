/*
 * tests/lib/wait.h - the clock of the tests and waiting for a condition with a deadline. A test never
 * sleeps and hopes: it names what it waits for. Any thread, but those that fail: the test's own.
 */
#ifndef PGK_TESTS_WAIT_H
#define PGK_TESTS_WAIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* For events that come within milliseconds on a quiet machine; generous, because ours are not quiet. */
#define WAIT_LONG_MS 30000

#define WAIT_NS_PER_MS INT64_C(1000000)

/* Nanoseconds of CLOCK_BOOTTIME, the clock of pgk_election_deadline_ns. */
int64_t wait_now_ns(void);

/* Lets time pass between two looks at a condition, or as the length of an observation. */
void wait_pause_ms(int ms);

/* Looks at a condition every few milliseconds until it holds; fails the test after timeout_ms. */
#define WAIT_UNTIL(condition, timeout_ms)                                                          \
    do {                                                                                           \
        int64_t wait_end_ = wait_now_ns() + (int64_t)(timeout_ms)*WAIT_NS_PER_MS;                  \
        while (!(condition)) {                                                                     \
            if (wait_now_ns() > wait_end_) {                                                       \
                fail_msg("did not come true in %d ms: %s", (int)(timeout_ms), #condition);         \
            }                                                                                      \
            wait_pause_ms(5);                                                                      \
        }                                                                                          \
    } while (0)

#endif
