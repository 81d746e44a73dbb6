/*
 * tests/postgres/test_election.c - the rules of contending (docs/election.md) with handles in this process: order of callbacks,
 * scopes and groups, resignation, hand-over, publishing an address.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "contest.h"
#include "recorder.h"

#define MANY 5

/* A handle with its recorder and up to three parts. */
struct master {
    struct recorder *recorder;
    pgk_ha *ha;
    struct part parts[3];
};

static void master_open(struct fixture *fixture, struct master *master, const char *name,
                        const char *scope)
{
    memset(master, 0, sizeof(*master));
    master->recorder = recorder_new();
    master->ha = handle_open(fixture, name, "leader-election.scope", scope, NULL);
}

static void master_close(struct master *master)
{
    pgk_error err;
    if (pgk_ha_close(master->ha, &err) != PGK_OK) {
        fail_msg("close: %s", err.message);
    }
    for (size_t i = 0; i < 3; i++) {
        part_free(&master->parts[i]);
    }
    pgk_ha_free(master->ha);
    recorder_free(master->recorder);
}

static bool leads(const struct part *part)
{
    return pgk_election_has_leadership(part->election, &part->session_id);
}

static void test_election__leaders_closed_one_after_the_other__each_leads_once(void **state)
{
    struct fixture *fixture = *state;
    struct master masters[MANY];
    bool closed[MANY] = {false};
    int64_t epoch = 0;
    pgk_uuid session_id = {{0}};
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%d", i);
        master_open(fixture, &masters[i], name, "process");
        part_contend(&masters[i].parts[0], masters[i].recorder, masters[i].ha, "dispatcher", NULL);
    }
    for (int round = 0; round < MANY; round++) {
        int leader = -1;
        for (int64_t end = wait_now_ns() + WAIT_LONG_MS * WAIT_NS_PER_MS; leader < 0;) {
            for (int i = 0; i < MANY; i++) {
                leader =
                    !closed[i] && recorder_count(masters[i].recorder, "grant") > 0 ? i : leader;
            }
            assert_true(wait_now_ns() < end);
            wait_pause_ms(2);
        }
        struct part *part = &masters[leader].parts[0];
        assert_true(part_granted(part) > epoch);
        assert_int_not_equal(pgk_uuid_compare(&part->session_id, &session_id), 0);
        assert_true(leads(part));
        epoch = part->epoch;
        session_id = part->session_id;
        closed[leader] = true;
        assert_int_equal(pgk_ha_close(masters[leader].ha, NULL), PGK_OK);
        assert_false(leads(part));
        assert_int_equal(recorder_count(masters[leader].recorder, "grant"), 1);
        assert_int_equal(recorder_count(masters[leader].recorder, "revoke"), 1);
    }
    for (int i = 0; i < MANY; i++) {
        master_close(&masters[i]);
    }
    check_reasons(fixture, "master", "resigned,resigned,resigned,resigned,resigned");
    check_history(fixture);
}

static void test_election__scope_process__one_tenure_for_all_components(void **state)
{
    struct fixture *fixture = *state;
    struct master a;
    struct master b;
    master_open(fixture, &a, "a", "process");
    part_contend(&a.parts[0], a.recorder, a.ha, "dispatcher", NULL);
    int64_t epoch = part_granted(&a.parts[0]);
    master_open(fixture, &b, "b", "process");
    part_contend(&b.parts[0], b.recorder, b.ha, "resource_manager", NULL);
    contest_ready(fixture, "b");
    /* One that joins while the group leads is granted the same tenure. */
    part_contend(&a.parts[1], a.recorder, a.ha, "resource_manager", NULL);
    assert_int_equal(part_granted(&a.parts[1]), epoch);
    assert_int_equal(pgk_uuid_compare(&a.parts[0].session_id, &a.parts[1].session_id), 0);
    assert_int_equal(recorder_count(b.recorder, "grant"), 0);
    master_close(&a);
    assert_true(part_granted(&b.parts[0]) > epoch);
    master_close(&b);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.leadership"), 1);
    check_history(fixture);
}

