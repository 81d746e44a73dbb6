/*
 * Closing and freeing, from every place there is: other threads, inside callbacks, twice, after fork. Each with a
 * notifier thread; what differs with manual dispatch also with that.
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stage.h"

static void test_close__granted__revoke_comes_before_it_returns(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    stage_open(&s, NULL);
    stage_contend(&s, 0);
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    assert_int_equal(pgk_election_close(s.a[0].election, &err), PGK_OK);
    stage_expect(&s, "a+ a-");
    assert_int_equal(script_counts(s.backend).left, 1);
    assert_int_equal(pgk_election_close(s.a[0].election, &err), PGK_OK);
    stage_expect(&s, "a+ a-");
    stage_close(&s);
}

static void test_close__one_of_two_components__other_goes_on(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    stage_open(&s, NULL);
    stage_contend(&s, 0);
    stage_contend(&s, 1);
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    STAGE_WAIT(&s, 1, TAPE_GRANT, 1);
    pgk_uuid session = s.a[0].session_id;
    assert_int_equal(pgk_election_confirm(s.a[0].election, &session, "here", &err), PGK_OK);
    assert_int_equal(pgk_election_close(s.a[0].election, &err), PGK_OK);
    assert_false(pgk_election_has_leadership(s.a[0].election, &session));
    assert_true(pgk_election_has_leadership(s.a[1].election, &session));
    assert_int_equal(script_counts(s.backend).withdrawn, 1);
    assert_int_equal(script_counts(s.backend).left, 0);
    stage_expect(&s, "a+ b+ a-");
    stage_close(&s);
}

/* What a hook does inside the callback that it is set for. */
static void close_own(struct actor *actor)
{
    if (actor->election != NULL) {
        pgk_election_close(actor->election, NULL);
    }
    pgk_retriever_stop(actor->retriever, NULL);
}

static void free_own(struct actor *actor)
{
    pgk_election_free(actor->election);
    pgk_retriever_free(actor->retriever);
    actor->election = NULL;
    actor->retriever = NULL;
}

static void close_other(struct actor *actor)
{
    struct stage *s = actor->user;
    pgk_election_close(s->a[1].election, NULL);
}

static void free_other(struct actor *actor)
{
    free_own(&((struct stage *)actor->user)->a[1]);
}

static void close_handle(struct actor *actor)
{
    pgk_ha_close(actor->ha, NULL);
}

static void free_handle(struct actor *actor)
{
    struct stage *s = actor->user;
    if (s->ha != NULL) {
        pgk_ha_free(s->ha);
        s->ha = NULL;
    }
}

static void free_everything(struct actor *actor)
{
    struct stage *s = actor->user;
    for (int i = 0; i < STAGE_ACTORS; i++) {
        free_own(&s->a[i]);
    }
    free_handle(actor);
}

static void (*const inside_hooks[])(struct actor *actor) = {
    close_own, free_own, close_other, free_other, close_handle, free_handle, free_everything};

/* Lets the callbacks run that are due, and waits for one. The handle may be gone afterwards. */
static void step(struct stage *s, bool manual, const atomic_int *count)
{
    int before = atomic_load(count);
    if (manual) {
        assert_int_equal(pgk_ha_dispatch(s->ha, NULL), PGK_OK);
    }
    WAIT_UNTIL(atomic_load(count) > before || before > 0, WAIT_LONG_MS);
}

/* Brings about a callback of that kind; the last touch of the backend is what causes it. */
static void cause(struct stage *s, struct actor *who, enum tape_kind kind, bool manual)
{
    static const pgk_error fault = {.status = PGK_ERR_CONNECTION, .message = "lost"};
    if (kind == TAPE_GRANT || kind == TAPE_REVOKE) {
        stage_lead(s);
    }
    if (kind == TAPE_REVOKE) {
        step(s, manual, &who->counts[TAPE_GRANT]);
        STAGE_WAIT(s, 1, TAPE_GRANT, 1);
        script_end(s->backend, "master", true);
    }
    if (kind == TAPE_ERROR) {
        script_fault(s->backend, "master", &fault);
    }
    if (kind == TAPE_LEADER || kind == TAPE_NO_LEADER) {
        script_see(s->backend, "x", 1, 1, "address");
    }
    if (kind == TAPE_NO_LEADER) {
        step(s, manual, &who->counts[TAPE_LEADER]);
        script_see(s->backend, "x", 0, 0, NULL);
    }
    step(s, manual, &who->hooks_done);
}

static void run_inside(void (*hook)(struct actor *actor), enum tape_kind kind, bool manual)
{
    struct stage s;
    stage_open(&s, manual ? stage_manual : NULL);
    stage_contend(&s, 0);
    stage_contend(&s, 1);
    stage_follow(&s, 2, "x");
    struct actor *who = &s.a[kind == TAPE_LEADER || kind == TAPE_NO_LEADER ? 2 : 0];
    who->hook_kind = kind;
    who->hook = hook;
    cause(&s, who, kind, manual);
    stage_close(&s);
    assert_int_equal(actor_count(who, kind), 1);
}

