/*
 * pause.c - the verbs pause and resume: elections of a cluster held and let go.
 *
 * By the functions pause_elections() and resume_elections(), which a DBA may call as well.
 */
#include <stdio.h>
#include <string.h>

#include "cli_statements.h"
#include "db.h"
#include "output.h"
#include "stores.h"
#include "verbs.h"

#define LONGEST_REASON 1000 /* as in the table */

static const struct wanted nothing = {"no arguments; --cluster names the cluster", 0, 0};

const char help_pause[] =
    "usage: pgkeeper pause [--reason TEXT] [--format F]\n"
    "\n"
    "Pauses the elections of the cluster of --cluster: whoever leads goes on leading,\n"
    "and nobody takes over, not even from a leader that is gone, before `pgkeeper\n"
    "resume`. A leader that loses its session meanwhile does not come back before\n"
    "that either. Prints the pause. Paused already: nothing is changed, exit code 0.\n"
    "\n"
    "  --reason TEXT  why, for those who see it in `status`, `top` and stat_pauses\n";

const char help_resume[] =
    "usage: pgkeeper resume [--format F]\n"
    "\n"
    "Ends the pause of the cluster of --cluster: groups without a leader get one at\n"
    "once. Prints the pause that it ended. Exit code 4: it was not paused.\n";

static int pause_elections(struct db *db, const char *reason)
{
    const char *values[] = {db_cluster(db), reason};
    DB_RESULT *paused = NULL, *pause = NULL;
    int code = db_act(db, sql_act_pause, 2, values, NULL, NULL, &paused);
    if (code == CLI_OK) {
        code = db_query(db, sql_act_pauses, 1, values, &pause);
    }
    if (code != CLI_OK) {
        return code;
    }
    output_rows(stdout, db->cli->format, pause, 0);
    if (!db_bool(paused, 0, 0)) {
        say(db->cli, "paused already; nothing was changed");
    } else if (strcmp(db_text(pause, 0, 3), "0") == 0) {
        say(db->cli, "nobody has ever contended in cluster \"%s\"", db_cluster(db));
    }
    return CLI_OK;
}

static int resume_elections(struct db *db)
{
    const char *values[] = {db_cluster(db)};
    DB_RESULT *pause = NULL, *resumed = NULL;
    int code = db_query(db, sql_act_pauses, 1, values, &pause);
    if (code == CLI_OK) {
        code = db_act(db, sql_act_resume, 1, values, NULL, NULL, &resumed);
    }
    if (code == CLI_OK && !db_bool(resumed, 0, 0)) {
        say(db->cli, "the elections of cluster \"%s\" are not paused", db_cluster(db));
        return CLI_CONDITION_FALSE;
    }
    if (code == CLI_OK) {
        output_rows(stdout, db->cli->format, pause, 0);
    }
    return code;
}

int cmd_pause(struct cli *cli, int argc, char **argv)
{
    const char *reason = NULL;
    const struct cli_option options[] = {{"--reason", OPTION_TEXT, &reason}};
    int code = parse_action(cli, argc, argv, options, 1, &nothing, NULL);
    if (code != CLI_OK) {
        return code;
    }
    if (reason != NULL && strlen(reason) > LONGEST_REASON) {
        return usage_error(cli, "--reason takes at most %d bytes", LONGEST_REASON);
    }
    struct db db;
    code = db_open_for(&db, cli, SCHEMA_OF_OPERATIONS);
    if (code == CLI_OK) {
        code = pause_elections(&db, reason);
    }
    db_close(&db);
    return code;
}

int cmd_resume(struct cli *cli, int argc, char **argv)
{
    int code = parse_action(cli, argc, argv, NULL, 0, &nothing, NULL);
    if (code != CLI_OK) {
        return code;
    }
    struct db db;
    code = db_open_for(&db, cli, SCHEMA_OF_OPERATIONS);
    if (code == CLI_OK) {
        code = resume_elections(&db);
    }
    db_close(&db);
    return code;
}
