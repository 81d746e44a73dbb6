/* tests/lib/store_tools.c - see store_tools.h. */
#include "store_tools.h"

pgk_uuid job_of(int number)
{
    pgk_uuid job = {{0}};
    job.bytes[15] = (uint8_t)number;
    job.bytes[14] = (uint8_t)(number >> 8);
    return job;
}

/* ------------------------------------------------------------------ a leader */

void chief_open(struct chief *chief, struct fixture *fixture)
{
    memset(chief, 0, sizeof(*chief));
    chief->recorder = recorder_new();
    chief->ha = handle_open(fixture, "chief", NULL);
    part_contend(&chief->part, chief->recorder, chief->ha, "dispatcher", NULL);
    part_granted(&chief->part);
    assert_int_equal(pgk_election_token(chief->part.election, &chief->token, NULL), PGK_OK);
}

void chief_depose(struct chief *chief, struct fixture *fixture)
{
    db_exec(fixture, "SELECT pgkeeper.kick('" FIXTURE_CLUSTER "', 'master')");
    part_revoked(&chief->part);
    part_granted(&chief->part);
}

void chief_close(struct chief *chief)
{
    part_free(&chief->part);
    handle_close(chief->ha);
    recorder_free(chief->recorder);
}

/* ------------------------------------------------------------------ stores and entries */

void stores_open(struct stores *stores, pgk_ha *ha, const pgk_token *token)
{
    pgk_error err;
    pgk_uuid job = job_of(1);
    *stores = (struct stores){.ha = ha, .token = token};
    STORE_WORKS(&err, pgk_ha_job_results(ha, token, &stores->results, &err));
    STORE_WORKS(&err, pgk_ha_job_registry(ha, token, &stores->registry, &err));
    STORE_WORKS(&err, checkpoints_open(ha, token, 1, 1, NULL, NULL, &stores->checkpoints, &err));
    STORE_WORKS(&err, pgk_ha_checkpoint_counter(ha, token, &job, &stores->counter, &err));
}

void stores_free(struct stores *stores)
{
    pgk_job_results_free(stores->results);
    pgk_job_registry_free(stores->registry);
    pgk_checkpoints_free(stores->checkpoints);
    pgk_checkpoint_counter_free(stores->counter);
}

pgk_job_result result_of(int job)
{
    return (pgk_job_result){.size = sizeof(pgk_job_result),
                            .job_id = job_of(job),
                            .status = PGK_JOB_FINISHED,
                            .job_name = "harvest",
                            .started_ms = 1000,
                            .ended_ms = 3500,
                            .net_runtime_ms = 2500};
}

pgk_checkpoint checkpoint_of(int64_t id, pgk_checkpoint_kind kind)
{
    return (pgk_checkpoint){.size = sizeof(pgk_checkpoint),
                            .checkpoint_id = id,
                            .kind = kind,
                            .completed_ms = 1000 + id % 1000,
                            .metadata = "metadata",
                            .metadata_bytes = 8};
}

pgk_status checkpoints_add_all(pgk_checkpoints *store, const char *kinds, pgk_error *err)
{
    pgk_status status = PGK_OK;
    for (int64_t id = 1; kinds[id - 1] != '\0' && status == PGK_OK; id++) {
        char letter = kinds[id - 1];
        assert_non_null(strchr("cst", letter));
        pgk_checkpoint checkpoint = checkpoint_of(id, letter == 'c'   ? PGK_CHECKPOINT
                                                      : letter == 's' ? PGK_SAVEPOINT
                                                                      : PGK_STOP_SAVEPOINT);
        status = pgk_checkpoints_add(store, &checkpoint, err);
    }
    return status;
}

pgk_status checkpoints_open(pgk_ha *ha, const pgk_token *token, int job, int max_retained,
                            pgk_discard_fn discard, void *user, pgk_checkpoints **ret_store,
                            pgk_error *err)
{
    pgk_checkpoints_options options = {.size = sizeof(options),
                                       .job_id = job_of(job),
                                       .max_retained = max_retained,
                                       .discard = discard,
                                       .user = user};
    return pgk_ha_checkpoints(ha, token, &options, ret_store, err);
}

pgk_status result_see(void *user, const pgk_job_result *result)
{
    struct result_seen *seen = user;
    if (seen->count < 8) {
        seen->jobs[seen->count] = result->job_id;
    }
    seen->count++;
    seen->last = *result;
    seen->corrupt += result->entry_status == PGK_ERR_CORRUPT;
    snprintf(seen->name, sizeof(seen->name), "%s", result->job_name ? result->job_name : "-");
    snprintf(seen->failure, sizeof(seen->failure), "%s", result->failure ? result->failure : "-");
    if (result->reason != NULL) {
        snprintf(seen->reason, sizeof(seen->reason), "%s", result->reason);
    }
    if (result->accumulators != NULL && result->accumulators_bytes < sizeof(seen->accumulators)) {
        memcpy(seen->accumulators, result->accumulators, result->accumulators_bytes);
    }
    return seen->answer;
}

