/*
 * Calls with a completion over a scripted backend: once, where callbacks run, never inside the call; tries and
 * the waits between; what ends them. Real servers: tests/postgres/test_async.c.
 */
#include <poll.h>
#include <string.h>

#include "completions.h"
#include "stage.h"

#define FIXED(attempts, delay)                                                                     \
    "cleanup-strategy", "fixed-delay", "cleanup-strategy.fixed-delay.attempts", attempts,          \
        "cleanup-strategy.fixed-delay.delay", delay
#define LAST NULL

static const char *const at_once[] = {FIXED("1000000", "0 ms"), LAST};

static const pgk_uuid job = {{7}};

static void clean_up(struct stage *s, const pgk_token *token, struct completed *completed)
{
    pgk_error err;
    assert_int_equal(pgk_ha_cleanup_job_async(s->ha, token, &job, completed_done, completed, &err),
                     PGK_OK);
}

static void confirm(struct stage *s, int actor, const char *address, struct completed *completed)
{
    pgk_error err;
    struct actor *who = &s->a[actor];
    assert_int_equal(pgk_election_confirm_async(who->election, &who->session_id, address,
                                                completed_done, completed, &err),
                     PGK_OK);
}

static void lead(struct stage *s)
{
    stage_lead(s);
    STAGE_WAIT(s, 0, TAPE_GRANT, 1);
}

static void open_leading(struct stage *s, const char *const *pairs)
{
    stage_open(s, pairs);
    stage_contend(s, 0);
    lead(s);
}

static pgk_token token_of(struct stage *s)
{
    pgk_token token;
    pgk_error err;
    assert_int_equal(pgk_election_token(s->a[0].election, &token, &err), PGK_OK);
    return token;
}

static void test_async__wrong_arguments__refused_without_a_completion(void **state)
{
    (void)state;
    struct stage s;
    struct completed c = {0};
    pgk_error err;
    static const pgk_token empty;
    char long_address[PGK_ADDRESS_MAX_BYTES + 2];
    memset(long_address, 'x', sizeof(long_address) - 1);
    long_address[sizeof(long_address) - 1] = '\0';
    stage_open(&s, NULL);
    assert_int_equal(pgk_ha_election(s.ha, "a", &s.a[0].election, &err), PGK_OK);
    pgk_election *e = s.a[0].election;
#define CLEANUP_FAILS(status, ha, token, job_id, fn)                                               \
    ASSERT_FAILS(status, &err, pgk_ha_cleanup_job_async(ha, token, job_id, fn, &c, &err))
#define CONFIRM_FAILS(status, election, id, address, fn)                                           \
    ASSERT_FAILS(status, &err, pgk_election_confirm_async(election, id, address, fn, &c, &err))
    CLEANUP_FAILS(PGK_ERR_INVALID_ARGUMENT, NULL, PGK_UNFENCED, &job, completed_done);
    CLEANUP_FAILS(PGK_ERR_INVALID_ARGUMENT, s.ha, NULL, &job, completed_done);
    CLEANUP_FAILS(PGK_ERR_INVALID_ARGUMENT, s.ha, &empty, &job, completed_done);
    CLEANUP_FAILS(PGK_ERR_INVALID_ARGUMENT, s.ha, PGK_UNFENCED, NULL, completed_done);
    CLEANUP_FAILS(PGK_ERR_INVALID_ARGUMENT, s.ha, PGK_UNFENCED, &job, NULL);
    CONFIRM_FAILS(PGK_ERR_INVALID_ARGUMENT, NULL, &job, "here", completed_done);
    CONFIRM_FAILS(PGK_ERR_INVALID_ARGUMENT, e, NULL, "here", completed_done);
    CONFIRM_FAILS(PGK_ERR_INVALID_ARGUMENT, e, &job, NULL, completed_done);
    CONFIRM_FAILS(PGK_ERR_INVALID_ARGUMENT, e, &job, "", completed_done);
    CONFIRM_FAILS(PGK_ERR_INVALID_ARGUMENT, e, &job, long_address, completed_done);
    CONFIRM_FAILS(PGK_ERR_INVALID_ARGUMENT, e, &job, "here", NULL);
    CONFIRM_FAILS(PGK_ERR_ILLEGAL_STATE, e, &job, "here", completed_done); /* not started */
    pgk_ha_close(s.ha, NULL);
    CLEANUP_FAILS(PGK_ERR_ILLEGAL_STATE, s.ha, PGK_UNFENCED, &job, completed_done);
    CONFIRM_FAILS(PGK_ERR_ILLEGAL_STATE, e, &job, "here", completed_done);
    stage_close(&s);
    pgk_ha *client = script_open(NULL, true);
    CLEANUP_FAILS(PGK_ERR_ILLEGAL_STATE, client, PGK_UNFENCED, &job, completed_done);
    pgk_ha_free(client);
    assert_int_equal(completed_times(&c), 0);
}

