/*
 * tests/faults/test_store_fence.c - eight writers under a hundred take-overs: whatever a deposed leader's stores try,
 * nothing of an epoch is written once its successor leads. The leader loses its session, resigns, or is deposed by hand.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob_tools.h"
#include "contest.h"
#include "shelf.h"

#define WRITERS 8
#define HANDLES 2
#ifdef PGK_TEST_SANITIZED
#define TAKE_OVERS 25
#else
#define TAKE_OVERS 100
#endif
/* A writer goes on with a token that was refused, for so many writes. */
#define OBSTINACY 8
/* A blob that does not fit into one statement. */
#define LARGE_BYTES (MIB + 1)

struct scene {
    struct fixture *fixture;
    struct recorder *recorder;
    pgk_ha *ha[HANDLES];
    struct part part[HANDLES];
    atomic_bool over;
};

struct writer {
    struct scene *scene;
    int handle;
    unsigned random;
    long done;    /* graphs put that answered OK */
    long unknown; /* ... OUTCOME_UNKNOWN */
    long refused;
    int bad; /* accepted after a refusal, or an answer that must not be */
    char message[PGK_ERROR_MESSAGE_SIZE + 64];
};

/* The stores of one tenure. */
struct bench {
    pgk_token token;
    pgk_uuid last; /* job whose graph was put last */
    long *counted; /* as what: the writer's done or unknown; NULL: not stored */
    pgk_job_graphs *graphs;
    pgk_job_results *results;
    pgk_job_registry *registry;
    pgk_blobs *blobs;
    pgk_uuid blob_job; /* of the blob that was put last */
    pgk_blob_key blob_key;
};

static unsigned char large[LARGE_BYTES];

static void blame(struct writer *writer, const char *what, pgk_status status, const pgk_error *err)
{
    writer->bad++;
    snprintf(writer->message, sizeof(writer->message), "%s: %s: %s", what, pgk_status_name(status),
             err->message);
}

/* The checkpoint and the counter of a new job. */
static pgk_status number_one(struct writer *writer, const struct bench *bench, const pgk_uuid *job,
                             pgk_error *err)
{
    pgk_checkpoint_counter *counter = NULL;
    int64_t value;
    pgk_status status = pgk_ha_checkpoint_counter(writer->scene->ha[writer->handle], &bench->token,
                                                  job, &counter, err);
    if (status == PGK_OK && rand_r(&writer->random) % 2 == 0) {
        status = pgk_checkpoint_counter_set(counter, 7, err);
    } else if (status == PGK_OK) {
        status = pgk_checkpoint_counter_get_and_increment(counter, &value, err);
    }
    pgk_checkpoint_counter_free(counter);
    return status;
}

static pgk_status add_one(struct writer *writer, const struct bench *bench, const pgk_uuid *job,
                          pgk_error *err)
{
    const pgk_checkpoints_options options = {
        .size = sizeof(options), .job_id = *job, .max_retained = 1};
    const pgk_checkpoint checkpoint = {
        .size = sizeof(checkpoint), .checkpoint_id = 1, .pointer = "file:/1"};
    pgk_checkpoints *store = NULL;
    pgk_status status =
        pgk_ha_checkpoints(writer->scene->ha[writer->handle], &bench->token, &options, &store, err);
    if (status == PGK_OK) {
        status = pgk_checkpoints_add(store, &checkpoint, err);
    }
    if (status == PGK_OK && rand_r(&writer->random) % 2 == 0) {
        status = pgk_checkpoints_shutdown(store, PGK_JOB_FINISHED, err);
    }
    pgk_checkpoints_free(store);
    return status;
}

static pgk_status remove_one(struct writer *writer, struct bench *bench, pgk_error *err)
{
    pgk_ha *ha = writer->scene->ha[writer->handle];
    pgk_status status = rand_r(&writer->random) % 2 == 0
                            ? pgk_job_graphs_remove(bench->graphs, &bench->last, err)
                            : pgk_ha_cleanup_job(ha, &bench->token, &bench->last, NULL, err);
    if (bench->counted != NULL && (status == PGK_OK || status == PGK_ERR_OUTCOME_UNKNOWN)) {
        (*bench->counted)--;
        writer->unknown += status == PGK_ERR_OUTCOME_UNKNOWN;
        bench->counted = NULL;
    }
    return status;
}

