/*
 * Tests of core/config: values and their limits, sources and their precedence, what is refused and
 * how.
 */
#include <inttypes.h>
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
#include "scratch.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define HA "high-availability."
#define PG "high-availability.postgres."
#define EXP "cleanup-strategy.exponential-delay."

struct fixture {
    pgk_config *config;
    pgk_error err;
    char path[64]; /* a file of the test's own */
};

static void drop_variables(void)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char name[CONFIG_ENV_NAME_SIZE];
        config_key_env_name(config_keys[i].name, name);
        unsetenv(name);
    }
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    drop_variables();
    assert_int_equal(pgk_config_new(&f->config, &f->err), PGK_OK);
    snprintf(f->path, sizeof(f->path), "/tmp/pgk_config_XXXXXX");
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
    drop_variables();
    return 0;
}

/* The call failed with `status` and its message holds each part. */
static void expect_error(const struct fixture *f, pgk_status got, pgk_status status,
                         const char *part, const char *other)
{
    if (got != status || strstr(f->err.message, part) == NULL ||
        strstr(f->err.message, other) == NULL) {
        fail_msg("%s, message: %s; expected %s with `%s` and `%s`", pgk_status_name(got),
                 f->err.message, pgk_status_name(status), part, other);
    }
    assert_int_equal(f->err.status, status);
}

static void test_config__new__has_all_defaults(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        if (!key->derived) {
            assert_string_equal(pgk_config_get(f->config, key->name), key->default_text);
        }
        /* Each default is a value that may be set. */
        const char *value = pgk_config_get(f->config, key->name);
        assert_non_null(value);
        assert_int_equal(pgk_config_set(f->config, key->name, value, &f->err), PGK_OK);
    }
    assert_string_equal(pgk_config_get(f->config, HA "cluster-id"), "/default");
    assert_string_equal(pgk_config_get(f->config, PG "lease"), "1000 ms");
    assert_string_equal(pgk_config_get(f->config, "retrieval.disconnect-tolerance"), "1000 ms");
    char pid[32];
    snprintf(pid, sizeof(pid), ":%ld", (long)getpid());
    assert_non_null(strstr(pgk_config_get(f->config, "member.name"), pid));
    assert_int_equal(pgk_config_check(f->config, &f->err), PGK_OK);
}

static void test_config__profiles__keep_the_inequalities(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; config_keys[KEY_PROFILE].choices[i] != NULL; i++) {
        const char *profile = config_keys[KEY_PROFILE].choices[i];
        assert_int_equal(pgk_config_set(f->config, PG "profile", profile, &f->err), PGK_OK);
        assert_int_equal(pgk_config_check(f->config, &f->err), PGK_OK);
    }
    assert_string_equal(pgk_config_get(f->config, PG "session-timeout"), "6000 ms"); /* wan */
    assert_string_equal(pgk_config_get(f->config, "retrieval.disconnect-tolerance"), "4000 ms");
}

