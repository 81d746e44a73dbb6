/*
 * core/settings.c - makes typed values of a configuration; see the header. One thread; then
 * immutable.
 */
#include "core/settings.h"

#include <stdlib.h>
#include <string.h>

#include "core/config.h"

/* The strings; false when memory is out. */
static bool copy_strings(const pgk_config *config, struct settings *settings)
{
    char own_name[MEMBER_NAME_SIZE];
    const char *name = config_text(config, KEY_MEMBER_NAME);
    if (!config_is_set(config, KEY_MEMBER_NAME)) {
        config_default_member_name(own_name); /* the process may have forked since config_new */
        name = own_name;
    }
    settings->cluster_id = strdup(config_text(config, KEY_CLUSTER_ID));
    settings->uri = strdup(config_text(config, KEY_URI));
    settings->schema = strdup(config_text(config, KEY_SCHEMA));
    settings->member_name = strdup(name);
    settings->job_manager_host = strdup(config_text(config, KEY_JOB_MANAGER_HOST));
    settings->rest_host = strdup(config_text(config, KEY_REST_HOST));
    return settings->cluster_id != NULL && settings->uri != NULL && settings->schema != NULL &&
           settings->member_name != NULL && settings->job_manager_host != NULL &&
           settings->rest_host != NULL;
}

static void copy_values(const pgk_config *config, struct settings *settings)
{
    settings->profile = (struct lease_profile){
        .heartbeat_ms = config_duration_ms(config, KEY_HEARTBEAT),
        .lease_ms = config_duration_ms(config, KEY_LEASE),
        .session_timeout_ms = config_duration_ms(config, KEY_SESSION_TIMEOUT),
        .grace_ms = config_duration_ms(config, KEY_GRACE),
    };
    settings->take_over = (enum take_over_mode)config_choice(config, KEY_TAKE_OVER);
    settings->scope = (enum election_scope)config_choice(config, KEY_SCOPE);
    settings->retrieval = (enum retrieval_mode)config_choice(config, KEY_RETRIEVAL_MODE);
    settings->dispatch = (enum dispatch_mode)config_choice(config, KEY_DISPATCH);
    settings->durable_heartbeat = config_boolean(config, KEY_DURABLE_HEARTBEAT);
    settings->allow_session_pooler = config_boolean(config, KEY_ALLOW_SESSION_POOLER);
    settings->connect_timeout_ms = config_duration_ms(config, KEY_CONNECT_TIMEOUT);
    settings->statement_timeout_ms = config_duration_ms(config, KEY_STATEMENT_TIMEOUT);
    settings->retry_wait_ms = config_duration_ms(config, KEY_RETRY_WAIT);
    settings->max_retry_wait_ms = config_duration_ms(config, KEY_MAX_RETRY_WAIT);
    settings->max_retry_attempts = config_integer(config, KEY_MAX_RETRY_ATTEMPTS);
    settings->max_connections = config_integer(config, KEY_MAX_CONNECTIONS);
    settings->poll_interval_ms = config_duration_ms(config, KEY_POLL_INTERVAL);
    settings->disconnect_tolerance_ms = config_duration_ms(config, KEY_DISCONNECT_TOLERANCE);
    settings->delete_results = config_boolean(config, KEY_RESULT_DELETE);
    settings->result_retention_ms = config_long_duration_ms(config, KEY_RESULT_RETENTION);
    settings->num_retained = config_integer(config, KEY_NUM_RETAINED);
    settings->mode = (enum ha_mode)config_choice(config, KEY_TYPE);
    settings->cleanup = (struct cleanup_retry){
        .strategy = (enum cleanup_strategy)config_choice(config, KEY_CLEANUP_STRATEGY),
        .fixed_attempts = config_integer(config, KEY_CLEANUP_FIXED_ATTEMPTS),
        .fixed_delay_ms = config_duration_ms(config, KEY_CLEANUP_FIXED_DELAY),
        .initial_backoff_ms = config_duration_ms(config, KEY_CLEANUP_INITIAL_BACKOFF),
        .max_backoff_ms = config_duration_ms(config, KEY_CLEANUP_MAX_BACKOFF),
        .attempts = config_integer(config, KEY_CLEANUP_ATTEMPTS),
    };
    settings->job_manager_port = config_integer(config, KEY_JOB_MANAGER_PORT);
    settings->rest_port = config_integer(config, KEY_REST_PORT);
    settings->logger = config->logger;
}

pgk_status settings_new(const pgk_config *config, struct settings **ret_settings, pgk_error *err)
{
    pgk_status status = pgk_config_check(config, err);
    if (status != PGK_OK) {
        return status;
    }
    struct settings *settings = calloc(1, sizeof(*settings));
    if (settings == NULL || !copy_strings(config, settings)) {
        settings_free(settings);
        return error_set(err, PGK_ERR_NO_MEMORY, "settings", "no memory for the settings");
    }
    copy_values(config, settings);
    *ret_settings = settings;
    return PGK_OK;
}

void settings_free(struct settings *settings)
{
    if (settings == NULL) {
        return;
    }
    free(settings->cluster_id);
    if (settings->uri != NULL) {
        explicit_bzero(settings->uri, strlen(settings->uri)); /* it may hold a password */
        free(settings->uri);
    }
    free(settings->schema);
    free(settings->member_name);
    free(settings->job_manager_host);
    free(settings->rest_host);
    free(settings);
}
