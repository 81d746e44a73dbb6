/*
 * tests/faults/test_store_outcome.c - connections that break before, while and after a write of a job graph commits:
 * done once, or known to be unknown; and a server that crashes under a stream of writes.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "proxy.h"
#include "shelf.h"
#include "standby_pair.h"

/* One call, on a thread of its own. */
struct caller {
    pthread_t thread;
    pgk_job_graphs *store;
    bool removes;
    pgk_uuid job;
    const char *graph;
    pgk_status status;
    pgk_error err;
    atomic_bool ended;
};

static void *call(void *arg)
{
    struct caller *c = arg;
    c->status = c->removes
                    ? pgk_job_graphs_remove(c->store, &c->job, &c->err)
                    : pgk_job_graphs_put(c->store, &c->job, c->graph, strlen(c->graph), &c->err);
    atomic_store(&c->ended, true);
    return NULL;
}

static void call_begin(struct caller *c)
{
    atomic_store(&c->ended, false);
    assert_int_equal(pthread_create(&c->thread, NULL, call, c), 0);
}

static void call_end(struct caller *c, pgk_status status)
{
    pthread_join(c->thread, NULL);
    if (c->status != status) {
        fail_msg("%s instead of %s: %s", pgk_status_name(c->status), pgk_status_name(status),
                 c->err.message);
    }
}

struct scene {
    struct fixture *fixture;
    struct proxy *proxy;
    pgk_ha *ha;
    struct caller c;
};

static void open_scene(struct scene *scene, void **state)
{
    char conninfo[PGSERVER_CONNINFO_SIZE];
    memset(scene, 0, sizeof(*scene));
    scene->fixture = *state;
    scene->proxy = fixture_proxy(scene->fixture, conninfo, sizeof(conninfo));
    /* A client: no session but the work sessions. The server shows such a cluster id differently. */
    scene->ha = handle_open_client(scene->fixture, "a", "high-availability.postgres.uri", conninfo,
                                   "high-availability.cluster-id", "caf\xC3\xA9",
                                   "high-availability.postgres.statement-timeout", "3 s", NULL);
    scene->c.store = shelf_open(scene->ha, PGK_UNFENCED, NULL);
    scene->c.job = job_number(1);
    scene->c.graph = "one";
}

static void close_scene(struct scene *scene)
{
    proxy_cut(scene->proxy, PROXY_PASS);
    proxy_refuse(scene->proxy, 0);
    pgk_job_graphs_free(scene->c.store);
    pgk_ha_free(scene->ha);
}

static void check_graph(struct scene *scene, const char *expected)
{
    db_wait(scene->fixture, expected, WAIT_LONG_MS,
            "SELECT coalesce(string_agg(encode(graph, 'escape') || ' ' || version, ','), 'none')"
            " FROM pgkeeper.job_graph");
}

/* Both statements are prepared on the session that the next call takes. */
static void warm(const struct scene *scene)
{
    pgk_uuid job = job_number(99);
    pgk_error err;
    CHECK_OK(pgk_job_graphs_put(scene->c.store, &job, "g", 1, &err), err);
    CHECK_OK(pgk_job_graphs_remove(scene->c.store, &job, &err), err);
}

/* Stored once, so that there is something to replace or to remove, and a session that is warm. */
static void put_first(struct scene *scene)
{
    call_begin(&scene->c);
    call_end(&scene->c, PGK_OK);
    check_graph(scene, "one 1");
}

static void test_store_outcome__cut_before_the_statement_arrives__done_once(void **state)
{
    struct scene s;
    open_scene(&s, state);
    put_first(&s);
    for (int removes = 0; removes <= 1; removes++) {
        s.c.graph = "two";
        s.c.removes = removes == 1;
        proxy_cut(s.proxy, PROXY_CUT_BOTH);
        call_begin(&s.c);
        wait_pause_ms(300);
        assert_false(atomic_load(&s.c.ended));
        check_graph(&s, removes ? "two 2" : "one 1");
        proxy_reset_all(s.proxy);
        proxy_cut(s.proxy, PROXY_PASS);
        call_end(&s.c, PGK_OK);
        check_graph(&s, removes ? "none" : "two 2");
    }
    close_scene(&s);
}

/* How many of our statements wait for the row; at most one. */
static int64_t waiting(struct fixture *fixture)
{
    int64_t count = db_int(fixture, "SELECT count(*) FROM pg_stat_activity"
                                    " WHERE wait_event_type = 'Lock'");
    assert_in_range(count, 0, 1);
    return count;
}

