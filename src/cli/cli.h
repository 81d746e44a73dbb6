/*
 * cli.h - what the verbs of the command share: global options, exit codes, messages, option parsing.
 *
 * stdout carries data, stderr talk. Everything runs on the main thread unless a verb says otherwise.
 */
#ifndef PGK_CLI_CLI_H
#define PGK_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pgkeeper/pgkeeper.h>

#define CLI_PRINTF(string, first) __attribute__((format(printf, string, first)))

#define CLI_KEY_URI "high-availability.postgres.uri"
#define CLI_KEY_SCHEMA "high-availability.postgres.schema"
#define CLI_KEY_TYPE "high-availability.type"
#define CLI_KEY_CLUSTER "high-availability.cluster-id"

/* Exit codes of every verb but run, which passes its child's. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_NO_CONNECTION = 3,   /* or not authorised */
    CLI_CONDITION_FALSE = 4, /* no leader, not found, pending migration */
    CLI_TIMED_OUT = 5,       /* or outcome unknown */
    CLI_SCHEMA = 6           /* missing, too old or too new */
};

enum cli_format { FORMAT_TABLE, FORMAT_JSON, FORMAT_NDJSON, FORMAT_CSV };

struct cli {
    pgk_config *config; /* file, environment and global options, merged */
    const char *verb;   /* "migrate up": for messages */
    enum cli_format format;
    bool format_given;
    bool probes; /* its statements end in time, and a standby is better than no server */
};

/* A row of the table of verbs in main.c. The function gets the verb as argv[0] and what is left of the
 * command line once global options are taken out, "--" and what follows it untouched. */
struct cli_verb {
    const char *name;
    const char *summary;
    int (*run)(struct cli *cli, int argc, char **argv);
    const char *help; /* full text of `pgkeeper VERB --help` */
};

/*
 * Options of one verb. parse_options() moves nothing: positional arguments are collected in order; "--"
 * ends the options, and *ret_rest (if not NULL) is then set to what follows it.
 */
enum cli_option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_DURATION_MS, OPTION_NUMBER, OPTION_LIST };

struct cli_list {
    const char **items; /* borrowed from argv */
    int count;
};

struct cli_option {
    const char *name; /* "--to" */
    enum cli_option_kind kind;
    void *target; /* bool, const char *, int, int, struct cli_list (room for argc items) */
};

struct cli_arguments {
    struct cli_list positional;
    char **rest; /* after "--"; NULL without */
    int rest_count;
};

/* CLI_OK, or CLI_USAGE after a sentence on stderr. Option and list arrays borrow from argv;
 * free what is allocated with arguments_free(). */
int parse_options(struct cli *cli, int argc, char **argv, const struct cli_option *options,
                  size_t option_count, struct cli_arguments *ret_arguments);
void arguments_free(struct cli_arguments *arguments);

/* "15 s", "500ms", "2 min", "1 h"; a bare number is milliseconds, as in the configuration. */
bool parse_duration_ms(const char *text, int *ret_ms);
bool parse_long_duration_ms(const char *text, int64_t *ret_ms);
bool parse_number(const char *text, int *ret_number);
bool address_fits(const char *address); /* 1..PGK_ADDRESS_MAX_BYTES */

/* Sentences on stderr, "pgkeeper VERB: ..."; a newline is added. usage_error returns CLI_USAGE. */
void say(const struct cli *cli, const char *format, ...) CLI_PRINTF(2, 3);
int usage_error(const struct cli *cli, const char *format, ...) CLI_PRINTF(2, 3);
/* Says the error and returns the exit code that stands for its status. */
int fail(const struct cli *cli, const pgk_error *error);
enum cli_exit exit_code_of(pgk_status status);

/* Asks on the terminal; false without one, so that scripts must pass --yes. */
bool confirm_on_terminal(const char *question);

/* Milliseconds of a clock that never steps back, and a wait of at most ms that a signal cuts short. */
int64_t now_ms(void);
void wait_ms(int ms);

/* A value of the configuration; never NULL for the library's own keys. */
const char *config_value(const struct cli *cli, const char *key);

#endif
