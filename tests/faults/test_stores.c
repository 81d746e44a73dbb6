/*
 * tests/faults/test_stores.c - every write of results, registry, checkpoints, counter and clean-up under
 * a deposed leader, over connections cut before, during and after COMMIT, and through restarts of
 * the server: done once or not at all, as the answer says.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_tools.h"

#define URI "high-availability.postgres.uri"
#define TIMEOUT "high-availability.postgres.statement-timeout"
#define DELETES "job-result-store.delete-on-commit"

/* ------------------------------------------------------------------ fenced */

static void test_stores__deposed_leader__each_write_is_fenced_and_nothing_written(void **state)
{
    struct fixture *fixture = *state;
    struct chief chief;
    pgk_error err;
    chief_open(&chief, fixture);
    chief_depose(&chief, fixture);
    pgk_ha *ha = handle_open(fixture, "late", NULL);
    pgk_ha *deleting = handle_open(fixture, "deleting", DELETES, "true", NULL);
    known_state(fixture);
    char before[64];
    snprintf(before, sizeof(before), "%s", rows_digest(fixture));
    for (size_t i = 0; i < mutation_count; i++) {
        struct stores stores;
        stores_open(&stores, mutations[i].deletes_results ? deleting : ha, &chief.token);
        pgk_status status = mutations[i].act(&stores, &err);
        if (status != PGK_ERR_FENCED || err.status != PGK_ERR_FENCED || err.message[0] == '\0') {
            fail_msg("%s by a deposed leader: %s", mutations[i].name, pgk_status_name(status));
        }
        assert_string_equal(rows_digest(fixture), before);
        stores_free(&stores);
    }
    handle_close(ha);
    handle_close(deleting);
    chief_close(&chief);
}

static void test_stores__leader__each_write_is_done(void **state)
{
    struct fixture *fixture = *state;
    struct chief chief;
    pgk_error err;
    chief_open(&chief, fixture);
    pgk_ha *deleting = handle_open(fixture, "deleting", DELETES, "true", NULL);
    for (size_t i = 0; i < mutation_count; i++) {
        struct stores stores;
        known_state(fixture);
        stores_open(&stores, mutations[i].deletes_results ? deleting : chief.ha, &chief.token);
        STORE_WORKS(&err, mutations[i].act(&stores, &err));
        assert_string_equal(db_text(fixture, "%s", mutations[i].query), mutations[i].answer);
        stores_free(&stores);
    }
    handle_close(deleting);
    chief_close(&chief);
}

/* ------------------------------------------------------------------ cut connections */

/* A write in a thread of its own. */
struct task {
    pthread_t thread;
    const struct mutation *mutation;
    struct stores stores;
    pgk_status status;
    pgk_error err;
    atomic_bool done;
};

static void *run_task(void *arg)
{
    struct task *task = arg;
    task->status = task->mutation->act(&task->stores, &task->err);
    atomic_store(&task->done, true);
    return NULL;
}

static void start_task(struct task *task, struct fixture *fixture, pgk_ha *ha,
                       const struct mutation *mutation)
{
    known_state(fixture);
    *task = (struct task){.mutation = mutation};
    stores_open(&task->stores, ha, PGK_UNFENCED);
}

static void go(struct task *task)
{
    assert_int_equal(pthread_create(&task->thread, NULL, run_task, task), 0);
}

/* The answer is OK, and it was done once. */
static void end_task(struct task *task, struct fixture *fixture, const char *when)
{
    pthread_join(task->thread, NULL);
    if (task->status != PGK_OK) {
        fail_msg("%s cut %s: %s: %s", task->mutation->name, when, pgk_status_name(task->status),
                 task->err.message);
    }
    const char *answer = db_text(fixture, "%s", task->mutation->query);
    if (strcmp(answer, task->mutation->answer) != 0) {
        fail_msg("%s cut %s: \"%s\" instead of \"%s\"", task->mutation->name, when, answer,
                 task->mutation->answer);
    }
    stores_free(&task->stores);
}

/* Where the next write finds the network cut: `discard` reads first. */
static struct proxy *cut_proxy;
static enum proxy_cut cut_kind;

static void cut_now(void)
{
    proxy_cut(cut_proxy, cut_kind);
    in_discard = NULL;
}

static void cut_at_write(struct proxy *proxy, enum proxy_cut kind, const struct mutation *mutation)
{
    cut_proxy = proxy;
    cut_kind = kind;
    if (strcmp(mutation->name, "discard") == 0) {
        in_discard = cut_now;
    } else {
        cut_now();
    }
}

