/*
 * run.h - what the parts of `pgkeeper run` share: run.c (options, configuration, opening) and run_loop.c (events
 * until the end). The wrapper's main thread; callbacks of the election run there too, by pgk_ha_dispatch.
 */
#ifndef PGK_CLI_RUN_H
#define PGK_CLI_RUN_H

#include "cli.h"
#include "run_guard.h"
#include "run_lease.h"

/* Exit codes of run, besides those of CMD. */
enum run_exit {
    RUN_EXIT_LOST = 123,
    RUN_EXIT_NOT_ACQUIRED = 124,
    RUN_EXIT_OWN_FAILURE = 125,
    RUN_EXIT_NOT_EXECUTABLE = 126,
    RUN_EXIT_NOT_FOUND = 127,
    RUN_EXIT_SIGNAL = 128 /* plus the signal's number */
};

/* A run that is being ended is over at latest this long after the lease and --grace: room for the guard to wake
 * up, for the kernel to carry out SIGKILL, and for a wrapper that must do it in the guard's stead. */
#define RUN_MARGIN_MS 500
/* When the wrapper does so, counted from the same moment. */
#define RUN_TAKE_OVER_FROM_GUARD_MS 250

#define RUN_NEVER INT64_MAX
#define RUN_NS_PER_MS INT64_C(1000000)

struct run_options {
    const char *component;
    const char *address;
    int wait_ms; /* -1: for ever */
    int grace_ms;
    enum on_lost on_lost;
    bool respawn;
    bool quiet;
    char **command;
};

struct run {
    const struct cli *cli;
    struct run_options options;
    char address[PGK_ADDRESS_MAX_BYTES + 1];
    struct run_guard *guard;
    struct run_lease *lease;
    pgk_ha *ha;
    pgk_election *election;
    int signals; /* signalfd */

    bool granted;    /* between grant and revoke */
    bool may_start;  /* and the token is known */
    pgk_token token; /* of that tenure */
    pgk_error fault; /* last one reported; status PGK_OK: none */

    bool active;    /* a run of CMD is under way */
    bool losing;    /* and the guard has been told to end it */
    bool published; /* the address, in this tenure */
    int64_t active_since_ns;
    int64_t overdue_ns; /* a run that is being ended must be over by then */
    int64_t publish_at_ns;
    int64_t start_at_ns; /* not before: back-off of --respawn */
    int backoff_ms;
    int64_t give_up_at_ns; /* --wait, until the first grant */

    int stop_signal; /* ends the wrapper with CMD; 0: none */
    bool hangup_passed;
    bool finished;
    int exit_code;
};

/* Contends and runs CMD until run->finished. The election has not been started. */
void run_loop(struct run *run);

/* The callbacks of the election; user: struct run. */
extern const pgk_contender run_contender;

/* A line on stderr unless --quiet; errors go through say(). */
void run_tell(const struct run *run, const char *format, ...) CLI_PRINTF(2, 3);
void run_finish(struct run *run, int exit_code);

#endif
