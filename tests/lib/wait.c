/* tests/lib/wait.c - see wait.h. Owns nothing; any thread. */
#include "wait.h"

#include <poll.h>
#include <time.h>

int64_t wait_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 * WAIT_NS_PER_MS + now.tv_nsec;
}

void wait_pause_ms(int ms)
{
    poll(NULL, 0, ms);
}
