/*
 * backend/postgres/race.c - see race.h.
 *
 * Each runner connects, asks what the server is (probe.sql) and is then fit, unfit with an error,
 * or still under way. When one is fit the others get a short while more, so that an old primary
 * that is still alive does not win over the new one; a host that drops packets costs nobody more
 * than that.
 */
#include "backend/postgres/race.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/hosts.h"
#include "core/clock.h"
#include "core/error.h"

#define ORIGIN "session"
#define OLDEST_SERVER 140000
/* How long the others may still run when one is fit. */
#define SETTLE_NS (200 * NS_PER_MS)

enum runner_state { CONNECTING, PROBING, FIT, UNFIT };

struct runner {
    enum runner_state state;
    const char *label;
    PGconn *conn;
    PostgresPollingStatusType wants;
    struct race_winner facts;
    char system_identifier[24];
    pgk_status status;
    pgk_error error;
};

static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

bool sqlstate_in_message(const char *message, char ret_sqlstate[6])
{
    /* ":  28P01: " - five capitals and digits between colons; "FATAL" has no digit */
    for (const char *at = strchr(message, ':'); at != NULL; at = strchr(at + 1, ':')) {
        const char *code = at + 1 + strspn(at + 1, " ");
        size_t length = strspn(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (code > at + 1 && length == 5 && code[5] == ':' && strcspn(code, "0123456789") < 5) {
            memcpy(ret_sqlstate, code, 5);
            ret_sqlstate[5] = '\0';
            return true;
        }
    }
    return false;
}

/* libpq's text without the trailing LOCATION lines of its verbose form, on one line. */
static void tidy_message(const char *message, char *out, size_t size)
{
    size_t n = 0;
    const char *end = strstr(message, "\nLOCATION:");
    for (; *message != '\0' && message != end && n + 1 < size; message++) {
        if (*message != '\n' && *message != '\t' && *message != ' ') {
            out[n++] = *message;
        } else if (n > 0 && out[n - 1] != ' ') {
            out[n++] = ' ';
        }
    }
    while (n > 0 && out[n - 1] == ' ') {
        n--;
    }
    out[n] = '\0';
}

/* The code stands in the error's own field; the sentence is for people. */
static void drop_code(char *text, const char *sqlstate)
{
    char coded[9];
    snprintf(coded, sizeof(coded), " %s: ", sqlstate);
    char *at = strstr(text, coded);
    if (at != NULL) {
        memmove(at + 1, at + strlen(coded), strlen(at + strlen(coded)) + 1);
    }
}

static void disqualify(struct runner *runner, pgk_status status)
{
    runner->state = UNFIT;
    runner->status = status;
    PQfinish(runner->conn);
    runner->conn = NULL;
}

static void connect_failed(struct runner *runner)
{
    char sqlstate[6];
    char text[320];
    const char *message = PQerrorMessage(runner->conn);
    tidy_message(message, text, sizeof(text));
    if (sqlstate_in_message(message, sqlstate)) {
        drop_code(text, sqlstate);
        disqualify(runner, error_set_sqlstate(&runner->error, sqlstate, ORIGIN, "%s", text));
    } else if (strstr(message, "SSL") != NULL || strstr(message, "GSSAPI") != NULL ||
               strstr(message, "certificate") != NULL || strstr(message, "no password") != NULL ||
               strstr(message, "authentication method") != NULL) {
        disqualify(runner, error_set(&runner->error, PGK_ERR_ACCESS, ORIGIN, "%s", text));
    } else {
        disqualify(runner, error_set(&runner->error, PGK_ERR_CONNECTION, ORIGIN, "%s", text));
    }
}

static void start_runner(struct runner *runner, const struct host_params *host)
{
    runner->label = host->label;
    runner->conn = PQconnectStartParams(host->keywords, host->values, 0);
    if (runner->conn == NULL) {
        runner->state = UNFIT;
        runner->status = error_set(&runner->error, PGK_ERR_NO_MEMORY, ORIGIN, "out of memory");
        return;
    }
    PQsetErrorVerbosity(runner->conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(runner->conn, ignore_notice, NULL);
    if (PQstatus(runner->conn) == CONNECTION_BAD) {
        connect_failed(runner);
        return;
    }
    runner->state = CONNECTING;
    runner->wants = PGRES_POLLING_WRITING;
}

static void send_probe(struct runner *runner)
{
    int version = PQserverVersion(runner->conn);
    PQsetErrorVerbosity(runner->conn, PQERRORS_DEFAULT);
    if (version < OLDEST_SERVER) {
        disqualify(runner,
                   error_set(&runner->error, PGK_ERR_UNSUPPORTED, ORIGIN,
                             "%s runs PostgreSQL %d.%d: 14 is the oldest that will do (leases need "
                             "idle_session_timeout)",
                             runner->label, version / 10000, version % 10000));
        return;
    }
    PQsetnonblocking(runner->conn, 1);
    if (PQsendQueryParams(runner->conn, statements[STMT_PROBE].text, 0, NULL, NULL, NULL, NULL,
                          0) != 1) {
        connect_failed(runner);
        return;
    }
    runner->state = PROBING;
}

static void judge(struct runner *runner, const PGresult *result)
{
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        disqualify(runner, result_error(result, ORIGIN, runner->label, &runner->error));
        return;
    }
    runner->facts.conn = runner->conn;
    runner->facts.backend_pid = (int)strtol(PQgetvalue(result, 0, 0), NULL, 10);
    runner->facts.deadlock_timeout_ms = (int)strtol(PQgetvalue(result, 0, 5), NULL, 10);
    runner->facts.linux_server = PQgetvalue(result, 0, 6)[0] == 't';
    runner->facts.timeline = strtoll(PQgetvalue(result, 0, 4), NULL, 10);
    strncpy(runner->system_identifier, PQgetvalue(result, 0, 3),
            sizeof(runner->system_identifier) - 1);
    if (PQgetvalue(result, 0, 1)[0] == 't') {
        disqualify(runner, error_set(&runner->error, PGK_ERR_READ_ONLY, ORIGIN,
                                     "%s is a standby (in recovery); waiting for a primary",
                                     runner->label));
    } else if (PQgetvalue(result, 0, 2)[0] == 't') {
        disqualify(
            runner,
            error_set(
                &runner->error, PGK_ERR_READ_ONLY, ORIGIN,
                "%s is read-only (default_transaction_read_only is on for this role, database "
                "or server)",
                runner->label));
    } else {
        runner->state = FIT;
    }
}

static void read_probe(struct runner *runner)
{
    PGresult *last = NULL;
    if (PQconsumeInput(runner->conn) == 0) {
        connect_failed(runner);
        return;
    }
    while (!PQisBusy(runner->conn)) {
        PGresult *result = PQgetResult(runner->conn);
        if (result == NULL) {
            if (last == NULL) {
                connect_failed(runner);
            } else {
                judge(runner, last);
            }
            break;
        }
        PQclear(last);
        last = result;
    }
    PQclear(last);
}

static void step_runner(struct runner *runner)
{
    if (runner->state == PROBING) {
        PQflush(runner->conn);
        read_probe(runner);
        return;
    }
    runner->wants = PQconnectPoll(runner->conn);
    if (runner->wants == PGRES_POLLING_FAILED) {
        connect_failed(runner);
    } else if (runner->wants == PGRES_POLLING_OK) {
        send_probe(runner);
    }
}

static size_t count_state(const struct runner *runners, size_t count, enum runner_state low,
                          enum runner_state high)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += runners[i].state >= low && runners[i].state <= high;
    }
    return found;
}

