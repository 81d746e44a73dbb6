/*
 * core/config_address.c - the addresses of a configuration: a host and a port each, checked together.
 *
 * One thread at a time, as the configuration.
 */
#include <string.h>

#include "core/address.h"
#include "core/config.h"
#include "core/text.h"

#define PORT_ALLOWED "must be 1 to 65535"

static pgk_status refuse_host(enum config_id key, const char *host, const char *reason,
                              pgk_error *err)
{
    char shown[80];
    text_excerpt(shown, sizeof(shown), host);
    return error_set(err, PGK_ERR_CONFIG, "config.address", "%s \"%s\": %s", config_keys[key].name,
                     shown, reason);
}

static pgk_status get_address(const pgk_config *config, enum config_id host_key,
                              enum config_id port_key, pgk_resolution resolution,
                              pgk_host_port *ret_address, pgk_error *err)
{
    static const char origin[] = "config.address";
    error_reset(err);
    if (config == NULL || ret_address == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "%s is NULL",
                         config == NULL ? "config" : "ret_address");
    }
    if (resolution != PGK_RESOLVE_NOTHING && resolution != PGK_RESOLVE_NAMES) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "resolution is %d, which is none",
                         (int)resolution);
    }
    pgk_host_port address = {.port = config_integer(config, port_key)};
    const char *host = config_text(config, host_key);
    const char *reason = NULL;
    if (!address_take_host(host, address.host, &reason)) {
        return refuse_host(host_key, host, reason, err);
    }
    if (address.port < 1 || address.port > 65535) {
        return error_set(err, PGK_ERR_CONFIG, origin, "%s \"%d\": " PORT_ALLOWED,
                         config_keys[port_key].name, address.port);
    }
    if (resolution == PGK_RESOLVE_NAMES) {
        pgk_status status = address_resolve(address.host, origin, err);
        if (status != PGK_OK) {
            return error_wrap(err, status, "%s", config_keys[host_key].name);
        }
    }
    *ret_address = address;
    return PGK_OK;
}

pgk_status pgk_config_job_manager_address(const pgk_config *config, pgk_resolution resolution,
                                          pgk_host_port *ret_address, pgk_error *err)
{
    return get_address(config, KEY_JOB_MANAGER_HOST, KEY_JOB_MANAGER_PORT, resolution, ret_address,
                       err);
}

pgk_status pgk_config_rest_address(const pgk_config *config, pgk_resolution resolution,
                                   pgk_host_port *ret_address, pgk_error *err)
{
    return get_address(config, KEY_REST_HOST, KEY_REST_PORT, resolution, ret_address, err);
}

pgk_status pgk_config_set_job_manager_address(pgk_config *config, const char *host, int port,
                                              pgk_error *err)
{
    static const char origin[] = "config.set_address";
    error_reset(err);
    if (config == NULL || host == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "%s is NULL",
                         config == NULL ? "config" : "host");
    }
    char bare[PGK_HOST_MAX_BYTES + 1];
    const char *reason = NULL;
    if (!address_take_host(host, bare, &reason)) {
        return refuse_host(KEY_JOB_MANAGER_HOST, host, reason, err);
    }
    if (port < 1 || port > 65535) {
        return error_set(err, PGK_ERR_CONFIG, origin, "%s \"%d\": " PORT_ALLOWED,
                         config_keys[KEY_JOB_MANAGER_PORT].name, port);
    }
    char digits[12];
    struct config_batch batch = {0};
    text_format(digits, sizeof(digits), "%d", port);
    pgk_status status =
        config_make_text(KEY_JOB_MANAGER_HOST, bare, &batch.texts[KEY_JOB_MANAGER_HOST], err);
    if (status == PGK_OK) {
        status =
            config_make_text(KEY_JOB_MANAGER_PORT, digits, &batch.texts[KEY_JOB_MANAGER_PORT], err);
    }
    if (status == PGK_OK) {
        config_take_batch(config, SOURCE_CALL, &batch);
    }
    config_free_batch(&batch);
    return status;
}

void pgk_host_port_format(const pgk_host_port *address, char out[PGK_HOST_PORT_TEXT_SIZE])
{
    if (address == NULL || out == NULL) {
        return;
    }
    bool ipv6 = strchr(address->host, ':') != NULL;
    text_format(out, PGK_HOST_PORT_TEXT_SIZE, "%s%s%s:%d", ipv6 ? "[" : "", address->host,
                ipv6 ? "]" : "", address->port);
}
