/*
 * Tests of the factories: addresses of a configuration, services by name, which backend a type stands for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pgkeeper/pgkeeper.h>

#include "core/address.h"
#include "core/config.h"
#include "recorder.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define HOST "jobmanager.rpc.address"
#define PORT "jobmanager.rpc.port"

static int set_up(void **state)
{
    pgk_config *config = NULL;
    assert_int_equal(pgk_config_new(&config, NULL), PGK_OK);
    *state = config;
    return 0;
}

static int tear_down(void **state)
{
    pgk_config_free(*state);
    return 0;
}

static void set(pgk_config *config, const char *key, const char *value)
{
    pgk_error err;
    if (pgk_config_set(config, key, value, &err) != PGK_OK) {
        fail_msg("%s", err.message);
    }
}

static void expect_refused(pgk_status status, const pgk_error *err, const char *part,
                           const char *other)
{
    if (status != PGK_ERR_CONFIG || strstr(err->message, part) == NULL ||
        strstr(err->message, other) == NULL) {
        fail_msg("%s: %s; expected `%s` and `%s`", pgk_status_name(status), err->message, part,
                 other);
    }
}

static void test_address__good_hosts__are_taken_without_brackets(void **state)
{
    pgk_config *config = *state;
    static const char *const cases[][3] = {
        {"localhost", "localhost", "localhost:6123"},
        {"jm-1.example.com", "jm-1.example.com", "jm-1.example.com:6123"},
        {"jm_1.svc.cluster.local.", "jm_1.svc.cluster.local.", "jm_1.svc.cluster.local.:6123"},
        {"10.0.0.1", "10.0.0.1", "10.0.0.1:6123"},
        {"1a", "1a", "1a:6123"},
        {"::1", "::1", "[::1]:6123"},
        {"[::1]", "::1", "[::1]:6123"},
        {"[fe80::1%eth0]", "fe80::1%eth0", "[fe80::1%eth0]:6123"},
        {"::ffff:10.0.0.1", "::ffff:10.0.0.1", "[::ffff:10.0.0.1]:6123"},
        {"2001:db8::8a2e:370:7334", "2001:db8::8a2e:370:7334", "[2001:db8::8a2e:370:7334]:6123"},
        {"b\xC3\xBC"
         "cher.example",
         "b\xC3\xBC"
         "cher.example",
         "b\xC3\xBC"
         "cher.example:6123"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        pgk_host_port address;
        pgk_error err;
        char text[PGK_HOST_PORT_TEXT_SIZE];
        set(config, HOST, cases[i][0]);
        if (pgk_config_job_manager_address(config, PGK_RESOLVE_NOTHING, &address, &err) != PGK_OK) {
            fail_msg("%s", err.message);
        }
        assert_string_equal(address.host, cases[i][1]);
        assert_int_equal(address.port, 6123);
        pgk_host_port_format(&address, text);
        assert_string_equal(text, cases[i][2]);
    }
}

static void test_address__bad_hosts__are_refused_with_key_value_and_what_is_allowed(void **state)
{
    pgk_config *config = *state;
    static const char *const cases[][2] = {
        {"", "is missing; it must be a host name or an IP address"},
        {"two words", "must be a host name or an IP address"},
        {"http://jm", "must be a host name or an IP address"},
        {"jm:6123", "without a port"},
        {"[::1]:6123", "without a port"},
        {"1.2.3.4:80", "without a port"},
        {"1.2.3.999", "must be a host name or an IP address"},
        {"1.2.3", "must be a host name or an IP address"},
        {"42", "must be a host name or an IP address"},
        {"a..b", "must be a host name or an IP address"},
        {".a", "must be a host name or an IP address"},
        {".", "must be a host name or an IP address"},
        {"-a", "must be a host name or an IP address"},
        {"a-", "must be a host name or an IP address"},
        {"a/b", "must be a host name or an IP address"},
        {"a@b", "must be a host name or an IP address"},
        {"[jm]", "must be a host name or an IP address"},
        {"[]", "must be a host name or an IP address"},
        {"[::1", "must be a host name or an IP address"},
        {"::1]", "must be a host name or an IP address"},
        {"::g", "must be a host name or an IP address"},
        {"fe80::1%", "must be a host name or an IP address"},
        {"fe80::1%e th0", "must be a host name or an IP address"},
        {"1:2:3:4:5:6:7:8:9", "must be a host name or an IP address"},
        {"a23456789b123456789c123456789d123456789e123456789f123456789g1234", "must be a host name"},
    };
    pgk_host_port address = {.host = "untouched", .port = 1};
    pgk_error err;
    char shown[300];
    for (size_t i = 0; i < COUNT(cases); i++) {
        set(config, HOST, cases[i][0]);
        pgk_status status =
            pgk_config_job_manager_address(config, PGK_RESOLVE_NOTHING, &address, &err);
        snprintf(shown, sizeof(shown), HOST " \"%s\"", cases[i][0]);
        expect_refused(status, &err, shown, cases[i][1]);
        assert_string_equal(address.host, "untouched");
        /* Setting it says the same, and changes nothing. */
        set(config, HOST, "before");
        status = pgk_config_set_job_manager_address(config, cases[i][0], 80, &err);
        expect_refused(status, &err, shown, cases[i][1]);
        assert_string_equal(pgk_config_get(config, HOST), "before");
    }
    char longest[256];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    for (size_t i = 49; i < sizeof(longest) - 1; i += 50) {
        longest[i] = '.';
    }
    set(config, HOST, longest); /* 255 bytes: as long as the key's value may be */
    expect_refused(pgk_config_job_manager_address(config, PGK_RESOLVE_NOTHING, &address, &err),
                   &err, HOST, "at most 253 bytes");
    longest[PGK_HOST_MAX_BYTES] = '\0';
    assert_int_equal(pgk_config_set_job_manager_address(config, longest, 1, &err), PGK_OK);
}

