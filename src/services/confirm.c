/*
 * services/confirm.c - the rules of pgk_election_confirm: one address in one tenure, written once.
 *
 * Any thread. The round trip is made without the lock; calls of one election take turns.
 */
#include <pgkeeper/election.h>

#include <string.h>

#include "core/text.h"
#include "services/handle.h"

/* Locked. OK: to be written, with the token; *ret_done: it is written already. */
static pgk_status check_confirm(pgk_election *election, const pgk_uuid *session_id,
                                const char *address, pgk_token *ret_token, bool *ret_done,
                                pgk_error *err)
{
    static const char origin[] = "election.confirm";
    pgk_status status;

    *ret_done = false;
    for (;;) {
        status = election_check_started(election, origin, err);
        if (status != PGK_OK || !election->confirming) {
            break;
        }
        pthread_cond_wait(&election->subject.ha->changed, &election->subject.ha->lock);
    }
    if (status != PGK_OK) {
        return status;
    }
    if (!tenure_token(&election->group->tenure, ret_token) ||
        pgk_uuid_compare(&ret_token->session_id, session_id) != 0) {
        char text[PGK_UUID_TEXT_SIZE];

        pgk_uuid_format(session_id, text);
        return error_set(err, PGK_ERR_FENCED, origin,
                         "session %s does not lead %s; wait for the next grant", text,
                         election->group->name);
    }
    if (election->claimed[0] == '\0' || pgk_uuid_compare(&election->claimed_by, session_id) != 0) {
        return PGK_OK;
    }
    if (strcmp(election->claimed, address) != 0) {
        return error_set(err, PGK_ERR_ILLEGAL_STATE, origin,
                         "%s has another address in this tenure; it can change with the next one",
                         election->component);
    }
    *ret_done = election->confirmed;
    return PGK_OK;
}

/* Locked; drops the lock for the round trip. */
static pgk_status write_confirm(pgk_election *election, const pgk_token *token, const char *address,
                                pgk_error *err)
{
    pgk_ha *ha = election->subject.ha;
    /* An earlier attempt of this tenure, whose outcome is unknown, may have been written. */
    bool claimed_before = election->claimed[0] != '\0' &&
                          pgk_uuid_compare(&election->claimed_by, &token->session_id) == 0;

    election->confirming = true;
    election->confirmed = false;
    election->claimed_by = token->session_id;
    text_copy(election->claimed, sizeof(election->claimed), address);
    ha->calls++;
    pthread_mutex_unlock(&ha->lock);
    pgk_status status = ha->ops->confirm(ha->backend, election->group->name, token,
                                         election->component, address, err);
    pthread_mutex_lock(&ha->lock);
    ha->calls--;
    election->confirming = false;
    election->confirmed = status == PGK_OK;
    if (status != PGK_OK && status != PGK_ERR_OUTCOME_UNKNOWN && !claimed_before) {
        election->claimed[0] = '\0';
    }
    /* It left meanwhile, and its record was emptied before this may have filled it again. */
    if (!election->attached) {
        group_withdraw(ha, election);
    }
    pthread_cond_broadcast(&ha->changed);
    return status;
}

pgk_status confirm_check_arguments(const pgk_uuid *session_id, const char *address, pgk_error *err)
{
    static const char origin[] = "election.confirm";

    if (session_id == NULL || address == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "%s is NULL",
                         session_id == NULL ? "session_id" : "address");
    }
    if (!text_is_valid(address, 1, PGK_ADDRESS_MAX_BYTES)) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                         "address must be 1 to %d bytes of UTF-8", PGK_ADDRESS_MAX_BYTES);
    }
    return PGK_OK;
}

pgk_status pgk_election_confirm(pgk_election *election, const pgk_uuid *session_id,
                                const char *address, pgk_error *err)
{
    static const char origin[] = "election.confirm";
    pgk_token token;
    bool done;

    error_reset(err);
    pgk_status status = confirm_check_arguments(session_id, address, err);

    if (status == PGK_OK) {
        status = election_lock(election, origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    status = check_confirm(election, session_id, address, &token, &done, err);
    if (status == PGK_OK && !done) {
        status = write_confirm(election, &token, address, err);
    }
    pthread_mutex_unlock(&election->subject.ha->lock);
    return status;
}
