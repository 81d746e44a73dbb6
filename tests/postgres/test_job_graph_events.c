/*
 * tests/postgres/test_job_graph_events.c - what the listener of a job graph store hears of others: graphs added and
 * removed, nothing of its own acts, nothing lost while cut off, nothing after stop; by LISTEN and by polling.
 */
#include <stdio.h>
#include <string.h>

#include "ear.h"
#include "shelf.h"

/* Nothing is heard for so long after something else was: it would have come before. */
#define POLL_MS 100
#define POLL "retrieval.poll-interval", "100 ms"

struct pair {
    struct ear ear;
    pgk_ha *ha;
    pgk_ha *other_ha;
    pgk_job_graphs *store; /* listens */
    pgk_job_graphs *other;
};

static void open_pair(struct fixture *fixture, struct pair *pair, const char *mode)
{
    pair->ha = handle_open(fixture, "listener", POLL, "retrieval.mode", mode, NULL);
    pair->other_ha = handle_open(fixture, "other", NULL);
    pgk_job_graph_listener listener = ear_open(&pair->ear);
    pair->store = shelf_open(pair->ha, PGK_UNFENCED, &listener);
    pair->other = shelf_open(pair->other_ha, PGK_UNFENCED, NULL);
}

static void close_pair(struct pair *pair)
{
    pgk_job_graphs_free(pair->store);
    pgk_job_graphs_free(pair->other);
    pgk_ha_free(pair->ha);
    pgk_ha_free(pair->other_ha);
}

static struct pair *new_pair(struct fixture *fixture, const char *mode)
{
    static struct pair pair;
    open_pair(fixture, &pair, mode);
    return &pair;
}

static void exchange(struct fixture *fixture, const char *mode)
{
    struct pair *p = new_pair(fixture, mode);
    pgk_uuid theirs = job_number(1);
    pgk_uuid own = job_number(2);
    pgk_uuid by_hand = job_number(3);
    pgk_error err;

    CHECK_OK(pgk_job_graphs_put(p->other, &theirs, "g", 1, &err), err);
    EAR_WAIT(&p->ear, true, &theirs, 1);
    /* Own acts, and replacements by others, are not told. */
    CHECK_OK(pgk_job_graphs_put(p->store, &own, "g", 1, &err), err);
    CHECK_OK(pgk_job_graphs_put(p->other, &theirs, "h", 1, &err), err);
    db_exec(fixture,
            "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
            " VALUES ('" FIXTURE_CLUSTER "', '%s', 'g', sha256('g'))",
            shelf_text(&by_hand));
    EAR_WAIT(&p->ear, true, &by_hand, 1);
    /* Owned, and by somebody else removed and put anew before the next look; then removed. */
    shelf_expect(p->store, &theirs, 2, "h", NULL);
    db_exec(fixture,
            "DELETE FROM pgkeeper.job_graph WHERE job_id = '%1$s';"
            " INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
            " VALUES ('" FIXTURE_CLUSTER "', '%1$s', 'i', sha256('i'))",
            shelf_text(&theirs));
    EAR_WAIT(&p->ear, false, &theirs, 1);
    EAR_WAIT(&p->ear, true, &theirs, 2);
    shelf_expect(p->store, &theirs, 1, "i", NULL);
    db_exec(fixture, "DELETE FROM pgkeeper.job_graph WHERE job_id = '%s'", shelf_text(&theirs));
    EAR_WAIT(&p->ear, false, &theirs, 2);
    /* Not owned and removed: it was never this store's; there again: told again. */
    db_exec(fixture, "DELETE FROM pgkeeper.job_graph WHERE job_id = '%s'", shelf_text(&by_hand));
    wait_pause_ms(5 * POLL_MS);
    CHECK_OK(pgk_job_graphs_put(p->other, &by_hand, "g", 1, &err), err);
    EAR_WAIT(&p->ear, true, &by_hand, 2);
    assert_int_equal(ear_count(&p->ear, false, &by_hand), 0);
    /* Released and removed by itself: its own acts. */
    CHECK_OK(pgk_job_graphs_release(p->store, &own, &err), err);
    wait_pause_ms(3 * POLL_MS);
    CHECK_OK(pgk_job_graphs_remove(p->store, &own, &err), err);
    wait_pause_ms(3 * POLL_MS);
    assert_int_equal(ear_count(&p->ear, true, &own), 0);
    assert_int_equal(ear_count(&p->ear, false, &own), 0);
    assert_int_equal(ear_total(&p->ear), 6);
    close_pair(p);
}

