/*
 * The stores in memory when there is none: each act on them is done with its first allocation failing, then its second
 * and so on. It must say so and have changed nothing at all, and work when it is done again. No server.
 *
 * The allocations of this program are wrapped by the linker (see CMakeLists.txt); those of the test's thread fail, or of all others.
 */
#include <pgkeeper/pgkeeper.h>

#include <stdio.h>
#include <stdlib.h>

#include "ear.h"
#include "inproc.h"
#include "shelf.h"
#include "store_tools.h"

/* As many as fit in the first room of a table, so that the next one needs a larger one. */
#define SOME 8
#define LARGE ((size_t)3 * 1024 * 1024)
#define DUMP_BYTES 16384

/* ------------------------------------------------------------------ memory */

static _Thread_local bool of_test; /* is it the test's own thread? */
static int left = -1;              /* of that, until one fails; negative: none does */
static bool failed;
static atomic_int others; /* so many of the next ones of all other threads fail */

static bool fails(void)
{
    if (!of_test) {
        int now = atomic_load(&others);
        while (now > 0 && !atomic_compare_exchange_weak(&others, &now, now - 1)) {
            continue;
        }
        return now > 0;
    }
    if (left < 0 || left-- > 0) {
        return false;
    }
    failed = true;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

/* ------------------------------------------------------------------ a known state */

struct bench {
    struct member *member; /* leads */
    pgk_token token;
    pgk_ha *ha;
    pgk_job_graphs *graphs;
    pgk_job_graphs *fresh; /* started, and owns nothing */
    struct stores stores;  /* of job 1 */
    pgk_blobs *blobs;
    pgk_blob_key key; /* of put_good_blob */
};

static unsigned char large[LARGE];

static pgk_blob_key key_of(int number)
{
    pgk_blob_key key;
    memset(&key, 0, sizeof(key));
    key.random[0] = (uint8_t)number;
    return key;
}

static pgk_status put_blob(struct bench *b, int number, size_t bytes, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    pgk_blob_key key = key_of(number);
    return pgk_blobs_put_buffer(b->blobs, &job, &key, large, bytes, err);
}

static void fill(struct bench *b)
{
    pgk_error err;
    for (int i = 1; i <= SOME; i++) {
        pgk_uuid job = job_of(i);
        pgk_checkpoint checkpoint = checkpoint_of(i, i == 3 ? PGK_SAVEPOINT : PGK_CHECKPOINT);
        pgk_job_result result = result_of(i);
        STORE_WORKS(&err, pgk_job_registry_set_running(b->stores.registry, &job, &err));
        STORE_WORKS(&err, pgk_checkpoints_add(b->stores.checkpoints, &checkpoint, &err));
        STORE_WORKS(&err, put_blob(b, i, (size_t)i, &err));
        if (i <= 4) {
            STORE_WORKS(&err, pgk_job_graphs_put(b->graphs, &job, "graph", 5, &err));
            STORE_WORKS(&err, pgk_job_graphs_put_requirements(b->graphs, &job, "cpu", 3, &err));
        } else {
            STORE_WORKS(&err, pgk_job_results_create_dirty(b->stores.results, &result, &err));
        }
    }
    STORE_WORKS(&err, pgk_checkpoint_counter_set(b->stores.counter, 5, &err));
}

static void bench_open(struct bench *b)
{
    static int number;
    char cluster_id[32];
    pgk_checkpoints_options options = {
        .size = sizeof(options), .job_id = job_of(1), .max_retained = SOME};
    pgk_error err;
    snprintf(cluster_id, sizeof(cluster_id), "memory %d", number++);
    memset(b, 0, sizeof(*b));
    b->member = member_new(inproc_open("embedded", cluster_id, NULL));
    b->ha = b->member->ha;
    actor_contend(&b->member->a[0], b->ha, PGK_COMPONENT_DISPATCHER, NULL);
    ACTOR_WAIT(&b->member->a[0], TAPE_GRANT, 1);
    STORE_WORKS(&err, pgk_election_token(b->member->a[0].election, &b->token, &err));
    b->graphs = shelf_open(b->ha, &b->token, NULL);
    b->fresh = shelf_open(b->ha, &b->token, NULL);
    stores_open(&b->stores, b->ha, &b->token);
    pgk_checkpoints_free(b->stores.checkpoints);
    STORE_WORKS(&err, pgk_ha_checkpoints(b->ha, &b->token, &options, &b->stores.checkpoints, &err));
    STORE_WORKS(&err, pgk_ha_blobs(b->ha, &b->token, &b->blobs, &err));
    fill(b);
}

static void bench_close(struct bench *b)
{
    pgk_job_graphs_free(b->graphs);
    pgk_job_graphs_free(b->fresh);
    stores_free(&b->stores);
    pgk_blobs_free(b->blobs);
    member_free(b->member);
}

/* ------------------------------------------------------------------ what is there */

struct dump {
    size_t length;
    char text[DUMP_BYTES];
};

__attribute__((format(printf, 2, 3))) static void say(struct dump *dump, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(dump->text + dump->length, DUMP_BYTES - dump->length, format, arguments);
    va_end(arguments);
    dump->length += (size_t)length;
    assert_true(dump->length < DUMP_BYTES);
}

static pgk_status say_graph(void *user, const pgk_job_graph *graph)
{
    say(user, "graph %s %d %lld %.*s %.*s\n", shelf_text(&graph->job_id), (int)graph->status,
        (long long)graph->version, (int)graph->graph_bytes, (const char *)graph->graph,
        (int)graph->requirements_bytes,
        graph->requirements != NULL ? (const char *)graph->requirements : "");
    return PGK_OK;
}

static pgk_status say_result(void *user, const pgk_job_result *result)
{
    say(user, "result %s %d %d %s %zu\n", shelf_text(&result->job_id), (int)result->entry_status,
        result->dirty, result->job_name, result->accumulators_bytes);
    return PGK_OK;
}

static pgk_status say_status(void *user, const pgk_uuid *job_id, pgk_scheduling_status status)
{
    say(user, "status %s %s\n", shelf_text(job_id), pgk_scheduling_status_text(status));
    return PGK_OK;
}

static pgk_status say_checkpoint(void *user, const pgk_checkpoint *checkpoint)
{
    say(user, "checkpoint %lld %d %d %zu %s\n", (long long)checkpoint->checkpoint_id,
        (int)checkpoint->kind, (int)checkpoint->status, checkpoint->metadata_bytes,
        checkpoint->pointer != NULL ? checkpoint->pointer : "");
    return PGK_OK;
}

static pgk_status say_blob(void *user, const pgk_blob *blob)
{
    say(user, "blob %s %d %lld %d\n", shelf_text(&blob->job_id), blob->key.random[0],
        (long long)blob->bytes, (int)blob->status);
    return PGK_OK;
}

/* All that is stored, through stores of its own. */
static void take_dump(struct bench *b, struct dump *dump)
{
    struct stores stores;
    pgk_job_graphs *graphs = shelf_open(b->ha, PGK_UNFENCED, NULL);
    pgk_recovery discards = {
        .size = sizeof(discards), .user = dump, .pending_discard = say_checkpoint};
    int64_t damaged = 0;
    int64_t next = 0;
    pgk_error err;
    dump->length = 0;
    stores_open(&stores, b->ha, PGK_UNFENCED);
    STORE_WORKS(&err, pgk_job_graphs_recover_all(graphs, say_graph, dump, &err));
    STORE_WORKS(&err, pgk_job_results_list_dirty(stores.results, say_result, dump, &err));
    STORE_WORKS(&err, pgk_job_results_list_clean(stores.results, say_result, dump, &err));
    STORE_WORKS(&err, pgk_job_registry_list(stores.registry, say_status, dump, &err));
    STORE_WORKS(&err, pgk_checkpoints_all(stores.checkpoints, say_checkpoint, dump, &err));
    STORE_WORKS(&err, pgk_checkpoint_counter_get(stores.counter, &next, &err));
    say(dump, "next %lld, discarding:\n", (long long)next);
    STORE_WORKS(&err, pgk_ha_recover(b->ha, NULL, &discards, &err));
    STORE_WORKS(&err, pgk_blobs_list_all(b->blobs, say_blob, dump, &err));
    (void)pgk_blobs_verify_all(b->blobs, false, NULL, say_blob, dump, &damaged, &err);
    pgk_job_graphs_free(graphs);
    stores_free(&stores);
}

/* ------------------------------------------------------------------ acts */

static pgk_status put_new(struct bench *b, pgk_error *err)
{
    pgk_uuid job = job_of(SOME + 1);
    return pgk_job_graphs_put(b->graphs, &job, "another", 7, err);
}

static pgk_status put_again(struct bench *b, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    return pgk_job_graphs_put(b->graphs, &job, "another", 7, err);
}

static pgk_status put_requirements(struct bench *b, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    return pgk_job_graphs_put_requirements(b->graphs, &job, "memory", 6, err);
}

static pgk_status recover_one(struct bench *b, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    pgk_job_graph *graph = NULL;
    pgk_status status = pgk_job_graphs_recover(b->fresh, &job, &graph, err);
    assert_int_equal(status == PGK_OK, graph != NULL);
    pgk_job_graph_free(graph);
    return status;
}

static pgk_status drop_graph(void *user, const pgk_job_graph *graph)
{
    (void)user;
    return graph->status;
}

static pgk_status recover_all(struct bench *b, pgk_error *err)
{
    return pgk_job_graphs_recover_all(b->fresh, drop_graph, NULL, err);
}

static pgk_status list_graphs(struct bench *b, pgk_error *err)
{
    pgk_uuid *ids = NULL;
    size_t count = 0;
    pgk_status status = pgk_job_graphs_list(b->fresh, &ids, &count, err);
    assert_int_equal(count, status == PGK_OK ? 4 : 0);
    pgk_job_ids_free(ids);
    return status;
}

/* After a recovery of all, which a release has to name. */
static pgk_status release_claimed(struct bench *b, pgk_error *err)
{
    pgk_uuid job = job_of(2);
    return pgk_job_graphs_release(b->fresh, &job, err);
}

static pgk_status remove_graph(struct bench *b, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    return pgk_job_graphs_remove(b->graphs, &job, err);
}

static pgk_status start_store(struct bench *b, pgk_error *err)
{
    pgk_job_graphs *store = NULL;
    pgk_status status = pgk_ha_job_graphs(b->ha, &b->token, &store, err);
    if (status == PGK_OK) {
        status = pgk_job_graphs_start(store, NULL, err);
    }
    pgk_job_graphs_free(store);
    return status;
}

static pgk_status create_dirty(struct bench *b, pgk_error *err)
{
    pgk_job_result result = result_of(SOME + 1);
    result.failure = "it failed";
    result.accumulators = "sum";
    result.accumulators_bytes = 3;
    return pgk_job_results_create_dirty(b->stores.results, &result, err);
}

static pgk_status finish_job(struct bench *b, pgk_error *err)
{
    pgk_job_result result = result_of(1);
    return pgk_job_results_finish_job(b->stores.results, &result, err);
}

static pgk_status mark_clean(struct bench *b, pgk_error *err)
{
    pgk_uuid job = job_of(SOME);
    return pgk_job_results_mark_clean(b->stores.results, &job, err);
}

static pgk_status list_results(struct bench *b, pgk_error *err)
{
    struct dump dump = {.length = 0};
    return pgk_job_results_list_dirty(b->stores.results, say_result, &dump, err);
}

static pgk_status set_running(struct bench *b, pgk_error *err)
{
    pgk_uuid job = job_of(SOME + 1);
    return pgk_job_registry_set_running(b->stores.registry, &job, err);
}

static pgk_status list_registry(struct bench *b, pgk_error *err)
{
    struct dump dump = {.length = 0};
    return pgk_job_registry_list(b->stores.registry, say_status, &dump, err);
}

static pgk_status add_checkpoint(struct bench *b, pgk_error *err)
{
    pgk_checkpoint checkpoint = checkpoint_of(SOME + 1, PGK_CHECKPOINT);
    checkpoint.metadata = NULL;
    checkpoint.metadata_bytes = 0;
    checkpoint.pointer = "s3://bucket/9";
    return pgk_checkpoints_add(b->stores.checkpoints, &checkpoint, err);
}

static pgk_status list_checkpoints(struct bench *b, pgk_error *err)
{
    struct dump dump = {.length = 0};
    return pgk_checkpoints_all(b->stores.checkpoints, say_checkpoint, &dump, err);
}

static pgk_status shut_down(struct bench *b, pgk_error *err)
{
    return pgk_checkpoints_shutdown(b->stores.checkpoints, PGK_JOB_FINISHED, err);
}

static pgk_status keep_discard(void *user, const pgk_checkpoint *checkpoint)
{
    (void)user;
    return checkpoint->checkpoint_id == 2 ? PGK_OK : PGK_ERR_IO;
}

static pgk_status discard(struct bench *b, pgk_error *err)
{
    int64_t none = 0;
    return pgk_ha_discard_pending(b->ha, &b->token, NULL, keep_discard, NULL, &none, err);
}

static pgk_status set_counter(struct bench *b, pgk_error *err)
{
    pgk_checkpoint_counter *counter = NULL;
    pgk_uuid job = job_of(SOME + 1);
    pgk_status status = pgk_ha_checkpoint_counter(b->ha, &b->token, &job, &counter, err);
    if (status == PGK_OK) {
        status = pgk_checkpoint_counter_set(counter, 9, err);
    }
    pgk_checkpoint_counter_free(counter);
    return status;
}

static pgk_status put_large_blob(struct bench *b, pgk_error *err)
{
    return put_blob(b, SOME + 1, LARGE, err);
}

static pgk_status replace_blob(struct bench *b, pgk_error *err)
{
    return put_blob(b, 1, LARGE, err);
}

/* One whose content is what its key says. */
static pgk_status put_good_blob(struct bench *b, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    pgk_status status = pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, "content", 7, &b->key, err);
    memset(b->key.random, 99, sizeof(b->key.random));
    return status == PGK_OK ? pgk_blobs_put_buffer(b->blobs, &job, &b->key, "content", 7, err)
                            : status;
}