static void test_async__thread_dispatch__completes_once_on_the_notifier(void **state)
{
    (void)state;
    struct stage s;
    struct completed cleaned = {0};
    struct completed confirmed = {0};
    open_leading(&s, NULL);
    pgk_token token = token_of(&s);
    clean_up(&s, &token, &cleaned);
    completed_expect(&cleaned, PGK_OK);
    assert_int_equal(cleaned.attempts, 1);
    assert_int_equal(cleaned.dropped, 7);
    assert_string_equal(cleaned.error.message, "");
    confirm(&s, 0, "here", &confirmed);
    completed_expect(&confirmed, PGK_OK);
    assert_int_equal(confirmed.attempts, 1);
    assert_int_equal(confirmed.dropped, 0);
    assert_true(pthread_equal(confirmed.thread, cleaned.thread));
    assert_false(pthread_equal(confirmed.thread, pthread_self()));
    stage_close(&s);
    assert_int_equal(completed_times(&cleaned), 1);
    assert_int_equal(completed_times(&confirmed), 1);
}

static void test_async__manual_dispatch__completes_in_dispatch_only(void **state)
{
    (void)state;
    struct stage s;
    struct completed c = {0};
    stage_open(&s, stage_manual);
    struct pollfd poller = {.fd = pgk_ha_fd(s.ha), .events = POLLIN};
    assert_int_equal(poll(&poller, 1, 0), 0);
    clean_up(&s, PGK_UNFENCED, &c);
    assert_int_equal(poll(&poller, 1, WAIT_LONG_MS), 1);
    assert_int_equal(completed_times(&c), 0);
    assert_int_equal(pgk_ha_dispatch(s.ha, NULL), PGK_OK);
    completed_expect(&c, PGK_OK);
    assert_true(pthread_equal(c.thread, pthread_self()));
    assert_int_equal(poll(&poller, 1, 0), 0);
    stage_close(&s);
}

/* Clean-ups, each begun in the completion of the one before it. */
struct chain {
    struct stage s;
    struct completed c[6];
};

static bool has_ended(pgk_ha *ha)
{
    pthread_mutex_lock(&ha->lock);
    bool due = async_is_due(ha);
    pthread_mutex_unlock(&ha->lock);
    return due;
}

static void begin_next(struct completed *completed)
{
    struct chain *chain = completed->user;
    if (completed < &chain->c[5]) {
        clean_up(&chain->s, PGK_UNFENCED, completed + 1);
        WAIT_UNTIL(has_ended(chain->s.ha), WAIT_LONG_MS);
    }
}

static void test_async__manual_dispatch__leaves_what_its_completions_begin(void **state)
{
    (void)state;
    struct chain chain = {0};
    stage_open(&chain.s, stage_manual);
    struct pollfd poller = {.fd = pgk_ha_fd(chain.s.ha), .events = POLLIN};
    for (int i = 0; i < 6; i++) {
        chain.c[i].hook = begin_next;
        chain.c[i].user = &chain;
    }
    clean_up(&chain.s, PGK_UNFENCED, &chain.c[0]);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(poll(&poller, 1, WAIT_LONG_MS), 1);
        assert_int_equal(pgk_ha_dispatch(chain.s.ha, NULL), PGK_OK);
        completed_expect(&chain.c[i], PGK_OK);
        assert_true(i == 5 || completed_times(&chain.c[i + 1]) == 0);
    }
    assert_int_equal(poll(&poller, 1, 0), 0);
    stage_close(&chain.s);
}

static void test_async__manual_dispatch_closed__completes_in_close(void **state)
{
    (void)state;
    struct stage s;
    struct completed ended = {0};
    struct completed never[2] = {0};
    stage_open(&s, (const char *const[]){"dispatch", "manual", FIXED("9", "1 h"), LAST});
    struct pollfd poller = {.fd = pgk_ha_fd(s.ha), .events = POLLIN};
    clean_up(&s, PGK_UNFENCED, &ended);
    assert_int_equal(poll(&poller, 1, WAIT_LONG_MS), 1);
    script_answer_cleanup(s.backend, PGK_ERR_TIMEOUT);
    clean_up(&s, PGK_UNFENCED, &never[0]);
    clean_up(&s, PGK_UNFENCED, &never[1]);
    WAIT_UNTIL(script_counts(s.backend).cleaned == 3, WAIT_LONG_MS);
    assert_int_equal(pgk_ha_close(s.ha, NULL), PGK_OK);
    completed_expect(&ended, PGK_OK);
    completed_expect(&never[0], PGK_ERR_TIMEOUT);
    completed_expect(&never[1], PGK_ERR_TIMEOUT);
    assert_true(pthread_equal(never[1].thread, pthread_self()));
    stage_close(&s);
}

