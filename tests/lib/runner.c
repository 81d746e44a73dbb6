/* tests/lib/runner.c - see runner.h. Looks at processes only by /proc. */
#include "runner.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PGK_TEST_COMMAND
#define PGK_TEST_COMMAND "pgkeeper" /* by PATH */
#endif
#ifndef PGK_TEST_WITNESS
#define PGK_TEST_WITNESS "test_witness"
#endif
#define MAX_ARGS 48

struct arguments {
    const char *argv[MAX_ARGS];
    size_t count;
};

static void add(struct arguments *arguments, const char *argument)
{
    assert_true(arguments->count < MAX_ARGS - 1);
    arguments->argv[arguments->count++] = argument;
}

static void add_common(struct arguments *arguments, const struct fixture *fixture)
{
    const char *const common[] = {PGK_TEST_COMMAND, "-d",  fixture->conninfo, "--cluster",
                                  FIXTURE_CLUSTER,  "run", "--component",     RUNNER_COMPONENT};

    memset(arguments, 0, sizeof(*arguments));
    for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
        add(arguments, common[i]);
    }
}

static void add_all(struct arguments *arguments, va_list more)
{
    const char *argument;

    while ((argument = va_arg(more, const char *)) != NULL) {
        add(arguments, argument);
    }
}

static struct process *start(const char *name, const struct arguments *arguments)
{
    char member[64];
    const char *const env[] = {"PGKEEPER_HIGH_AVAILABILITY_POSTGRES_PROFILE=fast", member, NULL};

    snprintf(member, sizeof(member), "PGKEEPER_MEMBER_NAME=%s", name);
    return process_start(name, arguments->argv, env, 0, 0);
}

struct process *runner_start(struct fixture *fixture, const char *name, ...)
{
    struct arguments arguments;
    va_list more;

    add_common(&arguments, fixture);
    va_start(more, name);
    add_all(&arguments, more);
    va_end(more);
    return start(name, &arguments);
}

struct process *runner_witness(struct fixture *fixture, const char *name, const char *traits, ...)
{
    struct arguments arguments;
    char words[64];
    va_list more;

    add_common(&arguments, fixture);
    va_start(more, traits);
    add_all(&arguments, more);
    va_end(more);
    add(&arguments, "--");
    add(&arguments, PGK_TEST_WITNESS);
    add(&arguments, fixture->belief_path);
    add(&arguments, name);
    snprintf(words, sizeof(words), "%s", traits);
    char *rest = words;
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        if (*word != '\0') {
            add(&arguments, word);
        }
    }
    return start(name, &arguments);
}

int64_t runner_up(struct process *process, pid_t *ret_pid)
{
    char *end;
    const char *line = process_expect(process, "up ", WAIT_LONG_MS);
    long pid = strtol(line + strlen("up "), &end, 10);

    if (ret_pid != NULL) {
        *ret_pid = (pid_t)pid;
    }
    return strtoll(end, NULL, 10);
}

int runner_exit_code(struct process *process)
{
    int status = process_wait(process, WAIT_LONG_MS);

    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* State and parent of a process; false: there is none. */
static bool look_at(const char *pid, char *ret_state, pid_t *ret_parent)
{
    char path[64];
    char line[512];

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
    const char *rest = strrchr(line, ')');
    if (rest == NULL || strlen(rest) < 5) {
        return false;
    }
    *ret_state = rest[2];
    *ret_parent = (pid_t)strtol(rest + 4, NULL, 10);
    return true;
}

pid_t child_of(pid_t parent)
{
    struct dirent *item;
    pid_t found = 0;
    DIR *directory = opendir("/proc");

    assert_non_null(directory);
    while (found == 0 && (item = readdir(directory)) != NULL) {
        char state;
        pid_t its_parent;
        if (item->d_name[0] >= '1' && item->d_name[0] <= '9' &&
            look_at(item->d_name, &state, &its_parent) && its_parent == parent && state != 'Z') {
            found = (pid_t)strtol(item->d_name, NULL, 10);
        }
    }
    closedir(directory);
    return found;
}

bool is_running(pid_t pid)
{
    char text[24];
    char state;
    pid_t parent;

    snprintf(text, sizeof(text), "%ld", (long)pid);
    return look_at(text, &state, &parent) && state != 'Z' && state != 'X';
}

bool has_ended(const struct process *process)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    return process->pid == 0 ||
           (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid != 0);
}

size_t witnesses_running(const struct belief_book *book)
{
    size_t running = 0;
    uint32_t count = atomic_load(&book->count);

    for (uint32_t i = 0; i < count && i < BELIEF_MAX; i++) {
        const char *colon = strchr(book->beliefs[i].name, ':');
        if (colon != NULL && is_running((pid_t)strtol(colon + 1, NULL, 10))) {
            running++;
        }
    }
    return running;
}