/* The server has it and waits for a lock: its session must end before the write is sent again. */
static void test_store_outcome__reset_while_the_server_works__done_once(void **state)
{
    struct scene s;
    open_scene(&s, state);
    put_first(&s);
    for (int removes = 0; removes <= 1; removes++) {
        PGconn *blocker = db_connect(s.fixture->conninfo);
        s.c.graph = "two";
        s.c.removes = removes == 1;
        PQclear(PQexec(blocker, "BEGIN; SELECT FROM pgkeeper.job_graph FOR UPDATE"));
        call_begin(&s.c);
        db_wait(s.fixture, "1", WAIT_LONG_MS,
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
        int64_t pid = db_int(s.fixture, "SELECT pid FROM pg_stat_activity"
                                        " WHERE wait_event_type = 'Lock'");
        proxy_reset_all(s.proxy);
        /* Never both at a time. */
        WAIT_UNTIL(waiting(s.fixture) == 1 &&
                       db_int(s.fixture, "SELECT count(*) FROM pg_stat_activity WHERE pid = %lld",
                              (long long)pid) == 0,
                   WAIT_LONG_MS);
        PQclear(PQexec(blocker, "COMMIT"));
        PQfinish(blocker);
        call_end(&s.c, PGK_OK);
        check_graph(&s, removes ? "none" : "two 2");
    }
    close_scene(&s);
}

/* It has committed, and only the answer is lost. */
static void test_store_outcome__cut_after_the_commit__known_to_be_done(void **state)
{
    struct scene s;
    open_scene(&s, state);
    put_first(&s);
    for (int removes = 0; removes <= 1; removes++) {
        s.c.graph = "two";
        s.c.removes = removes == 1;
        warm(&s);
        proxy_cut(s.proxy, PROXY_CUT_TO_CLIENT);
        call_begin(&s.c);
        check_graph(&s, removes ? "none" : "two 2");
        assert_false(atomic_load(&s.c.ended));
        proxy_reset_all(s.proxy);
        proxy_cut(s.proxy, PROXY_PASS);
        call_end(&s.c, PGK_OK);
        check_graph(&s, removes ? "none" : "two 2");
    }
    close_scene(&s);
}

/* A call whose statement never arrives, which its sender cannot know. */
static void lose_before_the_server(struct scene *s)
{
    warm(s);
    proxy_cut(s->proxy, PROXY_CUT_BOTH);
    call_begin(&s->c);
    wait_pause_ms(300);
    proxy_refuse(s->proxy, 1);
    proxy_reset_all(s->proxy);
    call_end(&s->c, PGK_ERR_OUTCOME_UNKNOWN);
    proxy_refuse(s->proxy, 0);
    proxy_cut(s->proxy, PROXY_PASS);
}

/* Not settled in time: it says so, and the same call again is right, however many were lost. */
static void test_store_outcome__no_way_back_in_time__unknown_and_again_is_safe(void **state)
{
    struct scene s;
    open_scene(&s, state);
    for (int removes = 0; removes <= 1; removes++) {
        s.c.removes = removes == 1;
        warm(&s);
        proxy_cut(s.proxy, PROXY_CUT_TO_CLIENT);
        call_begin(&s.c);
        check_graph(&s, removes ? "none" : "one 1");
        proxy_refuse(s.proxy, 1);
        proxy_reset_all(s.proxy);
        call_end(&s.c, PGK_ERR_OUTCOME_UNKNOWN);
        assert_true((s.c.err.flags & PGK_ERROR_OUTCOME_UNKNOWN) != 0);
        proxy_refuse(s.proxy, 0);
        proxy_cut(s.proxy, PROXY_PASS);
        if (!s.c.removes) {
            lose_before_the_server(&s);
        }
        call_begin(&s.c);
        call_end(&s.c, PGK_OK);
        check_graph(&s, removes ? "none" : "one 2");
    }
    close_scene(&s);
}

/* Done, and replaced by another store before it is sent again: not "nothing was written". */
static void test_store_outcome__replaced_before_it_is_sent_again__unknown(void **state)
{
    struct scene s;
    open_scene(&s, state);
    warm(&s);
    proxy_cut(s.proxy, PROXY_CUT_TO_CLIENT);
    call_begin(&s.c);
    check_graph(&s, "one 1");
    db_exec(s.fixture, "UPDATE pgkeeper.job_graph SET op_id = gen_random_uuid(), graph = 'other'");
    proxy_reset_all(s.proxy);
    proxy_cut(s.proxy, PROXY_PASS);
    call_end(&s.c, PGK_ERR_OUTCOME_UNKNOWN);
    assert_true((s.c.err.flags & PGK_ERROR_OUTCOME_UNKNOWN) != 0);
    check_graph(&s, "other 2");
    close_scene(&s);
}

static void put_by_another(struct scene *scene)
{
    db_exec(scene->fixture,
            "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
            " VALUES (E'caf\u00e9', '%s', 'other', sha256('other'))",
            shelf_text(&scene->c.job));
}

/* What a store does not own it takes away once, not what others put meanwhile. */
static void test_store_outcome__unowned_graph_put_anew_before_the_answer__stays(void **state)
{
    struct scene s;
    open_scene(&s, state);
    s.c.removes = true;
    for (int anew = 0; anew <= 1; anew++) {
        warm(&s);
        put_by_another(&s);
        proxy_cut(s.proxy, PROXY_CUT_TO_CLIENT);
        call_begin(&s.c);
        check_graph(&s, "none");
        if (anew) {
            put_by_another(&s);
        }
        proxy_reset_all(s.proxy);
        proxy_cut(s.proxy, PROXY_PASS);
        call_end(&s.c, anew ? PGK_ERR_OUTCOME_UNKNOWN : PGK_OK);
        check_graph(&s, anew ? "other 1" : "none");
    }
    close_scene(&s);
}

/* Large: looked for instead of sent again. */
static void test_store_outcome__large_graph_cut_after_the_commit__known_to_be_done(void **state)
{
    static char large[4 * 1024 * 1024 + 1];
    struct scene s;
    open_scene(&s, state);
    memset(large, 'x', sizeof(large) - 1);
    s.c.graph = large;
    warm(&s);
    proxy_cut(s.proxy, PROXY_CUT_TO_CLIENT);
    call_begin(&s.c);
    db_wait(s.fixture, "4194304", WAIT_LONG_MS,
            "SELECT max(octet_length(graph)) FROM pgkeeper.job_graph");
    db_exec(s.fixture, "CREATE TABLE public.was AS SELECT xmin::text AS x FROM pgkeeper.job_graph"
                       " WHERE octet_length(graph) > 100");
    proxy_reset_all(s.proxy);
    proxy_cut(s.proxy, PROXY_PASS);
    call_end(&s.c, PGK_OK);
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.job_graph g, public.was w"
                                       " WHERE g.xmin::text = w.x"),
                     1);
    close_scene(&s);
}

