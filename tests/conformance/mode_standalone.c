/*
 * tests/conformance/mode_standalone.c - the mode `standalone`: the leaders and their addresses are those of the
 * configuration. The test's main thread.
 */
#include "modes.h"

static const struct setting settings[MODE_SETTINGS] = {
    {"jobmanager.rpc.address", "master.example"},
    {"jobmanager.rpc.port", "6123"},
    {"rest.address", "rest.example"},
    {"rest.port", "8081"},
};

static const struct setting *get_settings(void)
{
    return settings;
}

const struct mode mode_standalone = {
    .name = "standalone",
    .id = STANDALONE,
    .quiet_ms = 40,
    .lease_ms = 150,
    .settings = get_settings,
};
