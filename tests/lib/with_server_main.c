/*
 * tests/lib/with_server_main.c - runs a program next to a private server: `with_server [--tcp] PROGRAM ARG...`.
 * PGHOST, PGPORT, PGUSER and PGDATABASE lead to the server, PGSERVER_PID, PGSERVER_LOG and
 * PGSERVER_BINDIR tell more. Exits with the program's code; the server goes with this process.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pgserver/pgserver.h"

static void tell(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0) {
        perror("with_server: setenv");
        exit(125);
    }
}

static void tell_number(const char *name, long value)
{
    char text[32];

    snprintf(text, sizeof(text), "%ld", value);
    tell(name, text);
}

static void tell_all(struct pgserver *server, bool tcp)
{
    tell("PGHOST", tcp ? "127.0.0.1" : pgserver_socket_dir(server));
    tell_number("PGPORT", pgserver_port(server));
    tell("PGUSER", PGSERVER_USER);
    tell("PGDATABASE", "postgres");
    tell("PGSERVER_LOG", pgserver_log_path(server));
    tell("PGSERVER_BINDIR", pgserver_bin_dir(server));
    tell_number("PGSERVER_PID", (long)pgserver_pid(server));
}

static int run(char *const argv[])
{
    int status = 0;
    /* A terminal's ^C is the program's to answer. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction before;

    sigaction(SIGINT, &ignore, &before);
    pid_t pid = fork();
    if (pid == 0) {
        sigaction(SIGINT, &before, NULL);
        execvp(argv[0], argv);
        fprintf(stderr, "with_server: cannot run %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    if (pid < 0) {
        perror("with_server: fork");
        return 125;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
    bool tcp = argc > 1 && strcmp(argv[1], "--tcp") == 0;
    const struct pgserver_options options = {.tcp = tcp};
    struct pgserver *server = NULL;
    pgk_error err;
    int first = tcp ? 2 : 1;

    if (argc <= first) {
        fputs("usage: with_server [--tcp] PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    if (pgserver_start(&options, &server, &err) != PGK_OK) {
        fprintf(stderr, "with_server: %s\n", err.message);
        return 125;
    }
    tell_all(server, tcp);
    int code = run(argv + first);
    pgserver_free(server);
    return code;
}
