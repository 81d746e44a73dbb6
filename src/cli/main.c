/*
 * main.c - the command line: global options, the table of verbs, help.
 *
 * Options may stand before or after the verb; what follows "--" belongs to the verb alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "migrate.h"
#include "output.h"
#include "run.h"
#include "verbs.h"

static int cmd_help(struct cli *cli, int argc, char **argv);

static const struct cli_verb verbs[] = {
    {"migrate", "make, change and check the database schema", cmd_migrate, help_migrate},
    {"config", "show the configuration and where it comes from", cmd_config, help_config},
    {"elect", "contend for leadership and print the transitions", cmd_elect, help_elect},
    {"watch", "print changes of leadership as they happen", cmd_watch, help_watch},
    {"leader", "print the address of a component's leader", cmd_leader, help_leader},
    {"leaders", "list who leads what", cmd_leaders, help_leaders},
    {"contenders", "list who contends for what", cmd_contenders, help_contenders},
    {"history", "list past and present tenures", cmd_history, help_history},
    {"resign", "ask a leader to resign", cmd_resign, help_resign},
    {"switchover", "hand leadership over to another member", cmd_switchover, help_switchover},
    {"kick", "end the session of a leader", cmd_kick, help_kick},
    {"pause", "pause the elections: nobody takes over", cmd_pause, help_pause},
    {"resume", "end a pause of the elections", cmd_resume, help_resume},
    {"status", "the state of a cluster on one screen, or as a probe", cmd_status, help_status},
    {"top", "the same, live", cmd_top, help_top},
    {"doctor", "check server, schema, rights and settings", cmd_doctor, help_doctor},
    {"metrics", "print OpenMetrics for monitoring", cmd_metrics, help_metrics},
    {"run", "run a command only while this process leads", cmd_run, help_run},
    {"jobs", "list, show, store, fetch and remove job graphs", cmd_jobs, help_jobs},
    {"results", "list and show how jobs ended; mark them clean", cmd_results, help_results},
    {"checkpoints", "list, show and remove checkpoints", cmd_checkpoints, help_checkpoints},
    {"counter", "show and set the number of the next checkpoint", cmd_counter, help_counter},
    {"blobs", "list, store, fetch, remove and verify blobs", cmd_blobs, help_blobs},
    {"orphans", "list and remove large objects without a blob", cmd_orphans, help_orphans},
    {"cleanup", "remove all traces of a job, or of a cluster", cmd_cleanup, help_cleanup},
    {"purge", "delete old results, history and audit", cmd_purge, help_purge},
    {"server", "start a private PostgreSQL for trying out", cmd_server, help_server},
    {"completion", "print a completion script for the shell", cmd_completion, help_completion},
    {"version", "print versions", cmd_version, help_version},
    {"help", "this text, or that of a verb", cmd_help, "usage: pgkeeper help [VERB]\n"},
};

static const char global_help[] =
    "options, before or after the verb:\n"
    "  -d, --dbname CONNINFO  how to reach PostgreSQL: a libpq connection string or\n"
    "                         URI; by default libpq's environment (PGHOST,\n"
    "                         PGSERVICE, ...), .pgpass included\n"
    "      --schema NAME      schema of pgkeeper's tables (default pgkeeper)\n"
    "      --cluster ID       cluster id (default /default)\n"
    "      --config FILE      read keys from FILE, lines of `key: value`\n"
    "      --format FORMAT    table, json, ndjson or csv, for verbs that print rows\n"
    "      --verbose          also the library's log, on standard error\n"
    "      --help, --version\n"
    "\n"
    "Every key of the configuration may also come from the environment: PGKEEPER_ and\n"
    "the key in upper case, '.' and '-' as '_', for instance\n"
    "PGKEEPER_HIGH_AVAILABILITY_CLUSTER_ID. Options win over the environment, the\n"
    "environment over the file.\n"
    "\n"
    "exit codes: 0 ok, 1 failed, 2 usage, 3 no connection or not authorised,\n"
    "4 condition false (no leader, not found, pending migration), 5 timed out or\n"
    "outcome unknown, 6 schema missing, too old or too new. run, and status\n"
    "as a probe, have their own.\n";

const char *const cli_global_help = global_help;

const struct cli_verb *cli_verbs(size_t *ret_count)
{
    *ret_count = sizeof verbs / sizeof verbs[0];
    return verbs;
}

static void print_help(FILE *out)
{
    fputs("usage: pgkeeper [OPTION]... VERB [ARGUMENT]...\n"
          "\n"
          "Leader election and job stores on PostgreSQL, for operators, scripts and shells.\n"
          "\n"
          "verbs (pgkeeper VERB --help tells more):\n",
          out);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        fprintf(out, "  %-12s %s\n", verbs[i].name, verbs[i].summary);
    }
    fprintf(out, "\n%s", global_help);
}

static const struct cli_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

static int cmd_help(struct cli *cli, int argc, char **argv)
{
    if (argc < 2) {
        print_help(stdout);
        return CLI_OK;
    }
    const struct cli_verb *verb = find_verb(argv[1]);
    if (verb == NULL) {
        cli->verb = NULL;
        return usage_error(cli, "unknown verb \"%s\"", argv[1]);
    }
    fputs(verb->help, stdout);
    return CLI_OK;
}

struct globals {
    const char *dbname;
    const char *schema;
    const char *cluster;
    const char *config;
    const char *format;
    bool verbose;
    bool help;
    bool version;
};

/* Takes a global option at argv[*i] into globals; false when it is none. *ret_code tells of an error. */
static bool take_global(const struct cli *cli, struct globals *globals, int argc, char **argv,
                        int *i, int *ret_code)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {
        {"-d", &globals->dbname},       {"--dbname", &globals->dbname},
        {"--schema", &globals->schema}, {"--cluster", &globals->cluster},
        {"--config", &globals->config}, {"--format", &globals->format},
    };
    const char *arg = argv[*i];
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
        globals->help = true;
        return true;
    }
    if (strcmp(arg, "--verbose") == 0) {
        globals->verbose = true;
        return true;
    }
    if (strcmp(arg, "--version") == 0) {
        globals->version = true;
        return true;
    }
    for (size_t k = 0; k < sizeof options / sizeof options[0]; k++) {
        size_t length = strlen(options[k].name);
        if (strncmp(arg, options[k].name, length) != 0) {
            continue;
        }
        if (arg[length] == '\0') {
            if (*i + 1 >= argc) {
                *ret_code = usage_error(cli, "%s needs a value", options[k].name);
            } else {
                *options[k].value = argv[++*i];
            }
            return true;
        }
        if (arg[length] == '=' && arg[1] == '-') {
            *options[k].value = arg + length + 1;
            return true;
        }
    }
    return false;
}