static pgk_status get_blob(struct bench *b, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    void *data = NULL;
    size_t bytes = 0;
    pgk_status status = pgk_blobs_get_buffer(b->blobs, &job, &b->key, LARGE, &data, &bytes, err);
    assert_int_equal(bytes, status == PGK_OK ? 7 : 0);
    pgk_blob_data_free(data);
    return status;
}

static pgk_status list_blobs(struct bench *b, pgk_error *err)
{
    struct dump dump = {.length = 0};
    return pgk_blobs_list_all(b->blobs, say_blob, &dump, err);
}

/* A graph that is there, with blobs of which one is. */
static pgk_status put_with_blobs(struct bench *b, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    pgk_blob_entry entries[3];
    memset(entries, 0, sizeof(entries));
    for (int i = 0; i < 3; i++) {
        entries[i].key = key_of(SOME + i);
        entries[i].source =
            (pgk_blob_source){.size = sizeof(pgk_blob_source), .data = large, .data_bytes = 77};
    }
    return pgk_job_graphs_put_with_blobs(b->graphs, &job, "with blobs", 10, entries, 3, err);
}

static pgk_status drop_job(void *user, const pgk_recovered_job *job)
{
    (void)user;
    return job->graph->status;
}

static pgk_status drop_result(void *user, const pgk_job_result *result)
{
    (void)user;
    return result->entry_status;
}

