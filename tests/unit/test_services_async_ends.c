/*
 * What ends calls with a completion: closes of the handle and of the election, outside of callbacks and inside
 * them, and the end of a tenure; and that none keeps back another that must not wait.
 */
#include <string.h>

#include "completions.h"
#include "stage.h"

#define NEVER_SOON "cleanup-strategy", "fixed-delay", "cleanup-strategy.fixed-delay.delay", "1 h"

static const char *const never_soon[] = {NEVER_SOON, NULL};
static const pgk_uuid job = {{7}};

/* A handle that leads, and what its calls came to. */
struct scene {
    struct stage s;
    pgk_token token;
    struct completed c[8];
    atomic_bool returned;
};

static void scene_open(struct scene *scene, const char *const *pairs)
{
    memset(scene, 0, sizeof(*scene));
    stage_open(&scene->s, pairs);
    stage_contend(&scene->s, 0);
    stage_lead(&scene->s);
    WAIT_UNTIL(pgk_election_token(scene->s.a[0].election, &scene->token, NULL) == PGK_OK,
               WAIT_LONG_MS);
    for (int i = 0; i < 8; i++) {
        scene->c[i].user = scene;
    }
}

static void clean_up(struct scene *scene, int number)
{
    assert_int_equal(pgk_ha_cleanup_job_async(scene->s.ha, &scene->token, &job, completed_done,
                                              &scene->c[number], NULL),
                     PGK_OK);
}

static void confirm(struct scene *scene, const char *address, int number)
{
    assert_int_equal(pgk_election_confirm_async(scene->s.a[0].election, &scene->token.session_id,
                                                address, completed_done, &scene->c[number], NULL),
                     PGK_OK);
}

/* Clean-up 0 has failed once and waits for long. */
static void leave_one_waiting(struct scene *scene)
{
    script_answer_cleanup(scene->s.backend, PGK_ERR_READ_ONLY);
    clean_up(scene, 0);
    WAIT_UNTIL(script_counts(scene->s.backend).cleaned == 1 && script_held(scene->s.backend) == 0,
               WAIT_LONG_MS);
    script_answer_cleanup(scene->s.backend, PGK_OK);
}

/* Clean-ups from `first` on are under way, as many as can be. */
static void hold_all(struct scene *scene, int first)
{
    script_hold_cleanup(scene->s.backend, true);
    for (int i = 0; i < ASYNC_CLEANUPS; i++) {
        clean_up(scene, first + i);
    }
    WAIT_UNTIL(script_held(scene->s.backend) == ASYNC_CLEANUPS, WAIT_LONG_MS);
}

static void *close_handle(void *user)
{
    struct scene *scene = user;
    pgk_ha_close(scene->s.ha, NULL);
    atomic_store(&scene->returned, true);
    return NULL;
}

static void test_ends__handle_closed__waits_for_tries_and_ends_the_rest(void **state)
{
    (void)state;
    struct scene scene;
    pthread_t closer;
    scene_open(&scene, never_soon);
    leave_one_waiting(&scene);
    hold_all(&scene, 1);
    clean_up(&scene, 4);
    assert_int_equal(pthread_create(&closer, NULL, close_handle, &scene), 0);
    completed_expect(&scene.c[0], PGK_ERR_READ_ONLY); /* the last status */
    assert_int_equal(scene.c[0].attempts, 1);
    assert_non_null(strstr(scene.c[0].error.message, "closed before this was tried again"));
    completed_expect(&scene.c[4], PGK_ERR_ILLEGAL_STATE); /* not begun */
    assert_int_equal(scene.c[4].attempts, 0);
    wait_pause_ms(100);
    assert_false(atomic_load(&scene.returned));
    assert_int_equal(completed_times(&scene.c[1]), 0);
    script_hold_cleanup(scene.s.backend, false);
    pthread_join(closer, NULL);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(completed_times(&scene.c[i]), 1); /* when close has returned */
        completed_expect(&scene.c[i], PGK_OK);
    }
    stage_close(&scene.s);
}