/* Moves global options out of argv; *argc and argv keep the rest. */
static int split_globals(const struct cli *cli, struct globals *globals, int *argc, char **argv)
{
    int kept = 1;
    int code = CLI_OK;
    for (int i = 1; i < *argc && code == CLI_OK; i++) {
        if (strcmp(argv[i], "--") == 0) {
            while (i < *argc) {
                argv[kept++] = argv[i++];
            }
            break;
        }
        if (!take_global(cli, globals, *argc, argv, &i, &code)) {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    argv[kept] = NULL;
    return code;
}

static int set_key(const struct cli *cli, const char *key, const char *value)
{
    pgk_error error;
    if (value != NULL && pgk_config_set(cli->config, key, value, &error) != PGK_OK) {
        return fail(cli, &error);
    }
    return CLI_OK;
}

/* As psql has it, -d may also be the mere name of a database; the library wants a connection string. */
static int set_database(const struct cli *cli, const char *text)
{
    char conninfo[256] = "dbname='";
    size_t length = strlen(conninfo);
    if (text == NULL || text[0] == '\0' || strchr(text, '=') != NULL ||
        strstr(text, "://") != NULL) {
        return set_key(cli, CLI_KEY_URI, text);
    }
    for (const char *p = text; *p != '\0'; p++) {
        if (length + 4 > sizeof conninfo) {
            return usage_error(cli, "\"%s\" is too long for the name of a database", text);
        }
        if (*p == '\'' || *p == '\\') {
            conninfo[length++] = '\\';
        }
        conninfo[length++] = *p;
    }
    conninfo[length++] = '\'';
    conninfo[length] = '\0';
    return set_key(cli, CLI_KEY_URI, conninfo);
}

/* From any thread of the library; one call of stdio keeps a line whole. */
static void on_log(void *user, pgk_log_level level, const char *context, const char *message)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    (void)user;
    fprintf(stderr, "%s: %s: %s\n", levels[level], context, message);
}

static int configure(struct cli *cli, const struct globals *globals)
{
    pgk_error error;
    if (pgk_config_new(&cli->config, &error) != PGK_OK ||
        (globals->config != NULL &&
         pgk_config_load_file(cli->config, globals->config, &error) != PGK_OK) ||
        pgk_config_load_environment(cli->config, &error) != PGK_OK) {
        return fail(cli, &error);
    }
    if (globals->verbose) {
        pgk_config_set_log(cli->config, on_log, NULL);
    }
    int code = set_database(cli, globals->dbname);
    if (code == CLI_OK) {
        code = set_key(cli, CLI_KEY_SCHEMA, globals->schema);
    }
    if (code == CLI_OK) {
        code = set_key(cli, CLI_KEY_CLUSTER, globals->cluster);
    }
    if (code == CLI_OK && globals->format != NULL) {
        cli->format_given = true;
        if (!output_parse_format(globals->format, &cli->format)) {
            code = usage_error(cli, "--format is table, json, ndjson or csv, not \"%s\"",
                               globals->format);
        }
    }
    return code;
}

/* In the other modes a master keeps all to itself: nothing that is asked of a database would be about it. */
static int check_type(const struct cli *cli, const struct cli_verb *verb)
{
    const char *type = config_value(cli, CLI_KEY_TYPE);
    if (strcmp(type, "postgres") == 0 || verb->run == cmd_config || verb->run == cmd_server ||
        verb->run == cmd_completion || verb->run == cmd_version || verb->run == cmd_help) {
        return CLI_OK;
    }
    return usage_error(cli,
                       CLI_KEY_TYPE " is %s: such a master keeps all in its own memory, and this "
                                    "command needs postgres",
                       type);
}

const char *config_value(const struct cli *cli, const char *key)
{
    const char *value = pgk_config_get(cli->config, key);
    return value != NULL ? value : "";
}

/* What is to be done before the verb runs. *ret_verb stays NULL when nothing is left to run. */
static int prepare(struct cli *cli, const struct globals *globals, int argc, char **argv,
                   const struct cli_verb **ret_verb)
{
    if (globals->version) {
        printf("pgkeeper %s\n", CLI_VERSION);
        return CLI_OK;
    }
    if (argc < 2 || strcmp(argv[1], "--") == 0) {
        print_help(globals->help ? stdout : stderr);
        return globals->help ? CLI_OK : CLI_USAGE;
    }
    if (argv[1][0] == '-') {
        return usage_error(cli, "unknown option \"%s\"", argv[1]);
    }
    const struct cli_verb *verb = find_verb(argv[1]);
    if (verb == NULL) {
        return usage_error(cli, "unknown verb \"%s\"", argv[1]);
    }
    cli->verb = verb->name;
    if (globals->help) {
        fputs(verb->help, stdout);
        return CLI_OK;
    }
    int code = configure(cli, globals);
    if (code == CLI_OK) {
        code = check_type(cli, verb);
    }
    *ret_verb = code == CLI_OK ? verb : NULL;
    return code;
}

/* The exit code of what went wrong before the verb ran: that of the verb which was meant. */
static int code_of_failure(int argc, char **argv, int code)
{
    const char *verb = "";
    bool checked = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        verb = verb[0] == '\0' && argv[i][0] != '-' ? argv[i] : verb;
        checked = checked || strcmp(argv[i], "--check") == 0;
    }
    if (strcmp(verb, "run") == 0) {
        return RUN_EXIT_OWN_FAILURE;
    }
    return strcmp(verb, "status") == 0 && checked ? STATUS_EXIT_UNKNOWN : code;
}

/*
 * A standard descriptor that is closed would be the next socket or file of a library. What takes its place is open the wrong way
 * round: to read or write it fails as if it were closed.
 */
static void occupy_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) {
            _exit(CLI_FAILED);
        }
    }
}

int main(int argc, char **argv)
{
    occupy_standard_descriptors();
    setlocale(LC_CTYPE, "");
    struct cli cli = {0};
    struct globals globals = {0};
    const struct cli_verb *verb = NULL;
    int code = split_globals(&cli, &globals, &argc, argv);
    if (code == CLI_OK) {
        code = prepare(&cli, &globals, argc, argv, &verb);
    }
    if (verb != NULL) {
        code = verb->run(&cli, argc - 1, argv + 1);
    } else if (code != CLI_OK) {
        code = code_of_failure(argc, argv, code);
    }
    pgk_config_free(cli.config);
    if (fflush(stdout) != 0 && code == CLI_OK) {
        say(&cli, "cannot write to standard output");
        code = CLI_FAILED;
    }
    return code;
}
