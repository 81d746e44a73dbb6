/*
 * tests/lib/process.c - see process.h. Owns the pipes and the lines read; never leaves a child behind
 * (PDEATHSIG). Between fork and exec only calls that are safe in a child of a threaded process.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wait.h"

extern char **environ;

static struct process *all_processes;

/* The environment with the additions first: getenv takes the first of two. */
static char **merge_env(const char *const env[])
{
    size_t added = 0;
    size_t present = 0;
    while (env != NULL && env[added] != NULL) {
        added++;
    }
    while (environ[present] != NULL) {
        present++;
    }
    char **merged = calloc(added + present + 1, sizeof(*merged));
    assert_non_null(merged);
    for (size_t i = 0; i < added; i++) {
        merged[i] = (char *)(uintptr_t)env[i];
    }
    memcpy(merged + added, environ, present * sizeof(*merged));
    return merged;
}

static void become_child(const char *const argv[], char **envp, int in_fd, int out_fd, uid_t uid,
                         gid_t gid, pid_t parent)
{
    signal(SIGPIPE, SIG_DFL);
    if (in_fd >= 0) {
        dup2(in_fd, STDIN_FILENO);
    }
    if (out_fd >= 0) {
        dup2(out_fd, STDOUT_FILENO);
    }
    if (uid > 0 && geteuid() == 0) {
        if (setgroups(0, NULL) != 0 || setgid(gid) != 0 || setuid(uid) != 0) {
            _exit(126);
        }
    }
    /* After setuid, which clears it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(126);
    }
    execvpe(argv[0], (char *const *)(uintptr_t)argv, envp);
    _exit(127);
}

struct process *process_start(const char *name, const char *const argv[], const char *const env[],
                              uid_t drop_uid, gid_t drop_gid)
{
    int to_child[2];
    int from_child[2];
    struct process *process = calloc(1, sizeof(*process));
    assert_non_null(process);
    snprintf(process->name, sizeof(process->name), "%s", name);
    assert_int_equal(pipe2(to_child, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from_child, O_CLOEXEC), 0);
    char **envp = merge_env(env);
    signal(SIGPIPE, SIG_IGN);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become_child(argv, envp, to_child[0], from_child[1], drop_uid, drop_gid, parent);
    }
    free(envp);
    assert_true(pid > 0);
    close(to_child[0]);
    close(from_child[1]);
    process->pid = pid;
    process->in_fd = to_child[1];
    process->out_fd = from_child[0];
    fcntl(process->out_fd, F_SETFL, O_NONBLOCK);
    process->next = all_processes;
    all_processes = process;
    return process;
}

void process_send(struct process *process, const char *line)
{
    char text[1200];
    int length = snprintf(text, sizeof(text), "%s\n", line);
    assert_true(length > 0 && (size_t)length < sizeof(text));
    if (write(process->in_fd, text, (size_t)length) != length) {
        fail_msg("%s: cannot send \"%s\": %s", process->name, line, strerror(errno));
    }
}

static void keep_line(struct process *process, const char *text, size_t size)
{
    char **grown = realloc(process->lines, (process->line_count + 1) * sizeof(*grown));
    assert_non_null(grown);
    process->lines = grown;
    grown[process->line_count] = strndup(text, size);
    assert_non_null(grown[process->line_count]);
    process->line_count++;
}

static void take_bytes(struct process *process, const char *bytes, size_t size)
{
    char *all = realloc(process->partial, process->partial_size + size + 1);
    assert_non_null(all);
    memcpy(all + process->partial_size, bytes, size);
    size_t total = process->partial_size + size;
    size_t start = 0;
    for (size_t i = 0; i < total; i++) {
        if (all[i] == '\n') {
            keep_line(process, all + start, i - start);
            start = i + 1;
        }
    }
    memmove(all, all + start, total - start);
    process->partial = all;
    process->partial_size = total - start;
}

/* Reads what comes within wait_ms; false: nothing, or the end. */
static bool read_some(struct process *process, int wait_ms)
{
    if (process->out_fd < 0) {
        return false;
    }
    struct pollfd poller = {.fd = process->out_fd, .events = POLLIN};
    if (poll(&poller, 1, wait_ms) <= 0) {
        return false;
    }
    char bytes[4096];
    ssize_t count = read(process->out_fd, bytes, sizeof(bytes));
    if (count == 0) {
        close(process->out_fd);
        process->out_fd = -1;
    }
    if (count > 0) {
        take_bytes(process, bytes, (size_t)count);
    }
    return count > 0;
}

static void show_lines(const struct process *process)
{
    fprintf(stderr, "---- what %s said\n", process->name);
    for (size_t i = 0; i < process->line_count; i++) {
        fprintf(stderr, "%s  %s\n", i == process->next_line ? ">" : " ", process->lines[i]);
    }
}

const char *process_seek(struct process *process, const char *prefix, int timeout_ms)
{
    int64_t end = wait_now_ns() + timeout_ms * WAIT_NS_PER_MS;
    size_t at = process->next_line;
    while (true) {
        for (; at < process->line_count; at++) {
            if (strncmp(process->lines[at], prefix, strlen(prefix)) == 0) {
                process->next_line = at + 1;
                return process->lines[at];
            }
        }
        int64_t left = (end - wait_now_ns()) / WAIT_NS_PER_MS;
        bool ended = process->out_fd < 0;
        if (!read_some(process, left > 0 ? (int)left : 0) && (left <= 0 || ended)) {
            return NULL;
        }
    }
}

const char *process_expect(struct process *process, const char *prefix, int timeout_ms)
{
    const char *line = process_seek(process, prefix, timeout_ms);
    if (line == NULL) {
        show_lines(process);
        if (process->out_fd < 0 && waitpid(process->pid, &process->status, 0) == process->pid) {
            process->pid = 0;
            fail_msg("%s: no line \"%s...\" before it ended, wait status 0x%x", process->name,
                     prefix, (unsigned)process->status);
        }
        fail_msg("%s: no line \"%s...\" within %d ms", process->name, prefix, timeout_ms);
    }
    return line;
}

size_t process_count(struct process *process, const char *prefix)
{
    size_t count = 0;
    while (read_some(process, 0)) {
    }
    for (size_t i = 0; i < process->line_count; i++) {
        count += strncmp(process->lines[i], prefix, strlen(prefix)) == 0;
    }
    return count;
}

void process_signal(struct process *process, int signal_number)
{
    assert_true(process->pid > 0);
    assert_int_equal(kill(process->pid, signal_number), 0);
}

void process_stop(struct process *process)
{
    int status;
    process_signal(process, SIGSTOP);
    assert_int_equal(waitpid(process->pid, &status, WUNTRACED), process->pid);
    assert_true(WIFSTOPPED(status));
}

void process_continue(struct process *process)
{
    process_signal(process, SIGCONT);
}

static void close_pipes(struct process *process)
{
    if (process->in_fd >= 0) {
        close(process->in_fd);
    }
    if (process->out_fd >= 0) {
        close(process->out_fd);
    }
    process->in_fd = -1;
    process->out_fd = -1;
}

int process_wait(struct process *process, int timeout_ms)
{
    int64_t end = wait_now_ns() + timeout_ms * WAIT_NS_PER_MS;
    assert_true(process->pid > 0);
    while (waitpid(process->pid, &process->status, WNOHANG) != process->pid) {
        if (wait_now_ns() > end) {
            show_lines(process);
            fail_msg("%s: did not end within %d ms", process->name, timeout_ms);
        }
        if (!read_some(process, 5)) {
            wait_pause_ms(2);
        }
    }
    while (read_some(process, 0)) {
    }
    process->pid = 0;
    return process->status;
}

void process_kill(struct process *process)
{
    process_signal(process, SIGKILL);
    process_wait(process, WAIT_LONG_MS);
}

void process_free(struct process *process)
{
    if (process == NULL) {
        return;
    }
    struct process **at = &all_processes;
    while (*at != NULL && *at != process) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = process->next;
    }
    if (process->pid > 0) {
        kill(process->pid, SIGKILL);
        waitpid(process->pid, &process->status, 0);
    }
    close_pipes(process);
    for (size_t i = 0; i < process->line_count; i++) {
        free(process->lines[i]);
    }
    free(process->lines);
    free(process->partial);
    free(process);
}

void process_free_all(void)
{
    while (all_processes != NULL) {
        process_free(all_processes);
    }
}

int process_run(const char *const argv[], const char *const env[], char **ret_output)
{
    struct process *process = process_start(argv[0], argv, env, 0, 0);
    int status = process_wait(process, 4 * WAIT_LONG_MS);
    char *output = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&output, &size);
    assert_non_null(stream);
    for (size_t i = 0; i < process->line_count; i++) {
        fprintf(stream, "%s\n", process->lines[i]);
    }
    fclose(stream);
    process_free(process);
    if (ret_output != NULL) {
        *ret_output = output;
    } else {
        fputs(output, stderr);
        free(output);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
