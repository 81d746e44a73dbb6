/* Bad arguments, wrong order of calls, the rules of confirm and token: a status and a sentence for each. */
#include <string.h>

#include "stage.h"

static const pgk_uuid some_id = {{1}};

static void test_open__null_arguments__invalid_argument(void **state)
{
    (void)state;
    pgk_error err;
    pgk_config *config = NULL;
    pgk_ha *ha = NULL;
    assert_int_equal(pgk_config_new(&config, &err), PGK_OK);
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_open(NULL, &ha, &err));
    assert_non_null(strstr(err.message, "config"));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_open(config, NULL, &err));
    assert_non_null(strstr(err.message, "ret_ha"));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_open_client(NULL, &ha, &err));
    assert_int_equal(pgk_ha_open(NULL, NULL, NULL), PGK_ERR_INVALID_ARGUMENT);
    pgk_config_free(config);
}

static void test_open__backend_refuses__its_error_and_nothing_left(void **state)
{
    (void)state;
    pgk_error err;
    pgk_config *config = NULL;
    pgk_ha *ha = NULL;
    assert_int_equal(pgk_config_new(&config, &err), PGK_OK);
    script_answer_open(PGK_ERR_ACCESS);
    ASSERT_FAILS(PGK_ERR_ACCESS, &err, ha_open_with(&scripted_backend, config, false, &ha, &err));
    script_answer_open(PGK_OK);
    assert_null(ha);
    pgk_config_free(config);
}

static void test_all__null_handles__invalid_argument_and_no_crash(void **state)
{
    (void)state;
    pgk_error err;
    pgk_election *election = NULL;
    pgk_retriever *retriever = NULL;
    pgk_contender contender = {.size = sizeof(contender)};
    pgk_token token;
    pgk_leader leader;
    struct actor actor = {.name = "a"};
    contender = actor_contender(&actor);
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_close(NULL, &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_dispatch(NULL, &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_election(NULL, "a", &election, &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_retriever(NULL, "a", &retriever, &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_election_start(NULL, &contender, &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_election_confirm(NULL, &some_id, "x", &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_election_token(NULL, &token, &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_election_resign(NULL, &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_election_close(NULL, &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_retriever_stop(NULL, &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_retriever_get(NULL, &leader, &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                 pgk_retriever_start(NULL, actor_leader, NULL, &err));
    assert_int_equal(pgk_ha_close(NULL, NULL), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_ha_fd(NULL), -1);
    assert_false(pgk_election_has_leadership(NULL, &some_id));
    assert_int_equal(pgk_election_deadline_ns(NULL, &some_id), 0);
    pgk_ha_free(NULL);
    pgk_election_free(NULL);
    pgk_retriever_free(NULL);
}

static void test_names__empty_oversized_not_utf8__invalid_argument(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    pgk_election *election = NULL;
    pgk_retriever *retriever = NULL;
    char longest[PGK_COMPONENT_MAX_BYTES + 2];
    memset(longest, 'n', sizeof(longest));
    longest[PGK_COMPONENT_MAX_BYTES + 1] = '\0';
    const char *const bad[] = {NULL, "", longest, "\xff", "\xc3"};
    stage_open(&s, NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                     pgk_ha_election(s.ha, bad[i], &election, &err));
        ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                     pgk_ha_election_in_group(s.ha, "a", bad[i], &election, &err));
        ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                     pgk_ha_retriever(s.ha, bad[i], &retriever, &err));
    }
    assert_null(election);
    assert_null(retriever);
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_election(s.ha, "a", NULL, &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_ha_retriever(s.ha, "a", NULL, &err));
    longest[PGK_COMPONENT_MAX_BYTES] = '\0';
    assert_int_equal(pgk_ha_election_in_group(s.ha, longest, longest, &election, &err), PGK_OK);
    assert_int_equal(pgk_ha_retriever(s.ha, longest, &retriever, &err), PGK_OK);
    pgk_election_free(election);
    pgk_retriever_free(retriever);
    stage_close(&s);
}

static void test_start__bad_contender__invalid_argument(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    stage_open(&s, NULL);
    assert_int_equal(pgk_ha_election(s.ha, "a", &s.a[0].election, &err), PGK_OK);
    pgk_contender contender = actor_contender(&s.a[0]);
    pgk_contender bad = contender;
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_election_start(s.a[0].election, NULL, &err));
    bad.size = 3;
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_election_start(s.a[0].election, &bad, &err));
    bad = contender;
    bad.grant = NULL;
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_election_start(s.a[0].election, &bad, &err));
    bad = contender;
    bad.revoke = NULL;
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_election_start(s.a[0].election, &bad, &err));
    contender.error = NULL; /* optional, and the failures before have changed nothing */
    assert_int_equal(pgk_election_start(s.a[0].election, &contender, &err), PGK_OK);
    assert_int_equal(err.status, PGK_OK);
    pgk_error fault = {.status = PGK_ERR_CONNECTION, .message = "lost"};
    script_fault(s.backend, "master", &fault);
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    stage_close(&s);
}

static void test_start__twice_second_contender_closed__illegal_state(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    pgk_election *second = NULL;
    stage_open(&s, NULL);
    pgk_contender contender = actor_contender(&s.a[0]);
    stage_contend(&s, 0);
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err,
                 pgk_election_start(s.a[0].election, &contender, &err));
    assert_int_equal(pgk_ha_election_in_group(s.ha, "a", "other", &second, &err), PGK_OK);
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_election_start(second, &contender, &err));
    assert_int_equal(pgk_election_close(s.a[0].election, &err), PGK_OK);
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err,
                 pgk_election_start(s.a[0].election, &contender, &err));
    assert_int_equal(pgk_election_start(second, &contender, &err), PGK_OK);
    pgk_election_free(second);
    assert_int_equal(pgk_ha_election(s.ha, "a", &second, &err), PGK_OK);
    assert_int_equal(pgk_election_close(second, &err), PGK_OK); /* without start */
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_election_start(second, &contender, &err));
    pgk_election_free(second);
    stage_close(&s);
}

