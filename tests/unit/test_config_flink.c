/*
 * Tests of configurations that were written for Flink: older spellings, keys of its ZooKeeper mode, keys
 * that do nothing here, and what is said about them; and of the description of each key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/config.h"
#include "core/settings.h"
#include "scratch.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define HA "high-availability."
#define ZK "high-availability.zookeeper."
#define PG "high-availability.postgres."

struct fixture {
    pgk_config *config;
    pgk_error err;
    char path[64];
    int logged; /* lines of the log */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    assert_int_equal(pgk_config_new(&f->config, &f->err), PGK_OK);
    snprintf(f->path, sizeof(f->path), "/tmp/pgk_flink_XXXXXX");
    scratch_file(f->path, "", 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pgk_config_free(f->config);
    unlink(f->path);
    free(f);
    return 0;
}

static void load(struct fixture *f, const char *text)
{
    scratch_write(f->path, text);
    if (pgk_config_load_file(f->config, f->path, &f->err) != PGK_OK) {
        fail_msg("%s", f->err.message);
    }
}

static size_t count_warnings(const struct fixture *f)
{
    size_t count = 0;
    while (pgk_config_warning(f->config, count) != NULL) {
        count++;
    }
    return count;
}

/* One warning names the file and the line, and has the rest. */
static void expect_warning(const struct fixture *f, int line, const char *rest)
{
    char whole[512];
    snprintf(whole, sizeof(whole), "%s: line %d: %s", f->path, line, rest);
    for (size_t i = 0; pgk_config_warning(f->config, i) != NULL; i++) {
        if (strstr(pgk_config_warning(f->config, i), whole) != NULL) {
            return;
        }
    }
    const char *first = pgk_config_warning(f->config, 0);
    fail_msg("no warning `%s`; the first is `%s`", whole, first != NULL ? first : "none");
}

static void value_is(const struct fixture *f, const char *key, const char *value)
{
    assert_string_equal(pgk_config_get(f->config, key), value);
}

/* Flink 1.x's flink-conf.yaml, with what an installation adds. */
static void test_config_flink__a_flat_file_of_flink__is_read_as_it_is(void **state)
{
    struct fixture *f = *state;
    load(f, "\xEF\xBB\xBF# Licensed to somebody\r\n"
            "\r\n"
            "jobmanager.rpc.address: localhost\r\n"
            "jobmanager.rpc.port:\t6124\t# for RPC\r\n"
            "jobmanager.bind-host: localhost\r\n"
            "jobmanager.memory.process.size: 1600m\r\n"
            "taskmanager.numberOfTaskSlots: 1\r\n"
            "parallelism.default: 1\r\n"
            "# high-availability.type: zookeeper\r\n"
            "high-availability.type: POSTGRES\r\n"
            "high-availability.cluster-id: '/orders'\r\n"
            "state.checkpoints.num-retained: 3\r\n"
            "jobmanager.execution.failover-strategy: region\r\n"
            "env.java.opts.all: --add-exports=java.base/sun.net.util=ALL-UNNAMED \"-Dx\r\n"
            "rest.address: rest.example\r\n"
            "web.port: 8082\r\n"
            "rest.bind-address: localhost\r\n"
            "cleanup-strategy: fixeddelay\r\n"
            "cleanup-strategy.fixed-delay.attempts: 5\r\n"
            "cleanup-strategy.fixed-delay.delay: 15sec\r\n"
            "job-result-store.delete-on-commit: true\r\n"
            "classloader.resolve-order: child-first");
    struct settings *s = NULL;
    assert_int_equal(settings_new(f->config, &s, &f->err), PGK_OK);
    assert_int_equal(s->mode, HA_MODE_POSTGRES);
    assert_string_equal(s->cluster_id, "/orders");
    assert_string_equal(s->job_manager_host, "localhost");
    assert_int_equal(s->job_manager_port, 6124);
    assert_string_equal(s->rest_host, "rest.example");
    assert_int_equal(s->rest_port, 8082);
    assert_int_equal(s->num_retained, 3);
    assert_int_equal(s->cleanup.strategy, CLEANUP_FIXED_DELAY);
    assert_int_equal(s->cleanup.fixed_attempts, 5);
    assert_int_equal(s->cleanup.fixed_delay_ms, 15000);
    assert_true(s->delete_results);
    settings_free(s);
    expect_warning(
        f, 12, "state.checkpoints.num-retained is taken as execution.checkpointing.num-retained");
    expect_warning(f, 16, "web.port is taken as rest.port");
    assert_int_equal(count_warnings(f), 2); /* and none about what is Flink's own */
}

