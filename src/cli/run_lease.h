/*
 * run_lease.h - carries the lease from the election to the guard of `pgkeeper run`.
 *
 * One small thread copies the deadline of the tenure into the guard's page every few milliseconds, so that
 * nothing the main thread may wait for (a confirm, a full pipe at stderr) costs CMD its life. It stops
 * with the process: a wrapper that is stopped renews nothing.
 */
#ifndef PGK_CLI_RUN_LEASE_H
#define PGK_CLI_RUN_LEASE_H

#include "run_guard.h"

struct run_lease;

/* Starts the thread; it copies nothing yet. 0 or an errno. Election and guard must outlive it. */
int run_lease_new(const pgk_election *election, struct run_guard *guard, int interval_ms,
                  struct run_lease **ret_lease);
/* Copies the deadline of this tenure now and from now on. */
void run_lease_follow(struct run_lease *lease, const pgk_uuid *session_id);
/* Publishes "not any more"; nothing is copied once it has returned. */
void run_lease_forget(struct run_lease *lease);
/* Stops the thread; NULL is fine. */
void run_lease_free(struct run_lease *lease);

#endif
