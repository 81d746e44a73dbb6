/*
 * services/checkpoint_rules.c - see checkpoint_rules.h. Pure.
 */
#include "services/checkpoint_rules.h"

#include "core/error.h"

bool checkpoint_rules_discards(pgk_checkpoint_kind kind)
{
    return kind == PGK_CHECKPOINT;
}

bool job_status_is_globally_terminal(pgk_job_status status)
{
    return status == PGK_JOB_FINISHED || status == PGK_JOB_FAILED || status == PGK_JOB_CANCELED;
}

pgk_status job_status_check(pgk_job_status status, const char *origin, pgk_error *err)
{
    switch (status) {
#define STATUS_CASE(name, value, text) case name:
        PGK_JOB_STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
        return PGK_OK;
    }
    return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "job status %d is none", (int)status);
}

/* The index of the latest that is not a savepoint; count: there is none, or it is not protected. */
static size_t find_protected(const struct rule_entry *heads, size_t count)
{
    if (heads[count - 1].kind == PGK_STOP_SAVEPOINT) {
        return count; /* the job ends with it: nothing will fall back on a checkpoint */
    }
    for (size_t i = count; i > 0; i--) {
        if (heads[i - 1].kind == PGK_CHECKPOINT) {
            return i - 1;
        }
    }
    return count;
}

size_t checkpoint_rules_subsume(struct rule_entry *heads, size_t count, int64_t added,
                                int max_retained)
{
    size_t leaving = 0;

    if (count == 0) {
        return 0;
    }
    size_t kept = find_protected(heads, count);

    for (size_t i = 0; i < count; i++) {
        bool may_leave = i != count - 1 && i != kept && heads[i].checkpoint_id != added;

        heads[i].leaves = may_leave && count - leaving > (size_t)max_retained;
        leaving += heads[i].leaves ? 1 : 0;
    }
    return leaving;
}