static void cut_before(struct fixture *fixture, struct proxy *proxy, pgk_ha *ha,
                       const struct mutation *mutation)
{
    struct task task;
    start_task(&task, fixture, ha, mutation);
    cut_at_write(proxy, PROXY_CUT_TO_SERVER, mutation);
    go(&task);
    wait_pause_ms(30); /* it has been sent and hangs in the network */
    assert_false(atomic_load(&task.done));
    proxy_reset_all(proxy);
    proxy_cut(proxy, PROXY_PASS);
    end_task(&task, fixture, "before COMMIT");
}

static bool waits_for_lock(PGconn *conn)
{
    PGresult *result =
        PQexec(conn, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                     " AND application_name LIKE 'pgkeeper%' AND datname = current_database()");
    bool waits =
        PQresultStatus(result) == PGRES_TUPLES_OK && strcmp(PQgetvalue(result, 0, 0), "0") != 0;
    PQclear(result);
    return waits;
}

/* Starts the task; its write runs and waits for a lock, which the connection returned holds. */
static PGconn *start_and_hold(struct task *task, struct fixture *fixture, pgk_ha *ha,
                              const struct mutation *mutation)
{
    start_task(task, fixture, ha, mutation);
    PGconn *holder = db_connect(fixture->conninfo);
    PQclear(PQexec(holder, "SELECT pg_advisory_lock(4711)"));
    go(task);
    WAIT_UNTIL(waits_for_lock(fixture->conn) || atomic_load(&task->done), WAIT_LONG_MS);
    assert_false(atomic_load(&task->done));
    return holder;
}

static void let_go(PGconn *holder)
{
    PQclear(PQexec(holder, "SELECT pg_advisory_unlock(4711)"));
    PQfinish(holder);
}

static void cut_during(struct fixture *fixture, struct proxy *proxy, pgk_ha *ha,
                       const struct mutation *mutation)
{
    struct task task;
    PGconn *holder = start_and_hold(&task, fixture, ha, mutation);
    proxy_reset_all(proxy);
    let_go(holder);
    end_task(&task, fixture, "during COMMIT");
}

/* It is done, and the answer is lost. */
static void cut_after(struct fixture *fixture, struct proxy *proxy, pgk_ha *ha,
                      const struct mutation *mutation)
{
    struct task task;
    PGconn *holder = start_and_hold(&task, fixture, ha, mutation);
    proxy_cut(proxy, PROXY_CUT_TO_CLIENT);
    let_go(holder);
    db_wait(fixture, mutation->answer, WAIT_LONG_MS, "%s", mutation->query);
    assert_false(atomic_load(&task.done));
    proxy_reset_all(proxy);
    proxy_cut(proxy, PROXY_PASS);
    end_task(&task, fixture, "after COMMIT");
}

/* So that the statement is prepared, and the write is the first thing that the cut meets. */
static void warm_up(struct fixture *fixture, pgk_ha *ha, const struct mutation *mutation)
{
    pgk_error err;
    struct stores stores;
    known_state(fixture);
    stores_open(&stores, ha, PGK_UNFENCED);
    STORE_WORKS(&err, mutation->act(&stores, &err));
    stores_free(&stores);
}

/* Each write waits, when it is run and not when it is prepared, while somebody holds the lock. */
static void make_writes_wait(struct fixture *fixture)
{
    static const char *const tables[] = {"job_graph", "job_result", "job_status", "checkpoint",
                                         "checkpoint_counter"};
    db_exec(fixture, "CREATE FUNCTION public.wait_a_while() RETURNS trigger LANGUAGE plpgsql AS"
                     " $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$");
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        db_exec(fixture,
                "CREATE TRIGGER wait_a_while BEFORE INSERT OR UPDATE OR DELETE ON pgkeeper.%s"
                " FOR EACH STATEMENT EXECUTE FUNCTION public.wait_a_while()",
                tables[i]);
    }
}

static void cut_all(void **state, void (*cut)(struct fixture *, struct proxy *, pgk_ha *,
                                              const struct mutation *))
{
    struct fixture *fixture = *state;
    char conninfo[PGSERVER_CONNINFO_SIZE];
    struct proxy *proxy = fixture_proxy(fixture, conninfo, sizeof(conninfo));
    make_writes_wait(fixture);
    for (int deletes = 0; deletes < 2; deletes++) {
        pgk_ha *ha = handle_open(fixture, "cut", URI, conninfo, TIMEOUT, "20 s", DELETES,
                                 deletes ? "true" : "false", NULL);
        for (size_t i = 0; i < mutation_count; i++) {
            if (mutations[i].deletes_results == (deletes == 1)) {
                warm_up(fixture, ha, &mutations[i]);
                cut(fixture, proxy, ha, &mutations[i]);
            }
        }
        handle_close(ha);
    }
}

