/*
 * tests/lib/runner.h - `pgkeeper run` under test: starting it on the fixture's database with the fast profile, and
 * looking at the processes below it. The test's main thread only.
 */
#ifndef PGK_TESTS_RUNNER_H
#define PGK_TESTS_RUNNER_H

#include "fixture.h"

#define RUNNER_COMPONENT "job"

/* Starts `pgkeeper run --component job` as member `name`; more arguments of run, "--" and the command among them,
 * end with NULL. Output of the command comes out of the process. */
struct process *runner_start(struct fixture *fixture, const char *name, ...)
    __attribute__((sentinel));

/* As runner_start with the options given (ending with NULL), and a witness (witness_main.c) as the command;
 * traits: "stubborn", "family", "stubborn family", or "". */
struct process *runner_witness(struct fixture *fixture, const char *name, const char *traits, ...)
    __attribute__((sentinel));

/* Waits for the next "up" of a witness; returns its epoch. */
int64_t runner_up(struct process *process, pid_t *ret_pid);

/* Waits for the end and returns the exit code; fails the test when a signal ended it. */
int runner_exit_code(struct process *process);

/* The first child of a process; 0: none. */
pid_t child_of(pid_t parent);
/* A process that is there and no zombie. */
bool is_running(pid_t pid);
/* True once it has ended, without waiting for it. */
bool has_ended(const struct process *process);

/* Entries of the book whose process still runs. */
size_t witnesses_running(const struct belief_book *book);

#endif
