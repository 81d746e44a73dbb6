/*
 * pgserver/guard.h - the process between the owner and the postmaster.
 *
 * The guard is the postmaster's parent: starts and signals it on request, reports its exit, and when the
 * owner is gone (its death, an exec, or guard_close) stops it and removes the throw-away directory.
 * It is a fork without exec of a possibly threaded process, so it calls nothing but async-signal-safe
 * functions. It leaves the terminal's session, so that ^C in a terminal reaches the owner only.
 */
#ifndef PGSERVER_GUARD_H
#define PGSERVER_GUARD_H

#include <stdint.h>
#include <sys/types.h>

#include "pgserver/programs.h"

struct guard {
    pid_t pid;   /* of the guard */
    pid_t owner; /* the process that made it */
    int fd;      /* to the guard */
    pid_t postmaster;
    int exit_status; /* of the last postmaster, as from waitpid */
};

/* Everything the guard needs, made before the fork; borrowed, must outlive the guard only in the child. */
struct guard_task {
    struct run_as run_as;
    char *const *argv; /* of the postmaster */
    char *const *env;
    const char *log_path;
    const char *remove_dir; /* removed at the end */
    const char
        *pid_file; /* of a data directory in it: what a killed postmaster held ends too; or NULL */
};

pgk_status guard_start(const struct guard_task *task, struct guard *ret_guard, pgk_error *err);
/* Starts a postmaster; returns when it was forked. */
pgk_status guard_spawn(struct guard *guard, pgk_error *err);
pgk_status guard_signal(struct guard *guard, int signal_number, pgk_error *err);
/* Takes in what the guard reports, waiting up to timeout_ms for the first report; updates postmaster. */
void guard_pump(struct guard *guard, int timeout_ms);
/* Ends guard and postmaster (immediate) and waits for both. In a forked child only lets go of the descriptor. */
void guard_close(struct guard *guard);

#endif
