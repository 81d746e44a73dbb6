/* bench/keeper.c - the worker that contends with the library: what is compared with the floor. */
#include "harness.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct keeper {
    const struct worker_context *context;
    pgk_election *election;
};

pgk_config *bench_config(const char *conninfo, const char *const *pairs)
{
    pgk_config *config;
    pgk_error err;

    if (pgk_config_new(&config, &err) != PGK_OK ||
        pgk_config_set(config, "high-availability.cluster-id", "bench", &err) != PGK_OK ||
        pgk_config_set(config, "high-availability.postgres.uri", conninfo, &err) != PGK_OK) {
        bench_fail("%s", err.message);
    }
    for (; pairs != NULL && *pairs != NULL; pairs += 2) {
        if (pgk_config_set(config, pairs[0], pairs[1], &err) != PGK_OK) {
            bench_fail("%s", err.message);
        }
    }
    return config;
}

static void on_grant(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    const int64_t now_ns = bench_now_ns();
    const struct keeper *keeper = user;

    (void)session_id;
    report(keeper->context, REPORT_GRANTED, now_ns, epoch);
}

static void on_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    (void)user;
    (void)session_id;
    (void)epoch;
}

static void confirm(const struct keeper *keeper)
{
    const int64_t now_ns = bench_now_ns();
    char address[64];
    pgk_token token;
    pgk_error err;

    snprintf(address, sizeof address, "worker-%d", keeper->context->index);
    report(keeper->context, REPORT_ACTED, now_ns, 0);
    if (pgk_election_token(keeper->election, &token, &err) != PGK_OK ||
        pgk_election_confirm(keeper->election, &token.session_id, address, &err) != PGK_OK) {
        bench_fail("confirm: %s", err.message);
    }
}

void keeper_contender(const struct worker_context *context)
{
    struct keeper keeper = {.context = context};
    const pgk_contender contender = {
        .size = sizeof contender, .user = &keeper, .grant = on_grant, .revoke = on_revoke};
    pgk_config *config = bench_config(context->conninfo, context->arg);
    pgk_ha *ha;
    pgk_error err;
    char command;

    if (pgk_ha_open(config, &ha, &err) != PGK_OK ||
        pgk_ha_election(ha, PGK_COMPONENT_DISPATCHER, &keeper.election, &err) != PGK_OK ||
        pgk_election_start(keeper.election, &contender, &err) != PGK_OK) {
        bench_fail("%s", err.message);
    }
    while (read(context->command_fd, &command, 1) == 1) {
        if (command == 'c') {
            confirm(&keeper);
        } else if (command == 'r') {
            report(context, REPORT_ACTED, bench_now_ns(), 0);
            if (pgk_election_resign(keeper.election, &err) != PGK_OK) {
                bench_fail("resign: %s", err.message);
            }
        }
    }
}
