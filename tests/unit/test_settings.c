/*
 * Tests of core/settings: typed values of a configuration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/config_keys.h"
#include "core/settings.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define HA "high-availability."
#define PG "high-availability.postgres."

static int set_up(void **state)
{
    pgk_config *config;
    assert_int_equal(pgk_config_new(&config, NULL), PGK_OK);
    *state = config;
    return 0;
}

static int tear_down(void **state)
{
    pgk_config_free(*state);
    return 0;
}

static void ignore_line(void *user, pgk_log_level level, const char *context, const char *message)
{
    (void)user;
    (void)level;
    (void)context;
    (void)message;
}

static void test_settings__defaults__are_those_of_the_documents(void **state)
{
    struct settings *s = NULL;
    pgk_error err;
    assert_int_equal(settings_new(*state, &s, &err), PGK_OK);
    assert_string_equal(s->cluster_id, "/default");
    assert_string_equal(s->uri, "");
    assert_string_equal(s->schema, "pgkeeper");
    assert_int_equal(s->profile.heartbeat_ms, 300);
    assert_int_equal(s->profile.lease_ms, 1000);
    assert_int_equal(s->profile.session_timeout_ms, 1500);
    assert_int_equal(s->profile.grace_ms, 1050);
    assert_int_equal(s->take_over, TAKE_OVER_IMMEDIATE);
    assert_int_equal(s->scope, SCOPE_PROCESS);
    assert_int_equal(s->retrieval, RETRIEVAL_LISTEN);
    assert_int_equal(s->dispatch, DISPATCH_THREAD);
    assert_false(s->durable_heartbeat);
    assert_false(s->allow_session_pooler);
    assert_int_equal(s->connect_timeout_ms, 15000);
    assert_int_equal(s->statement_timeout_ms, 10000);
    assert_int_equal(s->retry_wait_ms, 20);
    assert_int_equal(s->max_retry_wait_ms, 1000);
    assert_int_equal(s->max_retry_attempts, 0);
    assert_int_equal(s->max_connections, 8);
    assert_int_equal(s->poll_interval_ms, 1000);
    assert_int_equal(s->disconnect_tolerance_ms, 1000);
    assert_false(s->delete_results);
    assert_int_equal(s->result_retention_ms, INT64_C(2592000000));
    assert_int_equal(s->num_retained, 1);
    assert_int_equal(s->mode, HA_MODE_POSTGRES);
    assert_int_equal(s->cleanup.strategy, CLEANUP_EXPONENTIAL_DELAY);
    assert_int_equal(s->cleanup.fixed_attempts, 2147483647); /* Flink: infinite */
    assert_int_equal(s->cleanup.fixed_delay_ms, 60000);
    assert_int_equal(s->cleanup.initial_backoff_ms, 1000);
    assert_int_equal(s->cleanup.max_backoff_ms, 3600000);
    assert_int_equal(s->cleanup.attempts, 2147483647);
    assert_string_equal(s->job_manager_host, "");
    assert_int_equal(s->job_manager_port, 6123);
    assert_string_equal(s->rest_host, "");
    assert_int_equal(s->rest_port, 8081);
    assert_null(s->logger.fn);
    settings_free(s);
}

