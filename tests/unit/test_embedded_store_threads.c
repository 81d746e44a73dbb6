/*
 * The stores in memory, used from many threads of two handles at once: no number twice, each look is of one moment,
 * and nothing is written once the fence has closed. Run it under ThreadSanitizer. No server.
 */
#include <pgkeeper/pgkeeper.h>

#include <stdlib.h>

#include "ear.h"
#include "party.h"
#include "shelf.h"
#include "store_tools.h"

#ifdef PGK_TEST_SANITIZED
#define ROUNDS 150
#define DRAWS 1000
#define FENCES 30
#else
#define ROUNDS 600
#define DRAWS 5000
#define FENCES 150
#endif
#define THREADS 4
#define JOBS 24
#define ENDING 200 /* jobs */

/* ------------------------------------------------------------------ the counter */

static atomic_char issued[PARTY_HANDLES * THREADS * DRAWS + 2];

static void draw_numbers(struct party *party, int number)
{
    pgk_checkpoint_counter *counter = NULL;
    pgk_uuid job = job_number(1);
    pgk_error err;
    MUST_OK(pgk_ha_checkpoint_counter(party->ha[number % PARTY_HANDLES], PGK_UNFENCED, &job,
                                      &counter, &err),
            err);
    for (int i = 0; i < DRAWS; i++) {
        int64_t value = 0;
        MUST_OK(pgk_checkpoint_counter_get_and_increment(counter, &value, &err), err);
        MUST(value >= 1 && value <= PARTY_HANDLES * THREADS * DRAWS);
        MUST(atomic_fetch_add(&issued[value], 1) == 0);
    }
    pgk_checkpoint_counter_free(counter);
}

static void test_embedded_stores__counter_of_many_threads__each_number_once(void **state)
{
    (void)state;
    struct party party;
    struct hand hands[PARTY_HANDLES * THREADS];
    party_open(&party, "counter");
    hands_start(hands, PARTY_HANDLES * THREADS, &party, draw_numbers);
    hands_join(hands, PARTY_HANDLES * THREADS);
    for (int i = 1; i <= PARTY_HANDLES * THREADS * DRAWS; i++) {
        assert_int_equal(atomic_load(&issued[i]), 1);
    }
    party_close(&party);
}

/* ------------------------------------------------------------------ one snapshot */

/* What a recovery handed out. */
struct look {
    struct party *party;
    int results;
    int jobs;
    bool of_job[ENDING];
};

static int number_of(const pgk_uuid *job_id)
{
    for (int i = 0; i < ENDING; i++) {
        pgk_uuid id = job_number(i);
        if (pgk_uuid_compare(&id, job_id) == 0) {
            return i;
        }
    }
    MUST(!"one of the jobs");
    return -1;
}

static void look_at(struct look *look, const pgk_uuid *job_id)
{
    int number = number_of(job_id);
    MUST(!look->of_job[number]);
    look->of_job[number] = true;
}

static pgk_status on_result(void *user, const pgk_job_result *result)
{
    struct look *look = user;
    MUST(result->entry_status == PGK_OK);
    MUST(strcmp(result->job_name, "harvest") == 0);
    look_at(look, &result->job_id);
    look->results++;
    return PGK_OK;
}

/* Nothing is locked: it may write, through another handle too. */
static void write_meanwhile(struct party *party, const pgk_uuid *job_id)
{
    pgk_job_registry *registry = NULL;
    MUST(pgk_ha_job_registry(party->ha[1], PGK_UNFENCED, &registry, NULL) == PGK_OK);
    MUST(pgk_job_registry_set_running(registry, job_id, NULL) == PGK_OK);
    pgk_job_registry_free(registry);
}

static pgk_status on_job(void *user, const pgk_recovered_job *job)
{
    struct look *look = user;
    MUST(job->graph->status == PGK_OK);
    if (job->checkpoint != NULL) {
        MUST(job->checkpoint->status == PGK_OK);
        MUST(job->checkpoint->checkpoint_id < job->next_checkpoint_id);
    } else {
        MUST(job->next_checkpoint_id <= 2); /* drawn and not added yet */
    }
    look_at(look, &job->graph->job_id);
    look->jobs++;
    if (look->jobs == 1) {
        write_meanwhile(look->party, &job->graph->job_id);
    }
    return PGK_OK;
}

