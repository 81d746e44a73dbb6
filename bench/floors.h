/* bench/floors.h - workers in raw libpq that the library is compared with. Each never returns. */
#ifndef PGK_BENCH_FLOORS_H
#define PGK_BENCH_FLOORS_H

#include "harness.h"

/* Blocks in pg_advisory_lock until the holder dies. With any arg each process has a second
 * session, idle in LISTEN, as pgkeeper's have: the server ends both when the process dies. */
void blocked_contender(const struct worker_context *context);

/* Tries the lock when notified; the letter r unlocks and notifies in one message. */
void notified_contender(const struct worker_context *context);

#endif