static void test_config__words__are_read_in_either_case(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[][3] = {
        {HA "type", "Postgres", "postgres"},
        {HA "type", "EMBEDDED", "embedded"},
        {HA "type", "Standalone", "standalone"},
        {HA "type", "NONE", "none"},
        {PG "profile", "WAN", "wan"},
        {"leader-election.take-over", "Exclusive", "exclusive"},
        {"dispatch", "MANUAL", "manual"},
        {PG "durable-heartbeat", "TRUE", "on"},
        {PG "durable-heartbeat", "Off", "off"},
        {PG "durable-heartbeat", "yes", "on"},
        {PG "durable-heartbeat", "No", "off"},
        {PG "durable-heartbeat", "on", "on"},
        {PG "durable-heartbeat", "false", "off"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(pgk_config_set(f->config, cases[i][0], cases[i][1], &f->err), PGK_OK);
        assert_string_equal(pgk_config_get(f->config, cases[i][0]), cases[i][2]);
    }
}

static void test_config__bad_values__are_refused_with_key_value_and_choice(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[][3] = {
        {HA "type", "zookeeper", "none, standalone, embedded, postgres"},
        {HA "type", "", "empty"},
        {HA "cluster-id", "", "empty"},
        {HA "cluster-id", "\xC3(", "1 to 200 bytes of UTF-8"},
        {PG "schema", "", "empty"},
        {PG "schema", "a123456789b123456789c123456789d123456789e123456789f123456789g123",
         "1 to 63"},
        {PG "profile", "slow", "default, fast, wan"},
        {PG "profile", " fast", "default, fast, wan"},
        {PG "lease", "", "empty"},
        {PG "lease", "soon", "such as 15 s"},
        {PG "lease", "-1 s", "negative"},
        {PG "lease", "1 fortnight", "unknown unit"},
        {PG "lease", "29 ms", "30 ms to 30 min"},
        {PG "lease", "31 min", "30 ms to 30 min"},
        {PG "lease", "9999999999999999999999 s", "too long"},
        {PG "heartbeat", "0", "10 ms to 10 min"},
        {PG "session-timeout", "2 h", "45 ms to 1 h"},
        {PG "retry-wait", "0", "1 ms to 1 min"},
        {PG "durable-heartbeat", "maybe", "true, false, on, off, yes, no"},
        {PG "durable-heartbeat", "1", "true, false"},
        {PG "durable-heartbeat", "", "empty"},
        {PG "max-connections", "0", "from 1 to 1000"},
        {PG "max-connections", "1001", "from 1 to 1000"},
        {PG "max-connections", "-1", "from 1 to 1000"},
        {PG "max-connections", "8 ", "from 1 to 1000"},
        {PG "max-connections", "eight", "from 1 to 1000"},
        {PG "max-connections", "99999999999999999999", "from 1 to 1000"},
        {PG "max-connections", "", "empty"},
        {PG "max-retry-attempts", "1000001", "from 0 to 1000000"},
        {"retrieval.mode", "push", "listen, poll"},
        {"retrieval.poll-interval", "49 ms", "50 ms to 1 h"},
        {"leader-election.scope", "cluster", "process, component"},
        {"leader-election.take-over", "later", "immediate, exclusive"},
        {"member.name", "", "empty"},
        {"dispatch", "fork", "thread, manual"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *before = pgk_config_get(f->config, cases[i][0]);
        pgk_status status = pgk_config_set(f->config, cases[i][0], cases[i][1], &f->err);
        expect_error(f, status, PGK_ERR_CONFIG, cases[i][2], cases[i][0]);
        if (strchr(cases[i][1], '\xC3') == NULL && strlen(cases[i][1]) < 60) {
            expect_error(f, status, PGK_ERR_CONFIG, cases[i][1], "\"");
        }
        assert_ptr_equal(pgk_config_get(f->config, cases[i][0]), before);
        assert_int_equal(pgk_config_set(f->config, cases[i][0], cases[i][1], NULL), PGK_ERR_CONFIG);
    }
}

static void expect_taken(struct fixture *f, const struct config_key *key, const char *value)
{
    if (pgk_config_set(f->config, key->name, value, &f->err) != PGK_OK) {
        fail_msg("%s \"%s\": %s", key->name, value, f->err.message);
    }
    assert_string_equal(pgk_config_get(f->config, key->name), value);
}

static void expect_out_of_limits(struct fixture *f, const struct config_key *key, const char *value)
{
    char allowed[CONFIG_ALLOWED_SIZE];
    config_key_allowed(key, allowed);
    const char *before = pgk_config_get(f->config, key->name);
    pgk_status status = pgk_config_set(f->config, key->name, value, &f->err);
    expect_error(f, status, PGK_ERR_CONFIG, key->name, value);
    if (key->type == CONFIG_DURATION) {
        expect_error(f, status, PGK_ERR_CONFIG, "must be", allowed);
    } else {
        expect_error(f, status, PGK_ERR_CONFIG, "must be a whole number from", "to");
    }
    assert_ptr_equal(pgk_config_get(f->config, key->name), before);
}

/* The smallest and the greatest value of each number are taken, one less and one more are not. */
static void test_config__each_limit__holds_to_the_last_unit(void **state)
{
    struct fixture *f = *state;
    size_t tried = 0;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        const char *unit = key->type == CONFIG_DURATION ? " ms" : "";
        char value[64];
        if (key->type != CONFIG_DURATION && key->type != CONFIG_INTEGER) {
            continue;
        }
        tried++;
        snprintf(value, sizeof(value), "%" PRId64 "%s", key->min, unit);
        expect_taken(f, key, value);
        snprintf(value, sizeof(value), "%" PRId64 "%s", key->max, unit);
        expect_taken(f, key, value);
        snprintf(value, sizeof(value), "%" PRId64 "%s", key->max + 1, unit);
        expect_out_of_limits(f, key, value);
        if (key->min > 0) {
            snprintf(value, sizeof(value), "%" PRId64 "%s", key->min - 1, unit);
            expect_out_of_limits(f, key, value);
        }
        /* What would be a small number if 64 bits were not enough. */
        expect_error(f, pgk_config_set(f->config, key->name, "18446744073709551617", &f->err),
                     PGK_ERR_CONFIG, key->name, "18446744073709551617");
    }
    assert_true(tried >= 20);
}

/* Each word is taken in any case, any other is refused with all of them. */
static void test_config__each_choice__is_taken_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        if (key->type != CONFIG_ENUM) {
            continue;
        }
        char allowed[CONFIG_ALLOWED_SIZE];
        config_key_allowed(key, allowed);
        for (size_t j = 0; key->choices[j] != NULL; j++) {
            expect_taken(f, key, key->choices[j]);
        }
        for (const struct config_alias *alias = key->aliases; alias != NULL && alias->word != NULL;
             alias++) {
            assert_int_equal(pgk_config_set(f->config, key->name, alias->word, &f->err), PGK_OK);
            assert_string_equal(pgk_config_get(f->config, key->name), alias->choice);
        }
        pgk_status status = pgk_config_set(f->config, key->name, "nonesuch", &f->err);
        expect_error(f, status, PGK_ERR_CONFIG, allowed, "\"nonesuch\"");
    }
}

