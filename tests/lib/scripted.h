/*
 * tests/lib/scripted.h - a backend whose keeper is the test: tenures, faults and leaders begin and end at the
 * moment the test says. It checks what the services owe a backend (no use after leave, revoked() only when
 * asked for, nothing after close) and aborts the program when they do not. Any thread.
 */
#ifndef PGK_TESTS_SCRIPTED_H
#define PGK_TESTS_SCRIPTED_H

#include <pgkeeper/pgkeeper.h>

#include "services/handle.h"

#define SCRIPT_GROUPS 4
#define SCRIPT_NAME_SIZE 208

/* What the services have asked for, in numbers. */
struct script_counts {
    int joined;
    int left;
    int resigned;
    int revoked;
    int confirmed;
    int cleaned;
    int withdrawn;
    int watched;
    int unwatched;
    int closed;
    int freed;
    int forgotten;
};

extern const struct backend_ops scripted_backend;

/* A handle over the scripted backend; `pairs`: configuration keys and values, ending with NULL, or NULL. */
pgk_ha *script_open(const char *const *pairs, bool client_only);
struct backend *script_of(pgk_ha *ha);
struct script_counts script_counts(struct backend *backend);
/* For a forked child, which must not touch the lock. */
struct script_counts script_counts_unlocked(const struct backend *backend);
/* Outlives the handle: the counts of the backend that was freed last. */
struct script_counts script_last_counts(void);

/* A new tenure; its session id goes to ret_session_id (or NULL). False when nobody contends or one is on. */
bool script_begin(struct backend *backend, const char *group, int lease_ms,
                  pgk_uuid *ret_session_id);
bool script_end(struct backend *backend, const char *group, bool orderly);
void script_fault(struct backend *backend, const char *group, const pgk_error *error);
/* To all who follow the component; address NULL: none. */
void script_see(struct backend *backend, const char *component, int session, int64_t epoch,
                const char *address);

/* What confirm answers from now on. */
void script_answer_confirm(struct backend *backend, pgk_status status);
/* Holds calls of confirm back until they are let go. */
void script_hold_confirm(struct backend *backend, bool hold);
/* Calls of confirm that are held now. */
int script_held(struct backend *backend);
/* What the clean-ups of jobs answer from now on. */
void script_answer_cleanup(struct backend *backend, pgk_status status);
/* Holds clean-ups back until they are let go; script_held() counts them too. */
void script_hold_cleanup(struct backend *backend, bool hold);
/* The ids of the first and of the latest clean-up were the same. */
bool script_same_cleanup(struct backend *backend);
/* When the clean-up of that number came, from 0; of the first so many. */
#define SCRIPT_CLEANUPS 64
int64_t script_cleanup_ns(struct backend *backend, int number);
/* What open and close answer from now on, in all handles. */
void script_answer_open(pgk_status status);
void script_answer_close(pgk_status status);

#endif
