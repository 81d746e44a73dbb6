/*
 * Calls with a completion begun by several threads and from inside completions while others close the election,
 * the handle, or end the tenure: each call that was begun completes once, none after the close of what it belongs
 * to has returned. Run it under ThreadSanitizer and AddressSanitizer. The seed of a failure is in its output.
 */
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stage.h"

/* PGK_TEST_ROUNDS: another number. */
#ifdef PGK_TEST_SANITIZED
#define ROUNDS 60
#else
#define ROUNDS 250
#endif
#define BEGINNERS 3
#define TURNS 6

struct arena {
    pgk_ha *ha;
    struct backend *backend;
    pgk_election *elections[BEGINNERS];
    unsigned seed;
    atomic_bool closed; /* pgk_ha_close has returned */
    atomic_int begun;
    atomic_int completed;
    atomic_int ends[PGK_ERR_INTERNAL + 1]; /* by status */
    atomic_int late;
    atomic_int inside;
};

/* One call. */
struct errand {
    struct arena *arena;
    atomic_int times;
    int left; /* so many are begun one in the other */
};

struct beginner {
    struct arena *arena;
    int number;
    unsigned random;
    struct errand errands[TURNS * 2];
    int used;
};

static const pgk_uuid job = {{7}};

static int pick(unsigned *random, int below)
{
    return rand_r(random) % below;
}

static void done(void *user, const pgk_completion *completion);

static bool begin(struct arena *arena, struct errand *errand, int election, bool clean_up)
{
    pgk_status status = PGK_ERR_FENCED;
    pgk_token token;
    atomic_fetch_add(&arena->begun, 1); /* before: the completion may be faster */
    if (clean_up) {
        bool fenced = pgk_election_token(arena->elections[election], &token, NULL) == PGK_OK;
        status = pgk_ha_cleanup_job_async(arena->ha, fenced ? &token : PGK_UNFENCED, &job, done,
                                          errand, NULL);
    } else if (pgk_election_token(arena->elections[election], &token, NULL) == PGK_OK) {
        status = pgk_election_confirm_async(arena->elections[election], &token.session_id, "here",
                                            done, errand, NULL);
    }
    if (status != PGK_OK) {
        atomic_fetch_sub(&arena->begun, 1);
    }
    return status == PGK_OK;
}

static void done(void *user, const pgk_completion *completion)
{
    struct errand *errand = user;
    struct arena *arena = errand->arena;
    if (atomic_fetch_add(&arena->inside, 1) != 0 || atomic_load(&arena->closed)) {
        atomic_fetch_add(&arena->late, 1);
    }
    atomic_fetch_add(&errand->times, 1);
    atomic_fetch_add(&arena->completed, 1);
    atomic_fetch_add(&arena->ends[completion->status], 1);
    atomic_fetch_sub(&arena->inside, 1);
    if (errand->left-- > 0) {
        (void)begin(arena, errand, 0, errand->left % 2 == 0);
    }
}

static void *begin_many(void *user)
{
    struct beginner *beginner = user;
    struct arena *arena = beginner->arena;
    for (int turn = 0; turn < TURNS; turn++) {
        struct errand *errand = &beginner->errands[beginner->used++];
        errand->arena = arena;
        errand->left = pick(&beginner->random, 4) == 0 ? 2 : 0;
        (void)begin(arena, errand, beginner->number, pick(&beginner->random, 2) == 0);
    }
    if (pick(&beginner->random, 2) == 0) {
        pgk_election_close(arena->elections[beginner->number], NULL);
    }
    return NULL;
}

static void *disturb(void *user)
{
    struct arena *arena = user;
    unsigned random = arena->seed ^ 0x5a5a;
    static const pgk_status answers[] = {PGK_OK, PGK_ERR_CONNECTION, PGK_ERR_OUTCOME_UNKNOWN,
                                         PGK_ERR_FENCED};
    for (int i = pick(&random, 20); i > 0; i--) {
        script_answer_cleanup(arena->backend, answers[pick(&random, 4)]);
        script_answer_confirm(arena->backend, answers[pick(&random, 4)]);
        if (pick(&random, 5) == 0) {
            (void)script_end(arena->backend, "master", pick(&random, 2) == 0);
            (void)script_begin(arena->backend, "master", 60000, NULL);
        }
    }
    return NULL;
}

static void *dispatch(void *user)
{
    struct arena *arena = user;
    struct pollfd poller = {.fd = pgk_ha_fd(arena->ha), .events = POLLIN};
    while (pgk_ha_dispatch(arena->ha, NULL) == PGK_OK) {
        (void)poll(&poller, 1, 1);
    }
    return NULL;
}

