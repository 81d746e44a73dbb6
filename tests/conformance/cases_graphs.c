/* tests/conformance/cases_graphs.c - contract 4, the job graph store: states, put, requirements, bytes. */
#include "suite.h"

/* ------------------------------------------------------------------ starting and stopping */

static void refuse_all(struct scene *s, pgk_job_graphs *store)
{
    pgk_job_graph *graph = NULL;
    pgk_uuid *ids = NULL;
    size_t count = 0;
    struct graph_tally tally = {0};
    pgk_uuid job = job_of(1);
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_job_graphs_put(store, &job, "g", 1, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_job_graphs_put_requirements(store, &job, "g", 1, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_job_graphs_recover(store, &job, &graph, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_job_graphs_recover_all(store, tally_graph, &tally, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_job_graphs_list(store, &ids, &count, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_job_graphs_release(store, &job, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_job_graphs_remove(store, &job, &s->err));
}

static void not_started__illegal_state(struct scene *s)
{
    pgk_job_graphs *store = NULL;
    WORKS(s, pgk_ha_job_graphs(scene_open(s), PGK_UNFENCED, &store, &s->err));
    refuse_all(s, store);
    WORKS(s, pgk_job_graphs_stop(store, &s->err)); /* without start: fine */
    pgk_job_graphs_free(store);
}

static void stopped__illegal_state_and_twice_is_fine(struct scene *s)
{
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    WORKS(s, pgk_job_graphs_stop(store, &s->err));
    WORKS(s, pgk_job_graphs_stop(store, &s->err));
    refuse_all(s, store);
}

static void started_twice__fine(struct scene *s)
{
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    WORKS(s, pgk_job_graphs_start(store, NULL, &s->err));
    put_graph(s, store, 1, "graph");
}

static void started_anew__owns_nothing_and_the_data_has_stayed(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    put_graph(s, store, 1, "graph");
    WORKS(s, pgk_job_graphs_stop(store, &s->err));
    WORKS(s, pgk_job_graphs_start(store, NULL, &s->err));
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_graphs_put(store, &job, "x", 1, &s->err));
    assert_string_equal(graph_text(s, store, 1), "graph");
}

static void handle_closed__illegal_state_but_stop_is_fine(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(1);
    pgk_job_graphs *store = scene_graphs(s, ha, PGK_UNFENCED);
    WORKS(s, pgk_ha_close(ha, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_job_graphs_put(store, &job, "x", 1, &s->err));
    WORKS(s, pgk_job_graphs_stop(store, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_job_graphs_start(store, NULL, &s->err));
}

/* ------------------------------------------------------------------ put */

static int64_t version_of(struct scene *s, pgk_job_graphs *store, int job)
{
    pgk_uuid id = job_of(job);
    pgk_job_graph *graph = NULL;
    WORKS(s, pgk_job_graphs_recover(store, &id, &graph, &s->err));
    int64_t version = graph->version;
    pgk_job_graph_free(graph);
    return version;
}

static void put_new__stored_with_version_1(struct scene *s)
{
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    put_graph(s, store, 1, "graph");
    assert_string_equal(graph_text(s, store, 1), "graph");
    assert_int_equal(version_of(s, store, 1), 1);
}

static void put_owned__replaced_with_the_next_version(struct scene *s)
{
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    for (int i = 1; i <= 5; i++) {
        put_graph(s, store, 1, i == 5 ? "last" : "before");
    }
    assert_string_equal(graph_text(s, store, 1), "last");
    assert_int_equal(version_of(s, store, 1), 5);
}

static void put_not_owned__already_exists_and_unchanged(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(1);
    pgk_job_graphs *owner;
    pgk_job_graphs *other;
    scene_two_graphs(s, ha, PGK_UNFENCED, &owner, &other);
    put_graph(s, owner, 1, "graph");
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_graphs_put(other, &job, "x", 1, &s->err));
    put_graph(s, owner, 1, "owner's");
    assert_string_equal(graph_text(s, owner, 1), "owner's");
}

static void put_recovered__replaced(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_job_graphs *owner;
    pgk_job_graphs *other;
    scene_two_graphs(s, ha, PGK_UNFENCED, &owner, &other);
    put_graph(s, owner, 1, "graph");
    assert_string_equal(graph_text(s, other, 1), "graph");
    put_graph(s, other, 1, "other's");
    assert_string_equal(graph_text(s, owner, 1), "other's");
}

static void put_owned_but_changed_since__conflict_until_recovered(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_job_graphs *a;
    pgk_job_graphs *b;
    scene_changed_graph(s, &a, &b);
    FAILS(s, PGK_ERR_CONFLICT, pgk_job_graphs_put(a, &job, "x", 1, &s->err));
    assert_string_equal(graph_text(s, a, 1), "two");
    put_graph(s, a, 1, "three");
    assert_string_equal(graph_text(s, b, 1), "three");
}

static void put_owned_but_removed_since__stored_as_new(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(1);
    pgk_job_graphs *a;
    pgk_job_graphs *b;
    scene_two_graphs(s, ha, PGK_UNFENCED, &a, &b);
    put_graph(s, a, 1, "one");
    put_graph(s, a, 1, "two");
    WORKS(s, pgk_job_graphs_put_requirements(a, &job, "cpu", 3, &s->err));
    WORKS(s, pgk_job_graphs_remove(b, &job, &s->err));
    put_graph(s, a, 1, "three");
    pgk_job_graph *graph = NULL;
    WORKS(s, pgk_job_graphs_recover(a, &job, &graph, &s->err));
    assert_int_equal(graph->version, 1);
    assert_null(graph->requirements);
    pgk_job_graph_free(graph);
}

static void all_zero_job_id__is_a_job(struct scene *s)
{
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    put_graph(s, store, 0, "graph");
    assert_string_equal(graph_text(s, store, 0), "graph");
}

static void put_of_every_size__the_exact_bytes_come_back(struct scene *s)
{
    static const size_t sizes[] = {1, 2000, 8192, 1048576, 1048577, 3 * 1048576 + 5};
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    unsigned char *bytes = scene_memory(s, 3 * 1048576 + 5);
    for (size_t i = 0; i < 3 * 1048576 + 5; i++) {
        bytes[i] = (unsigned char)(i * 31 + i / 251); /* zeros among them */
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        pgk_uuid job = job_of((int)i);
        pgk_job_graph *graph = NULL;
        WORKS(s, pgk_job_graphs_put(store, &job, bytes, sizes[i], &s->err));
        WORKS(s, pgk_job_graphs_put_requirements(store, &job, bytes, sizes[i], &s->err));
        WORKS(s, pgk_job_graphs_recover(store, &job, &graph, &s->err));
        assert_int_equal(graph->status, PGK_OK);
        assert_int_equal(graph->graph_bytes, sizes[i]);
        assert_memory_equal(graph->graph, bytes, sizes[i]);
        assert_int_equal(graph->requirements_bytes, sizes[i]);
        assert_memory_equal(graph->requirements, bytes, sizes[i]);
        pgk_job_graph_free(graph);
    }
}

static void put_from_memory_that_is_reused__what_was_put_stays(struct scene *s)
{
    pgk_uuid job = job_of(1);
    char bytes[] = "first";
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    WORKS(s, pgk_job_graphs_put(store, &job, bytes, 5, &s->err));
    memset(bytes, 'x', 5);
    assert_string_equal(graph_text(s, store, 1), "first");
}

static void too_large_or_no_bytes__refused(struct scene *s)
{
    pgk_uuid job = job_of(1);
    pgk_job_graphs *store = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    FAILS(s, PGK_ERR_TOO_LARGE,
          pgk_job_graphs_put(store, &job, "g", PGK_GRAPH_MAX_BYTES + 1, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_put(store, &job, "g", 0, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_put(store, &job, NULL, 1, &s->err));
    FAILS(s, PGK_ERR_TOO_LARGE,
          pgk_job_graphs_put_requirements(store, &job, "g", PGK_GRAPH_MAX_BYTES + 1, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_job_graphs_put_requirements(store, &job, "g", 0, &s->err));
    assert_string_equal(graph_text(s, store, 1), "-");
}

static void bad_arguments__invalid_argument(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_job_graph *graph = NULL;
    pgk_uuid job = job_of(1);
    pgk_uuid *ids = NULL;
    size_t count;
    pgk_job_graphs *store = scene_graphs(s, ha, PGK_UNFENCED);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_job_graphs(ha, PGK_UNFENCED, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_start(NULL, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_put(store, NULL, "g", 1, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_put(NULL, &job, "g", 1, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_recover(store, NULL, &graph, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_recover(store, &job, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_recover_all(store, NULL, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_list(store, NULL, &count, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_list(store, &ids, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_release(store, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_graphs_remove(store, NULL, &s->err));
    pgk_job_graphs_free(NULL);
    pgk_job_graph_free(NULL);
    pgk_job_ids_free(NULL);
}

/* ------------------------------------------------------------------ requirements */

static const char *requirements_of(struct scene *s, pgk_job_graphs *store, int job)
{
    static char text[32];
    pgk_uuid id = job_of(job);
    pgk_job_graph *graph = NULL;
    WORKS(s, pgk_job_graphs_recover(store, &id, &graph, &s->err));
    snprintf(text, sizeof(text), "%.*s", (int)graph->requirements_bytes,
             graph->requirements != NULL ? (const char *)graph->requirements : "");
    pgk_job_graph_free(graph);
    return text;
}

static void requirements_of_a_missing_graph__not_found(struct scene *s)
{
    pgk_uuid job = job_of(1);
    FAILS(s, PGK_ERR_NOT_FOUND,
          pgk_job_graphs_put_requirements(scene_graphs(s, scene_open(s), PGK_UNFENCED), &job, "r",
                                          1, &s->err));
}

static void requirements__survive_replacement_and_may_be_replaced(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(1);
    pgk_job_graphs *store = scene_graphs(s, ha, PGK_UNFENCED);
    put_graph(s, store, 1, "one");
    assert_string_equal(requirements_of(s, store, 1), "");
    WORKS(s, pgk_job_graphs_put_requirements(store, &job, "2 cpu", 5, &s->err));
    put_graph(s, store, 1, "two");
    assert_string_equal(requirements_of(s, store, 1), "2 cpu");
    WORKS(s, pgk_job_graphs_put_requirements(store, &job, "4 cpu", 5, &s->err));
    assert_string_equal(requirements_of(s, scene_graphs(s, ha, PGK_UNFENCED), 1), "4 cpu");
    assert_int_equal(version_of(s, store, 1), 2); /* they are no replacement */
}

static void requirements_of_a_graph_that_is_not_owned__stored(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(1);
    pgk_job_graphs *owner = scene_graphs(s, ha, PGK_UNFENCED);
    put_graph(s, owner, 1, "one");
    WORKS(s, pgk_job_graphs_put_requirements(scene_graphs(s, ha, PGK_UNFENCED), &job, "r", 1,
                                             &s->err));
    put_graph(s, owner, 1, "two"); /* no conflict by it */
    assert_string_equal(requirements_of(s, owner, 1), "r");
}

/* ------------------------------------------------------------------ others */

static void another_handle__sees_the_same(struct scene *s)
{
    pgk_job_graphs *here = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    pgk_job_graphs *there = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    put_graph(s, here, 1, "graph");
    assert_string_equal(graph_text(s, there, 1), "graph");
    put_graph(s, there, 1, "there");
    assert_string_equal(graph_text(s, here, 1), "there");
}

static void another_cluster__sees_nothing(struct scene *s)
{
    pgk_ha *far = scene_open_with(s, "high-availability.cluster-id", s->elsewhere, NULL);
    pgk_job_graphs *here = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    pgk_job_graphs *there = scene_graphs(s, far, PGK_UNFENCED);
    put_graph(s, here, 1, "graph");
    assert_string_equal(graph_text(s, there, 1), "-");
    put_graph(s, there, 1, "there");
    assert_string_equal(graph_text(s, here, 1), "graph");
}

static void taken_over__the_successor_recovers_all(struct scene *s)
{
    pgk_token token;
    struct graph_tally tally = {0};
    pgk_ha *first = scene_open(s);
    scene_lead(s, first, &token);
    pgk_ha *second = scene_open(s);
    struct part *successor = scene_contend(s, second, "dispatcher");
    pgk_job_graphs *owner = scene_graphs(s, first, &token);
    for (int i = 0; i < 5; i++) {
        put_graph(s, owner, i, "graph");
    }
    WORKS(s, pgk_ha_close(first, &s->err));
    part_granted(successor);
    WORKS(s, pgk_election_token(successor->election, &token, &s->err));
    pgk_job_graphs *heir = scene_graphs(s, second, &token);
    WORKS(s, pgk_job_graphs_recover_all(heir, tally_graph, &tally, &s->err));
    assert_int_equal(tally.calls, 5);
    put_graph(s, heir, 3, "heir's");
}

#define THREADS 6
#define TURNS 40

struct worker {
    pthread_t thread;
    pgk_job_graphs *store;
    unsigned random;
    pgk_status unexpected;
};

static void *work(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < TURNS; i++) {
        pgk_uuid job = job_of(rand_r(&worker->random) % 4);
        pgk_job_graph *graph = NULL;
        struct graph_tally tally = {0};
        pgk_status status;
        switch (rand_r(&worker->random) % 5) {
        case 0:
            status = pgk_job_graphs_remove(worker->store, &job, NULL);
            break;
        case 1:
            status = pgk_job_graphs_recover(worker->store, &job, &graph, NULL);
            pgk_job_graph_free(graph);
            break;
        case 2:
            status = pgk_job_graphs_recover_all(worker->store, tally_graph, &tally, NULL);
            break;
        default:
            status = pgk_job_graphs_put(worker->store, &job, "graph", 5, NULL);
        }
        if (status != PGK_OK && status != PGK_ERR_NOT_FOUND && status != PGK_ERR_CONFLICT &&
            status != PGK_ERR_ALREADY_EXISTS) {
            worker->unexpected = status;
        }
    }
    return NULL;
}

static void two_stores_and_many_threads__only_what_the_contract_allows(struct scene *s)
{
    struct worker workers[THREADS];
    pgk_ha *ha = scene_open(s);
    pgk_job_graphs *stores[2] = {scene_graphs(s, ha, PGK_UNFENCED),
                                 scene_graphs(s, ha, PGK_UNFENCED)};
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = stores[i % 2], .random = i + 1};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_string_equal(pgk_status_name(workers[i].unexpected), "PGK_OK");
    }
    for (int i = 0; i < 4; i++) {
        graph_text(s, stores[0], i); /* owned, if it is there */
        put_graph(s, stores[0], i, "end");
        assert_string_equal(graph_text(s, stores[1], i), "end");
    }
}

static void with_blobs__all_of_it_or_nothing(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid one = job_of(1);
    pgk_uuid two = job_of(2);
    pgk_blob_entry entries[2];
    pgk_job_graphs *store = scene_graphs(s, ha, PGK_UNFENCED);
    pgk_blobs *blobs = scene_blobs(s, ha, PGK_UNFENCED);
    static const char *const texts[2] = {"jar", "library"};
    for (int i = 0; i < 2; i++) {
        entries[i] = (pgk_blob_entry){.source = {.size = sizeof(pgk_blob_source),
                                                 .data = texts[i],
                                                 .data_bytes = strlen(texts[i])}};
        WORKS(s, pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, texts[i], strlen(texts[i]),
                                         &entries[i].key, &s->err));
    }
    WORKS(s, pgk_job_graphs_put_with_blobs(store, &one, "graph", 5, entries, 2, &s->err));
    assert_string_equal(graph_text(s, store, 1), "graph");
    assert_true(blob_exists(s, blobs, 1, &entries[0].key));
    assert_true(blob_exists(s, blobs, 1, &entries[1].key));
    entries[1].source.data = NULL; /* no such source */
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_job_graphs_put_with_blobs(store, &two, "graph", 5, entries, 2, &s->err));
    pgk_job_graphs *other = scene_graphs(s, ha, PGK_UNFENCED);
    entries[1].source.data = "changed";
    FAILS(s, PGK_ERR_ALREADY_EXISTS,
          pgk_job_graphs_put_with_blobs(other, &one, "x", 1, entries, 2, &s->err));
    assert_string_equal(graph_text(s, store, 2), "-");
    assert_false(blob_exists(s, blobs, 2, &entries[0].key));
    WORKS(s, pgk_blobs_verify(blobs, &one, &entries[1].key, NULL, NULL, &s->err));
}

/* ------------------------------------------------------------------ differences */

static void without__put_is_fine_and_nothing_is_found(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(1);
    pgk_job_graph *graph = NULL;
    pgk_uuid *ids = NULL;
    size_t count = 9;
    struct graph_tally tally = {0};
    pgk_job_graphs *store = scene_graphs(s, ha, PGK_UNFENCED);
    put_graph(s, store, 1, "graph");
    put_graph(s, store, 1, "again");
    WORKS(s, pgk_job_graphs_put_requirements(store, &job, "cpu", 3, &s->err));
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_job_graphs_recover(store, &job, &graph, &s->err));
    WORKS(s, pgk_job_graphs_list(store, &ids, &count, &s->err));
    assert_int_equal(count, 0);
    pgk_job_ids_free(ids);
    WORKS(s, pgk_job_graphs_recover_all(store, tally_graph, &tally, &s->err));
    assert_int_equal(tally.calls, 0);
    WORKS(s, pgk_job_graphs_release(store, &job, &s->err));
    WORKS(s, pgk_job_graphs_remove(store, &job, &s->err));
}

#define STORED BIT(GRAPHS)

static const struct conformance_case cases[] = {
    CASE(not_started__illegal_state),
    CASE(stopped__illegal_state_and_twice_is_fine),
    CASE(started_twice__fine),
    CASE_NEEDS(started_anew__owns_nothing_and_the_data_has_stayed, STORED),
    CASE(handle_closed__illegal_state_but_stop_is_fine),
    CASE_NEEDS(put_new__stored_with_version_1, STORED),
    CASE_NEEDS(put_owned__replaced_with_the_next_version, STORED),
    CASE_NEEDS(put_not_owned__already_exists_and_unchanged, STORED),
    CASE_NEEDS(put_recovered__replaced, STORED),
    CASE_NEEDS(put_owned_but_changed_since__conflict_until_recovered, STORED),
    CASE_NEEDS(put_owned_but_removed_since__stored_as_new, STORED),
    CASE_NEEDS(all_zero_job_id__is_a_job, STORED),
    CASE_NEEDS(put_of_every_size__the_exact_bytes_come_back, STORED),
    CASE_NEEDS(put_from_memory_that_is_reused__what_was_put_stays, STORED),
    CASE(too_large_or_no_bytes__refused),
    CASE(bad_arguments__invalid_argument),
    CASE_NEEDS(requirements_of_a_missing_graph__not_found, STORED),
    CASE_NEEDS(requirements__survive_replacement_and_may_be_replaced, STORED),
    CASE_NEEDS(requirements_of_a_graph_that_is_not_owned__stored, STORED),
    CASE_NEEDS(another_handle__sees_the_same, STORED | BIT(SHARES)),
    CASE_NEEDS(another_cluster__sees_nothing, STORED),
    CASE_NEEDS(taken_over__the_successor_recovers_all, STORED | BIT(ELECTS)),
    CASE_NEEDS(two_stores_and_many_threads__only_what_the_contract_allows, STORED),
    CASE_NEEDS(with_blobs__all_of_it_or_nothing, STORED | BIT(BLOBS)),
    CASE_WITHOUT(without__put_is_fine_and_nothing_is_found, GRAPHS),
};
AREA(graphs, cases);
