/*
 * Tests of which checkpoints leave the list: the examples of the header, and what always holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/text.h"
#include "services/checkpoint_rules.h"

#define LIST_MAX 64

struct list {
    struct rule_entry heads[LIST_MAX];
    size_t count;
};

static pgk_checkpoint_kind kind_of(char letter)
{
    return letter == 'c' ? PGK_CHECKPOINT : letter == 's' ? PGK_SAVEPOINT : PGK_STOP_SAVEPOINT;
}

/* Adds an entry in its place and removes what leaves. */
static size_t add(struct list *list, int64_t id, char kind, int max_retained)
{
    size_t at = list->count;
    size_t left = 0;
    assert_true(list->count < LIST_MAX);
    while (at > 0 && list->heads[at - 1].checkpoint_id > id) {
        list->heads[at] = list->heads[at - 1];
        at--;
    }
    list->heads[at] = (struct rule_entry){.checkpoint_id = id, .kind = kind_of(kind)};
    list->count++;
    size_t leaving = checkpoint_rules_subsume(list->heads, list->count, id, max_retained);
    for (size_t i = 0; i < list->count; i++) {
        if (!list->heads[i].leaves) {
            list->heads[left++] = list->heads[i];
        }
    }
    assert_int_equal(leaving, list->count - left);
    list->count = left;
    return leaving;
}

/* Adds "c1 s2 ..." in turn; what remains, written the same way. x: stop-with-savepoint. */
static void check(int max_retained, const char *added, const char *remains)
{
    struct list list = {.count = 0};
    char text[512] = "";
    const char *at = added;
    while (*at != '\0') {
        char *end;
        char kind = *at;
        int64_t id = strtoll(at + 1, &end, 10);
        add(&list, id, kind, max_retained);
        at = *end == ' ' ? end + 1 : end;
    }
    for (size_t i = 0; i < list.count; i++) {
        size_t used = strlen(text);
        text_format(text + used, sizeof(text) - used, "%s%c%d", i > 0 ? " " : "",
                    "csx"[list.heads[i].kind], (int)list.heads[i].checkpoint_id);
    }
    assert_string_equal(text, remains);
}

static void test_checkpoint_rules__examples_of_the_contract__remain_as_said(void **state)
{
    (void)state;
    check(1, "c1 c2 s3 s4 s5", "c2 s5");
    check(1, "c1 s2 c3", "c3");
    check(1, "c1 s2 x3", "x3");
}

static void test_checkpoint_rules__checkpoints_only__the_newest_remain(void **state)
{
    (void)state;
    check(1, "c1", "c1");
    check(1, "c1 c2 c3", "c3");
    check(3, "c1 c2 c3", "c1 c2 c3");
    check(3, "c1 c2 c3 c4 c5", "c3 c4 c5");
    check(1000000, "c1 c2 c3", "c1 c2 c3");
}

static void test_checkpoint_rules__savepoints__leave_but_never_the_last_checkpoint(void **state)
{
    (void)state;
    check(1, "s1 s2 s3", "s3");
    check(2, "c1 s2 s3 s4", "c1 s4");
    check(3, "c1 s2 s3 s4", "c1 s3 s4");
    check(2, "s1 c2 s3 c4", "s3 c4");
    check(1, "x1 c2", "c2");
    /* A stop-with-savepoint that is not the latest any more protects nothing from the rules. */
    check(1, "c1 x2 c3 s4", "c3 s4");
    check(1, "c1 x2 s3", "s3");
}

static void test_checkpoint_rules__stop_savepoint_latest__releases_the_last_checkpoint(void **state)
{
    (void)state;
    check(2, "c1 s2 x3", "s2 x3");
    check(2, "c1 c2 x3", "c2 x3");
    check(1, "c1 c2 s3 x4", "x4");
}

static void test_checkpoint_rules__out_of_order__the_added_one_leaves_with_a_later(void **state)
{
    (void)state;
    check(1, "c5 c3", "c3 c5");
    check(1, "c5 c3 c6", "c6");
    check(2, "c5 c6 c3", "c3 c6");
}

static void test_checkpoint_rules__larger_list_than_the_maximum__shrinks_at_once(void **state)
{
    (void)state;
    struct list list = {.count = 0};
    for (int id = 1; id <= 20; id++) {
        assert_int_equal(add(&list, id, 'c', 50), 0);
    }
    assert_int_equal(add(&list, 21, 'c', 2), 19);
    assert_int_equal(list.count, 2);
}

