/*
 * Elections and retrievers opened, used and closed from eight threads and from inside callbacks, while tenures begin
 * and end at random and somebody closes the handle. What must hold at every callback is checked by the tape; run it
 * under ThreadSanitizer and AddressSanitizer. The seed of a failure is in its output.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stage.h"

#define WORKERS 8
#define COMPONENTS 4
#ifdef PGK_TEST_SANITIZED
#define ROUNDS 24
#else
#define ROUNDS 120
#endif
#define TURNS 60

struct arena {
    struct tape tape;
    pgk_ha *ha;
    struct backend *backend;
    unsigned seed;
    atomic_bool over;
    atomic_int closers;
    atomic_int unpaired;
    atomic_int grants;
    atomic_int leaders;
};

struct worker {
    struct arena *arena;
    unsigned random;
};

static const char *const component_names[COMPONENTS] = {"a", "b", "c", "d"};

static int pick(unsigned *random, int below)
{
    return rand_r(random) % below;
}

static void *keep(void *user)
{
    struct arena *arena = user;
    unsigned random = arena->seed;
    const pgk_error fault = {.status = PGK_ERR_CONNECTION, .message = "lost"};
    for (int epoch = 1; !atomic_load(&arena->over); epoch++) {
        switch (pick(&random, 6)) {
        case 0:
        case 1:
            script_begin(arena->backend, "master", pick(&random, 8) == 0 ? 1 : 60000, NULL);
            break;
        case 2:
            script_end(arena->backend, "master", pick(&random, 2) == 0);
            break;
        case 3:
            script_fault(arena->backend, "master", pick(&random, 2) == 0 ? &fault : NULL);
            break;
        default:
            script_see(arena->backend, component_names[pick(&random, COMPONENTS)], epoch % 250,
                       epoch, pick(&random, 3) == 0 ? NULL : "address");
            break;
        }
        if (pick(&random, 4) == 0) {
            wait_pause_ms(1);
        }
    }
    return NULL;
}

static void *dispatch(void *user)
{
    struct arena *arena = user;
    struct pollfd poller = {.fd = pgk_ha_fd(arena->ha), .events = POLLIN};
    while (pgk_ha_dispatch(arena->ha, NULL) == PGK_OK) {
        (void)poll(&poller, 1, 2);
    }
    return NULL;
}

static void act_inside(struct actor *actor)
{
    unsigned random = actor->session_id.bytes[0] + (unsigned)actor_count(actor, TAPE_ERROR);
    struct arena *arena = actor->user;
    switch (pick(&random, 12)) {
    case 0:
    case 1:
        pgk_election_close(actor->election, NULL);
        break;
    case 2:
        pgk_election_resign(actor->election, NULL);
        break;
    case 3:
    case 4:
        (void)pgk_election_confirm(actor->election, &actor->session_id, "inside", NULL);
        break;
    case 5:
        if (atomic_fetch_add(&arena->closers, 1) == 20) {
            pgk_ha_close(actor->ha, NULL);
        }
        break;
    default:
        break;
    }
}

/* The actor must outlive the election, whose callbacks use it, and does: close waits for them. */
static void contend_once(struct arena *arena, unsigned *random)
{
    struct actor *actor = calloc(1, sizeof(*actor));
    assert_non_null(actor);
    actor->tape = &arena->tape;
    actor->name = component_names[pick(random, COMPONENTS)];
    actor->ha = arena->ha;
    actor->user = arena;
    actor->hook = act_inside;
    actor->hook_kind = (enum tape_kind)pick(random, 3);
    pgk_contender contender = actor_contender(actor);
    if (pgk_ha_election(arena->ha, actor->name, &actor->election, NULL) == PGK_OK &&
        pgk_election_start(actor->election, &contender, NULL) == PGK_OK) {
        for (int i = pick(random, 6); i > 0; i--) {
            pgk_token token;
            if (pgk_election_token(actor->election, &token, NULL) == PGK_OK) {
                (void)pgk_election_has_leadership(actor->election, &token.session_id);
                (void)pgk_election_confirm(actor->election, &token.session_id, "outside", NULL);
            }
            wait_pause_ms(pick(random, 2));
        }
        pgk_election_close(actor->election, NULL);
    }
    atomic_store(&actor->silent, true);
    if (actor_count(actor, TAPE_GRANT) != actor_count(actor, TAPE_REVOKE)) {
        atomic_fetch_add(&arena->unpaired, 1);
    }
    atomic_fetch_add(&arena->grants, actor_count(actor, TAPE_GRANT));
    pgk_election_free(actor->election);
    free(actor);
}

