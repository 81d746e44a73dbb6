/*
 * Masters of one process that come, lead, write, resign and go at random, from several threads and from inside their
 * callbacks, while another thread takes leadership and gives it. What must hold always is looked at in each callback and
 * at each write; run it under ThreadSanitizer and AddressSanitizer. The seed of a failure is in its output.
 */
#include <pgkeeper/pgkeeper.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "inproc.h"

#define CLUSTER "stress"
#define COMPONENT PGK_COMPONENT_DISPATCHER
#define WORKERS 6
#define ROUNDS 200
#define TURNS 12

static atomic_int between;  /* a grant and the end of its revoke: masters there now, at most one */
static atomic_int breaches; /* of what must hold */
static atomic_int grants;
static atomic_int writes;
static atomic_int refused;
static atomic_int followed;
static atomic_bool stop;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static int64_t last_written; /* under order: the epoch of the latest write */

struct master {
    unsigned random;
    pgk_ha *ha;
    pgk_election *election;
    pgk_retriever *retriever;
    bool granted;
    pgk_token token; /* of the latest grant: what a write is tried with, also late */
    pthread_mutex_t lock;
    int64_t followed_epoch;
};

static int pick(unsigned *random, int below)
{
    return rand_r(random) % below;
}

static void must(bool holds, const char *sentence)
{
    if (!holds) {
        fprintf(stderr, "%s\n", sentence);
        atomic_fetch_add(&breaches, 1);
    }
}

static void on_grant(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct master *master = user;
    pgk_token token;
    must(!master->granted, "granted twice");
    must(atomic_fetch_add(&between, 1) == 0, "granted while another one is not revoked yet");
    master->granted = true;
    atomic_fetch_add(&grants, 1);
    if (pgk_election_token(master->election, &token, NULL) == PGK_OK) {
        must(token.epoch == epoch, "the token is of another tenure");
        pthread_mutex_lock(&master->lock);
        master->token = token;
        pthread_mutex_unlock(&master->lock);
    }
    (void)pgk_election_confirm(master->election, session_id, "here", NULL);
    if (epoch % 7 == 0) {
        (void)pgk_election_resign(master->election, NULL);
    } else if (epoch % 11 == 0) {
        (void)pgk_election_close(master->election, NULL);
    }
}

static void on_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct master *master = user;
    (void)epoch;
    must(master->granted, "revoked without a grant");
    must(!pgk_election_has_leadership(master->election, session_id), "revoked and leads");
    master->granted = false;
    sched_yield();
    atomic_fetch_sub(&between, 1);
}

static void on_leader(void *user, const pgk_leader *leader)
{
    struct master *master = user;
    if (leader != NULL) {
        must(leader->epoch >= master->followed_epoch, "an older leader than was announced");
        master->followed_epoch = leader->epoch;
        atomic_fetch_add(&followed, 1);
    }
}

/* No write of an earlier epoch is taken after one of a later. */
static void write_once(struct master *master)
{
    pgk_job_registry *registry = NULL;
    pgk_uuid job_id = {{1}};
    pthread_mutex_lock(&master->lock);
    pgk_token token = master->token;
    pthread_mutex_unlock(&master->lock);
    if (token.epoch == 0 || pgk_ha_job_registry(master->ha, &token, &registry, NULL) != PGK_OK) {
        return;
    }
    pthread_mutex_lock(&order);
    pgk_status status = pgk_job_registry_set_running(registry, &job_id, NULL);
    if (status == PGK_OK) {
        must(token.epoch >= last_written, "a write of an earlier epoch was taken");
        last_written = token.epoch;
        atomic_fetch_add(&writes, 1);
    } else {
        must(status == PGK_ERR_FENCED, "refused for another reason than the fence");
        atomic_fetch_add(&refused, 1);
    }
    pthread_mutex_unlock(&order);
    pgk_job_registry_free(registry);
}

static void live(struct master *master)
{
    const pgk_contender contender = {
        .size = sizeof(contender), .user = master, .grant = on_grant, .revoke = on_revoke};
    if (pgk_ha_election(master->ha, COMPONENT, &master->election, NULL) != PGK_OK ||
        pgk_election_start(master->election, &contender, NULL) != PGK_OK ||
        pgk_ha_retriever(master->ha, COMPONENT, &master->retriever, NULL) != PGK_OK ||
        pgk_retriever_start(master->retriever, on_leader, master, NULL) != PGK_OK) {
        must(false, "a master cannot begin");
    }
    for (int turn = 0; turn < TURNS; turn++) {
        switch (pick(&master->random, 6)) {
        case 0:
            (void)pgk_election_resign(master->election, NULL);
            break;
        case 1:
            wait_pause_ms(1);
            break;
        case 2:
            sched_yield();
            break;
        default:
            write_once(master);
            break;
        }
    }
    if (pick(&master->random, 3) == 0) {
        (void)pgk_retriever_stop(master->retriever, NULL);
    }
    if (pick(&master->random, 3) == 0) {
        (void)pgk_election_close(master->election, NULL);
    }
    must(pgk_ha_close(master->ha, NULL) == PGK_OK, "a handle cannot be closed");
    must(!master->granted, "closed and not revoked");
    pgk_election_free(master->election);
    pgk_retriever_free(master->retriever);
    pgk_ha_free(master->ha);
}

static void *work(void *user)
{
    unsigned random = *(unsigned *)user;
    for (int round = 0; round < ROUNDS; round++) {
        struct master master = {.random = random + (unsigned)round};
        pthread_mutex_init(&master.lock, NULL);
        master.ha = inproc_open("embedded", CLUSTER, NULL);
        live(&master);
        pthread_mutex_destroy(&master.lock);
    }
    return NULL;
}

static void *control(void *user)
{
    (void)user;
    while (!atomic_load(&stop)) {
        (void)pgk_embedded_revoke(CLUSTER, COMPONENT, NULL);
        wait_pause_ms(1);
        (void)pgk_embedded_grant(CLUSTER, COMPONENT, NULL);
        wait_pause_ms(3);
    }
    return NULL;
}

static void test_masters__come_and_go_at_random__what_must_hold_holds(void **state)
{
    (void)state;
    pthread_t threads[WORKERS];
    pthread_t controller;
    unsigned seeds[WORKERS];
    const char *given = getenv("PGK_TEST_SEED");
    unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    printf("PGK_TEST_SEED=%u\n", seed);
    /* Epochs go on rising over a moment in which no handle is open. */
    assert_int_equal(pgk_embedded_keep(CLUSTER, true, NULL), PGK_OK);
    assert_int_equal(pthread_create(&controller, NULL, control, NULL), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        seeds[i] = seed + 1000000 * i;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &seeds[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    atomic_store(&stop, true);
    pthread_join(controller, NULL);
    assert_int_equal(pgk_embedded_keep(CLUSTER, false, NULL), PGK_OK);
    printf("%d grants, %d writes, %d refused, %d leaders announced\n", grants, writes, refused,
           followed);
    assert_int_equal(breaches, 0);
    assert_int_equal(between, 0);
    assert_true(grants >= ROUNDS / 4 && writes > 0 && refused > 0 && followed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masters__come_and_go_at_random__what_must_hold_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
