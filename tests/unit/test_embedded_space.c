/*
 * How long the memory of the embedded mode lasts: with the last handle, longer when told to, and never in a forked
 * child. No server.
 */
#include <pgkeeper/pgkeeper.h>

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/embedded/shelf.h"
#include "inproc.h"
#include "services/handle.h"

#define COMPONENT PGK_COMPONENT_DISPATCHER
#define FORKS 20
#define MEMBERS 4

static struct member *join(const char *cluster_id)
{
    struct member *member = member_new(inproc_open("embedded", cluster_id, NULL));
    actor_confirms(&member->a[0], "here");
    actor_contend(&member->a[0], member->ha, COMPONENT, NULL);
    return member;
}

/* The epoch in which a new master leads; what is stored under the cluster id was RUNNING, or is not there. */
static int64_t lead_once(const char *cluster_id, const pgk_uuid *job_id,
                         pgk_scheduling_status expected)
{
    struct member *member = join(cluster_id);
    pgk_token token;
    pgk_job_registry *registry = NULL;
    pgk_scheduling_status status = PGK_SCHEDULING_DONE;
    ACTOR_WAIT(&member->a[0], TAPE_GRANT, 1);
    assert_int_equal(pgk_election_token(member->a[0].election, &token, NULL), PGK_OK);
    assert_int_equal(pgk_ha_job_registry(member->ha, &token, &registry, NULL), PGK_OK);
    assert_int_equal(pgk_job_registry_get(registry, job_id, &status, NULL), PGK_OK);
    assert_int_equal(status, expected);
    assert_int_equal(pgk_job_registry_set_running(registry, job_id, NULL), PGK_OK);
    pgk_job_registry_free(registry);
    member_free(member);
    return token.epoch;
}

static void test_space__last_handle_closed__all_is_gone(void **state)
{
    (void)state;
    pgk_uuid job_id;
    pgk_uuid_new(&job_id);
    assert_int_equal(lead_once("gone", &job_id, PGK_SCHEDULING_PENDING), 1);
    assert_int_equal(lead_once("gone", &job_id, PGK_SCHEDULING_PENDING), 1);
}

static void test_space__another_handle_open__all_is_there(void **state)
{
    (void)state;
    pgk_uuid job_id;
    pgk_uuid_new(&job_id);
    struct member *client = member_new(inproc_open_client("embedded", "there", NULL));
    assert_int_equal(lead_once("there", &job_id, PGK_SCHEDULING_PENDING), 1);
    assert_int_equal(lead_once("there", &job_id, PGK_SCHEDULING_RUNNING), 2);
    member_free(client);
    assert_int_equal(lead_once("there", &job_id, PGK_SCHEDULING_PENDING), 1);
}

static void test_space__kept__all_is_there_until_it_is_let_go(void **state)
{
    (void)state;
    pgk_uuid job_id;
    pgk_uuid_new(&job_id);
    assert_int_equal(pgk_embedded_keep("kept", true, NULL), PGK_OK); /* before it is opened */
    assert_int_equal(lead_once("kept", &job_id, PGK_SCHEDULING_PENDING), 1);
    assert_int_equal(lead_once("kept", &job_id, PGK_SCHEDULING_RUNNING), 2);
    assert_int_equal(pgk_embedded_keep("kept", false, NULL), PGK_OK); /* when none is open */
    assert_int_equal(lead_once("kept", &job_id, PGK_SCHEDULING_PENDING), 1);

    struct member *member = join("kept");
    assert_int_equal(pgk_embedded_keep("kept", true, NULL), PGK_OK);
    assert_int_equal(pgk_embedded_keep("kept", true, NULL), PGK_OK);
    assert_int_equal(pgk_embedded_keep("kept", false, NULL), PGK_OK); /* the last call counts */
    member_free(member);
    assert_int_equal(lead_once("kept", &job_id, PGK_SCHEDULING_PENDING), 1);
}

/* What is revoked stays so over the last close, if it is kept. */
static void test_space__kept__what_is_revoked_stays_so(void **state)
{
    (void)state;
    assert_int_equal(pgk_embedded_keep("barred", true, NULL), PGK_OK);
    assert_int_equal(pgk_embedded_revoke("barred", COMPONENT, NULL), PGK_OK);
    struct member *member = join("barred");
    wait_pause_ms(40);
    assert_false(actor_leads(&member->a[0]));
    assert_int_equal(pgk_embedded_grant("barred", COMPONENT, NULL), PGK_OK);
    ACTOR_WAIT(&member->a[0], TAPE_GRANT, 1);
    assert_int_equal(pgk_embedded_keep("barred", false, NULL), PGK_OK);
    member_free(member);
}