static void run_all_inside(enum tape_kind kind)
{
    for (size_t i = 0; i < sizeof(inside_hooks) / sizeof(inside_hooks[0]); i++) {
        run_inside(inside_hooks[i], kind, false);
        run_inside(inside_hooks[i], kind, true);
    }
}

static void test_callback__grant_closes_or_frees_anything__pairs_hold(void **state)
{
    (void)state;
    run_all_inside(TAPE_GRANT);
}

static void test_callback__revoke_closes_or_frees_anything__pairs_hold(void **state)
{
    (void)state;
    run_all_inside(TAPE_REVOKE);
}

static void test_callback__error_closes_or_frees_anything__pairs_hold(void **state)
{
    (void)state;
    run_all_inside(TAPE_ERROR);
}

static void test_callback__leader_closes_or_frees_anything__pairs_hold(void **state)
{
    (void)state;
    run_all_inside(TAPE_LEADER);
    run_all_inside(TAPE_NO_LEADER);
}

static void test_callback__grant_closes_handle__revokes_are_delivered_inside(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, NULL);
    stage_contend(&s, 0);
    stage_contend(&s, 1);
    s.a[1].hook = close_handle;
    s.a[1].hook_kind = TAPE_GRANT;
    stage_lead(&s);
    WAIT_UNTIL(atomic_load(&s.a[1].hooks_done) == 1, WAIT_LONG_MS);
    stage_expect(&s, "a+ b+ a- b-");
    assert_int_equal(script_counts(s.backend).closed, 1);
    stage_close(&s);
}

static atomic_int let_go_early;

static void close_and_look(struct actor *actor)
{
    struct stage *s = actor->user;
    pgk_election_close(actor->election, NULL);
    struct script_counts counts = script_counts(s->backend);
    atomic_store(&let_go_early, counts.left + counts.revoked);
}

static void test_callback__revoke_closes_its_election__group_is_left_after_it(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, NULL);
    stage_contend(&s, 0);
    s.a[0].hook = close_and_look;
    s.a[0].hook_kind = TAPE_REVOKE;
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    script_end(s.backend, "master", true);
    WAIT_UNTIL(script_counts(s.backend).left == 1, WAIT_LONG_MS);
    assert_int_equal(atomic_load(&let_go_early), 0);
    assert_int_equal(script_counts(s.backend).revoked, 1);
    stage_close(&s);
}

static void *close_handle_thread(void *user)
{
    pgk_ha_close(user, NULL);
    return NULL;
}

static void close_handle_when_told(struct actor *actor)
{
    stage_wait_for_release(actor);
    pgk_ha_close(actor->ha, NULL);
}

static void test_callback__closes_handle_that_another_thread_closes__both_return(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, NULL);
    stage_contend(&s, 0);
    s.a[0].hook = close_handle_when_told;
    s.a[0].hook_kind = TAPE_REVOKE;
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    stage_contend(&s, 1);
    STAGE_WAIT(&s, 1, TAPE_GRANT, 1);
    pgk_uuid session = s.a[0].session_id;
    stage_hold();
    pthread_t closer;
    assert_int_equal(pthread_create(&closer, NULL, close_handle_thread, s.ha), 0);
    STAGE_WAIT(&s, 0, TAPE_REVOKE, 1);
    assert_false(pgk_election_has_leadership(s.a[1].election, &session));
    stage_release();
    pthread_join(closer, NULL);
    stage_expect(&s, "a+ b+ a- b-");
    stage_close(&s);
}

static void free_while_it_is_closed(struct actor *actor)
{
    pgk_election_free(actor->election);
    actor->election = NULL;
}

static int references(pgk_ha *ha)
{
    pthread_mutex_lock(&ha->lock);
    int refs = ha->refs;
    pthread_mutex_unlock(&ha->lock);
    return refs;
}

/* The revoke that the close waits for frees the election: with the close the memory goes, and what it held. */
static void test_close__freed_in_the_callback_that_it_waits_for__nothing_is_left(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, NULL);
    int before = references(s.ha);
    stage_contend(&s, 0);
    pgk_election *election = s.a[0].election;
    s.a[0].hook = free_while_it_is_closed;
    s.a[0].hook_kind = TAPE_REVOKE;
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    assert_int_equal(references(s.ha), before + 1);
    assert_int_equal(pgk_election_close(election, NULL), PGK_OK);
    assert_int_equal(atomic_load(&s.a[0].hooks_done), 1);
    WAIT_UNTIL(references(s.ha) == before, WAIT_LONG_MS); /* when the notifier has let it go, too */
    stage_close(&s);
}