static void follow_once(struct arena *arena, unsigned *random)
{
    struct actor *actor = calloc(1, sizeof(*actor));
    assert_non_null(actor);
    actor->tape = &arena->tape;
    actor->name = component_names[pick(random, COMPONENTS)];
    pgk_leader leader;
    if (pgk_ha_retriever(arena->ha, actor->name, &actor->retriever, NULL) == PGK_OK &&
        pgk_retriever_start(actor->retriever, actor_leader, actor, NULL) == PGK_OK) {
        wait_pause_ms(pick(random, 3));
        (void)pgk_retriever_get(actor->retriever, &leader, NULL);
        pgk_retriever_stop(actor->retriever, NULL);
    }
    atomic_store(&actor->silent, true);
    atomic_fetch_add(&arena->leaders, actor_count(actor, TAPE_LEADER));
    pgk_retriever_free(actor->retriever);
    free(actor);
}

static void *work(void *user)
{
    struct worker *worker = user;
    struct arena *arena = worker->arena;
    for (int turn = 0; turn < TURNS; turn++) {
        if (pick(&worker->random, 3) == 0) {
            follow_once(arena, &worker->random);
        } else {
            contend_once(arena, &worker->random);
        }
        if (turn > TURNS / 2 && pick(&worker->random, TURNS) == 0) {
            pgk_ha_close(arena->ha, NULL);
        }
    }
    return NULL;
}

static void run_round(struct arena *arena, unsigned seed, bool manual)
{
    pthread_t keeper;
    pthread_t dispatcher;
    pthread_t threads[WORKERS];
    struct worker workers[WORKERS];
    memset(arena, 0, sizeof(*arena));
    tape_init(&arena->tape);
    arena->seed = seed;
    arena->ha = script_open(manual ? stage_manual : NULL, false);
    arena->backend = script_of(arena->ha);
    assert_int_equal(pthread_create(&keeper, NULL, keep, arena), 0);
    if (manual) {
        assert_int_equal(pthread_create(&dispatcher, NULL, dispatch, arena), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.arena = arena, .random = seed * 31 + i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(pgk_ha_close(arena->ha, NULL), PGK_OK);
    atomic_store(&arena->over, true);
    pthread_join(keeper, NULL);
    if (manual) {
        pthread_join(dispatcher, NULL);
    }
    pgk_ha_free(arena->ha);
    assert_string_equal(tape_breach(&arena->tape), "");
    assert_int_equal(atomic_load(&arena->unpaired), 0);
    assert_int_equal(script_last_counts().freed, 1);
    assert_int_equal(script_last_counts().joined, script_last_counts().left);
    tape_destroy(&arena->tape);
}

static void test_services__random_use_from_many_threads__rules_hold(void **state)
{
    (void)state;
    static struct arena arena;
    const char *from = getenv("PGK_TEST_SEED");
    unsigned seed = from != NULL ? (unsigned)strtoul(from, NULL, 10) : (unsigned)wait_now_ns();
    int grants = 0;
    int leaders = 0;
    print_message("PGK_TEST_SEED=%u\n", seed);
    for (unsigned i = 0; i < ROUNDS; i++) {
        run_round(&arena, seed + i, i % 3 == 2);
        grants += atomic_load(&arena.grants);
        leaders += atomic_load(&arena.leaders);
    }
    print_message("%d grants, %d leaders\n", grants, leaders);
    assert_true(grants > ROUNDS); /* or it has tested nothing */
    assert_true(leaders > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services__random_use_from_many_threads__rules_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