static void test_config__longest_names__are_accepted_and_one_byte_more_is_not(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        if (key->type != CONFIG_STRING) {
            continue;
        }
        size_t most = (size_t)key->max;
        char *value = calloc(1, most + 2);
        assert_non_null(value);
        memset(value, 'x', most);
        assert_int_equal(pgk_config_set(f->config, key->name, value, &f->err), PGK_OK);
        assert_string_equal(pgk_config_get(f->config, key->name), value);
        value[most] = 'x';
        pgk_status status = pgk_config_set(f->config, key->name, value, &f->err);
        expect_error(f, status, PGK_ERR_CONFIG, "bytes of UTF-8", key->name);
        free(value);
    }
}

static void test_config__unknown_key__is_refused_with_a_suggestion(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[][2] = {
        {PG "leese", "did you mean " PG "lease?"},
        {HA "clusterid", "did you mean " HA "cluster-id?"},
        {"statement-timeout", "did you mean " PG "statement-timeout?"},
        {"Dispatch", "did you mean dispatch?"},
        {"something.else.entirely", "docs/configuration.md"},
        {"", "docs/configuration.md"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pgk_status status = pgk_config_set(f->config, cases[i][0], "1 s", &f->err);
        expect_error(f, status, PGK_ERR_CONFIG, "unknown key", cases[i][1]);
        assert_null(pgk_config_get(f->config, cases[i][0]));
    }
    char longer[5000];
    memset(longer, 'k', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    pgk_status status = pgk_config_set(f->config, longer, "1 s", &f->err);
    expect_error(f, status, PGK_ERR_CONFIG, "unknown key", "docs/configuration.md");
}

static void test_config__null__is_refused(void **state)
{
    struct fixture *f = *state;
    pgk_config *c = f->config;
    pgk_error *err = &f->err;
    pgk_status bad = PGK_ERR_INVALID_ARGUMENT;
    expect_error(f, pgk_config_new(NULL, err), bad, "ret_config is NULL", "");
    expect_error(f, pgk_config_set(NULL, "dispatch", "manual", err), bad, "config is NULL", "");
    expect_error(f, pgk_config_set(c, NULL, "manual", err), bad, "key is NULL", "");
    expect_error(f, pgk_config_set(c, "dispatch", NULL, err), bad, "value is NULL", "");
    expect_error(f, pgk_config_load_environment(NULL, err), bad, "config is NULL", "");
    expect_error(f, pgk_config_load_file(NULL, "/dev/null", err), bad, "config is NULL", "");
    expect_error(f, pgk_config_load_file(c, NULL, err), bad, "path is NULL", "");
    expect_error(f, pgk_config_check(NULL, err), bad, "config is NULL", "");
    assert_null(pgk_config_get(NULL, "dispatch"));
    assert_null(pgk_config_get(c, NULL));
    pgk_config_free(NULL);
    pgk_config_set_log(NULL, NULL, NULL);
}

static void test_config__success__resets_the_error(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pgk_config_set(f->config, "dispatch", "x", &f->err), PGK_ERR_CONFIG);
    assert_int_equal(pgk_config_set(f->config, "dispatch", "manual", &f->err), PGK_OK);
    assert_int_equal(f->err.status, PGK_OK);
    assert_string_equal(f->err.message, "");
}

static void test_config__precedence__does_not_depend_on_the_order(void **state)
{
    struct fixture *f = *state;
    for (int order = 0; order < 6; order++) {
        static const char steps[6][4] = {"cef", "cfe", "ecf", "efc", "fce", "fec"};
        pgk_config *config;
        assert_int_equal(pgk_config_new(&config, &f->err), PGK_OK);
        scratch_write(f->path, HA "cluster-id: file\nmember.name: file\n" PG "schema: file\n");
        setenv("PGKEEPER_HIGH_AVAILABILITY_CLUSTER_ID", "environment", 1);
        setenv("PGKEEPER_MEMBER_NAME", "environment", 1);
        setenv("PGKEEPER_DISPATCH", "", 1); /* empty: not set */
        for (int i = 0; i < 3; i++) {
            pgk_status status = PGK_OK;
            if (steps[order][i] == 'c') {
                status = pgk_config_set(config, HA "cluster-id", "call", &f->err);
            } else if (steps[order][i] == 'e') {
                status = pgk_config_load_environment(config, &f->err);
            } else {
                status = pgk_config_load_file(config, f->path, &f->err);
            }
            assert_int_equal(status, PGK_OK);
        }
        assert_string_equal(pgk_config_get(config, HA "cluster-id"), "call");
        assert_string_equal(pgk_config_get(config, "member.name"), "environment");
        assert_string_equal(pgk_config_get(config, PG "schema"), "file");
        assert_string_equal(pgk_config_get(config, "dispatch"), "thread");
        pgk_config_free(config);
    }
}

static void test_config__later_value_of_a_source__replaces_the_former(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pgk_config_set(f->config, "member.name", "a", &f->err), PGK_OK);
    assert_int_equal(pgk_config_set(f->config, "member.name", "b", &f->err), PGK_OK);
    assert_string_equal(pgk_config_get(f->config, "member.name"), "b");
    scratch_write(f->path, PG "schema: one\n" HA "cluster-id: one\n");
    assert_int_equal(pgk_config_load_file(f->config, f->path, &f->err), PGK_OK);
    scratch_write(f->path, PG "schema: two\n");
    assert_int_equal(pgk_config_load_file(f->config, f->path, &f->err), PGK_OK);
    assert_string_equal(pgk_config_get(f->config, PG "schema"), "two");
    assert_string_equal(pgk_config_get(f->config, HA "cluster-id"), "one");
}