/* The first attempt uses up all the time that the call has; there is more, to look. */
static void test_store_outcome__large_graph_whose_answer_never_comes__known_to_be_done(void **state)
{
    static char large[4 * 1024 * 1024 + 1];
    struct scene s;
    open_scene(&s, state);
    memset(large, 'x', sizeof(large) - 1);
    s.c.graph = large;
    warm(&s);
    size_t before = proxy_accepted(s.proxy);
    proxy_cut(s.proxy, PROXY_CUT_TO_CLIENT);
    call_begin(&s.c);
    db_wait(s.fixture, "4194304", WAIT_LONG_MS,
            "SELECT max(octet_length(graph)) FROM pgkeeper.job_graph");
    WAIT_UNTIL(proxy_accepted(s.proxy) > before, WAIT_LONG_MS); /* it gives that session up */
    proxy_cut(s.proxy, PROXY_PASS);
    call_end(&s.c, PGK_OK);
    close_scene(&s);
}

/* Does a commit wait for a synchronous standby? */
static bool commit_waits(PGconn *conn)
{
    assert_int_equal(PQsendQuery(conn, "SELECT pg_logical_emit_message(true, 'test', '')"), 1);
    wait_pause_ms(200);
    assert_int_equal(PQconsumeInput(conn), 1);
    if (PQisBusy(conn)) {
        return true;
    }
    for (PGresult *result; (result = PQgetResult(conn)) != NULL;) {
        PQclear(result);
    }
    return false;
}