static void test_address__port__is_1_to_65535(void **state)
{
    pgk_config *config = *state;
    pgk_host_port address;
    pgk_error err;
    static const int good[] = {1, 80, 65535};
    static const int bad[] = {0, -1, 65536, 1 << 20};
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(pgk_config_set_job_manager_address(config, "jm", good[i], &err), PGK_OK);
        assert_int_equal(
            pgk_config_job_manager_address(config, PGK_RESOLVE_NOTHING, &address, &err), PGK_OK);
        assert_int_equal(address.port, good[i]);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        char shown[64];
        snprintf(shown, sizeof(shown), PORT " \"%d\"", bad[i]);
        expect_refused(pgk_config_set_job_manager_address(config, "other", bad[i], &err), &err,
                       shown, "must be 1 to 65535");
        assert_string_equal(pgk_config_get(config, HOST), "jm");
        assert_string_equal(pgk_config_get(config, PORT), "65535");
    }
    set(config, PORT,
        "0"); /* may be written in a file of Flink's, where the port is chosen later */
    expect_refused(pgk_config_job_manager_address(config, PGK_RESOLVE_NOTHING, &address, &err),
                   &err, PORT " \"0\"", "must be 1 to 65535");
    expect_refused(pgk_config_set(config, PORT, "65536", &err), &err, PORT " \"65536\"", "65535");
}

static void test_address__setting__wins_over_a_file_and_takes_brackets_off(void **state)
{
    pgk_config *config = *state;
    pgk_config_entry entry = {.size = sizeof(entry)};
    assert_int_equal(pgk_config_set_job_manager_address(config, "[::1]", 7000, NULL), PGK_OK);
    assert_string_equal(pgk_config_get(config, HOST), "::1");
    assert_string_equal(pgk_config_get(config, "rest.address"), "::1");
    for (size_t i = 0; pgk_config_describe(config, i, &entry, NULL) == PGK_OK; i++) {
        if (strcmp(entry.key, PORT) == 0) {
            assert_int_equal(entry.origin, PGK_CONFIG_CALL);
            assert_string_equal(entry.value, "7000");
            return;
        }
    }
    fail_msg("no " PORT);
}

static void test_address__rest_endpoint__is_the_job_managers_host_unless_set(void **state)
{
    pgk_config *config = *state;
    pgk_host_port address;
    pgk_error err;
    expect_refused(pgk_config_rest_address(config, PGK_RESOLVE_NOTHING, &address, &err), &err,
                   "rest.address \"\"", "is missing");
    set(config, HOST, "jm");
    assert_int_equal(pgk_config_rest_address(config, PGK_RESOLVE_NOTHING, &address, &err), PGK_OK);
    assert_string_equal(address.host, "jm");
    assert_int_equal(address.port, 8081);
    set(config, "rest.address", "rest");
    set(config, "rest.port", "80");
    assert_int_equal(pgk_config_rest_address(config, PGK_RESOLVE_NOTHING, &address, &err), PGK_OK);
    assert_string_equal(address.host, "rest");
    assert_int_equal(address.port, 80);
}

