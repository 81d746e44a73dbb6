/*
 * server.c - `pgkeeper server`: a private PostgreSQL for trying out, for as long as a command runs or
 * until ^C. The server goes with this process, however it ends.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "migrate.h"
#include "output.h"
#include "pgserver/pgserver.h"
#include "verbs.h"

#define MIGRATE_TIMEOUT_MS 30000

const char help_server[] =
    "usage: pgkeeper server [--tcp] [--migrate] [--set NAME=VALUE]...\n"
    "                       [--directory DIR] [--keep] [--format json]\n"
    "                       [-- CMD [ARGUMENT]...]\n"
    "\n"
    "Starts a private PostgreSQL server, from the programs installed on this machine,\n"
    "for trying out and for tests: half a second, no root needed, and as root it runs\n"
    "as another user. It lives in a directory of its own under /tmp and is gone, with\n"
    "all its data, when this command ends, however it ends.\n"
    "\n"
    "With CMD: runs it with PGHOST, PGPORT, PGUSER and PGDATABASE set, passes signals\n"
    "on, and exits with its exit code (128 and the signal's number when a signal\n"
    "ended it, 126 and 127 when it cannot be run). Without: prints shell lines that\n"
    "set these variables, and stays until ^C or SIGTERM.\n"
    "\n"
    "  --tcp             also listen on 127.0.0.1 at a free port, and let PGHOST be\n"
    "                    that\n"
    "  --migrate         make pgkeeper's schema in it\n"
    "  --set NAME=VALUE  a setting for postgresql.conf; may be repeated\n"
    "  --directory DIR   keep data and log in DIR; a later server with the same DIR\n"
    "                    goes on with them\n"
    "  --keep            after CMD has ended stay until ^C\n"
    "\n"
    "Anybody on this machine who can reach its socket directory (mode 0700) or port\n"
    "may log in.\n";

struct server_options {
    bool tcp;
    bool migrate;
    bool keep;
    const char *directory;
    struct cli_list settings; /* room for a NULL at the end */
};

static int start(const struct cli *cli, const struct server_options *o,
                 struct pgserver **ret_server)
{
    for (int i = 0; i < o->settings.count; i++) {
        const char *equals = strchr(o->settings.items[i], '=');
        if (equals == NULL || equals == o->settings.items[i]) {
            return usage_error(cli, "--set takes NAME=VALUE, not \"%s\"", o->settings.items[i]);
        }
    }
    struct pgserver_options options = {
        .tcp = o->tcp, .settings = o->settings.items, .directory = o->directory};
    pgk_error error;
    if (pgserver_start(&options, ret_server, &error) != PGK_OK) {
        return fail(cli, &error) == CLI_TIMED_OUT ? CLI_TIMED_OUT : CLI_FAILED;
    }
    return CLI_OK;
}

/* What this process and its child take from the environment leads to the new server. */
static int set_environment(struct cli *cli, const struct pgserver *server, bool tcp)
{
    static const char *const others[] = {"PGHOSTADDR",
                                         "PGSERVICE",
                                         "PGPASSWORD",
                                         "PGOPTIONS",
                                         "PGTARGETSESSIONATTRS",
                                         "PGSSLMODE",
                                         "PGKEEPER_HIGH_AVAILABILITY_POSTGRES_URI"};
    char port[16];
    snprintf(port, sizeof port, "%d", pgserver_port(server));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        unsetenv(others[i]);
    }
    pgk_error error;
    if (setenv("PGHOST", tcp ? "127.0.0.1" : pgserver_socket_dir(server), 1) != 0 ||
        setenv("PGPORT", port, 1) != 0 || setenv("PGUSER", PGSERVER_USER, 1) != 0 ||
        setenv("PGDATABASE", "postgres", 1) != 0) {
        say(cli, "out of memory");
        return CLI_FAILED;
    }
    if (pgk_config_set(cli->config, CLI_KEY_URI, "", &error) != PGK_OK) {
        return fail(cli, &error);
    }
    return CLI_OK;
}