/* Changes or removes what this writer wrote with the same token before. */
static pgk_status change_one(struct writer *writer, struct bench *bench, pgk_error *err)
{
    pgk_status status;
    switch (rand_r(&writer->random) % 7) {
    case 3:
        return pgk_blobs_delete(bench->blobs, &bench->blob_job, &bench->blob_key, err);
    case 4:
        return pgk_blobs_delete_all(bench->blobs, &bench->blob_job, NULL, err);
    case 0:
        return pgk_job_registry_clear(bench->registry, &bench->last, err);
    case 1:
        return pgk_job_registry_set_finished(bench->registry, &bench->last, err);
    case 2:
        status = pgk_job_graphs_put_requirements(bench->graphs, &bench->last, "r", 1, err);
        return status == PGK_ERR_NOT_FOUND ? PGK_ERR_OUTCOME_UNKNOWN : status; /* says nothing */
    default:
        return remove_one(writer, bench, err);
    }
}

/* In one statement, or piece by piece to an object that is made a blob at the end. */
static pgk_status put_blob(struct bench *bench, const pgk_uuid *job, const void *data, size_t bytes,
                           pgk_error *err)
{
    const pgk_blob_source source = {.size = sizeof(source), .data = data, .data_bytes = bytes};
    pgk_blob_key key;
    pgk_status status = pgk_blobs_add(bench->blobs, job, PGK_BLOB_PERMANENT, &source, &key, err);
    if (status == PGK_OK) {
        bench->blob_job = *job;
        bench->blob_key = key;
        status = pgk_blobs_put_buffer(bench->blobs, job, &key, data, bytes, err);
    }
    return status;
}

static pgk_status put_graph(struct writer *writer, struct bench *bench, const pgk_uuid *job,
                            bool with_blobs, pgk_error *err)
{
    pgk_blob_entry entry = {
        .source = {.size = sizeof(entry.source), .data = "blob", .data_bytes = 4}};
    pgk_status status = PGK_OK;
    if (with_blobs) {
        status = pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "blob", 4, &entry.key, err);
    }
    if (status == PGK_OK) {
        status = with_blobs
                     ? pgk_job_graphs_put_with_blobs(bench->graphs, job, "graph", 5, &entry, 1, err)
                     : pgk_job_graphs_put(bench->graphs, job, "graph", 5, err);
    }
    writer->done += status == PGK_OK;
    writer->unknown += status == PGK_ERR_OUTCOME_UNKNOWN;
    bench->last = *job;
    bench->counted = status == PGK_OK                    ? &writer->done
                     : status == PGK_ERR_OUTCOME_UNKNOWN ? &writer->unknown
                                                         : NULL;
    return status;
}

/* One write; the job is nobody else's. */
static pgk_status write_one(struct writer *writer, struct bench *bench, pgk_error *err)
{
    pgk_uuid job;
    pgk_job_result result = {.size = sizeof(result), .status = PGK_JOB_FINISHED, .job_name = "job"};
    pgk_status status;
    pgk_uuid_new(&job);
    result.job_id = job;
    int choice = rand_r(&writer->random) % 14;
    if (choice < 2 && !pgk_uuid_is_nil(&bench->last)) {
        return change_one(writer, bench, err);
    }
    switch (choice) {
    case 2:
        return pgk_job_results_create_dirty(bench->results, &result, err);
    case 3:
        return pgk_job_registry_set_running(bench->registry, &job, err);
    case 4:
        status = pgk_job_results_finish_job(bench->results, &result, err);
        return status == PGK_OK ? pgk_job_results_mark_clean(bench->results, &job, err) : status;
    case 5:
        return number_one(writer, bench, &job, err);
    case 6:
        return add_one(writer, bench, &job, err);
    case 7:
        return put_blob(bench, &job, "blob", 4, err);
    case 8:
        return put_blob(bench, &job, large, LARGE_BYTES, err);
    default:
        return put_graph(writer, bench, &job, choice < 10, err);
    }
}