static void test_address__unknown_name__is_an_error_only_when_resolution_is_asked_for(void **state)
{
    pgk_config *config = *state;
    pgk_host_port address;
    pgk_error err;
    /* A name that cannot be there (RFC 6761); without a network the resolver may say so as "try again". */
    set(config, HOST, "no-such-host.invalid");
    assert_int_equal(pgk_config_job_manager_address(config, PGK_RESOLVE_NOTHING, &address, &err),
                     PGK_OK);
    pgk_status status = pgk_config_job_manager_address(config, PGK_RESOLVE_NAMES, &address, &err);
    assert_true(status == PGK_ERR_CONFIG || status == PGK_ERR_IO);
    assert_non_null(strstr(err.message, HOST ": host \"no-such-host.invalid\" cannot be resolved"));
    static const char *const there[] = {"127.0.0.1", "::1", "[::1]", "localhost"};
    for (size_t i = 0; i < COUNT(there); i++) {
        set(config, HOST, there[i]);
        if (pgk_config_job_manager_address(config, PGK_RESOLVE_NAMES, &address, &err) != PGK_OK) {
            fail_msg("%s", err.message);
        }
    }
}

static void test_address__null__is_refused(void **state)
{
    pgk_config *config = *state;
    pgk_host_port address = {.port = 1};
    pgk_error err;
    assert_int_equal(pgk_config_job_manager_address(NULL, PGK_RESOLVE_NOTHING, &address, &err),
                     PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_config_job_manager_address(config, PGK_RESOLVE_NOTHING, NULL, &err),
                     PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_config_rest_address(config, (pgk_resolution)7, &address, &err),
                     PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_config_set_job_manager_address(config, NULL, 1, &err),
                     PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_config_set_job_manager_address(NULL, "a", 1, NULL),
                     PGK_ERR_INVALID_ARGUMENT);
    pgk_host_port_format(NULL, NULL);
}

static const pgk_uuid job = {{0xAB, 1}};

static void test_service__names__stand_for_components_in_any_spelling(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"resource manager", PGK_COMPONENT_RESOURCE_MANAGER},
        {"ResourceManager", PGK_COMPONENT_RESOURCE_MANAGER},
        {"RESOURCE_MANAGER", PGK_COMPONENT_RESOURCE_MANAGER},
        {"dispatcher", PGK_COMPONENT_DISPATCHER},
        {" Dispatcher ", PGK_COMPONENT_DISPATCHER},
        {"rest_endpoint", PGK_COMPONENT_REST_ENDPOINT},
        {"ClusterRestEndpoint", PGK_COMPONENT_REST_ENDPOINT},
        {"web monitor", PGK_COMPONENT_REST_ENDPOINT},
        {"web-monitor", PGK_COMPONENT_REST_ENDPOINT},
    };
    char component[PGK_SERVICE_COMPONENT_SIZE];
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(pgk_service_component(cases[i][0], NULL, component, NULL), PGK_OK);
        assert_string_equal(component, cases[i][1]);
        assert_int_equal(pgk_service_component(cases[i][0], &job, component, NULL),
                         PGK_ERR_INVALID_ARGUMENT);
    }
    assert_int_equal(pgk_service_component("JobMaster", &job, component, NULL), PGK_OK);
    assert_string_equal(component, "job-ab010000000000000000000000000000");
    assert_int_equal(pgk_service_component("job_manager", &job, component, NULL), PGK_OK);
    assert_int_equal(pgk_service_component("job master", NULL, component, NULL),
                     PGK_ERR_INVALID_ARGUMENT);
}

static void test_service__unknown__is_refused_with_the_choices(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "task manager",
                                        "dispatcher2",
                                        "dispatche",
                                        "\xFF",
                                        "\n",
                                        "resource manager resource manager resource manager"};
    char component[PGK_SERVICE_COMPONENT_SIZE] = "untouched";
    pgk_error err;
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(pgk_service_component(names[i], NULL, component, &err),
                         PGK_ERR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "resource manager, dispatcher, rest endpoint, web "
                                            "monitor, job master"));
        assert_string_equal(component, "untouched");
    }
    assert_int_equal(pgk_service_component(NULL, NULL, component, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_service_component("dispatcher", NULL, NULL, &err),
                     PGK_ERR_INVALID_ARGUMENT);
    pgk_election *election = NULL;
    pgk_retriever *retriever = NULL;
    assert_int_equal(pgk_ha_service_election(NULL, "dispatcher", NULL, &election, &err),
                     PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_ha_service_retriever(NULL, "nobody", NULL, &retriever, &err),
                     PGK_ERR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "no service \"nobody\""));
}

static void test_open__null__is_refused_by_all_ways_to_open(void **state)
{
    pgk_config *config = *state;
    pgk_ha *ha = NULL;
    assert_int_equal(pgk_ha_open_or_embedded(NULL, &ha, NULL), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_ha_open_or_embedded(config, NULL, NULL), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_ha_open_resolving(NULL, PGK_RESOLVE_NAMES, &ha, NULL),
                     PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_ha_open_client_resolving(config, PGK_RESOLVE_NAMES, NULL, NULL),
                     PGK_ERR_INVALID_ARGUMENT);
    assert_null(ha);
}