static void test_config__environment__has_a_variable_for_each_key(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char name[CONFIG_ENV_NAME_SIZE];
        config_key_env_name(config_keys[i].name, name);
        assert_true(strlen(name) < CONFIG_ENV_NAME_SIZE - 1);
        for (size_t j = 0; j < i; j++) {
            char other[CONFIG_ENV_NAME_SIZE];
            config_key_env_name(config_keys[j].name, other);
            assert_string_not_equal(name, other);
        }
        const char *value = config_keys[i].type == CONFIG_DURATION ? "54321 ms" : NULL;
        if (value != NULL) {
            setenv(name, value, 1);
            assert_int_equal(pgk_config_load_environment(f->config, &f->err), PGK_OK);
            assert_string_equal(pgk_config_get(f->config, config_keys[i].name), value);
        }
    }
}

static void test_config__bad_variable__is_named_and_nothing_is_taken(void **state)
{
    struct fixture *f = *state;
    setenv("PGKEEPER_HIGH_AVAILABILITY_CLUSTER_ID", "mine", 1);
    setenv("PGKEEPER_RETRIEVAL_MODE", "push", 1);
    pgk_status status = pgk_config_load_environment(f->config, &f->err);
    expect_error(f, status, PGK_ERR_CONFIG, "PGKEEPER_RETRIEVAL_MODE", "\"push\"");
    assert_string_equal(pgk_config_get(f->config, HA "cluster-id"), "/default");
}