/* Runs every job for some checkpoints, then ends it. */
static void run_jobs(struct party *party, int number)
{
    pgk_job_results *results = NULL;
    pgk_error err;
    (void)number;
    MUST_OK(pgk_ha_job_results(party->ha[0], PGK_UNFENCED, &results, &err), err);
    for (int i = 0; i < ENDING; i++) {
        pgk_uuid job = job_number(i);
        pgk_job_result result = result_of(1);
        pgk_checkpoint_counter *counter = NULL;
        pgk_checkpoints *checkpoints = NULL;
        pgk_checkpoints_options options = {
            .size = sizeof(options), .job_id = job, .max_retained = 2};
        int64_t id;
        MUST_OK(pgk_ha_checkpoint_counter(party->ha[0], PGK_UNFENCED, &job, &counter, &err), err);
        MUST_OK(pgk_ha_checkpoints(party->ha[0], PGK_UNFENCED, &options, &checkpoints, &err), err);
        for (int c = 0; c < 5; c++) {
            MUST_OK(pgk_checkpoint_counter_get_and_increment(counter, &id, &err), err);
            pgk_checkpoint checkpoint = checkpoint_of(id, PGK_CHECKPOINT);
            MUST_OK(pgk_checkpoints_add(checkpoints, &checkpoint, &err), err);
        }
        result.job_id = job;
        MUST_OK(pgk_job_results_finish_job(results, &result, &err), err);
        pgk_checkpoint_counter_free(counter);
        pgk_checkpoints_free(checkpoints);
    }
    pgk_job_results_free(results);
    atomic_store(&party->over, true);
}

static void recover_often(struct party *party, int number)
{
    int results = 0;
    pgk_error err;
    while (results < ENDING) {
        struct look look = {.party = party};
        pgk_recovery recovery = {
            .size = sizeof(recovery), .user = &look, .dirty_result = on_result, .job = on_job};
        MUST_OK(pgk_ha_recover(party->ha[number % PARTY_HANDLES], NULL, &recovery, &err), err);
        MUST(look.results + look.jobs == ENDING);
        MUST(look.results >= results);
        results = look.results;
        atomic_fetch_add(&party->count, 1);
    }
}

static void test_embedded_stores__recovered_while_jobs_end__each_look_is_of_one_moment(void **state)
{
    (void)state;
    struct party party;
    struct hand runner;
    struct hand hands[THREADS - 1];
    pgk_error err;
    party_open(&party, "snapshot");
    pgk_job_graphs *store = shelf_open(party.ha[0], PGK_UNFENCED, NULL);
    for (int i = 0; i < ENDING; i++) {
        pgk_uuid job = job_number(i);
        CHECK_OK(pgk_job_graphs_put(store, &job, "graph", 5, &err), err);
    }
    hands_start(hands, THREADS - 1, &party, recover_often);
    WAIT_UNTIL(atomic_load(&party.count) > THREADS, WAIT_LONG_MS);
    hands_start(&runner, 1, &party, run_jobs);
    hands_join(&runner, 1);
    hands_join(hands, THREADS - 1);
    pgk_job_graphs_free(store);
    party_close(&party);
}

/* ------------------------------------------------------------------ graphs */

#define GRAPH_BYTES 3000

/* A graph is one byte again and again. */
static void check_whole(const pgk_job_graph *graph)
{
    const unsigned char *bytes = graph->graph;
    MUST(graph->status == PGK_OK);
    for (size_t i = 1; i < graph->graph_bytes; i++) {
        MUST(bytes[i] == bytes[0]);
    }
}

static pgk_status on_graph(void *user, const pgk_job_graph *graph)
{
    (void)user;
    check_whole(graph);
    return PGK_OK;
}

static void put_one(pgk_job_graphs *store, const pgk_uuid *job, unsigned random)
{
    unsigned char bytes[GRAPH_BYTES];
    pgk_error err;
    memset(bytes, (int)(random % 251), sizeof(bytes));
    pgk_status status = pgk_job_graphs_put(store, job, bytes, 1 + random % GRAPH_BYTES, &err);
    MUST(status == PGK_OK || status == PGK_ERR_ALREADY_EXISTS || status == PGK_ERR_CONFLICT);
}

static void recover_one(pgk_job_graphs *store, const pgk_uuid *job)
{
    pgk_job_graph *graph = NULL;
    pgk_status status = pgk_job_graphs_recover(store, job, &graph, NULL);
    MUST(status == PGK_OK || status == PGK_ERR_NOT_FOUND);
    if (status == PGK_OK) {
        check_whole(graph);
    }
    pgk_job_graph_free(graph);
}