/* ------------------------------------------------------------------ modes */

/* Which of the three it is, by what an election says at once: "" none of those without a server. */
static const char *mode_of(pgk_ha *ha)
{
    static const pgk_uuid nobody;
    pgk_election *election = NULL;
    const pgk_contender contender = {
        .size = sizeof(contender), .grant = ignore_tenure, .revoke = ignore_tenure};
    assert_int_equal(pgk_ha_election(ha, "dispatcher", &election, NULL), PGK_OK);
    assert_int_equal(pgk_election_start(election, &contender, NULL), PGK_OK);
    bool fixed = pgk_election_has_leadership(election, &nobody);
    bool embedded = pgk_embedded_grant("/default", "dispatcher", NULL) == PGK_OK;
    pgk_election_free(election);
    return fixed ? "standalone" : embedded ? "embedded" : "";
}

static void test_open__each_type__is_a_mode(void **state)
{
    static const char *const cases[][3] = {/* type, as it is opened, or embedded */
                                           {"none", "standalone", "embedded"},
                                           {"standalone", "standalone", "standalone"},
                                           {"EMBEDDED", "embedded", "embedded"}};
    pgk_config *config = *state;
    pgk_error err;
    for (size_t i = 0; i < COUNT(cases); i++) {
        pgk_ha *ha = NULL;
        assert_int_equal(pgk_config_set(config, "high-availability.type", cases[i][0], &err),
                         PGK_OK);
        assert_int_equal(pgk_ha_open(config, &ha, &err), PGK_OK);
        assert_string_equal(mode_of(ha), cases[i][1]);
        pgk_ha_free(ha);
        assert_int_equal(pgk_ha_open_or_embedded(config, &ha, &err), PGK_OK);
        assert_string_equal(mode_of(ha), cases[i][2]);
        pgk_ha_free(ha);
    }
}

/* Where the leaders are fixed, whoever asks for it is told that they are nowhere. */
static void test_open__resolving__needs_an_address_when_leaders_are_fixed(void **state)
{
    pgk_config *config = *state;
    pgk_ha *ha = NULL;
    pgk_error err;
    assert_int_equal(pgk_config_set(config, "high-availability.type", "none", &err), PGK_OK);
    assert_int_equal(pgk_ha_open_resolving(config, PGK_RESOLVE_NOTHING, &ha, &err), PGK_ERR_CONFIG);
    assert_non_null(strstr(err.message, "jobmanager.rpc.address"));
    assert_int_equal(pgk_ha_open_client_resolving(config, PGK_RESOLVE_NOTHING, &ha, &err),
                     PGK_ERR_CONFIG);
    assert_non_null(strstr(err.message, "rest.address"));
    assert_int_equal(pgk_config_set_job_manager_address(config, "localhost", 6123, &err), PGK_OK);
    assert_int_equal(pgk_ha_open_resolving(config, PGK_RESOLVE_NAMES, &ha, &err), PGK_OK);
    pgk_ha_free(ha);
    ha = NULL;
    assert_int_equal(pgk_ha_open_client_resolving(config, PGK_RESOLVE_NAMES, &ha, &err), PGK_OK);
    pgk_ha_free(ha);
    ha = NULL;
    assert_int_equal(pgk_config_set(config, "jobmanager.rpc.address", "", &err), PGK_OK);
    assert_int_equal(pgk_config_set(config, "high-availability.type", "embedded", &err), PGK_OK);
    assert_int_equal(pgk_ha_open_resolving(config, PGK_RESOLVE_NAMES, &ha, &err), PGK_OK);
    pgk_ha_free(ha);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_address__good_hosts__are_taken_without_brackets),
        TEST(test_address__bad_hosts__are_refused_with_key_value_and_what_is_allowed),
        TEST(test_address__port__is_1_to_65535),
        TEST(test_address__setting__wins_over_a_file_and_takes_brackets_off),
        TEST(test_address__rest_endpoint__is_the_job_managers_host_unless_set),
        TEST(test_address__unknown_name__is_an_error_only_when_resolution_is_asked_for),
        TEST(test_address__null__is_refused),
        TEST(test_service__names__stand_for_components_in_any_spelling),
        TEST(test_service__unknown__is_refused_with_the_choices),
        TEST(test_open__null__is_refused_by_all_ways_to_open),
        TEST(test_open__each_type__is_a_mode),
        TEST(test_open__resolving__needs_an_address_when_leaders_are_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
