/*
 * Opening and closing against a real server: that nothing is left behind, and that closing in callbacks and from other
 * threads ends, while the keeper is at work. The rules of delivery themselves are tested over a scripted backend.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "recorder.h"
#include "scratch.h"
#include "tape.h"

#ifdef PGK_TEST_SANITIZED
#define CYCLES 100
#define ROUNDS 6
#else
#define CYCLES 1000
#define ROUNDS 20
#endif
#define WARM_UP 20
#define THREADS 6
/* What a leak of one small block per cycle would exceed. */
#define HEAP_SLACK_BYTES (16 * CYCLES)

struct usage {
    int descriptors;
    int threads;
    size_t heap_bytes;
};

static struct usage usage_now(void)
{
    return (struct usage){.descriptors = directory_count("/proc/self/fd"),
                          .threads = directory_count("/proc/self/task"),
                          .heap_bytes = mallinfo2().uordblks};
}

static void contend(struct actor *actor, struct tape *tape, pgk_ha *ha, const char *component)
{
    pgk_error err;
    actor->tape = tape;
    actor->name = component;
    actor->ha = ha;
    pgk_contender contender = actor_contender(actor);
    assert_int_equal(pgk_ha_election(ha, component, &actor->election, &err), PGK_OK);
    assert_int_equal(pgk_election_start(actor->election, &contender, &err), PGK_OK);
}

static void follow(struct actor *actor, struct tape *tape, pgk_ha *ha, const char *component)
{
    pgk_error err;
    actor->tape = tape;
    actor->name = component;
    assert_int_equal(pgk_ha_retriever(ha, component, &actor->retriever, &err), PGK_OK);
    assert_int_equal(pgk_retriever_start(actor->retriever, actor_leader, actor, &err), PGK_OK);
}

/* Every other cycle is closed at once, in whatever state that finds the keeper. */
static void cycle(struct fixture *fixture, int number)
{
    struct tape tape;
    struct actor a = {.name = NULL};
    struct actor b = {.name = NULL};
    struct actor follower = {.name = NULL};
    pgk_error err;
    tape_init(&tape);
    pgk_ha *ha = handle_open(fixture, "cycle", NULL);
    contend(&a, &tape, ha, "a");
    contend(&b, &tape, ha, "b");
    follow(&follower, &tape, ha, "a");
    if (number % 2 == 0) {
        WAIT_UNTIL(actor_count(&a, TAPE_GRANT) == 1, WAIT_LONG_MS);
        assert_int_equal(pgk_election_confirm(a.election, &a.session_id, "here", &err), PGK_OK);
    }
    if (number % 3 == 0) {
        assert_int_equal(pgk_election_close(a.election, &err), PGK_OK);
    }
    assert_int_equal(pgk_ha_close(ha, &err), PGK_OK);
    pgk_ha_free(ha);
    pgk_election_free(a.election);
    pgk_election_free(b.election);
    pgk_retriever_free(follower.retriever);
    assert_int_equal(actor_count(&a, TAPE_GRANT), actor_count(&a, TAPE_REVOKE));
    assert_int_equal(actor_count(&b, TAPE_GRANT), actor_count(&b, TAPE_REVOKE));
    assert_string_equal(tape_breach(&tape), "");
    tape_destroy(&tape);
}

static void test_close__thousand_cycles__nothing_is_left(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < WARM_UP; i++) {
        cycle(fixture, i);
    }
    struct usage before = usage_now();
    for (int i = 0; i < CYCLES; i++) {
        cycle(fixture, i);
    }
    struct usage after = usage_now();
    assert_int_equal(after.descriptors, before.descriptors);
    assert_int_equal(after.threads, before.threads);
#ifndef PGK_TEST_SANITIZED /* there the sanitizer looks for leaks, and the allocator tells nothing */
    assert_true(after.heap_bytes < before.heap_bytes + HEAP_SLACK_BYTES);
#endif
    WAIT_UNTIL(db_sessions(fixture, "%") == 0, WAIT_LONG_MS);
    assert_int_equal(
        db_int(fixture, "SELECT count(*) FROM pgkeeper.leader WHERE address IS NOT NULL"), 0);
    /* Every tenure that was granted was ended by its own process. */
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.leader_history "
                                     "WHERE ended_at IS NULL"),
                     0);
}

static void close_election(struct actor *actor)
{
    pgk_election_close(actor->election, NULL);
}