static void test_config__misspelt_variable__is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"PGKEEPER_RETRIEVAL_POLLINTERVAL",
                                        "PGKEEPER_LEADER_ELECTION_TAKEOVER",
                                        "PGKEEPER_HIGH_AVAILABILITY_POSTGRES_LEESE"};
    for (size_t i = 0; i < COUNT(names); i++) {
        setenv(names[i], "1 s", 1);
        pgk_status status = pgk_config_load_environment(f->config, &f->err);
        unsetenv(names[i]);
        expect_error(f, status, PGK_ERR_CONFIG, names[i], "stands for no key");
    }
    setenv("PGKEEPER_COMPONENT", "dispatcher", 1); /* what pgkeeper run tells its child */
    setenv("PGKEEPER_RETRIEVAL_EMPTY", "", 1);
    assert_int_equal(pgk_config_load_environment(f->config, &f->err), PGK_OK);
    unsetenv("PGKEEPER_COMPONENT");
    unsetenv("PGKEEPER_RETRIEVAL_EMPTY");
}

static void test_config__secret__is_never_in_a_message(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = {
        PG "uri: \"host=a password=hunter2",
        PG "uri: \"host=a password=hunter2\" x",
        PG "uri: password=hunter2\xFF",
        PG "uri=host=a password=hunter2",
        PG "uri=postgresql://a:hunter2@b/c",
        PG "uri password=hunter2:",
        PG "urii: hunter2",
        "  password: hunter2",
        "hunter2",
        PG "uri: a\n  hunter2: b",
        PG "uri:\n  hunter2: b",
        PG "uri: |\n  hunter2",
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        scratch_write(f->path, files[i]);
        pgk_status status = pgk_config_load_file(f->config, f->path, &f->err);
        expect_error(f, status, PGK_ERR_CONFIG, "line ", f->path);
        assert_null(strstr(f->err.message, "hunter2"));
    }
    const char *bad = "host=a password=hunter2\xFF";
    assert_int_equal(pgk_config_set(f->config, PG "uri", bad, &f->err), PGK_ERR_CONFIG);
    assert_null(strstr(f->err.message, "hunter2"));
    assert_non_null(strstr(f->err.message, "(hidden)"));
    assert_int_equal(pgk_config_set(f->config, PG "uri=x password=hunter2", "", &f->err),
                     PGK_ERR_CONFIG);
    assert_null(strstr(f->err.message, "hunter2"));
    setenv("PGKEEPER_HIGH_AVAILABILITY_POSTGRES_URI", bad, 1);
    assert_int_equal(pgk_config_load_environment(f->config, &f->err), PGK_ERR_CONFIG);
    assert_null(strstr(f->err.message, "hunter2"));
}