static void print_variables(const struct cli *cli, struct pgserver *server)
{
    const char *host = getenv("PGHOST");
    const char *port = getenv("PGPORT");
    if (cli->format_given && cli->format != FORMAT_TABLE) {
        static const char *const names[] = {"host", "port", "user", "dbname", "pid", "log"};
        static const Oid types[] = {OUTPUT_TEXT, OUTPUT_INT8, OUTPUT_TEXT,
                                    OUTPUT_TEXT, OUTPUT_INT8, OUTPUT_TEXT};
        char pid[16];
        snprintf(pid, sizeof pid, "%d", (int)pgserver_pid(server));
        const char *values[] = {host,       port, PGSERVER_USER,
                                "postgres", pid,  pgserver_log_path(server)};
        PGresult *rows = output_new_rows(6, names, types);
        if (rows != NULL) {
            output_add_row(rows, values);
            output_rows(stdout, cli->format, rows, 0);
            PQclear(rows);
        }
    } else {
        printf("export PGHOST=%s PGPORT=%s PGUSER=%s PGDATABASE=postgres\n", host, port,
               PGSERVER_USER);
    }
    fflush(stdout);
}

static void say_ready(const struct cli *cli, bool stays)
{
    say(cli, "ready; look around with: psql -h %s -p %s -U %s postgres", getenv("PGHOST"),
        getenv("PGPORT"), PGSERVER_USER);
    if (stays) {
        say(cli, "^C ends it");
    }
}

static sigset_t ends_and_children(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGQUIT);
    sigaddset(&signals, SIGCHLD);
    return signals;
}

static void block_signals(sigset_t *ret_before)
{
    const sigset_t signals = ends_and_children();
    sigprocmask(SIG_BLOCK, &signals, ret_before);
}

/* Waits for one of the blocked signals. */
static int next_signal(siginfo_t *info)
{
    const sigset_t signals = ends_and_children();
    int number;
    do {
        number = sigwaitinfo(&signals, info);
    } while (number < 0 && errno == EINTR);
    return number;
}

static void wait_for_end(void)
{
    siginfo_t info;
    while (next_signal(&info) == SIGCHLD) {
        /* the server's keeper, or a child of the shell that exec'ed us */
    }
}

static int wait_for_child(pid_t child)
{
    for (;;) {
        int status;
        if (waitpid(child, &status, WNOHANG) == child) {
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        }
        siginfo_t info;
        int number = next_signal(&info);
        /* A signal typed on the terminal has reached the child already. */
        if (number > 0 && number != SIGCHLD && info.si_code != SI_KERNEL) {
            kill(child, number);
        }
    }
}

static int run_command(const struct cli *cli, char **argv, const sigset_t *mask)
{
    posix_spawnattr_t attributes;
    pid_t child;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, mask);
    int error = posix_spawnp(&child, argv[0], NULL, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) {
        say(cli, "cannot run %s: %s", argv[0], strerror(error));
        return error == ENOENT ? 127 : 126;
    }
    return wait_for_child(child);
}

static int serve(struct cli *cli, const struct server_options *o, struct cli_arguments *arguments)
{
    struct pgserver *server = NULL;
    sigset_t before;
    int code = start(cli, o, &server);
    if (code != CLI_OK) {
        return code;
    }
    block_signals(&before);
    code = set_environment(cli, server, o->tcp);
    if (code == CLI_OK && o->migrate) {
        code = migrate_up(cli, migrations_count, MIGRATE_TIMEOUT_MS);
    }
    if (code == CLI_OK && arguments->rest != NULL) {
        code = run_command(cli, arguments->rest, &before);
        if (o->keep) {
            say(cli, "%s has ended with exit code %d", arguments->rest[0], code);
            say_ready(cli, true);
            wait_for_end();
        }
    } else if (code == CLI_OK) {
        print_variables(cli, server);
        say_ready(cli, true);
        wait_for_end();
    }
    pgserver_free(server);
    return code;
}

int cmd_server(struct cli *cli, int argc, char **argv)
{
    struct server_options o = {0};
    o.settings.items = calloc((size_t)argc + 1, sizeof *o.settings.items);
    if (o.settings.items == NULL) {
        say(cli, "out of memory");
        return CLI_FAILED;
    }
    const struct cli_option options[] = {
        {"--tcp", OPTION_FLAG, &o.tcp},
        {"--migrate", OPTION_FLAG, &o.migrate},
        {"--keep", OPTION_FLAG, &o.keep},
        {"--set", OPTION_LIST, &o.settings},
        {"--directory", OPTION_TEXT, &o.directory},
    };
    struct cli_arguments arguments;
    int code =
        parse_options(cli, argc, argv, options, sizeof options / sizeof options[0], &arguments);
    if (code == CLI_OK) {
        if (arguments.positional.count > 0) {
            code = usage_error(cli, "a command to run comes after \"--\"");
        } else if (arguments.rest != NULL && arguments.rest_count == 0) {
            code = usage_error(cli, "no command after \"--\"");
        } else {
            code = serve(cli, &o, &arguments);
        }
        arguments_free(&arguments);
    }
    free(o.settings.items);
    return code;
}