static void close_handle(struct actor *actor)
{
    pgk_ha_close(actor->ha, NULL);
}

static void free_all(struct actor *actor)
{
    pgk_election_free(actor->election);
    actor->election = NULL;
    pgk_ha_free(actor->ha);
    actor->ha = NULL;
}

static void resign(struct actor *actor)
{
    pgk_election_resign(actor->election, NULL);
}

static void close_inside(struct fixture *fixture, enum tape_kind kind,
                         void (*hook)(struct actor *actor))
{
    struct tape tape;
    struct actor a = {.hook_kind = kind, .hook = hook};
    tape_init(&tape);
    pgk_ha *ha = handle_open(fixture, "inside", NULL);
    contend(&a, &tape, ha, "a");
    if (kind == TAPE_REVOKE) {
        WAIT_UNTIL(actor_count(&a, TAPE_GRANT) == 1, WAIT_LONG_MS);
        assert_int_equal(pgk_election_resign(a.election, NULL), PGK_OK);
    }
    WAIT_UNTIL(atomic_load(&a.hooks_done) == 1, WAIT_LONG_MS);
    pgk_ha_free(a.ha);
    pgk_election_free(a.election);
    assert_int_equal(actor_count(&a, TAPE_GRANT), actor_count(&a, TAPE_REVOKE));
    assert_string_equal(tape_breach(&tape), "");
    WAIT_UNTIL(db_sessions(fixture, "%") == 0, WAIT_LONG_MS);
    tape_destroy(&tape);
}

static void test_close__inside_callbacks__ends_and_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    static void (*const hooks[])(struct actor * actor) = {close_election, close_handle, free_all};
    for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
        close_inside(fixture, TAPE_GRANT, hooks[i]);
        close_inside(fixture, TAPE_REVOKE, hooks[i]);
    }
    close_inside(fixture, TAPE_GRANT, resign);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.leader_history "
                                     "WHERE ended_at IS NULL OR end_reason <> 'resigned'"),
                     0);
}

struct load {
    pgk_ha *ha;
    struct tape tape;
    atomic_int unpaired;
};

static void *contend_and_close(void *user)
{
    static const char *const names[THREADS] = {"a", "b", "c", "a", "b", "c"};
    struct load *load = user;
    static atomic_int next;
    unsigned number = (unsigned)atomic_fetch_add(&next, 1);
    unsigned random = number;
    for (int i = 0; i < 12; i++) {
        struct actor actor = {.tape = &load->tape, .name = names[number % THREADS], .ha = load->ha};
        pgk_contender contender = actor_contender(&actor);
        if (pgk_ha_election(load->ha, actor.name, &actor.election, NULL) == PGK_OK &&
            pgk_election_start(actor.election, &contender, NULL) == PGK_OK) {
            wait_pause_ms(rand_r(&random) % 20);
            (void)pgk_election_resign(actor.election, NULL);
            wait_pause_ms(rand_r(&random) % 5);
        }
        pgk_election_free(actor.election);
        if (actor_count(&actor, TAPE_GRANT) != actor_count(&actor, TAPE_REVOKE)) {
            atomic_fetch_add(&load->unpaired, 1);
        }
    }
    return NULL;
}

static void *close_the_handle(void *user)
{
    struct load *load = user;
    wait_pause_ms(60);
    pgk_ha_close(load->ha, NULL);
    return NULL;
}

static void test_close__handle_and_elections_from_many_threads__all_end(void **state)
{
    struct fixture *fixture = *state;
    static struct load load;
    pthread_t threads[THREADS];
    pthread_t closer;
    for (int round = 0; round < ROUNDS; round++) {
        memset(&load, 0, sizeof(load));
        tape_init(&load.tape);
        load.ha = handle_open(fixture, "load", NULL);
        for (int i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, contend_and_close, &load), 0);
        }
        assert_int_equal(pthread_create(&closer, NULL, close_the_handle, &load), 0);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        pthread_join(closer, NULL);
        pgk_ha_free(load.ha);
        assert_int_equal(atomic_load(&load.unpaired), 0);
        assert_string_equal(tape_breach(&load.tape), "");
        tape_destroy(&load.tape);
    }
    WAIT_UNTIL(db_sessions(fixture, "%") == 0, WAIT_LONG_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_close__thousand_cycles__nothing_is_left),
        DB_TEST(test_close__inside_callbacks__ends_and_leaves_nothing),
        DB_TEST(test_close__handle_and_elections_from_many_threads__all_end),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