static void test_checkpoint_rules__no_entries__nothing_leaves(void **state)
{
    (void)state;
    struct rule_entry none = {.checkpoint_id = 0};
    assert_int_equal(checkpoint_rules_subsume(&none, 0, 0, 1), 0);
}

/* A generator of its own, so that a failure comes again. */
static uint32_t random_state;
static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * UINT32_C(1664525) + UINT32_C(1013904223);
    return (random_state >> 8) % limit;
}

static int64_t last_checkpoint(const struct list *list)
{
    for (size_t i = list->count; i > 0; i--) {
        if (list->heads[i - 1].kind == PGK_CHECKPOINT) {
            return list->heads[i - 1].checkpoint_id;
        }
    }
    return -1;
}

static bool holds(const struct list *list, int64_t id)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->heads[i].checkpoint_id == id) {
            return true;
        }
    }
    return false;
}

/* What must hold after one was added in order to a list that kept the rules. */
static void check_rules(const struct list *before, const struct list *after, int64_t id, char kind,
                        int max_retained)
{
    size_t most = (size_t)max_retained;
    int64_t last = kind == 'c' ? id : last_checkpoint(before);
    assert_true(holds(after, id));
    assert_int_equal(after->heads[after->count - 1].checkpoint_id, id);
    if (last >= 0 && kind != 'x') {
        assert_true(holds(after, last));
    }
    /* More than the maximum only when all that is kept is protected: the latest and one more. */
    if (after->count > most) {
        assert_int_equal(most, 1);
        assert_int_equal(after->count, 2);
        assert_true(kind == 's' && after->heads[0].checkpoint_id == last);
    }
    /* None leaves needlessly. */
    assert_true(after->count == before->count + 1 || after->count >= most);
    /* What leaves is older than all that could have left instead. */
    bool stays = false;
    for (size_t i = 0; i < before->count; i++) {
        int64_t old = before->heads[i].checkpoint_id;
        if (holds(after, old) && (old != last || kind == 'x')) {
            stays = true;
        } else if (!holds(after, old)) {
            assert_false(stays);
        }
    }
}

static void test_checkpoint_rules__any_sequence__keeps_what_must_be_kept(void **state)
{
    (void)state;
    random_state = 20261120;
    for (int round = 0; round < 4000; round++) {
        struct list list = {.count = 0};
        int max_retained = 1 + (int)random_below(5);
        int64_t id = 0;
        for (int step = 0; step < 30; step++) {
            struct list before = list;
            char kind = "cccsssx"[random_below(7)];
            id += 1 + random_below(3);
            add(&list, id, kind, max_retained);
            check_rules(&before, &list, id, kind, max_retained);
        }
    }
}

static void test_checkpoint_rules__kinds_and_states__are_told_apart(void **state)
{
    (void)state;
    assert_true(checkpoint_rules_discards(PGK_CHECKPOINT));
    assert_false(checkpoint_rules_discards(PGK_SAVEPOINT));
    assert_false(checkpoint_rules_discards(PGK_STOP_SAVEPOINT));
    assert_true(job_status_is_globally_terminal(PGK_JOB_FINISHED));
    assert_true(job_status_is_globally_terminal(PGK_JOB_FAILED));
    assert_true(job_status_is_globally_terminal(PGK_JOB_CANCELED));
    assert_false(job_status_is_globally_terminal(PGK_JOB_UNKNOWN));
    assert_false(job_status_is_globally_terminal(PGK_JOB_SUSPENDED));
    assert_false(job_status_is_globally_terminal(PGK_JOB_RUNNING));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoint_rules__examples_of_the_contract__remain_as_said),
        cmocka_unit_test(test_checkpoint_rules__checkpoints_only__the_newest_remain),
        cmocka_unit_test(test_checkpoint_rules__savepoints__leave_but_never_the_last_checkpoint),
        cmocka_unit_test(
            test_checkpoint_rules__stop_savepoint_latest__releases_the_last_checkpoint),
        cmocka_unit_test(test_checkpoint_rules__out_of_order__the_added_one_leaves_with_a_later),
        cmocka_unit_test(test_checkpoint_rules__larger_list_than_the_maximum__shrinks_at_once),
        cmocka_unit_test(test_checkpoint_rules__no_entries__nothing_leaves),
        cmocka_unit_test(test_checkpoint_rules__any_sequence__keeps_what_must_be_kept),
        cmocka_unit_test(test_checkpoint_rules__kinds_and_states__are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