/* One wait for any runner; PGK_ERR_ILLEGAL_STATE: cancelled. */
static pgk_status wait_runners(struct runner *runners, size_t count, struct pollfd *fds,
                               int cancel_fd, int64_t deadline_ns, pgk_error *err)
{
    for (size_t i = 0; i < count; i++) {
        bool under_way = runners[i].state <= PROBING;
        bool writing = runners[i].state == CONNECTING && runners[i].wants == PGRES_POLLING_WRITING;
        fds[i] = (struct pollfd){.fd = under_way ? PQsocket(runners[i].conn) : -1,
                                 .events = writing ? POLLOUT : POLLIN};
    }
    fds[count] = (struct pollfd){.fd = cancel_fd, .events = POLLIN};
    if (poll(fds, (nfds_t)count + 1, clock_poll_timeout_ms(clock_now_ns(), deadline_ns)) < 0) {
        return errno == EINTR ? PGK_OK
                              : error_set(err, PGK_ERR_IO, ORIGIN, "poll: %s", strerror(errno));
    }
    if (fds[count].revents != 0) {
        return error_set(err, PGK_ERR_ILLEGAL_STATE, ORIGIN, "the handle is being closed");
    }
    for (size_t i = 0; i < count; i++) {
        if (fds[i].fd >= 0 && fds[i].revents != 0) {
            step_runner(&runners[i]);
        }
    }
    return PGK_OK;
}

