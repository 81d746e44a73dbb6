/*
 * pgkeeper/embedded.h - leadership at the word of a test, and memory that outlives a master: for
 * programs that run their masters in one process, with high-availability.type `embedded`.
 *
 * In that mode the handles of a process that were opened with one cluster id share, in memory, what
 * is elected, published and stored. All of it goes with the last of these handles, unless it is to
 * be kept. A forked child has nothing of what its parent has.
 *
 * The calls name a cluster id, not a handle: so they may be made at any time, from any thread and in
 * any callback, also while handles are opened and closed. None of them blocks. They concern the
 * embedded handles of the calling process alone, and no database.
 */
#ifndef PGKEEPER_EMBEDDED_H
#define PGKEEPER_EMBEDDED_H

#include <stdbool.h>

#include <pgkeeper/election.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Takes the leadership of a component away, for all handles of the cluster id, until
 * pgk_embedded_grant(). For the component of a job's master see pgk_component_of_job().
 *
 * What leads is a group: with leader-election.scope `process`, where all components of a handle are
 * one group, a handle that contends for this component loses all that it leads in that group; with
 * `component` it loses this component alone. A handle does not lead a group again while it contends
 * there for a component that is revoked; another handle that contends for the group's other
 * components only may lead it.
 *
 * When it returns, nobody leads that component: has_leadership is false, the address is not
 * published any more, and what is written under the tenure's token is PGK_ERR_FENCED. The revoke
 * callbacks come right after, as always. A group that another handle may lead is led by it once they
 * have returned.
 *
 * Revoking what is revoked, or what nobody contends for yet: PGK_OK; it stays so. PGK_ERR_NOT_FOUND:
 * the process has no handle of embedded mode with that cluster id, and keeps nothing of it.
 * PGK_ERR_INVALID_ARGUMENT: an argument is NULL, or not 1 to 200 bytes of UTF-8. PGK_ERR_NO_MEMORY.
 * Since 0.1.
 */
PGK_API pgk_status pgk_embedded_revoke(const char *cluster_id, const char *component,
                                       pgk_error *err);

/*
 * Lets a component be led again. Of those who contend, in the order in which they have come, the
 * first one that may leads, and is granted soon after this returns, in a new tenure. Granting what
 * was not revoked: PGK_OK, nothing happens. Errors as pgk_embedded_revoke(). Since 0.1.
 */
PGK_API pgk_status pgk_embedded_grant(const char *cluster_id, const char *component,
                                      pgk_error *err);

/*
 * With `keep` true, what is stored under the cluster id stays when the last handle is closed, and so
 * do the epochs that were given and what is revoked: a handle that is opened later finds it, as a
 * master that comes after a crash. May be called before the first handle is opened. With false it
 * goes with the last handle, as it does if this is never called, and at once when there is none. It
 * may be called any number of times; the last call counts. PGK_ERR_INVALID_ARGUMENT: cluster_id is
 * NULL, or not 1 to 200 bytes of UTF-8. PGK_ERR_NO_MEMORY. Since 0.1.
 */
PGK_API pgk_status pgk_embedded_keep(const char *cluster_id, bool keep, pgk_error *err);

#ifdef __cplusplus
}
#endif

#endif