static void test_election__scope_component__each_has_its_own_leader(void **state)
{
    struct fixture *fixture = *state;
    struct master a;
    struct master b;
    master_open(fixture, &a, "a", "component");
    master_open(fixture, &b, "b", "component");
    part_contend(&a.parts[0], a.recorder, a.ha, "x", NULL);
    part_contend(&a.parts[1], a.recorder, a.ha, "y", NULL);
    part_granted(&a.parts[0]);
    recorder_seek(a.recorder, "grant y", WAIT_LONG_MS);
    WAIT_UNTIL(leads(&a.parts[0]) && leads(&a.parts[1]), WAIT_LONG_MS);
    assert_int_not_equal(pgk_uuid_compare(&a.parts[0].session_id, &a.parts[1].session_id), 0);
    part_contend(&b.parts[0], b.recorder, b.ha, "x", NULL);
    part_contend(&b.parts[1], b.recorder, b.ha, "y", NULL);
    contest_ready(fixture, "b");
    assert_int_equal(pgk_election_close(a.parts[0].election, NULL), PGK_OK);
    part_granted(&b.parts[0]);
    assert_true(leads(&a.parts[1]));
    assert_int_equal(recorder_count(b.recorder, "grant y"), 0);
    assert_int_equal(recorder_count(a.recorder, "revoke y"), 0);
    master_close(&a);
    recorder_expect(b.recorder, "grant y", WAIT_LONG_MS);
    master_close(&b);
    check_history(fixture);
}

static void test_election__named_groups__led_by_different_processes_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    struct master a;
    struct master b;
    master_open(fixture, &a, "a", "process");
    master_open(fixture, &b, "b", "process");
    part_contend(&a.parts[0], a.recorder, a.ha, "x", "left");
    part_granted(&a.parts[0]);
    part_contend(&b.parts[0], b.recorder, b.ha, "y", "right");
    part_granted(&b.parts[0]);
    part_contend(&a.parts[1], a.recorder, a.ha, "y", "right");
    part_contend(&b.parts[1], b.recorder, b.ha, "x", "left");
    db_wait(fixture, "left leader a,left standby b,right leader b,right standby a", WAIT_LONG_MS,
            "SELECT string_agg(concat_ws(' ', group_name, state, member_name), ','"
            " ORDER BY group_name, state) FROM pgkeeper.stat_contenders");
    assert_true(leads(&a.parts[0]));
    assert_true(leads(&b.parts[0]));
    part_confirm(&a.parts[0], "a");
    part_confirm(&b.parts[0], "b");
    master_close(&a);
    part_granted(&b.parts[1]);
    assert_true(leads(&b.parts[0]));
    master_close(&b);
    check_history(fixture);
}

static void test_election__component_of_another_live_group__confirm_conflicts(void **state)
{
    struct fixture *fixture = *state;
    struct master a;
    struct master b;
    pgk_error err;
    master_open(fixture, &a, "a", "process");
    master_open(fixture, &b, "b", "process");
    part_contend(&a.parts[0], a.recorder, a.ha, "x", "left");
    part_granted(&a.parts[0]);
    part_confirm(&a.parts[0], "a");
    part_contend(&b.parts[0], b.recorder, b.ha, "x", "right");
    part_granted(&b.parts[0]);
    assert_int_equal(pgk_election_confirm(b.parts[0].election, &b.parts[0].session_id, "b", &err),
                     PGK_ERR_CONFLICT);
    assert_string_equal(db_text(fixture, "SELECT address FROM pgkeeper.leader"), "a");
    master_close(&a);
    part_confirm(&b.parts[0], "b");
    master_close(&b);
}