static void test_job_graph_events__listening__others_acts_are_told_and_own_are_not(void **state)
{
    exchange(*state, "listen");
}

static void test_job_graph_events__polling__others_acts_are_told_and_own_are_not(void **state)
{
    struct fixture *fixture = *state;
    exchange(fixture, "poll");
}

static void test_job_graph_events__polling__costs_the_writers_no_notification(void **state)
{
    struct fixture *fixture = *state;
    struct pair *p = new_pair(fixture, "poll");
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_store WHERE listening"), 0);
    close_pair(p);
}

static void test_job_graph_events__there_before_start__told_once(void **state)
{
    struct fixture *fixture = *state;
    struct pair *p = new_pair(fixture, "listen");
    pgk_uuid job = job_number(1);
    struct ear late;
    pgk_job_graph_listener listener = ear_open(&late);
    pgk_error err;

    CHECK_OK(pgk_job_graphs_put(p->store, &job, "g", 1, &err), err);
    pgk_job_graphs *store = shelf_open(p->other_ha, PGK_UNFENCED, &listener);
    EAR_WAIT(&late, true, &job, 1);
    wait_pause_ms(300);
    assert_int_equal(ear_total(&late), 1);
    pgk_job_graphs_free(store);
    close_pair(p);
}

/* A leader that follows nobody has no listener session but for this. */
static void test_job_graph_events__settled_leader__keeps_a_listener_while_it_listens(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "leader", NULL);
    struct leadership lead;
    struct ear ear;
    pgk_job_graph_listener listener = ear_open(&ear);
    pgk_uuid job = job_number(1);

    lead_begin(&lead, ha);
    WAIT_UNTIL(db_sessions(fixture, "listener") == 0, WAIT_LONG_MS);
    pgk_job_graphs *store = shelf_open(ha, &lead.token, &listener);
    WAIT_UNTIL(db_sessions(fixture, "listener") == 1, WAIT_LONG_MS);
    wait_pause_ms(500);
    assert_int_equal(db_sessions(fixture, "listener"), 1);
    db_exec(fixture,
            "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
            " VALUES ('" FIXTURE_CLUSTER "', '%s', 'g', sha256('g'))",
            shelf_text(&job));
    EAR_WAIT(&ear, true, &job, 1);
    pgk_job_graphs_free(store);
    WAIT_UNTIL(db_sessions(fixture, "listener") == 0, WAIT_LONG_MS);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_store"), 0);
    lead_end(&lead);
    pgk_ha_free(ha);
}

/* Changes made while the listener is cut off are read when it is back; the store is entered again. */
static void test_job_graph_events__reconnected__nothing_is_lost(void **state)
{
    struct fixture *fixture = *state;
    struct pair *p = new_pair(fixture, "listen");
    pgk_uuid gone = job_number(1);
    pgk_uuid come = job_number(2);
    pgk_error err;

    CHECK_OK(pgk_job_graphs_put(p->store, &gone, "g", 1, &err), err);
    for (int i = 1; i <= 3; i++) {
        db_exec(fixture,
                "BEGIN;"
                "DELETE FROM pgkeeper.job_store;"
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'pgkeeper:%%:listener:%%';"
                "DELETE FROM pgkeeper.job_graph;"
                "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
                " VALUES ('" FIXTURE_CLUSTER "', '%s', 'g', sha256('g')); COMMIT",
                shelf_text(&come));
        EAR_WAIT(&p->ear, false, &gone, (size_t)i);
        EAR_WAIT(&p->ear, true, &come, (size_t)i);
        db_wait(fixture, "1", WAIT_LONG_MS,
                "SELECT count(*) FROM pgkeeper.job_store WHERE listening");
        db_exec(fixture, "DELETE FROM pgkeeper.job_graph");
        wait_pause_ms(3 * POLL_MS);
        CHECK_OK(pgk_job_graphs_put(p->store, &gone, "g", 1, &err), err);
    }
    close_pair(p);
}