static void test_retriever__null_listener_second_start_after_stop__refused(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    pgk_leader leader;
    stage_open(&s, NULL);
    assert_int_equal(pgk_ha_retriever(s.ha, "x", &s.a[0].retriever, &err), PGK_OK);
    pgk_retriever *retriever = s.a[0].retriever;
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_retriever_start(retriever, NULL, NULL, &err));
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_retriever_get(retriever, &leader, &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_retriever_get(retriever, NULL, &err));
    assert_int_equal(pgk_retriever_start(retriever, actor_leader, &s.a[0], &err), PGK_OK);
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err,
                 pgk_retriever_start(retriever, actor_leader, &s.a[0], &err));
    assert_int_equal(pgk_retriever_stop(retriever, &err), PGK_OK);
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err,
                 pgk_retriever_start(retriever, actor_leader, &s.a[0], &err));
    stage_close(&s);
}

static void test_closed_handle__any_call__illegal_state(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    pgk_election *election = NULL;
    pgk_retriever *retriever = NULL;
    stage_open(&s, NULL);
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_dispatch(s.ha, &err)); /* has a notifier */
    assert_int_equal(pgk_ha_fd(s.ha), -1);
    assert_int_equal(pgk_ha_close(s.ha, &err), PGK_OK);
    assert_int_equal(pgk_ha_close(s.ha, &err), PGK_OK);
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_election(s.ha, "a", &election, &err));
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_retriever(s.ha, "a", &retriever, &err));
    stage_close(&s);
}

static void test_client_handle__election__illegal_state(void **state)
{
    (void)state;
    pgk_error err;
    pgk_election *election = NULL;
    pgk_retriever *retriever = NULL;
    pgk_ha *ha = script_open(NULL, true);
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_ha_election(ha, "a", &election, &err));
    assert_int_equal(pgk_ha_retriever(ha, "a", &retriever, &err), PGK_OK);
    pgk_retriever_free(retriever);
    pgk_ha_free(ha);
}

