/* bench/harness.c - forking workers, collecting their instants, and knowing when all are in
 * place. */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Set in workers: exit() there would run what the measuring process has to do at its own end. */
static bool in_worker;

int64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void bench_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "bench: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    if (in_worker) {
        _exit(1);
    }
    exit(1);
}

void bench_pause_ms(long ms)
{
    const struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&span, NULL);
}

void bench_random_pause(void)
{
    bench_pause_ms(20 + random() % 100);
}

PGconn *bench_connect(const char *conninfo)
{
    PGconn *conn = PQconnectdb(conninfo);

    if (PQstatus(conn) != CONNECTION_OK) {
        bench_fail("cannot connect: %s", PQerrorMessage(conn));
    }
    return conn;
}

int64_t bench_sql(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    const ExecStatusType status = PQresultStatus(result);
    int64_t value = 0;

    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        bench_fail("\"%s\" failed: %s", sql, PQerrorMessage(conn));
    }
    if (PQntuples(result) > 0) {
        value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    }
    PQclear(result);
    return value;
}

void report(const struct worker_context *context, enum report_kind kind, int64_t at_ns,
            int64_t value)
{
    const struct report line = {
        .kind = (int32_t)kind, .worker = context->index, .at_ns = at_ns, .value = value};

    /* Short writes to a pipe are atomic, so that threads and processes may share it. */
    if (write(context->report_fd, &line, sizeof line) != (ssize_t)sizeof line) {
        _exit(1);
    }
}

static void crew_spawn(struct crew *crew, int index)
{
    const pid_t parent = getpid();
    int command[2];
    pid_t pid;

    if (pipe(command) != 0) {
        bench_fail("pipe: %s", strerror(errno));
    }
    fflush(NULL);
    pid = fork();
    if (pid < 0) {
        bench_fail("fork: %s", strerror(errno));
    }
    if (pid == 0) {
        const struct worker_context context = {.index = index,
                                               .report_fd = crew->report_write,
                                               .command_fd = command[0],
                                               .conninfo = crew->conninfo,
                                               .arg = crew->arg};

        in_worker = true;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        close(command[1]);
        crew->run(&context);
        _exit(0);
    }
    close(command[0]);
    crew->pids[index] = pid;
    crew->commands[index] = command[1];
}

static void crew_reap(struct crew *crew, int index)
{
    close(crew->commands[index]);
    if (waitpid(crew->pids[index], NULL, 0) != crew->pids[index]) {
        bench_fail("waitpid: %s", strerror(errno));
    }
}

static void crew_open(struct crew *crew)
{
    int fds[2];

    if (pipe(fds) != 0) {
        bench_fail("pipe: %s", strerror(errno));
    }
    crew->report_read = fds[0];
    crew->report_write = fds[1];
    crew->watcher = bench_connect(crew->conninfo);
    crew->leader = -1;
}

static struct report crew_next(struct crew *crew)
{
    struct pollfd readable = {.fd = crew->report_read, .events = POLLIN};
    struct report line;

    if (poll(&readable, 1, WAIT_MS) != 1) {
        bench_fail("no worker reported anything within %d ms", WAIT_MS);
    }
    if (read(crew->report_read, &line, sizeof line) != (ssize_t)sizeof line) {
        bench_fail("reading a report: %s", strerror(errno));
    }
    return line;
}

struct report crew_expect(struct crew *crew, enum report_kind kind)
{
    struct report line;

    do {
        line = crew_next(crew);
    } while (line.kind != (int32_t)kind);
    return line;
}

/* Do all standbys wait, and has the leader no sessions left from the time before it led? */
static bool is_settled(const struct crew *crew)
{
    char leftover[400];

    /* Not those of followers: they have no lock session. */
    snprintf(leftover, sizeof leftover,
             "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
             " AND application_name ~ ':(listener%s):' AND right(application_name, 8) IN ("
             "SELECT right(o.application_name, 8) FROM pg_stat_activity o"
             " WHERE o.application_name ~ ':lock:')",
             crew->keeps_work ? "" : "|work");
    return bench_sql(crew->watcher,
                     "SELECT count(*) FROM pg_locks l JOIN pg_database d"
                     " ON d.oid = l.database AND d.datname = current_database()"
                     " WHERE l.locktype = 'advisory' AND NOT l.granted") == crew->count - 1 &&
           bench_sql(crew->watcher, leftover) < crew->count;
}

void crew_settle(struct crew *crew)
{
    const int64_t deadline_ns = bench_now_ns() + (int64_t)WAIT_MS * 1000000;

    while (!is_settled(crew)) {
        if (bench_now_ns() > deadline_ns) {
            bench_fail("the standbys do not wait for the leader");
        }
        bench_pause_ms(10);
    }
}

void crew_start_contenders(struct crew *crew, int count)
{
    crew_open(crew);
    crew->count = count;
    for (int i = 0; i < count; i++) {
        crew_spawn(crew, i);
    }
    crew->leader = crew_expect(crew, REPORT_GRANTED).worker;
    crew_settle(crew);
}

void crew_start(struct crew *crew, int count, int ready)
{
    crew_open(crew);
    crew->count = count;
    for (int i = 0; i < count; i++) {
        crew_spawn(crew, i);
    }
    /* A contender that says it is ready has tried the lock before; the first one got it. */
    for (int seen = 0; seen < count * ready;) {
        const struct report line = crew_next(crew);

        seen += line.kind == REPORT_READY;
        crew->leader = line.kind == REPORT_GRANTED ? line.worker : crew->leader;
    }
}

void crew_stop(struct crew *crew)
{
    for (int i = 0; i < crew->count; i++) {
        kill(crew->pids[i], SIGKILL);
        crew_reap(crew, i);
    }
    PQfinish(crew->watcher);
    close(crew->report_read);
    close(crew->report_write);
}

void crew_command(struct crew *crew, int worker, char command)
{
    if (write(crew->commands[worker], &command, 1) != 1) {
        bench_fail("worker %d is gone: %s", worker, strerror(errno));
    }
}

int64_t crew_crash(struct crew *crew)
{
    const int victim = crew->leader;
    struct report granted;
    int64_t killed_ns;

    bench_random_pause();
    killed_ns = bench_now_ns();
    kill(crew->pids[victim], SIGKILL);
    granted = crew_expect(crew, REPORT_GRANTED);
    crew->leader = granted.worker;
    crew_reap(crew, victim);
    crew_spawn(crew, victim);
    crew_settle(crew);
    return granted.at_ns - killed_ns;
}

int64_t crew_resign(struct crew *crew)
{
    struct report acted;
    struct report granted;

    bench_random_pause();
    crew_command(crew, crew->leader, 'r');
    acted = crew_expect(crew, REPORT_ACTED);
    granted = crew_expect(crew, REPORT_GRANTED);
    crew->leader = granted.worker;
    return granted.at_ns - acted.at_ns;
}