static void test_ends__tenure_over__its_clean_ups_are_fenced_at_once(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, never_soon);
    leave_one_waiting(&scene);
    hold_all(&scene, 1);
    clean_up(&scene, 4);
    /* Not of the tenure: goes on. */
    assert_int_equal(
        pgk_ha_cleanup_job_async(scene.s.ha, PGK_UNFENCED, &job, completed_done, &scene.c[5], NULL),
        PGK_OK);
    script_answer_cleanup(scene.s.backend, PGK_ERR_CONNECTION);
    assert_true(script_end(scene.s.backend, "master", false));
    completed_expect(&scene.c[0], PGK_ERR_FENCED);
    assert_non_null(
        strstr(scene.c[0].error.message, "cleanup was told to fail")); /* the last error */
    assert_false(scene.c[0].error.flags & PGK_ERROR_RETRYABLE);
    completed_expect(&scene.c[4], PGK_ERR_FENCED);
    assert_int_equal(scene.c[4].attempts, 0);
    script_hold_cleanup(scene.s.backend, false); /* these fail now, and would wait for an hour */
    for (int i = 1; i <= 3; i++) {
        completed_expect(&scene.c[i], PGK_ERR_FENCED);
    }
    WAIT_UNTIL(script_counts(scene.s.backend).cleaned == 5, WAIT_LONG_MS);
    assert_int_equal(completed_times(&scene.c[5]), 0);
    stage_close(&scene.s);
    completed_expect(&scene.c[5], PGK_ERR_CONNECTION);
}

static void test_ends__last_election_closed__is_the_end_of_the_tenure(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, never_soon);
    leave_one_waiting(&scene);
    assert_int_equal(pgk_election_close(scene.s.a[0].election, NULL), PGK_OK);
    completed_expect(&scene.c[0], PGK_ERR_FENCED);
    stage_close(&scene.s);
}

static void test_ends__election_closed__its_confirms_have_completed(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, NULL);
    script_hold_confirm(scene.s.backend, true);
    confirm(&scene, "here", 0);
    WAIT_UNTIL(script_held(scene.s.backend) == 1, WAIT_LONG_MS);
    confirm(&scene, "here", 1);
    clean_up(&scene, 2); /* none of its business */
    completed_expect(&scene.c[2], PGK_OK);
    pgk_election_free(scene.s.a[0].election); /* does not wait for the database */
    scene.s.a[0].election = NULL;
    assert_int_equal(completed_times(&scene.c[0]), 1);
    assert_int_equal(completed_times(&scene.c[1]), 1);
    completed_expect(&scene.c[0], PGK_ERR_OUTCOME_UNKNOWN);
    completed_expect(&scene.c[1], PGK_ERR_ILLEGAL_STATE);
    assert_int_equal(scene.c[1].attempts, 0);
    script_hold_confirm(scene.s.backend, false);
    stage_close(&scene.s);
}

static void test_ends__three_clean_ups_under_way__confirm_does_not_wait(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, NULL);
    hold_all(&scene, 0);
    clean_up(&scene, 3);
    confirm(&scene, "here", 4);
    completed_expect(&scene.c[4], PGK_OK);
    assert_int_equal(script_held(scene.s.backend), ASYNC_CLEANUPS); /* not four */
    script_hold_cleanup(scene.s.backend, false);
    completed_expect(&scene.c[3], PGK_OK);
    stage_close(&scene.s);
}

/* More than there were threads for when they began to wait. */
static void test_ends__several_retries_at_a_time__none_waits_for_another(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, (const char *const[]){"cleanup-strategy", "fixed-delay",
                                             "cleanup-strategy.fixed-delay.delay", "300 ms", NULL});
    script_answer_cleanup(scene.s.backend, PGK_ERR_TIMEOUT);
    for (int i = 0; i < ASYNC_CLEANUPS; i++) {
        clean_up(&scene, i);
        WAIT_UNTIL(script_counts(scene.s.backend).cleaned == i + 1, WAIT_LONG_MS);
        wait_pause_ms(10);
    }
    script_answer_cleanup(scene.s.backend, PGK_OK);
    script_hold_cleanup(scene.s.backend, true);
    WAIT_UNTIL(script_held(scene.s.backend) == ASYNC_CLEANUPS, WAIT_LONG_MS);
    script_hold_cleanup(scene.s.backend, false);
    for (int i = 0; i < ASYNC_CLEANUPS; i++) {
        completed_expect(&scene.c[i], PGK_OK);
    }
    stage_close(&scene.s);
}

static void test_ends__confirms_of_one_election__made_in_turn(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        struct scene scene;
        scene_open(&scene, NULL);
        confirm(&scene, "here", 0);
        for (int i = 1; i < 6; i++) {
            confirm(&scene, i % 2 == 0 ? "here" : "there", i);
        }
        for (int i = 0; i < 6; i++) {
            completed_expect(&scene.c[i], i % 2 == 0 ? PGK_OK : PGK_ERR_ILLEGAL_STATE);
            assert_true(i == 0 || scene.c[i].order == scene.c[i - 1].order + 1);
        }
        assert_int_equal(script_counts(scene.s.backend).confirmed, 1);
        stage_close(&scene.s);
    }
}