/* ------------------------------------------------------------------ fork */

/* In the child, which may not use the parent's threads, locks or test library: its own exit code. */
#define CHILD_MUST(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            _exit(__LINE__ % 200 + 1);                                                             \
        }                                                                                          \
    } while (0)

static atomic_int grants_in_child;

static void child_granted(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    (void)user;
    (void)session_id;
    atomic_store(&grants_in_child, (int)epoch);
}

static void child_revoked(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    (void)user;
    (void)session_id;
    (void)epoch;
}

static void use_own_handle(const pgk_config *config)
{
    pgk_ha *ha = NULL;
    pgk_election *election = NULL;
    const pgk_contender contender = {
        .size = sizeof(contender), .grant = child_granted, .revoke = child_revoked};
    CHILD_MUST(pgk_embedded_revoke("forked", COMPONENT, NULL) == PGK_ERR_NOT_FOUND);
    CHILD_MUST(pgk_ha_open(config, &ha, NULL) == PGK_OK);
    CHILD_MUST(pgk_ha_election(ha, COMPONENT, &election, NULL) == PGK_OK);
    CHILD_MUST(pgk_election_start(election, &contender, NULL) == PGK_OK);
    for (int i = 0; i < 10000 && atomic_load(&grants_in_child) == 0; i++) {
        wait_pause_ms(1);
    }
    CHILD_MUST(atomic_load(&grants_in_child) == 1); /* nobody leads here, and nobody has */
    CHILD_MUST(pgk_ha_close(ha, NULL) == PGK_OK);
    pgk_election_free(election);
    pgk_ha_free(ha);
}

static void be_child(const struct member *member, const pgk_uuid *session_id,
                     const pgk_config *config)
{
    pgk_leader leader;
    pgk_token token;
    alarm(60);
    const struct actor *a = &member->a[0];
    CHILD_MUST(!pgk_election_has_leadership(a->election, session_id));
    CHILD_MUST(pgk_election_token(a->election, &token, NULL) == PGK_ERR_ILLEGAL_STATE);
    CHILD_MUST(pgk_election_confirm(a->election, session_id, "child", NULL) ==
               PGK_ERR_ILLEGAL_STATE);
    CHILD_MUST(pgk_retriever_get(member->a[1].retriever, &leader, NULL) == PGK_ERR_ILLEGAL_STATE);
    CHILD_MUST(pgk_ha_close(member->ha, NULL) == PGK_ERR_ILLEGAL_STATE);
    pgk_election_free(a->election);
    pgk_ha_free(member->ha);
#ifdef __SANITIZE_THREAD__ /* which allows no threads after the fork of a process that has some */
    (void)use_own_handle;
    (void)config;
#else
    use_own_handle(config);
#endif
    _exit(0);
}

#ifndef PGK_TEST_SANITIZED
static atomic_bool stop;

/* Keeps the locks of the cluster busy while the process is forked. And the allocator's, so not under the sanitizers,
 * whose own stays locked in the child; and so does their list of threads when one of these begins or ends. */
static void *disturb(void *user)
{
    (void)user;
    while (!atomic_load(&stop)) {
        pgk_embedded_revoke("forked", "disturbance", NULL);
        pgk_embedded_grant("forked", "disturbance", NULL);
    }
    return NULL;
}
#endif

static void test_fork__child__has_nothing_of_the_parents_and_can_have_its_own(void **state)
{
    (void)state;
    pgk_config *config = NULL;
    struct member *member = join("forked");
    struct actor *a = &member->a[0];
    actor_follow(&member->a[1], member->ha, COMPONENT);
    ACTOR_WAIT(&member->a[1], TAPE_LEADER, 1);
    pgk_uuid session_id = actor_last(a, TAPE_GRANT).session_id;
    assert_int_equal(pgk_config_new(&config, NULL), PGK_OK);
    assert_int_equal(pgk_config_set(config, "high-availability.type", "embedded", NULL), PGK_OK);
    assert_int_equal(pgk_config_set(config, "high-availability.cluster-id", "forked", NULL),
                     PGK_OK);
#ifndef PGK_TEST_SANITIZED
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, disturb, NULL), 0);
#endif
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        int status = 0;
        if (child == 0) {
            be_child(member, &session_id, config);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
#ifndef PGK_TEST_SANITIZED
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
#endif
    assert_true(actor_leads(a)); /* nothing has come of it here */
    assert_int_equal(actor_count(a, TAPE_REVOKE), 0);
    pgk_config_free(config);
    member_free(member);
}

