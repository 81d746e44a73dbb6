/*
 * run_guard.h - the guard of `pgkeeper run`: the process between the wrapper and CMD that ends CMD, and all
 * that CMD has started, when the lease passes or the wrapper is gone.
 *
 * The wrapper makes one guard before it has threads and runs CMD through it, as often as it likes, one
 * after the other. The lease reaches the guard through a shared page, so that a wrapper that is stopped
 * or starved need do nothing for its CMD to end. Once a run is being ended for a lost lease nothing
 * revives it. The wrapper and the guard are both child subreapers: descendants of CMD that daemonise
 * stay below them. All calls: the wrapper's main thread, but run_guard_publish: any.
 */
#ifndef PGK_CLI_RUN_GUARD_H
#define PGK_CLI_RUN_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <pgkeeper/election.h>

enum on_lost {
    ON_LOST_TERM,  /* SIGTERM, and SIGKILL after the grace */
    ON_LOST_KILL,  /* SIGKILL at once */
    ON_LOST_IGNORE /* nothing: the lease is not enforced */
};

struct run_guard_options {
    enum on_lost on_lost;
    int64_t grace_ns;      /* between SIGTERM and SIGKILL */
    char *const *command;  /* CMD and its arguments, ends with NULL */
    const char *component; /* for CMD's environment */
    const char *cluster_id;
};

enum run_report_kind {
    RUN_STARTED,   /* CMD has been executed */
    RUN_LEFTOVERS, /* CMD has ended and processes of its are being ended */
    RUN_ENDED,     /* nothing of the run is left */
    RUN_GUARD_GONE /* the guard was killed; run_guard_kill clears away what it left */
};

struct run_report {
    enum run_report_kind kind;
    int exec_errno;  /* RUN_ENDED: why CMD was not executed; 0: it was */
    int wait_status; /* RUN_ENDED: of CMD, as from waitpid */
    bool lost;       /* RUN_ENDED: leadership was lost before CMD ended */
};

struct run_guard;

/* Forks the guard. 0 or an errno: ENOSYS when /proc is not there to find processes in. `options` is
 * borrowed for the life of the guard. */
int run_guard_new(const struct run_guard_options *options, struct run_guard **ret_guard);

/* Until when CMD may live, nanoseconds of CLOCK_BOOTTIME; 0: not any more. One atomic store. */
void run_guard_publish(struct run_guard *guard, int64_t deadline_ns);

/* Asks for a run of CMD under a tenure whose deadline has been published; reports follow. Only when no
 * run is under way. 0 or an errno. */
int run_guard_run(struct run_guard *guard, const pgk_token *token);
/* Passes a signal to CMD, if it has not ended. */
void run_guard_signal(struct run_guard *guard, int signal_number);
/* Leadership is lost: ends the run as on_lost says. */
void run_guard_lose(struct run_guard *guard);

/* Readable when a report has come. */
int run_guard_fd(const struct run_guard *guard);
/* Takes the next report; false when there is none. Never blocks. */
bool run_guard_receive(struct run_guard *guard, struct run_report *ret_report);
/* After SIGCHLD: reaps; a guard that somebody has stopped goes on. */
void run_guard_tend(struct run_guard *guard);

/* SIGKILLs the guard and all below this process; returns when nothing is left. */
void run_guard_kill(struct run_guard *guard);
/* Ends the guard, and with it whatever runs, and frees; NULL is fine. */
void run_guard_free(struct run_guard *guard);

/* The clock of deadlines. */
static inline int64_t boottime_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

#endif
