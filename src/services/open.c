/*
 * services/open.c - opening a handle: which backend a configuration asks for.
 *
 * The only file of the services that names a backend, so that all others can be used with any.
 */
#include <pgkeeper/factory.h>
#include <pgkeeper/ha.h>

#include "core/config.h"
#include "services/handle.h"

static const struct backend_ops *backend_of(enum ha_mode mode)
{
    switch (mode) {
    case HA_MODE_NONE:
    case HA_MODE_STANDALONE:
        return &standalone_backend;
    case HA_MODE_EMBEDDED:
        return &embedded_backend;
    case HA_MODE_POSTGRES:
        break;
    }
    return &postgres_backend;
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

pgk_status pgk_ha_open(const pgk_config *config, pgk_ha **ret_ha, pgk_error *err)
{
    pgk_status status = check_arguments(config, ret_ha, err);
    return status == PGK_OK ? ha_open_with(backend_of(mode_of(config)), config, false, ret_ha, err)
                            : status;
}

pgk_status pgk_ha_open_client(const pgk_config *config, pgk_ha **ret_ha, pgk_error *err)
{
    pgk_status status = check_arguments(config, ret_ha, err);
    return status == PGK_OK ? ha_open_with(backend_of(mode_of(config)), config, true, ret_ha, err)
                            : status;
}

pgk_status pgk_ha_open_or_embedded(const pgk_config *config, pgk_ha **ret_ha, pgk_error *err)
{
    pgk_status status = check_arguments(config, ret_ha, err);
    if (status != PGK_OK) {
        return status;
    }
    enum ha_mode mode = mode_of(config);
    const struct backend_ops *ops = backend_of(mode == HA_MODE_NONE ? HA_MODE_EMBEDDED : mode);
    return ha_open_with(ops, config, false, ret_ha, err);
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
