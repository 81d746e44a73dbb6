/* tests/conformance/cases_async.c - contract 1 and 2, calls with a completion: each that was begun is completed once. */
#include "suite.h"

struct done {
    atomic_int calls;
    pgk_status status;
    int attempts;
    int64_t dropped;
    char message[PGK_ERROR_MESSAGE_SIZE];
    pthread_t thread;
};

static void note(void *user, const pgk_completion *completion)
{
    struct done *done = user;
    done->status = completion->status;
    done->attempts = completion->attempts;
    done->dropped = completion->dropped;
    done->thread = pthread_self();
    snprintf(done->message, sizeof(done->message), "%s", completion->error->message);
    atomic_fetch_add(&done->calls, 1);
}

static void wait_for(const struct done *done, pgk_status status)
{
    WAIT_UNTIL(atomic_load(&done->calls) > 0, WAIT_LONG_MS);
    if (done->status != status) {
        fail_msg("completed with %s: %s", pgk_status_name(done->status), done->message);
    }
    assert_int_equal(atomic_load(&done->calls), 1);
}

static void confirm__completed_and_published(struct scene *s)
{
    struct done *done = scene_memory(s, sizeof(*done));
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    char address[] = "a";
    WORKS(s, pgk_election_confirm_async(leader->election, &leader->session_id, address, note, done,
                                        &s->err));
    address[0] = 'x'; /* it has a copy */
    wait_for(done, PGK_OK);
    part_hears(scene_follow(s, scene_client(s), "dispatcher"), "a");
}

static void confirm_that_cannot_be_begun__is_never_completed(struct scene *s)
{
    struct done *done = scene_memory(s, sizeof(*done));
    pgk_election *idle = NULL;
    pgk_ha *ha = scene_open(s);
    struct part *leader = scene_lead(s, ha, NULL);
    const pgk_uuid *id = &leader->session_id;
    WORKS(s, pgk_ha_election(ha, "idle", &idle, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_election_confirm_async(idle, id, "a", note, done, &s->err));
    pgk_election_free(idle);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_election_confirm_async(leader->election, id, "a", NULL, done, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_election_confirm_async(leader->election, id, "", note, done, &s->err));
    WORKS(s, pgk_election_close(leader->election, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_election_confirm_async(leader->election, id, "a", note, done, &s->err));
    scene_quiet(s);
    assert_int_equal(atomic_load(&done->calls), 0);
}

static void confirm_with_another_id__completed_fenced(struct scene *s)
{
    struct done *done = scene_memory(s, sizeof(*done));
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    pgk_uuid id;
    pgk_uuid_new(&id);
    WORKS(s, pgk_election_confirm_async(leader->election, &id, "a", note, done, &s->err));
    wait_for(done, PGK_ERR_FENCED);
    assert_true(strlen(done->message) > 8);
}

/* Job 1 RUNNING, with one checkpoint that is listed and one that is discarding. */
static pgk_job_registry *fill(struct scene *s, pgk_ha *ha)
{
    pgk_uuid job = job_of(1);
    pgk_checkpoints *checkpoints = scene_checkpoints(s, ha, PGK_UNFENCED, 1, NULL, NULL);
    pgk_job_registry *registry = scene_registry(s, ha, PGK_UNFENCED);
    WORKS(s, pgk_job_registry_set_running(registry, &job, &s->err));
    add_checkpoints(s, checkpoints, "cc");
    return registry;
}

static void cleanup_job__completed_and_everything_gone(struct scene *s)
{
    struct done *done = scene_memory(s, sizeof(*done));
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    pgk_job_registry *registry = fill(s, ha);
    WORKS(s, pgk_ha_cleanup_job_async(ha, PGK_UNFENCED, &job, note, done, &s->err));
    wait_for(done, PGK_OK);
    assert_int_equal(done->attempts, 1);
    assert_int_equal(done->dropped, 1);
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_PENDING);
    assert_string_equal(checkpoints_text(s, scene_checkpoints(s, ha, PGK_UNFENCED, 1, NULL, NULL)),
                        "");
}

static void cleanup_job_of_a_former_leader__completed_fenced_and_nothing_gone(struct scene *s)
{
    struct done *done = scene_memory(s, sizeof(*done));
    pgk_token token;
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    struct part *part = scene_lead(s, ha, &token);
    pgk_job_registry *registry = fill(s, ha);
    scene_depose_once(s, part);
    WORKS(s, pgk_ha_cleanup_job_async(ha, &token, &job, note, done, &s->err));
    wait_for(done, PGK_ERR_FENCED);
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_RUNNING);
}

