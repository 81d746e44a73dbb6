/*
 * services/open.c - opening a handle: which backend a configuration asks for.
 *
 * The only file of the services that names a backend, so that all others can be used with any.
 */
#include <pgkeeper/ha.h>

#include "services/handle.h"

static pgk_status open_handle(const pgk_config *config, bool client_only, pgk_ha **ret_ha,
                              pgk_error *err)
{
    error_reset(err);
    return ha_open_with(&postgres_backend, config, client_only, ret_ha, err);
}

pgk_status pgk_ha_open(const pgk_config *config, pgk_ha **ret_ha, pgk_error *err)
{
    return open_handle(config, false, ret_ha, err);
}

pgk_status pgk_ha_open_client(const pgk_config *config, pgk_ha **ret_ha, pgk_error *err)
{
    return open_handle(config, true, ret_ha, err);
}