static void use_graphs(struct party *party, int number)
{
    pgk_job_graphs *store = shelf_open(party->ha[number % PARTY_HANDLES], PGK_UNFENCED, NULL);
    unsigned random = (unsigned)number + 1;
    pgk_error err;
    for (int i = 0; i < ROUNDS; i++) {
        pgk_uuid job = job_number(rand_r(&random) % JOBS);
        switch (rand_r(&random) % 8) {
        case 0:
            MUST_OK(pgk_job_graphs_recover_all(store, on_graph, NULL, &err), err);
            break;
        case 1: {
            pgk_status status = pgk_job_graphs_remove(store, &job, NULL);
            MUST(status == PGK_OK || status == PGK_ERR_CONFLICT);
            break;
        }
        case 2:
            MUST_OK(pgk_job_graphs_release(store, &job, &err), err);
            break;
        case 3: {
            pgk_status status = pgk_job_graphs_put_requirements(store, &job, "cpu", 3, NULL);
            MUST(status == PGK_OK || status == PGK_ERR_NOT_FOUND);
            break;
        }
        case 4:
        case 5:
            recover_one(store, &job);
            break;
        default:
            put_one(store, &job, (unsigned)rand_r(&random));
            break;
        }
    }
    pgk_job_graphs_free(store);
}

static struct ear ear;

static void test_embedded_stores__graphs_of_many_threads__whole_and_told(void **state)
{
    (void)state;
    struct party party;
    struct hand hands[THREADS];
    pgk_uuid *ids = NULL;
    size_t count = 0;
    pgk_error err;
    party_open(&party, "graphs");
    pgk_job_graph_listener listener = ear_open(&ear);
    pgk_job_graphs *listening = shelf_open(party.ha[1], PGK_UNFENCED, &listener);
    hands_start(hands, THREADS, &party, use_graphs);
    hands_join(hands, THREADS);
    CHECK_OK(pgk_job_graphs_list(listening, &ids, &count, &err), err);
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || pgk_uuid_compare(&ids[i - 1], &ids[i]) < 0);
        EAR_WAIT(&ear, true, &ids[i], 1);
    }
    assert_true(count > 0);
    pgk_job_ids_free(ids);
    pgk_job_graphs_free(listening);
    party_close(&party);
}

/* ------------------------------------------------------------------ two listeners of a handle */

/* While one is handed all graphs, which hides from it what others do. */
struct blinded {
    struct party *party;
    pgk_job_graphs *blind;
    pgk_job_graphs *other; /* of another handle */
    struct ear *seeing_ear;
    int round;
};

static void put_own(struct party *party, int number)
{
    const struct blinded *blinded = party->user;
    pgk_uuid job = job_number(1000 + blinded->round);
    pgk_error err;
    (void)number;
    MUST_OK(pgk_job_graphs_put(blinded->blind, &job, "own", 3, &err), err);
}

/* Somebody else's graph, and then its own, of which only the other listener is told. */
static pgk_status on_first(void *user, const pgk_job_graph *graph)
{
    struct blinded *blinded = user;
    pgk_uuid theirs = job_number(2000 + blinded->round);
    pgk_uuid own = job_number(1000 + blinded->round);
    struct hand hand;
    pgk_error err;
    (void)graph;
    CHECK_OK(pgk_job_graphs_put(blinded->other, &theirs, "theirs", 6, &err), err);
    EAR_WAIT(blinded->seeing_ear, true, &theirs, 1);
    hands_start(&hand, 1, blinded->party, put_own);
    hands_join(&hand, 1);
    EAR_WAIT(blinded->seeing_ear, true, &own, 1);
    return PGK_ERR_IO; /* one is enough */
}

