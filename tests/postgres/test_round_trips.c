/*
 * tests/postgres/test_round_trips.c - how often each call of the stores waits for the database: once. Counted in the
 * network, on a session that has run the statement before.
 */
#include <string.h>

#include "blob_tools.h"
#include "proxy.h"
#include "shelf.h"
#include "store_tools.h"

/* Of the blobs of a job, when their bytes go with its rows. */
#define MAX_AT_ONCE (16 << 20)

struct scene {
    struct fixture *fixture;
    struct proxy *proxy;
    pgk_ha *ha;
    pgk_job_graphs *graphs;
    struct stores stores;
};

/* No election, nobody followed: the handle has no session but the work session. */
static void open_scene(struct scene *s, void **state)
{
    char conninfo[PGSERVER_CONNINFO_SIZE];
    s->fixture = *state;
    s->proxy = fixture_proxy(s->fixture, conninfo, sizeof(conninfo));
    s->ha = handle_open(s->fixture, "a", "high-availability.postgres.uri", conninfo,
                        "high-availability.postgres.max-connections", "1", NULL);
    s->graphs = shelf_open(s->ha, PGK_UNFENCED, NULL);
}

static void close_scene(struct scene *s)
{
    pgk_job_graphs_free(s->graphs);
    handle_close(s->ha);
}

typedef pgk_status (*call_fn)(struct scene *s, pgk_error *err);

static pgk_status put(struct scene *s, pgk_error *err)
{
    pgk_uuid job = job_of(5);
    return pgk_job_graphs_put(s->graphs, &job, "g", 1, err);
}

static pgk_status put_requirements(struct scene *s, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    return pgk_job_graphs_put_requirements(s->graphs, &job, "r", 1, err);
}

static pgk_status release_it(struct scene *s, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    return pgk_job_graphs_release(s->graphs, &job, err);
}

static pgk_status remove_it(struct scene *s, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    return pgk_job_graphs_remove(s->graphs, &job, err);
}

static pgk_status recover_one(struct scene *s, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    pgk_job_graph *graph = NULL;
    pgk_status status = pgk_job_graphs_recover(s->graphs, &job, &graph, err);
    pgk_job_graph_free(graph);
    return status;
}

static pgk_status recover_graphs(struct scene *s, pgk_error *err)
{
    size_t count = 0;
    return pgk_job_graphs_recover_all(s->graphs, shelf_count, &count, err);
}

static pgk_status list_ids(struct scene *s, pgk_error *err)
{
    pgk_uuid *ids = NULL;
    size_t count = 0;
    pgk_status status = pgk_job_graphs_list(s->graphs, &ids, &count, err);
    pgk_job_ids_free(ids);
    return status;
}

static pgk_status on_job(void *user, const pgk_recovered_job *job)
{
    (void)user;
    return job->graph->status;
}

static pgk_status on_checkpoint(void *user, const pgk_checkpoint *checkpoint)
{
    (void)user;
    return checkpoint->status;
}

static pgk_status on_result(void *user, const pgk_job_result *result)
{
    (void)user;
    return result->entry_status;
}

static pgk_status recover_everything(struct scene *s, pgk_error *err)
{
    const pgk_recovery recovery = {.size = sizeof(recovery),
                                   .dirty_result = on_result,
                                   .job = on_job,
                                   .pending_discard = on_checkpoint};
    return pgk_ha_recover(s->ha, s->graphs, &recovery, err);
}

static pgk_status open_checkpoints(struct scene *s, pgk_error *err)
{
    const pgk_checkpoints_options options = {
        .size = sizeof(options), .job_id = job_of(1), .max_retained = 1};
    pgk_checkpoints *checkpoints = NULL;
    pgk_status status = pgk_ha_checkpoints(s->ha, PGK_UNFENCED, &options, &checkpoints, err);
    pgk_checkpoints_free(checkpoints);
    return status;
}

static pgk_status all_checkpoints(struct scene *s, pgk_error *err)
{
    return pgk_checkpoints_all(s->stores.checkpoints, on_checkpoint, NULL, err);
}

