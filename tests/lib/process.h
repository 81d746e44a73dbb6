/*
 * tests/lib/process.h - child processes of a test: started with pipes, read line by line, killed with the
 * test. All lines ever read are kept, so that a failing test shows them. The test's main thread only:
 * a child dies with the thread that started it.
 */
#ifndef PGK_TESTS_PROCESS_H
#define PGK_TESTS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process {
    struct process *next; /* in the list of all */
    pid_t pid;            /* 0: not running */
    int in_fd;            /* its stdin; -1: closed */
    int out_fd;           /* its stdout; -1: closed */
    int status;           /* as of waitpid, once it has ended */
    char name[64];
    char **lines;
    size_t line_count;
    size_t next_line; /* the first that no expectation has passed */
    char *partial;
    size_t partial_size;
};

/* Starts argv[0] (found by PATH) with argv; `env` of "NAME=value" is added to the environment (NULL: none);
 * drop_uid > 0: as that user and group. Its stderr is the test's. Fails the test if it cannot. */
struct process *process_start(const char *name, const char *const argv[], const char *const env[],
                              uid_t drop_uid, gid_t drop_gid);

/* Writes a line to its stdin. */
void process_send(struct process *process, const char *line);

/* The next line that begins with prefix; lines before it are passed over. Fails the test after timeout_ms
 * or when the output ends, showing all lines. The line belongs to the process. */
const char *process_expect(struct process *process, const char *prefix, int timeout_ms);

/* As process_expect, but NULL when none came; nothing is passed over then. */
const char *process_seek(struct process *process, const char *prefix, int timeout_ms);

/* Reads what there is now and counts the lines, from the first on, that begin with prefix. */
size_t process_count(struct process *process, const char *prefix);

/* Sends a signal. */
void process_signal(struct process *process, int signal_number);

/* Waits until it has been stopped by a signal. */
void process_stop(struct process *process);
void process_continue(struct process *process);

/* Waits for its end; returns the status of waitpid. Fails the test after timeout_ms. */
int process_wait(struct process *process, int timeout_ms);

/* SIGKILL and wait. */
void process_kill(struct process *process);

/* Kills it if it runs and frees all; NULL is fine. */
void process_free(struct process *process);

/* The same for all there are: at the end of each test, also of one that failed half way. */
void process_free_all(void);

/* Runs a program to its end; returns its exit code (128 + signal when killed). Its output goes to the test's
 * unless `ret_output` is given, which gets its stdout (free it). */
int process_run(const char *const argv[], const char *const env[], char **ret_output);

#endif