static void test_election__confirm__one_write_per_tenure_and_none_without_one(void **state)
{
    struct fixture *fixture = *state;
    struct master a;
    pgk_error err;
    pgk_uuid other;
    master_open(fixture, &a, "a", "process");
    struct part *part = &a.parts[0];
    part_contend(part, a.recorder, a.ha, "dispatcher", NULL);
    part_granted(part);
    pgk_uuid_new(&other);
    assert_int_equal(pgk_election_confirm(part->election, &other, "x", &err), PGK_ERR_FENCED);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.leader WHERE address IS NOT"
                                     " NULL"),
                     0);
    part_confirm(part, "here");
    char before[32];
    snprintf(before, sizeof(before), "%s", db_text(fixture, "SELECT xmin FROM pgkeeper.leader"));
    part_confirm(part, "here");
    assert_int_equal(pgk_election_confirm(part->election, &part->session_id, "there", &err),
                     PGK_ERR_ILLEGAL_STATE);
    assert_string_equal(db_text(fixture, "SELECT xmin FROM pgkeeper.leader"), before);
    pgk_uuid old = part->session_id;
    db_exec(fixture, "SELECT pgkeeper.kick('" FIXTURE_CLUSTER "', 'dispatcher')");
    part_revoked(part);
    part_granted(part);
    assert_int_equal(pgk_election_confirm(part->election, &old, "here", &err), PGK_ERR_FENCED);
    part_confirm(part, "there"); /* a new tenure, a new address */
    assert_string_equal(db_text(fixture, "SELECT address FROM pgkeeper.leader"), "there");
    assert_false(pgk_election_has_leadership(part->election, &old));
    assert_int_equal(pgk_election_deadline_ns(part->election, &old), 0);
    master_close(&a);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.leader WHERE address IS NULL"),
                     1);
}

static void test_election__take_over__empties_the_former_records_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct master b;
    struct process *a = contest_start(fixture, "a", "--component", "x", "--component", "y", NULL);
    contest_granted(a);
    db_wait(fixture, "2", WAIT_LONG_MS, "SELECT count(*) FROM pgkeeper.leader WHERE address = 'a'");
    master_open(fixture, &b, "b", "process");
    part_contend(&b.parts[0], b.recorder, b.ha, "x", NULL);
    contest_ready(fixture, "b");
    process_kill(a);
    part_granted(&b.parts[0]); /* and it has not confirmed; perhaps it is not entered yet */
    assert_int_equal(
        db_int(fixture,
               "SELECT count(*) FROM pgkeeper.stat_leaders WHERE address IS NULL"
               " AND state = 'unconfirmed' AND epoch = (SELECT epoch FROM pgkeeper.tenure)"),
        2);
    db_wait(fixture, "2", WAIT_LONG_MS,
            "SELECT count(*) FROM pgkeeper.leader WHERE address IS NULL"
            " AND epoch = (SELECT epoch FROM pgkeeper.tenure)");
    master_close(&b);
}

static void test_election__one_component_closed__its_record_goes_and_others_stay(void **state)
{
    struct fixture *fixture = *state;
    struct master a;
    master_open(fixture, &a, "a", "process");
    part_contend(&a.parts[0], a.recorder, a.ha, "x", NULL);
    part_contend(&a.parts[1], a.recorder, a.ha, "y", NULL);
    WAIT_UNTIL(recorder_count(a.recorder, "grant") == 2, WAIT_LONG_MS);
    part_confirm(&a.parts[0], "ax");
    part_confirm(&a.parts[1], "ay");
    assert_int_equal(pgk_election_close(a.parts[0].election, NULL), PGK_OK);
    assert_int_equal(recorder_count(a.recorder, "revoke x"), 1);
    db_wait(fixture, "y=ay", WAIT_LONG_MS,
            "SELECT string_agg(component || '=' || address, ',') FROM pgkeeper.leader");
    assert_true(leads(&a.parts[1]));
    assert_int_equal(recorder_count(a.recorder, "revoke y"), 0);
    /* Somebody else may contend for it in this handle again. */
    part_contend(&a.parts[2], a.recorder, a.ha, "x", NULL);
    WAIT_UNTIL(recorder_count(a.recorder, "grant x") == 2, WAIT_LONG_MS);
    master_close(&a);
}

