/*
 * Tests of core/tenure: what readers are told, alone and while a writer is at work on another
 * thread. The tests with threads are worth most under ThreadSanitizer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/tenure.h"
#include "core/thread.h"

#define LONG_NS (3600 * NS_PER_S)
#define READERS 3

static const pgk_uuid id_a = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
static const pgk_uuid id_b = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17}};

/* Lets the clock pass a point. */
static void wait_past(int64_t ns)
{
    while (clock_now_ns() <= ns) {
    }
}

static void test_tenure__zeroed__is_none(void **state)
{
    (void)state;
    struct tenure tenure = {0};
    pgk_token token;
    assert_int_equal(tenure_deadline_ns(&tenure, NULL), 0);
    assert_false(tenure_token(&tenure, &token));
    assert_false(tenure_renew(&tenure, clock_now_ns(), clock_now_ns() + LONG_NS));
    assert_int_equal(tenure_deadline_ns(&tenure, NULL), 0);
}

static void test_tenure__begun__is_told_to_its_own_session_only(void **state)
{
    (void)state;
    struct tenure tenure = {0};
    int64_t until = clock_now_ns() + LONG_NS;
    tenure_begin(&tenure, 7, &id_a, (INT64_C(3) << 40) + 42, until);
    assert_true(tenure_deadline_ns(&tenure, &id_a) == until);
    assert_true(tenure_deadline_ns(&tenure, NULL) == until);
    assert_int_equal(tenure_deadline_ns(&tenure, &id_b), 0);
    pgk_token token;
    memset(&token, 0x5A, sizeof(token));
    assert_true(tenure_token(&tenure, &token));
    assert_memory_equal(&token.session_id, &id_a, sizeof(id_a));
    assert_true(token.epoch == (INT64_C(3) << 40) + 42);
    assert_int_equal(token.leadership_id, 7);
    assert_string_equal(token.epoch_text, "3.42");
}

static void test_tenure__largest_epoch__has_a_text(void **state)
{
    (void)state;
    struct tenure tenure = {0};
    pgk_token token;
    tenure_begin(&tenure, 1, &id_a, INT64_MAX, clock_now_ns() + LONG_NS);
    assert_true(tenure_token(&tenure, &token));
    assert_string_equal(token.epoch_text, "8388607.1099511627775");
}

static void test_tenure__ended__is_over_and_stays_so(void **state)
{
    (void)state;
    struct tenure tenure = {0};
    pgk_token token;
    tenure_begin(&tenure, 7, &id_a, 1, clock_now_ns() + LONG_NS);
    tenure_end(&tenure);
    assert_int_equal(tenure_deadline_ns(&tenure, &id_a), 0);
    assert_false(tenure_token(&tenure, &token));
    assert_false(tenure_renew(&tenure, clock_now_ns(), clock_now_ns() + LONG_NS));
    assert_int_equal(tenure_deadline_ns(&tenure, &id_a), 0);
}

static void test_tenure__next_one__is_of_another_session(void **state)
{
    (void)state;
    struct tenure tenure = {0};
    tenure_begin(&tenure, 7, &id_a, 1, clock_now_ns() + LONG_NS);
    tenure_end(&tenure);
    tenure_begin(&tenure, 7, &id_b, 2, clock_now_ns() + LONG_NS);
    assert_int_equal(tenure_deadline_ns(&tenure, &id_a), 0);
    assert_true(tenure_deadline_ns(&tenure, &id_b) > 0);
}

static void test_tenure__renewed__moves_forward_only(void **state)
{
    (void)state;
    struct tenure tenure = {0};
    int64_t now = clock_now_ns();
    tenure_begin(&tenure, 7, &id_a, 1, now + LONG_NS);
    assert_true(tenure_renew(&tenure, now, now + 2 * LONG_NS));
    assert_true(tenure_deadline_ns(&tenure, &id_a) == now + 2 * LONG_NS);
    assert_true(tenure_renew(&tenure, now, now + LONG_NS));
    assert_true(tenure_deadline_ns(&tenure, &id_a) == now + 2 * LONG_NS);
}

static void test_tenure__deadline_passed__is_over_for_readers_and_writer(void **state)
{
    (void)state;
    struct tenure tenure = {0};
    pgk_token token;
    int64_t until = clock_now_ns() + 2 * NS_PER_MS;
    tenure_begin(&tenure, 7, &id_a, 1, until);
    wait_past(until);
    assert_false(tenure_renew(&tenure, clock_now_ns(), clock_now_ns() + LONG_NS));
    assert_int_equal(tenure_deadline_ns(&tenure, &id_a), 0);
    assert_false(tenure_token(&tenure, &token));
}

static void test_tenure__renewal_decided_before_and_done_after_a_reader_said_no__fails(void **state)
{
    (void)state;
    struct tenure tenure = {0};
    int64_t until = clock_now_ns() + 2 * NS_PER_MS;
    int64_t decided = until - NS_PER_MS; /* the writer's look at the clock, before it was stopped */
    tenure_begin(&tenure, 7, &id_a, 1, until);
    wait_past(until);
    assert_int_equal(tenure_deadline_ns(&tenure, &id_a), 0);
    assert_false(tenure_renew(&tenure, decided, clock_now_ns() + LONG_NS));
    assert_int_equal(tenure_deadline_ns(&tenure, &id_a), 0);
}

/* One writer, several readers, for a while. Everything of the n-th tenure is made from n, so that a
 * reader can see a mixture. */
struct stress {
    struct tenure tenure;
    _Atomic int64_t stop_at_ns;
    _Atomic uint64_t current; /* n, for the readers that ask for a session */
    _Atomic int32_t tenures;
    _Atomic int32_t tokens_read;
    _Atomic int32_t mixtures;
    _Atomic int32_t revivals;
    _Atomic int32_t beliefs;
};

