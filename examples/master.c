/*
 * master.c - the reference integration: a master that contends for the component "dispatcher",
 * works while it leads, and has every write refused once it does not.
 *
 *     cc master.c -o master $(pkg-config --cflags --libs pgkeeper libpq)
 *     psql -c 'CREATE TABLE demo_work (id bigserial, master text, epoch bigint)'
 *     ./master alpha tcp://alpha:7000
 *
 * Start several: they take libpq's environment (PGHOST ...) and PGKEEPER_* variables. SIGTERM
 * ends one cleanly; SIGUSR1 tries a write with the latest token, whatever it believes of itself.
 * Lines on stdout: seconds of the wall clock, name, what happened.
 */
#include <libpq-fe.h>
#include <pgkeeper/pgkeeper.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>

struct master {
    const char *name;
    const char *address;
    const char *uri;
    pgk_election *election;
    bool working;
    pthread_t worker;
    int stop_fd; /* readable: the worker has to end */
    pthread_mutex_t lock;
    pgk_token token; /* under lock: of this tenure, or of the last one */
};

static void say(const struct master *master, const char *format, ...)
{
    char text[600];
    struct timespec now;
    va_list args;
    clock_gettime(CLOCK_REALTIME, &now);
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printf("%lld.%06ld %s %s\n", (long long)now.tv_sec, now.tv_nsec / 1000, master->name, text);
    fflush(stdout);
}

static pgk_status run(PGconn *db, const char *sql, int count, const char *const *values)
{
    PGresult *result = PQexecParams(db, sql, count, NULL, values, NULL, NULL, 0);
    ExecStatusType outcome = PQresultStatus(result);
    pgk_status status = PGK_OK;
    if (outcome != PGRES_COMMAND_OK && outcome != PGRES_TUPLES_OK) {
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        /* PK001, raised by fence(), is PGK_ERR_FENCED; with no SQLSTATE the connection broke. */
        status = sqlstate == NULL ? PGK_ERR_CONNECTION : pgk_status_from_sqlstate(sqlstate, NULL);
    }
    PQclear(result);
    return status;
}

/* A transaction of our own that commits only if we lead. */
static pgk_status write_fenced(PGconn *db, const char *name, const pgk_token *token)
{
    char id[16], epoch[24];
    const char *const row[] = {name, epoch};
    const char *const fence[] = {id, epoch};
    snprintf(id, sizeof id, "%d", (int)token->leadership_id);
    snprintf(epoch, sizeof epoch, "%lld", (long long)token->epoch);
    pgk_status status = run(db, "BEGIN ISOLATION LEVEL READ COMMITTED", 0, NULL);
    if (status == PGK_OK) {
        status = run(db, "INSERT INTO demo_work (master, epoch) VALUES ($1, $2)", 2, row);
    }
    if (status == PGK_OK) {
        status = run(db, "SELECT pgkeeper.fence($1, $2)", 2, fence);
    }
    if (status != PGK_OK) {
        run(db, "ROLLBACK", 0, NULL);
        return status;
    }
    return run(db, "COMMIT", 0, NULL);
}

/* The work of one tenure, on a thread of its own. */
static void *work(void *user)
{
    struct master *master = user;
    struct pollfd stop = {.fd = master->stop_fd, .events = POLLIN};
    const pgk_token token = master->token; /* stays as it is while we run */
    PGconn *db = PQconnectdb(master->uri);
    pgk_status status = PGK_OK;
    long writes = 0;
    while (status != PGK_ERR_FENCED && poll(&stop, 1, 50) == 0 &&
           pgk_election_has_leadership(master->election, &token.session_id)) {
        status = write_fenced(db, master->name, &token);
        if (status == PGK_OK) {
            writes++;
        } else {
            say(master, "refused %s", pgk_status_name(status));
            PQreset(db);
        }
    }
    PQfinish(db);
    say(master, "stopped after %ld writes", writes);
    return NULL;
}

/* Callbacks come one at a time, on a thread of the library. */
static void on_grant(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct master *master = user;
    pgk_error err;
    (void)epoch;
    pthread_mutex_lock(&master->lock);
    pgk_status status = pgk_election_token(master->election, &master->token, &err);
    pthread_mutex_unlock(&master->lock);
    if (status != PGK_OK) {
        return; /* lost again already; revoke comes next */
    }
    say(master, "granted epoch %s", master->token.epoch_text);
    status = pgk_election_confirm(master->election, session_id, master->address, &err);
    say(master, "%s", status == PGK_OK ? "confirmed" : err.message);
    master->working = pthread_create(&master->worker, NULL, work, master) == 0;
}

static void on_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct master *master = user;
    eventfd_t count;
    (void)session_id, (void)epoch;
    if (master->working) {
        eventfd_write(master->stop_fd, 1);
        pthread_join(master->worker, NULL);
        eventfd_read(master->stop_fd, &count);
        master->working = false;
    }
    say(master, "revoked"); /* nothing of this tenure runs any more: the next leader may come */
}

static void on_error(void *user, const pgk_error *error)
{
    say(user, "fault %s: %s", pgk_status_name(error->status), error->message);
}

/* For show: what a program does that forgets to ask, after it was stopped for too long. */
static void write_late(struct master *master)
{
    pthread_mutex_lock(&master->lock);
    const pgk_token token = master->token;
    pthread_mutex_unlock(&master->lock);
    say(master, "has_leadership %s",
        pgk_election_has_leadership(master->election, &token.session_id) ? "true" : "false");
    PGconn *db = PQconnectdb(master->uri);
    say(master, "late write %s", pgk_status_name(write_fenced(db, master->name, &token)));
    PQfinish(db);
}

int main(int argc, char **argv)
{
    struct master master = {.lock = PTHREAD_MUTEX_INITIALIZER, .stop_fd = eventfd(0, 0)};
    const pgk_contender contender = {sizeof contender, &master, on_grant, on_revoke, on_error};
    pgk_config *config = NULL;
    pgk_ha *ha = NULL;
    pgk_status status;
    pgk_error err;
    sigset_t signals;
    int number;
    if (argc != 3) {
        fprintf(stderr, "usage: master NAME ADDRESS\n");
        return 2;
    }
    master.name = argv[1];
    master.address = argv[2];

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread: all inherit it */

    if ((status = pgk_config_new(&config, &err)) == PGK_OK &&
        (status = pgk_config_load_environment(config, &err)) == PGK_OK &&
        (status = pgk_config_set(config, "member.name", master.name, &err)) == PGK_OK &&
        (status = pgk_ha_open(config, &ha, &err)) == PGK_OK &&
        (status = pgk_ha_election(ha, "dispatcher", &master.election, &err)) == PGK_OK) {
        master.uri = pgk_config_get(config, "high-availability.postgres.uri");
        status = pgk_election_start(master.election, &contender, &err);
    }
    while (status == PGK_OK && sigwait(&signals, &number) == 0 && number == SIGUSR1) {
        write_late(&master);
    }
    if (status != PGK_OK || (status = pgk_ha_close(ha, &err)) != PGK_OK) { /* revokes and resigns */
        say(&master, "failed %s: %s", pgk_status_name(status), err.message);
    }
    pgk_election_free(master.election);
    pgk_ha_free(ha);
    pgk_config_free(config);
    return status == PGK_OK ? 0 : 1;
}