static void test_election__resign__another_leads_and_the_former_stands_back(void **state)
{
    struct fixture *fixture = *state;
    struct master a;
    struct master b;
    pgk_error err;
    master_open(fixture, &a, "a", "process");
    part_contend(&a.parts[0], a.recorder, a.ha, "dispatcher", NULL);
    int64_t epoch = part_granted(&a.parts[0]);
    master_open(fixture, &b, "b", "process");
    part_contend(&b.parts[0], b.recorder, b.ha, "dispatcher", NULL);
    contest_ready(fixture, "b");
    assert_int_equal(pgk_election_resign(b.parts[0].election, &err), PGK_ERR_ILLEGAL_STATE);
    for (int i = 0; i < 6; i++) {
        struct part *from = i % 2 == 0 ? &a.parts[0] : &b.parts[0];
        struct part *to = i % 2 == 0 ? &b.parts[0] : &a.parts[0];
        int64_t t0_ns = wait_now_ns();
        assert_int_equal(pgk_election_resign(from->election, &err), PGK_OK);
        assert_int_equal(part_revoked(from), epoch);
        epoch = part_granted(to);
        /* Whoever stands back from its own tenure does not do so for the other's. */
        assert_in_range((wait_now_ns() - t0_ns) / WAIT_NS_PER_MS, 0, 1000);
        assert_true(leads(to));
        assert_false(leads(from));
    }
    master_close(&b);
    master_close(&a);
    check_history(fixture);
}

static void test_election__resign_with_nobody_else__leads_again(void **state)
{
    struct fixture *fixture = *state;
    struct master a;
    master_open(fixture, &a, "a", "process");
    part_contend(&a.parts[0], a.recorder, a.ha, "dispatcher", NULL);
    int64_t epoch = part_granted(&a.parts[0]);
    int64_t t0_ns = wait_now_ns();
    assert_int_equal(pgk_election_resign(a.parts[0].election, NULL), PGK_OK);
    part_revoked(&a.parts[0]);
    assert_true(part_granted(&a.parts[0]) > epoch);
    assert_true((wait_now_ns() - t0_ns) / WAIT_NS_PER_MS >= 1000); /* it stood back */
    master_close(&a);
    check_reasons(fixture, "master", "resigned,resigned");
}

static void test_election__handover_by_sql__goes_to_the_named_member(void **state)
{
    struct fixture *fixture = *state;
    struct master all[3];
    static const char *const names[3] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        master_open(fixture, &all[i], names[i], "process");
        part_contend(&all[i].parts[0], all[i].recorder, all[i].ha, "dispatcher", NULL);
        contest_ready(fixture, names[i]);
    }
    part_granted(&all[0].parts[0]);
    part_confirm(&all[0].parts[0], "a");
    assert_string_equal(
        db_try(fixture, "SELECT pgkeeper.request_handover('%s', 'dispatcher', 0)", FIXTURE_CLUSTER),
        "PK002");
    assert_string_equal(db_try(fixture,
                               "SELECT pgkeeper.request_handover(cluster_id, 'master', member_id)"
                               " FROM pgkeeper.leadership"),
                        "PK003");
    for (int i = 0; i < 4; i++) {
        struct part *to = &all[i % 2 == 0 ? 2 : 1].parts[0];
        int64_t ends = db_int(fixture,
                              "SELECT pgkeeper.request_handover('%s', 'master', m.id)"
                              " FROM pgkeeper.member m WHERE name = '%s'",
                              FIXTURE_CLUSTER, i % 2 == 0 ? "c" : "b");
        assert_true(part_granted(to) > ends);
    }
    assert_int_equal(recorder_count(all[0].recorder, "grant"), 1);
    check_reasons(fixture, "master", "switchover,switchover,switchover,switchover");
    for (int i = 0; i < 3; i++) {
        master_close(&all[i]);
    }
    check_history(fixture);
}