static void cleanup_job_that_cannot_be_begun__is_never_completed(struct scene *s)
{
    struct done *done = scene_memory(s, sizeof(*done));
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_ha_cleanup_job_async(ha, NULL, &job, note, done, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_ha_cleanup_job_async(ha, PGK_UNFENCED, NULL, note, done, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_ha_cleanup_job_async(ha, PGK_UNFENCED, &job, NULL, done, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_ha_cleanup_job_async(scene_client(s), PGK_UNFENCED, &job, note, done, &s->err));
    WORKS(s, pgk_ha_close(ha, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_ha_cleanup_job_async(ha, PGK_UNFENCED, &job, note, done, &s->err));
    scene_quiet(s);
    assert_int_equal(atomic_load(&done->calls), 0);
}

#define MANY 20

static void closed__what_was_begun_is_completed_once(struct scene *s)
{
    struct done *done = scene_memory(s, MANY * sizeof(*done));
    pgk_ha *ha = scene_open(s);
    for (int i = 0; i < MANY; i++) {
        pgk_uuid job = job_of(i);
        WORKS(s, pgk_ha_cleanup_job_async(ha, PGK_UNFENCED, &job, note, &done[i], &s->err));
    }
    WORKS(s, pgk_ha_close(ha, &s->err));
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(atomic_load(&done[i].calls), 1);
        assert_true(done[i].status == PGK_OK || done[i].status == PGK_ERR_ILLEGAL_STATE);
        assert_true(done[i].attempts > 0 || done[i].status == PGK_ERR_ILLEGAL_STATE);
    }
}

static void dispatch_manual__completed_where_dispatched(struct scene *s)
{
    struct done *done = scene_memory(s, sizeof(*done));
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open_with(s, "dispatch", "manual", NULL);
    WORKS(s, pgk_ha_cleanup_job_async(ha, PGK_UNFENCED, &job, note, done, &s->err));
    scene_quiet(s);
    assert_int_equal(atomic_load(&done->calls), 0);
    for (int64_t end = wait_now_ns() + WAIT_LONG_MS * WAIT_NS_PER_MS;
         atomic_load(&done->calls) == 0 && wait_now_ns() < end; wait_pause_ms(2)) {
        WORKS(s, pgk_ha_dispatch(ha, &s->err));
    }
    wait_for(done, PGK_OK);
    assert_true(pthread_equal(done->thread, pthread_self()));
}

struct chain {
    struct scene *scene;
    pgk_ha *ha;
    atomic_int links;
};

/* Begins the next one, and gives it the time of a blocking call to end. */
static void begin_next(void *user, const pgk_completion *completion)
{
    struct chain *chain = user;
    struct scene *s = chain->scene;
    pgk_uuid job = job_of(1);
    assert_int_equal(completion->status, PGK_OK);
    if (atomic_fetch_add(&chain->links, 1) < 9) {
        WORKS(s,
              pgk_ha_cleanup_job_async(chain->ha, PGK_UNFENCED, &job, begin_next, chain, &s->err));
        for (int i = 0; i < 3; i++) {
            WORKS(s, pgk_ha_cleanup_job(chain->ha, PGK_UNFENCED, &job, NULL, &s->err));
        }
    }
}

static void dispatch_manual__returns_though_completions_begin_the_next(struct scene *s)
{
    struct chain *chain = scene_memory(s, sizeof(*chain));
    pgk_uuid job = job_of(1);
    *chain = (struct chain){.scene = s, .ha = scene_open_with(s, "dispatch", "manual", NULL)};
    WORKS(s, pgk_ha_cleanup_job_async(chain->ha, PGK_UNFENCED, &job, begin_next, chain, &s->err));
    for (int64_t end = wait_now_ns() + WAIT_LONG_MS * WAIT_NS_PER_MS;
         atomic_load(&chain->links) < 10 && wait_now_ns() < end; wait_pause_ms(1)) {
        int before = atomic_load(&chain->links);
        WORKS(s, pgk_ha_dispatch(chain->ha, &s->err));
        assert_in_range(atomic_load(&chain->links) - before, 0, 1);
    }
    assert_int_equal(atomic_load(&chain->links), 10);
}

static const struct conformance_case cases[] = {
    CASE_NEEDS(confirm__completed_and_published, BIT(ELECTS) | BIT(PUBLISHES) | BIT(SHARES)),
    CASE(confirm_that_cannot_be_begun__is_never_completed),
    CASE_NEEDS(confirm_with_another_id__completed_fenced, BIT(ELECTS)),
    CASE(cleanup_job__completed_and_everything_gone),
    CASE_NEEDS(cleanup_job_of_a_former_leader__completed_fenced_and_nothing_gone,
               BIT(ELECTS) | BIT(FENCES)),
    CASE(cleanup_job_that_cannot_be_begun__is_never_completed),
    CASE(closed__what_was_begun_is_completed_once),
    CASE(dispatch_manual__completed_where_dispatched),
    CASE(dispatch_manual__returns_though_completions_begin_the_next),
};
AREA(async, cases);
