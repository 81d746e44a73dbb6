/*
 * services/checkpoint_rules.h - which entries leave the list of a job's checkpoints, as a pure
 * function of the list. It decides only: the statement that adds an entry moves them. No lock, no
 * I/O, any thread.
 */
#ifndef PGK_SERVICES_CHECKPOINT_RULES_H
#define PGK_SERVICES_CHECKPOINT_RULES_H

#include <pgkeeper/checkpoint.h>

/* One completed entry, as far as the rules go. */
struct rule_entry {
    int64_t checkpoint_id;
    pgk_checkpoint_kind kind;
    bool leaves; /* the answer of checkpoint_rules_subsume */
};

/*
 * Marks what leaves `heads`, which are ascending by id and hold the entry just added: the oldest,
 * while more than max_retained (at least 1) remain; never the latest; never the latest that is not
 * a savepoint, unless the latest is a stop-with-savepoint; and never the entry just added, which
 * leaves with a later one when it came out of order. Returns how many leave.
 */
size_t checkpoint_rules_subsume(struct rule_entry *heads, size_t count, int64_t added,
                                int max_retained);

/* What becomes of an entry that is subsumed: a checkpoint is discarded, a savepoint's data stays. */
bool checkpoint_rules_discards(pgk_checkpoint_kind kind);

/* FINISHED, FAILED, CANCELED: no master will run the job again. */
bool job_status_is_globally_terminal(pgk_job_status status);

/* INVALID_ARGUMENT for a number that is no status. */
pgk_status job_status_check(pgk_job_status status, const char *origin, pgk_error *err);

#endif
