/*
 * run_guard_wire.h - what passes between the wrapper of `pgkeeper run` (run_guard.c) and its guard
 * (run_guard_process.c): a page in shared memory with the deadline, and packets in both directions.
 */
#ifndef PGK_CLI_RUN_GUARD_WIRE_H
#define PGK_CLI_RUN_GUARD_WIRE_H

#include <signal.h>
#include <stdatomic.h>

#include "run_guard.h"

/* Written by the wrapper, read by the guard; no lock, as either may be stopped at any point. */
struct run_guard_page {
    _Atomic int64_t deadline_ns;
};

enum run_order_kind { RUN_ORDER_START, RUN_ORDER_SIGNAL, RUN_ORDER_LOSE };

/* Wrapper to guard; struct run_report is the answer. */
struct run_order {
    enum run_order_kind kind;
    int signal_number;
    pgk_token token;
};

struct run_guard_task {
    const struct run_guard_options *options;
    const struct run_guard_page *page;
    int socket;    /* the guard's end */
    pid_t wrapper; /* its parent */
};

/* The guard process: never returns. Entered right after fork with every signal blocked. */
_Noreturn void run_guard_process(const struct run_guard_task *task);

/* In the child that is to be CMD: environment, signals, exec. Writes errno to fd if that fails. */
_Noreturn void run_guard_exec(const struct run_guard_options *options, const pgk_token *token,
                              pid_t guard, int fd);

#endif