static pgk_uuid session_of(uint64_t n)
{
    pgk_uuid id;
    uint64_t halves[2] = {n * UINT64_C(0x9E3779B97F4A7C15), ~n};
    memcpy(id.bytes, halves, sizeof(id.bytes));
    return id;
}

static bool is_over(struct stress *stress)
{
    return clock_now_ns() > atomic_load(&stress->stop_at_ns);
}

static void write_long_tenures(void *arg)
{
    struct stress *stress = arg;
    for (uint64_t n = 1; !is_over(stress); n++) {
        pgk_uuid session = session_of(n);
        int64_t until = clock_now_ns() + LONG_NS;
        tenure_begin(&stress->tenure, (int32_t)(n % 1000000), &session, (int64_t)n, until);
        for (int i = 1; i < 20; i++) {
            tenure_renew(&stress->tenure, clock_now_ns(), until + i);
        }
        if (n % 2 == 0) {
            tenure_end(&stress->tenure);
        }
        atomic_fetch_add(&stress->tenures, 1);
    }
}

static void read_tokens(void *arg)
{
    struct stress *stress = arg;
    int64_t newest = 0;
    while (!is_over(stress)) {
        pgk_token token;
        if (!tenure_token(&stress->tenure, &token)) {
            continue;
        }
        atomic_fetch_add(&stress->tokens_read, 1);
        uint64_t n = (uint64_t)token.epoch;
        pgk_uuid session = session_of(n);
        char text[PGK_EPOCH_TEXT_SIZE];
        snprintf(text, sizeof(text), "0.%llu", (unsigned long long)n);
        if (token.leadership_id != (int32_t)(n % 1000000) ||
            pgk_uuid_compare(&token.session_id, &session) != 0 ||
            strcmp(token.epoch_text, text) != 0 || token.epoch < newest) {
            atomic_fetch_add(&stress->mixtures, 1);
        }
        newest = token.epoch;
    }
}

static void run_stress(struct stress *stress, void (*writer)(void *), void (*reader)(void *))
{
    struct thread threads[READERS + 1];
    memset(threads, 0, sizeof(threads));
    memset(stress, 0, sizeof(*stress));
    atomic_store(&stress->stop_at_ns, clock_now_ns() + 1500 * NS_PER_MS);
    for (int i = 0; i < READERS + 1; i++) {
        assert_int_equal(
            thread_start(&threads[i], "stress", i == 0 ? writer : reader, stress, NULL), PGK_OK);
    }
    for (int i = 0; i < READERS + 1; i++) {
        thread_join(&threads[i]);
    }
}

static void test_tenure__read_while_written__is_never_a_mixture(void **state)
{
    (void)state;
    struct stress stress;
    run_stress(&stress, write_long_tenures, read_tokens);
    assert_int_equal(stress.mixtures, 0);
    assert_true(stress.tenures > 100);
    assert_true(stress.tokens_read > 100);
}

/* Short tenures by a writer that is often stopped between its look at the clock and its renewal. */
static void write_short_tenures(void *arg)
{
    struct stress *stress = arg;
    uint64_t random = 1;
    for (uint64_t n = 1; !is_over(stress); n++) {
        pgk_uuid session = session_of(n);
        atomic_store(&stress->current, n);
        tenure_begin(&stress->tenure, 1, &session, (int64_t)n, clock_now_ns() + 20000);
        bool live = true;
        for (int i = 0; i < 50 && live; i++) {
            int64_t looked = clock_now_ns();
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            wait_past(looked + (int64_t)(random >> 33) % 40000);
            live = tenure_renew(&stress->tenure, looked, clock_now_ns() + 20000);
        }
        tenure_end(&stress->tenure);
        atomic_fetch_add(&stress->tenures, 1);
    }
}

static void read_beliefs(void *arg)
{
    struct stress *stress = arg;
    uint64_t n = 0;
    bool believed = false;
    bool lost = false;
    while (!is_over(stress)) {
        uint64_t present = atomic_load(&stress->current);
        if (present != n) {
            n = present;
            believed = false;
            lost = false;
        }
        pgk_uuid session = session_of(n);
        bool leads = tenure_deadline_ns(&stress->tenure, &session) != 0;
        if (leads && lost) {
            atomic_fetch_add(&stress->revivals, 1);
        }
        if (leads) {
            believed = true;
            atomic_fetch_add(&stress->beliefs, 1);
        } else if (believed) {
            lost = true;
        }
    }
}

static void test_tenure__once_lost__is_never_told_again(void **state)
{
    (void)state;
    struct stress stress;
    run_stress(&stress, write_short_tenures, read_beliefs);
    assert_int_equal(stress.revivals, 0);
    assert_true(stress.tenures > 20);
    assert_true(stress.beliefs > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tenure__zeroed__is_none),
        cmocka_unit_test(test_tenure__begun__is_told_to_its_own_session_only),
        cmocka_unit_test(test_tenure__largest_epoch__has_a_text),
        cmocka_unit_test(test_tenure__ended__is_over_and_stays_so),
        cmocka_unit_test(test_tenure__next_one__is_of_another_session),
        cmocka_unit_test(test_tenure__renewed__moves_forward_only),
        cmocka_unit_test(test_tenure__deadline_passed__is_over_for_readers_and_writer),
        cmocka_unit_test(
            test_tenure__renewal_decided_before_and_done_after_a_reader_said_no__fails),
        cmocka_unit_test(test_tenure__read_while_written__is_never_a_mixture),
        cmocka_unit_test(test_tenure__once_lost__is_never_told_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
