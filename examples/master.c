/*
 * master.c - the reference integration: a master that contends for the component "dispatcher" and
 * works while it leads (jobs.c), and whose every write is refused once it does not.
 *
 *     cc master.c jobs.c files.c -o master $(pkg-config --cflags --libs pgkeeper)
 *     ./master alpha tcp://alpha:7000 [DIRECTORY for the files of jobs [GRAPH of a job to run]]
 *     pgkeeper blobs put FILE --job 00000000000000000000000000000001
 *     pgkeeper jobs put 00000000000000000000000000000001 FILE
 *
 * Start several: they take libpq's environment (PGHOST ...) and PGKEEPER_* variables. SIGTERM
 * ends one cleanly; SIGUSR1 tries a write with the latest token, whatever it believes of itself.
 *
 * It is the same master in one process without a database: PGKEEPER_HIGH_AVAILABILITY_TYPE=embedded, or
 * standalone. There a job comes from nobody else:
 *     PGKEEPER_HIGH_AVAILABILITY_TYPE=embedded ./master alpha tcp://alpha:7000 /tmp FILE
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "jobs.h"

struct master {
    const char *name;
    const char *address;
    const char *directory;
    const char *submission;
    pgk_ha *ha;
    pgk_election *election;
    bool working;
    pthread_t thread;
    struct worker worker;
    pthread_mutex_t lock;
    pgk_token token; /* under lock: of this tenure, or of the last one */
};

static void *run(void *user)
{
    work(user);
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
    say(master->name, "granted epoch %s", master->token.epoch_text);
    status = pgk_election_confirm(master->election, session_id, master->address, &err);
    say(master->name, "%s", status == PGK_OK ? "confirmed" : err.message);
    master->worker = (struct worker){.name = master->name,
                                     .directory = master->directory,
                                     .ha = master->ha,
                                     .token = master->token,
                                     .submission = master->submission,
                                     .wake_fd = eventfd(0, EFD_CLOEXEC)};
    master->working = pthread_create(&master->thread, NULL, run, &master->worker) == 0;
}

static void on_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct master *master = user;
    (void)session_id, (void)epoch;
    if (master->working) {
        atomic_store(&master->worker.stop, true);
        eventfd_write(master->worker.wake_fd, 1);
        pthread_join(master->thread, NULL);
        close(master->worker.wake_fd);
        master->submission = master->worker.submission; /* NULL once it has been put */
        master->working = false;
    }
    say(master->name,
        "revoked"); /* nothing of this tenure runs any more: the next leader may come */
}

static void on_error(void *user, const pgk_error *error)
{
    const struct master *master = user;
    say(master->name, "fault %s: %s", pgk_status_name(error->status), error->message);
}

/* For show: what a program does that forgets to ask, after it was stopped for too long. */
static void write_late(struct master *master)
{
    static const pgk_uuid job_id = {{0xff}};
    pgk_job_registry *registry = NULL;
    pgk_error err;
    pthread_mutex_lock(&master->lock);
    const pgk_token token = master->token;
    pthread_mutex_unlock(&master->lock);
    say(master->name, "has_leadership %s",
        pgk_election_has_leadership(master->election, &token.session_id) ? "true" : "false");
    pgk_status status = pgk_ha_job_registry(master->ha, &token, &registry, &err);
    if (status == PGK_OK) {
        status = pgk_job_registry_set_running(registry, &job_id, &err);
    }
    say(master->name, "late write %s", pgk_status_name(status));
    pgk_job_registry_free(registry);
}

int main(int argc, char **argv)
{
    struct master master = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const pgk_contender contender = {sizeof contender, &master, on_grant, on_revoke, on_error};
    pgk_config *config = NULL;
    pgk_status status;
    pgk_error err;
    sigset_t signals;
    int number;
    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: master NAME ADDRESS [DIRECTORY [GRAPH]]\n");
        return 2;
    }
    master.name = argv[1];
    master.address = argv[2];
    master.directory = argc > 3 ? argv[3] : NULL;
    master.submission = argc > 4 ? argv[4] : NULL;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread: all inherit it */

    if ((status = pgk_config_new(&config, &err)) == PGK_OK &&
        (status = pgk_config_load_environment(config, &err)) == PGK_OK &&
        (status = pgk_config_set(config, "member.name", master.name, &err)) == PGK_OK &&
        (status = pgk_ha_open(config, &master.ha, &err)) == PGK_OK &&
        (status = pgk_ha_election(master.ha, "dispatcher", &master.election, &err)) == PGK_OK) {
        status = pgk_election_start(master.election, &contender, &err);
    }
    while (status == PGK_OK && sigwait(&signals, &number) == 0 && number == SIGUSR1) {
        write_late(&master);
    }
    if (fine(master.name, status, &err)) {
        status = pgk_ha_close(master.ha, &err); /* revokes and resigns */
        fine(master.name, status, &err);
    }
    pgk_election_free(master.election);
    pgk_ha_free(master.ha);
    pgk_config_free(config);
    return status == PGK_OK ? 0 : 1;
}