/* What takes away much, and would not stop at rows of this epoch: tried by the deposed only. */
static void take_all(struct writer *writer, const struct bench *bench)
{
    pgk_error err;
    int64_t removed = 0;
    pgk_status status = pgk_job_results_purge(bench->results, &removed, &err);
    if (status != PGK_ERR_FENCED && status != PGK_ERR_OUTCOME_UNKNOWN) {
        blame(writer, "purge", status, &err);
    }
    status = pgk_ha_cleanup_all(writer->scene->ha[writer->handle], &bench->token, &removed, &err);
    if (status != PGK_ERR_FENCED && status != PGK_ERR_OUTCOME_UNKNOWN) {
        blame(writer, "cleanup_all", status, &err);
    }
    status = pgk_blobs_delete_all(bench->blobs, NULL, &removed, &err);
    if (status != PGK_ERR_FENCED && status != PGK_ERR_OUTCOME_UNKNOWN) {
        blame(writer, "delete_all", status, &err);
    }
}

/* Writes under one token until it is refused, and a while longer. */
static void write_under(struct writer *writer, const pgk_token *token)
{
    pgk_ha *ha = writer->scene->ha[writer->handle];
    struct bench bench = {.token = *token};
    pgk_error err;
    int refusals = 0;
    pgk_status status = pgk_ha_job_graphs(ha, token, &bench.graphs, &err);
    if (status == PGK_OK) {
        status = pgk_ha_job_results(ha, token, &bench.results, &err);
    }
    if (status == PGK_OK) {
        status = pgk_ha_job_registry(ha, token, &bench.registry, &err);
    }
    if (status == PGK_OK) {
        status = pgk_ha_blobs(ha, token, &bench.blobs, &err);
    }
    if (status == PGK_OK) {
        status = pgk_job_graphs_start(bench.graphs, NULL, &err);
    }
    while (status == PGK_OK && refusals < OBSTINACY && !atomic_load(&writer->scene->over)) {
        pgk_status answer = write_one(writer, &bench, &err);
        if (answer == PGK_ERR_FENCED) {
            refusals++;
            writer->refused++;
        } else if (answer == PGK_OK && refusals > 0) {
            blame(writer, "accepted after a refusal", answer, &err);
        } else if (answer != PGK_OK && answer != PGK_ERR_OUTCOME_UNKNOWN) {
            blame(writer, "write", answer, &err);
        }
    }
    if (status != PGK_OK && status != PGK_ERR_FENCED) {
        blame(writer, "start", status, &err);
    }
    if (refusals == OBSTINACY) {
        take_all(writer, &bench);
    }
    pgk_blobs_free(bench.blobs);
    pgk_job_graphs_free(bench.graphs);
    pgk_job_results_free(bench.results);
    pgk_job_registry_free(bench.registry);
}

static void *write_all(void *arg)
{
    struct writer *writer = arg;
    struct scene *scene = writer->scene;
    while (!atomic_load(&scene->over)) {
        pgk_token token;
        if (pgk_election_token(scene->part[writer->handle].election, &token, NULL) == PGK_OK) {
            write_under(writer, &token);
        } else {
            wait_pause_ms(1);
        }
    }
    return NULL;
}

/* Waits for a tenure after `epoch` and returns its own. */
static int64_t led_since(struct fixture *fixture, int64_t epoch)
{
    db_wait(fixture, "t", WAIT_LONG_MS,
            "SELECT EXISTS (SELECT FROM pgkeeper.leadership WHERE epoch > %lld"
            " AND session_id IS NOT NULL AND released_at IS NULL)",
            (long long)epoch);
    return db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
}

/* Ends the leader's session, and waits until it has met it: not one that leads by then, nor the close at the end. */
static void kill_leader(struct fixture *fixture)
{
    int64_t pid = db_int(fixture, "SELECT m.backend_pid FROM pgkeeper.tenure t"
                                  " JOIN pgkeeper.member m ON m.id = t.member_id");
    db_exec(fixture, "SELECT pg_terminate_backend(%lld)", (long long)pid);
    db_wait(fixture, "0", WAIT_LONG_MS, "SELECT count(*) FROM pg_stat_activity WHERE pid = %lld",
            (long long)pid);
}

/* The last one is a resignation: after it no session is about to break. */
static void depose(struct scene *scene, int round)
{
    struct fixture *fixture = scene->fixture;
    switch ((TAKE_OVERS - round) % 3) {
    case 0:
        db_exec(fixture, "UPDATE pgkeeper.leadership SET epoch = epoch + 1");
        break;
    case 1:
        for (int i = 0; i < HANDLES; i++) {
            (void)pgk_election_resign(scene->part[i].election, NULL);
        }
        break;
    default:
        kill_leader(fixture);
    }
}