static void test_stores__cut_before_commit__each_write_is_done_once(void **state)
{
    cut_all(state, cut_before);
}

static void test_stores__cut_during_commit__each_write_is_done_once(void **state)
{
    cut_all(state, cut_during);
}

static void test_stores__cut_after_commit__each_write_is_done_once(void **state)
{
    cut_all(state, cut_after);
}

/* ------------------------------------------------------------------ never settled */

static void test_stores__no_way_back__outcome_unknown_and_the_same_call_is_known(void **state)
{
    struct fixture *fixture = *state;
    char conninfo[PGSERVER_CONNINFO_SIZE];
    struct proxy *proxy = fixture_proxy(fixture, conninfo, sizeof(conninfo));
    pgk_ha *ha = handle_open(fixture, "cut", URI, conninfo, TIMEOUT, "1500 ms", NULL);
    struct task tasks[3];
    static const char *const names[3] = {"create_dirty", "finish_job", "add"};
    for (size_t i = 0; i < 3; i++) {
        const struct mutation *mutation = mutations;
        while (strcmp(mutation->name, names[i]) != 0) {
            mutation++;
        }
        warm_up(fixture, ha, mutation);
        start_task(&tasks[i], fixture, ha, mutation);
        proxy_cut(proxy, PROXY_CUT_TO_CLIENT);
        go(&tasks[i]);
        db_wait(fixture, mutation->answer, WAIT_LONG_MS, "%s", mutation->query);
        pthread_join(tasks[i].thread, NULL);
        assert_int_equal(tasks[i].status, PGK_ERR_OUTCOME_UNKNOWN);
        assert_true(tasks[i].err.flags & PGK_ERROR_OUTCOME_UNKNOWN);
        proxy_reset_all(proxy);
        proxy_cut(proxy, PROXY_PASS);
        /* Known by what it was given; and another time it is there already. */
        STORE_WORKS(&tasks[i].err, mutation->act(&tasks[i].stores, &tasks[i].err));
        assert_string_equal(db_text(fixture, "%s", mutation->query), mutation->answer);
        STORE_FAILS(PGK_ERR_ALREADY_EXISTS, &tasks[i].err,
                    mutation->act(&tasks[i].stores, &tasks[i].err));
        stores_free(&tasks[i].stores);
    }
    handle_close(ha);
}

/* ------------------------------------------------------------------ the server restarts */

#ifdef PGK_TEST_SANITIZED
#define RESTARTS 2
#else
#define RESTARTS 3
#endif
#define WRITERS 4
#define STREAM_MAX 20000

struct writer {
    pthread_t thread;
    int number;
    struct stores stores;
    atomic_bool *stop;
    atomic_int done;
    int64_t
        issued[STREAM_MAX]; /* acknowledged numbers, then results and checkpoints of that number */
    pgk_status wrong;
    pgk_error err;
};

static pgk_uuid job_of_number(int64_t number)
{
    pgk_uuid job = {{0}};
    job.bytes[0] = 0xab;
    for (int i = 0; i < 4; i++) {
        job.bytes[15 - i] = (uint8_t)(number >> (8 * i));
    }
    return job;
}

/* A number, and a result, a status and a checkpoint under it; each acknowledged before the next. */
static pgk_status write_round(struct writer *w, int64_t *ret_number)
{
    pgk_status status =
        pgk_checkpoint_counter_get_and_increment(w->stores.counter, ret_number, &w->err);
    pgk_job_result result = result_of(1);
    pgk_checkpoint checkpoint = checkpoint_of(*ret_number, PGK_CHECKPOINT);
    result.job_id = job_of_number(*ret_number);
    if (status == PGK_OK) {
        status = pgk_job_results_create_dirty(w->stores.results, &result, &w->err);
    }
    if (status == PGK_OK) {
        status = pgk_job_registry_set_running(w->stores.registry, &result.job_id, &w->err);
    }
    if (status == PGK_OK) {
        status = pgk_checkpoints_add(w->stores.checkpoints, &checkpoint, &w->err);
    }
    return status;
}

static void *write_stream(void *arg)
{
    struct writer *w = arg;
    while (!atomic_load(w->stop) && atomic_load(&w->done) < STREAM_MAX) {
        int64_t number = 0;
        w->wrong = write_round(w, &number);
        if (w->wrong != PGK_OK) {
            break;
        }
        w->issued[atomic_load(&w->done)] = number;
        atomic_fetch_add(&w->done, 1);
    }
    return NULL;
}

static int total(struct writer *writers)
{
    int sum = 0;
    for (int i = 0; i < WRITERS; i++) {
        sum += atomic_load(&writers[i].done);
    }
    return sum;
}