static void test_confirm__bad_arguments_and_states__nothing_is_sent(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    pgk_token token;
    char longest[PGK_ADDRESS_MAX_BYTES + 2];
    memset(longest, 'n', sizeof(longest));
    longest[PGK_ADDRESS_MAX_BYTES + 1] = '\0';
    const char *const bad[] = {NULL, "", longest, "\xff"};
    stage_open(&s, NULL);
    assert_int_equal(pgk_ha_election(s.ha, "a", &s.a[0].election, &err), PGK_OK);
    pgk_election *election = s.a[0].election;
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_election_confirm(election, &some_id, "x", &err));
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_election_token(election, &token, &err));
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_election_resign(election, &err));
    pgk_contender contender = actor_contender(&s.a[0]);
    assert_int_equal(pgk_election_start(election, &contender, &err), PGK_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err,
                     pgk_election_confirm(election, &some_id, bad[i], &err));
    }
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_election_confirm(election, NULL, "x", &err));
    ASSERT_FAILS(PGK_ERR_INVALID_ARGUMENT, &err, pgk_election_token(election, NULL, &err));
    ASSERT_FAILS(PGK_ERR_FENCED, &err, pgk_election_confirm(election, &some_id, "x", &err));
    ASSERT_FAILS(PGK_ERR_FENCED, &err, pgk_election_token(election, &token, &err));
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_election_resign(election, &err));
    assert_false(pgk_election_has_leadership(election, NULL));
    stage_lead(&s);
    ASSERT_FAILS(PGK_ERR_FENCED, &err, pgk_election_confirm(election, &some_id, "x", &err));
    assert_int_equal(script_counts(s.backend).confirmed, 0);
    stage_close(&s);
}

static void test_confirm__same_other_and_next_tenure__rules_hold(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    pgk_uuid first;
    pgk_uuid second;
    stage_open(&s, stage_manual);
    stage_contend(&s, 0);
    pgk_election *election = s.a[0].election;
    script_begin(s.backend, "master", STAGE_LEASE_MS, &first);
    assert_int_equal(pgk_election_confirm(election, &first, "here", &err), PGK_OK);
    assert_int_equal(pgk_election_confirm(election, &first, "here", &err), PGK_OK);
    assert_int_equal(script_counts(s.backend).confirmed, 1);
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_election_confirm(election, &first, "x", &err));
    script_end(s.backend, "master", false);
    ASSERT_FAILS(PGK_ERR_FENCED, &err, pgk_election_confirm(election, &first, "here", &err));
    script_begin(s.backend, "master", STAGE_LEASE_MS, &second);
    ASSERT_FAILS(PGK_ERR_FENCED, &err, pgk_election_confirm(election, &first, "here", &err));
    assert_int_equal(script_counts(s.backend).confirmed, 1);
    assert_int_equal(pgk_election_confirm(election, &second, "there", &err), PGK_OK);
    assert_int_equal(script_counts(s.backend).confirmed, 2);
    stage_close(&s);
}

static void test_confirm__backend_fails__tried_again_and_unknown_binds(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    pgk_uuid session;
    stage_open(&s, stage_manual);
    stage_contend(&s, 0);
    pgk_election *election = s.a[0].election;
    script_begin(s.backend, "master", STAGE_LEASE_MS, &session);
    script_answer_confirm(s.backend, PGK_ERR_CONNECTION);
    ASSERT_FAILS(PGK_ERR_CONNECTION, &err, pgk_election_confirm(election, &session, "x", &err));
    script_answer_confirm(s.backend, PGK_ERR_OUTCOME_UNKNOWN);
    ASSERT_FAILS(PGK_ERR_OUTCOME_UNKNOWN, &err,
                 pgk_election_confirm(election, &session, "y", &err));
    script_answer_confirm(s.backend, PGK_ERR_CONNECTION);
    ASSERT_FAILS(PGK_ERR_CONNECTION, &err, pgk_election_confirm(election, &session, "y", &err));
    script_answer_confirm(s.backend, PGK_OK);
    /* "y" may have been written: nothing else can be in this tenure. */
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_election_confirm(election, &session, "z", &err));
    assert_int_equal(pgk_election_confirm(election, &session, "y", &err), PGK_OK);
    assert_int_equal(script_counts(s.backend).confirmed, 4);
    stage_close(&s);
}