static void test_config_flink__zookeeper_keys__count_where_there_is_an_equivalent(void **state)
{
    struct fixture *f = *state;
    load(f, ZK "client.session-timeout: 60000\n" ZK "client.connection-timeout: 20000\n" ZK
               "client.retry-wait: 5000\n" ZK "client.max-retry-attempts: 4\n" ZK
               "path.namespace: /one\n");
    struct settings *s = NULL;
    assert_int_equal(settings_new(f->config, &s, &f->err), PGK_OK);
    assert_int_equal(s->profile.session_timeout_ms, 60000);
    assert_int_equal(s->connect_timeout_ms, 20000);
    assert_int_equal(s->retry_wait_ms, 5000);
    assert_int_equal(s->max_retry_wait_ms, 5000);
    assert_int_equal(s->max_retry_attempts, 4);
    assert_string_equal(s->cluster_id, "/one");
    settings_free(s);
    expect_warning(f, 1, ZK "client.session-timeout is taken as " PG "session-timeout");
    assert_int_equal(count_warnings(f), 5);
}

static void test_config_flink__keys_without_equivalent__are_warned_of_by_name(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[][2] = {
        {HA "storageDir", "everything is kept in the database"},
        {ZK "storageDir", "everything is kept in the database"},
        {ZK "quorum", PG "uri says where"},
        {"recovery.zookeeper.quorum", PG "uri says where"},
        {ZK "path.root", "tell clusters apart"},
        {ZK "path.jobgraphs", "tell clusters apart"},
        {ZK "client.acl", "the database grants"},
        {ZK "client.tolerate-suspended-connections", "retrieval.disconnect-tolerance"},
        {ZK "client.ensemble-tracker", "there is no ZooKeeper"},
        {"zookeeper.sasl.service-name", "the database grants"},
        {HA "kubernetes.leader-election.lease-duration", PG "profile"},
        {HA "jobmanager.port", "publishes the port"},
        {HA "job.delay", "nor has it in Flink"},
        {"job-result-store.storage-path", "results are kept in the database"},
        {HA "clusterid", "did you mean " HA "cluster-id?"},
        {HA "use-old-ha-services", "has no effect here"},
        {"cleanup-strategy.fixed-delay.atempts",
         "did you mean cleanup-strategy.fixed-delay.attempts?"},
    };
    for (size_t i = 0; i < COUNT(keys); i++) {
        char line[256];
        char warning[256];
        snprintf(line, sizeof(line), "\n%s: secret-value\n", keys[i][0]);
        load(f, line);
        assert_int_equal(count_warnings(f), i + 1);
        snprintf(warning, sizeof(warning), "%s has no effect here", keys[i][0]);
        expect_warning(f, 2, warning);
        assert_non_null(strstr(pgk_config_warning(f->config, i), keys[i][1]));
        assert_null(strstr(pgk_config_warning(f->config, i), "secret-value"));
    }
    for (size_t i = 0; i < COUNT(keys) - 3; i++) { /* by a call it can only be a mistake */
        assert_int_equal(pgk_config_set(f->config, keys[i][0], "x", &f->err), PGK_ERR_CONFIG);
        assert_non_null(strstr(f->err.message, keys[i][1]));
    }
}

static void test_config_flink__of_spellings__the_newest_counts_and_of_equals_the_later(void **state)
{
    struct fixture *f = *state;
    load(f, HA "cluster-id: new\n" ZK
               "path.namespace: old\nrecovery.zookeeper.path.namespace: oldest\n");
    value_is(f, HA "cluster-id", "new");
    expect_warning(f, 2, ZK "path.namespace is set in line 1 already; line 1 counts");
    load(f, "recovery.zookeeper.path.namespace: oldest\n" ZK "path.namespace: old\n");
    value_is(f, HA "cluster-id", "old");
    load(f, "recovery.zookeeper.path.namespace: oldest\n" HA "cluster-id: new\n");
    value_is(f, HA "cluster-id", "new");
    load(f, HA "cluster-id: one\na: b\n" HA "cluster-id: two\n");
    value_is(f, HA "cluster-id", "two");
    expect_warning(f, 3, HA "cluster-id is set in line 1 already; line 3 counts");
    load(f, "high-availability: postgres\nrecovery.mode: postgres\n");
    value_is(f, HA "type", "postgres");
    assert_int_equal(pgk_config_set(f->config, ZK "path.namespace", "call", &f->err), PGK_OK);
    value_is(f, HA "cluster-id", "call");
}

static void test_config_flink__many_or_equal_warnings__are_kept_in_bounds(void **state)
{
    struct fixture *f = *state;
    load(f, HA "storageDir: x\n");
    load(f, HA "storageDir: x\n");
    assert_int_equal(count_warnings(f), 1);
    char *text = calloc(1, 200 * 40);
    assert_non_null(text);
    for (int i = 0; i < 200; i++) {
        size_t used = strlen(text);
        snprintf(text + used, 200 * 40 - used, HA "what-%d: x\n", i);
    }
    load(f, text);
    free(text);
    assert_int_equal(count_warnings(f), 100);
    assert_null(pgk_config_warning(f->config, 100));
    assert_null(pgk_config_warning(f->config, SIZE_MAX));
    assert_null(pgk_config_warning(NULL, 0));
}

static void count_line(void *user, pgk_log_level level, const char *context, const char *message)
{
    struct fixture *f = user;
    assert_int_equal(level, PGK_LOG_WARNING);
    assert_string_equal(context, "config");
    assert_non_null(strstr(message, "has no effect here"));
    f->logged++;
}

