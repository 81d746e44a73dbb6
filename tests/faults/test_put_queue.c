/*
 * tests/faults/test_put_queue.c - small graphs that several threads put at a time and that share one transaction: the
 * connection breaks before, while and after it commits, or leadership passes on; each put has an answer of its own.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "proxy.h"
#include "shelf.h"

/* The first put has the only place; those that come after it wait for one, and go together. */
#define PUTS 9
#define FIRST 1

struct put {
    pthread_t thread;
    pgk_job_graphs *store;
    pgk_uuid job;
    pgk_status status;
    pgk_error err;
    atomic_bool begun;
    atomic_bool ended;
};

struct scene {
    struct fixture *fixture;
    struct proxy *proxy;
    pgk_ha *ha;
    pgk_job_graphs *store;
    PGconn *holder; /* of the lock that all writes wait for */
    struct put puts[PUTS + 1];
};

static void *put_it(void *arg)
{
    struct put *put = arg;
    atomic_store(&put->begun, true);
    put->status = pgk_job_graphs_put(put->store, &put->job, "g", 1, &put->err);
    atomic_store(&put->ended, true);
    return NULL;
}

/* Writes wait, when they are run and not when they are prepared, while somebody holds the lock. */
static void make_writes_wait(struct scene *scene)
{
    db_exec(scene->fixture,
            "CREATE FUNCTION public.wait_a_while() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;"
            "CREATE TRIGGER wait_a_while BEFORE INSERT OR UPDATE OR DELETE ON pgkeeper.job_graph"
            " FOR EACH STATEMENT EXECUTE FUNCTION public.wait_a_while()");
    scene->holder = db_connect(scene->fixture->conninfo);
}

static void hold(struct scene *scene)
{
    PQclear(PQexec(scene->holder, "SELECT pg_advisory_lock(4711)"));
}

static void let_go(struct scene *scene)
{
    PQclear(PQexec(scene->holder, "SELECT pg_advisory_unlock(4711)"));
}

static void open_scene(struct scene *scene, void **state, const char *timeout,
                       const pgk_token *token)
{
    char conninfo[PGSERVER_CONNINFO_SIZE];
    memset(scene, 0, sizeof(*scene));
    scene->fixture = *state;
    scene->proxy = fixture_proxy(scene->fixture, conninfo, sizeof(conninfo));
    scene->ha = handle_open_client(scene->fixture, "a", "high-availability.postgres.uri", conninfo,
                                   "high-availability.postgres.max-connections", "4",
                                   "high-availability.postgres.statement-timeout", timeout, NULL);
    scene->store = shelf_open(scene->ha, token, NULL);
    make_writes_wait(scene);
}

static void close_scene(struct scene *scene)
{
    PQfinish(scene->holder);
    proxy_cut(scene->proxy, PROXY_PASS);
    proxy_refuse(scene->proxy, 0);
    pgk_job_graphs_free(scene->store);
    pgk_ha_free(scene->ha);
}

static void begin(struct scene *scene, int number)
{
    struct put *put = &scene->puts[number];
    put->store = scene->store;
    put->job = job_number(number);
    atomic_store(&put->begun, false);
    atomic_store(&put->ended, false);
    assert_int_equal(pthread_create(&put->thread, NULL, put_it, put), 0);
}

static void begin_rest(struct scene *scene)
{
    for (int i = FIRST + 1; i <= PUTS; i++) {
        begin(scene, i);
    }
    for (int i = FIRST + 1; i <= PUTS; i++) {
        WAIT_UNTIL(atomic_load(&scene->puts[i].begun), WAIT_LONG_MS);
    }
}

static void join_all(struct scene *scene)
{
    for (int i = FIRST; i <= PUTS; i++) {
        pthread_join(scene->puts[i].thread, NULL);
    }
}

static void check_statuses(struct scene *scene, pgk_status expected)
{
    for (int i = FIRST; i <= PUTS; i++) {
        const struct put *put = &scene->puts[i];
        if (put->status != expected) {
            fail_msg("put %d: %s: %s", i, pgk_status_name(put->status), put->err.message);
        }
    }
}

/* Of how many graphs the transaction was that stored most of them. */
static int64_t together(struct fixture *fixture)
{
    return db_int(fixture, "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n"
                           " FROM pgkeeper.job_graph GROUP BY xmin) x");
}

/* Each is there, stored once, as more than one in a transaction. */
static void check_stored_once(struct scene *scene)
{
    db_wait(scene->fixture, "9", WAIT_LONG_MS, "SELECT count(*) FROM pgkeeper.job_graph");
    assert_int_equal(db_int(scene->fixture, "SELECT max(version) FROM pgkeeper.job_graph"), 1);
    assert_true(together(scene->fixture) > 1);
}

