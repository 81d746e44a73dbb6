/*
 * stores.h - what the verbs of the job stores share: actions of a verb, job ids, rows, questions.
 */
#ifndef PGK_CLI_STORES_H
#define PGK_CLI_STORES_H

#include "cli.h"
#include "db.h"

/* An action of a verb: `pgkeeper jobs ls`. Gets itself as argv[0]. */
struct action {
    const char *name;
    int (*run)(struct cli *cli, int argc, char **argv);
};

/* Runs the action that argv[1] names, with cli->verb "VERB ACTION". */
int run_action_of(struct cli *cli, int argc, char **argv, const struct action *actions,
                  size_t count);

/* Parses options and between min and max arguments; `wanted` says which ("a job id and a file"). Missing ones are
 * NULL. */
struct wanted {
    const char *what;
    int min;
    int max;
};
int parse_action(struct cli *cli, int argc, char **argv, const struct cli_option *options,
                 size_t option_count, const struct wanted *wanted, const char **ret_arguments);

/* A job id, as 32 hex digits or with dashes; out gets the form that SQL takes. */
struct job_id {
    char text[PGK_UUID_TEXT_SIZE];
    char hex[PGK_UUID_HEX_SIZE];
};
int parse_job_id(const struct cli *cli, const char *text, struct job_id *ret_id);
/* A number of 0..INT64_MAX, in digits. */
int parse_count(const struct cli *cli, const char *what, const char *text, int64_t *ret_count);
/* Of --limit, which may be NULL: not given. */
int check_limit(const struct cli *cli, const char *limit);

/* As db_open, for a schema that has the job stores. */
int stores_open(struct db *db, const struct cli *cli);

/* Prints what a statement finds; values[0] is the cluster id (NULL: all). */
int print_list(struct cli *cli, const char *sql, int n, const char *const *values,
               int table_columns);
/* Prints the only row, in a table one line per column. No row: exit code 4, and "no WHAT HEX in cluster". */
int print_one(struct cli *cli, const char *sql, int n, const char *const *values, const char *what,
              const char *name);
/* Prints a row that no statement has found; of its columns a table shows the first ones, 0: all. */
int print_row(const struct cli *cli, int columns, const char *const *names, const Oid *types,
              const char *const *values, int table_columns);
int say_missing(const struct db *db, const char *what, const char *name);

/* Refuses when a live leader owns the job's graph, unless forced: exit code 1 and a sentence that ends in `effect`. */
int refuse_owned(struct db *db, const struct job_id *id, bool force, const char *effect);

/* Flags of the acts that destroy. */
struct destroying {
    bool dry_run;
    bool yes;
    bool force;
};
/* Asks, unless --yes: CLI_OK to go on, CLI_FAILED and a sentence to leave it. */
int ask(const struct cli *cli, bool yes, const char *question, ...) CLI_PRINTF(3, 4);

#endif