static void test_config_flink__warnings__are_told_to_the_log(void **state)
{
    struct fixture *f = *state;
    load(f, HA "storageDir: x\n" ZK "quorum: y\n");
    config_log_warnings(f->config); /* without a log: nothing */
    pgk_config_set_log(f->config, count_line, f);
    config_log_warnings(f->config);
    assert_int_equal(f->logged, 2);
}

static pgk_config_entry entry_of(const struct fixture *f, const char *key)
{
    pgk_config_entry entry = {.size = sizeof(entry)};
    for (size_t i = 0; pgk_config_describe(f->config, i, &entry, NULL) == PGK_OK; i++) {
        if (strcmp(entry.key, key) == 0) {
            return entry;
        }
    }
    fail_msg("%s is not described", key);
    return entry;
}

static void test_config_flink__description__says_where_a_value_comes_from(void **state)
{
    struct fixture *f = *state;
    char where[128];
    setenv("PGKEEPER_DISPATCH", "manual", 1);
    load(f, "\nmember.name: a\n" ZK "path.namespace: /b\n");
    assert_int_equal(pgk_config_load_environment(f->config, &f->err), PGK_OK);
    unsetenv("PGKEEPER_DISPATCH");
    assert_int_equal(pgk_config_set(f->config, "retrieval.mode", "poll", &f->err), PGK_OK);

    pgk_config_entry entry = entry_of(f, "member.name");
    snprintf(where, sizeof(where), "%s:2", f->path);
    assert_int_equal(entry.origin, PGK_CONFIG_FILE);
    assert_string_equal(entry.where, where);
    entry = entry_of(f, HA "cluster-id");
    snprintf(where, sizeof(where), "%s:3 (" ZK "path.namespace)", f->path);
    assert_string_equal(entry.where, where);
    assert_string_equal(entry.value, "/b");
    entry = entry_of(f, "dispatch");
    assert_int_equal(entry.origin, PGK_CONFIG_ENVIRONMENT);
    assert_string_equal(entry.where, "PGKEEPER_DISPATCH");
    assert_string_equal(entry.value, "manual");
    assert_string_equal(entry.allowed, "thread, manual");
    entry = entry_of(f, "retrieval.mode");
    assert_int_equal(entry.origin, PGK_CONFIG_CALL);
    assert_string_equal(entry.where, "");
    entry = entry_of(f, PG "lease");
    assert_int_equal(entry.origin, PGK_CONFIG_DEFAULT);
    assert_string_equal(entry.value, "1000 ms");
    assert_string_equal(entry.default_value, "of the profile");
    assert_string_equal(entry.allowed, "30 ms to 30 min");
    assert_string_equal(entry.variable, "PGKEEPER_HIGH_AVAILABILITY_POSTGRES_LEASE");
    /* A later file that does not set it leaves the place as it is. */
    load(f, "a: b\n");
    assert_int_equal(entry_of(f, "member.name").origin, PGK_CONFIG_FILE);
}

static void test_config_flink__description__has_each_key_once_and_no_secret(void **state)
{
    struct fixture *f = *state;
    pgk_config_entry entry = {.size = sizeof(entry)};
    size_t count = 0;
    size_t secrets = 0;
    bool seen[KEY_COUNT] = {false};
    assert_int_equal(pgk_config_set(f->config, PG "uri", "password=hunter2", &f->err), PGK_OK);
    for (; pgk_config_describe(f->config, count, &entry, &f->err) == PGK_OK; count++) {
        enum config_id id = config_key_find(entry.key, NULL);
        assert_true(id != KEY_COUNT && !seen[id]);
        seen[id] = true;
        assert_true(strlen(entry.description) > 10 && strlen(entry.group) > 3);
        assert_true(strlen(entry.allowed) > 0 && strlen(entry.allowed) + 1 < sizeof(entry.allowed));
        assert_null(strstr(entry.value, "hunter2"));
        secrets += entry.secret ? 1 : 0;
    }
    assert_int_equal(count, KEY_COUNT);
    assert_int_equal(secrets, 1);
    assert_int_equal(f->err.status, PGK_ERR_NOT_FOUND);
    assert_string_equal(entry_of(f, PG "uri").value, "(hidden)");
    assert_int_equal(pgk_config_describe(NULL, 0, &entry, &f->err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_config_describe(f->config, 0, NULL, &f->err), PGK_ERR_INVALID_ARGUMENT);
    entry.size = 0;
    assert_int_equal(pgk_config_describe(f->config, 0, &entry, &f->err), PGK_ERR_INVALID_ARGUMENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_config_flink__a_flat_file_of_flink__is_read_as_it_is),
        TEST(test_config_flink__zookeeper_keys__count_where_there_is_an_equivalent),
        TEST(test_config_flink__keys_without_equivalent__are_warned_of_by_name),
        TEST(test_config_flink__of_spellings__the_newest_counts_and_of_equals_the_later),
        TEST(test_config_flink__many_or_equal_warnings__are_kept_in_bounds),
        TEST(test_config_flink__warnings__are_told_to_the_log),
        TEST(test_config_flink__description__says_where_a_value_comes_from),
        TEST(test_config_flink__description__has_each_key_once_and_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
