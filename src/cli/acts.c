/*
 * acts.c - the verbs that change who leads: resign, switchover, kick.
 *
 * Each is one SQL function that a DBA may call as well; what is added here is finding members by name,
 * asking, and waiting for the result.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_statements.h"
#include "db.h"
#include "output.h"
#include "verbs.h"

#define DEFAULT_TIMEOUT_MS 30000
#define POLL_MS 20

const char help_resign[] =
    "usage: pgkeeper resign COMPONENT|GROUP [--timeout D] [--no-wait] [--format F]\n"
    "\n"
    "Asks the leader of a component, or of the group of that name, to resign: it\n"
    "revokes its contenders, frees the lock and stands back, so that somebody else\n"
    "takes over. Waits until that tenure has ended, and prints who leads then. With\n"
    "nobody else to take over, the same process leads again after it has stood back.\n"
    "Exit code 4: no such component, or it has no leader.\n"
    "\n"
    "  --timeout D  how long to wait (default 30s); exit code 5 when the tenure has\n"
    "               not ended by then\n"
    "  --no-wait    only leave the request\n";

const char help_switchover[] =
    "usage: pgkeeper switchover COMPONENT|GROUP [--to MEMBER] [--timeout D]\n"
    "                           [--format F]\n"
    "\n"
    "Hands the leadership of a component, or of the group of that name, over to\n"
    "MEMBER, a name or an id as listed by `pgkeeper contenders`; without --to to any\n"
    "other live contender. The others stand back meanwhile. Waits until the new\n"
    "leader leads, and prints it. Exit code 4: no such component or member, several\n"
    "members of that name, or no leader; 1: another member leads now.\n"
    "\n"
    "  --to MEMBER  name or id of a live contender; if it leads already nothing is\n"
    "               done\n"
    "  --timeout D  how long to wait (default 30s); exit code 5 when it was not\n"
    "               enough\n";

const char help_kick[] =
    "usage: pgkeeper kick COMPONENT|GROUP [--dry-run] [--yes]\n"
    "\n"
    "Ends the database session that leads a component, or the group of that name,\n"
    "whoever holds it. The leader's process lives on, learns of it at once, and\n"
    "contends again. For leaders that do not answer; `resign` is the gentle way. A\n"
    "tenure that is lost, and that nobody contends to take over, is closed, and its\n"
    "group counts as given up. Exit code 4 when nobody leads and nothing is lost.\n"
    "\n"
    "  --dry-run  print whom it would hit\n"
    "  --yes      do not ask\n"
    "\n"
    "The owner of pgkeeper's functions needs the role pg_signal_backend for it\n"
    "(sql/roles.sql).\n";

struct handover {
    const char *what; /* component or group */
    const char *to;   /* name or id as given, or NULL */
    char to_id[16];   /* member id, or empty */
    int timeout_ms;
    bool need_leader; /* wait until somebody leads, not only until the tenure has ended */
    bool no_wait;
};

static int parse_what(struct cli *cli, int argc, char **argv, const struct cli_option *options,
                      size_t option_count, const char **ret_what)
{
    struct cli_arguments arguments;
    int code = parse_options(cli, argc, argv, options, option_count, &arguments);
    if (code != CLI_OK) {
        return code;
    }
    if (arguments.positional.count != 1 || arguments.rest != NULL) {
        code = usage_error(cli, "takes one component or group");
    } else {
        *ret_what = arguments.positional.items[0];
    }
    arguments_free(&arguments);
    return code;
}

static void say_candidates(const struct db *db, const PGresult *candidates)
{
    for (int row = 0; row < PQntuples(candidates); row++) {
        say(db->cli, "  member %s \"%s\", %s", db_text(candidates, row, 0),
            db_text(candidates, row, 1), db_text(candidates, row, 2));
    }
}

/* Finds the member that h->to means. CLI_OK with an empty to_id: it leads already. */
static int find_member(struct db *db, struct handover *h)
{
    const char *values[] = {db_cluster(db), h->what, h->to};
    DB_RESULT *candidates = NULL;
    int code = db_query(db, sql_act_candidates, 3, values, &candidates);
    if (code != CLI_OK) {
        return code;
    }
    int found = -1;
    int count = 0;
    for (int row = 0; row < PQntuples(candidates); row++) {
        if (db_bool(candidates, row, 3)) {
            found = row;
            count++;
        }
    }
    if (count != 1) {
        say(db->cli, "%s live contender of \"%s\" is called \"%s\"; there %s:",
            count == 0 ? "no" : "more than one", h->what, h->to,
            PQntuples(candidates) == 0 ? "are none at all" : "are");
        say_candidates(db, candidates);
        return CLI_CONDITION_FALSE;
    }
    const char *state = db_text(candidates, found, 2);
    if (strcmp(state, "leader") == 0 || strcmp(state, "in grace") == 0) {
        say(db->cli, "member %s \"%s\" leads already", db_text(candidates, found, 0),
            db_text(candidates, found, 1));
        return CLI_OK;
    }
    snprintf(h->to_id, sizeof h->to_id, "%s", db_text(candidates, found, 0));
    return CLI_OK;
}

static int request(struct db *db, const struct handover *h, PGresult **ret_result)
{
    char window[16];
    snprintf(window, sizeof window, "%d", h->timeout_ms);
    const char *values[] = {db_cluster(db), h->what, h->to_id[0] != '\0' ? h->to_id : NULL, window};
    return db_query(db, sql_act_request_handover, 4, values, ret_result);
}

