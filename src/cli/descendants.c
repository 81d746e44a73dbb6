/*
 * descendants.c - see descendants.h. Runs in the guard of `pgkeeper run`, and in the wrapper when its guard
 * is gone. Must never signal a process that is not below this one.
 */
#include "descendants.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Between two looks, for processes that were forked while the one before went on. */
#define LOOK_AGAIN_MS 5

struct process_entry {
    long pid;
    long parent;
    unsigned long long started; /* clock ticks since boot: tells two users of an id apart */
    bool alive;                 /* not a zombie */
};

struct process_list {
    struct process_entry *entries;
    size_t count;
    size_t room;
};

/* Fields of a /proc/PID/stat line, counted from the state, which follows the name in parentheses. */
enum { STAT_STATE = 0, STAT_PARENT = 1, STAT_STARTED = 19 };

static bool parse_stat(char *line, struct process_entry *entry)
{
    char *rest = strrchr(line, ')');
    if (rest == NULL) {
        return false;
    }
    entry->pid = strtol(line, NULL, 10);
    rest++;
    for (int field = STAT_STATE; field <= STAT_STARTED; field++) {
        rest += strspn(rest, " ");
        if (*rest == '\0') {
            return false;
        }
        if (field == STAT_STATE) {
            entry->alive = *rest != 'Z' && *rest != 'X';
        } else if (field == STAT_PARENT) {
            entry->parent = strtol(rest, NULL, 10);
        } else if (field == STAT_STARTED) {
            entry->started = strtoull(rest, NULL, 10);
        }
        rest += strcspn(rest, " ");
    }
    return true;
}

static bool read_entry(const char *pid, struct process_entry *entry)
{
    char path[64];
    char line[1024];

    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t length = read(fd, line, sizeof(line) - 1);
    close(fd);
    if (length <= 0) {
        return false;
    }
    line[length] = '\0';
    return parse_stat(line, entry);
}

bool descendants_visible(void)
{
    struct process_entry self;

    return read_entry("self", &self) && self.pid == (long)getpid();
}

static bool list_add(struct process_list *list, const struct process_entry *entry)
{
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 256 : list->room * 2;
        struct process_entry *grown = realloc(list->entries, room * sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        list->entries = grown;
        list->room = room;
    }
    list->entries[list->count++] = *entry;
    return true;
}

static int compare_pids(const void *left, const void *right)
{
    long a = ((const struct process_entry *)left)->pid;
    long b = ((const struct process_entry *)right)->pid;
    return (a > b) - (a < b);
}

/* What fits when memory is short is still worth a signal: callers look again. */
static void list_processes(struct process_list *list)
{
    DIR *directory = opendir("/proc");
    struct dirent *item;
    struct process_entry entry;

    if (directory == NULL) {
        return;
    }
    while ((item = readdir(directory)) != NULL) {
        if (item->d_name[0] < '1' || item->d_name[0] > '9' || !read_entry(item->d_name, &entry)) {
            continue;
        }
        if (!list_add(list, &entry)) {
            break;
        }
    }
    closedir(directory);
    if (list->count > 0) {
        qsort(list->entries, list->count, sizeof(list->entries[0]), compare_pids);
    }
}

static bool is_below(const struct process_list *list, const struct process_entry *entry, long root)
{
    struct process_entry key = *entry;

    /* Parents may change while the list is made; the bound keeps a contradictory list from a circle. */
    for (size_t step = 0; step < list->count; step++) {
        if (key.parent == root) {
            return true;
        }
        key.pid = key.parent;
        const struct process_entry *parent =
            bsearch(&key, list->entries, list->count, sizeof(key), compare_pids);
        if (parent == NULL) {
            return false;
        }
        key.parent = parent->parent;
    }
    return false;
}

static void signal_entry(const struct process_entry *entry, int signal_number)
{
    char pid[24];
    struct process_entry again;

    int fd = (int)syscall(SYS_pidfd_open, (pid_t)entry->pid, 0);
    if (fd < 0 && errno == ESRCH) {
        return;
    }
    snprintf(pid, sizeof(pid), "%ld", entry->pid);
    if (read_entry(pid, &again) && again.started == entry->started) {
        if (fd < 0 || syscall(SYS_pidfd_send_signal, fd, signal_number, NULL, 0) != 0) {
            kill((pid_t)entry->pid, signal_number);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

void descendants_signal(int signal_number)
{
    struct process_list list = {NULL, 0, 0};
    long self = (long)getpid();

    list_processes(&list);
    for (size_t i = 0; i < list.count; i++) {
        const struct process_entry *entry = &list.entries[i];
        if (entry->alive && is_below(&list, entry, self)) {
            signal_entry(entry, signal_number);
        }
    }
    free(list.entries);
}

void descendants_kill_all(void)
{
    for (;;) {
        pid_t reaped;
        do {
            reaped = waitpid(-1, NULL, WNOHANG);
        } while (reaped > 0 || (reaped < 0 && errno == EINTR));
        if (reaped < 0) {
            return;
        }
        descendants_signal(SIGKILL);
        poll(NULL, 0, LOOK_AGAIN_MS);
    }
}
