/*
 * elect.c - `pgkeeper elect`: contends for a component and prints what becomes of it. Also the shortest
 * complete use of the library's election: all callbacks run on the main thread.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "transition.h"
#include "verbs.h"

const char help_elect[] =
    "usage: pgkeeper elect COMPONENT [--address A] [--group G] [--take-over MODE]\n"
    "                      [--once] [--format F]\n"
    "\n"
    "Contends for the leadership of a component and prints every transition, one line\n"
    "each: granted, confirmed (the address is published), revoked, error. SIGTERM,\n"
    "SIGINT and SIGHUP resign cleanly: a successor takes over at once, and the exit\n"
    "code is 0. To run a program only while it leads use `pgkeeper run`.\n"
    "\n"
    "  --address A       address to publish (default: none is published, and\n"
    "                    followers see no leader)\n"
    "  --group G         contend in this group; by default leader-election.scope\n"
    "                    decides\n"
    "  --take-over MODE  immediate (default): lead as soon as the lock is free;\n"
    "                    exclusive: after an unclean end wait until the former leader\n"
    "                    can no longer believe\n"
    "  --once            end after the first tenure: exit code 4 when it was lost\n"
    "  --format ndjson   one line of JSON per transition: at, event, component,\n"
    "                    address, session_id, epoch, epoch_text; of errors at, event,\n"
    "                    component, status, sqlstate, message\n";

struct elect {
    struct cli *cli;
    const char *component;
    const char *address;
    const char *group;
    const char *take_over;
    bool once;
    bool lost; /* a tenure has ended, before anybody asked us to end */
    pgk_election *election;
};

static void on_grant(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct elect *e = user;
    struct transition t = {
        .event = "granted", .component = e->component, .session_id = session_id, .epoch = epoch};
    transition_print(e->cli, &t);
    if (e->address == NULL) {
        return;
    }
    pgk_error error;
    if (pgk_election_confirm(e->election, session_id, e->address, &error) == PGK_OK) {
        t.event = "confirmed";
        t.address = e->address;
    } else {
        t.event = "error";
        t.error = &error;
    }
    transition_print(e->cli, &t);
}

static void on_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct elect *e = user;
    struct transition t = {
        .event = "revoked", .component = e->component, .session_id = session_id, .epoch = epoch};
    transition_print(e->cli, &t);
    e->lost = true;
}

static void on_error(void *user, const pgk_error *error)
{
    struct elect *e = user;
    struct transition t = {.event = "error", .component = e->component, .error = error};
    transition_print(e->cli, &t);
}

static int start(struct elect *e, pgk_ha *ha)
{
    const struct pgk_contender contender = {.size = sizeof contender,
                                            .user = e,
                                            .grant = on_grant,
                                            .revoke = on_revoke,
                                            .error = on_error};
    pgk_error error;
    pgk_status status = e->group != NULL ? pgk_ha_election_in_group(ha, e->component, e->group,
                                                                    &e->election, &error)
                                         : pgk_ha_election(ha, e->component, &e->election, &error);
    if (status == PGK_OK) {
        status = pgk_election_start(e->election, &contender, &error);
    }
    return status == PGK_OK ? CLI_OK : fail(e->cli, &error);
}

static int contend(struct elect *e, pgk_ha *ha, int signals)
{
    int code = start(e, ha);
    if (code != CLI_OK) {
        return code;
    }
    while (!transition_wait(ha, signals, -1)) {
        if (e->once && e->lost) {
            code = CLI_CONDITION_FALSE;
            break;
        }
    }
    pgk_error error;
    if (pgk_ha_close(ha, &error) != PGK_OK && code == CLI_OK) {
        code = fail(e->cli, &error);
    }
    return code;
}

static int elect(struct elect *e)
{
    pgk_error error;
    if (e->take_over != NULL && pgk_config_set(e->cli->config, "leader-election.take-over",
                                               e->take_over, &error) != PGK_OK) {
        return fail(e->cli, &error);
    }
    int signals = signals_open();
    pgk_ha *ha = NULL;
    int code = transition_open(e->cli, false, &ha);
    if (code == CLI_OK) {
        code = contend(e, ha, signals);
    }
    pgk_election_free(e->election);
    pgk_ha_free(ha);
    close(signals);
    return code;
}

int cmd_elect(struct cli *cli, int argc, char **argv)
{
    struct elect e = {.cli = cli};
    const struct cli_option options[] = {{"--address", OPTION_TEXT, &e.address},
                                         {"--group", OPTION_TEXT, &e.group},
                                         {"--take-over", OPTION_TEXT, &e.take_over},
                                         {"--once", OPTION_FLAG, &e.once}};
    struct cli_arguments arguments;
    int code = parse_options(cli, argc, argv, options, 4, &arguments);
    if (code != CLI_OK) {
        return code;
    }
    if (arguments.positional.count != 1 || arguments.rest != NULL) {
        code = usage_error(cli, "takes one component");
    } else if (cli->format == FORMAT_JSON || cli->format == FORMAT_CSV) {
        code = usage_error(cli, "--format is table (lines of words) or ndjson here");
    } else if (e.address != NULL && !address_fits(e.address)) {
        code = usage_error(cli, "--address takes 1 to %d bytes", PGK_ADDRESS_MAX_BYTES);
    } else {
        e.component = arguments.positional.items[0];
        code = elect(&e);
    }
    arguments_free(&arguments);
    return code;
}