static void test_settings__set_values__arrive_in_their_fields(void **state)
{
    static const char *const values[][2] = {
        {HA "cluster-id", "orders"},
        {PG "uri", "host=x"},
        {PG "schema", "my schema"},
        {"member.name", "bob"},
        {PG "profile", "fast"},
        {PG "heartbeat", "101 ms"},
        {PG "lease", "401 ms"},
        {PG "session-timeout", "602 ms"},
        {PG "grace", "1 s"},
        {"leader-election.take-over", "exclusive"},
        {"leader-election.scope", "component"},
        {"retrieval.mode", "poll"},
        {"dispatch", "manual"},
        {PG "durable-heartbeat", "on"},
        {PG "allow-session-pooler", "true"},
        {PG "connect-timeout", "2 min"},
        {PG "statement-timeout", "3 s"},
        {PG "retry-wait", "4 ms"},
        {PG "max-retry-wait", "5 ms"},
        {PG "max-retry-attempts", "6"},
        {PG "max-connections", "7"},
        {"retrieval.poll-interval", "80 ms"},
        {"retrieval.disconnect-tolerance", "0"},
        {"job-result-store.delete-on-commit", "true"},
        {"job-result-store.retention", "3650 d"},
        {"execution.checkpointing.num-retained", "9"},
        {"cleanup-strategy", "disable"},
        {"cleanup-strategy.fixed-delay.attempts", "10"},
        {"cleanup-strategy.fixed-delay.delay", "11 ms"},
        {"cleanup-strategy.exponential-delay.initial-backoff", "12 ms"},
        {"cleanup-strategy.exponential-delay.max-backoff", "13 ms"},
        {"cleanup-strategy.exponential-delay.attempts", "14"},
        {"jobmanager.rpc.address", "jm"},
        {"jobmanager.rpc.port", "15"},
        {"rest.address", "rest"},
        {"rest.port", "16"},
    };
    int user = 0;
    for (size_t i = 0; i < COUNT(values); i++) {
        assert_int_equal(pgk_config_set(*state, values[i][0], values[i][1], NULL), PGK_OK);
    }
    pgk_config_set_log(*state, ignore_line, &user);
    struct settings *s = NULL;
    pgk_error err;
    assert_int_equal(settings_new(*state, &s, &err), PGK_OK);
    /* A copy: the configuration may change. */
    assert_int_equal(pgk_config_set(*state, HA "cluster-id", "other", NULL), PGK_OK);
    assert_string_equal(s->cluster_id, "orders");
    assert_string_equal(s->uri, "host=x");
    assert_string_equal(s->schema, "my schema");
    assert_string_equal(s->member_name, "bob");
    assert_int_equal(s->profile.heartbeat_ms, 101);
    assert_int_equal(s->profile.lease_ms, 401);
    assert_int_equal(s->profile.session_timeout_ms, 602);
    assert_int_equal(s->profile.grace_ms, 1000);
    assert_int_equal(s->take_over, TAKE_OVER_EXCLUSIVE);
    assert_int_equal(s->scope, SCOPE_COMPONENT);
    assert_int_equal(s->retrieval, RETRIEVAL_POLL);
    assert_int_equal(s->dispatch, DISPATCH_MANUAL);
    assert_true(s->durable_heartbeat);
    assert_true(s->allow_session_pooler);
    assert_int_equal(s->connect_timeout_ms, 120000);
    assert_int_equal(s->statement_timeout_ms, 3000);
    assert_int_equal(s->retry_wait_ms, 4);
    assert_int_equal(s->max_retry_wait_ms, 5);
    assert_int_equal(s->max_retry_attempts, 6);
    assert_int_equal(s->max_connections, 7);
    assert_int_equal(s->poll_interval_ms, 80);
    assert_int_equal(s->disconnect_tolerance_ms, 0);
    assert_true(s->delete_results);
    assert_int_equal(s->result_retention_ms, INT64_C(315360000000));
    assert_int_equal(s->num_retained, 9);
    assert_int_equal(s->cleanup.strategy, CLEANUP_NONE);
    assert_int_equal(s->cleanup.fixed_attempts, 10);
    assert_int_equal(s->cleanup.fixed_delay_ms, 11);
    assert_int_equal(s->cleanup.initial_backoff_ms, 12);
    assert_int_equal(s->cleanup.max_backoff_ms, 13);
    assert_int_equal(s->cleanup.attempts, 14);
    assert_string_equal(s->job_manager_host, "jm");
    assert_int_equal(s->job_manager_port, 15);
    assert_string_equal(s->rest_host, "rest");
    assert_int_equal(s->rest_port, 16);
    assert_ptr_equal(s->logger.fn, ignore_line);
    assert_ptr_equal(s->logger.user, &user);
    settings_free(s);
}

/* The words of the table stand in the order of the enums in settings.h. */
static void test_settings__each_word__is_its_enum(void **state)
{
    static const struct {
        enum config_id key;
        size_t offset;
        int count;
    } cases[] = {
        {KEY_TAKE_OVER, offsetof(struct settings, take_over), 2},
        {KEY_SCOPE, offsetof(struct settings, scope), 2},
        {KEY_RETRIEVAL_MODE, offsetof(struct settings, retrieval), 2},
        {KEY_DISPATCH, offsetof(struct settings, dispatch), 2},
        {KEY_CLEANUP_STRATEGY, offsetof(struct settings, cleanup.strategy), 3},
        {KEY_TYPE, offsetof(struct settings, mode), 4},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct config_key *key = &config_keys[cases[i].key];
        int word = 0;
        for (; key->choices[word] != NULL; word++) {
            assert_int_equal(pgk_config_set(*state, key->name, key->choices[word], NULL), PGK_OK);
            struct settings *s = NULL;
            assert_int_equal(settings_new(*state, &s, NULL), PGK_OK);
            int value;
            memcpy(&value, (const char *)s + cases[i].offset, sizeof(value));
            assert_int_equal(value, word);
            settings_free(s);
        }
        assert_int_equal(word, cases[i].count);
    }
}

static void test_settings__limits__fit_in_milliseconds_of_an_int(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (i != KEY_RESULT_RETENTION) { /* read as int64_t */
            assert_true(config_keys[i].max <= INT32_MAX);
        }
    }
}

static void test_settings__contradiction__is_refused(void **state)
{
    assert_int_equal(pgk_config_set(*state, PG "lease", "20 s", NULL), PGK_OK);
    struct settings *s = NULL;
    pgk_error err;
    assert_int_equal(settings_new(*state, &s, &err), PGK_ERR_CONFIG);
    assert_null(s);
    assert_non_null(strstr(err.message, "lease (20000 ms)"));
    assert_int_equal(settings_new(NULL, &s, &err), PGK_ERR_INVALID_ARGUMENT);
}

static void test_settings__default_member_name__is_of_this_process_also_after_fork(void **state)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char end[32];
        snprintf(end, sizeof(end), ":%ld", (long)getpid());
        struct settings *s = NULL;
        pgk_status status = settings_new(*state, &s, NULL);
        int good = status == PGK_OK && strstr(s->member_name, end) != NULL;
        settings_free(s);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_settings__defaults__are_those_of_the_documents),
        TEST(test_settings__set_values__arrive_in_their_fields),
        TEST(test_settings__each_word__is_its_enum),
        TEST(test_settings__limits__fit_in_milliseconds_of_an_int),
        TEST(test_settings__contradiction__is_refused),
        TEST(test_settings__default_member_name__is_of_this_process_also_after_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