/* ---- callbacks */

static atomic_int hold_ms;

static void hold(struct part *part, const char *kind)
{
    (void)part;
    (void)kind;
    for (int64_t end = wait_now_ns() + atomic_load(&hold_ms) * WAIT_NS_PER_MS;
         wait_now_ns() < end && atomic_load(&hold_ms) > 0;) {
        wait_pause_ms(5);
    }
}

static void
test_election__callback_blocks_for_longer_than_the_lease__leadership_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct master a;
    master_open(fixture, &a, "a", "process");
    atomic_store(&hold_ms, 3000);
    a.parts[0].hook = hold;
    part_contend(&a.parts[0], a.recorder, a.ha, "dispatcher", NULL);
    part_granted(&a.parts[0]);
    for (int64_t end = wait_now_ns() + 2500 * WAIT_NS_PER_MS; wait_now_ns() < end;) {
        assert_true(leads(&a.parts[0]));
        wait_pause_ms(10);
    }
    assert_int_equal(recorder_count(a.recorder, "revoke"), 0);
    atomic_store(&hold_ms, 0);
    master_close(&a);
}

static void test_election__lost_while_a_callback_blocks__no_longer_leads_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct master a;
    master_open(fixture, &a, "a", "process");
    atomic_store(&hold_ms, WAIT_LONG_MS);
    a.parts[0].hook = hold;
    part_contend(&a.parts[0], a.recorder, a.ha, "x", NULL);
    int64_t first = part_granted(&a.parts[0]);
    /* y's grant waits behind x's callback, and is out of date before its turn comes. */
    part_contend(&a.parts[1], a.recorder, a.ha, "y", NULL);
    pgk_uuid session_id = a.parts[0].session_id;
    db_exec(fixture, "SELECT pgkeeper.kick('" FIXTURE_CLUSTER "', 'master')");
    WAIT_UNTIL(!pgk_election_has_leadership(a.parts[0].election, &session_id), 5000);
    db_wait(fixture, "t", WAIT_LONG_MS, "SELECT epoch > %lld FROM pgkeeper.leadership",
            (long long)first);
    atomic_store(&hold_ms, 0);
    assert_int_equal(part_revoked(&a.parts[0]), first);
    WAIT_UNTIL(recorder_count(a.recorder, "grant y") == 1, WAIT_LONG_MS);
    assert_true(a.parts[1].epoch > first);
    assert_int_equal(recorder_count(a.recorder, "revoke y"), 0);
    WAIT_UNTIL(recorder_count(a.recorder, "grant x") == 2, WAIT_LONG_MS);
    master_close(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_election__leaders_closed_one_after_the_other__each_leads_once),
        DB_TEST(test_election__scope_process__one_tenure_for_all_components),
        DB_TEST(test_election__scope_component__each_has_its_own_leader),
        DB_TEST(test_election__named_groups__led_by_different_processes_at_a_time),
        DB_TEST(test_election__component_of_another_live_group__confirm_conflicts),
        DB_TEST(test_election__confirm__one_write_per_tenure_and_none_without_one),
        DB_TEST(test_election__take_over__empties_the_former_records_at_once),
        DB_TEST(test_election__one_component_closed__its_record_goes_and_others_stay),
        DB_TEST(test_election__resign__another_leads_and_the_former_stands_back),
        DB_TEST(test_election__resign_with_nobody_else__leads_again),
        DB_TEST(test_election__handover_by_sql__goes_to_the_named_member),
        DB_TEST(test_election__callback_blocks_for_longer_than_the_lease__leadership_is_kept),
        DB_TEST(test_election__lost_while_a_callback_blocks__no_longer_leads_at_once),
    };
    return cmocka_run_group_tests_name("election", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