/* The store comes back while its entry is still there, but about to go: it is entered again once it is gone. */
static void test_job_graph_events__reconnected_before_a_delete_commits__entered_again(void **state)
{
    struct fixture *fixture = *state;
    struct pair *p = new_pair(fixture, "listen");
    pgk_uuid come = job_number(1);

    WAIT_UNTIL(db_sessions(fixture, "listener") == 1, WAIT_LONG_MS);
    PGconn *deleter = db_connect(fixture->conninfo);
    PQclear(PQexec(deleter, "BEGIN; DELETE FROM pgkeeper.job_store"));
    db_exec(fixture, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                     " WHERE application_name LIKE 'pgkeeper:%%:listener:%%'");
    /* It has read anew, and so has tried to enter before. */
    db_exec(fixture,
            "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
            " VALUES ('" FIXTURE_CLUSTER "', '%s', 'g', sha256('g'))",
            shelf_text(&come));
    EAR_WAIT(&p->ear, true, &come, 1);
    PQclear(PQexec(deleter, "COMMIT"));
    PQfinish(deleter);
    db_wait(fixture, "1", WAIT_LONG_MS, "SELECT count(*) FROM pgkeeper.job_store WHERE listening");
    close_pair(p);
}

static void stop_inside(struct ear *ear, const pgk_uuid *job_id)
{
    pgk_error err;
    (void)job_id;
    CHECK_OK(pgk_job_graphs_stop(ear->user, &err), err);
}

static void test_job_graph_events__stopped__nothing_more_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct pair *p = new_pair(fixture, "listen");
    pgk_job_graph_listener listener =
        p->store != NULL ? ear_open(&p->ear) : (pgk_job_graph_listener){0};
    pgk_error err;

    /* From outside. */
    CHECK_OK(pgk_job_graphs_stop(p->store, &err), err);
    for (int i = 0; i < 5; i++) {
        pgk_uuid job = job_number(i);
        CHECK_OK(pgk_job_graphs_put(p->other, &job, "g", 1, &err), err);
    }
    wait_pause_ms(3 * POLL_MS);
    assert_int_equal(ear_total(&p->ear), 0);
    /* From inside the first of five callbacks. */
    p->ear.hook = stop_inside;
    p->ear.user = p->store;
    CHECK_OK(pgk_job_graphs_start(p->store, &listener, &err), err);
    WAIT_UNTIL(ear_total(&p->ear) >= 1, WAIT_LONG_MS);
    wait_pause_ms(3 * POLL_MS);
    assert_int_equal(ear_total(&p->ear), 1);
    close_pair(p);
}

static void test_job_graph_events__dispatch_manual__told_where_dispatched(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", "dispatch", "manual", NULL);
    pgk_ha *other_ha = handle_open(fixture, "b", NULL);
    struct ear ear;
    pgk_job_graph_listener listener = ear_open(&ear);
    pgk_job_graphs *store = shelf_open(ha, PGK_UNFENCED, &listener);
    pgk_job_graphs *other = shelf_open(other_ha, PGK_UNFENCED, NULL);
    pgk_uuid job = job_number(1);
    pgk_error err;

    CHECK_OK(pgk_job_graphs_put(other, &job, "g", 1, &err), err);
    wait_pause_ms(300);
    assert_int_equal(ear_total(&ear), 0);
    for (int64_t end = wait_now_ns() + WAIT_LONG_MS * WAIT_NS_PER_MS;
         ear_total(&ear) == 0 && wait_now_ns() < end; wait_pause_ms(5)) {
        CHECK_OK(pgk_ha_dispatch(ha, &err), err);
    }
    assert_int_equal(ear_count(&ear, true, &job), 1);
    pgk_job_graphs_free(store);
    pgk_job_graphs_free(other);
    pgk_ha_free(ha);
    pgk_ha_free(other_ha);
}