/* Columns of handover_state.sql. */
enum { STATE_MEMBER_ID = 3, STATE_MEMBER_NAME = 4, STATE_ENDED = 5, STATE_LED = 6 };

static int judge(const struct db *db, const struct handover *h, const PGresult *state)
{
    output_rows(stdout, db->cli->format, state, 5);
    if (h->to_id[0] != '\0' && strcmp(db_text(state, 0, STATE_MEMBER_ID), h->to_id) != 0) {
        say(db->cli, "member %s \"%s\" leads now, not %s", db_text(state, 0, STATE_MEMBER_ID),
            db_text(state, 0, STATE_MEMBER_NAME), h->to);
        return CLI_FAILED;
    }
    return CLI_OK;
}

static int wait_for_end(struct db *db, const struct handover *h, const char *epoch)
{
    int64_t deadline = now_ms() + h->timeout_ms;
    const char *values[] = {db_cluster(db), h->what, epoch};
    for (;;) {
        DB_RESULT *state = NULL;
        int code = db_query(db, sql_act_handover_state, 3, values, &state);
        if (code != CLI_OK) {
            return code;
        }
        bool ended = db_bool(state, 0, STATE_ENDED);
        bool led = db_bool(state, 0, STATE_LED);
        if (led || (ended && !h->need_leader)) {
            return judge(db, h, state);
        }
        if (now_ms() >= deadline) {
            say(db->cli, ended ? "timed out: the tenure has ended, and nobody leads yet"
                               : "timed out: the leader has not resigned; see pgkeeper kick");
            return CLI_TIMED_OUT;
        }
        wait_ms(POLL_MS);
    }
}

static int hand_over(struct db *db, struct handover *h)
{
    if (h->to != NULL) {
        int code = find_member(db, h);
        if (code != CLI_OK || h->to_id[0] == '\0') {
            return code;
        }
    }
    DB_RESULT *result = NULL;
    int code = request(db, h, &result);
    if (code != CLI_OK || h->no_wait) {
        return code;
    }
    return wait_for_end(db, h, db_text(result, 0, 0));
}

static int run_handover(struct cli *cli, struct handover *h)
{
    struct db db;
    int code = db_open(&db, cli);
    if (code == CLI_OK) {
        code = hand_over(&db, h);
    }
    db_close(&db);
    return code;
}

int cmd_resign(struct cli *cli, int argc, char **argv)
{
    struct handover h = {.timeout_ms = DEFAULT_TIMEOUT_MS};
    const struct cli_option options[] = {{"--timeout", OPTION_DURATION_MS, &h.timeout_ms},
                                         {"--no-wait", OPTION_FLAG, &h.no_wait}};
    int code = parse_what(cli, argc, argv, options, 2, &h.what);
    return code != CLI_OK ? code : run_handover(cli, &h);
}

int cmd_switchover(struct cli *cli, int argc, char **argv)
{
    struct handover h = {.timeout_ms = DEFAULT_TIMEOUT_MS, .need_leader = true};
    const struct cli_option options[] = {{"--timeout", OPTION_DURATION_MS, &h.timeout_ms},
                                         {"--to", OPTION_TEXT, &h.to}};
    int code = parse_what(cli, argc, argv, options, 2, &h.what);
    return code != CLI_OK ? code : run_handover(cli, &h);
}

static int kick(struct db *db, const char *what, bool dry_run, bool yes)
{
    const char *values[] = {db_cluster(db), what};
    DB_RESULT *holder = NULL;
    int code = db_query(db, sql_act_holder, 2, values, &holder);
    if (code != CLI_OK) {
        return code;
    }
    if (PQntuples(holder) == 0) {
        say(db->cli, "nobody leads \"%s\"", what);
        return CLI_CONDITION_FALSE;
    }
    if (dry_run) {
        output_rows(stdout, db->cli->format, holder, 0);
        return CLI_OK;
    }
    char question[512];
    if (PQgetisnull(holder, 0, 4)) {
        snprintf(question, sizeof question,
                 "Close the tenure of member %s \"%s\", which led \"%s\" and is lost?",
                 db_text(holder, 0, 2), db_text(holder, 0, 3), what);
    } else {
        snprintf(question, sizeof question,
                 "End the session (pid %s) of member %s \"%s\", which leads \"%s\"?",
                 db_text(holder, 0, 4), db_text(holder, 0, 2), db_text(holder, 0, 3), what);
    }
    if (!yes && !confirm_on_terminal(question)) {
        say(db->cli, "nothing was done; --yes does it without asking");
        return CLI_FAILED;
    }
    DB_RESULT *kicked = NULL;
    code = db_query(db, sql_act_kick, 2, values, &kicked);
    if (code == CLI_OK && !db_bool(kicked, 0, 0)) {
        say(db->cli, "nobody leads \"%s\" any more", what);
        return CLI_CONDITION_FALSE;
    }
    if (code == CLI_OK) {
        output_rows(stdout, db->cli->format, holder, 0);
    }
    return code;
}

int cmd_kick(struct cli *cli, int argc, char **argv)
{
    bool dry_run = false, yes = false;
    const char *what = NULL;
    const struct cli_option options[] = {{"--dry-run", OPTION_FLAG, &dry_run},
                                         {"--yes", OPTION_FLAG, &yes}};
    int code = parse_what(cli, argc, argv, options, 2, &what);
    if (code != CLI_OK) {
        return code;
    }
    struct db db;
    code = db_open(&db, cli);
    if (code == CLI_OK) {
        code = kick(&db, what, dry_run, yes);
    }
    db_close(&db);
    return code;
}
