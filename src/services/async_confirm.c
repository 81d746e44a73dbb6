/*
 * services/async_confirm.c - pgk_election_confirm_async: confirm.c on a thread of the pool. Any thread.
 */
#include <pgkeeper/election.h>

#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "services/handle.h"

#define ORIGIN "election.confirm"

struct confirm_call {
    struct async_call head; /* first */
    pgk_uuid session_id;
    char address[]; /* terminated */
};

static pgk_status run(struct async_call *call, pgk_error *err)
{
    const struct confirm_call *confirm = (const struct confirm_call *)call;

    return pgk_election_confirm(call->election, &confirm->session_id, confirm->address, err);
}

/* Not tried again: the backend has done so for as long as a statement may take. */
static const struct async_ops confirm_ops = {.kind = ASYNC_CONFIRM, .origin = ORIGIN, .run = run};

/* Locked. */
static pgk_status begin(pgk_election *election, struct confirm_call *confirm, pgk_error *err)
{
    pgk_status status = election_check_started(election, ORIGIN, err);

    return status == PGK_OK ? async_begin(&confirm->head, err) : status;
}

pgk_status pgk_election_confirm_async(pgk_election *election, const pgk_uuid *session_id,
                                      const char *address, pgk_done_fn done, void *user,
                                      pgk_error *err)
{
    error_reset(err);
    pgk_status status = confirm_check_arguments(session_id, address, err);

    if (status == PGK_OK && done == NULL) {
        status = error_set(err, PGK_ERR_INVALID_ARGUMENT, ORIGIN, "done is NULL");
    }
    if (status != PGK_OK) {
        return status;
    }
    size_t size = strlen(address) + 1;
    struct confirm_call *confirm = calloc(1, sizeof(*confirm) + size);

    if (confirm == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for a call");
    }
    status = election_lock(election, ORIGIN, err);
    if (status == PGK_OK) {
        confirm->head = (struct async_call){.ops = &confirm_ops,
                                            .ha = election->subject.ha,
                                            .done = done,
                                            .user = user,
                                            .election = election};
        confirm->session_id = *session_id;
        text_copy(confirm->address, size, address);
        status = begin(election, confirm, err);
        pthread_mutex_unlock(&election->subject.ha->lock);
    }
    if (status != PGK_OK) {
        free(confirm);
    }
    return status;
}