static atomic_bool entered;
static atomic_bool let_go;

static void wait_inside(struct completed *completed)
{
    (void)completed;
    atomic_store(&entered, true);
    while (!atomic_load(&let_go)) {
        wait_pause_ms(1);
    }
}

static void *close_election_thread(void *user)
{
    struct scene *scene = user;
    pgk_election_close(scene->s.a[0].election, NULL);
    atomic_store(&scene->returned, true);
    return NULL;
}

/* The tenure is over and revoked when the completion runs, so that nothing else of the election is waited for. */
static void test_ends__election_closed_while_a_completion_runs__waits_for_it(void **state)
{
    (void)state;
    struct scene scene;
    pthread_t closer;
    scene_open(&scene, NULL);
    STAGE_WAIT(&scene.s, 0, TAPE_GRANT, 1);
    assert_true(script_end(scene.s.backend, "master", false));
    STAGE_WAIT(&scene.s, 0, TAPE_REVOKE, 1);
    atomic_store(&entered, false);
    atomic_store(&let_go, false);
    scene.c[0].hook = wait_inside;
    confirm(&scene, "here", 0);
    WAIT_UNTIL(atomic_load(&entered), WAIT_LONG_MS);
    assert_int_equal(pthread_create(&closer, NULL, close_election_thread, &scene), 0);
    wait_pause_ms(100);
    assert_false(atomic_load(&scene.returned));
    atomic_store(&let_go, true);
    pthread_join(closer, NULL);
    assert_int_equal(completed_times(&scene.c[0]), 1);
    completed_expect(&scene.c[0], PGK_ERR_FENCED);
    stage_close(&scene.s);
}

/* ------------------------------------------------------------------ inside completions */

static void begin_next(struct completed *completed)
{
    struct scene *scene = completed->user;
    confirm(scene, "here", 1);
    clean_up(scene, 2);
    assert_int_equal(completed_times(&scene->c[1]), 0); /* never inside the call */
    assert_int_equal(completed_times(&scene->c[2]), 0);
}

static void test_ends__next_begun_in_a_completion__completes_after_it(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, NULL);
    scene.c[0].hook = begin_next;
    clean_up(&scene, 0);
    completed_expect(&scene.c[0], PGK_OK);
    completed_expect(&scene.c[1], PGK_OK);
    completed_expect(&scene.c[2], PGK_OK);
    assert_true(scene.c[1].order > scene.c[0].order && scene.c[2].order > scene.c[0].order);
    stage_close(&scene.s);
}

static void close_election(struct completed *completed)
{
    struct scene *scene = completed->user;
    pgk_election_close(scene->s.a[0].election, NULL);
    assert_int_equal(completed_times(&scene->c[1]), 1);
}

static void test_ends__election_closed_in_a_completion__others_complete_inside(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, NULL);
    scene.c[0].hook = close_election;
    script_hold_confirm(scene.s.backend, true);
    confirm(&scene, "here", 1);
    WAIT_UNTIL(script_held(scene.s.backend) == 1, WAIT_LONG_MS);
    clean_up(&scene, 0);
    completed_expect(&scene.c[0], PGK_OK);
    completed_expect(&scene.c[1], PGK_ERR_OUTCOME_UNKNOWN);
    assert_true(pthread_equal(scene.c[1].thread, scene.c[0].thread));
    script_hold_confirm(scene.s.backend, false);
    stage_close(&scene.s);
}

static atomic_bool closed_other;

static void *close_other(void *user)
{
    struct scene *scene = user;
    pgk_election_close(scene->s.a[1].election, NULL);
    atomic_store(&closed_other, true);
    return NULL;
}

/* The next election would have the memory of the one that is freed, were that given back at once. Its close, on
 * another thread, must not wait for this completion: which waits for it. */
static void free_and_close_another(struct completed *completed)
{
    struct scene *scene = completed->user;
    pthread_t closer;
    pgk_election_free(scene->s.a[0].election);
    scene->s.a[0].election = NULL;
    assert_int_equal(pgk_ha_election(scene->s.ha, "b", &scene->s.a[1].election, NULL), PGK_OK);
    assert_int_equal(pthread_create(&closer, NULL, close_other, scene), 0);
    WAIT_UNTIL(atomic_load(&closed_other), WAIT_LONG_MS);
    pthread_join(closer, NULL);
}

