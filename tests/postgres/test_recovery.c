/*
 * tests/postgres/test_recovery.c - pgk_ha_recover: what a new leader is given, in which order, of which moment, owned
 * by whom; damage; and that many large graphs need memory for one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "shelf.h"

/* What was handed out, in order: "r1 j2:c5:n6 d3:1 ". */
struct findings {
    char text[4096];
    pgk_status answer;
    int answer_at; /* that many callbacks answer OK before */
    int calls;
    char reasons[512];
    void (*hook)(struct findings *findings);
    void *user;
};

static pgk_status found(struct findings *findings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static pgk_status found(struct findings *findings, const char *format, ...)
{
    size_t length = strlen(findings->text);
    va_list args;
    va_start(args, format);
    vsnprintf(findings->text + length, sizeof(findings->text) - length, format, args);
    va_end(args);
    if (findings->hook != NULL) {
        findings->hook(findings);
    }
    return ++findings->calls > findings->answer_at ? findings->answer : PGK_OK;
}

static void reason(struct findings *findings, const char *text)
{
    size_t length = strlen(findings->reasons);
    snprintf(findings->reasons + length, sizeof(findings->reasons) - length, "%s;", text);
}

static pgk_status on_result(void *user, const pgk_job_result *result)
{
    struct findings *f = user;
    assert_true(result->dirty);
    if (result->entry_status != PGK_OK) {
        reason(f, result->reason);
    }
    return found(f, "r%d%s ", result->job_id.bytes[15], result->entry_status != PGK_OK ? "!" : "");
}

static pgk_status on_job(void *user, const pgk_recovered_job *job)
{
    struct findings *f = user;
    bool good = job->graph->status == PGK_OK;
    if (!good) {
        assert_null(job->graph->graph);
        reason(f, job->graph->reason);
    }
    if (job->checkpoint != NULL && job->checkpoint->status != PGK_OK) {
        reason(f, job->checkpoint->reason);
    }
    return found(f, "j%d%s:c%d%s:n%d ", job->graph->job_id.bytes[15], good ? "" : "!",
                 job->checkpoint != NULL ? (int)job->checkpoint->checkpoint_id : 0,
                 job->checkpoint != NULL && job->checkpoint->status != PGK_OK ? "!" : "",
                 (int)job->next_checkpoint_id);
}

static pgk_status on_discard(void *user, const pgk_checkpoint *checkpoint)
{
    assert_null(checkpoint->metadata);
    return found(user, "d%d:%d ", checkpoint->job_id.bytes[15], (int)checkpoint->checkpoint_id);
}

static pgk_recovery into(struct findings *findings)
{
    memset(findings, 0, sizeof(*findings));
    return (pgk_recovery){.size = sizeof(pgk_recovery),
                          .user = findings,
                          .dirty_result = on_result,
                          .job = on_job,
                          .pending_discard = on_discard};
}

/* Job 1 is to be run and has never been checkpointed, 2 has; 3 has ended and is dirty, its graph a leftover; 4 has
 * ended, is clean, and left a discard. */
static void fill(struct fixture *fixture)
{
    db_exec(fixture,
            "SET search_path = pgkeeper;"
            "INSERT INTO job_graph (cluster_id, job_id, graph, sha256)"
            " SELECT '" FIXTURE_CLUSTER "', ('ab000000-0000-0000-0000-00000000000' || n)::uuid,"
            "        convert_to('graph ' || n, 'UTF8'), sha256(convert_to('graph ' || n, 'UTF8'))"
            "   FROM generate_series(1, 3) n;"
            "INSERT INTO job_result (cluster_id, job_id, status, op_id, state, clean_at)"
            " VALUES ('" FIXTURE_CLUSTER "', 'ab000000-0000-0000-0000-000000000003', 'FINISHED',"
            "         gen_random_uuid(), 'dirty', NULL),"
            "        ('" FIXTURE_CLUSTER "', 'ab000000-0000-0000-0000-000000000004', 'FAILED',"
            "         gen_random_uuid(), 'clean', now());"
            "INSERT INTO checkpoint (cluster_id, job_id, checkpoint_id, metadata, sha256,"
            "                        completed_at, op_id, state)"
            " SELECT '" FIXTURE_CLUSTER
            "', job, id, 'm', sha256('m'), now(), gen_random_uuid(), state"
            "   FROM (VALUES ('ab000000-0000-0000-0000-000000000002'::uuid, 9, 'completed'),"
            "                ('ab000000-0000-0000-0000-000000000002', 10, 'completed'),"
            "                ('ab000000-0000-0000-0000-000000000002', 11, 'discarding'),"
            "                ('ab000000-0000-0000-0000-000000000004', 2, 'discarding')) v(job, id, "
            "state);"
            "INSERT INTO checkpoint_counter (cluster_id, job_id, next_id, op_id)"
            " VALUES ('" FIXTURE_CLUSTER
            "', 'ab000000-0000-0000-0000-000000000002', 12, gen_random_uuid())");
}

static void sort_jobs(char *text)
{
    /* Jobs come in no order. */
    char *one = strstr(text, "j1");
    char *two = strstr(text, "j2");
    if (one != NULL && two != NULL && two < one) {
        char copy[64];
        snprintf(copy, sizeof(copy), "%.*s%.*s", (int)strcspn(one, " ") + 1, one, (int)(one - two),
                 two);
        memcpy(two, copy, strlen(copy));
    }
}

static void test_recovery__all_parts__in_order_and_owned(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct leadership lead;
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    pgk_uuid job = job_number(1);
    pgk_uuid leftover = job_number(3);
    pgk_error err;

    lead_begin(&lead, ha);
    fill(fixture);
    pgk_job_graphs *store = shelf_open(ha, &lead.token, NULL);
    CHECK_OK(pgk_ha_recover(ha, store, &recovery, &err), err);
    sort_jobs(findings.text);
    assert_string_equal(findings.text, "r3 j1:c0:n1 j2:c10:n12 d2:11 d4:2 ");
    /* What was handed out is owned, here and in the eyes of others. */
    CHECK_OK(pgk_job_graphs_put(store, &job, "next", 4, &err), err);
    assert_int_equal(pgk_job_graphs_put(store, &leftover, "next", 4, &err), PGK_ERR_ALREADY_EXISTS);
    assert_int_equal(db_int(fixture, "SELECT cardinality(pgkeeper.live_owners('" FIXTURE_CLUSTER
                                     "', 'ab000000-0000-0000-0000-000000000002'))"),
                     1);
    /* Again is safe; without a store nothing is owned; parts that nobody takes are not read. */
    recovery = into(&findings);
    recovery.job = NULL;
    CHECK_OK(pgk_ha_recover(ha, NULL, &recovery, &err), err);
    assert_string_equal(findings.text, "r3 d2:11 d4:2 ");
    recovery = into(&findings);
    recovery.dirty_result = NULL;
    recovery.pending_discard = NULL;
    CHECK_OK(pgk_ha_recover(ha, store, &recovery, &err), err);
    sort_jobs(findings.text);
    assert_string_equal(findings.text, "j1:c0:n1 j2:c10:n12 ");
    pgk_job_graphs_free(store);
    lead_end(&lead);
    pgk_ha_free(ha);
}

static void test_recovery__bad_arguments__status(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_ha *other = handle_open(fixture, "b", NULL);
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    pgk_job_graphs *store = shelf_open(other, PGK_UNFENCED, NULL);
    pgk_error err;

    fill(fixture);
    assert_int_equal(pgk_ha_recover(NULL, NULL, &recovery, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_ha_recover(ha, NULL, NULL, &err), PGK_ERR_INVALID_ARGUMENT);
    assert_int_equal(pgk_ha_recover(ha, store, &recovery, &err), PGK_ERR_ILLEGAL_STATE);
    CHECK_OK(pgk_job_graphs_stop(store, &err), err);
    assert_int_equal(pgk_ha_recover(other, store, &recovery, &err), PGK_ERR_ILLEGAL_STATE);
    recovery.size = 3;
    assert_int_equal(pgk_ha_recover(ha, NULL, &recovery, &err), PGK_ERR_INVALID_ARGUMENT);
    recovery = into(&findings);
    findings.answer = PGK_ERR_IO;
    findings.answer_at = 1;
    assert_int_equal(pgk_ha_recover(ha, NULL, &recovery, &err), PGK_ERR_IO);
    assert_int_equal(findings.calls, 2);
    CHECK_OK(pgk_ha_close(ha, &err), err);
    assert_int_equal(pgk_ha_recover(ha, NULL, &recovery, &err), PGK_ERR_ILLEGAL_STATE);
    pgk_job_graphs_free(store);
    pgk_ha_free(other);
    pgk_ha_free(ha);
}

static void test_recovery__damage__that_entry_alone_is_corrupt(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    pgk_error err;

    fill(fixture);
    db_exec(fixture, "UPDATE pgkeeper.job_graph SET graph = 'bad' WHERE job_id::text LIKE '%%1';"
                     "UPDATE pgkeeper.checkpoint SET metadata = 'bad' WHERE checkpoint_id = 10;"
                     "UPDATE pgkeeper.job_result SET format_version = 9 WHERE state = 'dirty'");
    CHECK_OK(pgk_ha_recover(ha, NULL, &recovery, &err), err);
    sort_jobs(findings.text);
    assert_string_equal(findings.text, "r3! j1!:c0:n1 j2:c10!:n12 d2:11 d4:2 ");
    assert_non_null(strstr(findings.reasons, "format version 9"));
    assert_non_null(strstr(findings.reasons, "the graph differs"));
    assert_non_null(strstr(findings.reasons, "the content differs"));
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.stat_jobs"), 4);
    pgk_ha_free(ha);
}

static void change_everything(struct findings *findings)
{
    struct fixture *fixture = findings->user;
    if (findings->calls == 0) {
        db_exec(fixture, "DELETE FROM pgkeeper.job_graph; DELETE FROM pgkeeper.checkpoint");
    }
}

static void test_recovery__changed_meanwhile__one_snapshot(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    pgk_error err;

    fill(fixture);
    findings.hook = change_everything;
    findings.user = fixture;
    CHECK_OK(pgk_ha_recover(ha, NULL, &recovery, &err), err);
    sort_jobs(findings.text);
    assert_string_equal(findings.text, "r3 j1:c0:n1 j2:c10:n12 d2:11 d4:2 ");
    pgk_ha_free(ha);
}

/* ------------------------------------------------------------------ memory */

#define LARGE (8 * 1024 * 1024)
#define LARGE_COUNT 24

static long peak_kb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static pgk_status weigh(void *user, const pgk_recovered_job *job)
{
    size_t *bytes = user;
    *bytes += job->graph->graph_bytes;
    return job->graph->status;
}

static pgk_status weigh_graph(void *user, const pgk_job_graph *graph)
{
    size_t *bytes = user;
    *bytes += graph->graph_bytes;
    return graph->status;
}

static void test_recovery__many_large_graphs__memory_for_a_few(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_job_graphs *store = shelf_open(ha, PGK_UNFENCED, NULL);
    size_t bytes = 0;
    pgk_recovery recovery = {.size = sizeof(recovery), .user = &bytes, .job = weigh};
    pgk_error err;

    /* Made by the server, so that this process has not needed memory for them. */
    db_exec(fixture,
            "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
            " SELECT '" FIXTURE_CLUSTER "', gen_random_uuid(), g.graph, sha256(g.graph)"
            "   FROM generate_series(1, %d) n,"
            "        LATERAL (SELECT convert_to(left(repeat(md5(n::text) || '-', %d), %d), 'UTF8') "
            "AS graph) g",
            LARGE_COUNT, LARGE / 33 + 1, LARGE);
    long before = peak_kb();
    CHECK_OK(pgk_ha_recover(ha, store, &recovery, &err), err);
    CHECK_OK(pgk_job_graphs_recover_all(store, weigh_graph, &bytes, &err), err);
    long grown = peak_kb() - before;
    assert_int_equal(bytes, 2 * (size_t)LARGE * LARGE_COUNT);
#ifndef PGK_TEST_SANITIZED /* those keep what is freed */
    /* One graph, and its latest piece twice: in libpq's buffer, and as a row. */
    assert_in_range(grown, LARGE / 1024, LARGE / 1024 + 6 * 1024);
#else
    (void)grown;
#endif
    pgk_job_graphs_free(store);
    pgk_ha_free(ha);
}

struct parts {
    int jobs;
    size_t graphs;
    size_t requirements;
    size_t metadata;
};

static pgk_status add_graph_part(void *user, const pgk_job_graph *graph)
{
    struct parts *parts = user;
    parts->jobs++;
    parts->graphs += graph->graph_bytes;
    parts->requirements += graph->requirements_bytes;
    return graph->status;
}

static pgk_status add_parts(void *user, const pgk_recovered_job *job)
{
    struct parts *parts = user;
    if (job->checkpoint != NULL) {
        parts->metadata += job->checkpoint->metadata_bytes;
        assert_int_equal(job->checkpoint->status, PGK_OK);
    }
    return add_graph_part(user, job->graph);
}

/* Around the size above which rows come in pieces; any of the payloads may be the long one. The digests of all are
 * compared on the way. */
static void test_recovery__pieces__put_together_at_every_edge(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_job_graphs *store = shelf_open(ha, PGK_UNFENCED, NULL);
    struct parts parts = {0};
    struct parts graphs = {0};
    pgk_recovery recovery = {.size = sizeof(recovery), .user = &parts, .job = add_parts};
    pgk_error err;
    db_exec(fixture,
            "WITH n AS (SELECT i, convert_to(left(repeat('pieces of ' || i, 400000), g), 'UTF8') "
            "AS graph,"
            "                  convert_to(left(repeat('needs of ' || i, 400000), nullif(r, 0)), "
            "'UTF8') AS needs,"
            "                  convert_to(left(repeat('state of ' || i, 400000), nullif(m, 0)), "
            "'UTF8') AS state"
            "             FROM (VALUES (1, 1048575, 0, 0), (2, 1048576, 7, 1048576), (3, 1048577, "
            "0, 9),"
            "                          (4, 2097152, 2097153, 0), (5, 1, 2500000, 0), (6, 1, 0, "
            "3145728)) v(i, g, r, m)),"
            "     j AS (INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256, "
            "requirements, requirements_sha256)"
            "           SELECT '" FIXTURE_CLUSTER
            "', ('ab' || lpad(i::text, 30, '0'))::uuid, graph, sha256(graph), needs, sha256(needs) "
            "FROM n)"
            " INSERT INTO pgkeeper.checkpoint (cluster_id, job_id, checkpoint_id, metadata, "
            "sha256, completed_at, op_id)"
            " SELECT '" FIXTURE_CLUSTER "', ('ab' || lpad(i::text, 30, '0'))::uuid, 1, state, "
            "sha256(state), now(), gen_random_uuid()"
            "   FROM n WHERE state IS NOT NULL");
    CHECK_OK(pgk_ha_recover(ha, store, &recovery, &err), err);
    CHECK_OK(pgk_job_graphs_recover_all(store, add_graph_part, &graphs, &err), err);
    assert_int_equal(parts.jobs, 6);
    assert_int_equal(parts.graphs, 1048575 + 1048576 + 1048577 + 2097152 + 2);
    assert_int_equal(parts.requirements, 7 + 2097153 + 2500000);
    assert_int_equal(parts.metadata, 1048576 + 9 + 3145728);
    assert_int_equal(graphs.jobs, 6);
    assert_int_equal(graphs.graphs, parts.graphs);
    assert_int_equal(graphs.requirements, parts.requirements);
    for (int job = 1; job <= 6; job++) {
        pgk_uuid job_id = job_number(job);
        pgk_job_graph *graph = NULL;
        CHECK_OK(pgk_job_graphs_recover(store, &job_id, &graph, &err), err);
        graphs.graphs -= graph->graph_bytes;
        pgk_job_graph_free(graph);
    }
    assert_int_equal(graphs.graphs, 0);
    pgk_job_graphs_free(store);
    pgk_ha_free(ha);
}

#ifndef PGK_TEST_SANITIZED /* which would look at each of its bytes several times */
/* The largest graph there may be, there and back; one byte more is not sent. */
static void test_recovery__largest_graph__comes_back_and_a_larger_one_is_refused(void **state)
{
    struct fixture *fixture = *state;
    pgk_ha *ha =
        handle_open(fixture, "a", "high-availability.postgres.statement-timeout", "60 s", NULL);
    pgk_job_graphs *store = shelf_open(ha, PGK_UNFENCED, NULL);
    uint8_t *bytes = malloc(PGK_GRAPH_MAX_BYTES + 1);
    pgk_uuid job_id = job_number(1);
    pgk_job_graph *graph = NULL;
    pgk_error err;
    assert_non_null(bytes);
    for (size_t i = 0; i <= PGK_GRAPH_MAX_BYTES; i++) {
        bytes[i] = (uint8_t)(i >> 20 ^ i);
    }
    assert_int_equal(pgk_job_graphs_put(store, &job_id, bytes, PGK_GRAPH_MAX_BYTES + 1, &err),
                     PGK_ERR_TOO_LARGE);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_graph"), 0);
    CHECK_OK(pgk_job_graphs_put(store, &job_id, bytes, PGK_GRAPH_MAX_BYTES, &err), err);
    CHECK_OK(pgk_job_graphs_recover(store, &job_id, &graph, &err), err);
    assert_int_equal(graph->graph_bytes, PGK_GRAPH_MAX_BYTES);
    assert_int_equal(memcmp(graph->graph, bytes, PGK_GRAPH_MAX_BYTES), 0);
    pgk_job_graph_free(graph);
    free(bytes);
    pgk_job_graphs_free(store);
    pgk_ha_free(ha);
}
#endif

/* Jobs with a counter and a checkpoint each, for generate_series(from, to). */
static void add_small_jobs(struct fixture *fixture, int from, int to)
{
    db_exec(
        fixture,
        "WITH n AS (SELECT gen_random_uuid() AS job_id FROM generate_series(%d, %d)),"
        "     j AS (INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
        "           SELECT '" FIXTURE_CLUSTER "', job_id, 'g', sha256('g') FROM n),"
        "     c AS (INSERT INTO pgkeeper.checkpoint_counter (cluster_id, job_id, next_id, op_id)"
        "           SELECT '" FIXTURE_CLUSTER "', job_id, 2, gen_random_uuid() FROM n)"
        " INSERT INTO pgkeeper.checkpoint (cluster_id, job_id, checkpoint_id, pointer, sha256,"
        "                                  completed_at, op_id)"
        " SELECT '" FIXTURE_CLUSTER "', job_id, 1, 'p', sha256('p'), now(), gen_random_uuid()"
        "   FROM n",
        from, to);
}

static int64_t recover_ns(pgk_ha *ha, pgk_job_graphs *store, size_t jobs)
{
    size_t bytes = 0;
    pgk_recovery recovery = {.size = sizeof(recovery), .user = &bytes, .job = weigh};
    pgk_error err;
    int64_t t0_ns = wait_now_ns();
    CHECK_OK(pgk_ha_recover(ha, store, &recovery, &err), err);
    int64_t took_ns = wait_now_ns() - t0_ns;
    assert_int_equal(bytes, jobs);
    return took_ns;
}

/* With a plan for three jobs, 4,000 took some hundred times as long. */
static void test_recovery__statistics_of_few_jobs__no_look_at_all_jobs_for_each(void **state)
{
    static const char *const tables[] = {"job_graph", "checkpoint", "checkpoint_counter"};
    struct fixture *fixture = *state;
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    pgk_job_graphs *store = shelf_open(ha, PGK_UNFENCED, NULL);

    add_small_jobs(fixture, 1, 3);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        db_exec(fixture, "ALTER TABLE pgkeeper.%s SET (autovacuum_enabled = off)", tables[i]);
        db_exec(fixture, "ANALYZE pgkeeper.%s", tables[i]);
    }
    recover_ns(ha, store, 3);
    add_small_jobs(fixture, 4, 4000);
    int64_t stale_ns = recover_ns(ha, store, 4000);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        db_exec(fixture, "ANALYZE pgkeeper.%s", tables[i]);
    }
    int64_t fresh_ns = recover_ns(ha, store, 4000);
    assert_in_range(stale_ns, 0, 25 * fresh_ns + 200 * WAIT_NS_PER_MS);
    pgk_job_graphs_free(store);
    pgk_ha_free(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_recovery__all_parts__in_order_and_owned),
        DB_TEST(test_recovery__bad_arguments__status),
        DB_TEST(test_recovery__damage__that_entry_alone_is_corrupt),
        DB_TEST(test_recovery__changed_meanwhile__one_snapshot),
        DB_TEST(test_recovery__many_large_graphs__memory_for_a_few),
        DB_TEST(test_recovery__pieces__put_together_at_every_edge),
#ifndef PGK_TEST_SANITIZED
        DB_TEST(test_recovery__largest_graph__comes_back_and_a_larger_one_is_refused),
#endif
        DB_TEST(test_recovery__statistics_of_few_jobs__no_look_at_all_jobs_for_each),
    };
    return cmocka_run_group_tests_name("recovery", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
