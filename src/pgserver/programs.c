/*
 * pgserver/programs.c - finds PostgreSQL's programs, runs initdb and pg_basebackup as an ordinary user.
 * Between fork and exec only async-signal-safe calls are made: the caller may have threads.
 */
#include "pgserver/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "pgserver"

extern char **environ;

static bool has_programs(const char *dir)
{
    static const char *const needed[] = {"initdb", "postgres", "pg_basebackup"};
    char path[PATH_MAX];

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        int n = snprintf(path, sizeof(path), "%s/%s", dir, needed[i]);
        if (n < 0 || (size_t)n >= sizeof(path) || access(path, X_OK) != 0)
            return false;
    }
    return true;
}

static bool take_dir(const char *dir, char ret_dir[PATH_MAX])
{
    if (dir[0] == '\0' || strlen(dir) >= PATH_MAX || !has_programs(dir))
        return false;
    snprintf(ret_dir, PATH_MAX, "%s", dir);
    return true;
}

static bool find_by_pg_config(char ret_dir[PATH_MAX])
{
    char line[PATH_MAX] = "";
    FILE *pipe = popen("pg_config --bindir 2>/dev/null", "re");

    if (pipe == NULL)
        return false;
    if (fgets(line, sizeof(line), pipe) == NULL)
        line[0] = '\0';
    pclose(pipe);
    line[strcspn(line, "\n")] = '\0';
    return take_dir(line, ret_dir);
}

/* The major version in ".../15/bin". */
static long version_of(const char *path)
{
    const char *end = strstr(path, "/bin");
    const char *start = end;

    while (start != NULL && start > path && start[-1] != '/')
        start--;
    return start == NULL ? 0 : strtol(start, NULL, 10);
}

static bool find_in_debian(char ret_dir[PATH_MAX])
{
    glob_t found;
    long best = -1;

    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) != 0)
        return false;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        long version = version_of(found.gl_pathv[i]);
        if (version > best && take_dir(found.gl_pathv[i], ret_dir))
            best = version;
    }
    globfree(&found);
    return best >= 0;
}

static bool find_in_path(char ret_dir[PATH_MAX])
{
    const char *path = getenv("PATH");

    while (path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        char dir[PATH_MAX];
        if (length < sizeof(dir)) {
            memcpy(dir, path, length);
            dir[length] = '\0';
            if (take_dir(dir, ret_dir))
                return true;
        }
        path += length + (path[length] == ':');
    }
    return false;
}

pgk_status programs_find(char ret_dir[PATH_MAX], pgk_error *err)
{
    const char *wanted = getenv("PGKEEPER_PG_BINDIR");

    if (wanted != NULL && wanted[0] != '\0') {
        if (take_dir(wanted, ret_dir))
            return PGK_OK;
        return error_set(
            err, PGK_ERR_NOT_FOUND, ORIGIN,
            "PGKEEPER_PG_BINDIR is \"%s\", but initdb, postgres and pg_basebackup are not all "
            "there; point it at PostgreSQL's bin directory or unset it",
            wanted);
    }
    if (find_by_pg_config(ret_dir) || find_in_debian(ret_dir) || find_in_path(ret_dir))
        return PGK_OK;
    return error_set(
        err, PGK_ERR_NOT_FOUND, ORIGIN,
        "PostgreSQL's server programs (initdb, postgres, pg_basebackup) were not found by "
        "`pg_config "
        "--bindir`, in /usr/lib/postgresql or in PATH; install the package postgresql or set "
        "PGKEEPER_PG_BINDIR");
}

pgk_status programs_run_as(struct run_as *ret_run_as, pgk_error *err)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[4096];

    ret_run_as->drop = geteuid() == 0;
    ret_run_as->uid = geteuid();
    ret_run_as->gid = getegid();
    if (!ret_run_as->drop)
        return PGK_OK;
    if (getpwnam_r("postgres", &entry, buffer, sizeof(buffer), &found) != 0 || found == NULL)
        getpwnam_r("nobody", &entry, buffer, sizeof(buffer), &found);
    if (found == NULL || found->pw_uid == 0)
        return error_set(err, PGK_ERR_NOT_FOUND, ORIGIN,
                         "PostgreSQL does not run as root, and there is no user \"postgres\" or "
                         "\"nobody\" to run "
                         "it as; start as an ordinary user");
    ret_run_as->uid = found->pw_uid;
    ret_run_as->gid = found->pw_gid;
    return PGK_OK;
}

