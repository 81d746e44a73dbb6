/*
 * core/clock.c - reads the clocks; see the header. Any thread.
 *
 * A clock that cannot be read would make every deadline a lie, so that it ends the process instead;
 * on Linux it cannot happen.
 */
#include "core/clock.h"

#include <limits.h>
#include <stdlib.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    if (clock_gettime(id, &now) != 0) {
        abort();
    }
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t clock_now_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME) / NS_PER_MS;
}

int clock_poll_timeout_ms(int64_t now_ns, int64_t deadline_ns)
{
    if (deadline_ns == CLOCK_NEVER) {
        return -1;
    }
    if (deadline_ns <= now_ns) {
        return 0;
    }
    int64_t left_ns = deadline_ns - now_ns;
    int64_t left_ms = left_ns / NS_PER_MS + (left_ns % NS_PER_MS != 0 ? 1 : 0);
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

struct timespec clock_monotonic_deadline(int64_t deadline_ns)
{
    int64_t left_ns = deadline_ns - clock_now_ns();
    int64_t monotonic_ns = read_clock(CLOCK_MONOTONIC);
    if (left_ns > 0) {
        monotonic_ns = left_ns < INT64_MAX - monotonic_ns ? monotonic_ns + left_ns : INT64_MAX;
    }
    return (struct timespec){.tv_sec = (time_t)(monotonic_ns / NS_PER_S),
                             .tv_nsec = (long)(monotonic_ns % NS_PER_S)};
}
