/*
 * services/open.c - opening a handle: which backend a configuration asks for.
 *
 * The only file of the services that names a backend, so that all others can be used with any.
 */
#include <pgkeeper/factory.h>
#include <pgkeeper/ha.h>

#include "core/config.h"
#include "services/handle.h"

/* NULL: this version has none. */
static const struct backend_ops *backend_of(enum ha_mode mode)
{
    switch (mode) {
    case HA_MODE_POSTGRES:
        return &postgres_backend;
    case HA_MODE_NONE:
    case HA_MODE_STANDALONE:
    case HA_MODE_EMBEDDED:
        break;
    }
    return NULL;
}

static enum ha_mode mode_of(const pgk_config *config)
{
    return (enum ha_mode)config_choice(config, KEY_TYPE);
}

static bool leaders_are_fixed(const pgk_config *config)
{
    return mode_of(config) == HA_MODE_NONE || mode_of(config) == HA_MODE_STANDALONE;
}

static pgk_status check_arguments(const pgk_config *config, pgk_ha **ret_ha, pgk_error *err)
{
    error_reset(err);
    if (config != NULL && ret_ha != NULL) {
        return PGK_OK;
    }
    return error_set(err, PGK_ERR_INVALID_ARGUMENT, "ha.open", "%s is NULL",
                     config == NULL ? "config" : "ret_ha");
}

static pgk_status open_handle(const pgk_config *config, enum ha_mode mode, bool client_only,
                              pgk_ha **ret_ha, pgk_error *err)
{
    const struct backend_ops *ops = backend_of(mode);
    if (ops == NULL) {
        return error_set(err, PGK_ERR_CONFIG, "ha.open",
                         "high-availability.type \"%s\": this version has only postgres",
                         config_keys[KEY_TYPE].choices[mode]);
    }
    return ha_open_with(ops, config, client_only, ret_ha, err);
}

pgk_status pgk_ha_open(const pgk_config *config, pgk_ha **ret_ha, pgk_error *err)
{
    pgk_status status = check_arguments(config, ret_ha, err);
    return status == PGK_OK ? open_handle(config, mode_of(config), false, ret_ha, err) : status;
}

pgk_status pgk_ha_open_client(const pgk_config *config, pgk_ha **ret_ha, pgk_error *err)
{
    pgk_status status = check_arguments(config, ret_ha, err);
    return status == PGK_OK ? open_handle(config, mode_of(config), true, ret_ha, err) : status;
}

pgk_status pgk_ha_open_or_embedded(const pgk_config *config, pgk_ha **ret_ha, pgk_error *err)
{
    pgk_status status = check_arguments(config, ret_ha, err);
    if (status != PGK_OK) {
        return status;
    }
    enum ha_mode mode = mode_of(config);
    return open_handle(config, mode == HA_MODE_NONE ? HA_MODE_EMBEDDED : mode, false, ret_ha, err);
}

pgk_status pgk_ha_open_resolving(const pgk_config *config, pgk_resolution resolution,
                                 pgk_ha **ret_ha, pgk_error *err)
{
    pgk_host_port address;
    pgk_status status = check_arguments(config, ret_ha, err);
    if (status == PGK_OK && leaders_are_fixed(config)) {
        status = pgk_config_job_manager_address(config, resolution, &address, err);
    }
    return status == PGK_OK ? pgk_ha_open(config, ret_ha, err) : status;
}

pgk_status pgk_ha_open_client_resolving(const pgk_config *config, pgk_resolution resolution,
                                        pgk_ha **ret_ha, pgk_error *err)
{
    pgk_host_port address;
    pgk_status status = check_arguments(config, ret_ha, err);
    if (status == PGK_OK && leaders_are_fixed(config)) {
        status = pgk_config_rest_address(config, resolution, &address, err);
    }
    return status == PGK_OK ? pgk_ha_open_client(config, ret_ha, err) : status;
}
