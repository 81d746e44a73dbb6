/*
 * tests/faults/test_fork.c - fork() of a process that holds a handle: the copy in the child is dead and disturbs
 * nobody; the parent goes on leading. The child makes calls and exits; it runs no cmocka.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "completions.h"
#include "contest.h"
#include "recorder.h"

static void no_completion(void *user, const pgk_completion *completion)
{
    (void)user, (void)completion;
}

/* The parent's own, which is idle at the fork. */
static void make_async_threads(struct part *part)
{
    struct completed c = {0};
    assert_int_equal(pgk_election_confirm_async(part->election, &part->session_id, "parent",
                                                completed_done, &c, NULL),
                     PGK_OK);
    completed_expect(&c, PGK_OK);
}

/* What the child finds wrong becomes its exit code. */
static int child_of_leader(pgk_ha *ha, struct part *part, bool frees)
{
    pgk_error err;
    pgk_token token;
    pgk_election *another = NULL;
    if (pgk_election_has_leadership(part->election, &part->session_id)) {
        return 1;
    }
    if (pgk_election_deadline_ns(part->election, &part->session_id) != 0) {
        return 2;
    }
    if (pgk_election_token(part->election, &token, &err) == PGK_OK) {
        return 3;
    }
    if (pgk_ha_election(ha, "another", &another, &err) != PGK_ERR_ILLEGAL_STATE) {
        return 4;
    }
    if (pgk_election_confirm(part->election, &part->session_id, "child", &err) !=
        PGK_ERR_ILLEGAL_STATE) {
        return 5;
    }
    if (pgk_election_resign(part->election, &err) != PGK_ERR_ILLEGAL_STATE) {
        return 6;
    }
    if (pgk_election_confirm_async(part->election, &part->session_id, "child", no_completion, NULL,
                                   &err) != PGK_ERR_ILLEGAL_STATE ||
        pgk_ha_cleanup_job_async(ha, PGK_UNFENCED, &part->session_id, no_completion, NULL, &err) !=
            PGK_ERR_ILLEGAL_STATE) {
        return 7;
    }
    if (frees) {
        pgk_election_free(part->election);
        pgk_ha_free(ha);
    }
    return 0;
}

static void fork_and_look(void **state, bool frees)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    struct part part = {0};
    pgk_ha *ha = handle_open(fixture, "parent", NULL);
    part_contend(&part, recorder, ha, "dispatcher", NULL);
    int64_t epoch = part_granted(&part);
    make_async_threads(&part);
    int64_t lock_pid = db_lock_pid(fixture, "parent");
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            _exit(child_of_leader(ha, &part, frees));
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    wait_pause_ms(2200); /* longer than the session timeout: the sessions are really alive */
    assert_true(pgk_election_has_leadership(part.election, &part.session_id));
    assert_int_equal(recorder_count(recorder, "revoke"), 0);
    assert_int_equal(db_lock_pid(fixture, "parent"), lock_pid);
    assert_int_equal(db_int(fixture, "SELECT epoch FROM pgkeeper.leadership"), epoch);
    pgk_ha_close(ha, NULL);
    part_free(&part);
    pgk_ha_free(ha);
    check_reasons(fixture, "master", "resigned");
    recorder_free(recorder);
}

static void test_fork__child_frees_its_copy__parent_goes_on_leading(void **state)
{
    fork_and_look(state, true);
}

static void test_fork__child_only_exits__parent_goes_on_leading(void **state)
{
    fork_and_look(state, false);
}

/* A child that lives on has the parent's sockets: they must not keep a dead parent's lock. */
static void test_fork__parent_dies_and_child_lives__lock_is_free(void **state)
{
    struct fixture *fixture = *state;
    struct recorder *recorder = recorder_new();
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t middle = fork();
    if (middle == 0) {
        /* A process without threads of its own so far: it opens a handle, leads, forks and is killed. */
        struct part part = {0};
        pgk_ha *ha = handle_open(fixture, "doomed", NULL);
        part_contend(&part, recorder, ha, "dispatcher", NULL);
        part_granted(&part);
        pid_t child = fork();
        if (child == 0) {
            wait_pause_ms(WAIT_LONG_MS);
            _exit(0);
        }
        (void)!write(ready[1], &child, sizeof(child));
        wait_pause_ms(WAIT_LONG_MS);
        _exit(1);
    }
    pid_t child = 0;
    assert_int_equal(read(ready[0], &child, sizeof(child)), sizeof(child));
    struct process *b = contest_start(fixture, "b", NULL);
    contest_ready(fixture, "b");
    assert_int_equal(kill(middle, SIGKILL), 0);
    contest_granted(b);
    check_reasons(fixture, "master", "lost");
    check_history(fixture);
    check_alternates(b);
    kill(child, SIGKILL);
    waitpid(middle, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    recorder_free(recorder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_fork__child_frees_its_copy__parent_goes_on_leading),
        DB_TEST(test_fork__child_only_exits__parent_goes_on_leading),
        DB_TEST(test_fork__parent_dies_and_child_lives__lock_is_free),
    };
    return cmocka_run_group_tests_name("fork", tests, fixture_group_setup, fixture_group_teardown);
}