static void test_async__faults_that_pass__tried_with_the_delay_between(void **state)
{
    (void)state;
    struct stage s;
    struct completed c = {0};
    stage_open(&s, (const char *const[]){FIXED("3", "40 ms"), LAST});
    script_answer_cleanup(s.backend, PGK_ERR_CONNECTION);
    clean_up(&s, PGK_UNFENCED, &c);
    completed_expect(&c, PGK_ERR_CONNECTION);
    assert_int_equal(c.attempts, 4);
    assert_int_equal(script_counts(s.backend).cleaned, 4);
    for (int i = 1; i < 4; i++) {
        assert_true(script_cleanup_ns(s.backend, i) - script_cleanup_ns(s.backend, i - 1) >=
                    40 * WAIT_NS_PER_MS);
    }
    /* The last error, and how it came to be the last. */
    assert_non_null(strstr(c.error.message, "after 4 attempts: "));
    assert_non_null(strstr(c.error.message, "cleanup was told to fail"));
    assert_true(script_same_cleanup(s.backend)); /* all are one clean-up */
    stage_close(&s);
}

static void test_async__fault_passes__done(void **state)
{
    (void)state;
    struct stage s;
    struct completed c = {0};
    stage_open(&s, at_once);
    script_answer_cleanup(s.backend, PGK_ERR_RESOURCE);
    clean_up(&s, PGK_UNFENCED, &c);
    WAIT_UNTIL(script_counts(s.backend).cleaned >= 5, WAIT_LONG_MS);
    assert_int_equal(completed_times(&c), 0);
    script_answer_cleanup(s.backend, PGK_OK);
    completed_expect(&c, PGK_OK);
    assert_int_equal(c.attempts, script_counts(s.backend).cleaned);
    assert_int_equal(c.dropped, 7);
    stage_close(&s);
}

static void test_async__faults_that_stay__not_tried_again(void **state)
{
    (void)state;
    static const pgk_status lasting[] = {
        PGK_ERR_FENCED, PGK_ERR_INVALID_ARGUMENT, PGK_ERR_ILLEGAL_STATE, PGK_ERR_ACCESS,
        PGK_ERR_SCHEMA, PGK_ERR_CORRUPT,          PGK_ERR_DATABASE,      PGK_ERR_CONFLICT};
    struct stage s;
    stage_open(&s, at_once);
    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
        struct completed c = {0};
        script_answer_cleanup(s.backend, lasting[i]);
        clean_up(&s, PGK_UNFENCED, &c);
        completed_expect(&c, lasting[i]);
        assert_int_equal(c.attempts, 1);
        assert_int_equal(script_counts(s.backend).cleaned, (int)i + 1);
    }
    stage_close(&s);
}

static void test_async__strategy_none__once(void **state)
{
    (void)state;
    struct stage s;
    struct completed c = {0};
    stage_open(&s, (const char *const[]){"cleanup-strategy", "off", LAST});
    script_answer_cleanup(s.backend, PGK_ERR_CONNECTION);
    clean_up(&s, PGK_UNFENCED, &c);
    completed_expect(&c, PGK_ERR_CONNECTION);
    assert_int_equal(c.attempts, 1);
    stage_close(&s);
}

/* A later try that is refused does not say what became of the first. */
static void test_async__unknown_then_fenced__is_unknown(void **state)
{
    (void)state;
    struct stage s;
    struct completed c = {0};
    stage_open(&s, (const char *const[]){FIXED("1000000", "30 ms"), LAST});
    script_answer_cleanup(s.backend, PGK_ERR_OUTCOME_UNKNOWN);
    clean_up(&s, PGK_UNFENCED, &c);
    WAIT_UNTIL(script_counts(s.backend).cleaned >= 1, WAIT_LONG_MS);
    script_answer_cleanup(s.backend, PGK_ERR_FENCED);
    completed_expect(&c, PGK_ERR_OUTCOME_UNKNOWN);
    assert_true(c.attempts >= 2);
    assert_true(c.error.flags & PGK_ERROR_OUTCOME_UNKNOWN);
    assert_true(script_same_cleanup(s.backend));
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_async__wrong_arguments__refused_without_a_completion),
        cmocka_unit_test(test_async__thread_dispatch__completes_once_on_the_notifier),
        cmocka_unit_test(test_async__manual_dispatch__completes_in_dispatch_only),
        cmocka_unit_test(test_async__manual_dispatch__leaves_what_its_completions_begin),
        cmocka_unit_test(test_async__manual_dispatch_closed__completes_in_close),
        cmocka_unit_test(test_async__faults_that_pass__tried_with_the_delay_between),
        cmocka_unit_test(test_async__fault_passes__done),
        cmocka_unit_test(test_async__faults_that_stay__not_tried_again),
        cmocka_unit_test(test_async__strategy_none__once),
        cmocka_unit_test(test_async__unknown_then_fenced__is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