static void test_config__contradictions__are_named_with_their_values(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *values[8];
        const char *part;
        const char *other;
    } cases[] = {
        {{PG "heartbeat", "334 ms"}, "3 x heartbeat (334 ms) exceeds lease (1000 ms)", "default"},
        {{PG "lease", "1001 ms", PG "grace", "2 s"}, "lease (1001 ms) exceeds 2/3 of", "(1500 ms)"},
        {{PG "grace", "1000 ms"}, "grace (1000 ms) is less than 1.001 x lease (1000 ms)", ""},
        {{PG "lease", "899 ms"}, "3 x heartbeat (300 ms)", "lease (899 ms)"},
        {{PG "profile", "wan", PG "lease", "2 s"}, "lease (2000 ms)", "profile wan"},
        {{PG "lease", "20 min"}, "2/3 of session-timeout (1500 ms)", "grace (1050 ms)"},
        {{PG "retry-wait", "6 s", PG "max-retry-wait", "5 s"},
         "retry-wait (6000 ms) exceeds max-retry-wait (5000 ms)",
         ""},
        {{EXP "initial-backoff", "2 s", EXP "max-backoff", "1999 ms"},
         "initial-backoff (2000 ms) exceeds max-backoff (1999 ms)",
         "cleanup-strategy"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pgk_config *config;
        assert_int_equal(pgk_config_new(&config, &f->err), PGK_OK);
        for (size_t j = 0; cases[i].values[j] != NULL; j += 2) {
            assert_int_equal(
                pgk_config_set(config, cases[i].values[j], cases[i].values[j + 1], &f->err),
                PGK_OK);
        }
        pgk_status status = pgk_config_check(config, &f->err);
        expect_error(f, status, PGK_ERR_CONFIG, cases[i].part, cases[i].other);
        pgk_config_free(config);
    }
}

static void test_config__values_at_the_limit_of_the_inequalities__are_accepted(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[][2] = {
        {PG "heartbeat", "333 ms"},     {PG "lease", "999 ms"},   {PG "lease", "1000 ms"},
        {PG "grace", "1001 ms"},        {PG "retry-wait", "1 s"}, {PG "retry-wait", "1 min"},
        {EXP "initial-backoff", "1 h"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(pgk_config_set(f->config, cases[i][0], cases[i][1], &f->err), PGK_OK);
        assert_int_equal(pgk_config_check(f->config, &f->err), PGK_OK);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_config__new__has_all_defaults),
        TEST(test_config__profiles__keep_the_inequalities),
        TEST(test_config__words__are_read_in_either_case),
        TEST(test_config__bad_values__are_refused_with_key_value_and_choice),
        TEST(test_config__each_limit__holds_to_the_last_unit),
        TEST(test_config__each_choice__is_taken_and_nothing_else),
        TEST(test_config__longest_names__are_accepted_and_one_byte_more_is_not),
        TEST(test_config__unknown_key__is_refused_with_a_suggestion),
        TEST(test_config__null__is_refused),
        TEST(test_config__success__resets_the_error),
        TEST(test_config__precedence__does_not_depend_on_the_order),
        TEST(test_config__later_value_of_a_source__replaces_the_former),
        TEST(test_config__environment__has_a_variable_for_each_key),
        TEST(test_config__bad_variable__is_named_and_nothing_is_taken),
        TEST(test_config__misspelt_variable__is_refused),
        TEST(test_config__secret__is_never_in_a_message),
        TEST(test_config__contradictions__are_named_with_their_values),
        TEST(test_config__values_at_the_limit_of_the_inequalities__are_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