/* ------------------------------------------------------------------ together */

static void *come_and_go(void *user)
{
    const char *cluster_id = user;
    for (int i = 0; i < 40; i++) {
        member_free(join(cluster_id));
    }
    return NULL;
}

#define METADATA_BYTES 4096

/* Of all checkpoints of a job, of whatever state. */
static size_t bytes_of_checkpoints(pgk_ha *ha, const pgk_uuid *job_id)
{
    const struct job *job = shelf_find(shelf_read(ha->backend), job_id);
    size_t bytes = 0;
    for (size_t i = 0; job != NULL && i < job->checkpoints.count; i++) {
        const struct parcel *content = job->checkpoints.entries[i].content;
        bytes += content != NULL ? content->length : 0;
    }
    shelf_unlock(ha->backend);
    return bytes;
}

/* What is retained is the user's. Its id is kept, so that it is not added again, but not its bytes. */
static void test_space__retained_checkpoints__leave_no_bytes_in_memory(void **state)
{
    (void)state;
    static char metadata[METADATA_BYTES];
    pgk_checkpoints_options options = {.size = sizeof(options), .max_retained = 1};
    pgk_checkpoint checkpoint = {.size = sizeof(checkpoint),
                                 .kind = PGK_SAVEPOINT,
                                 .retention = PGK_RETAIN_ON_FAILURE,
                                 .metadata = metadata,
                                 .metadata_bytes = sizeof(metadata)};
    pgk_ha *ha = inproc_open("embedded", "retained", NULL);
    pgk_checkpoints *store = NULL;
    pgk_uuid_new(&options.job_id);
    assert_int_equal(pgk_ha_checkpoints(ha, PGK_UNFENCED, &options, &store, NULL), PGK_OK);
    /* Each savepoint is retained when the next one comes. */
    for (checkpoint.checkpoint_id = 1; checkpoint.checkpoint_id <= 20; checkpoint.checkpoint_id++) {
        assert_int_equal(pgk_checkpoints_add(store, &checkpoint, NULL), PGK_OK);
    }
    assert_int_equal(bytes_of_checkpoints(ha, &options.job_id), METADATA_BYTES);
    /* The last one, of the other kind, when the job fails. */
    checkpoint.kind = PGK_CHECKPOINT;
    assert_int_equal(pgk_checkpoints_add(store, &checkpoint, NULL), PGK_OK);
    assert_int_equal(bytes_of_checkpoints(ha, &options.job_id), METADATA_BYTES);
    assert_int_equal(pgk_checkpoints_shutdown(store, PGK_JOB_FAILED, NULL), PGK_OK);
    assert_int_equal(bytes_of_checkpoints(ha, &options.job_id), 0);
    pgk_checkpoints_free(store);
    pgk_ha_free(ha);
}

/* Handles of the same and of other cluster ids, opened and closed by several threads at once. */
static void test_space__opened_and_closed_by_many_threads__none_is_lost(void **state)
{
    (void)state;
    pthread_t threads[MEMBERS];
    pgk_uuid job_id;
    pgk_uuid_new(&job_id);
    for (int i = 0; i < MEMBERS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, come_and_go, i % 2 == 0 ? "many" : "others"), 0);
    }
    for (int i = 0; i < MEMBERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(lead_once("many", &job_id, PGK_SCHEDULING_PENDING), 1);
    assert_int_equal(lead_once("others", &job_id, PGK_SCHEDULING_PENDING), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_space__last_handle_closed__all_is_gone),
        cmocka_unit_test(test_space__another_handle_open__all_is_there),
        cmocka_unit_test(test_space__kept__all_is_there_until_it_is_let_go),
        cmocka_unit_test(test_space__kept__what_is_revoked_stays_so),
        cmocka_unit_test(test_space__retained_checkpoints__leave_no_bytes_in_memory),
        cmocka_unit_test(test_fork__child__has_nothing_of_the_parents_and_can_have_its_own),
        cmocka_unit_test(test_space__opened_and_closed_by_many_threads__none_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