static pgk_status recover(struct bench *b, pgk_error *err)
{
    struct dump dump = {.length = 0};
    pgk_recovery recovery = {.size = sizeof(recovery),
                             .user = &dump,
                             .dirty_result = drop_result,
                             .job = drop_job,
                             .pending_discard = say_checkpoint};
    return pgk_ha_recover(b->ha, b->fresh, &recovery, err);
}

static pgk_status cleanup_job(struct bench *b, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    return pgk_ha_cleanup_job(b->ha, &b->token, &job, NULL, err);
}

static pgk_status cleanup_all(struct bench *b, pgk_error *err)
{
    return pgk_ha_cleanup_all(b->ha, &b->token, NULL, err);
}

struct act {
    const char *name;
    pgk_status (*run)(struct bench *b, pgk_error *err);
    pgk_status (*before)(struct bench *b, pgk_error *err); /* with memory; or NULL */
    bool steps; /* more than one write, so that some of them may have been done */
};
static const struct act acts[] = {
    {"put a new graph", put_new, NULL, false},
    {"replace a graph", put_again, NULL, false},
    {"put requirements", put_requirements, NULL, false},
    {"recover a graph", recover_one, NULL, false},
    {"recover all graphs", recover_all, NULL, false},
    {"list graphs", list_graphs, NULL, false},
    {"release a graph", release_claimed, recover_all, false},
    {"remove a graph", remove_graph, NULL, false},
    {"start a store", start_store, NULL, false},
    {"create a result", create_dirty, NULL, false},
    {"finish a job", finish_job, NULL, false},
    {"mark a result", mark_clean, NULL, false},
    {"list results", list_results, NULL, false},
    {"set running", set_running, NULL, false},
    {"list the registry", list_registry, NULL, false},
    {"add a checkpoint", add_checkpoint, NULL, false},
    {"list checkpoints", list_checkpoints, NULL, false},
    {"shut checkpoints down", shut_down, NULL, false},
    {"discard", discard, shut_down, true},
    {"set a counter", set_counter, NULL, false},
    {"put a large blob", put_large_blob, NULL, false},
    {"replace a blob", replace_blob, NULL, false},
    {"get a blob", get_blob, put_good_blob, false},
    {"list blobs", list_blobs, NULL, false},
    {"put a graph with blobs", put_with_blobs, NULL, false},
    {"recover", recover, NULL, false},
    {"clean up a job", cleanup_job, NULL, false},
    {"clean up all", cleanup_all, NULL, false},
};
#define ACTS (sizeof(acts) / sizeof(acts[0]))

