/*
 * run_guard_exec.c - the last steps of a process that becomes CMD of `pgkeeper run`. Runs in the child of
 * the guard, which has one thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "run_guard_wire.h"

static bool set_environment(const struct run_guard_options *options, const pgk_token *token)
{
    char session[PGK_UUID_TEXT_SIZE];
    char epoch[24];
    char leadership[16];

    pgk_uuid_format(&token->session_id, session);
    snprintf(epoch, sizeof(epoch), "%" PRId64, token->epoch);
    snprintf(leadership, sizeof(leadership), "%" PRId32, token->leadership_id);
    return setenv("PGKEEPER_COMPONENT", options->component, 1) == 0 &&
           setenv("PGKEEPER_CLUSTER_ID", options->cluster_id, 1) == 0 &&
           setenv("PGKEEPER_SESSION_ID", session, 1) == 0 &&
           setenv("PGKEEPER_EPOCH", epoch, 1) == 0 &&
           setenv("PGKEEPER_EPOCH_TEXT", token->epoch_text, 1) == 0 &&
           setenv("PGKEEPER_LEADERSHIP_ID", leadership, 1) == 0;
}

/* Signals that a caller ignores on purpose (nohup, `cmd &` in a script) stay ignored, as everywhere. */
static bool stays_ignored(int signal_number)
{
    return signal_number == SIGHUP || signal_number == SIGINT || signal_number == SIGQUIT;
}

static void reset_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++) {
        if (!stays_ignored(number)) {
            signal(number, SIG_DFL);
        }
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn void run_guard_exec(const struct run_guard_options *options, const pgk_token *token,
                              pid_t guard, int fd)
{
    int error = ENOMEM;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != guard) {
        _exit(127); /* the guard died before the line above took effect */
    }
    if (set_environment(options, token)) {
        reset_signals();
        execvp(options->command[0], options->command);
        error = errno;
    }
    /* The pipe is empty, so this neither blocks nor fails but when the guard is dead. */
    if (write(fd, &error, sizeof(error)) < 0) {
        _exit(126);
    }
    _exit(127);
}