static void check_stream(struct fixture *fixture, struct writer *writers)
{
    db_exec(fixture, "CREATE TEMP TABLE acknowledged (number bigint PRIMARY KEY)"); /* none twice */
    for (int i = 0; i < WRITERS; i++) {
        if (writers[i].wrong != PGK_OK) {
            fail_msg("writer %d: %s: %s", i, pgk_status_name(writers[i].wrong),
                     writers[i].err.message);
        }
        for (int j = 0; j < atomic_load(&writers[i].done); j++) {
            assert_true(j == 0 || writers[i].issued[j] > writers[i].issued[j - 1]);
            db_exec(fixture, "INSERT INTO acknowledged VALUES (%lld)",
                    (long long)writers[i].issued[j]);
        }
    }
    /* A job id ends in its number. Each has its result, its status and its checkpoint. */
    assert_int_equal(
        db_int(fixture,
               "SELECT count(*) FROM acknowledged a WHERE NOT EXISTS (SELECT FROM"
               " pgkeeper.job_result r JOIN pgkeeper.job_status s USING (cluster_id, job_id)"
               " WHERE right(r.job_id::text, 8) = lpad(to_hex(a.number), 8, '0'))"
               " OR NOT EXISTS (SELECT FROM pgkeeper.checkpoint c"
               " WHERE c.checkpoint_id = a.number)"),
        0);
}

static void test_stores__restarts_in_a_stream__every_acknowledged_write_is_there_once(void **state)
{
    struct fixture *fixture = *state;
    static struct writer writers[WRITERS];
    atomic_bool stop = false;
    pgk_ha *ha = handle_open(fixture, "writer", TIMEOUT, "60 s", NULL);
    known_state(fixture);
    memset(writers, 0, sizeof(writers));
    for (int i = 0; i < WRITERS; i++) {
        writers[i].number = i;
        writers[i].stop = &stop;
        stores_open(&writers[i].stores, ha, PGK_UNFENCED);
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_stream, &writers[i]), 0);
    }
    for (int i = 0; i < RESTARTS; i++) {
        int before = total(writers);
        WAIT_UNTIL(total(writers) > before + 20, WAIT_LONG_MS);
        assert_int_equal(pgserver_restart(fixture->server, PGSERVER_IMMEDIATE, NULL), PGK_OK);
    }
    int before = total(writers);
    WAIT_UNTIL(total(writers) > before + 20, 2 * WAIT_LONG_MS);
    atomic_store(&stop, true);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        stores_free(&writers[i].stores);
    }
    handle_close(ha);
    db_wait(fixture, "1", WAIT_LONG_MS, "SELECT 1"); /* the test's own connection is new */
    check_stream(fixture, writers);
}

/* ------------------------------------------------------------------ fork */

/* What the child finds wrong becomes its exit code. */
static int child_of_stores(struct stores *stores, bool frees)
{
    pgk_error err;
    for (size_t i = 0; i < mutation_count; i++) {
        if (mutations[i].act(stores, &err) != PGK_ERR_ILLEGAL_STATE) {
            return (int)i + 1;
        }
    }
    if (pgk_checkpoints_count(stores->checkpoints) != 0) {
        return 100;
    }
    if (frees) {
        stores_free(stores);
        pgk_ha_free(stores->ha);
    }
    return 0;
}

static void test_stores__forked_child__writes_nothing_and_the_parent_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct stores stores;
    pgk_error err;
    pgk_ha *ha = handle_open(fixture, "parent", NULL);
    known_state(fixture);
    stores_open(&stores, ha, PGK_UNFENCED);
    char before[64];
    snprintf(before, sizeof(before), "%s", rows_digest(fixture));
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            _exit(child_of_stores(&stores, i == 1));
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_string_equal(rows_digest(fixture), before);
    assert_int_equal(pgk_checkpoints_count(stores.checkpoints), 1);
    STORE_WORKS(&err, mutations[0].act(&stores, &err));
    stores_free(&stores);
    handle_close(ha);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_stores__leader__each_write_is_done),
        DB_TEST(test_stores__deposed_leader__each_write_is_fenced_and_nothing_written),
        DB_TEST(test_stores__cut_before_commit__each_write_is_done_once),
        DB_TEST(test_stores__cut_during_commit__each_write_is_done_once),
        DB_TEST(test_stores__cut_after_commit__each_write_is_done_once),
        DB_TEST(test_stores__no_way_back__outcome_unknown_and_the_same_call_is_known),
        DB_TEST(test_stores__forked_child__writes_nothing_and_the_parent_goes_on),
        DB_TEST(test_stores__restarts_in_a_stream__every_acknowledged_write_is_there_once),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