/* Own writes race with the listener's reads: none is ever told. */
static void test_job_graph_events__own_writes_beside_others__only_theirs_are_told(void **state)
{
    struct fixture *fixture = *state;
    struct pair *p = new_pair(fixture, "listen");
    pgk_error err;

    for (int i = 0; i < 150; i++) {
        pgk_uuid own = job_number(1000 + i % 7);
        pgk_uuid theirs = job_number(i);
        CHECK_OK(pgk_job_graphs_put(p->store, &own, "g", 1, &err), err);
        CHECK_OK(pgk_job_graphs_put(p->other, &theirs, "g", 1, &err), err);
        CHECK_OK(pgk_job_graphs_remove(p->store, &own, &err), err);
    }
    for (int i = 0; i < 150; i++) {
        pgk_uuid theirs = job_number(i);
        EAR_WAIT(&p->ear, true, &theirs, 1);
    }
    assert_int_equal(ear_total(&p->ear), 150);
    close_pair(p);
}

#define STARTERS 4
#define STARTS 25

struct starter {
    struct pair *pair;
    pgk_job_graph_listener listener;
    int number;
    int bad;
};

static void *start_and_stop(void *arg)
{
    struct starter *starter = arg;
    for (int i = 0; i < STARTS; i++) {
        pgk_uuid job = job_number(starter->number);
        pgk_status status;
        starter->bad +=
            pgk_job_graphs_start(starter->pair->store, &starter->listener, NULL) != PGK_OK;
        /* Another thread may have stopped it, or have put the graph in another start. */
        status = pgk_job_graphs_put(starter->pair->store, &job, "g", 1, NULL);
        starter->bad += status != PGK_OK && status != PGK_ERR_ILLEGAL_STATE &&
                        status != PGK_ERR_ALREADY_EXISTS && status != PGK_ERR_CONFLICT;
        status = pgk_job_graphs_remove(starter->pair->other, &job, NULL);
        starter->bad += status != PGK_OK;
        starter->bad += pgk_job_graphs_stop(starter->pair->store, NULL) != PGK_OK;
    }
    return NULL;
}

static void test_job_graph_events__started_and_stopped_by_many_threads__works_after_it(void **state)
{
    struct fixture *fixture = *state;
    struct pair *p = new_pair(fixture, "listen");
    pgk_job_graph_listener listener = ear_open(&p->ear);
    static struct starter starters[STARTERS];
    pthread_t threads[STARTERS];
    pgk_uuid job = job_number(77);
    pgk_error err;

    for (int i = 0; i < STARTERS; i++) {
        starters[i] = (struct starter){.pair = p, .listener = listener, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, start_and_stop, &starters[i]), 0);
    }
    for (int i = 0; i < STARTERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(starters[i].bad, 0);
    }
    CHECK_OK(pgk_job_graphs_start(p->store, &listener, &err), err);
    CHECK_OK(pgk_job_graphs_put(p->other, &job, "g", 1, &err), err);
    EAR_WAIT(&p->ear, true, &job, 1);
    CHECK_OK(pgk_job_graphs_stop(p->store, &err), err);
    db_wait(fixture, "0", WAIT_LONG_MS, "SELECT count(*) FROM pgkeeper.job_store");
    close_pair(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_job_graph_events__listening__others_acts_are_told_and_own_are_not),
        DB_TEST(test_job_graph_events__polling__others_acts_are_told_and_own_are_not),
        DB_TEST(test_job_graph_events__polling__costs_the_writers_no_notification),
        DB_TEST(test_job_graph_events__there_before_start__told_once),
        DB_TEST(test_job_graph_events__settled_leader__keeps_a_listener_while_it_listens),
        DB_TEST(test_job_graph_events__reconnected__nothing_is_lost),
        DB_TEST(test_job_graph_events__reconnected_before_a_delete_commits__entered_again),
        DB_TEST(test_job_graph_events__stopped__nothing_more_is_told),
        DB_TEST(test_job_graph_events__dispatch_manual__told_where_dispatched),
        DB_TEST(test_job_graph_events__started_and_stopped_by_many_threads__works_after_it),
        DB_TEST(test_job_graph_events__own_writes_beside_others__only_theirs_are_told),
    };
    return cmocka_run_group_tests_name("job_graph_events", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