#define ROWS                                                                                       \
    "(SELECT epoch FROM pgkeeper.job_graph UNION ALL SELECT epoch FROM pgkeeper.job_result"        \
    " UNION ALL SELECT epoch FROM pgkeeper.job_status"                                             \
    " UNION ALL SELECT epoch FROM pgkeeper.checkpoint"                                             \
    " UNION ALL SELECT epoch FROM pgkeeper.checkpoint_counter"                                     \
    " UNION ALL SELECT epoch FROM pgkeeper.blob)"

static void test_store_fence__writers_under_take_overs__no_row_of_an_older_epoch_after(void **state)
{
    static struct writer writers[WRITERS];
    struct scene scene = {.fixture = *state, .recorder = recorder_new()};
    struct fixture *fixture = scene.fixture;
    pthread_t threads[WRITERS];
    long done = 0;
    long unknown = 0;
    long refused = 0;

    db_exec(fixture, "CREATE TABLE public.frozen (epoch bigint PRIMARY KEY, rows bigint)");
    for (int i = 0; i < HANDLES; i++) {
        scene.ha[i] = handle_open(fixture, i == 0 ? "a" : "b", NULL);
        part_contend(&scene.part[i], scene.recorder, scene.ha[i], "dispatcher", NULL);
    }
    int64_t epoch = led_since(fixture, 0);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] =
            (struct writer){.scene = &scene, .handle = i % HANDLES, .random = (unsigned)i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, write_all, &writers[i]), 0);
    }
    for (int round = 0; round < TAKE_OVERS; round++) {
        db_wait(fixture, "t", WAIT_LONG_MS,
                "SELECT EXISTS (SELECT FROM pgkeeper.job_graph WHERE epoch >= %lld)",
                (long long)epoch);
        /* One raised by hand was nobody's: another may lead by now, and it is that one's end that is waited for. */
        epoch = db_int(fixture, "SELECT epoch FROM pgkeeper.tenure");
        depose(&scene, round);
        epoch = led_since(fixture, epoch);
        /* From here on these are complete. */
        db_exec(fixture,
                "INSERT INTO public.frozen SELECT epoch, count(*) FROM " ROWS " r"
                " WHERE epoch < %lld GROUP BY epoch ON CONFLICT DO NOTHING",
                (long long)epoch);
    }
    atomic_store(&scene.over, true);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        if (writers[i].bad > 0) {
            fail_msg("writer %d: %d times: %s", i, writers[i].bad, writers[i].message);
        }
        done += writers[i].done;
        unknown += writers[i].unknown;
        refused += writers[i].refused;
    }
    fprintf(stderr, "%ld graphs put, %ld unknown, %ld refusals\n", done, unknown, refused);
    assert_string_equal(
        db_text(fixture,
                "SELECT string_agg(epoch || ': ' || f.rows || ' became ' || n, ', ')"
                "  FROM (SELECT epoch, count(*) AS n FROM " ROWS " r GROUP BY epoch) now"
                "  FULL JOIN public.frozen f USING (epoch)"
                " WHERE f.rows IS DISTINCT FROM n AND epoch < %lld",
                (long long)epoch),
        "");
    assert_true(db_int(fixture, "SELECT count(*) FROM public.frozen") >= TAKE_OVERS / 2);
    assert_true(refused > 0);
    /* Every acknowledged write is there once, and none that was not made. */
    assert_in_range(db_int(fixture, "SELECT count(*) FROM pgkeeper.job_graph"), done,
                    done + unknown);
    /* What was refused on its way has left nothing. */
    db_wait(fixture, "0", WAIT_LONG_MS,
            "SELECT count(*) FROM pgkeeper.blob_sweep(), pgkeeper.blob_loose");
    assert_int_equal(orphans_count(fixture), 0);
    for (int i = 0; i < HANDLES; i++) {
        part_free(&scene.part[i]);
        handle_close(scene.ha[i]);
    }
    recorder_free(scene.recorder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_store_fence__writers_under_take_overs__no_row_of_an_older_epoch_after),
    };
    return cmocka_run_group_tests_name("store_fence", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