static pgk_status run_all(const struct link_request *request, struct runner *runners, size_t count,
                          struct pollfd *fds, pgk_error *err)
{
    int64_t deadline = request->deadline_ns;
    bool settling = false;
    while (count_state(runners, count, CONNECTING, PROBING) > 0 && clock_now_ns() < deadline) {
        if (!settling && count_state(runners, count, FIT, FIT) > 0) {
            int64_t settled = clock_now_ns() + SETTLE_NS;
            deadline = settled < deadline ? settled : deadline;
            settling = true;
        }
        pgk_status status = wait_runners(runners, count, fds, request->cancel_fd, deadline, err);
        if (status != PGK_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (runners[i].state <= PROBING) {
            disqualify(&runners[i], error_set(&runners[i].error, PGK_ERR_TIMEOUT, ORIGIN,
                                              "%s did not answer in time", runners[i].label));
        }
    }
    return PGK_OK;
}

static struct runner *best_of(struct runner *runners, size_t count)
{
    struct runner *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (runners[i].state == FIT &&
            (best == NULL || runners[i].facts.timeline > best->facts.timeline)) {
            best = &runners[i];
        }
    }
    return best;
}

/* The most telling error: one that a person must mend before one that may pass. */
static pgk_status report_errors(const struct runner *runners, size_t count, pgk_error *err)
{
    const struct runner *telling = &runners[0];
    for (size_t i = 1; i < count; i++) {
        if (status_is_retryable(telling->status) && !status_is_retryable(runners[i].status)) {
            telling = &runners[i];
        }
    }
    if (err != NULL) {
        *err = telling->error;
    }
    return count > 1 ? error_wrap(err, telling->status, "none of %zu hosts will do, e.g. %s", count,
                                  telling->label)
                     : telling->status;
}

/* Is this the database that the handle knows, and not an older one? */
static pgk_status recognise(struct link_memory *memory, const struct runner *winner, pgk_error *err)
{
    pgk_status status = PGK_OK;
    pthread_mutex_lock(&memory->lock);
    if (memory->system_identifier[0] != '\0' &&
        strcmp(memory->system_identifier, winner->system_identifier) != 0) {
        status = error_set(
            err, PGK_ERR_STALE_PRIMARY, ORIGIN,
            "%s is another database system (%s, before it was %s): its epochs mean nothing here; "
            "restart this program if that is meant",
            winner->label, winner->system_identifier, memory->system_identifier);
    } else if (winner->facts.timeline < memory->timeline) {
        status = error_set(err, PGK_ERR_STALE_PRIMARY, ORIGIN,
                           "%s is an old primary: its timeline is %lld, this process has seen %lld",
                           winner->label, (long long)winner->facts.timeline,
                           (long long)memory->timeline);
    } else {
        memcpy(memory->system_identifier, winner->system_identifier,
               sizeof(memory->system_identifier));
        memory->timeline = winner->facts.timeline;
    }
    pthread_mutex_unlock(&memory->lock);
    return status;
}

pgk_status race_run(const struct link_request *request, struct race_winner *ret_winner,
                    pgk_error *err)
{
    struct host_list *hosts = NULL;
    pgk_status status = host_list_new(request->settings->uri, "pgkeeper",
                                      2 * request->settings->profile.lease_ms, &hosts, err);
    if (status != PGK_OK) {
        return status;
    }
    size_t count = hosts->count;
    struct runner *runners = calloc(count, sizeof(*runners));
    struct pollfd *fds = calloc(count + 1, sizeof(*fds));
    if (runners == NULL || fds == NULL) {
        status = error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "out of memory");
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        start_runner(&runners[i], &hosts->hosts[i]);
    }
    status = run_all(request, runners, count, fds, err);
    if (status == PGK_OK) {
        struct runner *best = best_of(runners, count);
        status = best == NULL ? report_errors(runners, count, err)
                              : recognise(request->memory, best, err);
        if (best != NULL && status == PGK_OK) {
            *ret_winner = best->facts;
            best->conn = NULL;
        }
    }
    for (size_t i = 0; i < count; i++) {
        PQfinish(runners[i].conn);
    }
done:
    free(runners);
    free(fds);
    host_list_free(hosts);
    return status;
}
