/*
 * embedded.c - a test of a master, in one process and without a database: two masters that work as
 * master.c does (jobs.c), whose leadership the test takes and gives as it likes.
 *
 *     cc embedded.c jobs.c files.c -o embedded $(pkg-config --cflags --libs pgkeeper)
 *     ./embedded
 *
 * It takes a job from the one in the middle of it, and looks whether the other one ends it where the
 * first has left it. Exits 0 when all of that held.
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "jobs.h"

#define CLUSTER "test"
#define COMPONENT PGK_COMPONENT_DISPATCHER
#define LINES 500

/* The test ends at the first thing that does not hold. */
#define MUST(condition) must(condition, #condition, __LINE__)
/* What comes in its time is waited for. */
#define SOON(condition)                                                                            \
    for (int tries_ = 0; !(condition); tries_++) {                                                 \
        MUST(tries_ < 3000 && "in 30 seconds");                                                    \
        poll(NULL, 0, 10);                                                                         \
    }

static void must(bool holds, const char *condition, int line)
{
    if (!holds) {
        fprintf(stderr, "embedded.c:%d: does not hold: %s\n", line, condition);
        exit(1);
    }
}

/* ---- the master under test: as in master.c ---- */

struct master {
    const char *name;
    pgk_ha *ha;
    pgk_election *election;
    pthread_t thread;
    struct worker worker;
    atomic_int grants;
    atomic_int revokes;
};

static void *run(void *user)
{
    work(user);
    return NULL;
}

static void on_grant(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct master *master = user;
    (void)epoch;
    master->worker =
        (struct worker){.name = master->name, .ha = master->ha, .wake_fd = eventfd(0, EFD_CLOEXEC)};
    if (pgk_election_token(master->election, &master->worker.token, NULL) == PGK_OK) {
        pgk_election_confirm(master->election, session_id, master->name, NULL);
    } else {
        atomic_store(&master->worker.stop, true); /* lost again already */
    }
    MUST(pthread_create(&master->thread, NULL, run, &master->worker) == 0);
    say(master->name, "granted epoch %s", master->worker.token.epoch_text);
    atomic_fetch_add(&master->grants, 1);
}

static void on_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct master *master = user;
    (void)session_id, (void)epoch;
    atomic_store(&master->worker.stop, true);
    eventfd_write(master->worker.wake_fd, 1);
    pthread_join(master->thread, NULL);
    close(master->worker.wake_fd);
    say(master->name, "revoked");
    atomic_fetch_add(&master->revokes, 1);
}

static pgk_ha *open_handle(void)
{
    pgk_config *config = NULL;
    pgk_ha *ha = NULL;
    MUST(pgk_config_new(&config, NULL) == PGK_OK);
    MUST(pgk_config_set(config, "high-availability.type", "embedded", NULL) == PGK_OK);
    MUST(pgk_config_set(config, "high-availability.cluster-id", CLUSTER, NULL) == PGK_OK);
    MUST(pgk_ha_open(config, &ha, NULL) == PGK_OK);
    pgk_config_free(config);
    return ha;
}

static void start(struct master *master)
{
    const pgk_contender contender = {
        .size = sizeof contender, .user = master, .grant = on_grant, .revoke = on_revoke};
    master->ha = open_handle();
    MUST(pgk_ha_election(master->ha, COMPONENT, &master->election, NULL) == PGK_OK);
    MUST(pgk_election_start(master->election, &contender, NULL) == PGK_OK);
}

static void stop(struct master *master)
{
    MUST(pgk_ha_close(master->ha, NULL) == PGK_OK);
    pgk_election_free(master->election);
    pgk_ha_free(master->ha);
}

/* ---- what the test does and looks at; it is no master, so its stores have no fence ---- */

static pgk_uuid submit_job(pgk_ha *ha)
{
    char graph[LINES + 1];
    pgk_job_graphs *graphs = NULL;
    pgk_uuid job_id;
    memset(graph, '\n', LINES);
    pgk_uuid_new(&job_id);
    MUST(pgk_ha_job_graphs(ha, PGK_UNFENCED, &graphs, NULL) == PGK_OK);
    MUST(pgk_job_graphs_start(graphs, NULL, NULL) == PGK_OK);
    MUST(pgk_job_graphs_put(graphs, &job_id, graph, LINES, NULL) == PGK_OK);
    pgk_job_graphs_free(graphs);
    return job_id;
}

/* The number that the job's next checkpoint is going to have. */
static int64_t next_checkpoint(pgk_ha *ha, const pgk_uuid *job_id)
{
    pgk_checkpoint_counter *counter = NULL;
    int64_t next = 0;
    MUST(pgk_ha_checkpoint_counter(ha, PGK_UNFENCED, job_id, &counter, NULL) == PGK_OK);
    MUST(pgk_checkpoint_counter_get(counter, &next, NULL) == PGK_OK);
    pgk_checkpoint_counter_free(counter);
    return next;
}

static bool has_result(pgk_ha *ha, const pgk_uuid *job_id)
{
    pgk_job_results *results = NULL;
    bool has = false;
    MUST(pgk_ha_job_results(ha, PGK_UNFENCED, &results, NULL) == PGK_OK);
    MUST(pgk_job_results_has_clean(results, job_id, &has, NULL) == PGK_OK);
    pgk_job_results_free(results);
    return has;
}

/* A write by somebody who has been told nothing yet, or does not listen. */
static pgk_status write_late(const struct master *master, const pgk_token *token)
{
    static const pgk_uuid job_id = {{0xff}};
    pgk_job_registry *registry = NULL;
    MUST(pgk_ha_job_registry(master->ha, token, &registry, NULL) == PGK_OK);
    pgk_status status = pgk_job_registry_set_running(registry, &job_id, NULL);
    pgk_job_registry_free(registry);
    return status;
}

int main(void)
{
    static struct master alpha = {.name = "alpha"}, beta = {.name = "beta"};
    pgk_ha *ha = open_handle(); /* as long as it is open, what is stored stays */
    pgk_token token;

    start(&alpha);
    SOON(atomic_load(&alpha.grants) == 1);
    const pgk_uuid job_id = submit_job(ha);
    SOON(next_checkpoint(ha, &job_id) > 3);

    /* In the middle of the job its leadership is taken away, and nobody has it. */
    start(&beta);
    MUST(pgk_election_token(alpha.election, &token, NULL) == PGK_OK);
    MUST(pgk_embedded_revoke(CLUSTER, COMPONENT, NULL) == PGK_OK);
    MUST(!pgk_election_has_leadership(alpha.election, &token.session_id));
    MUST(write_late(&alpha, &token) == PGK_ERR_FENCED);
    SOON(atomic_load(&alpha.revokes) == 1);
    MUST(!has_result(ha, &job_id));
    MUST(atomic_load(&beta.grants) == 0);

    /* The first one is gone for good when somebody may lead again. */
    int64_t reached = next_checkpoint(ha, &job_id);
    stop(&alpha);
    MUST(pgk_embedded_grant(CLUSTER, COMPONENT, NULL) == PGK_OK);
    SOON(atomic_load(&beta.grants) == 1);
    SOON(next_checkpoint(ha, &job_id) > reached || has_result(ha, &job_id));
    SOON(has_result(ha, &job_id));
    MUST(next_checkpoint(ha, &job_id) == 1); /* all that was the job's is cleaned up */
    MUST(write_late(&beta, &token) == PGK_ERR_FENCED);
    stop(&beta);
    pgk_ha_free(ha);
    puts("all of it held");
    return 0;
}