static void prepare(const struct act *act, struct bench *b)
{
    pgk_error err;
    bench_open(b);
    if (act->before != NULL) {
        STORE_WORKS(&err, act->before(b, &err));
    }
}

/* What the act makes of the known state. */
static void run_once(const struct act *act, struct dump *after)
{
    struct bench b;
    pgk_error err;
    prepare(act, &b);
    STORE_WORKS(&err, act->run(&b, &err));
    take_dump(&b, after);
    bench_close(&b);
}

/* With its allocation number `at` failing. False: it has not so many. */
static bool run_failing(const struct act *act, int at, const struct dump *after, int *refused)
{
    static struct dump before;
    static struct dump now;
    struct bench b;
    pgk_error err;
    prepare(act, &b);
    take_dump(&b, &before);
    failed = false;
    left = at;
    pgk_status status = act->run(&b, &err);
    left = -1;
    take_dump(&b, &now);
    if (status != PGK_OK) {
        *refused += 1;
        assert_true(failed);
        assert_int_equal(status, PGK_ERR_NO_MEMORY);
        assert_true(strlen(err.message) > 8);
        if (!act->steps) {
            assert_string_equal(now.text, before.text);
        }
        STORE_WORKS(&err, act->run(&b, &err));
        take_dump(&b, &now);
    }
    assert_string_equal(now.text, after->text);
    bench_close(&b);
    return failed;
}

