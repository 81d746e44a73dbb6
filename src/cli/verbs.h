/* verbs.h - the verbs of the command, each with its help text. migrate's are in migrate.h. */
#ifndef PGK_CLI_VERBS_H
#define PGK_CLI_VERBS_H

#include "cli.h"

int cmd_config(struct cli *cli, int argc, char **argv);
int cmd_elect(struct cli *cli, int argc, char **argv);
int cmd_watch(struct cli *cli, int argc, char **argv);
int cmd_leader(struct cli *cli, int argc, char **argv);
int cmd_leaders(struct cli *cli, int argc, char **argv);
int cmd_contenders(struct cli *cli, int argc, char **argv);
int cmd_history(struct cli *cli, int argc, char **argv);
int cmd_resign(struct cli *cli, int argc, char **argv);
int cmd_switchover(struct cli *cli, int argc, char **argv);
int cmd_kick(struct cli *cli, int argc, char **argv);
int cmd_run(struct cli *cli, int argc, char **argv);
int cmd_server(struct cli *cli, int argc, char **argv);
int cmd_jobs(struct cli *cli, int argc, char **argv);
int cmd_results(struct cli *cli, int argc, char **argv);
int cmd_checkpoints(struct cli *cli, int argc, char **argv);
int cmd_counter(struct cli *cli, int argc, char **argv);
int cmd_blobs(struct cli *cli, int argc, char **argv);
int cmd_orphans(struct cli *cli, int argc, char **argv);
int cmd_cleanup(struct cli *cli, int argc, char **argv);
int cmd_purge(struct cli *cli, int argc, char **argv);
int cmd_version(struct cli *cli, int argc, char **argv);
int cmd_pause(struct cli *cli, int argc, char **argv);
int cmd_resume(struct cli *cli, int argc, char **argv);
int cmd_status(struct cli *cli, int argc, char **argv);
int cmd_top(struct cli *cli, int argc, char **argv);
int cmd_doctor(struct cli *cli, int argc, char **argv);
int cmd_metrics(struct cli *cli, int argc, char **argv);
int cmd_completion(struct cli *cli, int argc, char **argv);

/* Of `status --check`, whatever it was that went wrong. */
#define STATUS_EXIT_UNKNOWN 3

/* The table of verbs, for completion. */
const struct cli_verb *cli_verbs(size_t *ret_count);
extern const char *const cli_global_help;

extern const char help_config[];
extern const char help_elect[], help_watch[], help_leader[], help_leaders[], help_contenders[],
    help_history[], help_resign[], help_switchover[], help_kick[], help_run[], help_server[],
    help_version[], help_jobs[], help_results[], help_checkpoints[], help_counter[], help_cleanup[],
    help_purge[], help_blobs[], help_orphans[], help_pause[], help_resume[], help_status[],
    help_top[], help_doctor[], help_metrics[], help_completion[];

#endif