static const struct {
    const char *name;
    call_fn call;
} calls[] = {
    {"put", put},
    {"put_requirements", put_requirements},
    {"release", release_it},
    {"remove", remove_it},
    {"recover", recover_one},
    {"recover_all", recover_graphs},
    {"list", list_ids},
    {"pgk_ha_recover", recover_everything},
    {"pgk_ha_checkpoints", open_checkpoints},
    {"pgk_checkpoints_all", all_checkpoints},
};

/* Twice, each time to the known state; returns the round trips of the second time. */
static size_t count_trips(struct scene *s, const char *name, call_fn call,
                          const struct mutation *mutation)
{
    size_t before = 0;
    for (int i = 0; i < 2; i++) {
        pgk_error err;
        known_state(s->fixture);
        stores_open(&s->stores, s->ha, PGK_UNFENCED);
        before = proxy_round_trips(s->proxy);
        pgk_status status = call != NULL ? call(s, &err) : mutation->act(&s->stores, &err);
        before = proxy_round_trips(s->proxy) - before;
        if (status != PGK_OK) {
            fail_msg("%s: %s: %s", name, pgk_status_name(status), err.message);
        }
        stores_free(&s->stores);
    }
    return before;
}

static void test_round_trips__graphs_and_reads__one_each(void **state)
{
    struct scene s;
    open_scene(&s, state);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        size_t trips = count_trips(&s, calls[i].name, calls[i].call, NULL);
        if (trips != 1) {
            fail_msg("%s: %zu round trips", calls[i].name, trips);
        }
    }
    close_scene(&s);
}

/* How many a write of the known state needs. */
static size_t expected(const char *name)
{
    static const struct {
        const char *name;
        size_t trips;
    } more[] = {
        {"discard", 3},     /* reading what is to go, its end, and the deletion */
        {"cleanup_all", 2}, /* and the bytes of blobs, which need transactions of their own */
    };
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        if (strcmp(name, more[i].name) == 0) {
            return more[i].trips;
        }
    }
    return 1;
}

static void test_round_trips__writes__one_each_but_for_batches(void **state)
{
    struct scene s;
    open_scene(&s, state);
    for (size_t i = 0; i < mutation_count; i++) {
        if (mutations[i].deletes_results || strstr(mutations[i].name, "large") != NULL) {
            continue;
        }
        size_t trips = count_trips(&s, mutations[i].name, NULL, &mutations[i]);
        if (trips != expected(mutations[i].name)) {
            fail_msg("%s: %zu round trips", mutations[i].name, trips);
        }
    }
    close_scene(&s);
}

/* The trips of cleaning up job 1 with two blobs of so many bytes, the second time. */
static size_t count_cleanup(struct scene *s, size_t bytes)
{
    pgk_uuid job = job_of(1);
    size_t before = 0;
    for (int i = 0; i < 2; i++) {
        pgk_blobs *blobs;
        pgk_blob_key key;
        pgk_error err;
        known_state(s->fixture);
        STORE_WORKS(&err, pgk_ha_blobs(s->ha, PGK_UNFENCED, &blobs, &err));
        put_pattern(blobs, &job, bytes, 1, &key);
        put_pattern(blobs, &job, bytes, 2, &key);
        pgk_blobs_free(blobs);
        assert_int_equal(objects_count(s->fixture), 2);
        before = proxy_round_trips(s->proxy);
        STORE_WORKS(&err, pgk_ha_cleanup_job(s->ha, PGK_UNFENCED, &job, NULL, &err));
        before = proxy_round_trips(s->proxy) - before;
        assert_int_equal(objects_count(s->fixture), 0);
    }
    return before;
}

static void test_round_trips__clean_up_with_blobs__one_unless_they_are_large(void **state)
{
    struct scene s;
    open_scene(&s, state);
    assert_int_equal(count_cleanup(&s, 1000), 1);
    assert_int_equal(count_cleanup(&s, MAX_AT_ONCE / 2), 1);
    assert_int_equal(count_cleanup(&s, MAX_AT_ONCE / 2 + 1), 2);
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_round_trips__graphs_and_reads__one_each),
        DB_TEST(test_round_trips__writes__one_each_but_for_batches),
        DB_TEST(test_round_trips__clean_up_with_blobs__one_unless_they_are_large),
    };
    return cmocka_run_group_tests_name("round_trips", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