static void test_handle_close__backend_fails__all_closed_and_reported_once(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    stage_open(&s, NULL);
    stage_contend(&s, 0);
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    script_answer_close(PGK_ERR_CONNECTION);
    ASSERT_FAILS(PGK_ERR_CONNECTION, &err, pgk_ha_close(s.ha, &err));
    script_answer_close(PGK_OK);
    assert_int_equal(pgk_ha_close(s.ha, &err), PGK_OK);
    stage_expect(&s, "a+ a-");
    stage_close(&s);
}

static void test_handle_free__elections_outlive_it__closed_objects(void **state)
{
    (void)state;
    struct stage s;
    pgk_error err;
    pgk_token token;
    stage_open(&s, NULL);
    stage_contend(&s, 0);
    stage_follow(&s, 1, "x");
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    pgk_uuid session = s.a[0].session_id;
    pgk_ha_free(s.ha);
    s.ha = NULL;
    pgk_election *election = s.a[0].election;
    pgk_contender contender = actor_contender(&s.a[0]);
    assert_false(pgk_election_has_leadership(election, &session));
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_election_start(election, &contender, &err));
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_election_confirm(election, &session, "x", &err));
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_election_token(election, &token, &err));
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err, pgk_election_resign(election, &err));
    ASSERT_FAILS(PGK_ERR_ILLEGAL_STATE, &err,
                 pgk_retriever_start(s.a[1].retriever, actor_leader, &s.a[1], &err));
    assert_int_equal(pgk_election_close(election, &err), PGK_OK);
    assert_int_equal(pgk_retriever_stop(s.a[1].retriever, &err), PGK_OK);
    stage_close(&s);
}

static int call_in_child(struct stage *s, const pgk_uuid *session)
{
    pgk_error err;
    pgk_election *election = NULL;
    pgk_leader leader;
    int wrong = 0;
    wrong += pgk_election_has_leadership(s->a[0].election, session);
    wrong += pgk_election_deadline_ns(s->a[0].election, session) != 0;
    wrong += pgk_ha_election(s->ha, "z", &election, &err) != PGK_ERR_ILLEGAL_STATE;
    wrong += pgk_election_close(s->a[0].election, &err) != PGK_ERR_ILLEGAL_STATE;
    wrong += pgk_election_confirm(s->a[0].election, session, "x", &err) != PGK_ERR_ILLEGAL_STATE;
    wrong += pgk_retriever_get(s->a[1].retriever, &leader, &err) != PGK_ERR_ILLEGAL_STATE;
    wrong += pgk_retriever_stop(s->a[1].retriever, &err) != PGK_ERR_ILLEGAL_STATE;
    wrong += pgk_ha_dispatch(s->ha, &err) != PGK_ERR_ILLEGAL_STATE;
    wrong += pgk_ha_fd(s->ha) != -1;
    wrong += pgk_ha_close(s->ha, &err) != PGK_ERR_ILLEGAL_STATE;
    wrong += strstr(err.message, "process") == NULL;
    struct backend *backend = script_of(s->ha);
    pgk_ha_free(s->ha);
    pgk_ha_free(s->ha);
    pgk_election_free(s->a[0].election);
    pgk_retriever_free(s->a[1].retriever);
    /* Unlocked: the child has one thread, and the lock may be held by one that it does not have. */
    wrong += script_counts_unlocked(backend).forgotten != 1;
    wrong += script_counts_unlocked(backend).closed != 0;
    return wrong;
}

static void test_fork__child_uses_the_handle__illegal_state_and_parent_unharmed(void **state)
{
    (void)state;
    struct stage s;
    stage_open(&s, NULL);
    stage_contend(&s, 0);
    stage_follow(&s, 1, "x");
    stage_lead(&s);
    STAGE_WAIT(&s, 0, TAPE_GRANT, 1);
    pgk_uuid session = s.a[0].session_id;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(call_in_child(&s, &session));
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(pgk_election_has_leadership(s.a[0].election, &session));
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close__granted__revoke_comes_before_it_returns),
        cmocka_unit_test(test_close__one_of_two_components__other_goes_on),
        cmocka_unit_test(test_callback__grant_closes_or_frees_anything__pairs_hold),
        cmocka_unit_test(test_callback__revoke_closes_or_frees_anything__pairs_hold),
        cmocka_unit_test(test_callback__error_closes_or_frees_anything__pairs_hold),
        cmocka_unit_test(test_callback__leader_closes_or_frees_anything__pairs_hold),
        cmocka_unit_test(test_callback__grant_closes_handle__revokes_are_delivered_inside),
        cmocka_unit_test(test_callback__revoke_closes_its_election__group_is_left_after_it),
        cmocka_unit_test(test_callback__closes_handle_that_another_thread_closes__both_return),
        cmocka_unit_test(test_close__freed_in_the_callback_that_it_waits_for__nothing_is_left),
        cmocka_unit_test(test_handle_close__backend_fails__all_closed_and_reported_once),
        cmocka_unit_test(test_handle_free__elections_outlive_it__closed_objects),
        cmocka_unit_test(test_fork__child_uses_the_handle__illegal_state_and_parent_unharmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
