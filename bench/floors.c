/*
 * bench/floors.c - the same acts in raw libpq, with nothing of pgkeeper: what a hand-over costs
 * at least on this machine and server.
 */
#include "floors.h"

#include <poll.h>
#include <unistd.h>

static bool granted(PGresult *result)
{
    const bool yes =
        PQresultStatus(result) == PGRES_TUPLES_OK && PQgetvalue(result, 0, 0)[0] != 'f';

    PQclear(result);
    return yes;
}

void blocked_contender(const struct worker_context *context)
{
    PGconn *conn = bench_connect(context->conninfo);
    int64_t now_ns;

    if (context->arg != NULL) {
        bench_sql(bench_connect(context->conninfo), "LISTEN nothing");
    }
    if (!granted(PQexec(conn, "SELECT pg_advisory_lock(1, 1)"))) {
        bench_fail("pg_advisory_lock: %s", PQerrorMessage(conn));
    }
    now_ns = bench_now_ns();
    report(context, REPORT_GRANTED, now_ns, 0);
    pause();
}

/* Until a notification or a command is there; false: a command. */
static bool wait_for_notification(PGconn *conn, int command_fd)
{
    for (;;) {
        PGnotify *notify;
        struct pollfd fds[2] = {{.fd = PQsocket(conn), .events = POLLIN},
                                {.fd = command_fd, .events = POLLIN}};

        PQconsumeInput(conn);
        notify = PQnotifies(conn);
        if (notify != NULL) {
            const bool own = notify->be_pid == PQbackendPID(conn);

            PQfreemem(notify);
            if (!own) {
                return true;
            }
            continue;
        }
        if (PQstatus(conn) != CONNECTION_OK || poll(fds, 2, -1) < 0) {
            bench_fail("waiting for a notification: %s", PQerrorMessage(conn));
        }
        if (fds[1].revents != 0) {
            return false;
        }
    }
}

void notified_contender(const struct worker_context *context)
{
    PGconn *conn = bench_connect(context->conninfo);
    bool mine;
    char command;

    bench_sql(conn, "LISTEN handed_over");
    mine = granted(PQexec(conn, "SELECT pg_try_advisory_lock(1, 2)"));
    if (mine) {
        report(context, REPORT_GRANTED, bench_now_ns(), 0);
    }
    report(context, REPORT_READY, bench_now_ns(), 0);
    for (;;) {
        if (wait_for_notification(conn, context->command_fd)) {
            if (!mine && granted(PQexec(conn, "SELECT pg_try_advisory_lock(1, 2)"))) {
                const int64_t now_ns = bench_now_ns();

                mine = true;
                report(context, REPORT_GRANTED, now_ns, 0);
            }
        } else if (read(context->command_fd, &command, 1) == 1) {
            report(context, REPORT_ACTED, bench_now_ns(), 0);
            PQclear(PQexec(conn, "SELECT pg_advisory_unlock(1, 2); NOTIFY handed_over"));
            mine = false;
        }
    }
}
