/* core/random.c - see random.h. */
#include "core/random.h"

#include <string.h>

#include <uuid/uuid.h>

int64_t random_between(int64_t low, int64_t high)
{
    uuid_t bytes;
    uint64_t number;
    uuid_generate_random(bytes);
    /* The last eight bytes: all random but for two bits at their top. */
    memcpy(&number, bytes + 8, sizeof(number));
    return low + (int64_t)((number >> 3) % ((uint64_t)(high - low) + 1));
}

int64_t random_jitter_ns(int64_t ns)
{
    return random_between(ns / 2, ns);
}
