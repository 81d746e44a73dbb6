/*
 * bench/harness.h - what the benchmarks share: real processes that report instants through a
 * pipe, and the person's view of the server that tells when all of them are in place.
 *
 * Everything here runs on the one thread of the measuring process, but for report() which a
 * worker calls from any of its threads. The measuring process opens no pgkeeper handle: workers
 * are forked from it. All instants are CLOCK_BOOTTIME, which all processes of a machine share.
 * A failure ends the program.
 */
#ifndef PGK_BENCH_HARNESS_H
#define PGK_BENCH_HARNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <libpq-fe.h>
#include <pgkeeper/pgkeeper.h>

#include "stats.h"

#define MAX_WORKERS 16
#define WAIT_MS 60000

enum report_kind { REPORT_READY = 1, REPORT_GRANTED, REPORT_ACTED, REPORT_SEEN };

struct report {
    int32_t kind;
    int32_t worker;
    int64_t at_ns;
    int64_t value; /* REPORT_SEEN: which listener of the worker */
};

/* What a worker is given. */
struct worker_context {
    int index;
    int report_fd;
    int command_fd; /* the measuring process writes one letter per command */
    const char *conninfo;
    const void *arg; /* of the crew */
};

typedef void (*worker_fn)(const struct worker_context *context);

/* Workers of one kind on one database. */
struct crew {
    worker_fn run;
    const char *conninfo;
    const void *arg;
    bool keeps_work; /* a work session may be open when it is settled */
    PGconn *watcher; /* session of the measuring process on the same database */
    int report_read;
    int report_write;
    int count;
    int leader; /* index of the worker that holds the lock; -1: none yet */
    pid_t pids[MAX_WORKERS];
    int commands[MAX_WORKERS];
};

int64_t bench_now_ns(void);
void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Waits between 20 and 120 ms, at random, so that no phase of a period is favoured. */
void bench_random_pause(void);
void bench_pause_ms(long ms);
PGconn *bench_connect(const char *conninfo);
/* Runs SQL that must succeed; returns the first column of the first row as a number, 0 without
 * rows. */
int64_t bench_sql(PGconn *conn, const char *sql);

void report(const struct worker_context *context, enum report_kind kind, int64_t at_ns,
            int64_t value);

/* Starts `count` contenders and waits until one leads and the others wait for its lock. */
void crew_start_contenders(struct crew *crew, int count);
/* Starts `count` workers and waits until each has said REPORT_READY `ready` times. */
void crew_start(struct crew *crew, int count, int ready);
void crew_stop(struct crew *crew);
void crew_command(struct crew *crew, int worker, char command);
struct report crew_expect(struct crew *crew, enum report_kind kind);
/* Waits until every contender but the leader has a session that waits for an advisory lock. */
void crew_settle(struct crew *crew);
/* Kills the leader; returns how long after it the next one was granted. Fills the place again. */
int64_t crew_crash(struct crew *crew);
/* Has the leader give up; returns how long after it the next one was granted. */
int64_t crew_resign(struct crew *crew);

/* Settings of a worker's handle: conninfo, cluster "bench", and pairs of key and value up to a
 * NULL. */
pgk_config *bench_config(const char *conninfo, const char *const *pairs);
/* Worker: contends with pgkeeper; the letter r resigns, c confirms. arg: pairs of key and value. */
void keeper_contender(const struct worker_context *context);

#endif
