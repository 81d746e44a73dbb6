/*
 * tests/conformance/mode_embedded.c - the mode `embedded`: the memory of this process, controlled by calls. The test's main
 * thread.
 */
#include "modes.h"

#include <pgkeeper/embedded.h>

#include "wait.h"

static const struct setting settings[MODE_SETTINGS] = {{NULL, NULL}};

static const struct setting *get_settings(void)
{
    return settings;
}

static void depose(const char *cluster, const char *component)
{
    assert_int_equal(pgk_embedded_revoke(cluster, component, NULL), PGK_OK);
    assert_int_equal(pgk_embedded_grant(cluster, component, NULL), PGK_OK);
}

const struct mode mode_embedded = {
    .name = "embedded",
    .id = EMBEDDED,
    .quiet_ms = 40,
    .lease_ms = 150,
    .settings = get_settings,
    .depose = depose,
};
