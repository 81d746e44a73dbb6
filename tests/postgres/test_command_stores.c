/*
 * tests/postgres/test_command_stores.c - the command beside a living leader: what it stores the leader hears of and
 * recovers, what the leader owns it leaves alone, what it is forced to do the leader learns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ear.h"
#include "recorder.h"
#include "scratch.h"
#include "shelf.h"

/* Runs `pgkeeper jobs ACTION ID [WORD...]`; its exit code. */
static int jobs(struct fixture *fixture, const char *action, const pgk_uuid *job,
                const char *const words[3], char **ret_output)
{
    const char *const argv[] = {PGK_TEST_COMMAND,
                                "-d",
                                fixture->conninfo,
                                "--cluster",
                                FIXTURE_CLUSTER,
                                "jobs",
                                action,
                                shelf_text(job),
                                words[0],
                                words[1],
                                words[1] != NULL ? words[2] : NULL,
                                NULL};
    return process_run(argv, NULL, ret_output);
}
#define JOBS(action, job, output, ...)                                                             \
    jobs(fixture, action, job, (const char *const[3]){__VA_ARGS__}, output)

static void test_command_stores__leader_alive__hears_of_graphs_and_keeps_its_own(void **state)
{
    static const char bytes[] = "\0graph\0\xff";
    static struct ear ear;
    struct fixture *fixture = *state;
    pgk_job_graph_listener listener = ear_open(&ear);
    pgk_ha *ha = handle_open(fixture, "a", NULL);
    struct leadership lead;
    pgk_uuid own = job_number(1), other = job_number(2);
    char path[] = "/tmp/pgkeeper-graph-XXXXXX";
    char *output = NULL;
    pgk_job_graph *graph = NULL;
    pgk_error err;

    scratch_file(path, bytes, sizeof bytes);
    lead_begin(&lead, ha);
    pgk_job_graphs *store = shelf_open(ha, &lead.token, &listener);
    CHECK_OK(pgk_job_graphs_put(store, &own, "own\n", 4, &err), err);

    /* The leader hears of a graph that somebody stored, and gets it byte for byte. */
    assert_int_equal(JOBS("put", &other, NULL, path), 0);
    EAR_WAIT(&ear, true, &other, 1);
    CHECK_OK(pgk_job_graphs_recover(store, &other, &graph, &err), err);
    assert_int_equal(graph->graph_bytes, sizeof bytes);
    assert_memory_equal(graph->graph, bytes, sizeof bytes);
    pgk_job_graph_free(graph);
    assert_int_equal(ear_count(&ear, true, &own), 0);

    /* What it put comes out of the command; what it owns stays its own. */
    assert_int_equal(JOBS("get", &own, &output, "-"), 0);
    assert_string_equal(output, "own\n");
    free(output);
    assert_int_equal(JOBS("rm", &other, NULL, "--yes"), 1);
    assert_int_equal(JOBS("put", &other, NULL, path, "--replace"), 1);
    CHECK_OK(pgk_job_graphs_put(store, &other, "second", 6, &err), err);

    /* By force: the leader overwrites nothing unknowingly, and learns of what is gone. */
    assert_int_equal(JOBS("put", &other, NULL, path, "--replace", "--force"), 0);
    assert_int_equal(pgk_job_graphs_put(store, &other, "third", 5, &err), PGK_ERR_CONFLICT);
    assert_int_equal(JOBS("rm", &other, NULL, "--yes", "--force"), 0);
    EAR_WAIT(&ear, false, &other, 1);

    /* Once it is gone nobody owns anything. */
    pgk_job_graphs_free(store);
    assert_int_equal(JOBS("rm", &own, NULL, "--yes"), 0);
    assert_int_equal(JOBS("rm", &own, NULL, "--yes"), 4);
    lead_end(&lead);
    handle_close(ha);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_command_stores__leader_alive__hears_of_graphs_and_keeps_its_own),
    };
    return cmocka_run_group_tests_name("command_stores", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
