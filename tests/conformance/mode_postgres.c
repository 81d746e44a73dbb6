/*
 * tests/conformance/mode_postgres.c - the mode `postgres`: one private server and one database for all cases. Owns the
 * fixture. The test's main thread.
 */
#include "fixture.h"
#include "modes.h"

static struct fixture fixture;
static struct setting settings[MODE_SETTINGS];

static void start(void)
{
    void *state = &fixture;
    fixture_start(&fixture, NULL);
    fixture_setup(&state);
    settings[0] = (struct setting){"high-availability.postgres.uri", fixture.conninfo};
}

static void stop(void)
{
    void *state = &fixture;
    fixture_teardown(&state);
    fixture_stop(&fixture);
}

static const struct setting *get_settings(void)
{
    return settings;
}

static void depose(const char *cluster, const char *component)
{
    (void)component; /* it may not be entered yet: by its group */
    /* Until it has been: a tenure is granted a moment before it is entered. */
    db_wait(&fixture, "t", WAIT_LONG_MS, "SELECT pgkeeper.kick('%s', 'master')", cluster);
}

static void await_contender(const char *cluster, const char *member)
{
    db_wait(&fixture, "t", WAIT_LONG_MS,
            "SELECT count(*) > 0 FROM pgkeeper.stat_contenders"
            " WHERE cluster_id = '%s' AND member_name = '%s'",
            cluster, member);
}

const struct mode mode_postgres = {
    .name = "postgres",
    .id = POSTGRES,
    .quiet_ms = 150,
    .lease_ms = 1300,
    .start = start,
    .stop = stop,
    .settings = get_settings,
    .depose = depose,
    .await_contender = await_contender,
};