bool run_as_apply(const struct run_as *run_as)
{
    if (!run_as->drop)
        return true;
    return setgroups(1, &run_as->gid) == 0 && setgid(run_as->gid) == 0 && setuid(run_as->uid) == 0;
}

static bool keep_variable(const char *variable)
{
    static const char *const dropped[] = {"PG", "LC_", "LANG", "HOME=", "TZ="};

    for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++) {
        if (strncmp(variable, dropped[i], strlen(dropped[i])) == 0)
            return false;
    }
    return true;
}

char **programs_env(const char *home)
{
    size_t count = 0;
    size_t used = 0;

    while (environ[count] != NULL)
        count++;
    char **env = calloc(count + 3, sizeof(*env));
    if (env == NULL)
        return NULL;
    if (asprintf(&env[used], "HOME=%s", home) < 0) {
        free(env);
        return NULL;
    }
    used++;
    env[used++] = strdup("LC_ALL=C");
    for (size_t i = 0; i < count && env[used - 1] != NULL; i++) {
        if (keep_variable(environ[i]))
            env[used++] = strdup(environ[i]);
    }
    if (env[used - 1] == NULL) {
        programs_env_free(env);
        return NULL;
    }
    return env;
}

void programs_env_free(char **env)
{
    for (size_t i = 0; env != NULL && env[i] != NULL; i++)
        free(env[i]);
    free(env);
}

static void child(const struct run_as *run_as, char *const argv[], char *const env[],
                  const char *cwd, int out, pid_t parent)
{
    sigset_t none;
    int null = open("/dev/null", O_RDONLY);

    sigemptyset(&none);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(126);
    if (!run_as_apply(run_as) || chdir(cwd) != 0)
        _exit(126);
    /* After the change of user, which clears it; then the parent may be gone already. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(126);
    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(argv[0], argv, env);
    _exit(127);
}

static void keep_tail(struct output *output, const char *bytes, size_t count)
{
    size_t room = sizeof(output->text) - 1;

    if (count > room) {
        bytes += count - room;
        count = room;
    }
    if (output->length + count > room) {
        size_t gone = output->length + count - room;
        memmove(output->text, output->text + gone, output->length - gone);
        output->length -= gone;
    }
    memcpy(output->text + output->length, bytes, count);
    output->length += count;
    output->text[output->length] = '\0';
}

/* Reads until the program closes its output; false when the deadline comes first. */
static bool read_output(int fd, int64_t deadline_ns, struct output *output)
{
    char bytes[1024];

    for (;;) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        int ready = poll(&poller, 1, clock_poll_timeout_ms(clock_now_ns(), deadline_ns));
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return false;
        ssize_t got = read(fd, bytes, sizeof(bytes));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return true;
        keep_tail(output, bytes, (size_t)got);
    }
}

pgk_status program_run(const struct run_as *run_as, char *const argv[], char *const env[],
                       const char *cwd, int64_t deadline_ns, struct output *output, pgk_error *err)
{
    int fds[2];
    int status = 0;
    sigset_t all;
    sigset_t before;

    output->length = 0;
    output->text[0] = '\0';
    if (pipe2(fds, O_CLOEXEC) != 0)
        return error_set(err, PGK_ERR_IO, ORIGIN, "cannot make a pipe: %s", strerror(errno));
    pid_t parent = getpid();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        child(run_as, argv, env, cwd, fds[1], parent);
    int fork_errno = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return error_set(err, PGK_ERR_IO, ORIGIN, "cannot fork: %s", strerror(fork_errno));
    }
    bool ended = read_output(fds[0], deadline_ns, output);
    if (!ended)
        kill(pid, SIGKILL);
    close(fds[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!ended)
        return error_set(err, PGK_ERR_TIMEOUT, ORIGIN, "%s did not end in time", argv[0]);
    if (status == 0)
        return PGK_OK;
    return error_set(err, PGK_ERR_IO, ORIGIN, "%s failed (%s %d): %s", argv[0],
                     WIFSIGNALED(status) ? "signal" : "exit code",
                     WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                     output->length > 0 ? output->text : "it said nothing");
}