/* ------------------------------------------------------------------ the known state */

void known_state(struct fixture *fixture)
{
    db_exec(fixture, "TRUNCATE pgkeeper.job_graph, pgkeeper.job_result, pgkeeper.job_status,"
                     " pgkeeper.checkpoint, pgkeeper.checkpoint_counter");
    db_exec(fixture, "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
                     " VALUES ('" FIXTURE_CLUSTER "', " SQL_JOB(1) ", 'graph', sha256('graph'))");
    db_exec(fixture, "INSERT INTO pgkeeper.job_status (cluster_id, job_id, status)"
                     " VALUES ('" FIXTURE_CLUSTER "', " SQL_JOB(1) ", 'RUNNING')");
    db_exec(fixture,
            "INSERT INTO pgkeeper.checkpoint"
            " (cluster_id, job_id, checkpoint_id, state, metadata, sha256, completed_at)"
            " SELECT '" FIXTURE_CLUSTER "', " SQL_JOB(
                1) ", i,"
                   " CASE i WHEN 1 THEN 'completed' ELSE 'discarding' END, 'm', sha256('m'), now()"
                   " FROM generate_series(1, 2) i");
    db_exec(fixture, "INSERT INTO pgkeeper.checkpoint_counter (cluster_id, job_id, next_id)"
                     " VALUES ('" FIXTURE_CLUSTER "', " SQL_JOB(1) ", 5)");
    db_exec(fixture,
            "INSERT INTO pgkeeper.job_result (cluster_id, job_id, state, status, clean_at)"
            " VALUES ('" FIXTURE_CLUSTER
            "', " SQL_JOB(2) ", 'dirty', 'FINISHED', NULL),"
                             " ('" FIXTURE_CLUSTER
                             "', " SQL_JOB(3) ", 'clean', 'FAILED', now() - interval '40 d')");
}

const char *rows_digest(struct fixture *fixture)
{
    return db_text(fixture,
                   "SELECT md5(concat_ws('#',"
                   " (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM pgkeeper.job_graph t),"
                   " (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM pgkeeper.job_result t),"
                   " (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM pgkeeper.job_status t),"
                   " (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM pgkeeper.checkpoint t),"
                   " (SELECT string_agg(t::text, '|' ORDER BY t::text)"
                   " FROM pgkeeper.checkpoint_counter t)))");
}

/* ------------------------------------------------------------------ every write */

static pgk_status create_dirty(struct stores *s, pgk_error *err)
{
    pgk_job_result result = result_of(4);
    return pgk_job_results_create_dirty(s->results, &result, err);
}

/* Large writes are not sent again but looked for. */
static unsigned char large[2 * 1024 * 1024 + 17];

static pgk_status create_large(struct stores *s, pgk_error *err)
{
    pgk_job_result result = result_of(4);
    result.accumulators = large;
    result.accumulators_bytes = sizeof(large);
    return pgk_job_results_create_dirty(s->results, &result, err);
}

static pgk_status add_large(struct stores *s, pgk_error *err)
{
    pgk_checkpoint checkpoint = checkpoint_of(3, PGK_CHECKPOINT);
    checkpoint.metadata = large;
    checkpoint.metadata_bytes = sizeof(large);
    return pgk_checkpoints_add(s->checkpoints, &checkpoint, err);
}

static pgk_status finish_job(struct stores *s, pgk_error *err)
{
    pgk_job_result result = result_of(1);
    return pgk_job_results_finish_job(s->results, &result, err);
}

static pgk_status mark_clean(struct stores *s, pgk_error *err)
{
    pgk_uuid job = job_of(2);
    return pgk_job_results_mark_clean(s->results, &job, err);
}

static pgk_status purge(struct stores *s, pgk_error *err)
{
    int64_t purged;
    return pgk_job_results_purge(s->results, &purged, err);
}

static pgk_status set_running(struct stores *s, pgk_error *err)
{
    pgk_uuid job = job_of(4);
    return pgk_job_registry_set_running(s->registry, &job, err);
}

static pgk_status set_finished(struct stores *s, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    return pgk_job_registry_set_finished(s->registry, &job, err);
}

static pgk_status clear(struct stores *s, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    return pgk_job_registry_clear(s->registry, &job, err);
}

static pgk_status add(struct stores *s, pgk_error *err)
{
    pgk_checkpoint checkpoint = checkpoint_of(3, PGK_CHECKPOINT);
    return pgk_checkpoints_add(s->checkpoints, &checkpoint, err);
}

static pgk_status shut_down(struct stores *s, pgk_error *err)
{
    return pgk_checkpoints_shutdown(s->checkpoints, PGK_JOB_FINISHED, err);
}

