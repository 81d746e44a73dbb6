/*
 * tests/faults/test_large_graphs.c - leadership passes on while a large graph is on its way to the server: it comes too
 * late, and what was there before is there still, whole.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "proxy.h"
#include "shelf.h"

#ifdef PGK_TEST_SANITIZED
#define LARGE ((size_t)16 * 1024 * 1024)
#else
#define LARGE ((size_t)128 * 1024 * 1024)
#endif

struct put {
    pthread_t thread;
    pgk_job_graphs *store;
    pgk_uuid job;
    char *bytes;
    pgk_status status;
    pgk_error err;
    atomic_bool ended;
};

static void *put_it(void *arg)
{
    struct put *put = arg;
    put->status = pgk_job_graphs_put(put->store, &put->job, put->bytes, LARGE, &put->err);
    atomic_store(&put->ended, true);
    return NULL;
}

static void begin(struct put *put, pgk_job_graphs *store, int job)
{
    put->store = store;
    put->job = job_number(job);
    put->bytes = calloc(1, LARGE);
    assert_non_null(put->bytes);
    atomic_store(&put->ended, false);
    assert_int_equal(pthread_create(&put->thread, NULL, put_it, put), 0);
}

/* Stops the network when a quarter of the bytes has come to the server. */
static void stop_in_the_middle(struct proxy *proxy, size_t before, struct put *put)
{
    WAIT_UNTIL(proxy_passed(proxy) > before + LARGE / 4, WAIT_LONG_MS);
    proxy_cut(proxy, PROXY_CUT_TO_SERVER);
    wait_pause_ms(20); /* the piece that was on its way */
    assert_true(proxy_passed(proxy) < before + LARGE);
    assert_false(atomic_load(&put->ended));
}

/* Job 1 has a graph, which the large one would replace; job 2 has none. */
static void depose_in_the_middle(void **state, int job)
{
    struct fixture *fixture = *state;
    char conninfo[PGSERVER_CONNINFO_SIZE];
    struct proxy *proxy = fixture_proxy(fixture, conninfo, sizeof(conninfo));
    pgk_ha *chief = handle_open(fixture, "chief", NULL);
    pgk_ha *next = handle_open(fixture, "next", NULL);
    pgk_ha *writer =
        handle_open_client(fixture, "writer", "high-availability.postgres.uri", conninfo,
                           "high-availability.postgres.statement-timeout", "20 s", NULL);
    struct leadership old;
    struct leadership new;
    struct put put;
    pgk_uuid first = job_number(1);
    pgk_error err;
    lead_begin(&old, chief);
    pgk_job_graphs *store = shelf_open(writer, &old.token, NULL);
    CHECK_OK(pgk_job_graphs_put(store, &first, "first", 5, &err), err);
    size_t before = proxy_passed(proxy);
    begin(&put, store, job);
    stop_in_the_middle(proxy, before, &put);
    lead_end(&old);
    lead_begin(&new, next);
    assert_true(new.token.epoch > old.token.epoch);
    proxy_cut(proxy, PROXY_PASS);
    pthread_join(put.thread, NULL);
    if (put.status != PGK_ERR_FENCED) {
        fail_msg("%s: %s", pgk_status_name(put.status), put.err.message);
    }
    assert_true(proxy_passed(proxy) > before + LARGE); /* all of it came, and was not taken */
    pgk_job_graphs *successor = shelf_open(next, &new.token, NULL);
    struct shelf_tally tally = {.state = PGK_OK};
    CHECK_OK(pgk_job_graphs_recover_all(successor, shelf_tally, &tally, &err), err);
    assert_int_equal(tally.good, 1);
    assert_int_equal(tally.damaged, 0);
    shelf_expect(successor, &first, 1, "first", NULL);
    assert_string_equal(db_text(fixture, "SELECT string_agg(version || ' ' || octet_length(graph),"
                                         " ',') FROM pgkeeper.job_graph"),
                        "1 5");
    free(put.bytes);
    pgk_job_graphs_free(successor);
    pgk_job_graphs_free(store);
    lead_end(&new);
    handle_close(writer);
    handle_close(next);
    handle_close(chief);
}

static void
test_large_graphs__deposed_in_the_middle_of_a_replacement__fenced_and_intact(void **state)
{
    depose_in_the_middle(state, 1);
}

static void test_large_graphs__deposed_in_the_middle_of_a_new_one__fenced_and_absent(void **state)
{
    depose_in_the_middle(state, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_large_graphs__deposed_in_the_middle_of_a_replacement__fenced_and_intact),
        DB_TEST(test_large_graphs__deposed_in_the_middle_of_a_new_one__fenced_and_absent),
    };
    return cmocka_run_group_tests_name("large_graphs", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