/* Statements of several graphs that wait for the lock. */
static void await_combined(struct scene *scene)
{
    db_wait(scene->fixture, "t", WAIT_LONG_MS,
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database() AND query LIKE '%%unnest($4::uuid[]%%'");
}

static void remove_those(struct scene *scene, int count)
{
    for (int i = FIRST; i < FIRST + count; i++) {
        pgk_error err;
        CHECK_OK(pgk_job_graphs_remove(scene->store, &scene->puts[i].job, &err), err);
    }
}

/* One put beside another one goes alone, after a while: the statement of one graph on both sessions. */
static void warm_two(struct scene *scene)
{
    hold(scene);
    for (int i = FIRST; i <= FIRST + 1; i++) {
        begin(scene, i);
        db_wait(scene->fixture, i == FIRST ? "1" : "2", WAIT_LONG_MS,
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()");
    }
    let_go(scene);
    for (int i = FIRST; i <= FIRST + 1; i++) {
        pthread_join(scene->puts[i].thread, NULL);
        assert_int_equal(scene->puts[i].status, PGK_OK);
    }
    remove_those(scene, 2);
}

static void warm_together(struct scene *scene)
{
    hold(scene);
    begin(scene, FIRST);
    begin_rest(scene);
    await_combined(scene);
    let_go(scene);
    join_all(scene);
    check_statuses(scene, PGK_OK);
    check_stored_once(scene);
    remove_those(scene, PUTS);
}

/* So that both statements are prepared on the sessions that the puts take, and a cut meets nothing else. */
static void warm(struct scene *scene)
{
    warm_two(scene);
    for (int i = 0; i < 4; i++) {
        warm_together(scene);
    }
}

static void test_put_queue__cut_before_the_commit__each_is_done_once(void **state)
{
    struct scene s;
    open_scene(&s, state, "5 s", PGK_UNFENCED);
    warm(&s);
    proxy_cut(s.proxy, PROXY_CUT_TO_SERVER);
    begin(&s, FIRST);
    begin_rest(&s);
    wait_pause_ms(300); /* sent, and on the way */
    for (int i = FIRST; i <= PUTS; i++) {
        assert_false(atomic_load(&s.puts[i].ended));
    }
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.job_graph"), 0);
    proxy_reset_all(s.proxy);
    proxy_cut(s.proxy, PROXY_PASS);
    join_all(&s);
    check_statuses(&s, PGK_OK);
    check_stored_once(&s);
    close_scene(&s);
}

static void test_put_queue__cut_while_the_server_works__each_is_done_once(void **state)
{
    struct scene s;
    open_scene(&s, state, "5 s", PGK_UNFENCED);
    warm(&s);
    hold(&s);
    begin(&s, FIRST);
    begin_rest(&s);
    await_combined(&s);
    proxy_reset_all(s.proxy);
    let_go(&s);
    join_all(&s);
    check_statuses(&s, PGK_OK);
    check_stored_once(&s);
    close_scene(&s);
}

/* Stored, and no answer comes: it waits until all are there. */
static void lose_answers(struct scene *scene)
{
    hold(scene);
    begin(scene, FIRST);
    begin_rest(scene);
    await_combined(scene);
    wait_pause_ms(
        200); /* one that was too late to go with them goes by itself now: all are at the server */
    proxy_cut(scene->proxy, PROXY_CUT_TO_CLIENT);
    let_go(scene);
    db_wait(scene->fixture, "9", WAIT_LONG_MS, "SELECT count(*) FROM pgkeeper.job_graph");
    for (int i = FIRST; i <= PUTS; i++) {
        assert_false(atomic_load(&scene->puts[i].ended));
    }
}

static void test_put_queue__cut_after_the_commit__each_is_known_to_be_done(void **state)
{
    struct scene s;
    open_scene(&s, state, "5 s", PGK_UNFENCED);
    warm(&s);
    lose_answers(&s);
    proxy_reset_all(s.proxy);
    proxy_cut(s.proxy, PROXY_PASS);
    join_all(&s);
    check_statuses(&s, PGK_OK);
    check_stored_once(&s);
    close_scene(&s);
}

/* What another has put in the place of one says nothing of the others. */
static void
test_put_queue__one_is_replaced_before_it_is_sent_again__that_one_is_unknown(void **state)
{
    struct scene s;
    open_scene(&s, state, "5 s", PGK_UNFENCED);
    warm(&s);
    lose_answers(&s);
    db_exec(s.fixture,
            "UPDATE pgkeeper.job_graph SET op_id = gen_random_uuid(), graph = 'other'"
            " WHERE job_id = '%s'",
            shelf_text(&s.puts[PUTS].job));
    proxy_reset_all(s.proxy);
    proxy_cut(s.proxy, PROXY_PASS);
    join_all(&s);
    assert_int_equal(s.puts[PUTS].status, PGK_ERR_OUTCOME_UNKNOWN);
    assert_true((s.puts[PUTS].err.flags & PGK_ERROR_OUTCOME_UNKNOWN) != 0);
    s.puts[PUTS].status = PGK_OK;
    check_statuses(&s, PGK_OK);
    assert_string_equal(db_text(s.fixture,
                                "SELECT encode(graph, 'escape') FROM pgkeeper.job_graph"
                                " WHERE job_id = '%s'",
                                shelf_text(&s.puts[PUTS].job)),
                        "other");
    assert_int_equal(db_int(s.fixture, "SELECT count(*) FROM pgkeeper.job_graph WHERE version = 1"),
                     PUTS - 1);
    close_scene(&s);
}

static void test_put_queue__no_way_back_in_time__unknown_and_again_is_safe(void **state)
{
    struct scene s;
    open_scene(&s, state, "1500 ms", PGK_UNFENCED);
    warm(&s);
    lose_answers(&s);
    proxy_refuse(s.proxy, 1);
    proxy_reset_all(s.proxy);
    join_all(&s);
    check_statuses(&s, PGK_ERR_OUTCOME_UNKNOWN);
    for (int i = FIRST; i <= PUTS; i++) {
        assert_true((s.puts[i].err.flags & PGK_ERROR_OUTCOME_UNKNOWN) != 0);
    }
    proxy_refuse(s.proxy, 0);
    proxy_cut(s.proxy, PROXY_PASS);
    begin(&s, FIRST);
    begin_rest(&s);
    join_all(&s);
    check_statuses(&s, PGK_OK);
    /* Each call was done once: the second one found what the first one had stored, and took its place. */
    assert_string_equal(db_text(s.fixture, "SELECT count(*) || ' ' || min(version) || ' ' ||"
                                           " max(version) FROM pgkeeper.job_graph"),
                        "9 2 2");
    close_scene(&s);
}

/* Each of those that were sent together looks for its own, at its own time: none waits for another's look. What the look
 * reads, and the put does not, is locked. */
static void test_put_queue__deposed_and_looks_take_long__they_look_side_by_side(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "chief", NULL);
    struct leadership lead;
    struct scene s;
    lead_begin(&lead, ha);
    open_scene(&s, state, "20 s", &lead.token);
    warm(&s);
    lose_answers(&s);
    db_exec(fixture, "UPDATE pgkeeper.leadership SET epoch = epoch + 1");
    PQclear(PQexec(s.holder, "BEGIN"));
    PQclear(PQexec(s.holder, "LOCK pgkeeper.checkpoint IN ACCESS EXCLUSIVE MODE"));
    proxy_reset_all(s.proxy);
    proxy_cut(s.proxy, PROXY_PASS);
    db_wait(fixture, "t", WAIT_LONG_MS,
            "SELECT count(*) >= 3 FROM pg_locks WHERE relation = 'pgkeeper.checkpoint'::regclass"
            " AND NOT granted");
    PQclear(PQexec(s.holder, "COMMIT"));
    join_all(&s);
    check_statuses(&s, PGK_OK);
    check_stored_once(&s);
    close_scene(&s);
    lead_end(&lead);
    pgk_ha_free(ha);
}

/* Leadership passes on before they are sent again. One had met a graph that its store does not own: what is true of the
 * transaction is not true of that one. */
static void
test_put_queue__deposed_before_they_are_sent_again__none_claims_what_it_did_not_do(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "chief", NULL);
    struct leadership lead;
    struct scene s;
    pgk_uuid foreign = job_number(PUTS);
    int done = 0;
    lead_begin(&lead, ha);
    open_scene(&s, state, "5 s", &lead.token);
    warm(&s);
    db_exec(fixture,
            "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
            " VALUES ('" FIXTURE_CLUSTER "', '%s', 'other', sha256('other'))",
            shelf_text(&foreign));
    lose_answers(&s);
    db_exec(fixture, "UPDATE pgkeeper.leadership SET epoch = epoch + 1");
    proxy_reset_all(s.proxy);
    proxy_cut(s.proxy, PROXY_PASS);
    join_all(&s);
    for (int i = FIRST; i < PUTS; i++) {
        done += s.puts[i].status == PGK_OK;
        if (s.puts[i].status != PGK_OK) {
            assert_int_equal(s.puts[i].status, PGK_ERR_OUTCOME_UNKNOWN);
        }
    }
    assert_int_equal(s.puts[PUTS].status, PGK_ERR_OUTCOME_UNKNOWN);
    assert_int_equal(done, PUTS - 1); /* each was looked for by its own id */
    assert_string_equal(db_text(fixture,
                                "SELECT encode(graph, 'escape') FROM pgkeeper.job_graph"
                                " WHERE job_id = '%s'",
                                shelf_text(&foreign)),
                        "other");
    assert_int_equal(db_int(fixture, "SELECT max(version) FROM pgkeeper.job_graph"), 1);
    close_scene(&s);
    lead_end(&lead);
    pgk_ha_free(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_put_queue__cut_before_the_commit__each_is_done_once),
        DB_TEST(test_put_queue__cut_while_the_server_works__each_is_done_once),
        DB_TEST(test_put_queue__cut_after_the_commit__each_is_known_to_be_done),
        DB_TEST(test_put_queue__one_is_replaced_before_it_is_sent_again__that_one_is_unknown),
        DB_TEST(test_put_queue__no_way_back_in_time__unknown_and_again_is_safe),
        DB_TEST(test_put_queue__deposed_and_looks_take_long__they_look_side_by_side),
        DB_TEST(test_put_queue__deposed_before_they_are_sent_again__none_claims_what_it_did_not_do),
    };
    return cmocka_run_group_tests_name("put_queue", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
