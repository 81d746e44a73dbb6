/*
 * core/clock.h - the only place that reads a clock. CLOCK_BOOTTIME: it counts suspended time, so
 * that a machine that slept knows that its lease has run out. Any thread.
 */
#ifndef PGK_CORE_CLOCK_H
#define PGK_CORE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
/* Later than any deadline. */
#define CLOCK_NEVER INT64_MAX

/* Nanoseconds of CLOCK_BOOTTIME; always > 0. */
int64_t clock_now_ns(void);

/* Milliseconds since 1970 UTC, as people know the time. For what they are shown; decides nothing. */
int64_t clock_wall_ms(void);

/* Milliseconds from now until deadline_ns for poll(): 0 when past, -1 for CLOCK_NEVER, rounded
 * up. */
int clock_poll_timeout_ms(int64_t now_ns, int64_t deadline_ns);

/* deadline_ns (of clock_now_ns) on CLOCK_MONOTONIC, for condition variables, which know no
 * BOOTTIME. A machine that sleeps meanwhile wakes its waiters late by as much: they look at
 * clock_now_ns again. */
struct timespec clock_monotonic_deadline(int64_t deadline_ns);

#endif