static void *confirm_here(void *user)
{
    struct actor *actor = user;
    pgk_status status = pgk_election_confirm(actor->election, &actor->session_id, "here", NULL);
    return status == PGK_OK ? NULL : user;
}

static void test_confirm__from_several_threads__written_once(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    pthread_t threads[4];
    stage_open(&s, NULL);
    stage_contend(&s, 0);
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    script_hold_confirm(s.backend, true);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, confirm_here, &s.a[0]), 0);
    }
    WAIT_UNTIL(script_held(s.backend) == 1, WAIT_LONG_MS);
    script_hold_confirm(s.backend, false);
    for (int i = 0; i < 4; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(script_counts(s.backend).confirmed, 1);
    assert_int_equal(pgk_election_confirm(s.a[0].election, &s.a[0].session_id, "here", &err),
                     PGK_OK);
    stage_close(&s);
}

static void test_confirm__election_closed_meanwhile__record_is_withdrawn(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    pthread_t thread;
    stage_open(&s, NULL);
    stage_contend(&s, 0);
    stage_contend(&s, 1);
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    script_hold_confirm(s.backend, true);
    assert_int_equal(pthread_create(&thread, NULL, confirm_here, &s.a[0]), 0);
    WAIT_UNTIL(script_held(s.backend) == 1, WAIT_LONG_MS);
    assert_int_equal(pgk_election_close(s.a[0].election, &err), PGK_OK); /* does not wait for it */
    int before = script_counts(s.backend).withdrawn;
    script_hold_confirm(s.backend, false);
    pthread_join(thread, NULL);
    assert_int_equal(script_counts(s.backend).withdrawn, before + 1);
    stage_close(&s);
}

static void test_token__leading__names_the_tenure(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    pgk_token token;
    pgk_uuid session;
    stage_open(&s, stage_manual);
    stage_contend(&s, 0);
    script_begin(s.backend, "master", STAGE_LEASE_MS, &session);
    assert_int_equal(pgk_election_token(s.a[0].election, &token, &err), PGK_OK);
    assert_memory_equal(&token.session_id, &session, sizeof(session));
    assert_int_equal(token.epoch, 1);
    assert_int_equal(token.leadership_id, 1);
    assert_string_equal(token.epoch_text, "0.1");
    stage_close(&s);
}

static void test_component_of_job__an_id__job_and_hex(void **state)
{
    (void)state;
    char name[PGK_JOB_COMPONENT_SIZE];
    pgk_component_of_job(&some_id, name);
    assert_string_equal(name, "job-01000000000000000000000000000000");
    pgk_component_of_job(NULL, name);
    assert_string_equal(name, "job-00000000000000000000000000000000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open__null_arguments__invalid_argument),
        cmocka_unit_test(test_open__backend_refuses__its_error_and_nothing_left),
        cmocka_unit_test(test_all__null_handles__invalid_argument_and_no_crash),
        cmocka_unit_test(test_names__empty_oversized_not_utf8__invalid_argument),
        cmocka_unit_test(test_start__bad_contender__invalid_argument),
        cmocka_unit_test(test_start__twice_second_contender_closed__illegal_state),
        cmocka_unit_test(test_retriever__null_listener_second_start_after_stop__refused),
        cmocka_unit_test(test_closed_handle__any_call__illegal_state),
        cmocka_unit_test(test_client_handle__election__illegal_state),
        cmocka_unit_test(test_confirm__bad_arguments_and_states__nothing_is_sent),
        cmocka_unit_test(test_confirm__same_other_and_next_tenure__rules_hold),
        cmocka_unit_test(test_confirm__backend_fails__tried_again_and_unknown_binds),
        cmocka_unit_test(test_confirm__from_several_threads__written_once),
        cmocka_unit_test(test_confirm__election_closed_meanwhile__record_is_withdrawn),
        cmocka_unit_test(test_token__leading__names_the_tenure),
        cmocka_unit_test(test_component_of_job__an_id__job_and_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