void (*in_discard)(void);

static pgk_status is_gone(void *user, const pgk_checkpoint *checkpoint)
{
    (void)user;
    (void)checkpoint;
    if (in_discard != NULL) {
        in_discard();
    }
    return PGK_OK;
}

static pgk_status discard(struct stores *s, pgk_error *err)
{
    int64_t left;
    return pgk_ha_discard_pending(s->ha, s->token, NULL, is_gone, NULL, &left, err);
}

static pgk_status next_id(struct stores *s, pgk_error *err)
{
    int64_t value = -1;
    pgk_status status = pgk_checkpoint_counter_get_and_increment(s->counter, &value, err);
    return status == PGK_OK && value != 5 ? PGK_ERR_INTERNAL : status;
}

static pgk_status set_id(struct stores *s, pgk_error *err)
{
    return pgk_checkpoint_counter_set(s->counter, 9, err);
}

static pgk_status drop_id(struct stores *s, pgk_error *err)
{
    return pgk_checkpoint_counter_shutdown(s->counter, PGK_JOB_CANCELED, err);
}

static pgk_status cleanup_job(struct stores *s, pgk_error *err)
{
    pgk_uuid job = job_of(1);
    return pgk_ha_cleanup_job(s->ha, s->token, &job, NULL, err);
}

static pgk_status cleanup_all(struct stores *s, pgk_error *err)
{
    return pgk_ha_cleanup_all(s->ha, s->token, NULL, err);
}

#define STATES                                                                                     \
    "SELECT string_agg(checkpoint_id || ' ' || state, ', ' ORDER BY checkpoint_id)"                \
    " FROM pgkeeper.checkpoint"
#define NUMBER "SELECT string_agg(next_id::text, ',') FROM pgkeeper.checkpoint_counter"
#define STATUS(job) "SELECT status FROM pgkeeper.job_status WHERE job_id = " SQL_JOB(job)
#define ROWS_OF_JOB_1                                                                              \
    "SELECT (SELECT count(*) FROM pgkeeper.job_graph WHERE job_id = " SQL_JOB(                     \
        1) ")"                                                                                     \
           " + (SELECT count(*) FROM pgkeeper.job_status WHERE job_id = " SQL_JOB(                 \
               1) ")"                                                                              \
                  " + (SELECT count(*) FROM pgkeeper.checkpoint WHERE job_id = " SQL_JOB(          \
                      1) ")"                                                                       \
                         " + (SELECT count(*) FROM pgkeeper.checkpoint_counter WHERE job_id "      \
                         "= " SQL_JOB(1) ")"

const struct mutation mutations[] = {
    {"create_dirty", create_dirty,
     "SELECT string_agg(state, ',') FROM pgkeeper.job_result WHERE job_id = " SQL_JOB(4), "dirty",
     false},
    {"create_dirty, large", create_large,
     "SELECT string_agg(state || octet_length(accumulators), ',') FROM pgkeeper.job_result"
     " WHERE job_id = " SQL_JOB(4),
     "dirty2097169", false},
    {"finish_job", finish_job,
     "SELECT (SELECT count(*) FROM pgkeeper.job_graph)"
     " || (SELECT state FROM pgkeeper.job_result WHERE job_id = " SQL_JOB(1) ")"
                                                                             " || (" STATUS(1) ")",
     "0dirtyDONE", false},
    {"mark_clean", mark_clean, "SELECT state FROM pgkeeper.job_result WHERE job_id = " SQL_JOB(2),
     "clean", false},
    {"mark_clean deleting", mark_clean,
     "SELECT count(*) FROM pgkeeper.job_result WHERE job_id = " SQL_JOB(2), "0", true},
    {"purge", purge, "SELECT string_agg(state, ',') FROM pgkeeper.job_result", "dirty", false},
    {"set_running", set_running, STATUS(4), "RUNNING", false},
    {"set_finished", set_finished, STATUS(1), "DONE", false},
    {"clear", clear, "SELECT count(*) FROM pgkeeper.job_status", "0", false},
    {"add", add, STATES, "1 discarding, 2 discarding, 3 completed", false},
    {"add, large", add_large, STATES, "1 discarding, 2 discarding, 3 completed", false},
    {"shutdown", shut_down, STATES, "1 discarding, 2 discarding", false},
    {"discard", discard, STATES, "1 completed", false},
    {"next_id", next_id, NUMBER, "6", false},
    {"set_id", set_id, NUMBER, "9", false},
    {"drop_id", drop_id, NUMBER, "", false},
    {"cleanup_job", cleanup_job, ROWS_OF_JOB_1, "0", false},
    {"cleanup_all", cleanup_all, ROWS_OF_JOB_1 " + (SELECT count(*) FROM pgkeeper.job_result)", "0",
     false},
};
const size_t mutation_count = sizeof(mutations) / sizeof(mutations[0]);