static void test_embedded_stores__busy_while_another_is_told__is_told_later(void **state)
{
    (void)state;
    static struct ear blind_ear;
    static struct ear seeing_ear;
    struct party party;
    pgk_uuid first = job_number(1);
    pgk_error err;
    party_open(&party, "blind");
    pgk_job_graph_listener blind_listener = ear_open(&blind_ear);
    pgk_job_graph_listener seeing_listener = ear_open(&seeing_ear);
    struct blinded blinded = {.party = &party,
                              .blind = shelf_open(party.ha[0], PGK_UNFENCED, &blind_listener),
                              .other = shelf_open(party.ha[1], PGK_UNFENCED, NULL),
                              .seeing_ear = &seeing_ear};
    pgk_job_graphs *seeing = shelf_open(party.ha[0], PGK_UNFENCED, &seeing_listener);
    party.user = &blinded;
    CHECK_OK(pgk_job_graphs_put(blinded.other, &first, "first", 5, &err), err);
    for (int i = 0; i < 5; i++) {
        pgk_uuid theirs = job_number(2000 + i);
        blinded.round = i;
        assert_int_equal(pgk_job_graphs_recover_all(blinded.blind, on_first, &blinded, &err),
                         PGK_ERR_IO);
        EAR_WAIT(&blind_ear, true, &theirs, 1);
    }
    pgk_job_graphs_free(seeing);
    pgk_job_graphs_free(blinded.blind);
    pgk_job_graphs_free(blinded.other);
    party_close(&party);
}

/* ------------------------------------------------------------------ the fence */

struct fenced {
    pgk_ha *ha;
    pgk_token token;
    atomic_int written;
    pthread_t thread;
};

/* Draws numbers under a token until it is refused. */
static void *draw_until_fenced(void *arg)
{
    struct fenced *fenced = arg;
    pgk_checkpoint_counter *counter = NULL;
    pgk_uuid job = job_number(1);
    pgk_status status;
    int64_t value;
    MUST(pgk_ha_checkpoint_counter(fenced->ha, &fenced->token, &job, &counter, NULL) == PGK_OK);
    do {
        status = pgk_checkpoint_counter_get_and_increment(counter, &value, NULL);
        atomic_fetch_add(&fenced->written, status == PGK_OK);
    } while (status == PGK_OK);
    MUST(status == PGK_ERR_FENCED);
    pgk_checkpoint_counter_free(counter);
    return NULL;
}

static int64_t next_number(pgk_ha *ha)
{
    pgk_checkpoint_counter *counter = NULL;
    pgk_uuid job = job_number(1);
    int64_t value = 0;
    MUST(pgk_ha_checkpoint_counter(ha, PGK_UNFENCED, &job, &counter, NULL) == PGK_OK);
    MUST(pgk_checkpoint_counter_get(counter, &value, NULL) == PGK_OK);
    pgk_checkpoint_counter_free(counter);
    return value;
}

static void
test_embedded_stores__revoked_while_threads_write__nothing_after_it_returned(void **state)
{
    (void)state;
    struct member *member = member_new(inproc_open("embedded", "fence", NULL));
    int total = 0;
    actor_contend(&member->a[0], member->ha, PGK_COMPONENT_DISPATCHER, NULL);
    for (int i = 0; i < FENCES; i++) {
        struct fenced fenced[THREADS];
        ACTOR_WAIT(&member->a[0], TAPE_GRANT, i + 1);
        for (int t = 0; t < THREADS; t++) {
            fenced[t] = (struct fenced){.ha = member->ha};
            assert_int_equal(pgk_election_token(member->a[0].election, &fenced[t].token, NULL),
                             PGK_OK);
            assert_int_equal(pthread_create(&fenced[t].thread, NULL, draw_until_fenced, &fenced[t]),
                             0);
        }
        WAIT_UNTIL(atomic_load(&fenced[0].written) > 3, WAIT_LONG_MS);
        assert_int_equal(pgk_embedded_revoke("fence", PGK_COMPONENT_DISPATCHER, NULL), PGK_OK);
        int64_t next = next_number(member->ha);
        for (int t = 0; t < THREADS; t++) {
            pthread_join(fenced[t].thread, NULL);
            total += atomic_load(&fenced[t].written);
        }
        assert_int_equal(next_number(member->ha), next);
        assert_int_equal(next, total + 1);
        assert_int_equal(pgk_embedded_grant("fence", PGK_COMPONENT_DISPATCHER, NULL), PGK_OK);
    }
    member_free(member);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedded_stores__counter_of_many_threads__each_number_once),
        cmocka_unit_test(
            test_embedded_stores__recovered_while_jobs_end__each_look_is_of_one_moment),
        cmocka_unit_test(test_embedded_stores__graphs_of_many_threads__whole_and_told),
        cmocka_unit_test(test_embedded_stores__busy_while_another_is_told__is_told_later),
        cmocka_unit_test(
            test_embedded_stores__revoked_while_threads_write__nothing_after_it_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
