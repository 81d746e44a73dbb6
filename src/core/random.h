/* core/random.h - jitter for waits, so that many processes do not come back at once. Any thread. */
#ifndef PGK_CORE_RANDOM_H
#define PGK_CORE_RANDOM_H

#include <stdint.h>

/* A random number in [low, high]. Not for secrets. */
int64_t random_between(int64_t low, int64_t high);

/* Between half of ns and all of it. */
int64_t random_jitter_ns(int64_t ns);

#endif
