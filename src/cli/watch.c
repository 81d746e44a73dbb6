/*
 * watch.c - `pgkeeper watch`: prints who leads, and every change of it.
 *
 * Changes come from the library's retrievers, on the main thread. Only which components there are, and that one
 * has no leader to begin with, is read by SQL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli_statements.h"
#include "db.h"
#include "transition.h"
#include "verbs.h"

/* How often new components are looked for, when none were named. */
#define DISCOVERY_MS 1000
/* While a connection is being made again, without blocking: how often to go on, and when to start anew. */
#define RECONNECT_MS 50
#define RECONNECT_DEADLINE_MS 10000

const char help_watch[] =
    "usage: pgkeeper watch [COMPONENT]... [--format F]\n"
    "\n"
    "Prints who leads each component, and then every change, one line of JSON each:\n"
    "at, component, address, session_id, epoch, epoch_text. address, session_id and\n"
    "epoch are null when there is no leader. Without arguments all components of the\n"
    "cluster are watched, also those that come later. When the database cannot be\n"
    "reached, leaders are kept for retrieval.disconnect-tolerance and then reported\n"
    "as gone; the command goes on and reconnects. Ends with SIGINT, SIGTERM, SIGHUP,\n"
    "or when nobody reads its output any more: exit code 0.\n"
    "\n"
    "  --format table  lines of words instead\n";

struct watched {
    struct watched *next;
    struct watch *watch;
    char *component;
    pgk_retriever *retriever;
};

struct watch {
    struct cli *cli;
    pgk_ha *ha;
    struct db db;
    bool connected;
    bool connecting;
    int64_t connecting_until_ms;
    struct watched *first;
};

static void on_leader(void *user, const pgk_leader *leader)
{
    struct watched *w = user;
    struct transition t = {.component = w->component};
    if (leader != NULL) {
        t.session_id = &leader->session_id;
        t.epoch = leader->epoch;
        t.address = leader->address;
    }
    transition_print(w->watch->cli, &t);
}

static int watch_component(struct watch *watch, const char *component, bool led)
{
    struct watched *w = calloc(1, sizeof *w);
    pgk_error error;
    if (w == NULL || (w->component = strdup(component)) == NULL) {
        free(w);
        say(watch->cli, "out of memory");
        return CLI_FAILED;
    }
    w->watch = watch;
    w->next = watch->first;
    watch->first = w;
    if (!led) {
        on_leader(w, NULL); /* a retriever says nothing of a leader that it never knew */
    }
    if (pgk_ha_retriever(watch->ha, component, &w->retriever, &error) != PGK_OK ||
        pgk_retriever_start(w->retriever, on_leader, w, &error) != PGK_OK) {
        return fail(watch->cli, &error);
    }
    return CLI_OK;
}

static bool is_watched(const struct watch *watch, const char *component)
{
    for (const struct watched *w = watch->first; w != NULL; w = w->next) {
        if (strcmp(w->component, component) == 0) {
            return true;
        }
    }
    return false;
}

/* Watches what the database knows of a component, or of all (NULL), and is not watched yet. */
static int discover(struct watch *watch, const char *component)
{
    const char *values[] = {db_cluster(&watch->db), component};
    DB_RESULT *result = NULL;
    pgk_error error;
    if (db_try(&watch->db, sql_view_watched, 2, values, &result, &error) != PGK_OK) {
        watch->connected = false;
        return CLI_OK;
    }
    int code = CLI_OK;
    for (int row = 0; row < PQntuples(result) && code == CLI_OK; row++) {
        if (!is_watched(watch, db_text(result, row, 0))) {
            code = watch_component(watch, db_text(result, row, 0), db_bool(result, row, 1));
        }
    }
    if (code == CLI_OK && component != NULL && !is_watched(watch, component)) {
        code = watch_component(watch, component, false);
    }
    return code;
}

/* Goes one step towards a new connection; never waits, because changes have to be printed meanwhile. */
static void reconnect(struct watch *watch)
{
    if (!watch->connecting) {
        watch->connecting = PQresetStart(watch->db.conn) != 0;
        watch->connecting_until_ms = now_ms() + RECONNECT_DEADLINE_MS;
        return;
    }
    PostgresPollingStatusType status = PQresetPoll(watch->db.conn);
    if (status == PGRES_POLLING_OK) {
        watch->connecting = false;
        watch->connected = db_enter(&watch->db) == CLI_OK;
    } else if (status == PGRES_POLLING_FAILED || now_ms() > watch->connecting_until_ms) {
        watch->connecting = false;
    }
}

/* Looks for components that are new; while there is no connection the library reports the rest. */
static int rediscover(struct watch *watch)
{
    if (!watch->connected) {
        reconnect(watch);
    }
    return watch->connected ? discover(watch, NULL) : CLI_OK;
}

static int pause_ms(const struct watch *watch, bool all)
{
    if (!all) {
        return -1;
    }
    return watch->connecting ? RECONNECT_MS : DISCOVERY_MS;
}

static int follow(struct watch *watch, const struct cli_list *components, int signals)
{
    int code = CLI_OK;
    bool all = components->count == 0;
    for (int i = 0; i < components->count && code == CLI_OK; i++) {
        if (!is_watched(watch, components->items[i])) {
            code = discover(watch, components->items[i]);
        }
    }
    if (!all) {
        db_close(&watch->db);
    }
    while (code == CLI_OK) {
        if (all) {
            code = rediscover(watch);
        }
        if (code == CLI_OK && transition_wait(watch->ha, signals, pause_ms(watch, all))) {
            break;
        }
    }
    return code;
}

static void watch_free(struct watch *watch)
{
    while (watch->first != NULL) {
        struct watched *w = watch->first;
        watch->first = w->next;
        pgk_retriever_free(w->retriever);
        free(w->component);
        free(w);
    }
    pgk_ha_free(watch->ha);
    db_close(&watch->db);
}

int cmd_watch(struct cli *cli, int argc, char **argv)
{
    struct cli_arguments arguments;
    int code = parse_options(cli, argc, argv, NULL, 0, &arguments);
    if (code != CLI_OK) {
        return code;
    }
    if (cli->format_given && cli->format != FORMAT_NDJSON && cli->format != FORMAT_TABLE) {
        arguments_free(&arguments);
        return usage_error(cli, "--format is ndjson (the default) or table here");
    }
    if (!cli->format_given) {
        cli->format = FORMAT_NDJSON;
    }
    int signals = signals_open();
    struct watch watch = {.cli = cli, .connected = true};
    code = db_open(&watch.db, cli);
    if (code == CLI_OK) {
        code = transition_open(cli, true, &watch.ha);
    }
    if (code == CLI_OK) {
        code = follow(&watch, &arguments.positional, signals);
    }
    watch_free(&watch);
    close(signals);
    arguments_free(&arguments);
    return code;
}