static void test_ends__election_freed_in_its_completion__another_is_not_taken_for_it(void **state)
{
    (void)state;
    struct scene scene;
    /* By hand, so that memory is freed and taken again by one thread. */
    scene_open(&scene, stage_manual);
    assert_int_equal(pgk_ha_dispatch(scene.s.ha, NULL), PGK_OK); /* the grant */
    atomic_store(&closed_other, false);
    scene.c[0].hook = free_and_close_another;
    confirm(&scene, "here", 0);
    while (completed_times(&scene.c[0]) == 0) {
        assert_int_equal(pgk_ha_dispatch(scene.s.ha, NULL), PGK_OK);
        wait_pause_ms(1);
    }
    completed_expect(&scene.c[0], PGK_OK);
    stage_close(&scene.s);
}

static void close_handle_inside(struct completed *completed)
{
    struct scene *scene = completed->user;
    if (completed == &scene->c[3]) {
        return;
    }
    assert_int_equal(pgk_ha_close(scene->s.ha, NULL), PGK_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(completed_times(&scene->c[i]), 1);
    }
    assert_int_equal(pgk_ha_cleanup_job_async(scene->s.ha, PGK_UNFENCED, &job, completed_done,
                                              &scene->c[3], NULL),
                     PGK_ERR_ILLEGAL_STATE);
}

static void close_in_a_completion(const char *const *pairs, bool manual)
{
    struct scene scene;
    scene_open(&scene, pairs);
    scene.c[2].hook = close_handle_inside;
    leave_one_waiting(&scene);
    script_hold_confirm(scene.s.backend, true);
    if (manual) {
        assert_int_equal(pgk_ha_dispatch(scene.s.ha, NULL), PGK_OK); /* the grant */
    }
    confirm(&scene, "here", 1);
    WAIT_UNTIL(script_held(scene.s.backend) == 1, WAIT_LONG_MS);
    clean_up(&scene, 2);
    WAIT_UNTIL(script_counts(scene.s.backend).cleaned == 2, WAIT_LONG_MS);
    script_hold_confirm(scene.s.backend, false);
    while (manual && completed_times(&scene.c[2]) == 0) {
        (void)pgk_ha_dispatch(scene.s.ha, NULL);
        wait_pause_ms(1);
    }
    completed_expect(&scene.c[2], PGK_OK);
    completed_expect(&scene.c[0], PGK_ERR_READ_ONLY);
    assert_int_equal(completed_times(&scene.c[1]), 1);
    assert_int_equal(completed_times(&scene.c[3]), 0);
    stage_close(&scene.s);
}

static void test_ends__handle_closed_in_a_completion__others_complete_inside(void **state)
{
    (void)state;
    close_in_a_completion(never_soon, false);
    close_in_a_completion((const char *const[]){NEVER_SOON, "dispatch", "manual", NULL}, true);
}

static void free_handle_inside(struct completed *completed)
{
    struct scene *scene = completed->user;
    pgk_ha_free(scene->s.ha);
    assert_int_equal(completed_times(&scene->c[0]), 1);
}

static void test_ends__handle_freed_in_a_completion__nothing_is_left(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, never_soon);
    scene.c[1].hook = free_handle_inside;
    leave_one_waiting(&scene);
    clean_up(&scene, 1);
    completed_expect(&scene.c[1], PGK_OK);
    completed_expect(&scene.c[0], PGK_ERR_READ_ONLY);
    scene.s.ha = NULL;
    stage_close(&scene.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends__handle_closed__waits_for_tries_and_ends_the_rest),
        cmocka_unit_test(test_ends__tenure_over__its_clean_ups_are_fenced_at_once),
        cmocka_unit_test(test_ends__last_election_closed__is_the_end_of_the_tenure),
        cmocka_unit_test(test_ends__election_closed__its_confirms_have_completed),
        cmocka_unit_test(test_ends__three_clean_ups_under_way__confirm_does_not_wait),
        cmocka_unit_test(test_ends__several_retries_at_a_time__none_waits_for_another),
        cmocka_unit_test(test_ends__confirms_of_one_election__made_in_turn),
        cmocka_unit_test(test_ends__election_closed_while_a_completion_runs__waits_for_it),
        cmocka_unit_test(test_ends__next_begun_in_a_completion__completes_after_it),
        cmocka_unit_test(test_ends__election_closed_in_a_completion__others_complete_inside),
        cmocka_unit_test(test_ends__election_freed_in_its_completion__another_is_not_taken_for_it),
        cmocka_unit_test(test_ends__handle_closed_in_a_completion__others_complete_inside),
        cmocka_unit_test(test_ends__handle_freed_in_a_completion__nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