/* Its session ends while it waits for the standby: it is there, but not acknowledged. */
static void test_store_outcome__large_graph_that_no_standby_has__unknown(void **state)
{
    static char large[2 * 1024 * 1024 + 1];
    struct scene s;
    open_scene(&s, state);
    PGconn *probe = db_connect(s.fixture->conninfo);
    memset(large, 'x', sizeof(large) - 1);
    s.c.graph = large;
    warm(&s);
    commits_wait_for(s.fixture, "nobody");
    WAIT_UNTIL(commit_waits(probe), WAIT_LONG_MS);
    call_begin(&s.c);
    db_wait(s.fixture, "1", WAIT_LONG_MS,
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event = 'SyncRep' AND application_name LIKE 'pgkeeper:%%'");
    proxy_reset_all(s.proxy);
    call_end(&s.c, PGK_ERR_OUTCOME_UNKNOWN);
    commits_wait_for_none(s.fixture);
    PQfinish(probe);
    call_begin(&s.c);
    call_end(&s.c, PGK_OK);
    close_scene(&s);
}

static int outcome_teardown(void **state)
{
    struct fixture *fixture = *state;
    commits_wait_for_none(fixture);
    return fixture_teardown(state);
}

/* Its bytes find no way: the call ends all the same, in the time that it is given for them. */
static void test_store_outcome__large_graph_into_a_dead_network__ends_in_time(void **state)
{
    static char large[16 * 1024 * 1024 + 1];
    struct scene s;
    open_scene(&s, state);
    memset(large, 'x', sizeof(large) - 1);
    warm(&s);
    call_begin(&s.c); /* its statement is prepared, and the session kept */
    call_end(&s.c, PGK_OK);
    s.c.graph = large;
    proxy_cut(s.proxy, PROXY_CUT_BOTH);
    int64_t t0_ns = wait_now_ns();
    call_begin(&s.c);
    pthread_join(s.c.thread, NULL);
    /* It is known that nothing was stored. */
    assert_true(s.c.status == PGK_ERR_TIMEOUT || s.c.status == PGK_ERR_CONNECTION);
    assert_in_range((wait_now_ns() - t0_ns) / WAIT_NS_PER_MS, 2000, 20000);
    proxy_cut(s.proxy, PROXY_PASS);
    s.c.graph = "two";
    call_begin(&s.c);
    call_end(&s.c, PGK_OK);
    check_graph(&s, "two 2");
    close_scene(&s);
}

/* ------------------------------------------------------------------ a crash */

#define WRITERS 4
#define CRASHES 2

struct writer {
    pgk_job_graphs *store;
    int number;
    int done;
    int unknown;
    int bad;
    atomic_bool *over;
    pgk_error err;
};

static void *write_many(void *arg)
{
    struct writer *w = arg;
    for (int i = 0; !atomic_load(w->over); i++) {
        pgk_uuid job = job_number(w->number << 24 | i);
        pgk_error err;
        pgk_status status = pgk_job_graphs_put(w->store, &job, "g", 1, &err);
        /* A write that was not done or of which nothing is known is made again, with the same arguments. */
        for (int tries = 0; status != PGK_OK && tries < 5; tries++) {
            w->unknown += status == PGK_ERR_OUTCOME_UNKNOWN;
            status = pgk_job_graphs_put(w->store, &job, "g", 1, &err);
        }
        if (status != PGK_OK) {
            w->bad++;
            w->err = err;
        }
        w->done += status == PGK_OK;
    }
    return NULL;
}

static void
test_store_outcome__server_crashes_under_writes__acknowledged_ones_are_there_once(void **state)
{
    struct fixture *fixture = *state;
    static struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    atomic_bool over = false;
    pgk_ha *ha = handle_open_client(fixture, "a", NULL);
    pgk_error err;
    int done = 0;

    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){
            .store = shelf_open(ha, PGK_UNFENCED, NULL), .number = i + 1, .over = &over};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (int i = 0; i < CRASHES; i++) {
        wait_pause_ms(500);
        CHECK_OK(pgserver_restart(fixture->server, PGSERVER_IMMEDIATE, &err), err);
    }
    wait_pause_ms(500);
    atomic_store(&over, true);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        if (writers[i].bad > 0) {
            fail_msg("%d writes failed for good: %s", writers[i].bad, writers[i].err.message);
        }
        done += writers[i].done;
    }
    db_wait(fixture, "t", WAIT_LONG_MS, "SELECT count(*) = %d FROM pgkeeper.job_graph", done);
    /* None was done twice: a second write of a graph is a second version. */
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_graph WHERE version > 1"),
                     0);
    for (int i = 0; i < WRITERS; i++) {
        pgk_job_graphs_free(writers[i].store);
    }
    pgk_ha_free(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_store_outcome__cut_before_the_statement_arrives__done_once),
        DB_TEST(test_store_outcome__reset_while_the_server_works__done_once),
        DB_TEST(test_store_outcome__cut_after_the_commit__known_to_be_done),
        DB_TEST(test_store_outcome__no_way_back_in_time__unknown_and_again_is_safe),
        DB_TEST(test_store_outcome__large_graph_cut_after_the_commit__known_to_be_done),
        DB_TEST(test_store_outcome__replaced_before_it_is_sent_again__unknown),
        DB_TEST(test_store_outcome__unowned_graph_put_anew_before_the_answer__stays),
        DB_TEST(test_store_outcome__large_graph_whose_answer_never_comes__known_to_be_done),
        cmocka_unit_test_setup_teardown(
            test_store_outcome__large_graph_that_no_standby_has__unknown, fixture_setup,
            outcome_teardown),
        DB_TEST(test_store_outcome__large_graph_into_a_dead_network__ends_in_time),
        DB_TEST(test_store_outcome__server_crashes_under_writes__acknowledged_ones_are_there_once),
    };
    return cmocka_run_group_tests_name("store_outcome", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
