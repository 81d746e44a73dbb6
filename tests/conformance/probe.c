/*
 * tests/conformance/probe.c - a process of its own of the cluster under test: contends for "dispatcher" and says on stdout
 * "probe granted", or "probe waiting" when it was not granted for a while; ends when its stdin does, or is killed.
 */
#include "suite.h"

#include <unistd.h>

/* For "waiting": much longer than a grant takes where nobody leads. */
#define PATIENCE_MS 1500

static atomic_int grants;

static void on_grant(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    (void)user;
    (void)session_id;
    (void)epoch;
    atomic_fetch_add(&grants, 1);
}

static void on_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    (void)user;
    (void)session_id;
    (void)epoch;
}

static pgk_status join(int argc, char **argv, pgk_ha **ret_ha, pgk_election **ret_election,
                       pgk_error *err)
{
    const pgk_contender contender = {
        .size = sizeof(contender), .grant = on_grant, .revoke = on_revoke};
    pgk_config *config = NULL;
    pgk_status status = pgk_config_new(&config, err);
    if (status == PGK_OK) {
        status = pgk_config_set(config, "high-availability.type", argv[2], err);
    }
    if (status == PGK_OK) {
        status = pgk_config_set(config, "high-availability.cluster-id", argv[3], err);
    }
    for (int i = 4; status == PGK_OK && i + 1 < argc; i += 2) {
        status = pgk_config_set(config, argv[i], argv[i + 1], err);
    }
    if (status == PGK_OK) {
        status = pgk_ha_open(config, ret_ha, err);
    }
    if (status == PGK_OK) {
        status = pgk_ha_election(*ret_ha, "dispatcher", ret_election, err);
    }
    if (status == PGK_OK) {
        status = pgk_election_start(*ret_election, &contender, err);
    }
    pgk_config_free(config);
    return status;
}

int probe_main(int argc, char **argv)
{
    pgk_ha *ha = NULL;
    pgk_election *election = NULL;
    pgk_error err;
    char byte;
    if (join(argc, argv, &ha, &election, &err) != PGK_OK) {
        fprintf(stderr, "probe: %s\n", err.message);
        return 1;
    }
    for (int64_t end = wait_now_ns() + PATIENCE_MS * WAIT_NS_PER_MS;
         atomic_load(&grants) == 0 && wait_now_ns() < end;) {
        wait_pause_ms(5);
    }
    printf("probe %s\n", atomic_load(&grants) > 0 ? "granted" : "waiting");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    pgk_election_free(election);
    pgk_ha_free(ha);
    return 0;
}