static void test_embedded_memory__each_allocation_fails__a_status_and_nothing_changed(void **state)
{
    (void)state;
    static struct dump after;
    int allocations = 0;
    for (size_t i = 0; i < LARGE; i++) {
        large[i] = (unsigned char)(i * 31 >> 3);
    }
    for (size_t i = 0; i < ACTS; i++) {
        int at = 0;
        int refused = 0;
        run_once(&acts[i], &after);
        while (run_failing(&acts[i], at, &after, &refused)) {
            at++;
        }
        print_message("%s: %d allocations, %d refused\n", acts[i].name, at, refused);
        allocations += at;
    }
    assert_true(allocations > (int)ACTS); /* or it has tested nothing */
}

static void test_embedded_memory__listener_without_memory__is_told_later(void **state)
{
    (void)state;
    static struct ear ear;
    pgk_ha *ha = inproc_open("embedded", "listener", NULL);
    pgk_ha *other = inproc_open("embedded", "listener", NULL);
    pgk_job_graph_listener listener = ear_open(&ear);
    pgk_job_graphs *listening = shelf_open(ha, PGK_UNFENCED, &listener);
    pgk_job_graphs *store = shelf_open(other, PGK_UNFENCED, NULL);
    pgk_error err;
    for (int i = 1; i <= 5; i++) {
        pgk_uuid job = job_of(i);
        atomic_store(&others, i);
        CHECK_OK(pgk_job_graphs_put(store, &job, "graph", 5, &err), err);
        WAIT_UNTIL(atomic_load(&others) == 0, WAIT_LONG_MS);
        EAR_WAIT(&ear, true, &job, 1);
    }
    pgk_job_graphs_free(store);
    pgk_job_graphs_free(listening);
    handle_close(ha);
    handle_close(other);
}

int main(void)
{
    of_test = true;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedded_memory__each_allocation_fails__a_status_and_nothing_changed),
        cmocka_unit_test(test_embedded_memory__listener_without_memory__is_told_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