static void nothing(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    (void)user, (void)session_id, (void)epoch;
}

static void open_arena(struct arena *arena, unsigned seed, bool manual)
{
    static const char *const names[BEGINNERS] = {"a", "b", "c"};
    const char *const pairs[] = {
        "dispatch",    manual ? "manual" : "thread",         "cleanup-strategy",
        "fixed-delay", "cleanup-strategy.fixed-delay.delay", seed % 2 == 0 ? "0 ms" : "1 ms",
        NULL};
    const pgk_contender contender = {
        .size = sizeof(contender), .grant = nothing, .revoke = nothing};
    memset(arena, 0, sizeof(*arena));
    arena->seed = seed;
    arena->ha = script_open(pairs, false);
    arena->backend = script_of(arena->ha);
    for (int i = 0; i < BEGINNERS; i++) {
        assert_int_equal(pgk_ha_election(arena->ha, names[i], &arena->elections[i], NULL), PGK_OK);
        assert_int_equal(pgk_election_start(arena->elections[i], &contender, NULL), PGK_OK);
    }
    assert_true(script_begin(arena->backend, "master", 60000, NULL));
}

static void check_round(struct arena *arena, struct beginner *beginners)
{
    assert_int_equal(atomic_load(&arena->late), 0);
    assert_int_equal(atomic_load(&arena->completed), atomic_load(&arena->begun));
    for (int i = 0; i < BEGINNERS; i++) {
        for (int k = 0; k < beginners[i].used; k++) {
            assert_in_range(atomic_load(&beginners[i].errands[k].times), 0, 3);
        }
    }
    assert_int_equal(script_last_counts().freed, 1);
}

static void run_round(struct arena *arena, unsigned seed, bool manual)
{
    static struct beginner beginners[BEGINNERS];
    pthread_t threads[BEGINNERS];
    pthread_t disturber;
    pthread_t dispatcher;
    unsigned random = seed;
    open_arena(arena, seed, manual);
    memset(beginners, 0, sizeof(beginners));
    for (int i = 0; i < BEGINNERS; i++) {
        beginners[i] =
            (struct beginner){.arena = arena, .number = i, .random = seed * 31 + (unsigned)i};
        assert_int_equal(pthread_create(&threads[i], NULL, begin_many, &beginners[i]), 0);
    }
    assert_int_equal(pthread_create(&disturber, NULL, disturb, arena), 0);
    if (manual) {
        assert_int_equal(pthread_create(&dispatcher, NULL, dispatch, arena), 0);
    }
    for (int turns = pick(&random, 200); turns > 0; turns--) {
        sched_yield();
    }
    assert_int_equal(pgk_ha_close(arena->ha, NULL), PGK_OK);
    atomic_store(&arena->closed, true);
    for (int i = 0; i < BEGINNERS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_join(disturber, NULL);
    if (manual) {
        pthread_join(dispatcher, NULL);
    }
    for (int i = 0; i < BEGINNERS; i++) {
        pgk_election_free(arena->elections[i]);
    }
    pgk_ha_free(arena->ha);
    check_round(arena, beginners);
}

static void test_async__racing_with_close__each_completes_once(void **state)
{
    (void)state;
    static struct arena arena;
    int ends[PGK_ERR_INTERNAL + 1] = {0};
    int completed = 0;
    const char *from = getenv("PGK_TEST_SEED");
    unsigned seed = from != NULL ? (unsigned)strtoul(from, NULL, 10) : (unsigned)wait_now_ns();
    print_message("PGK_TEST_SEED=%u\n", seed);
    const char *asked = getenv("PGK_TEST_ROUNDS");
    unsigned rounds = asked != NULL ? (unsigned)strtoul(asked, NULL, 10) : ROUNDS;
    for (unsigned i = 0; i < rounds; i++) {
        run_round(&arena, seed + i, i % 3 == 2);
        completed += atomic_load(&arena.completed);
        for (int k = 0; k <= PGK_ERR_INTERNAL; k++) {
            ends[k] += atomic_load(&arena.ends[k]);
        }
    }
    print_message("%d completed: %d ok, %d fenced, %d closed, %d unknown, %d not connected\n",
                  completed, ends[PGK_OK], ends[PGK_ERR_FENCED], ends[PGK_ERR_ILLEGAL_STATE],
                  ends[PGK_ERR_OUTCOME_UNKNOWN], ends[PGK_ERR_CONNECTION]);
    assert_true(completed > (int)rounds); /* or it has tested nothing */
    assert_true(ends[PGK_OK] > 0 && ends[PGK_ERR_FENCED] > 0 && ends[PGK_ERR_ILLEGAL_STATE] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_async__racing_with_close__each_completes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
